"""What the Airflow that runs in this container was told, and whether it was told of a database at all."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sys
import time
from pathlib import Path
from typing import Any, Callable, NoReturn

PROXY_SECONDS = float(os.environ.get("DOWNDRAFT_PROXY_SECONDS", "30"))


def adopt_environment() -> bool:
    """Takes over the environment of the running Airflow; answers whether one was found.

    An exec gets what the pod's spec says. An entry point that sources a file (Vault's injector) has told only Airflow.
    """
    home = os.environ.get("AIRFLOW_HOME")
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        with contextlib.suppress(OSError):  # It has ended, or is another user's.
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                words = file.read().split(b"\0")[:2]
            # With another home it is another Airflow.
            if b"airflow" in map(os.path.basename, words) and adopt(pid, lambda env: env.get("AIRFLOW_HOME") == home):
                return True
    return False


def adopt(pid: int, fits: Callable[[dict[str, str]], bool]) -> bool:
    """Takes over the environment of a process, if it `fits`; answers whether it did. Throws OSError."""
    with open(f"/proc/{pid}/environ", "rb") as file:
        pairs = (os.fsdecode(pair).partition("=") for pair in file.read().split(b"\0") if b"=" in pair)
        found = {name: value for name, _, value in pairs}
    # Without PATH it is no environment (setproctitle writes over it).
    if "PATH" not in found or not fits(found):
        return False
    ours = {name: value for name, value in os.environ.items() if name.startswith("DOWNDRAFT_")}
    os.environ.clear()
    os.environ.update(found, **ours)
    sys.path[:0] = [entry for entry in found.get("PYTHONPATH", "").split(":") if entry not in sys.path + [""]]
    return True


def named_file(resolved: Any, confirmed: bool = False) -> Path | None:
    """The file of an SQLite engine; None for other databases. Throws, before anything makes a file, where it is not
    there.

    SQLite in AIRFLOW_HOME is also where Airflow looks when it was told nothing: that counts only if it is `confirmed`,
    by an Airflow that runs on it.
    """
    if resolved.dialect.name != "sqlite":
        return None
    from airflow.configuration import AIRFLOW_HOME

    file = Path(resolved.url.database or "").absolute()
    told = confirmed or any("SQL_ALCHEMY_CONN" in name for name in os.environ)
    if not told and file == Path(AIRFLOW_HOME, "airflow.db").absolute():
        raise LookupError(f"no database is named in this container, and no Airflow runs here on its default, {file}")
    if not file.is_file():
        raise FileNotFoundError(f"the SQLite file {file} does not exist")
    return file


def await_proxy(resolved: Any) -> None:
    """Waits while nobody listens at an address of the pod itself: a proxy to the database may begin after us.

    Whether somebody comes or not, the connection is tried then, and says itself what is wrong.
    """
    url = resolved.url
    if not re.match(r"localhost$|127\.[\d.]+$|::1$", url.host or ""):
        return
    port = url.port or (3306 if resolved.dialect.name == "mysql" else 5432)
    until = time.monotonic() + PROXY_SECONDS
    while time.monotonic() < until:
        try:
            return socket.create_connection((url.host, port), timeout=2).close()
        except OSError:
            time.sleep(0.2)


def login_given(watched: Any) -> Any:
    """What the engine connects with, after all listeners have had their say: arguments and named ones.

    Nothing is connected. None where Airflow makes its connections in a way of its own.
    """
    from sqlalchemy import event

    class Seen(Exception):
        pass

    def see(_dialect: Any, _record: Any, args: Any, parameters: Any) -> NoReturn:
        raise Seen(args, dict(parameters))

    event.listen(watched, "do_connect", see)
    try:
        watched.pool.recreate().connect().close()
    except Seen as seen:
        return seen.args
    finally:
        event.remove(watched, "do_connect", see)
    return None
