"""The step `count`: the rows of Airflow's own tables, of one moment. What `verify` compares with is counted here.

Other people's tables in the same schema are not counted: nothing is reversed in them, they may be large, and their rows
come and go meanwhile.
"""

from __future__ import annotations

import contextlib
import time
from collections import OrderedDict
from typing import Any, Iterator

from downdraft.image import warm_up
from downdraft.messages.orders import Order
from downdraft.metadata import bounded, engine, is_postgres, quoted, read_identity, rows, schema_of, version_schema
from downdraft.orders.work import Work
from downdraft.steps.effects import ROW_EFFECTS, is_own
from downdraft.text import one_line

# As long as the check of a copy may take for a table (copy.py).
ROW_COUNT_SECONDS = 1800

# By one statement: most tables are small, and each statement costs some milliseconds of the outage.
COUNTED_TOGETHER = 8

# A partitioned table counts as one.
OWN_TABLES_SQL = {
    "postgresql": """
SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname IN (:airflow, :versions) AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1, 2""",
    "mysql": "SELECT table_schema, table_name FROM information_schema.tables"
    " WHERE table_schema = database() AND table_type = 'BASE TABLE' ORDER BY 2",
    "sqlite": "SELECT 'main', name FROM sqlite_master WHERE type = 'table' ORDER BY 2",
}


def count(order: Order, work: Work) -> dict[str, Any]:
    """Facts: `counts` by schema.table, how many `tables` and `rows`, `uncounted` with the reason, `seconds`."""
    begun = time.monotonic()
    work.progress.begin(work.index, "count", 0, "")
    with one_snapshot(work) as connection:
        counts, uncounted = rows_of_tables(connection, own_tables(connection, work), work)
    work.progress.finish("")
    told = {"tables": len(counts), "rows": sum(counts.values()), "counts": counts, "uncounted": uncounted}
    return dict(told, seconds=round(time.monotonic() - begun, 3))


@contextlib.contextmanager
def one_snapshot(work: Work) -> Iterator[Any]:
    """A read-only connection to the database of the orders on which all statements see one moment. SQLite has one
    writer."""
    with engine().connect() as connection, connection.begin():
        if is_postgres(connection):
            connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        elif connection.dialect.name == "mysql":
            # The transaction that is open already has no snapshot; the isolation level is for the next one.
            for sql in ("COMMIT", "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"):
                connection.exec_driver_sql(sql)
            connection.exec_driver_sql("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        work.guard.check(read_identity(connection))
        with bounded(connection, ROW_COUNT_SECONDS):
            yield connection


def own_tables(connection: Any, work: Work) -> list[tuple[str, str]]:
    """Schema and name of every table of Airflow's that is there."""
    places = {}
    if is_postgres(connection):
        places = {"airflow": schema_of(connection), "versions": version_schema(connection)}
    return [
        (schema, name)
        for schema, name in rows(connection, OWN_TABLES_SQL[connection.dialect.name], **places)
        if is_own(name, own_names(work))
    ]


def own_names(work: Work) -> set[str]:
    """Names of tables that this image's models have, its provider managers', and those of rows.json."""
    if work.own_names is None:
        from airflow.models.base import Base

        # Some are only known once their modules are loaded; where that fails, those that are loaded count.
        warm_up()
        known = [Base.metadata] + [getattr(cls, "metadata", None) for cls in work.managers.values()]
        names = {table.name for metadata in known if metadata is not None for table in metadata.tables.values()}
        for effect in ROW_EFFECTS["effects"].values():
            names.update(effect.get("drops", []), effect.get("empties", []), effect.get("perhaps", []))
            names.update(effect.get("deletes", {}), *effect.get("renames", {}).items())
        work.own_names = names
    return work.own_names


def rows_of_tables(connection: Any, tables: list[tuple[str, str]], work: Work) -> tuple[dict[str, int], dict[str, str]]:
    """Rows by schema.table, and why a table was not counted; a connection that is lost is thrown.

    A table that can't be counted (no right, no time) costs only itself: not knowing is told, and is no difference.
    """
    counts: dict[str, int] = OrderedDict()
    uncounted: dict[str, str] = {}
    for start in range(0, len(tables), COUNTED_TOGETHER):
        work.authority.check()
        schema, name = tables[start]
        work.progress.tell(done=start, of=len(tables), message=f"{schema}.{name}")
        rows_of_some(connection, tables[start : start + COUNTED_TOGETHER], counts, uncounted)
    return counts, uncounted


def rows_of_some(
    connection: Any, tables: list[tuple[str, str]], counts: dict[str, int], uncounted: dict[str, str]
) -> None:
    """Counts some tables by one statement; where that fails, each by its own."""
    from sqlalchemy.exc import DBAPIError

    names = [f"{schema}.{name}" for schema, name in tables]
    selects = [f"(SELECT count(*) FROM {quoted(connection, *table)})" for table in tables]
    try:
        with connection.begin_nested():
            counts.update(zip(names, rows(connection, "SELECT " + ", ".join(selects))[0]))
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        if len(tables) == 1:
            uncounted[names[0]] = one_line(error)[:200]
            return
        for table in tables:
            rows_of_some(connection, [table], counts, uncounted)


def counts_of_own(server: Any, database: str, counted: dict[str, int], work: Work) -> dict[str, int]:
    """Those of all counted rows that `count` would count. By a connection of its own: the copy is made without one."""
    connection = server.open(database)
    try:
        schemas = {schema_of(connection), version_schema(connection)}
    finally:
        connection.close()
    return {
        place: rows_there
        for place, rows_there in sorted(counted.items())
        if place.partition(".")[0] in schemas and is_own(place.partition(".")[2], own_names(work))
    }
