"""Rewrites deferral data (next_kwargs, triggers' kwargs) from the form of 3.2 to that of 3.1 and older.

The new form is read with the reader of this image, airflow.sdk.serde, and written with the older writer that ships
beside it, BaseSerialization. 3.2 and 3.3 read the older form, too: a downgrade that is withdrawn after this step loses
nothing.

1. Before any step begins, every row that needs it is converted once without being written: one that can't be converted
   must not leave the others half done. The keys of all are kept for the next part.
2. They are converted again and written, some hundred per transaction. A row in the older form is left alone, so the
   step can be killed anywhere and begun again.
3. The rows are searched once more; none may be left.
"""

from __future__ import annotations

import json
from typing import Any, Callable

from downdraft.deferral import (
    EXAMPLES,
    UNDECIPHERABLE,
    Key,
    Place,
    deferral_columns,
    deferral_values,
    is_old_form,
    opened,
    unreadable_rows,
    unreadable_values,
)
from downdraft.messages.inspection import UnconvertibleRows
from downdraft.messages.orders import Order
from downdraft.metadata import engine, is_postgres, key_columns, quoted, read_identity, schema_of
from downdraft.orders.guard import Guard
from downdraft.orders.work import Work
from downdraft.refused import Refused
from downdraft.steps.olderform import Unconvertible, older_kwargs

BATCH = 500


def look_at_rows(order: Order, work: Work) -> None:
    """Notes in `work` the keys of the rows to convert, by table and column; Refused when one of them can't be."""
    work.unconverted, faults = {}, []
    with engine().connect() as connection, connection.begin():
        work.guard.check(read_identity(connection))
        for place in deferral_columns(connection):
            work.unconverted[place], wrong = sift(connection, place, work.authority.check)
            faults += [fault_at(place, why, keys) for why, keys in wrong.items()]
    if faults:
        told = "; ".join(
            f"{fault['table']}.{fault['column']}: {fault['count']} rows (ids {fault['ids']}): {fault['why']}"
            for fault in faults
        )
        remedy = "let the newer version end or clear their tasks, or give it the key or the class that is missing"
        raise Refused("RowsUnreadable", f"rows that can't be rewritten for the older version: {told}; {remedy}")


def unconvertible_rows(connection: Any) -> list[UnconvertibleRows]:
    """What look_at_rows would refuse, for the inspection: table, column, count, some ids and why."""
    faults = []
    for place in deferral_columns(connection):
        wrong = sift(connection, place, lambda: None)[1]
        faults += [fault_at(place, why, keys) for why, keys in wrong.items()]
    return faults


def sift(connection: Any, place: Place, check: Callable[[], None]) -> tuple[list[Key], dict[str, list[Key]]]:
    """The keys of the rows of one column to convert, and by reason those of the rows that can't be."""
    keys: list[Key] = []
    wrong: dict[str, list[Key]] = {}
    for number, (key, value) in enumerate(unreadable_values(connection, *place)):
        if number % BATCH == 0:
            check()
        try:
            older_kwargs(value, set())
            keys.append(key)
        except Unconvertible as error:
            wrong.setdefault(str(error), []).append(key)
    return keys, wrong


def fault_at(place: Place, why: str, keys: list[Key]) -> UnconvertibleRows:
    """One reason, for people and machines."""
    ids = ", ".join(str(key[0]) for key in keys[:EXAMPLES]) + (", …" if len(keys) > EXAMPLES else "")
    return {"table": place[0], "column": place[1], "count": len(keys), "ids": ids, "why": why}


def convert(order: Order, work: Work) -> dict[str, Any]:
    """Rewrites the rows that look_at_rows has found.

    Facts: `converted`, by column how many; `asText`, rows that hold something as text from now on, with its classes.
    """
    total, done = sum(len(keys) for keys in work.unconverted.values()), 0
    work.progress.begin(work.index, "convert", total, "")
    converted, as_text = {}, []
    for place, keys in work.unconverted.items():
        name = ".".join(place)
        lost: dict[Key, set[str]] = {}
        converted[name] = 0
        for start in range(0, len(keys), BATCH):
            work.authority.check()
            batch = keys[start : start + BATCH]
            converted[name] += convert_batch(place, batch, work.guard, lost)
            done += len(batch)
            work.progress.tell(done=done, message=name)
        if lost:
            why = ", ".join(sorted(set().union(*lost.values())))
            as_text.append(fault_at(place, why, list(lost)))
    if total:
        refuse_what_is_left(work.guard)
    return {"converted": converted, "asText": as_text}


def convert_batch(place: Place, keys: list[Key], guard: Guard, lost: dict[Key, set[str]]) -> int:
    """Converts the rows with these keys in one transaction; answers how many were not converted yet.

    `lost` takes, by key, the classes of which only text is kept.
    """
    from sqlalchemy import text

    with engine().connect() as connection, connection.begin():
        guard.check(read_identity(connection))
        changes = []
        for key, stored in list(deferral_values(connection, place[0], place[1], keys)):
            value = opened(place[1], stored)
            if value is not UNDECIPHERABLE and is_old_form(value):
                continue
            classes: set[str] = set()
            written = to_store(place[1], older_kwargs(value, classes))
            changes.append(dict({f"key{at}": part for at, part in enumerate(key)}, written=written))
            if classes:
                lost[key] = classes
        if changes:
            connection.execute(text(update_sql(connection, *place)), changes)
    return len(changes)


def update_sql(connection: Any, table: str, column: str) -> str:
    """The statement that writes one row; its parameters are `written` and key0, key1, …"""
    quote, written = connection.dialect.identifier_preparer.quote, ":written"
    if column == "next_kwargs" and is_postgres(connection):
        written = "CAST(:written AS jsonb)"
    where = [f"{quote(key)} = :key{at}" for at, key in enumerate(key_columns(connection, table))]
    target = quoted(connection, schema_of(connection), table)
    return f"UPDATE {target} SET {quote(column)} = {written} WHERE {' AND '.join(where)}"


def to_store(column: str, value: Any) -> str:
    """The text of a value; a trigger's is encrypted when a key is set, with the first one of a rotated list."""
    written = json.dumps(value)
    if column != "kwargs":
        return written
    from airflow.models.crypto import get_fernet

    stored = get_fernet().encrypt(written.encode())
    return stored.decode() if isinstance(stored, bytes) else stored


def refuse_what_is_left(guard: Guard) -> None:
    """Throws when a search after the conversion finds a row that the older version can't read."""
    with engine().connect() as connection, connection.begin():
        guard.check(read_identity(connection))
        left = [entry for entry in unreadable_rows(connection) if entry["count"] or entry.get("undecipherable")]
    if left:
        told = "; ".join(
            f"{entry['table']}.{entry['column']}: {entry['count']} rows (ids {entry['examples']})" for entry in left
        )
        raise Refused(
            "RowsUnreadable",
            "rows that the older version can't read came while they were converted, so "
            f"somebody still writes to this database: {told}",
        )
