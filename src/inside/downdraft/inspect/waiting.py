"""Lists what waits in the database for a trigger: deferred tasks, asset watchers, callbacks of deadlines.

The older version can take a trigger up only if it has its class, and if that class is made with the same arguments: so
the names of both are told, never a value.
"""

from __future__ import annotations

import re
import time
from typing import Any, Iterable, cast

from downdraft.deferral import opened
from downdraft.messages.inspection import WaitingTrigger
from downdraft.metadata import has_column, quoted, schema_of

# Who refers to triggers, in which table, and which of its rows wait. Of one kind the first table that is there counts:
# 3.0 has asset_trigger only, 3.1 keeps the trigger of a callback in deadline.
REFERENCES = (
    ("tasks", "task_instance", "state = 'deferred'"),
    ("watchers", "asset_watcher", "1 = 1"),
    ("watchers", "asset_trigger", "1 = 1"),
    ("callbacks", "callback", "1 = 1"),
    ("callbacks", "deadline", "1 = 1"),
)

LISTED_TRIGGERS = 100

# Opening one takes about 0.1 ms, and this is looked at once more in the outage.
OPENING_SECONDS = 10


def waiting_triggers(connection: Any) -> list[WaitingTrigger]:
    """`triggers` of inspect.json: class, names of arguments and who waits, each pair once, the most first.

    `arguments` is null where they are not known: no key opens them, or there was no time left. `class` is null for the
    triggers that came after the first hundred kinds, together.
    """
    found: dict[Any, dict[str, int]] = {}
    until, told = time.monotonic() + OPENING_SECONDS, set()
    for who, table, condition in REFERENCES:
        if who in told or not has_column(connection, table, "trigger_id"):
            continue
        told.add(who)
        for classpath, stored, count in referred_triggers(connection, table, condition):
            names = argument_names(stored) if time.monotonic() < until else None
            entry = found.setdefault((class_name(classpath), names), {"tasks": 0, "watchers": 0, "callbacks": 0})
            entry[who] += int(count)
    entries = [entry_of(name, names, counts) for (name, names), counts in found.items()]
    entries.sort(key=lambda entry: (-waiters(entry), str(entry["class"]), str(entry["arguments"])))
    return entries[:LISTED_TRIGGERS] + together(entries[LISTED_TRIGGERS:])


def entry_of(name: str | None, names: Iterable[str] | None, counts: dict[str, int]) -> WaitingTrigger:
    """One entry of `triggers`."""
    arguments = None if names is None else list(names)
    return cast(WaitingTrigger, dict({"class": name, "arguments": arguments}, **counts))


def waiters(entry: WaitingTrigger) -> int:
    """How many wait for the triggers of one entry."""
    return entry["tasks"] + entry["watchers"] + entry["callbacks"]


def together(entries: list[WaitingTrigger]) -> list[WaitingTrigger]:
    """All entries as one that names no class; none of none."""
    given: list[Any] = list(entries)
    counts = {who: sum(entry[who] for entry in given) for who in ("tasks", "watchers", "callbacks")}
    return [entry_of(None, None, counts)] if entries else []


def referred_triggers(connection: Any, table: str, condition: str) -> Iterable[Any]:
    """Class, stored arguments and number of referring rows of each trigger that somebody waits for. Streamed."""
    from sqlalchemy import text

    trigger, referring = [quoted(connection, schema_of(connection), name) for name in ("trigger", table)]
    found = text(
        f"SELECT t.classpath, t.kwargs, w.waiters FROM {trigger} t JOIN (SELECT trigger_id, count(*) AS waiters"
        f" FROM {referring}"
        f" WHERE trigger_id IS NOT NULL AND {condition} GROUP BY trigger_id) w ON w.trigger_id = t.id"
    )
    found_rows: Iterable[Any] = connection.execute(found.execution_options(stream_results=True))
    return found_rows


def class_name(classpath: str | None) -> str | None:
    """The path if it can be one of a Python class; else None. It ends up in a pod's environment and in messages."""
    return classpath if re.match(r"[A-Za-z_][\w.]{0,199}\Z", classpath or "") else None


def argument_names(stored: Any) -> tuple[str, ...] | None:
    """The sorted names of stored keyword arguments; None when they can't be told."""
    # Before 2.9 the column is JSON, which drivers give as a value.
    value = stored if isinstance(stored, dict) else opened("kwargs", stored)
    while isinstance(value, dict) and set(value) in ({"__type", "__var"}, {"Encoding.TYPE", "Encoding.VAR"}):
        value = value.get("__var", value.get("Encoding.VAR"))
    if not isinstance(value, dict) or len(value) > 40:
        return None
    names = tuple(sorted(value))
    return names if all(re.match(r"[^\W\d]\w{0,99}\Z", name) for name in names) else None
