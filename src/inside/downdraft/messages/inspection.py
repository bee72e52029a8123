"""What the newer image says of itself and of the database."""

from __future__ import annotations

from typing import Literal, TypedDict

from downdraft.messages.kinds import StepKind
from downdraft.messages.lines import Database, ManagerHead


class _LinkKnown(TypedDict):
    revision: str
    down: str | list[str] | None


class Link(_LinkKnown, total=False):
    """One revision of a chain, the newest first; the version is the script's own label."""

    version: str


class Manager(ManagerHead):
    """A manager of inspect.json."""

    chain: list[Link]
    command: Literal["fab-db", "db-manager"] | None
    canDowngrade: bool
    coreTables: list[str]


class Core(TypedDict):
    """Airflow's own scripts."""

    heads: list[str]
    chain: list[Link]


class _RowsKnown(TypedDict):
    table: str
    column: str
    count: int


class _UnreadableKnown(_RowsKnown):
    examples: list[int | str]


class UnreadableRows(_UnreadableKnown, total=False):
    """Rows of a column that an older version can't read."""

    undecipherable: int


class UnconvertibleRows(_RowsKnown):
    """Those that can't be rewritten for it, and why."""

    ids: str
    why: str


_WaitingClass = TypedDict("_WaitingClass", {"class": "str | None"})


class WaitingTrigger(_WaitingClass):
    """Who waits for triggers of one kind."""

    arguments: list[str] | None
    tasks: int
    watchers: int
    callbacks: int


class _HazardKnown(TypedDict):
    id: str
    crosses: str
    effect: Literal["refuses", "breaks", "loses", "repaired", "unchecked"]
    what: str
    count: int | None


class Hazard(_HazardKnown, total=False):
    """A row of hazards.json for which the database has rows."""

    tables: list[str]
    remedy: str
    examples: list[str]
    error: str


class _SizeKnown(TypedDict):
    table: str
    rows: int | None
    bytes: int


class Size(_SizeKnown, total=False):
    """A big table; `estimated` when the rows are the server's word."""

    estimated: bool


class Sizes(TypedDict):
    """The database, and its biggest tables."""

    databaseBytes: int
    tables: list[Size]


class Obstacle(TypedDict):
    """Who could keep a step waiting."""

    what: str
    pid: int | None
    user: str | None
    application: str | None
    seconds: int | None


class Possible(TypedDict):
    """Whether a way of a backup is there: a sentence for each thing in the way, and notes."""

    possible: bool
    why: list[str]
    notes: list[str]


class CopyPossible(Possible):
    """Whether the server can copy the database."""

    bytes: int
    others: list[str]
    freeBytes: None
    maintenance: str | None
    strategy: str


class DumpPossible(Possible):
    """Whether the database can be dumped."""

    program: str | None
    needBytes: int | None
    freeBytes: int | None


class _InspectionKnown(TypedDict):
    at: str
    airflowVersion: str
    core: Core
    managers: list[Manager]
    database: Database
    rows: list[UnreadableRows]
    unconvertible: list[UnconvertibleRows]
    triggers: list[WaitingTrigger]
    fernetKeys: list[str] | None
    kinds: list[StepKind]
    copy: CopyPossible
    encrypted: dict[str, int | None]
    dump: DumpPossible | None
    hazards: list[Hazard]
    sizes: Sizes
    limits: dict[str, int]
    obstacles: list[Obstacle] | None


class Inspection(_InspectionKnown, total=False):
    """inspect.json; `look` is the mark of whoever asked for it, `seconds` how long it took."""

    look: str | None
    seconds: dict[str, float]
