"""Asks a running container's own Airflow where its metadata database is and what stands in it.

Prints one line, `DOWNDRAFT-DATABASE {json}`, as in src/inside/README.md. Reads only, makes nothing: on Airflow's
engine, with a connection of its own, one read-only transaction.
"""

from __future__ import annotations

import os
from typing import Any, cast

from downdraft.answering import SECONDS, adopt_runner, answer_with, resolve
from downdraft.environment import adopt_environment, named_file
from downdraft.messages.lines import DatabaseLine, Session
from downdraft.metadata import configured_schema, describe_database, is_postgres, rows

MOST_SESSIONS = 200

# As src/database/sessions.ts: of another role's session an ordinary role sees neither state, address nor backend_type.
SESSIONS_SQL = {
    "postgresql": """
        SELECT pid, coalesce(usename::text, ''), coalesce(application_name, ''), coalesce(host(client_addr), ''),
          coalesce(state, '')
        FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
          AND (backend_type = 'client backend' OR (backend_type IS NULL AND usesysid IS NOT NULL))
          AND coalesce(application_name, '') NOT IN ('downdraft', 'downdraft-runner')
        ORDER BY backend_start NULLS LAST, pid LIMIT %d""",
    "mysql": """
        SELECT id, user, '', host, lower(command) FROM information_schema.processlist
        WHERE db = database() AND id <> connection_id() ORDER BY id LIMIT %d""",
}
MAY_SEE_ALL = """
    SELECT 1 FROM information_schema.user_privileges WHERE privilege_type = 'PROCESS'
      AND grantee = concat('''', replace(current_user(), '@', '''@'''), '''')"""


def readable(resolved: Any, confirmed: bool) -> Any:
    """The engine to read with. SQLite's is made anew: Airflow's would make the file, and switches its journal mode."""
    file = named_file(resolved, confirmed)
    if file is None:
        return resolved
    import sqlite3

    from sqlalchemy import create_engine

    return create_engine("sqlite://", creator=lambda: sqlite3.connect(file.as_uri() + "?mode=ro", uri=True, timeout=2))


def limit_wait(resolved: Any) -> None:
    """Bounds the wait for a MySQL server; libpq has PGCONNECT_TIMEOUT, which a connect_timeout of the URL overrides."""
    from sqlalchemy import event

    def bound(dialect: Any, _record: Any, _positional: Any, named: dict[str, Any]) -> None:
        if dialect.name == "mysql" and dialect.driver in ("mysqldb", "pymysql"):
            for name in ("connect_timeout", "read_timeout"):
                named.setdefault(name, max(1, int(SECONDS)))

    event.listen(resolved, "do_connect", bound)


def begin_reading(connection: Any) -> None:
    """Nothing can be written from here on, and no statement outlasts us on the server."""
    milliseconds = int(SECONDS * 900)
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = {milliseconds}")
        connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = {milliseconds}")
    if connection.dialect.name == "mysql":
        limit = f"max_execution_time = {milliseconds}"
        if getattr(connection.dialect, "is_mariadb", False):
            limit = f"max_statement_time = {milliseconds / 1000:g}"
        # Reflection asks by SHOW, which no time limit for statements covers, but that for waiting does.
        connection.exec_driver_sql(f"SET SESSION {limit}, lock_wait_timeout = {max(1, milliseconds // 1000)}")
        # Not inside the transaction that is open already: for the next one, begun after this commit.
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("START TRANSACTION READ ONLY")


def refuse_hidden(connection: Any) -> None:
    """An empty answer lets any image through, so it must be true: no schema that our role may not look into."""
    if not is_postgres(connection):
        return
    hidden = """SELECT nspname FROM pg_namespace WHERE NOT has_schema_privilege(oid, 'usage') AND nspname IN (
        SELECT CASE btrim(part, ' "') WHEN '$user' THEN current_user::text ELSE btrim(part, ' "') END
        FROM unnest(string_to_array(current_setting('search_path'), ',')) AS part UNION SELECT :configured)"""
    found = rows(connection, hidden, configured=configured_schema(connection))
    if found:
        raise PermissionError(f"permission denied for schema {found[0][0]}")


def sessions(connection: Any) -> list[Session] | None:
    """Sessions of others, or None when that can't be told: an empty list always means that nobody is there."""
    dialect = connection.dialect.name
    if dialect not in SESSIONS_SQL:
        return None
    found: list[Session] = [
        {"pid": pid, "user": user, "application": application, "client": client, "state": state}
        for pid, user, application, client, state in rows(connection, SESSIONS_SQL[dialect] % MOST_SESSIONS)
    ]
    # Without PROCESS a MySQL user sees its own sessions only.
    blind = dialect == "mysql" and not rows(connection, MAY_SEE_ALL)
    return None if blind and not found else found


def ask() -> DatabaseLine:
    """The answer. Throws what Airflow, its configuration, SQLAlchemy or the driver throws."""
    confirmed = adopt_environment()
    if not confirmed:
        adopt_runner()
    os.environ["PGAPPNAME"] = "downdraft"
    os.environ.setdefault("PGCONNECT_TIMEOUT", str(max(2, int(SECONDS * 0.8))))
    resolved = readable(resolve(), confirmed)
    limit_wait(resolved)
    with resolved.connect() as connection, connection.begin():
        begin_reading(connection)
        told = cast(DatabaseLine, describe_database(connection))
        if not told["versionTables"] and not told["airflowTables"]:
            refuse_hidden(connection)
        found = sessions(connection)
        if found is not None:
            told["sessions"] = found
    resolved.dispose()
    return told


def main() -> None:
    answer_with("DOWNDRAFT-DATABASE ", ask)
