"""How a program that is run by exec beside an Airflow answers: one line of its own, in a bounded time.

Exit 0, or another with `error` and `kind`; ends by itself after DOWNDRAFT_ASK_SECONDS.

1. The environment of the Airflow that runs here is taken, for an entry point may have added to the container's.
2. Only as much of Airflow is set up as makes its engine: on 3.x in half the time of a whole `import airflow`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from typing import Any, Callable, NoReturn

from downdraft.environment import adopt
from downdraft.image import airflow_version
from downdraft.metadata import engine
from downdraft.text import one_line

SECONDS = float(os.environ.get("DOWNDRAFT_ASK_SECONDS", "20"))

# What airflow.settings.initialize() of 3.x does up to the engine, in its order; without logging, policy plugins, masks.
RESOLVING = (
    "configure_vars",
    "prepare_syspath_for_config_and_plugins",
    "configure_policy_plugin_manager",
    "import_local_settings",
    "configure_orm",
)


class Answer:
    """The one line that is printed, by whoever comes first: the main thread or the clock."""

    def __init__(self, mark: str) -> None:
        self.mark, self.first = mark, threading.Lock()
        # Airflow, its plugins and local settings may print, and a command of the configuration may wait for input.
        self.out = os.dup(1)
        os.dup2(2, 1)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)

    def give(self, answer: Any, code: int) -> NoReturn:
        """Prints and ends the process; after a failure with all that a command of the configuration has started."""
        if not self.first.acquire(blocking=False):
            threading.Event().wait()
        with os.fdopen(self.out, "w") as out:
            out.write(self.mark + json.dumps(answer) + "\n")
        if code and os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        # Other people's atexit functions and threads must not keep us, nor connect.
        os._exit(code)


def end_in_time(answer: Answer) -> None:
    """After SECONDS the clock answers; a second later the kernel ends us, whatever any library is doing."""
    late = {"error": f"no answer within {SECONDS:g} s", "kind": "Timeout"}
    clock = threading.Timer(SECONDS, answer.give, (late, 1))
    clock.daemon = True
    clock.start()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, SECONDS + 1)


def resolve() -> Any:
    """Airflow's own engine, made as Airflow makes it. 2.x can't do it in part, and is as fast as a whole."""
    os.environ["_AIRFLOW__AS_LIBRARY"] = "1"
    from airflow import settings

    # A command of the configuration may be a program of Airflow's own.
    del os.environ["_AIRFLOW__AS_LIBRARY"]
    known = vars(settings)
    if airflow_version().startswith("2.") or not all(name in known for name in RESOLVING if "policy" not in name):
        settings.initialize()
    else:
        for step in (known[name] for name in RESOLVING if name in known):
            step()
    return engine()


def adopt_runner() -> bool:
    """In a copy no Airflow runs, but our runner, which the container's own command line has started: takes over its
    environment; answers whether it was found."""
    file = os.path.join(os.environ.get("DOWNDRAFT_DIR", "/tmp/downdraft"), "pid")
    with contextlib.suppress(OSError, ValueError), open(file) as pid:
        return adopt(int(pid.read()), lambda _: True)
    return False


def answer_with(mark: str, question: Callable[[], Any]) -> NoReturn:
    """Prints what `question` answers, or the error that it throws, after the mark, and ends the process."""
    # A group of our own, so that what a command of the configuration starts can be ended with us.
    with contextlib.suppress(OSError):
        os.setpgid(0, 0)
    answer = Answer(mark)
    end_in_time(answer)
    try:
        told = question()
    except (Exception, SystemExit) as error:  # Airflow ends the process on some configuration faults.
        answer.give({"error": one_line(error), "kind": type(error).__name__}, 1)
    answer.give(told, 0)
