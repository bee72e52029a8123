"""What a program says in one line, and no file."""

from __future__ import annotations

from typing import TypedDict

from downdraft.messages.orders import Identity

_ClassName = TypedDict("_ClassName", {"class": str})


class ManagerHead(_ClassName):
    """A manager, and where its scripts end."""

    versionTable: str
    heads: list[str]
    package: str | None
    packageVersion: str | None


class Database(TypedDict):
    """The database as this image sees it."""

    backend: str
    identity: Identity
    versionTables: dict[str, list[str]]
    airflowTables: bool
    schema: str | None


class Session(TypedDict):
    """Somebody else's session."""

    pid: int
    user: str
    application: str
    client: str
    state: str


class DatabaseLine(Database, total=False):
    """The line of `ask`."""

    sessions: list[Session]


class ProbeLine(TypedDict):
    """The line of `probe`."""

    airflowVersion: str
    coreHeads: list[str]
    managers: list[ManagerHead]
    fernetKeys: list[str] | None
    python: str


class AskedTrigger(_ClassName):
    """A class, and the names of the arguments with which it is made."""

    arguments: list[str]


class Obstruction(TypedDict, total=False):
    """What keeps an image from taking a trigger up; empty when nothing does."""

    lacks: str
    refuses: list[str]
    needs: list[str]
    notKnown: str


class TakeUp(AskedTrigger, Obstruction):
    """The answer to one question."""


class TriggersLine(TypedDict):
    """The line of `triggers`."""

    airflowVersion: str
    triggers: list[TakeUp]


class Digests(TypedDict):
    """By setting, as Airflow's configuration calls it; None where nothing is given."""

    sql_alchemy_conn: str | None
    host: str | None
    credentials: str | None
    sql_alchemy_schema: str | None
    fernet_key: str | None
    auth_manager: str | None
    external_db_managers: str | None
    sql_engine_collation_for_ids: str | None


class DigestsLine(TypedDict):
    """The line of `digests`."""

    digests: Digests
