"""The warm runner: imports Airflow and inspects before anything is drained, then waits for orders, in files.

All talk is by small files in one folder (DOWNDRAFT_DIR), each written whole by a rename, so that it can be polled by
short reads through a dropped-and-made-again connection. src/inside/README.md lists the files.

1. The folder is claimed by a file lock, which dies with the process; a second runner ends with 3.
2. inspect.json is written; then all connections are closed: a waiting runner keeps no session on the database.
3. A file `look` makes it inspect once more: after the drain nobody writes, and what was counted before is old.
4. orders.json is carried out (carry.py), result.json written, and it waits again, until `stop` or until idle for long.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
import traceback
from typing import Any, NoReturn, cast

from downdraft.backup.programs import end_children
from downdraft.carry import carry_out, failure
from downdraft.environment import adopt_environment
from downdraft.image import warm_up
from downdraft.inspect.inspection import inspect_all
from downdraft.kinds import KINDS
from downdraft.log import say
from downdraft.messages.orders import Orders, Result
from downdraft.metadata import engine, version_tables
from downdraft.orders.folder import Authority, claim, path, remove, take, write
from downdraft.orders.guard import Guard
from downdraft.orders.progress import Progress
from downdraft.orders.work import Work
from downdraft.text import one_line

IDLE_SECONDS = float(os.environ.get("DOWNDRAFT_IDLE_SECONDS", "3600"))
POLL_SECONDS = 0.1


def inspect_or_end(confirmed: bool, mark: str | None = None) -> dict[str, Any]:
    """Writes inspect.json, with the mark of whoever asked for it, and answers the managers; on failure writes the
    error there and ends with 1."""
    begun = time.monotonic()
    try:
        import airflow  # noqa: F401

        imported = time.monotonic()
        told, managers = inspect_all(confirmed)
        told["look"] = mark
        told["seconds"] = {"import": imported - begun, "inspect": time.monotonic() - imported}
    except (Exception, SystemExit) as error:
        write("inspect.json", {"error": one_line(error)})
        say(f"inspection failed: {one_line(error)}")
        sys.exit(1)
    engine().dispose()
    write("inspect.json", told)
    say(f"inspected {told['database']['versionTables']} in {time.monotonic() - begun:.1f} s")
    return managers


def obey(orders: Orders, authority: Authority, managers: dict[str, Any], guard: Guard) -> None:
    """Carries out orders and writes result.json, whatever happens."""
    say(f"orders {orders['token']} of run {orders['run']}: {len(orders['steps'])} steps")
    remove("progress.json", "result.json")
    progress = Progress(authority, write, say, len(orders["steps"]))
    try:
        seconds, facts = carry_out(orders, Work(managers, guard, progress, authority))
        result: dict[str, Any] = {"ok": True, "seconds": seconds, "facts": facts}
    except (Exception, SystemExit) as error:
        # Frames only: a message may hold a row's values.
        say("".join(traceback.format_tb(error.__traceback__)))
        result = {"ok": False, "error": failure(error, progress)}
    guard.identity = None
    try:
        with engine().connect() as connection:
            result["versionTables"] = version_tables(connection)
    except Exception as error:
        result["versionTables"], result["versionTablesError"] = {}, one_line(error)
    engine().dispose()
    guard.close_what_is_left()
    signed = cast(Result, dict(result, **authority.signature()))
    write("result.json", signed)
    say(f"result: {json.dumps(result)}")


def end_on_sigterm() -> None:
    """Ends at once on SIGTERM, also inside a statement and as process 1, where the default action does not end it.

    Python's own handlers run only between bytecodes; the wake-up pipe is written at once. PostgreSQL rolls back.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.set_wakeup_fd(writing)

    def wait() -> None:
        while signal.SIGTERM not in os.read(reading, 64):
            continue
        end_children()
        os._exit(143)

    threading.Thread(target=wait, daemon=True).start()


def main() -> NoReturn:
    end_on_sigterm()
    owner = claim()  # noqa: F841 the lock lives as long as this file is open
    confirmed = adopt_environment()
    os.environ["PGAPPNAME"] = "downdraft-runner"
    os.environ.setdefault("PGCONNECT_TIMEOUT", "15")
    managers = inspect_or_end(confirmed)
    warm_up()
    guard, authority = Guard(engine()), Authority(KINDS)
    deadline = time.monotonic() + IDLE_SECONDS
    while time.monotonic() < deadline and not os.path.exists(path("stop")):
        if os.path.exists(path("look")):
            managers = inspect_or_end(confirmed, take("look"))
        orders = authority.next()
        if orders:
            obey(orders, authority, managers, guard)
            deadline = time.monotonic() + IDLE_SECONDS
        time.sleep(POLL_SECONDS)
    say(f"ends: {'stopped' if os.path.exists(path('stop')) else 'idle'}")
    remove("pid")
    # Other people's atexit functions and threads must not keep the pod, nor connect.
    sys.stdout.flush()
    os._exit(0)
