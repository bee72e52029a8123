"""Asks a target image which triggers it can take up: whether it has their classes, and makes them with these arguments.

DOWNDRAFT_TRIGGERS is JSON, [{"class", "arguments"}]. Prints one line, `DOWNDRAFT-TRIGGERS {json}`, and exits 0; on
failure `{"error", "kind"}` and exits 1.

A triggerer (2.7 to 3.3) imports the class by its path and makes it with the stored arguments. Whatever the import
throws, and a TypeError of the constructor, fail the trigger. Here nothing is made: the signature alone is asked.

Modules are imported in a child, for one may hang or end its process: that one is then not known, and another child goes
on after it.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import os
import select
import signal
import time
from typing import NoReturn, cast

from downdraft.image import airflow_version, import_class
from downdraft.log import stdout_to_stderr
from downdraft.messages.lines import AskedTrigger, Obstruction, TakeUp
from downdraft.text import one_line

ALL_TRIGGERS_SECONDS = float(os.environ.get("DOWNDRAFT_TRIGGERS_SECONDS", "60"))
ONE_TRIGGER_SECONDS = ALL_TRIGGERS_SECONDS / 4


def take_ups(asked: list[AskedTrigger]) -> list[TakeUp]:
    """For each entry what keeps this image from taking it up: `lacks`, `refuses`, `needs`; or `notKnown`; or
    nothing."""
    until = time.monotonic() + ALL_TRIGGERS_SECONDS
    told: list[Obstruction] = []
    while len(told) < len(asked):
        left = until - time.monotonic()
        if left <= 0:
            told += [{"notKnown": "there was no time left"}] * (len(asked) - len(told))
            break
        answers, why = ask_child(asked[len(told) :], until)
        told += answers
        if why:
            told.append({"notKnown": why})
    return [cast(TakeUp, dict(entry, **one)) for entry, one in zip(asked, told)]


def ask_child(asked: list[AskedTrigger], until: float) -> tuple[list[Obstruction], str | None]:
    """The answers of one child, and why it gave none to the entry after them; None when it answered all."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        answer_all(asked, writing)
    os.close(writing)
    try:
        return listen(reading, len(asked), until)
    finally:
        os.close(reading)
        # What a module has started goes, too. The child leads its own group as soon as it has answered anything.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def answer_all(asked: list[AskedTrigger], writing: int) -> NoReturn:
    """In the child: one line for each entry, then its end."""
    with contextlib.suppress(OSError):
        os.setsid()
    for entry in asked:
        os.write(writing, (json.dumps(take_up(entry["class"], entry["arguments"])) + "\n").encode())
    os._exit(0)


def listen(reading: int, wanted: int, until: float) -> tuple[list[Obstruction], str | None]:
    """Reads a child's lines; see ask_child."""
    text, due = b"", min(until, time.monotonic() + ONE_TRIGGER_SECONDS)
    while text.count(b"\n") < wanted:
        ready, _, _ = select.select([reading], [], [], max(0, due - time.monotonic()))
        part = os.read(reading, 65536) if ready else b""
        text += part
        if b"\n" in part:
            due = min(until, time.monotonic() + ONE_TRIGGER_SECONDS)
        if not part:
            whole = text[: text.rfind(b"\n") + 1]
            why = "importing it ended the process" if ready else "importing it took too long"
            return [json.loads(line) for line in whole.splitlines()], why
    return [json.loads(line) for line in text.splitlines()], None


def take_up(path: str, names: list[str]) -> Obstruction:
    """What keeps this image from making the class of this path with arguments of these names; {} when nothing does."""
    try:
        made = import_class(path)
    except BaseException as error:  # As the triggerer: SystemExit of a module fails the trigger, too.
        kind = "" if isinstance(error, (ImportError, AttributeError)) else type(error).__name__ + ": "
        return {"lacks": kind + one_line(error)[:300]}
    if not callable(made):
        return {"lacks": "it is no class"}
    try:
        parameters = inspect.signature(made).parameters.values()
    except (TypeError, ValueError) as error:
        return {"notKnown": f"its signature can't be read: {one_line(error)[:300]}"}
    by_name = [one for one in parameters if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
    taken = {one.name for one in by_name}
    any_name = any(one.kind == one.VAR_KEYWORD for one in parameters)
    needed = {one.name for one in by_name if one.default is one.empty}
    needed.update(one.name for one in parameters if one.kind == one.POSITIONAL_ONLY and one.default is one.empty)
    refused = [] if any_name else sorted(set(names) - taken)
    missing = sorted(needed - set(names))
    obstruction: Obstruction = {}
    if refused:
        obstruction["refuses"] = refused
    if missing:
        obstruction["needs"] = missing
    return obstruction


def main() -> NoReturn:
    """Prints the answer and ends the process."""
    try:
        with stdout_to_stderr():
            # Importing Airflow puts the folder of plugins on the path (2.x: that of Dags, too), as in a triggerer.
            version = airflow_version()
            answer = {"airflowVersion": version, "triggers": take_ups(json.loads(os.environ["DOWNDRAFT_TRIGGERS"]))}
        code = 0
    except (Exception, SystemExit) as error:
        answer, code = {"error": one_line(error), "kind": type(error).__name__}, 1
    print("DOWNDRAFT-TRIGGERS " + json.dumps(answer), flush=True)
    os._exit(code)
