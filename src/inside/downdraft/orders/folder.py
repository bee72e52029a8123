"""The folder by which runner and controller talk, and whose orders count in it.

Each file is written whole by a rename; a folder belongs to one runner at a time.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import sys
import threading
from typing import Any, Collection, TextIO, cast

from downdraft.log import say
from downdraft.messages.orders import Orders, Signature
from downdraft.refused import Refused

DIR = os.environ.get("DOWNDRAFT_DIR", "/tmp/downdraft")


def path(name: str) -> str:
    return os.path.join(DIR, name)


def write(name: str, value: object) -> None:
    """Writes a file of the folder whole: as JSON, in one rename."""
    draft = path(f".{name}.{os.getpid()}.{threading.get_ident()}")
    with open(draft, "w") as file:
        json.dump(value, file)
    os.replace(draft, path(name))


def remove(*names: str) -> None:
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path(name))


def claim() -> TextIO:
    """Takes the folder for this process, or ends with 3. What a former runner left is taken away, but for the token."""
    os.makedirs(DIR, mode=0o700, exist_ok=True)
    owner = open(path("owner"), "a+")  # noqa: SIM115 the lock lives as long as this file is open
    try:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        by = ""
        with contextlib.suppress(FileNotFoundError), open(path("pid")) as file:
            by = f", process {file.read().strip()},"
        say(f"another runner{by} is alive and owns {DIR}; this one ends")
        sys.exit(3)
    # Orders that a former runner left are not carried out unasked: the database may have been returned since.
    left = Authority.read() or {}
    if isinstance(left.get("token"), int):
        Authority.remember(left["token"])
    remove("inspect.json", "orders.json", "progress.json", "result.json", "stop", "look")
    write("pid", os.getpid())
    return owner


class Authority:
    """Whose orders count: those with the highest token ever seen in this folder. `kinds`: names of steps that we
    know."""

    def __init__(self, kinds: Collection[str]) -> None:
        self.kinds = kinds
        self.orders: Any = None
        self.ignored: tuple[Any, Any] | None = None

    @staticmethod
    def read() -> dict[str, Any] | None:
        """What stands in orders.json; None when there is none, or nothing of use."""
        try:
            with open(path("orders.json")) as file:
                orders = json.load(file)
        except FileNotFoundError:
            return None
        except ValueError as error:
            say(f"orders.json is no JSON: {error}")
            return None
        return orders if isinstance(orders, dict) else None

    @staticmethod
    def highest() -> int:
        try:
            with open(path("token")) as file:
                return int(file.read())
        except FileNotFoundError:
            return 0

    @staticmethod
    def remember(token: int) -> None:
        if token > Authority.highest():
            write("token", token)

    def next(self) -> Orders | None:
        """Orders to carry out now, or None. Ignored: a token that is lower than one seen, and what was done already."""
        orders = self.read()
        signature = (orders.get("token"), orders.get("run")) if orders else None
        if orders is None or signature == self.ignored:
            return None
        self.ignored = signature
        fault = fault_of(orders, self.kinds)
        if not fault and orders["token"] < self.highest():
            fault = f"token {orders['token']} is lower than {self.highest()}, which was seen before"
        if fault:
            say(f"orders ignored: {fault}")
            return None
        self.remember(orders["token"])
        self.orders = orders
        return cast(Orders, orders)

    def check(self) -> None:
        """Before each step. A higher token with the same run renews the authority; another run ends it, as a return
        does."""
        if os.path.exists(path("stop")):
            raise Refused("Stopped", "asked to stop; the steps from here on were not begun")
        orders = self.read()
        if not orders or fault_of(orders, self.kinds) or orders["token"] < self.orders["token"]:
            return
        if orders["run"] != self.orders["run"]:
            raise Refused("Superseded", "newer orders came, of another run; the steps from here on were not begun")
        if orders["token"] > self.orders["token"]:
            self.remember(orders["token"])
            self.orders, self.ignored = orders, (orders["token"], orders["run"])

    def newer(self) -> str | None:
        """The run of other orders that lie here already, and are taken up when these end; None where there are none."""
        orders = self.read()
        if not orders or fault_of(orders, self.kinds) or orders["token"] < self.orders["token"]:
            return None
        run: str = orders["run"]
        return run if run != self.orders["run"] else None

    def signature(self) -> Signature:
        """Under which orders we act."""
        return {"token": self.orders["token"], "run": self.orders["run"]}


def fault_of(orders: dict[str, Any], kinds: Collection[str]) -> str | None:
    """What makes orders unusable, or None."""
    if not isinstance(orders.get("token"), int) or not isinstance(orders.get("run"), str):
        return "token must be a whole number and run a text"
    identity = orders.get("identity")
    if not isinstance(identity, dict) or set(identity) != {"database", "oid", "cluster"}:
        return "identity must have database, oid and cluster"
    for order in orders.get("steps") or [None]:
        if not isinstance(order, dict) or order.get("kind") not in kinds:
            return f"there must be steps, each of a kind that is known: {', '.join(sorted(kinds))}"
        if order["kind"] in ("core", "manager") and not isinstance(order.get("toRevision"), str):
            return "a step of the schema needs a toRevision"
        if order["kind"] == "manager" and not isinstance(order.get("class"), str):
            return "a step of a manager needs its class"
    return None


def take(name: str) -> str:
    """The text of a file of the folder, which is then gone."""
    with open(path(name)) as file:
        text = file.read()
    remove(name)
    return text
