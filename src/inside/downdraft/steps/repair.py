"""The step `repair`: mends what reverse scripts leave broken, and reverses managers that have scripts but no downgrade.

After core and managers, while nobody else is on the database. Whether a mend is needed is read from the database and
from this image's own scripts, never from a version; each may be made twice.

1. On PostgreSQL and MySQL, ids without numbers for new rows: tables made by a newer FAB have sequences that only its
   own models know, older ones rely on a default; callback_request (apache/airflow #65000) and task_instance_history
   are left without one by their reverse scripts.
2. dag.next_dagrun as 3.2 sets it makes the scheduler of 3.1 fail with UniqueViolation (#65688).
3. dag.schedule_interval that is not JSON makes the scheduler of 2.x fail (#49583).
4. Names of runs and of deadlines' callbacks: renames.py.
5. Configurations of runs that were pickled as text: confs.py.
6. Compressed serialized Dags of format 3 are passed over by the reverse script, which takes zlib for gzip.
7. In 2.x no reverse script changes serialized Dags. A scheduler of 2.9 dies of those of 2.10 (KeyError 'task_id') when
   one's next run is due before it was parsed anew. They are deleted, as the scripts from 3.x to 2.x do; the next parse
   writes them.
"""

from __future__ import annotations

from typing import Any

from downdraft.image import core_scripts, script_says
from downdraft.messages.orders import Order
from downdraft.metadata import engine, has_column, is_postgres, quoted, rows, schema_of, version_schema
from downdraft.orders.work import Work
from downdraft.steps.confs import CONF_REVISION, pickle_confs
from downdraft.steps.renames import (
    DEADLINES_REVISION,
    RUN_ID_REVISION,
    free_run_ids,
    keys_unlooked,
    rewrite_dags,
    with_older_callbacks,
)

NUMBERED = "('callback_request', 'task_instance_history')"

WITHOUT_NUMBERS_SQL = {
    "postgresql": """
SELECT n.nspname, c.relname FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attname = 'id' AND NOT a.attisdropped AND a.attnotnull AND a.attidentity = '' AND d.oid IS NULL
  AND a.atttypid IN ('int2'::regtype, 'int4'::regtype, 'int8'::regtype) AND c.relkind IN ('r', 'p')
  AND (left(c.relname, 3) = 'ab_' OR c.relname IN """
    + NUMBERED
    # Other programs (Superset) have tables named ab_* too: only where Airflow's are, or where it would find them.
    + """)
  AND (n.nspname IN (:airflow, :versions) OR c.oid = to_regclass(quote_ident(c.relname)))
ORDER BY 1, 2""",
    "mysql": """
SELECT NULL, c.table_name, c.column_type FROM information_schema.columns c
WHERE c.table_schema = database() AND c.column_name = 'id' AND c.data_type IN ('smallint', 'int', 'bigint')
  AND c.column_key = 'PRI' AND c.extra NOT LIKE '%auto_increment%' AND c.column_default IS NULL
  AND (left(c.table_name, 3) = 'ab_' OR c.table_name IN """
    + NUMBERED
    + ") ORDER BY 2",
}

# The revision whose reverse script should have done it, a piece of the text of a script that does, and the statement.
CLEARED = (
    {
        "what": "dag.next_dagrun",
        "crosses": "6222ce48e289",
        "unlessScriptSays": "next_dagrun = NULL",
        "column": "next_dagrun",
        "sql": "UPDATE {dag} SET next_dagrun = NULL, next_dagrun_create_after = NULL,"
        " next_dagrun_data_interval_start = NULL, next_dagrun_data_interval_end = NULL"
        " WHERE next_dagrun IS NOT NULL OR next_dagrun_create_after IS NOT NULL",
    },
    {
        "what": "dag.schedule_interval",
        "crosses": "0bfc26bc256e",
        "unlessScriptSays": "schedule_interval=NULL",
        "column": "schedule_interval",
        "sql": "UPDATE {dag} SET schedule_interval = NULL WHERE schedule_interval IS NOT NULL",
    },
)

DAG_FORMAT_REVISION = "cc92b33c6709"


def repair(order: Order, work: Work) -> dict[str, Any]:
    """Makes all mends that are needed after the revisions in order["crossed"]; `repaired` says what, and how many."""
    work.progress.begin(work.index, "repair", 3, "")
    crossed, scripts = set(order.get("crossed", [])), core_scripts()
    repaired: dict[str, Any] = {"numbered": give_numbers()}
    work.progress.tell(done=1, message="numbers of new rows")
    work.authority.check()
    for mend in CLEARED:
        if mend["crosses"] in crossed and not script_says(scripts, mend["crosses"], mend["unlessScriptSays"]):
            repaired[mend["what"]] = clear(mend)
    work.progress.tell(done=2, message="schedules")
    work.authority.check()
    if RUN_ID_REVISION in crossed:
        repaired["dag_run.run_id"] = free_run_ids()
    if DEADLINES_REVISION in crossed:
        repaired["deadline callbacks"] = rewrite_dags(work, with_older_callbacks)
    if CONF_REVISION in crossed:
        repaired["dag_run.conf"] = pickle_confs(work)
    if DAG_FORMAT_REVISION in crossed:
        repaired["serialized_dag"] = rewrite_dags(work, in_older_format, "data_compressed IS NOT NULL")
    if crossed and not are_dags_versioned():
        repaired["serialized_dag"] = delete_dags()
    work.progress.finish("")
    return {"repaired": repaired}


def give_numbers() -> list[str]:
    """Gives every id that needs it numbers from its highest on; answers table names."""
    with engine().begin() as connection:
        dialect = connection.dialect.name
        if dialect not in WITHOUT_NUMBERS_SQL:
            return []
        places = {}
        if is_postgres(connection):
            places = {"airflow": schema_of(connection), "versions": version_schema(connection)}
        found = rows(connection, WITHOUT_NUMBERS_SQL[dialect], **places)
        for schema, table, *column_type in found:
            if is_postgres(connection):
                give_sequence(connection, schema, table)
            else:
                give_auto_increment(connection, table, column_type[0])
    return [table for _, table, *_ in found]


def give_sequence(connection: Any, schema: str, table: str) -> None:
    """Under the name that FAB's newer models ask for, so that they and a default take from the same numbers."""
    target, sequence = quoted(connection, schema, table), quoted(connection, schema, table + "_id_seq")
    literal = "'" + sequence.replace("'", "''") + "'"
    for statement in (
        f"CREATE SEQUENCE IF NOT EXISTS {sequence}",
        f"ALTER SEQUENCE {sequence} OWNED BY {target}.id",
        f"ALTER TABLE {target} ALTER COLUMN id SET DEFAULT nextval({literal}::regclass)",
    ):
        connection.exec_driver_sql(statement)
    # Never back: a number that was given once, to a row since deleted, is not given again.
    highest = f"(SELECT coalesce(max(id), 0) + 1 FROM {target})"
    taken = f"(SELECT CASE WHEN is_called THEN last_value + 1 ELSE last_value END FROM {sequence})"
    rows(connection, f"SELECT setval(CAST(:name AS regclass), greatest({highest}, {taken}), false)", name=sequence)


def give_auto_increment(connection: Any, table: str, column_type: str) -> None:
    """MySQL counts on from the highest id by itself. Foreign keys to it forbid the change, though the type stays."""
    with keys_unlooked(connection):
        target = quoted(connection, None, table)
        connection.exec_driver_sql(f"ALTER TABLE {target} MODIFY id {column_type} NOT NULL AUTO_INCREMENT")


def are_dags_versioned() -> bool:
    """Whether this is the schema of 3.x, where serialized Dags have ids and runs refer to them."""
    with engine().connect() as connection:
        return has_column(connection, "serialized_dag", "id")


def delete_dags() -> int:
    with engine().begin() as connection:
        target = quoted(connection, schema_of(connection), "serialized_dag")
        return int(connection.exec_driver_sql("DELETE FROM " + target).rowcount)


def clear(mend: dict[str, str]) -> int | None:
    """Runs one statement of CLEARED; answers the number of rows. None where the schema has no such column any more."""
    from sqlalchemy import text

    with engine().begin() as connection:
        if not has_column(connection, "dag", mend["column"]):
            return None
        target = quoted(connection, schema_of(connection), "dag")
        return int(connection.execute(text(mend["sql"].replace("{dag}", target))).rowcount)


def in_older_format(dag: dict[str, Any], compressed: bool) -> dict[str, Any] | None:
    """What the reverse script of DAG_FORMAT_REVISION makes of a Dag of format 3, for compressed ones, which it passes
    over."""
    if not compressed or dag.get("__version") != 3:
        return None
    dag.pop("client_defaults", None)
    return dict(dag, __version=2)
