"""Carries out the steps of an order in this process (Airflow's slow start is paid once) and tells how far it is.

Put between guard.py and runner.py.

1. Our own lock is taken, so that a second runner on this database can't begin.
2. All steps are looked at before the first is begun: one that can't be done must not leave half of the others done.
3. Before each step: do the orders still hold (no newer token of another run, no stop), and is it still that database?
   Every connection that is opened from then on, also by Airflow and alembic, is asked for its identity first.
4. The step is what the command does: airflow.utils.db.downgrade, or the provider manager's own downgrade. Other kinds
   of steps stand in files of their own, after this one, and register themselves by `step`.
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


# Kinds of steps by name; core and manager are registered below, the others by the files that come after this one.
KINDS = {}


def step(kind, look_ahead=None, alone=False):
    """Registers a kind of step: a function of its order and the Work, which answers facts for result.json, or None.

    `look_ahead` throws Refused before any step of the orders begins. `alone`: no session of ours is on the database
    while it runs, neither lock nor watcher.
    """

    def register(run):
        KINDS[kind] = {"run": run, "look_ahead": look_ahead, "alone": alone}
        return run

    return register


class Work:
    """What a step works with; `index` is its place in the orders."""

    def __init__(self, managers, guard, progress, authority):
        self.managers, self.guard, self.progress, self.authority = managers, guard, progress, authority
        self.index = 0


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


def carry_out(orders, work):
    """Runs all steps; answers the seconds and the facts of each. Throws Refused, or what Airflow throws."""
    seconds, facts = [], []
    work.guard.identity = orders["identity"]
    watch = Watch(work.progress)
    if not all(KINDS[order["kind"]]["alone"] for order in orders["steps"]):
        watch.open_or_check()
    try:
        for index, order in enumerate(orders["steps"]):
            work.index = work.progress.state["step"] = index
            look_ahead = KINDS[order["kind"]]["look_ahead"]
            if look_ahead:
                look_ahead(order, work)
        for index, order in enumerate(orders["steps"]):
            work.authority.check()
            work.index, begun, kind = index, time.monotonic(), KINDS[order["kind"]]
            if kind["alone"]:
                watch.close()
                engine().dispose()
                work.guard.close_what_is_left()
            else:
                watch.open_or_check()
            facts.append(kind["run"](order, work))
            seconds.append(round(time.monotonic() - begun, 3))
    finally:
        work.progress.end()
        watch.close()
    return seconds, facts


class Watch:
    """Our lock on the database, and the thread that looks who keeps us waiting; there while steps are carried out."""

    def __init__(self, progress):
        self.progress, self.lock = progress, None

    def open_or_check(self):
        """Throws when the lock can't be had, or was lost."""
        if self.lock:
            return self.lock.check()
        watched = engine()
        self.lock, self.ended = Lock(watched), threading.Event()
        self.thread = threading.Thread(target=self.progress.watch, args=(watched, self.ended), daemon=True)
        self.thread.start()

    def close(self):
        if self.lock:
            self.ended.set()
            self.thread.join()
            self.lock.close()
            self.lock = None


def look_at_chain(order, work):
    """Manager class (None for core), version table, current revision and those to reverse; throws if it can't be done.

    Already at the target is done; else the target must be one exact, older revision of this image's chain.
    """
    cls = None
    if order["kind"] == "manager":
        cls = work.managers.get(order["class"])
        if cls is None:
            raise Refused("UnknownManager", "this image has no manager %s" % order["class"])
    table = cls.version_table_name if cls else "alembic_version"
    current = current_revision(work.guard, table)
    between = revisions_between(manager_scripts(cls) if cls else core_scripts(), current, order["toRevision"])
    if cls and between and not can_reverse(cls):
        raise Refused("CannotReverse", "%s has no downgrade; its schema must be taken back by hand" % class_path(cls))
    return cls, table, current, between


@step("core", look_ahead=look_at_chain)
@step("manager", look_ahead=look_at_chain)
def reverse_schema(order, work):
    """From where the database really is down to the order's revision, and a look whether it is there afterwards."""
    target = order["toRevision"]
    cls, table, current, between = look_at_chain(order, work)
    work.progress.begin(work.index, order["kind"], len(between), current)
    if between and cls:
        reverse_manager(cls, target)
    elif between:
        from airflow.utils import db

        db.downgrade(to_revision=target)
    reached = current_revision(work.guard, table)
    if reached != target:
        raise Refused("NotAtTarget", "%s is at %s after the step, not at %s" % (table, reached, target))
    work.progress.finish(reached)


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
