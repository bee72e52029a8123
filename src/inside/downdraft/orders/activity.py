"""What the server does for us while a step runs: a long step is told from a stuck one by what moves.

Looked at by a connection of its own, which changes nothing and ends nobody.

- waiting: one of our statements waits for a lock.
- working: something of ours moved in the last QUIET_SECONDS. That is: a statement of ours was on the processor, waited
  for something else, or another one began; the database's size or a pg_stat_progress view changed; on MySQL the
  server's counts grew; or this process itself used its processor.
- still: nothing of ours moved for so long, and no lock is waited for.
- unknown: the server could not be asked, or answers nothing about it; `why` says so.

pg_stat_database is no evidence: it counts a statement only after its transaction (seen on PostgreSQL 18), and our own
looks at once. WAL belongs to the whole server: it is told, and proves nothing. Every number is asked for by itself;
where this role may not see one it is missing.
"""

from __future__ import annotations

import os
import time
from typing import Any

from downdraft.metadata import IS_MARIADB, bounded, rows
from downdraft.orders.blockers import MYSQL_WAITING_SQL, first_words
from downdraft.text import one_line

LOOK_SECONDS = float(os.environ.get("DOWNDRAFT_LOOK_SECONDS", "3"))
ASK_SECONDS = 10
QUIET_SECONDS = float(os.environ.get("DOWNDRAFT_QUIET_SECONDS", "60"))

# More of this process' own time than its looks at the server take.
BUSY_SHARE = 0.3

OUR_SESSIONS_SQL = """
SELECT pid, state, wait_event_type, wait_event, query_start, extract(epoch FROM clock_timestamp() - query_start), query
FROM pg_stat_activity
WHERE application_name = 'downdraft-runner' AND datname = current_database() AND pid <> pg_backend_pid()
  AND state IN ('active', 'idle in transaction')
ORDER BY state = 'active' DESC, query_start"""

# What moves, by name. Each is one statement with one number.
PG_NUMBERS = {
    "databaseBytes": "SELECT pg_database_size(current_database())",
    "wal": "SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn",
    "locksNotGranted": "SELECT count(*) FROM pg_locks WHERE NOT granted"
    " AND database = (SELECT oid FROM pg_database WHERE datname = current_database())",
}

# What is done and how much of it, in percent; null where the server tells no whole.
PG_PARTS = (
    """SELECT 'an index of ' || relid::regclass || ' (' || phase || ')',
      100.0 * CASE WHEN tuples_total > 0 THEN tuples_done ELSE blocks_done END
        / nullif(CASE WHEN tuples_total > 0 THEN tuples_total ELSE blocks_total END, 0)
    FROM pg_stat_progress_create_index WHERE datname = current_database()""",
    """SELECT lower(command) || ' of ' || relid::regclass || ' (' || phase || ')',
      100.0 * heap_blks_scanned / nullif(heap_blks_total, 0)
    FROM pg_stat_progress_cluster WHERE datname = current_database()""",
    """SELECT 'copy of ' || relid::regclass, 100.0 * bytes_processed / nullif(bytes_total, 0)
    FROM pg_stat_progress_copy WHERE datname = current_database()""",
)

# Of others' connections an ordinary role sees the row and no more: then the lag is null.
PG_REPLICAS = """SELECT coalesce(application_name, ''), pg_wal_lsn_diff(pg_current_wal_lsn(), replay_lsn)
FROM pg_stat_replication ORDER BY 1 LIMIT 10"""
PG_SLOTS = """SELECT slot_name, active, pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)
FROM pg_replication_slots WHERE restart_lsn IS NOT NULL ORDER BY 1 LIMIT 10"""

MYSQL_SESSIONS_SQL = """
SELECT id, command, state, time, info, {progress} FROM information_schema.processlist
WHERE id IN ({ours}) AND id <> connection_id() AND command <> 'Sleep' ORDER BY time DESC"""
# MariaDB tells how far an ALTER TABLE is; MySQL does where the consumer of its stages is on and may be read.
MARIADB_PROGRESS = "CASE WHEN max_stage > 0 THEN ((stage - 1) * 100 + progress) / max_stage END"
MYSQL_STAGES_SQL = """
SELECT replace(s.event_name, 'stage/', ''), 100 * s.work_completed / nullif(s.work_estimated, 0)
FROM performance_schema.events_stages_current s JOIN performance_schema.threads t USING (thread_id)
WHERE t.processlist_id IN ({ours}) AND s.work_estimated > 0"""
MYSQL_STATUS_SQL = """SHOW GLOBAL STATUS WHERE variable_name IN ('Innodb_rows_read', 'Innodb_rows_inserted',
 'Innodb_rows_updated', 'Innodb_rows_deleted', 'Innodb_data_written', 'Innodb_os_log_written')"""
# What a look itself may add to these between two looks: the list of processes is a table of InnoDB's for a moment.
MYSQL_OWN = {"rows": 1000, "log": 0, "written": 1024 * 1024}


def number_of(connection, sql):
    """The one number of a statement; None where it can't be had, which costs nothing but itself."""
    found = some_rows(connection, sql)
    return int(found[0][0]) if found and found[0][0] is not None else None


def some_rows(connection, sql):
    """Rows of a statement that this server or this role may not know."""
    try:
        with connection.begin_nested():
            return [tuple(row) for row in rows(connection, sql)]
    except Exception:
        return []


def first_part(connection, queries):
    """What is being done, and how much of it in percent or None; None where the server tells of nothing."""
    for sql in queries:
        for what, percent in some_rows(connection, sql):
            return {"what": what, "percent": None if percent is None else round(min(float(percent), 100.0), 1)}
    return None


def look_at_postgres(connection, _ours):
    """What is to be seen now: `waits`, `evidence` (another one when something moved), `counts`, `told` for people."""
    sessions = rows(connection, OUR_SESSIONS_SQL)
    numbers = {name: number_of(connection, sql) for name, sql in PG_NUMBERS.items()}
    part = first_part(connection, PG_PARTS)
    active = [row for row in sessions if row[1] == "active"]
    lag = [
        {"name": name, "bytes": None if size is None else int(size)}
        for name, size in some_rows(connection, PG_REPLICAS)
    ]
    slots = [
        {"name": name, "active": active, "bytes": int(size)} for name, active, size in some_rows(connection, PG_SLOTS)
    ]
    events = sorted({"/".join(filter(None, row[2:4])) or "processor" for row in active})
    told = {"events": events, "locksNotGranted": numbers["locksNotGranted"], "replicas": lag, "slots": slots}
    if active:
        told.update(pid=active[0][0], statement=first_words(active[0][6]), statementSeconds=round(float(active[0][5])))
    moving = [numbers["databaseBytes"], part, [(row[0], row[4]) for row in sessions]]
    return {
        "waits": any(row[2] == "Lock" for row in active),
        "runs": any(row[2] is None for row in active),
        "evidence": (moving, events),
        "counts": {},
        "numbers": {name: numbers[name] for name in ("wal", "databaseBytes")},
        "part": part,
        "told": told,
        "why": "" if sessions else "none of our sessions is to be seen (application_name is not downdraft-runner?)",
    }


def look_at_mysql(connection, ours):
    """As look_at_postgres. The rows and bytes are those of the whole server: MySQL counts them for no database."""
    ours = ", ".join(map(str, ours))
    mariadb = rows(connection, IS_MARIADB)[0][0]
    sessions = rows(connection, MYSQL_SESSIONS_SQL.format(ours=ours, progress=MARIADB_PROGRESS if mariadb else "NULL"))
    part = None if mariadb else first_part(connection, [MYSQL_STAGES_SQL.format(ours=ours)])
    for row in sessions:
        if row[5] is not None:
            part = {"what": str(row[2]), "percent": round(float(row[5]), 1)}
    status = {name.lower(): int(value) for name, value in some_rows(connection, MYSQL_STATUS_SQL)}
    waits = bool(rows(connection, MYSQL_WAITING_SQL.format(ours=ours)))
    told: dict[str, Any] = {"events": sorted({str(row[2] or row[1]).lower() for row in sessions})}
    if sessions:
        told.update(statement=first_words(sessions[0][4]), statementSeconds=int(sessions[0][3]))
    return {
        "waits": waits,
        "runs": False,
        "evidence": (part, [(row[0], row[2], row[4]) for row in sessions]),
        "counts": {
            "rows": sum(status.get(name, 0) for name in status if name.startswith("innodb_rows_")),
            "log": status.get("innodb_os_log_written", 0),
            "written": status.get("innodb_data_written", 0),
        },
        "numbers": {"wal": status.get("innodb_os_log_written"), "databaseBytes": None},
        "part": part,
        "told": told,
        "why": "",
    }


LOOKS = {"postgresql": look_at_postgres, "mysql": look_at_mysql}


class Activity:
    """Follows what the server does, by `look` every few seconds; `told` is the part `server` of progress.json."""

    def __init__(self):
        # Our own sessions' numbers on MySQL, by Guard.
        self.ours = set()
        self.begin()

    def begin(self):
        """A step begins; what was seen before it counts no longer."""
        now = time.monotonic()
        self.state, self.since, self.moved, self.processor = None, now, now, time.process_time()
        self.evidence, self.counts, self.seen, self.why = None, {}, {}, ""
        self.revision()

    def revision(self):
        """Another revision begins: its numbers start from here, and that is a movement."""
        self.moved, self.first, self.part = time.monotonic(), None, None

    def look(self, connection):
        """Looks once. Not being able to is an answer, too."""
        if connection.dialect.name not in LOOKS:
            return
        now, processor = time.monotonic(), time.process_time()
        elapsed, self.looked = now - getattr(self, "looked", now), now
        busy, self.processor = processor - self.processor > BUSY_SHARE * max(elapsed, 1), processor
        try:
            with bounded(connection, ASK_SECONDS):
                seen = LOOKS[connection.dialect.name](connection, list(self.ours))
        except Exception as error:
            return self.enter("unknown", now, one_line(error))
        if busy or seen["runs"] or seen["evidence"] != self.evidence or self.grew(seen["counts"]):
            self.moved = now
        self.evidence, self.counts, self.seen = seen["evidence"], seen["counts"], seen
        if self.first is None:
            self.first = seen["numbers"]
        self.follow_part(seen["part"], now)
        if seen["why"]:
            return self.enter("unknown", now, seen["why"])
        state = "working" if now - self.moved < QUIET_SECONDS else "still"
        return self.enter("waiting" if seen["waits"] else state, now)

    def grew(self, counts):
        """Whether a count grew by more than our own looking makes of it."""
        return any(count - self.counts.get(name, count) > MYSQL_OWN[name] for name, count in counts.items())

    def enter(self, state, now, why=""):
        if state != self.state:
            self.state, self.since = state, now
        self.why = why

    def follow_part(self, part, now):
        """Keeps where a part with a known whole was first seen: its pace follows from that."""
        if part is None or part["percent"] is None:
            self.part = None
        elif self.part is None or self.part[0] != part["what"] or part["percent"] < self.part[1]:
            self.part = (part["what"], part["percent"], now)

    def told(self):
        """The part `server`; None before the first look, and on a kind of server that is not looked at."""
        if self.state is None:
            return None
        now, seen = time.monotonic(), self.seen
        told = {"state": self.state, "seconds": round(now - self.since), "quietSeconds": round(now - self.moved)}
        if self.state == "unknown":
            return dict(told, why=self.why)
        told.update(seen["told"])
        first = self.first or seen["numbers"]
        for name, number in seen["numbers"].items():
            if number is not None and first[name] is not None:
                told[name] = number - first[name]
        if seen["part"]:
            told["part"] = dict(seen["part"], **self.remaining(seen["part"], now))
        return told

    def remaining(self, part, now):
        """`remainingSeconds` by the pace so far; nothing while that is not known."""
        if self.part is None or part["percent"] is None:
            return {}
        _, percent, since = self.part
        done, left = part["percent"] - percent, 100 - part["percent"]
        return {"remainingSeconds": round(left / done * (now - since))} if done >= 2 else {}
