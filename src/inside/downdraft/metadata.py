"""The metadata database as this image sees it: identity, schemas, version tables.

Works on Airflow's own engine, so every form of connection that it takes works. Tried on PostgreSQL, MySQL, MariaDB and
SQLite.
"""

from __future__ import annotations

import contextlib
from typing import Any, Callable, Iterator

from downdraft.messages.lines import Database
from downdraft.messages.orders import Identity

# Which database this is; the controller runs the same on PostgreSQL and compares field by field. An ordinary role may
# run pg_control_system() unless that was revoked; then the cluster is ''. Two physical copies of one server (a base
# backup, a snapshot) answer the same.
MAY_READ_CLUSTER = "SELECT has_function_privilege('pg_control_system()', 'execute')"
CLUSTER_SQL = "(SELECT system_identifier FROM pg_control_system())::text"
IDENTITY_SQL = {
    "postgresql": "SELECT current_database() AS database,"
    " (SELECT oid FROM pg_database WHERE datname = current_database())::text AS oid, %s AS cluster",
    "mysql": "SELECT database() AS `database`, '' AS oid, %s AS cluster",
    "sqlite": "SELECT file AS database, '' AS oid, '' AS cluster FROM pragma_database_list WHERE name = 'main'",
}

# MariaDB calls itself MySQL and has no server_uuid; its server_uid is made of the network card's address, new at every
# start of a pod. So: the Galera cluster's name, or else when the version table's file was made or given to a user (a
# chown of the volume between two looks makes it another database: nothing is done then).
IS_MARIADB = "SELECT version() LIKE '%MariaDB%'"
MARIADB_CLUSTER_SQL = """coalesce(
    (SELECT nullif(variable_value, '') FROM information_schema.global_status
      WHERE variable_name = 'WSREP_CLUSTER_STATE_UUID'),
    (SELECT concat(@@server_id, '-', cast(unix_timestamp(create_time) AS unsigned)) FROM information_schema.tables
      WHERE table_schema = database() AND table_name = 'alembic_version'),
    @@server_id)"""

# Tables that every Airflow from 2.7 to 3.3 has; two tell an Airflow database from another, since some names are common.
AIRFLOW_TABLES = ("dag", "dag_run", "task_instance", "connection", "slot_pool", "log", "job")


def engine() -> Any:
    """Airflow's engine. From 3.3 on it is made on first use."""
    from airflow import settings

    return settings.get_engine() if hasattr(settings, "get_engine") else settings.engine


def rows(connection: Any, sql: str, **parameters: Any) -> Any:
    """The rows of one statement."""
    from sqlalchemy import text

    return connection.execute(text(sql), parameters).fetchall()


def read_identity(connection: Any) -> Identity:
    """The database's identity as a dict of text; see IDENTITY_SQL. Throws for another kind of database."""
    return identity_by(lambda sql: rows(connection, sql)[0], connection.dialect.name)


def identity_by(first_row: Callable[[str], Any], dialect: str) -> Identity:
    """The identity, by a function that answers the first row of a statement."""
    if dialect not in IDENTITY_SQL:
        raise NotImplementedError(f"a database of the kind {dialect} can't be read yet")
    sql = IDENTITY_SQL[dialect]
    if dialect == "postgresql":
        sql = sql % (CLUSTER_SQL if first_row(MAY_READ_CLUSTER)[0] else "''")
    if dialect == "mysql":
        sql = sql % (MARIADB_CLUSTER_SQL if first_row(IS_MARIADB)[0] else "@@server_uuid")
    database, oid, cluster = map(str, first_row(sql))
    return {"database": database, "oid": oid, "cluster": cluster}


def schema_of(connection: Any) -> str | None:
    """The schema of Airflow's own tables on PostgreSQL: as configured, else that of the version table."""
    return (configured_schema(connection) or version_schema(connection)) if is_postgres(connection) else None


def configured_schema(connection: Any) -> str:
    """[database] sql_alchemy_schema; '' when it is not set."""
    from airflow.configuration import conf

    return (conf.get("database", "sql_alchemy_schema", fallback="") or "").strip()


def version_schema(connection: Any) -> str | None:
    """Where the version tables are. Airflow tells alembic no schema (migrations/env.py), so the search path decides.

    The configured schema counts only where the search path holds no version table; None when there is no schema at all.
    """
    found = """SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE c.oid = to_regclass('alembic_version')"""
    row = rows(connection, found) or [(configured_schema(connection),)]
    schema: str | None = row[0][0] or rows(connection, "SELECT current_schema()")[0][0]
    return schema


def is_postgres(connection: Any) -> bool:
    return bool(connection.dialect.name == "postgresql")


def quoted(connection: Any, schema: str | None, table: str) -> str:
    """A table's name for use in SQL."""
    quote = connection.dialect.identifier_preparer.quote
    return f"{quote(schema)}.{quote(table)}" if schema else str(quote(table))


def version_tables(connection: Any) -> dict[str, list[str]]:
    """Every table named alembic_version% in the schema of alembic_version, with all its rows."""
    from sqlalchemy import inspect

    inspector, schema = inspect(connection), version_schema(connection) if is_postgres(connection) else None
    found = {}
    for name in inspector.get_table_names(schema=schema):
        if not name.startswith("alembic_version"):
            continue
        # A table of somebody's own may be called so, too.
        if any(column["name"] == "version_num" for column in inspector.get_columns(name, schema=schema)):
            select = "SELECT version_num FROM " + quoted(connection, schema, name)
            found[name] = sorted(str(row[0]) for row in rows(connection, select))
    return found


def describe_database(connection: Any) -> Database:
    """The part `database` of inspect.json."""
    from sqlalchemy import inspect

    schema = schema_of(connection)
    places = {schema, version_schema(connection)} if is_postgres(connection) else {None}
    tables = [set(inspect(connection).get_table_names(schema=place)) for place in places]
    return {
        "backend": connection.dialect.name,
        "identity": read_identity(connection),
        "versionTables": version_tables(connection),
        "airflowTables": any(len(found.intersection(AIRFLOW_TABLES)) > 1 for found in tables),
        "schema": schema,
    }


def has_column(connection: Any, table: str, column: str) -> bool:
    """Whether Airflow's schema has this column."""
    from sqlalchemy import inspect

    inspector, place = inspect(connection), {"schema": schema_of(connection)}
    return inspector.has_table(table, **place) and column in [c["name"] for c in inspector.get_columns(table, **place)]


def key_columns(connection: Any, table: str) -> list[str]:
    """The columns of a table's primary key. task_instance has several of them before 3.0."""
    from sqlalchemy import inspect

    key: list[str] = inspect(connection).get_pk_constraint(table, schema=schema_of(connection))["constrained_columns"]
    return key


@contextlib.contextmanager
def bounded(connection: Any, seconds: int) -> Iterator[None]:
    """Within it no statement takes longer. SQLite has no such setting."""
    dialect = connection.dialect.name
    if dialect == "mysql":
        mariadb = rows(connection, IS_MARIADB)[0][0]
        setting, value = ("max_statement_time", seconds) if mariadb else ("max_execution_time", seconds * 1000)
        before = rows(connection, "SELECT @@SESSION." + setting)[0][0]
        connection.exec_driver_sql(f"SET SESSION {setting} = {value}")
        try:
            yield
        finally:
            connection.exec_driver_sql(f"SET SESSION {setting} = {before}")
    elif dialect == "postgresql":
        before = rows(connection, "SELECT current_setting('statement_timeout')")[0][0]
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{seconds}s'")
        # What is thrown ends the transaction, and the setting with it.
        yield
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{before}'")
    else:
        yield
