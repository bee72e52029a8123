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
    if dialect == "mysql":
        sql = sql % (MARIADB_CLUSTER_SQL if first_row(IS_MARIADB)[0] else "@@server_uuid")
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
    """Rows in the new form, by column: how many, and the ids of some; never what is in them.

    `undecipherable` counts triggers that our keys don't open: whether the older release can read them is unknown.
    """
    found = []
    for table, column in deferral_columns(connection):
        ids, closed = [], 0
        for key, value in unreadable_values(connection, table, column):
            if value is UNDECIPHERABLE:
                closed += 1
            else:
                ids.append(key[0] if isinstance(key[0], int) else str(key[0]))
        entry = {"table": table, "column": column, "count": len(ids), "examples": ids[:EXAMPLES]}
        found.append(dict(entry, undecipherable=closed) if closed else entry)
    return found


def deferral_columns(connection):
    """Table and column of all deferral data in this schema (3.4 took the history's away)."""
    return [(table, column) for table, column in DEFERRAL_COLUMNS if has_column(connection, table, column)]


def has_column(connection, table, column):
    """Whether Airflow's schema has this column."""
    from sqlalchemy import inspect

    inspector, place = inspect(connection), {"schema": schema_of(connection)}
    return inspector.has_table(table, **place) and column in [c["name"] for c in inspector.get_columns(table, **place)]


def key_columns(connection, table):
    """The columns of a table's primary key. task_instance has several of them before 3.0."""
    from sqlalchemy import inspect

    return inspect(connection).get_pk_constraint(table, schema=schema_of(connection))["constrained_columns"]


def unreadable_values(connection, table, column):
    """Key and value of each row that releases before 3.2 can't read; the value may be UNDECIPHERABLE. Streamed."""
    for key, stored in deferral_values(connection, table, column):
        value = opened(column, stored)
        if value is UNDECIPHERABLE or not is_old_form(value):
            yield key, value


def deferral_values(connection, table, column, among=None):
    """Key and stored text of rows with deferral data, or of those among some keys.

    Of next_kwargs only objects: all else (JSON's null, mostly) is read by every release.
    """
    from sqlalchemy import column as named, select, table as table_of, text, tuple_

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


def opened(column, stored):
    """The JSON value of a stored text; UNDECIPHERABLE when our keys don't open it."""
    try:
        # What starts with { was never encrypted (as in models/trigger.py).
        if column == "kwargs" and not stored.startswith("{"):
            from airflow.models.crypto import get_fernet

            stored = get_fernet().decrypt(stored.encode()).decode()
        return json.loads(stored)
    except Exception:  # cryptography's InvalidToken and json's ValueError alike: this row can't be judged.
        return UNDECIPHERABLE


def is_old_form(value):
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
