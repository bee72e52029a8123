"""Names that the older version gives otherwise, so that it stumbles over those of the newer one: parts of `repair`.

Both were seen with real schedulers (test/matrix); each may be done twice.
"""

from __future__ import annotations

import contextlib
import datetime
import json
import zlib
from typing import Any, Callable, Iterator

from downdraft.metadata import engine, has_column, is_postgres, quoted, rows, schema_of
from downdraft.orders.work import Work

# 3.2 moved the classes of deadlines' callbacks; its reverse script writes their new name into the serialized Dags,
# where the scheduler of 3.1 fails on it (ModuleNotFoundError), at once and for as long as a run of that Dag is open.
DEADLINES_REVISION = "55297ae24532"
CALLBACK_MODULES = ("airflow.sdk.definitions.callback.", "airflow.sdk.definitions.deadline.")

DAG_BATCH = 50

# Gets a Dag and whether it is stored compressed; answers it changed, or None.
Change = Callable[[Any, bool], Any]


def rewrite_dags(work: Work, change: Change, where: str = "id IS NOT NULL") -> int | None:
    """Rewrites serialized Dags; answers how many, or None where they have no ids yet (2.x).

    `change` gets a Dag and whether it is stored compressed, and answers it changed, or None to leave it. A row that
    can't be read is left: the older version serializes that Dag again when it is parsed.
    """
    with engine().connect() as connection:
        if not has_column(connection, "serialized_dag", "id"):
            return None
        target = quoted(connection, schema_of(connection), "serialized_dag")
        ids = [row[0] for row in rows(connection, f"SELECT id FROM {target} WHERE {where} ORDER BY id")]
    changed = 0
    for start in range(0, len(ids), DAG_BATCH):
        work.authority.check()
        with engine().begin() as connection:
            for identifier in ids[start : start + DAG_BATCH]:
                changed += rewrite_dag(connection, target, identifier, change)
        work.progress.tell(message=f"serialized Dags: {min(start + DAG_BATCH, len(ids))} of {len(ids)}")
    return changed


def rewrite_dag(connection: Any, target: str, identifier: Any, change: Change) -> int:
    """One row; answers how many were changed."""
    from sqlalchemy import text

    data, compressed = rows(connection, f"SELECT data, data_compressed FROM {target} WHERE id = :id", id=identifier)[0]
    dag = stored_dag(data, compressed)
    older = change(dag, bool(compressed)) if isinstance(dag, dict) else None
    if older is None:
        return 0
    place = "data = CAST(:value AS json)" if is_postgres(connection) else "data = :value"
    value: str | bytes = json.dumps(older)
    if compressed:
        place, value = "data_compressed = :value", zlib.compress(json.dumps(older).encode())
    update = text(f"UPDATE {target} SET {place} WHERE id = :id")
    return int(connection.execute(update, {"value": value, "id": identifier}).rowcount)


def stored_dag(data: Any, compressed: Any) -> Any:
    """The JSON value of a serialized Dag or of a part of it; None when it can't be read."""
    try:
        stored = zlib.decompress(bytes(compressed)) if compressed else data
        return json.loads(stored) if isinstance(stored, (str, bytes)) else stored
    except (zlib.error, ValueError, TypeError):
        return None


def with_older_callbacks(dag: Any, _compressed: bool) -> Any:
    """A Dag whose deadlines are as 3.1 writes them; None when there is nothing to change."""
    return dag if mend_deadlines(dag) else None


def mend_deadlines(dag: Any) -> bool:
    """Changes a serialized Dag in place; answers whether there was something to change."""
    if not isinstance(dag, dict):
        return False
    changed, alerts = False, (dag.get("dag") or {}).get("deadline")
    alerts = alerts if isinstance(alerts, list) else [alerts]
    # On MariaDB, which knows no CAST AS JSON, the reverse script leaves the ids of rows whose table it drops. The older
    # version writes the Dag's deadlines anew when it parses it.
    if alerts and all(isinstance(alert, str) for alert in alerts):
        dag["dag"]["deadline"] = None
        return True
    for alert in alerts:
        told = alert.get("__var", alert) if isinstance(alert, dict) else {}
        changed = texts_to_objects(told) or changed
        callback = told.get("callback")
        name = callback.get("__classname__", "") if isinstance(callback, dict) else ""
        if isinstance(callback, dict) and name.startswith(CALLBACK_MODULES[0]):
            callback["__classname__"] = CALLBACK_MODULES[1] + name[len(CALLBACK_MODULES[0]) :]
            changed = True
    return changed


def texts_to_objects(told: dict[str, Any]) -> bool:
    """Makes JSON again of what the reverse script writes back as text on MySQL, where it reads JSON without its
    type."""
    changed = False
    for key in ("reference", "callback"):
        value = stored_dag(told[key], None) if isinstance(told.get(key), str) else None
        if isinstance(value, dict):
            told[key], changed = value, True
    return changed


# From 3.2 on the id of a scheduled run is made of run_after, the end of its interval; before, of its logical date, the
# beginning. So the older version's next run of a Dag asks for the id of the newer one's last: UniqueViolation, and no
# Dag is scheduled any more (apache/airflow#65688; clearing next_dagrun alone, as the mended script does, is not
# enough).
RUN_ID_REVISION = "6222ce48e289"

LAST_RUNS_SQL = """
SELECT dag_id, run_id, data_interval_end FROM
  (SELECT dag_id, run_id, data_interval_end, row_number() OVER (PARTITION BY dag_id
      ORDER BY data_interval_end DESC) AS place
  FROM {dag_run} WHERE run_type = 'scheduled' AND data_interval_start < data_interval_end) AS latest WHERE place = 1"""

KEYS_SQL = """
SELECT c.conrelid::regclass::text, quote_ident(c.conname) FROM pg_constraint c
WHERE c.contype = 'f' AND NOT c.condeferrable AND EXISTS (SELECT 1 FROM pg_attribute a
  WHERE a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey) AND a.attname = 'run_id')
AND c.confrelid IN ('{dag_run}'::regclass, '{task_instance}'::regclass)"""

WITH_RUNS_SQL = """
SELECT c.table_name FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
WHERE table_schema = coalesce(:schema, {here}) AND t.table_type = 'BASE TABLE' AND c.column_name IN ('dag_id', 'run_id')
GROUP BY c.table_name HAVING count(*) = 2"""


def free_run_ids() -> int | None:
    """Gives the last scheduled run of a Dag another id where the older version will want that for its next.

    Answers how many; None where it is not done (SQLite).
    """
    with engine().begin() as connection:
        if connection.dialect.name not in KEYS_PUT_OFF:
            return None
        schema = schema_of(connection)
        names = {name: quoted(connection, schema, name) for name in ("dag_run", "task_instance")}
        taken = []
        for dag, run, end in rows(connection, LAST_RUNS_SQL.format(**names)):
            # MySQL's come without a zone; Airflow stores them in UTC.
            end = end.astimezone(datetime.timezone.utc) if end.tzinfo else end.replace(tzinfo=datetime.timezone.utc)
            if run == "scheduled__" + end.isoformat():
                taken.append({"dag": dag, "run": run, "free": run + "__run_after"})
        if taken:
            put_off = KEYS_PUT_OFF[connection.dialect.name]
            with put_off(connection, names):
                give_ids(connection, schema, taken)
    return len(taken)


def give_ids(connection: Any, schema: str | None, taken: list[dict[str, str]]) -> None:
    """Writes the ids that are `free` in the place of those of each `run`, in every table that names runs."""
    from sqlalchemy import text

    here = "current_schema()" if is_postgres(connection) else "database()"
    for (table,) in rows(connection, WITH_RUNS_SQL.format(here=here), schema=schema):
        target = quoted(connection, schema, table)
        update = text(f"UPDATE {target} SET run_id = :free WHERE dag_id = :dag AND run_id = :run")
        for one in taken:
            connection.execute(update, one)


@contextlib.contextmanager
def keys_deferred(connection: Any, names: dict[str, str]) -> Iterator[None]:
    """PostgreSQL looks at the foreign keys to runs once, at the end of this."""
    keys = rows(connection, KEYS_SQL.format(**names))
    for table, key in keys:
        connection.exec_driver_sql(f"ALTER TABLE {table} ALTER CONSTRAINT {key} DEFERRABLE INITIALLY DEFERRED")
    yield
    connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
    for table, key in keys:
        connection.exec_driver_sql(f"ALTER TABLE {table} ALTER CONSTRAINT {key} NOT DEFERRABLE")


@contextlib.contextmanager
def keys_unlooked(connection: Any, _names: dict[str, str] | None = None) -> Iterator[None]:
    """MySQL can't put foreign keys off: within this it does not look at them."""
    checked = rows(connection, "SELECT @@SESSION.foreign_key_checks")[0][0]
    connection.exec_driver_sql("SET SESSION foreign_key_checks = 0")
    try:
        yield
    finally:
        connection.exec_driver_sql(f"SET SESSION foreign_key_checks = {checked}")


KEYS_PUT_OFF: dict[str, Any] = {"postgresql": keys_deferred, "mysql": keys_unlooked}
