"""Reverse scripts that MySQL and MariaDB can't roll back: which one was ended in its middle, and where."""

from __future__ import annotations

import contextlib
import os
import re
from typing import Any

from downdraft.metadata import rows, version_tables
from downdraft.orders.guard import LOCK_TIMEOUT_SECONDS
from downdraft.refused import Refused
from downdraft.text import one_line

# Whether a reverse script is half done on MySQL, which commits every change of a table by itself.
UNFINISHED = "downdraft_unfinished"
UNFINISHED_SQL = f"""CREATE TABLE IF NOT EXISTS {UNFINISHED} (
    id int PRIMARY KEY, revision varchar(64) NOT NULL, done int NOT NULL, statement varchar(200) NOT NULL,
    since timestamp NOT NULL)"""
REMEMBER_SQL = f"REPLACE INTO {UNFINISHED} VALUES (1, :revision, :done, :statement, now())"

# How long a script that is half done waits for a lock: giving up would leave the half.
HALF_WAY_SECONDS = int(os.environ.get("DOWNDRAFT_HALF_WAY_LOCK_TIMEOUT_SECONDS", "3600"))

READS = re.compile(r"\s*(SELECT|SHOW|SET|DESC|DESCRIBE|EXPLAIN|USE|SAVEPOINT|RELEASE|ROLLBACK)\b", re.IGNORECASE)
CHANGES_TABLE = re.compile(r"\s*(ALTER|CREATE|DROP|RENAME|TRUNCATE)\b", re.IGNORECASE)
ENDS_REVISION = re.compile(r"\s*(UPDATE|INSERT INTO|DELETE FROM) alembic_version", re.IGNORECASE)


class Unfinished:
    """While reverse scripts run on MySQL: keeps in the database itself that one is half done. Elsewhere nothing.

    A script that was ended in its middle there can't be run again: it stops at what it has done before, or converts
    rows twice. So a row of ours is written before a revision's first change, and deleted in the transaction that
    changes the version table. Where it is found, nothing is run (refuse_half_reversed).
    """

    def __init__(self, watched: Any, table: str) -> None:
        self.watched, self.table, self.needed = watched, table, watched.dialect.name == "mysql"
        self.revision, self.done, self.statement = "", 0, ""

    def __enter__(self) -> None:
        if self.needed:
            self.by_own_connection(UNFINISHED_SQL)
            self.listen("listen")

    def __exit__(self, _kind: Any, error: BaseException | None, _trace: Any) -> None:
        if not self.needed:
            return
        self.listen("remove")
        if error is None or self.done == 0:
            # What made the script fail may keep us from this, too; then it is found, which is the safe side.
            with contextlib.suppress(Exception) if error else contextlib.nullcontext():
                self.by_own_connection("DROP TABLE " + UNFINISHED)
            return
        told = half_reversed(self.revision, self.done, self.statement)
        raise Refused("HalfReversed", f"{one_line(error)[:150]}; {told}") from error

    def listen(self, how: str) -> None:
        from sqlalchemy import event

        for name in ("before_cursor_execute", "after_cursor_execute"):
            getattr(event, how)(self.watched, name, getattr(self, name))

    def by_own_connection(self, sql: str, **parameters: Any) -> None:
        """So that it is there whatever becomes of the script's own transaction."""
        from sqlalchemy import text

        with self.watched.connect() as connection, connection.begin():
            connection.execute(text(sql), parameters)

    def before_cursor_execute(self, connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if READS.match(statement) or UNFINISHED in statement:
            return
        self.statement = " ".join(statement.split())[:120]
        if ENDS_REVISION.match(statement):
            cursor.execute("DELETE FROM " + UNFINISHED)
            wait_for_locks(connection, LOCK_TIMEOUT_SECONDS)
        elif self.done == 0 or CHANGES_TABLE.match(statement):
            if self.done == 0:
                with self.watched.connect() as own:
                    self.revision = ", ".join(version_tables(own).get(self.table, []))
            told = {"revision": self.revision, "done": self.done, "statement": self.statement}
            self.by_own_connection(REMEMBER_SQL, **told)

    def after_cursor_execute(self, connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if READS.match(statement) or UNFINISHED in statement:
            return
        self.done = 0 if ENDS_REVISION.match(statement) else self.done + 1
        if self.done == 1:
            wait_for_locks(connection, HALF_WAY_SECONDS)


def wait_for_locks(connection: Any, seconds: int) -> None:
    """From now on this MySQL connection waits so long for a lock, on a table or on rows."""
    cursor = connection.connection.cursor()
    cursor.execute(f"SET SESSION lock_wait_timeout = {seconds}, innodb_lock_wait_timeout = {seconds}")
    cursor.close()


def half_reversed(revision: str, done: int, statement: str) -> str:
    """What a script that was ended in its middle has left, for a person."""
    return (
        f"the reverse script of {revision} is half done: {done} statements, and perhaps this: {statement}."
        " MySQL can't take them back, and"
        " running the script again would fail or spoil rows: restore the backup that was made before, or finish the"
        f" schema by hand; then DROP TABLE {UNFINISHED} if it is still there"
    )


def refuse_half_reversed(connection: Any) -> None:
    """Throws Refused where a reverse script was ended in its middle (Unfinished)."""
    from sqlalchemy import inspect

    if connection.dialect.name == "mysql" and inspect(connection).has_table(UNFINISHED):
        for left in rows(connection, "SELECT revision, done, statement FROM " + UNFINISHED):
            raise Refused("HalfReversed", half_reversed(*left))
