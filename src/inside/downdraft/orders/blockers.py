"""Who keeps our statements waiting for a lock, as text for people."""

from __future__ import annotations

import contextlib
import re
from typing import Any, Iterable

from downdraft.metadata import rows

# Pid 0 of pg_blocking_pids is a prepared transaction. Of another role's session only a superuser or a member of
# pg_read_all_stats sees state, times and query.
BLOCKERS_SQL = """
SELECT DISTINCT blocking.pid, b.usename, b.application_name, b.state,
  to_char(b.xact_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI'), b.query
FROM pg_stat_activity w CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS blocking(pid)
LEFT JOIN pg_stat_activity b ON b.pid = blocking.pid
WHERE w.application_name = 'downdraft-runner' AND w.datname = current_database() AND w.wait_event_type = 'Lock'
  AND (blocking.pid = 0 OR b.application_name <> 'downdraft-runner') ORDER BY 1"""

# The same on MySQL and MariaDB, where {ours} are our own sessions' numbers: whether one waits, for whom by the locks
# held, and who else is on the database.
MYSQL_WAITING_SQL = """
SELECT 1 FROM information_schema.processlist
WHERE id IN ({ours}) AND (state LIKE 'Waiting for %lock' OR state = 'User lock')"""
MYSQL_BLOCKERS_SQL = """
SELECT DISTINCT b.processlist_id, b.processlist_user, b.processlist_host, lower(b.processlist_command),
  b.processlist_time, b.processlist_info
FROM performance_schema.metadata_locks w
JOIN performance_schema.threads t ON t.thread_id = w.owner_thread_id
JOIN performance_schema.metadata_locks h ON h.object_type = w.object_type AND h.object_schema <=> w.object_schema
  AND h.object_name <=> w.object_name AND h.lock_status = 'GRANTED'
JOIN performance_schema.threads b ON b.thread_id = h.owner_thread_id
WHERE w.lock_status = 'PENDING' AND t.processlist_id IN ({ours}) AND b.processlist_id NOT IN ({ours})"""
MYSQL_OTHERS_SQL = """
SELECT id, user, host, lower(command), time, info FROM information_schema.processlist
WHERE db = database() AND id NOT IN ({ours}) ORDER BY id LIMIT 20"""

# A value of a statement begins with one of these at the earliest, if it is not a number; so does a comment.
FIRST_VALUE = re.compile(r"""['"$#]|--|/\*""")
WORDS_SHOWN = 80


def first_words(statement: str | None) -> str:
    """A statement's beginning without values: it ends at the first quote, and numbers are left out."""
    words = re.sub(r"\b\d[\w.]*", "?", FIRST_VALUE.split(statement or "", maxsplit=1)[0])
    return " ".join(words.split())[:WORDS_SHOWN]


def blockers_of(connection: Any, ours: Iterable[int]) -> list[str]:
    """Sessions that we wait for, one text each, the same as long as they do the same."""
    dialect = connection.dialect.name
    if dialect == "mysql":
        return mysql_blockers(connection, ", ".join(map(str, ours)))
    return [blocker_in_words(*row) for row in rows(connection, BLOCKERS_SQL)] if dialect == "postgresql" else []


def blocker_in_words(
    pid: int, user: str | None, application: str | None, state: str | None, since: str | None, query: str | None
) -> str:
    if pid == 0:
        return "a prepared transaction (pg_prepared_xacts names it)"
    told = f"pid {pid}, {user}, {application}, {state or 'in a state that this role may not see'}"
    told += f", transaction since {since} UTC" if since else ""
    words = first_words(query) if state else ""
    return told + (", last statement: " + words if words else "")


def mysql_blockers(connection: Any, ours: str) -> list[str]:
    """As blockers_of. Who holds a lock is told only with rights on performance_schema, where it is on."""
    if not rows(connection, MYSQL_WAITING_SQL.format(ours=ours)):
        return []
    found = []
    with contextlib.suppress(Exception):
        found = rows(connection, MYSQL_BLOCKERS_SQL.format(ours=ours))
    perhaps = "" if found else "perhaps "
    found = found or rows(connection, MYSQL_OTHERS_SQL.format(ours=ours))
    return [perhaps + mysql_blocker_in_words(*row) for row in found]


def mysql_blocker_in_words(
    number: int, user: str, host: str, command: str, seconds: int | None, info: str | None
) -> str:
    # In steps that double, so that the text is not another one with every look.
    since = next((step for step in (3600, 1800, 600, 300, 60) if (seconds or 0) >= step), 0)
    told = f"session {number}, {user}, {host}, {command}"
    told += f" for more than {since // 60} min" if since else ""
    return told + (", statement: " + first_words(info) if info else "")
