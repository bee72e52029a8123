"""Names that the older version gives otherwise, so that it stumbles over those of the newer one: parts of `repair`.

Put after steps.py. Both were seen with real schedulers (test/matrix); each may be done twice.
"""
import datetime
import zlib

# 3.2 moved the classes of deadlines' callbacks; its reverse script writes their new name into the serialized Dags, where
# the scheduler of 3.1 fails on it (ModuleNotFoundError), at once and for as long as a run of that Dag is open.
DEADLINES_REVISION = "55297ae24532"
CALLBACK_MODULES = ("airflow.sdk.definitions.callback.", "airflow.sdk.definitions.deadline.")


DAG_BATCH = 50


def rewrite_dags(work, change, where="id IS NOT NULL"):
    """Rewrites serialized Dags; answers how many, or None where they have no ids yet (2.x).

    `change` gets a Dag and whether it is stored compressed, and answers it changed, or None to leave it. A row that can't
    be read is left: the older version serializes that Dag again when it is parsed.
    """
    with engine().connect() as connection:
        if not has_column(connection, "serialized_dag", "id"):
            return None
        target = quoted(connection, schema_of(connection), "serialized_dag")
        ids = [row[0] for row in rows(connection, "SELECT id FROM %s WHERE %s ORDER BY id" % (target, where))]
    changed = 0
    for start in range(0, len(ids), DAG_BATCH):
        work.authority.check()
        with engine().begin() as connection:
            for identifier in ids[start : start + DAG_BATCH]:
                changed += rewrite_dag(connection, target, identifier, change)
        work.progress.tell(message="serialized Dags: %d of %d" % (min(start + DAG_BATCH, len(ids)), len(ids)))
    return changed


def rewrite_dag(connection, target, identifier, change):
    """One row; answers how many were changed."""
    from sqlalchemy import text

    data, compressed = rows(connection, "SELECT data, data_compressed FROM %s WHERE id = :id" % target, id=identifier)[0]
    dag = stored_dag(data, compressed)
    older = change(dag, bool(compressed)) if isinstance(dag, dict) else None
    if older is None:
        return 0
    place, value = "data = CAST(:value AS json)" if is_postgres(connection) else "data = :value", json.dumps(older)
    if compressed:
        place, value = "data_compressed = :value", zlib.compress(value.encode())
    update = text("UPDATE %s SET %s WHERE id = :id" % (target, place))
    return connection.execute(update, {"value": value, "id": identifier}).rowcount


def stored_dag(data, compressed):
    """The JSON value of a serialized Dag; None when it can't be read."""
    try:
        stored = zlib.decompress(bytes(compressed)) if compressed else data
        return json.loads(stored) if isinstance(stored, (str, bytes)) else stored
    except (zlib.error, ValueError, TypeError):
        return None


def with_older_callbacks(dag, _compressed):
    """A Dag whose deadlines' callbacks have the class names that 3.1 has; None when there is none to change."""
    return dag if rename_callbacks(dag) else None


def rename_callbacks(dag):
    """Changes a serialized Dag in place; answers whether there was something to change."""
    changed, alerts = False, ((dag or {}).get("dag") or {}).get("deadline")
    for alert in alerts if isinstance(alerts, list) else [alerts]:
        callback = (alert.get("__var", alert) if isinstance(alert, dict) else {}).get("callback")
        name = callback.get("__classname__", "") if isinstance(callback, dict) else ""
        if name.startswith(CALLBACK_MODULES[0]):
            callback["__classname__"] = CALLBACK_MODULES[1] + name[len(CALLBACK_MODULES[0]) :]
            changed = True
    return changed


# From 3.2 on the id of a scheduled run is made of run_after, the end of its interval; before, of its logical date, the
# beginning. So the older version's next run of a Dag asks for the id of the newer one's last: UniqueViolation, and no
# Dag is scheduled any more (apache/airflow#65688; clearing next_dagrun alone, as the mended script does, is not enough).
RUN_ID_REVISION = "6222ce48e289"

LAST_RUNS_SQL = """
SELECT DISTINCT ON (dag_id) dag_id, run_id, data_interval_start, data_interval_end FROM {dag_run}
WHERE run_type = 'scheduled' AND data_interval_start < data_interval_end ORDER BY dag_id, data_interval_end DESC"""

KEYS_SQL = """
SELECT c.conrelid::regclass::text, quote_ident(c.conname) FROM pg_constraint c
WHERE c.contype = 'f' AND NOT c.condeferrable AND EXISTS (SELECT 1 FROM pg_attribute a
  WHERE a.attrelid = c.conrelid AND a.attnum = ANY (c.conkey) AND a.attname = 'run_id')
AND c.confrelid IN ('{dag_run}'::regclass, '{task_instance}'::regclass)"""


WITH_RUNS_SQL = """
SELECT c.table_name FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
WHERE table_schema = :schema AND t.table_type = 'BASE TABLE' AND c.column_name IN ('dag_id', 'run_id')
GROUP BY c.table_name HAVING count(*) = 2"""


def free_run_ids():
    """Gives the last scheduled run of a Dag another id where the older version will want that for its next.

    Answers how many; None where it is not done (MySQL can't put off its foreign keys).
    """
    from sqlalchemy import text

    with engine().begin() as connection:
        if not is_postgres(connection):
            return None
        names = {name: quoted(connection, schema_of(connection), name) for name in ("dag_run", "task_instance")}
        taken = []
        for dag, run, _, end in rows(connection, LAST_RUNS_SQL.format(**names)):
            if run == "scheduled__" + end.astimezone(datetime.timezone.utc).isoformat():
                taken.append({"dag": dag, "run": run, "free": run + "__run_after"})
        if not taken:
            return 0
        keys = rows(connection, KEYS_SQL.format(**names))
        for table, key in keys:
            connection.exec_driver_sql("ALTER TABLE %s ALTER CONSTRAINT %s DEFERRABLE INITIALLY DEFERRED" % (table, key))
        for (table,) in rows(connection, WITH_RUNS_SQL, schema=schema_of(connection)):
            target = quoted(connection, schema_of(connection), table)
            update = text("UPDATE %s SET run_id = :free WHERE dag_id = :dag AND run_id = :run" % target)
            for one in taken:
                connection.execute(update, one)
        connection.exec_driver_sql("SET CONSTRAINTS ALL IMMEDIATE")
        for table, key in keys:
            connection.exec_driver_sql("ALTER TABLE %s ALTER CONSTRAINT %s NOT DEFERRABLE" % (table, key))
    return len(taken)
