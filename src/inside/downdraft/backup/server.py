"""The databases beside ours on the same PostgreSQL: how Airflow's own login reaches them, and who is on them.

Copying and renaming a database need that nobody is on it, ourselves included, so all of it is done from a maintenance
database.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import time
import zlib

from downdraft.environment import login_given
from downdraft.messages.kinds import ErrorKind
from downdraft.metadata import engine, read_identity, rows
from downdraft.orders.guard import LOCK_KEY, LOCK_PATIENCE_SECONDS, LOCK_TIMEOUT_SECONDS
from downdraft.refused import Refused
from downdraft.text import one_line

MAINTENANCE_DATABASES = ("postgres", "template1")
# A server that is gone is noticed within half a minute, also while we wait for a long statement.
LIBPQ = {"connect_timeout": 5, "keepalives": 1, "keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3}
SESSIONS_SECONDS = float(os.environ.get("DOWNDRAFT_SESSIONS_SECONDS", "30"))
NAME_BYTES = 63

# Waits for locks are bounded; the time that a copy takes is not, but it ends when nobody waits for it any more.
SESSION_SETTINGS = {
    "statement_timeout": "0",
    "transaction_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "idle_session_timeout": "0",
    "lock_timeout": f"{LOCK_TIMEOUT_SECONDS}s",
    "standard_conforming_strings": "on",
    "row_security": "off",
    "client_connection_check_interval": "2s",
}
SET_SQL = "SELECT set_config(name, :value, false) FROM pg_settings WHERE name = :name"

# What is not a client's (autovacuum) has no user; the server itself makes autovacuum give way.
SESSIONS_SQL = """
SELECT 'pid ' || pid || ', ' || usename || ', ' || coalesce(nullif(application_name, ''), 'no name')
       || coalesce(', from ' || client_addr, '')
FROM pg_stat_activity WHERE datname = ANY(CAST(:names AS text[])) AND usesysid IS NOT NULL AND pid <> pg_backend_pid()
UNION ALL
SELECT 'prepared transaction ' || gid || ', ' || owner FROM pg_prepared_xacts
WHERE database = ANY(CAST(:names AS text[]))"""

REFUSALS: dict[str | None, tuple[ErrorKind, str]] = {
    "53100": ("DiskFull", "the server's disk is full"),
    "42501": ("NotAllowed", "the role of Airflow's connection lacks a right"),
    "42P04": ("NameTaken", "a database of that name is there already"),
}


class Server:
    """The server of Airflow's database, reached as Airflow's engine would, without a session on that database."""

    def __init__(self, watched):
        self.watched, self.login = watched, login_of(watched)

    def open(self, database):
        """A connection to one of its databases, in autocommit; to be closed by the caller."""
        from sqlalchemy import create_engine
        from sqlalchemy.pool import NullPool

        args, parameters = self.login
        parameters = dict(parameters, **{"database" if "database" in parameters else "dbname": database})
        if self.watched.dialect.driver.startswith("psycopg"):
            parameters.update(LIBPQ)
        # Through `creator`, since Airflow's arguments, certificates and login tokens are in the parameters already.
        made = create_engine(
            self.watched.url.set(database=database),
            creator=lambda: self.watched.dialect.connect(*args, **parameters),
            poolclass=NullPool,
            isolation_level="AUTOCOMMIT",
        )
        connection = made.connect()
        try:
            for name, value in SESSION_SETTINGS.items():
                # A server on another system than Linux doesn't check whether its client is alive.
                with contextlib.suppress(Exception) if name.startswith("client_") else contextlib.nullcontext():
                    rows(connection, SET_SQL, name=name, value=value)
            reached = rows(connection, "SELECT current_database()")[0][0]
            if reached != database:
                raise Refused("NoMaintenance", f"the way to {database} leads to {reached}")
            return connection
        except BaseException:
            connection.close()
            raise

    def open_maintenance(self, original):
        """Name of, and connection to, a database from which the original can be copied. Throws Refused."""
        said = []
        for name in MAINTENANCE_DATABASES:
            if name == original:
                continue
            try:
                return name, self.open(name)
            except Exception as error:
                said.append(f"{name}: {one_line(error)}")
        raise Refused("NoMaintenance", f"no other database of the server can be reached ({'; '.join(said)})")


def login_of(watched):
    """What the engine connects with (login_given). Throws Refused."""
    login = login_given(watched)
    if login is None:
        told = "Airflow makes its connections in a way of its own, which leads to no other database"
        raise Refused("NoMaintenance", told)
    return login


@contextlib.contextmanager
def at_maintenance(work):
    """Server and connection to its maintenance database, holding our lock for the database of the orders."""
    watched, original = engine(), work.guard.identity
    if watched.dialect.name != "postgresql":
        raise Refused("NotPostgres", f"only PostgreSQL copies a database by itself, this is {watched.dialect.name}")
    server = Server(watched)
    name, connection = server.open_maintenance(original["database"])
    try:
        if goes_through_pooler(connection):
            raise Refused("ThroughPooler", THROUGH_POOLER)
        cluster = read_identity(connection)["cluster"]
        if cluster != original["cluster"]:
            told = f"{name} is on the server {cluster}, the orders are for {original}"
            raise Refused("IdentityChanged", told + "; nothing was done")
        take_lock(connection, original["database"])
        yield server, connection
    except Exception as error:
        if sqlstate(error) not in REFUSALS:
            raise
        kind, told = REFUSALS[sqlstate(error)]
        raise Refused(kind, f"{told}: {one_line(error)}") from error
    finally:
        connection.close()


THROUGH_POOLER = (
    "the connection goes through a pooler (as PgBouncer), which keeps sessions on the database when nobody uses them;"
    " a copy needs a direct connection"
)


def goes_through_pooler(connection):
    """Whether the process that our driver was told of is another than that which answers: poolers make up the first."""
    raw = connection.connection.dbapi_connection
    told = raw.get_backend_pid() if hasattr(raw, "get_backend_pid") else getattr(raw, "info", None)
    told = getattr(told, "backend_pid", told)
    return told is not None and told != rows(connection, "SELECT pg_backend_pid()")[0][0]


def take_lock(connection, original):
    """A session's lock, gone with the connection. By the original's name: other releases share the server."""
    key = zlib.crc32(original.encode())
    keys = {"ours": LOCK_KEY >> 32, "theirs": key - (1 << 32 if key >> 31 else 0)}
    deadline = time.monotonic() + LOCK_PATIENCE_SECONDS
    while not rows(connection, "SELECT pg_try_advisory_lock(:ours, :theirs)", **keys)[0][0]:
        if time.monotonic() > deadline:
            told = "another downdraft runner copies or renames %s; wait for its end"
            raise Refused("AnotherRunner", told % original)
        time.sleep(0.2)


def alone_on(connection, names, work, act):
    """Runs `act`, which needs that nobody is on these databases, and answers what it answers.

    Sessions are waited for and none is ended; throws Refused, with who is still there.
    """
    deadline = time.monotonic() + SESSIONS_SECONDS
    while True:
        who = [row[0] for row in rows(connection, SESSIONS_SQL, names=names)]
        if not who:
            try:
                return act()
            except Exception as error:
                if sqlstate(error) != "55006":
                    raise
                who = [f"a process that the server does not show us ({one_line(error)})"]
        if time.monotonic() > deadline:
            told = "still on %s: %s; end them and order again. Nothing was changed"
            raise Refused("SessionsRemain", told % (" or ".join(names), "; ".join(who)))
        work.authority.check()
        work.progress.tell(message="waits for the end of " + "; ".join(who))
        time.sleep(0.2)


@contextlib.contextmanager
def one_transaction(connection):
    """All or nothing, on a connection in autocommit."""
    run_sql(connection, "BEGIN")
    try:
        yield
        run_sql(connection, "COMMIT")
    except BaseException:
        # The connection may be gone, and with it the transaction.
        with contextlib.suppress(Exception):
            run_sql(connection, "ROLLBACK")
        raise


def run_sql(connection, sql):
    """A statement that holds names and texts already, in which % and : mean nothing."""
    return connection.exec_driver_sql(sql, execution_options={"no_parameters": True})


def sqlstate(error):
    """PostgreSQL's five letters for an error, None when it is none of PostgreSQL."""
    cause = getattr(error, "orig", None)
    return getattr(cause, "pgcode", None) or getattr(cause, "sqlstate", None)


def sql_name(*parts):
    """A name, of one part or several, in SQL that is not formatted any more (SQLAlchemy would double a %)."""
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def sql_text(text):
    return "NULL" if text is None else "'" + text.replace("'", "''") + "'"


def utc_now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")
