"""Carries out the steps of an order in this process (Airflow's slow start is paid once) and tells how far it is.

Put between guard.py and runner.py.

1. Our own lock is taken, so that a second runner on this database can't begin.
2. All steps are looked at before the first is begun: one that can't be done must not leave half of the others done.
3. Before each step: do the orders still hold (no newer token of another run, no stop), and is it still that database?
   Every connection that is opened from then on, also by Airflow and alembic, is asked for its identity first.
4. The step is what the command does: airflow.utils.db.downgrade, or the provider manager's own downgrade.
5. Afterwards the version table is read: only what stands there counts.
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


class Progress:
    """Follows alembic's lines "Running downgrade a -> b, what a did" and keeps progress.json up to date.

    `done` counts the finished revisions of the step; the database is at `revision`, and that is being reversed, since
    `since`. It is a logging filter and no handler, for env.py up to 2.11 takes the handlers of alembic's loggers away.
    """

    LINE = re.compile(r"Running downgrade (\S+) -> (\S*?)(?:, (.*))?$")

    def __init__(self, authority, write, say, steps):
        self.authority, self.write, self.say = authority, write, say
        self.state = {"step": 0, "steps": steps, "kind": "core", "done": 0, "of": 0, "revision": "", "message": ""}
        self.started, self.blocked_by, self.mutex = 0, [], threading.Lock()
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
        if watched.dialect.name != "postgresql":
            return []
        try:
            with watched.connect() as connection:
                return ["pid %s, %s, %s, %s" % tuple(row) for row in rows(connection, BLOCKERS_SQL)]
        except Exception as error:
            self.say("can't look for blocking sessions: %s" % one_line(error))
            return []


def carry_out(orders, authority, managers, guard, progress):
    """Runs all steps; answers the seconds that core and managers took. Throws Refused, or what Airflow throws."""
    seconds, ended = {"core": 0.0, "managers": 0.0}, threading.Event()
    watched = engine()
    guard.identity = orders["identity"]
    lock = Lock(watched)
    watcher = threading.Thread(target=progress.watch, args=(watched, ended), daemon=True)
    watcher.start()
    try:
        for index, step in enumerate(orders["steps"]):
            progress.state["step"] = index
            look_ahead(step, managers, guard)
        for index, step in enumerate(orders["steps"]):
            authority.check()
            lock.check()
            begun = time.monotonic()
            run_step(index, step, managers, guard, progress)
            seconds["core" if step["kind"] == "core" else "managers"] += time.monotonic() - begun
    finally:
        ended.set()
        watcher.join()
        progress.end()
        lock.close()
    return seconds


def look_ahead(step, managers, guard):
    """Manager class (None for core), version table, current revision and those to reverse; throws if it can't be done.

    Already at the target is done; else the target must be one exact, older revision of this image's chain.
    """
    cls = None
    if step["kind"] == "manager":
        cls = managers.get(step["class"])
        if cls is None:
            raise Refused("UnknownManager", "this image has no manager %s" % step["class"])
    table = cls.version_table_name if cls else "alembic_version"
    current = current_revision(guard, table)
    between = revisions_between(manager_scripts(cls) if cls else core_scripts(), current, step["toRevision"])
    if cls and between and not can_reverse(cls):
        raise Refused("CannotReverse", "%s has no downgrade; its schema must be taken back by hand" % class_path(cls))
    return cls, table, current, between


def run_step(index, step, managers, guard, progress):
    """One step, from where the database really is, and a look whether it is where it should be afterwards."""
    target = step["toRevision"]
    cls, table, current, between = look_ahead(step, managers, guard)
    progress.begin(index, step["kind"], len(between), current)
    if between and cls:
        reverse_manager(cls, target)
    elif between:
        from airflow.utils import db

        db.downgrade(to_revision=target)
    reached = current_revision(guard, table)
    if reached != target:
        raise Refused("NotAtTarget", "%s is at %s after the step, not at %s" % (table, reached, target))
    progress.finish(reached)


def current_revision(guard, table):
    """The one revision in a version table, read on a connection whose identity is checked."""
    with engine().connect() as connection:
        guard.check(read_identity(connection))
        found = version_tables(connection).get(table, [])
    if len(found) != 1:
        held = ", ".join(found) or "nothing"
        raise Refused("NoSingleRevision", "%s holds %s, not one revision; set it right first" % (table, held))
    return found[0]


def revisions_between(scripts, current, target):
    """The revisions to reverse, newest first. Alembic takes "base", "-1" or half an id, too; we take whole ids only."""
    from alembic.script.revision import RevisionError

    known = {link["revision"] for link in chain_of(scripts)}
    for name, revision in (("the database is at", current), ("the target is", target)):
        if revision not in known:
            raise Refused("UnknownRevision", "%s %s, which this image's scripts don't know" % (name, revision))
    if current == target:
        return []
    try:
        return [script.revision for script in scripts.iterate_revisions(current, target)]
    except RevisionError as error:
        raise Refused("NotAnAncestor", "%s does not lie below %s: %s" % (target, current, one_line(error)))


def reverse_manager(cls, target):
    """A provider manager's own downgrade. By position: FAB says to_revision, the base of 3.0 to_version."""
    from airflow import settings

    session = settings.Session()
    try:
        cls(session).downgrade(target)
        session.commit()
    finally:
        session.close()


def failure(error, progress):
    """The `error` of result.json: what kind, one line, where."""
    kind, message = getattr(error, "kind", type(error).__name__), one_line(error)
    # PostgreSQL's 55P03, MySQL's 1205: on our own time-out, or on the 1.8 s that Airflow waits for its migration lock.
    if "lock timeout" in message.lower() or "lock wait timeout" in message.lower():
        by = "; ".join(progress.blocked_by) or "a session that was not seen"
        kind, message = "LockTimeout", "%s; kept waiting by %s" % (message, by)
    return {"kind": kind, "message": message, "step": progress.state["step"], "revision": progress.state["revision"]}
