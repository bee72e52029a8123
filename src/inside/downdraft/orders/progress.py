"""How far the runner is, in progress.json: which step, which revision, what the server does, who keeps it waiting."""

from __future__ import annotations

import logging
import re
import threading
import time
from typing import Any, Callable

from downdraft.messages.kinds import StepKind
from downdraft.metadata import bounded
from downdraft.orders.activity import ASK_SECONDS, LOOK_SECONDS, Activity
from downdraft.orders.blockers import blockers_of
from downdraft.orders.folder import Authority
from downdraft.text import one_line

HEARTBEAT_SECONDS = 5


class Progress:
    """Follows alembic's lines "Running downgrade a -> b, what a did" and keeps progress.json up to date.

    `done` counts the finished revisions of the step; the database is at `revision`, and that is being reversed, since
    `since`. It is a logging filter and no handler, for env.py up to 2.11 takes the handlers of alembic's loggers away.
    """

    LINE = re.compile(r"Running (?:down|up)grade (\S*) -> (\S*?)(?:, (.*))?$")

    def __init__(
        self,
        authority: Authority,
        write: Callable[[str, object], None],
        say: Callable[[str], None],
        steps: int,
    ) -> None:
        self.authority, self.write, self.say = authority, write, say
        self.state: dict[str, Any] = {
            "step": 0,
            "steps": steps,
            "kind": "core",
            "done": 0,
            "of": 0,
            "revision": "",
            "message": "",
        }
        self.started, self.mutex = 0, threading.Lock()
        self.blocked_by: list[str] = []
        self.activity = Activity()
        self.logger = logging.getLogger("alembic.runtime.migration")

    def begin(self, step: int, kind: StepKind, of: int, revision: str) -> None:
        """A step begins. A quiet image must not take alembic's lines away, which are INFO."""
        self.started = 0
        self.logger.setLevel(logging.INFO)
        self.logger.disabled = False
        self.logger.addFilter(self)
        self.activity.begin()
        begun = time.time()
        self.tell(step=step, kind=kind, done=0, of=of, revision=revision, message="", since=begun, begun=begun)

    def filter(self, record: logging.LogRecord) -> bool:
        """Called by logging for each of alembic's lines, in the revision's transaction, before its script; lets all
        pass.

        Orders that don't hold any more end the work here: between two revisions nothing is half done.
        """
        match = self.LINE.match(record.getMessage())
        if match:
            revision, down, message = match.groups()
            self.state["revision"] = revision
            self.authority.check()
            self.activity.revision()
            self.started += 1
            self.say(f"{revision} -> {down}: {message}")
            self.tell(done=self.started - 1, revision=revision, message=message or "", since=time.time())
        return True

    def finish(self, revision: str) -> None:
        """The step is done."""
        self.tell(done=self.state["of"], revision=revision, message="", since=time.time())

    def end(self) -> None:
        """Alembic's lines are not followed any longer."""
        self.logger.removeFilter(self)

    def tell(self, **changes: Any) -> None:
        """Rewrites progress.json, under the newest token."""
        with self.mutex:
            self.state.update(changes)
            told = dict(self.state, **self.authority.signature(), at=time.time())
            if self.blocked_by:
                told["blockedBy"] = self.blocked_by
            server, newer = self.activity.told(), self.authority.newer()
            told.update({key: value for key, value in (("server", server), ("newer", newer)) if value})
            self.write("progress.json", told)

    def watch(self, watched: Any, ended: threading.Event) -> None:
        """Until `ended`: a sign of life every few seconds, and what the server does. Runs in a thread of its own."""
        last = looked = time.monotonic()
        while not ended.wait(1):
            due = time.monotonic() - looked >= LOOK_SECONDS
            looked = time.monotonic() if due else looked
            blocked_by = self.look(watched, due)
            if due or blocked_by != self.blocked_by or time.monotonic() - last > HEARTBEAT_SECONDS:
                # What was seen last stays known after the wait has timed out, for the error's sake.
                self.blocked_by, last = blocked_by or self.blocked_by, time.monotonic()
                self.tell()

    def look(self, watched: Any, due: bool) -> list[str]:
        """Sessions that we wait for, as text; with `due` also what the server does. Not knowing is no reason to
        stop."""
        try:
            with watched.connect() as connection, connection.begin():
                with bounded(connection, ASK_SECONDS):
                    found = blockers_of(connection, list(self.activity.ours))
                if due:
                    self.activity.look(connection)
                return found
        except Exception as error:
            self.say(f"can't look at the server: {one_line(error)}")
            self.activity.enter("unknown", time.monotonic(), one_line(error))
            return []
