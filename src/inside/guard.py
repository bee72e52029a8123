"""What stands between an order and the database: our lock, the database's identity, a bounded wait for locks.

Put between inspection.py and steps.py.
"""
import time

# "downdraf" in ASCII, as PostgreSQL's bigint. Taken as a transaction's lock in an open transaction: a pooler between
# us and the server keeps such a lock on one server connection, which it doesn't promise for a session's.
LOCK_KEY = 0x646F776E64726166
LOCK_PATIENCE_SECONDS = 5
LOCK_TIMEOUT_SECONDS = int(os.environ.get("DOWNDRAFT_LOCK_TIMEOUT_SECONDS", "30"))


class Refused(Exception):
    """A step that is not, or not wholly, done; `kind` is for machines, the message for people."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind


class Guard:
    """What every new connection must meet while orders are carried out: one database, a bounded wait for locks."""

    def __init__(self, watched):
        from sqlalchemy import event

        self.identity, self.opened = None, []
        self.seconds = LOCK_TIMEOUT_SECONDS
        self.dialect = watched.dialect.name
        event.listen(watched, "connect", self.on_connect)
        event.listen(watched, "begin", self.on_begin)

    def on_connect(self, connection, _record):
        """A plain DB-API connection was opened."""
        self.opened.append(connection)
        if self.identity is None:
            return
        cursor = connection.cursor()

        def first_row(sql):
            cursor.execute(sql)
            return cursor.fetchone()

        seen = identity_by(first_row, self.dialect)
        if self.dialect == "mysql":
            cursor.execute("SET SESSION lock_wait_timeout = %d" % self.seconds)
        cursor.close()
        connection.rollback()
        self.check(seen)

    def on_begin(self, connection):
        """A transaction begins; alembic opens one per revision. For the transaction only, so a pooler can't leak it."""
        if self.dialect == "postgresql" and self.identity is not None:
            connection.exec_driver_sql("SET LOCAL lock_timeout = '%ds'" % self.seconds)

    def close_what_is_left(self):
        """Closes connections that Airflow took and never gave back: to 3.1 it leaves one in a transaction.

        A command's end hides that; here it would keep a session on a database that is about to be copied.
        """
        opened, self.opened = self.opened, []
        for connection in opened:
            # Some drivers throw when it is closed already, which is what we want.
            with contextlib.suppress(Exception):
                connection.close()

    def check(self, seen):
        """Throws Refused when `seen` is not the database of the orders."""
        if seen != self.identity:
            told = "this connection leads to %s, the orders are for %s" % (seen, self.identity)
            raise Refused("IdentityChanged", told + "; nothing was done on it")


class Lock:
    """Our own lock on the database, on a connection of its own."""

    def __init__(self, watched):
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

    def take(self):
        """Whether the lock is ours now. SQLite has none and needs none: one process can write it."""
        dialect = self.connection.dialect.name
        if dialect == "postgresql":
            self.connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")
            return rows(self.connection, "SELECT pg_try_advisory_xact_lock(%d)" % LOCK_KEY)[0][0]
        if dialect == "mysql":
            return rows(self.connection, "SELECT GET_LOCK('downdraft', 0)")[0][0] == 1
        return True

    def check(self):
        """Throws when the connection, and with it the lock, is gone."""
        rows(self.connection, "SELECT 1")

    def close(self):
        self.connection.close()
