"""Carries out the steps of an order in this process (Airflow's slow start is paid once) and tells how far it is.

1. Our own lock is taken, so that a second runner on this database can't begin.
2. All steps are looked at before the first is begun: one that can't be done must not leave half of the others done.
3. Before each step: do the orders still hold (no newer token of another run, no stop), and is it still that database?
   Every connection that is opened from then on, also by Airflow and alembic, is asked for its identity first.
4. The step is what the command does: airflow.utils.db.downgrade, or the provider manager's own downgrade. What each
   kind does stands in kinds.py.
5. Afterwards the version table is read: only what stands there counts.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from downdraft.kinds import KINDS
from downdraft.messages.orders import Failure, Orders
from downdraft.metadata import engine
from downdraft.orders.guard import Lock
from downdraft.orders.progress import Progress
from downdraft.orders.work import Work
from downdraft.refused import Refused
from downdraft.text import one_line


def carry_out(orders: Orders, work: Work) -> tuple[list[float], list[dict[str, Any] | None]]:
    """Runs all steps; answers the seconds and the facts of each. Throws Refused, or what Airflow throws."""
    seconds, facts = [], []
    work.guard.identity = orders["identity"]
    work.progress.activity.ours = work.guard.numbers
    watch = Watch(work.progress)
    if not all(KINDS[order["kind"]].alone for order in orders["steps"]):
        watch.open_or_check()
    try:
        for index, order in enumerate(orders["steps"]):
            work.index = work.progress.state["step"] = index
            look_ahead = KINDS[order["kind"]].look_ahead
            if look_ahead:
                look_ahead(order, work)
        for index, order in enumerate(orders["steps"]):
            work.authority.check()
            work.index, begun, kind = index, time.monotonic(), KINDS[order["kind"]]
            if kind.alone:
                watch.close()
                engine().dispose()
                work.guard.close_what_is_left()
            else:
                watch.open_or_check()
            facts.append(kind.run(order, work))
            seconds.append(round(time.monotonic() - begun, 3))
    finally:
        work.progress.end()
        watch.close()
    return seconds, facts


class Watch:
    """Our lock on the database, and the thread that looks who keeps us waiting; there while steps are carried out."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.lock: Any = None

    def open_or_check(self) -> None:
        """Throws when the lock can't be had, or was lost."""
        if self.lock:
            self.lock.check()
            return
        watched = engine()
        self.lock, self.ended = Lock(watched), threading.Event()
        self.thread = threading.Thread(target=self.progress.watch, args=(watched, self.ended), daemon=True)
        self.thread.start()

    def close(self) -> None:
        if self.lock:
            self.ended.set()
            self.thread.join()
            self.lock.close()
            self.lock = None


def failure(error: BaseException, progress: Progress) -> Failure:
    """The `error` of result.json: what kind, one line, where."""
    kind, message = getattr(error, "kind", type(error).__name__), one_line(error)
    # PostgreSQL's 55P03, MySQL's 1205: on our own time-out, or on the 1.8 s that Airflow waits for its migration lock.
    timed_out = "lock timeout" in message.lower() or "lock wait timeout" in message.lower()
    if timed_out and not isinstance(error, Refused):
        by = "; ".join(progress.blocked_by) or "a session that was not seen"
        kind, message = "LockTimeout", f"{message}; kept waiting by {by}"
    return {"kind": kind, "message": message, "step": progress.state["step"], "revision": progress.state["revision"]}
