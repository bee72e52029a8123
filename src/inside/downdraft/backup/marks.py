"""Which databases of the server are ours, and whose.

A database is ours when its comment says so: JSON with the run and the database's own oid, so that a comment which came
along with a dump and restore counts for nothing. Between its making and its comment it is told by a connection limit
made from its name, which CREATE DATABASE sets in the same act.
"""

from __future__ import annotations

import json
import zlib
from typing import Any

from downdraft.backup.server import run_sql, sql_name, sql_text
from downdraft.messages.orders import Order
from downdraft.metadata import rows
from downdraft.orders.work import Work
from downdraft.refused import Refused

DATABASE_SQL = """
SELECT oid::text AS oid, datname AS name, pg_get_userbyid(datdba) AS owner, datconnlimit AS connections,
       datallowconn AS open, datistemplate AS template, shobj_description(oid, 'pg_database') AS comment
FROM pg_database WHERE """

# What a DROP DATABASE that was cut short leaves as connection limit.
INVALID = -2


def database_where(connection: Any, condition: str, **parameters: str) -> Any:
    """The row of pg_database that fits, None when there is none."""
    found = rows(connection, DATABASE_SQL + condition, **parameters)
    return found[0] if found else None


def database_named(connection: Any, name: str) -> Any:
    return database_where(connection, "datname = :name", name=name)


def mark_of(row: Any) -> dict[str, Any] | None:
    """What our comment on a database says; None when it is not ours, or meant for another."""
    try:
        told = json.loads(row.comment or "")
    except ValueError:
        return None
    ours = isinstance(told, dict) and isinstance(told.get("downdraft"), str) and told.get("oid") == row.oid
    return told if ours else None


def birthmark(name: str) -> int:
    """The connection limit with which a copy is made: never reached, and nobody else's."""
    return (1 << 30) + zlib.crc32(("downdraft " + name).encode()) % (1 << 30)


def put_mark(connection: Any, row: Any, mark: dict[str, Any]) -> None:
    """Our comment on a database."""
    told = json.dumps(dict(mark, oid=row.oid), sort_keys=True)
    run_sql(connection, f"COMMENT ON DATABASE {sql_name(row.name)} IS {sql_text(told)}")


def original_row(connection: Any, work: Work) -> Any:
    """The database of the orders in pg_database. Throws Refused when another one has its name."""
    identity = work.guard.identity
    row = database_named(connection, identity["database"])
    if row is None or row.oid != identity["oid"]:
        told = "%s is %s, the orders are for %s; nothing was done"
        seen = "gone" if row is None else f"another database, with oid {row.oid}"
        raise Refused("IdentityChanged", told % (identity["database"], seen, identity))
    return row


def is_of_this_run(row: Any, order: Order, original: Any, work: Work) -> bool:
    """Whether a database is a copy that was made, or begun, for this order."""
    if row.owner != original.owner:
        return False
    mark = mark_of(row)
    if mark:
        return bool(mark["downdraft"] == order.get("run") and mark.get("of") == work.guard.identity)
    return not row.comment and bool(row.connections == birthmark(order["name"]))
