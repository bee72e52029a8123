"""Orders, how far they are, and what came of them."""

from __future__ import annotations

from typing import Any, Literal, TypedDict

from downdraft.messages.kinds import StepKind


class Identity(TypedDict):
    """Which database; see metadata.py."""

    database: str
    oid: str
    cluster: str


class _OrderKind(TypedDict):
    kind: StepKind


_OrderClass = TypedDict("_OrderClass", {"class": str}, total=False)


class Order(_OrderKind, _OrderClass, total=False):
    """One step of orders.json; each kind has some of these."""

    run: str
    name: str
    aside: str
    keepUntil: str
    toRevision: str
    versionTable: str
    crossed: list[str]
    managers: dict[str, list[str]]
    counted: dict[str, int | None]
    counts: dict[str, int]
    uncounted: dict[str, str]
    readable: bool
    accept: bool


class Orders(TypedDict):
    """orders.json."""

    token: int
    run: str
    identity: Identity
    steps: list[Order]


class Part(TypedDict):
    """What the server does just now, and how much of it is done."""

    what: str
    percent: float | None


class PartLeft(Part, total=False):
    """With how long the rest takes by the pace so far."""

    remainingSeconds: int


class Replica(TypedDict):
    """A replica of the server, and how far behind it is."""

    name: str
    bytes: int | None


class Slot(TypedDict):
    """A replication slot, and how much it keeps."""

    name: str
    active: bool
    bytes: int


class _ServerState(TypedDict):
    state: Literal["working", "waiting", "still", "unknown"]
    seconds: int
    quietSeconds: int


class Server(_ServerState, total=False):
    """`server` of progress.json; what the role may not see is missing."""

    why: str
    events: list[str]
    pid: int
    statement: str
    statementSeconds: int
    part: PartLeft
    wal: int
    databaseBytes: int
    locksNotGranted: int | None
    replicas: list[Replica]
    slots: list[Slot]


class Signature(TypedDict):
    """Under which orders something is said."""

    token: int
    run: str


class _ProgressKnown(Signature):
    step: int
    steps: int
    kind: StepKind
    done: int
    of: int
    revision: str
    message: str
    at: float


class Progress(_ProgressKnown, total=False):
    """progress.json."""

    begun: float
    since: float
    blockedBy: list[str]
    server: Server
    newer: str


class Failure(TypedDict):
    """`error` of result.json; `kind` is an ErrorKind, or the name of an exception."""

    kind: str
    message: str
    step: int
    revision: str


class _ResultKnown(Signature):
    ok: bool
    versionTables: dict[str, list[str]]


class Result(_ResultKnown, total=False):
    """result.json: seconds and facts of each step, or the error."""

    seconds: list[float]
    facts: list[dict[str, Any] | None]
    error: Failure
    versionTablesError: str
