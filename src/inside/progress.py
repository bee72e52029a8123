"""How far the runner is, in progress.json: which step, which revision, who keeps it waiting.

Put between guard.py and steps.py.
"""
import logging
import threading
import time

HEARTBEAT_SECONDS = 5

# Who keeps our statements waiting, seen by a connection of its own.
BLOCKERS_SQL = """
SELECT DISTINCT b.pid, b.usename, b.application_name, b.state
FROM pg_stat_activity w CROSS JOIN LATERAL unnest(pg_blocking_pids(w.pid)) AS blocking(pid)
JOIN pg_stat_activity b ON b.pid = blocking.pid
WHERE w.application_name = 'downdraft-runner' AND w.datname = current_database() AND w.wait_event_type = 'Lock'
  AND b.application_name <> 'downdraft-runner'"""

# The same on MySQL and MariaDB, where {ours} are our own sessions' numbers: whether one waits, for whom by the locks
# held, and who else is on the database.
MYSQL_WAITING_SQL = """
SELECT 1 FROM information_schema.processlist
WHERE id IN ({ours}) AND (state LIKE 'Waiting for %lock' OR state = 'User lock')"""
MYSQL_BLOCKERS_SQL = """
SELECT DISTINCT b.processlist_id, b.processlist_user, b.processlist_host, lower(b.processlist_command)
FROM performance_schema.metadata_locks w
JOIN performance_schema.threads t ON t.thread_id = w.owner_thread_id
JOIN performance_schema.metadata_locks h ON h.object_type = w.object_type AND h.object_schema <=> w.object_schema
  AND h.object_name <=> w.object_name AND h.lock_status = 'GRANTED'
JOIN performance_schema.threads b ON b.thread_id = h.owner_thread_id
WHERE w.lock_status = 'PENDING' AND t.processlist_id IN ({ours}) AND b.processlist_id NOT IN ({ours})"""
MYSQL_OTHERS_SQL = """
SELECT id, user, host, lower(command) FROM information_schema.processlist
WHERE db = database() AND id NOT IN ({ours}) ORDER BY id LIMIT 20"""


class Progress:
    """Follows alembic's lines "Running downgrade a -> b, what a did" and keeps progress.json up to date.

    `done` counts the finished revisions of the step; the database is at `revision`, and that is being reversed, since
    `since`. It is a logging filter and no handler, for env.py up to 2.11 takes the handlers of alembic's loggers away.
    """

    LINE = re.compile(r"Running (?:down|up)grade (\S*) -> (\S*?)(?:, (.*))?$")

    def __init__(self, authority, write, say, steps):
        self.authority, self.write, self.say = authority, write, say
        self.state = {"step": 0, "steps": steps, "kind": "core", "done": 0, "of": 0, "revision": "", "message": ""}
        self.started, self.blocked_by, self.mutex = 0, [], threading.Lock()
        # Our own sessions, by Guard.
        self.numbers = set()
        self.logger = logging.getLogger("alembic.runtime.migration")

    def begin(self, step, kind, of, revision):
        """A step begins. A quiet image must not take alembic's lines away, which are INFO."""
        self.started = 0
        self.logger.setLevel(logging.INFO)
        self.logger.disabled = False
        self.logger.addFilter(self)
        self.tell(step=step, kind=kind, done=0, of=of, revision=revision, message="", since=time.time())

    def filter(self, record):
        """Called by logging for each of alembic's lines, before the revision is run; lets all pass."""
        match = self.LINE.match(record.getMessage())
        if match:
            revision, down, message = match.groups()
            self.started += 1
            self.say("%s -> %s: %s" % (revision, down, message))
            self.tell(done=self.started - 1, revision=revision, message=message or "", since=time.time())
        return True

    def finish(self, revision):
        """The step is done."""
        self.tell(done=self.state["of"], revision=revision, message="", since=time.time())

    def end(self):
        """Alembic's lines are not followed any longer."""
        self.logger.removeFilter(self)

    def tell(self, **changes):
        """Rewrites progress.json, under the newest token."""
        with self.mutex:
            self.state.update(changes)
            told = dict(self.state, **self.authority.signature(), at=time.time())
            if self.blocked_by:
                told["blockedBy"] = self.blocked_by
            self.write("progress.json", told)

    def watch(self, watched, ended):
        """Until `ended`: a sign of life every few seconds, and who keeps us waiting. Runs in a thread of its own."""
        last = time.monotonic()
        while not ended.wait(1):
            blocked_by = self.look_for_blockers(watched)
            if blocked_by != self.blocked_by or time.monotonic() - last > HEARTBEAT_SECONDS:
                # What was seen last stays known after the wait has timed out, for the error's sake.
                self.blocked_by, last = blocked_by or self.blocked_by, time.monotonic()
                self.tell()

    def look_for_blockers(self, watched):
        """Sessions that we wait for, as text. Not knowing them is no reason to stop."""
        try:
            with watched.connect() as connection:
                if watched.dialect.name == "mysql":
                    return self.mysql_blockers(connection)
                found = rows(connection, BLOCKERS_SQL) if watched.dialect.name == "postgresql" else []
                return ["pid %s, %s, %s, %s" % tuple(row) for row in found]
        except Exception as error:
            self.say("can't look for blocking sessions: %s" % one_line(error))
            return []

    def mysql_blockers(self, connection):
        """As look_for_blockers. Who holds a lock is told only with rights on performance_schema, where it is on."""
        ours = ", ".join(map(str, list(self.numbers)))
        if not rows(connection, MYSQL_WAITING_SQL.format(ours=ours)):
            return []
        found = []
        with contextlib.suppress(Exception):
            found = rows(connection, MYSQL_BLOCKERS_SQL.format(ours=ours))
        perhaps = "" if found else "perhaps "
        found = found or rows(connection, MYSQL_OTHERS_SQL.format(ours=ours))
        return ["%ssession %s, %s, %s, %s" % (perhaps, *row) for row in found]
