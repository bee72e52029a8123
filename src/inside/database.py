"""The metadata database as this image sees it: identity, version tables, rows that an older Airflow can't read.

Put after chain.py. Works on Airflow's own engine, so every form of connection that it takes works. Tried on PostgreSQL
and SQLite, identity and version tables on MySQL too; the search for rows on MySQL and SQLite has not been run.
"""

# Which database this is; the controller runs the same on PostgreSQL and compares field by field. An ordinary role may
# run pg_control_system() unless that was revoked; then the cluster is ''. Two physical copies of one server (a base
# backup, a snapshot) answer the same.
MAY_READ_CLUSTER = "SELECT has_function_privilege('pg_control_system()', 'execute')"
CLUSTER_SQL = "(SELECT system_identifier FROM pg_control_system())::text"
IDENTITY_SQL = {
    "postgresql": "SELECT current_database() AS database,"
    " (SELECT oid FROM pg_database WHERE datname = current_database())::text AS oid, %s AS cluster",
    "mysql": "SELECT database() AS `database`, '' AS oid, @@server_uuid AS cluster",
    "sqlite": "SELECT file AS database, '' AS oid, '' AS cluster FROM pragma_database_list WHERE name = 'main'",
}

# Tables that every Airflow from 2.7 to 3.3 has; two tell an Airflow database from another, since some names are common.
AIRFLOW_TABLES = ("dag", "dag_run", "task_instance", "connection", "slot_pool", "log", "job")

# The head of 3.1.8. Scripts that go on from here belong to 3.2 or newer, which writes deferral data in a form that
# 3.1 and older can't read (apache/airflow #59711 came between this revision and 3.2.0's, without one of its own).
LAST_HEAD_OF_OLD_FORM = "509b94a1042d"

# Objects without a top-level "__var": the older reader looks for that key and fails, also on an empty object.
NEW_FORM_SQL = {
    "postgresql": "jsonb_typeof({c}::jsonb) = 'object' AND NOT jsonb_exists({c}::jsonb, '__var')",
    "mysql": "JSON_TYPE({c}) = 'OBJECT' AND NOT JSON_CONTAINS_PATH({c}, 'one', '$.\"__var\"')",
    "sqlite": "json_type({c}) = 'object' AND json_type({c}, '$.__var') IS NULL",
}

EXAMPLES = 5


def engine():
    """Airflow's engine. From 3.3 on it is made on first use."""
    from airflow import settings

    return settings.get_engine() if hasattr(settings, "get_engine") else settings.engine


def rows(connection, sql, **parameters):
    """The rows of one statement."""
    from sqlalchemy import text

    return connection.execute(text(sql), parameters).fetchall()


def read_identity(connection):
    """The database's identity as a dict of text; see IDENTITY_SQL. Throws for another kind of database."""
    return identity_by(lambda sql: rows(connection, sql)[0], connection.dialect.name)


def identity_by(first_row, dialect):
    """The identity, by a function that answers the first row of a statement."""
    if dialect not in IDENTITY_SQL:
        raise NotImplementedError("a database of the kind %s can't be read yet" % dialect)
    sql = IDENTITY_SQL[dialect]
    if dialect == "postgresql":
        sql = sql % (CLUSTER_SQL if first_row(MAY_READ_CLUSTER)[0] else "''")
    return {name: str(value) for name, value in zip(("database", "oid", "cluster"), first_row(sql))}


def schema_of(connection):
    """The schema of Airflow's own tables on PostgreSQL: as configured, else that of the version table."""
    return (configured_schema(connection) or version_schema(connection)) if is_postgres(connection) else None


def configured_schema(connection):
    """[database] sql_alchemy_schema; '' when it is not set."""
    from airflow.configuration import conf

    return (conf.get("database", "sql_alchemy_schema", fallback="") or "").strip()


def version_schema(connection):
    """Where the version tables are. Airflow tells alembic no schema (migrations/env.py), so the search path decides.

    The configured schema counts only where the search path holds no version table; None when there is no schema at all.
    """
    found = """SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
               WHERE c.oid = to_regclass('alembic_version')"""
    row = rows(connection, found) or [(configured_schema(connection),)]
    return row[0][0] or rows(connection, "SELECT current_schema()")[0][0]


def is_postgres(connection):
    return connection.dialect.name == "postgresql"


def quoted(connection, schema, table):
    """A table's name for use in SQL."""
    quote = connection.dialect.identifier_preparer.quote
    return quote(schema) + "." + quote(table) if schema else quote(table)


def version_tables(connection):
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


def describe_database(connection):
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


def writes_new_form(chain, heads):
    """Whether this image writes deferral data that releases before 3.2 can't read: its scripts go on after 3.1.8's."""
    known = any(link["revision"] == LAST_HEAD_OF_OLD_FORM for link in chain)
    return known and LAST_HEAD_OF_OLD_FORM not in heads


def unreadable_rows(connection):
    """Rows in the new form, by column: how many, and the ids of some; never what is in them."""
    found = []
    for table in ("task_instance", "task_instance_history"):
        if has_column(connection, table, "next_kwargs"):
            found.append(unreadable_next_kwargs(connection, table))
    if has_column(connection, "trigger", "kwargs"):
        found.append(unreadable_trigger_kwargs(connection))
    return found


def has_column(connection, table, column):
    """Whether Airflow's schema has this column (3.4 took one away)."""
    from sqlalchemy import inspect

    inspector, schema = inspect(connection), schema_of(connection)
    if not inspector.has_table(table, schema=schema):
        return False
    return any(found["name"] == column for found in inspector.get_columns(table, schema=schema))


def unreadable_next_kwargs(connection, table):
    """One entry of `rows`; next_kwargs is plain JSON, so the database counts."""
    from sqlalchemy import inspect

    schema = schema_of(connection)
    key = connection.dialect.identifier_preparer.quote(
        inspect(connection).get_pk_constraint(table, schema=schema)["constrained_columns"][0]
    )
    where = " FROM %s WHERE %s" % (
        quoted(connection, schema, table),
        NEW_FORM_SQL[connection.dialect.name].format(c="next_kwargs"),
    )
    count = rows(connection, "SELECT count(*)" + where)[0][0]
    some = rows(connection, "SELECT %s%s LIMIT %d" % (key, where, EXAMPLES)) if count else []
    examples = [row[0] if isinstance(row[0], int) else str(row[0]) for row in some]
    return {"table": table, "column": "next_kwargs", "count": count, "examples": examples}


def unreadable_trigger_kwargs(connection):
    """One entry of `rows`; trigger.kwargs is encrypted when a key is set, so it is decrypted here, in this process.

    `undecipherable` counts rows that our key doesn't open: whether the older release can read them is unknown.
    """
    from sqlalchemy import text

    select = text("SELECT id, kwargs FROM " + quoted(connection, schema_of(connection), "trigger"))
    affected, closed = [], 0
    for identifier, stored in connection.execution_options(stream_results=True).execute(select):
        try:
            decoded = json.loads(deciphered(stored))
        except Exception:  # cryptography's InvalidToken and json's ValueError alike: this row can't be judged.
            closed += 1
            continue
        if not isinstance(decoded, dict) or "__var" not in decoded:
            affected.append(identifier)
    entry = {"table": "trigger", "column": "kwargs", "count": len(affected), "examples": affected[:EXAMPLES]}
    return dict(entry, undecipherable=closed) if closed else entry


def deciphered(stored):
    """The JSON text of trigger.kwargs; what starts with { was never encrypted (as in models/trigger.py)."""
    from airflow.models.crypto import get_fernet

    return stored if stored.startswith("{") else get_fernet().decrypt(stored.encode()).decode()
