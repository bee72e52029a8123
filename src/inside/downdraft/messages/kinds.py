"""The kinds of steps, and of what can go wrong with one."""

from __future__ import annotations

from typing import Literal

# How an order can fail, in our words; anything else is the name of an exception of Python's.
ErrorKind = Literal[
    "AnotherRunner",
    "BadOrder",
    "CannotReverse",
    "CopyChanged",
    "CopyDiffers",
    "CopyStale",
    "DiskFull",
    "DumpChanged",
    "DumpDiffers",
    "DumpFailed",
    "DumpImpossible",
    "DumpStale",
    "HalfReversed",
    "IdentityChanged",
    "LockTimeout",
    "NameTaken",
    "NameTooLong",
    "NoCopy",
    "NoDump",
    "NoMaintenance",
    "NoSingleRevision",
    "NotAllowed",
    "NotAnAncestor",
    "NotAtTarget",
    "NotCarried",
    "NotOurs",
    "NotPostgres",
    "OthersDepend",
    "RowsDiffer",
    "RowsLeftUnreadable",
    "RowsUnreadable",
    "SessionsRemain",
    "Stopped",
    "Superseded",
    "ThroughPooler",
    "UnknownManager",
    "UnknownRevision",
]

StepKind = Literal[
    "convert",
    "copy",
    "core",
    "count",
    "dropCopy",
    "dump",
    "manager",
    "migrate",
    "repair",
    "restore",
    "takeBack",
    "verify",
]
