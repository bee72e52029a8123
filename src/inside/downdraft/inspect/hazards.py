"""What stands in the way of going back: rows that reverse scripts refuse or drop, sizes, limits, who else is there.

All of it only reads, within a transaction that is there already. src/release/plan/hazards.ts says what follows from it.

A hazard of hazards.json:
- crosses: the revision whose reverse script has the effect. Counted when this image's chain has it; the plan keeps
  those that are really crossed.
- effect: refuses (the script stops on such rows), breaks (the older version stumbles over them), loses, repaired (by
  repair.py), unchecked (can't be counted).
- backends: those that have it; all when missing. needs: tables or table.column, without which there is nothing to
  count; lacks: one that must not be there.
- unlessScriptSays, ifScriptSays: a piece of the reverse script's own text by which a mended one is known (Airflow mends
  reverse scripts in place, its ADR 0001), so no list of versions is needed.
- rows: a SELECT of one column, by backend or "any"; {table} stands for the table's name as it must be quoted.
- tables: of what is lost or breaks, the table whose rows are counted, with the column where only that goes.
- what, remedy: for people. checkedThrough: the newest revision whose reverse script was read for this table.
"""

from __future__ import annotations

import json
import pkgutil
import re
import time
from typing import Any, Iterable, cast

from downdraft.image import core_scripts, script_says
from downdraft.messages.inspection import Hazard, Obstacle, Size, Sizes
from downdraft.metadata import bounded, is_postgres, quoted, rows, schema_of
from downdraft.orders.guard import LOCK_KEY
from downdraft.text import one_line

HAZARDS = json.loads(pkgutil.get_data("downdraft.inspect", "hazards.json") or "")

# For each count; and for all of them, after which the rest is told as not counted.
COUNT_SECONDS = 10
ALL_COUNTS_SECONDS = 60

BIGGEST_TABLES = 15
SMALL_TABLE_BYTES = 16 * 1024 * 1024
IDLE_TRANSACTION_SECONDS = 60


TOLD_OF_HAZARDS = ("id", "crosses", "effect", "tables", "what", "remedy")


def hazards_of(connection: Any, chain_revisions: Iterable[str], scripts: Any = None) -> list[Hazard]:
    """Hazards whose revision is in `chain_revisions` (newest first) and that the database has rows for.

    Each as in hazards.json (id, crosses, effect, tables, what, remedy) with `count` and up to 3 `examples`; count is
    None where there is none, and `error` says why it could not be counted. Revisions newer than our table are told as
    unchecked.
    """
    chain = list(chain_revisions)
    scripts = scripts or core_scripts()
    deadline, seen = time.monotonic() + ALL_COUNTS_SECONDS, Columns(connection)
    found: list[Hazard] = []
    with bounded(connection, COUNT_SECONDS):
        for hazard in HAZARDS["hazards"]:
            if hazard["crosses"] not in chain or not applies(hazard, connection, seen, scripts):
                continue
            counted: dict[str, Any] = {"count": None, "error": "no time was left"}
            if time.monotonic() < deadline:
                counted = count_of(hazard, connection, seen)
            if counted["count"] != 0:
                told = {key: hazard[key] for key in TOLD_OF_HAZARDS if key in hazard}
                found.append(cast(Hazard, dict(told, **counted)))
    return found + not_in_table(chain)


def not_in_table(chain: list[str]) -> list[Hazard]:
    """One entry for each revision that came after our table was made."""
    listed = {hazard["crosses"] for hazard in HAZARDS["hazards"]}
    newest = HAZARDS["checkedThrough"]
    newer = chain[: chain.index(newest)] if newest in chain else []
    return [
        {"id": "not-in-table", "crosses": revision, "effect": "unchecked", "what": revision, "count": None}
        for revision in newer
        if revision not in listed
    ]


class Columns:
    """Which columns Airflow's tables have, read once for each table."""

    def __init__(self, connection: Any) -> None:
        from sqlalchemy import inspect

        self.inspector, self.schema = inspect(connection), schema_of(connection)
        self.tables = set(self.inspector.get_table_names(schema=self.schema))
        self.read: dict[str, set[str]] = {}

    def has(self, name: str) -> bool:
        """Whether there is a "table.column"."""
        table, _, column = name.partition(".")
        if table not in self.tables:
            return False
        if table not in self.read:
            found = self.inspector.get_columns(table, schema=self.schema)
            self.read[table] = {column["name"] for column in found}
        return column in self.read[table]


def applies(hazard: dict[str, Any], connection: Any, seen: Columns, scripts: Any) -> bool:
    """Whether there is anything to count, here and with this image's scripts."""
    dialect = connection.dialect.name
    if dialect not in hazard.get("backends", [dialect]):
        return False
    if not all(seen.has(name) for name in hazard.get("needs", [])) or ("lacks" in hazard and seen.has(hazard["lacks"])):
        return False
    if "unlessScriptSays" in hazard and script_says(scripts, hazard["crosses"], hazard["unlessScriptSays"]):
        return False
    return "ifScriptSays" not in hazard or script_says(scripts, hazard["crosses"], hazard["ifScriptSays"])


def count_of(hazard: dict[str, Any], connection: Any, seen: Columns) -> dict[str, Any]:
    """`count` and `examples`, or `error`; a statement that fails costs nothing but itself."""
    by_dialect = hazard.get("rows", {})
    select = by_dialect.get(connection.dialect.name) or by_dialect.get("any")
    if select is None:
        return {"count": None}
    select = re.sub(r"\{(\w+)\}", lambda match: quoted(connection, seen.schema, match.group(1)), select)
    try:
        with connection.begin_nested():
            count = rows(connection, f"SELECT count(*) FROM ({select}) AS found")[0][0]
            some = rows(connection, f"SELECT * FROM ({select}) AS found LIMIT 3") if count else []
    except Exception as error:
        return {"count": None, "error": one_line(error)}
    return {"count": count, "examples": [str(row[0])[:100] for row in some]}


ENCRYPTED_ROWS = {
    "connection": "SELECT 1 FROM {connection} WHERE is_encrypted OR is_extra_encrypted",
    "variable": "SELECT 1 FROM {variable} WHERE is_encrypted",
    "trigger": "SELECT 1 FROM {trigger} WHERE kwargs NOT LIKE '{%'",
}


def encrypted_rows(connection: Any) -> dict[str, int | None]:
    """By table the number of rows that only a Fernet key opens; None where they could not be counted."""
    seen = Columns(connection)
    with bounded(connection, COUNT_SECONDS):
        return {
            table: count_of({"rows": {"any": select}}, connection, seen)["count"]
            for table, select in ENCRYPTED_ROWS.items()
            if table in seen.tables
        }


SIZES_SQL = {
    "postgresql": """
SELECT n.nspname, c.relname, pg_total_relation_size(c.oid),
  CASE WHEN c.reltuples >= 0 THEN c.reltuples::bigint END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = :schema AND c.relkind IN ('r', 'p') ORDER BY 3 DESC LIMIT :limit""",
    "mysql": """
SELECT NULL, table_name, data_length + index_length, table_rows FROM information_schema.tables
WHERE table_schema = database() AND table_type = 'BASE TABLE' ORDER BY 3 DESC LIMIT :limit""",
}
DATABASE_BYTES_SQL = {
    "postgresql": "SELECT pg_database_size(current_database())",
    "mysql": "SELECT coalesce(sum(data_length + index_length), 0) FROM information_schema.tables"
    " WHERE table_schema = database()",
    "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
}


def sizes_of(connection: Any) -> Sizes:
    """`databaseBytes`, and of the biggest tables `rows` (`estimated` when it is the server's word) and `bytes`."""
    dialect = connection.dialect.name
    size = int(rows(connection, DATABASE_BYTES_SQL[dialect])[0][0])
    if dialect not in SIZES_SQL:
        return {"databaseBytes": size, "tables": []}
    places = {"schema": schema_of(connection)} if is_postgres(connection) else {}
    biggest = rows(connection, SIZES_SQL[dialect], limit=BIGGEST_TABLES, **places)
    return {"databaseBytes": size, "tables": [table_size(connection, *row) for row in biggest]}


def table_size(connection: Any, schema: str | None, table: str, size: int, estimate: int | None) -> Size:
    """One entry of `tables`."""
    if size <= SMALL_TABLE_BYTES:
        count = rows(connection, "SELECT count(*) FROM " + quoted(connection, schema, table))[0][0]
        return {"table": table, "bytes": int(size), "rows": count}
    return {"table": table, "bytes": int(size), "rows": None if estimate is None else int(estimate), "estimated": True}


# reset_val: what a new session of this role has, whatever this transaction has set for itself. All in milliseconds.
LIMITS_SQL = """SELECT name, reset_val::bigint FROM pg_settings WHERE name IN
 ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')"""


def limits_of(connection: Any) -> dict[str, int]:
    """Time limits of this role's sessions that could end a long step, in milliseconds, 0 is none; {} if not known."""
    return {name: value for name, value in rows(connection, LIMITS_SQL)} if is_postgres(connection) else {}


OBSTACLES_SQL = """
SELECT 'prepared transaction ' || gid, NULL::int, owner::text, '',
  extract(epoch FROM clock_timestamp() - prepared)::int
FROM pg_prepared_xacts WHERE database = current_database()
UNION ALL
SELECT 'idle in a transaction', pid, usename::text, application_name,
  extract(epoch FROM clock_timestamp() - state_change)::int
FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%'
  AND pid <> pg_backend_pid() AND clock_timestamp() - state_change > make_interval(secs => :idle)
UNION ALL
SELECT CASE l.objid WHEN 1 THEN 'holds the lock of Airflow''s migrations' ELSE 'holds downdraft''s lock' END,
  l.pid, a.usename::text, a.application_name, extract(epoch FROM clock_timestamp() - a.backend_start)::int
FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND l.pid <> pg_backend_pid()
  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND (l.classid::bigint, l.objid::bigint) IN ((0, 1), (:high, :low))"""


def obstacles_of(connection: Any) -> list[Obstacle] | None:
    """Who could keep a step waiting: what, pid, user, application, seconds; None where that can't be told."""
    if not is_postgres(connection):
        return None
    found = rows(
        connection, OBSTACLES_SQL, idle=IDLE_TRANSACTION_SECONDS, high=LOCK_KEY >> 32, low=LOCK_KEY & 0xFFFFFFFF
    )
    return [
        {"what": what, "pid": pid, "user": user, "application": application, "seconds": seconds}
        for what, pid, user, application, seconds in found
    ]
