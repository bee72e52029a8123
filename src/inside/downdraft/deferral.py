"""Deferral data, as next_kwargs and triggers' kwargs keep it: what an older Airflow can't read.

The search for rows was tried on PostgreSQL; on MySQL and SQLite it has not been run.
"""

from __future__ import annotations

import json
from typing import Any, Collection, Iterable, Iterator, Tuple

from downdraft.messages.inspection import Link, UnreadableRows
from downdraft.metadata import has_column, key_columns, schema_of

# A table and a column; the values of a primary key.
Place = Tuple[str, str]
Key = Tuple[Any, ...]

# The head of 3.1.8. Scripts that go on from here belong to 3.2 or newer, which writes deferral data in a form that
# 3.1 and older can't read (apache/airflow #59711 came between this revision and 3.2.0's, without one of its own).
LAST_HEAD_OF_OLD_FORM = "509b94a1042d"

# What a deferred task and its trigger keep: the only columns that the change of form concerns.
DEFERRAL_COLUMNS = (("task_instance", "next_kwargs"), ("task_instance_history", "next_kwargs"), ("trigger", "kwargs"))

# Whether next_kwargs holds an object, and its text.
OBJECT_SQL = {
    "postgresql": ("jsonb_typeof({c}::jsonb) = 'object'", "CAST({c} AS TEXT)"),
    "mysql": ("JSON_TYPE({c}) = 'OBJECT'", "CAST({c} AS CHAR)"),
    "sqlite": ("json_type({c}) = 'object'", "{c}"),
}

# Envelopes of the older form whose content is in that form again: exceptions and triggers.
NESTED_TYPES = ("airflow_exc_ser", "base_exc_ser", "base_trigger")

UNDECIPHERABLE = object()  # instead of the value of a trigger that our keys don't open

EXAMPLES = 5


def writes_new_form(chain: Iterable[Link], heads: Collection[str]) -> bool:
    """Whether this image writes deferral data that releases before 3.2 can't read: its scripts go on after 3.1.8's."""
    known = any(link["revision"] == LAST_HEAD_OF_OLD_FORM for link in chain)
    return known and LAST_HEAD_OF_OLD_FORM not in heads


def unreadable_rows(connection: Any) -> list[UnreadableRows]:
    """Rows in the new form, by column: how many, and the ids of some; never what is in them.

    `undecipherable` counts triggers that our keys don't open: whether the older release can read them is unknown.
    """
    found = []
    for table, column in deferral_columns(connection):
        ids: list[int | str] = []
        closed = 0
        for key, value in unreadable_values(connection, table, column):
            if value is UNDECIPHERABLE:
                closed += 1
            else:
                ids.append(key[0] if isinstance(key[0], int) else str(key[0]))
        entry: UnreadableRows = {"table": table, "column": column, "count": len(ids), "examples": ids[:EXAMPLES]}
        if closed:
            entry["undecipherable"] = closed
        found.append(entry)
    return found


def deferral_columns(connection: Any) -> list[Place]:
    """Table and column of all deferral data in this schema (3.4 took the history's away)."""
    return [(table, column) for table, column in DEFERRAL_COLUMNS if has_column(connection, table, column)]


def unreadable_values(connection: Any, table: str, column: str) -> Iterator[tuple[Key, Any]]:
    """Key and value of each row that releases before 3.2 can't read; the value may be UNDECIPHERABLE. Streamed."""
    for key, stored in deferral_values(connection, table, column):
        value = opened(column, stored)
        if value is UNDECIPHERABLE or not is_old_form(value):
            yield key, value


def deferral_values(
    connection: Any, table: str, column: str, among: Collection[Key] | None = None
) -> Iterator[tuple[Key, Any]]:
    """Key and stored text of rows with deferral data, or of those among some keys.

    Of next_kwargs only objects: all else (JSON's null, mostly) is read by every release.
    """
    from sqlalchemy import column as named
    from sqlalchemy import select, text, tuple_
    from sqlalchemy import table as table_of

    keys, place = [named(key) for key in key_columns(connection, table)], table_of(table, schema=schema_of(connection))
    if column == "kwargs":
        found = select(*keys, named(column)).select_from(place)
    else:
        condition, stored = [sql.format(c=column) for sql in OBJECT_SQL[connection.dialect.name]]
        found = select(*keys, text(stored)).select_from(place).where(text(condition))
    if among is not None:
        found = found.where(tuple_(*keys).in_(among) if len(keys) > 1 else keys[0].in_([key[0] for key in among]))
    for row in connection.execute(found.execution_options(stream_results=True)):
        yield tuple(row[:-1]), row[-1]


def opened(column: str, stored: Any) -> Any:
    """The JSON value of a stored text; UNDECIPHERABLE when our keys don't open it."""
    try:
        # What starts with { was never encrypted (as in models/trigger.py).
        if column == "kwargs" and not stored.startswith("{"):
            from airflow.models.crypto import get_fernet

            stored = get_fernet().decrypt(stored.encode()).decode()
        return json.loads(stored)
    except Exception:  # cryptography's InvalidToken and json's ValueError alike: this row can't be judged.
        return UNDECIPHERABLE


def is_old_form(value: Any) -> bool:
    """Whether the reader of 3.1 and older takes this JSON value (BaseSerialization.deserialize), to its depth.

    Every mapping must be an envelope of __type and __var. Envelopes of other types than these hold what their own
    reader takes (assets, pods, connections), which is the same in all releases.
    """
    if isinstance(value, list):
        return all(is_old_form(item) for item in value)
    if not isinstance(value, dict):
        return True
    if "__type" not in value or "__var" not in value:
        return False
    kind, inner = value["__type"], value["__var"]
    if kind == "dict":
        return isinstance(inner, dict) and all(is_old_form(item) for item in inner.values())
    return is_old_form(inner) if kind in ("tuple", "set", *NESTED_TYPES) else True
