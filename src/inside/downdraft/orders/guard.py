"""What stands between an order and the database: our lock, the database's identity, a bounded wait for locks."""

from __future__ import annotations

import contextlib
import os
import time
from typing import Any

from downdraft.messages.orders import Identity
from downdraft.metadata import identity_by, rows
from downdraft.refused import Refused

# "downdraf" in ASCII, as PostgreSQL's bigint. Taken as a transaction's lock in an open transaction: a pooler between
# us and the server keeps such a lock on one server connection, which it doesn't promise for a session's.
LOCK_KEY = 0x646F776E64726166
LOCK_PATIENCE_SECONDS = 5
LOCK_TIMEOUT_SECONDS = int(os.environ.get("DOWNDRAFT_LOCK_TIMEOUT_SECONDS", "30"))

CONNECT_SECONDS = 15

# MySQL's lock belongs to the server, not to a database, and to a connection, which must not end for being idle.
MYSQL_LOCK = "left(concat('downdraft ', database()), 64)"
MYSQL_IDLE_SECONDS = 7 * 24 * 3600

# Else the statement of a runner that was killed goes on, with its locks. PostgreSQL looks from 14 on, on Linux only.
NOTICES_OUR_END_SQL = """SELECT count(*) FROM pg_settings
WHERE name = 'client_connection_check_interval' AND position('linux' in version()) > 0"""


class Guard:
    """What every new connection must meet while orders are carried out: one database, a bounded wait for locks."""

    def __init__(self, watched: Any) -> None:
        self.identity: Any = None
        self.opened: list[Any] = []
        # The numbers of our own sessions on MySQL, which knows no application's name.
        self.numbers: set[int] = set()
        self.seconds, self.notices = LOCK_TIMEOUT_SECONDS, False
        self.dialect = watched.dialect.name
        self.attach(watched)

    def attach(self, watched: Any) -> None:
        """Looks at an engine's connections from now on; again where Airflow has made itself a new engine."""
        from sqlalchemy import event

        if event.contains(watched, "connect", self.on_connect):
            return
        event.listen(watched, "do_connect", self.before_connect)
        event.listen(watched, "connect", self.on_connect)
        event.listen(watched, "begin", self.on_begin)

    def before_connect(self, dialect: Any, _record: Any, _positional: Any, named: dict[str, Any]) -> None:
        """libpq has PGCONNECT_TIMEOUT; MySQL's drivers are told here."""
        if dialect.name == "mysql" and dialect.driver in ("mysqldb", "pymysql"):
            named.setdefault("connect_timeout", CONNECT_SECONDS)
        if dialect.driver == "pymysql":
            # Scripts of FAB's send several statements at once, which mysqlclient takes unasked. CLIENT.MULTI_STATEMENTS
            named["client_flag"] = named.get("client_flag", 0) | 1 << 16

    def on_connect(self, connection: Any, _record: Any) -> None:
        """A plain DB-API connection was opened."""
        self.opened.append(connection)
        if self.identity is None:
            return
        cursor = connection.cursor()

        def first_row(sql: str) -> Any:
            cursor.execute(sql)
            return cursor.fetchone()

        seen = identity_by(first_row, self.dialect)
        if self.dialect == "mysql":
            self.numbers.add(first_row("SELECT connection_id()")[0])
            # The one for tables, the other for rows.
            waits = f"lock_wait_timeout = {self.seconds}, innodb_lock_wait_timeout = {self.seconds}"
            cursor.execute(f"SET SESSION {waits}, wait_timeout = {MYSQL_IDLE_SECONDS}")
        if self.dialect == "postgresql":
            self.notices = first_row(NOTICES_OUR_END_SQL)[0] == 1
        cursor.close()
        connection.rollback()
        self.check(seen)

    def on_begin(self, connection: Any) -> None:
        """A transaction begins; alembic opens one per revision. For the transaction only, so a pooler can't leak it."""
        if self.dialect == "postgresql" and self.identity is not None:
            connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{self.seconds}s'")
            # A limit of the role's would end a long step, and Airflow's migration lock, which only waits.
            connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
            connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
            if self.notices:
                connection.exec_driver_sql("SET LOCAL client_connection_check_interval = '2s'")

    def close_what_is_left(self) -> None:
        """Closes connections that Airflow took and never gave back: to 3.1 it leaves one in a transaction.

        A command's end hides that; here it would keep a session on a database that is about to be copied.
        """
        opened, self.opened = self.opened, []
        self.numbers.clear()
        for connection in opened:
            # Some drivers throw when it is closed already, which is what we want.
            with contextlib.suppress(Exception):
                connection.close()

    def check(self, seen: Identity) -> None:
        """Throws Refused when `seen` is not the database of the orders."""
        if seen != self.identity:
            told = f"this connection leads to {seen}, the orders are for {self.identity}"
            raise Refused("IdentityChanged", told + "; nothing was done on it")


class Lock:
    """Our own lock on the database, on a connection of its own."""

    def __init__(self, watched: Any) -> None:
        self.connection = watched.connect()
        try:
            self.transaction = self.connection.begin()
            deadline = time.monotonic() + LOCK_PATIENCE_SECONDS
            # A runner that was killed keeps its lock until the server has noticed.
            while not self.take():
                if time.monotonic() > deadline:
                    raise Refused("AnotherRunner", "another downdraft runner works on this database; wait for its end")
                time.sleep(0.2)
        except BaseException:
            self.connection.close()
            raise

    def take(self) -> bool:
        """Whether the lock is ours now. SQLite has none and needs none: one process can write it."""
        dialect = self.connection.dialect.name
        if dialect == "postgresql":
            self.connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
            return bool(rows(self.connection, f"SELECT pg_try_advisory_xact_lock({LOCK_KEY})")[0][0])
        if dialect == "mysql":
            return bool(rows(self.connection, f"SELECT GET_LOCK({MYSQL_LOCK}, 0)")[0][0] == 1)
        return True

    def check(self) -> None:
        """Throws when the connection, and with it the lock, is gone."""
        held = "SELECT 1"
        if self.connection.dialect.name == "mysql":
            held = f"SELECT IS_USED_LOCK({MYSQL_LOCK}) = connection_id()"
        if rows(self.connection, held)[0][0] != 1:
            raise Refused("AnotherRunner", "our lock on the database is gone; nothing further was begun")

    def close(self) -> None:
        self.connection.close()
