"""Which folders of the volume are our dumps, and whose.

A dump is made in a hidden folder and gets its name when it is verified, by one rename: so what has the name is whole. A
folder is ours when the file downdraft.json in it says so. Each attempt has a hidden folder of its own, so that a
pg_dump that has outlived its runner can't write into the next one's.
"""

from __future__ import annotations

import datetime
import errno
import hashlib
import json
import os
import re
import secrets
import shutil
from typing import Any, Dict

from downdraft.messages.orders import Order
from downdraft.orders.work import Work
from downdraft.refused import Refused

BACKUP_DIR = os.environ.get("DOWNDRAFT_BACKUP_DIR", "")

Mark = Dict[str, Any]

MARK = "downdraft.json"
# What the dump program writes lies below this, untouched by us.
CONTENT = "content"
HIDDEN = ".downdraft-"
NAME_OF_DUMP = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,200}\Z")


def look_at_dump_name(order: Order, _work: Work) -> None:
    """Throws Refused for what is no name of a folder, and where no volume is named."""
    if not BACKUP_DIR:
        raise Refused("DumpImpossible", "no folder is named for dumps (DOWNDRAFT_BACKUP_DIR)")
    texts = isinstance(order.get("run"), str) and isinstance(order.get("name"), str)
    if not texts or not NAME_OF_DUMP.match(order["name"]):
        raise Refused("BadOrder", f"a step {order['kind']} needs a run, and a name that a folder can have")


def folder_of(order: Order) -> str:
    return os.path.join(BACKUP_DIR, order["name"])


def read_mark(folder: str) -> Mark | None:
    """What our mark in a folder says; None where the folder is not ours, or there is none."""
    try:
        with open(os.path.join(folder, MARK)) as file:
            told = json.load(file)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError, ValueError):
        return None
    return told if isinstance(told, dict) and isinstance(told.get("downdraft"), str) else None


def write_mark(folder: str, mark: Mark) -> None:
    """Writes the mark whole, and to the disk."""
    draft = os.path.join(folder, MARK + ".new")
    with open(os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w") as file:
        json.dump(mark, file, sort_keys=True)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, os.path.join(folder, MARK))
    write_out(folder)


def write_out(folder: str) -> None:
    """Names in a folder reach the disk, too; a file system that can't promise it says so, and goes on."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)


def new_folder(order: Order, work: Work) -> tuple[str, Mark]:
    """A hidden folder for a dump, and its mark, which does not say `verified` yet."""
    mark = {"downdraft": order["run"], "of": work.guard.identity, "name": order["name"]}
    if isinstance(order.get("keepUntil"), str):
        mark["keepUntil"] = order["keepUntil"]
    folder = os.path.join(BACKUP_DIR, HIDDEN + secrets.token_hex(8))
    os.mkdir(folder, 0o700)
    write_mark(folder, mark)
    return folder, mark


def is_of_this_dump(mark: Mark, order: Order, work: Work) -> bool:
    """Whether it was made, or begun, for this run and this database."""
    return bool(mark["downdraft"] == order["run"] and mark.get("of") == work.guard.identity)


def expired_dumps() -> list[tuple[str, Mark]]:
    """Folder and mark of our dumps, finished or not, whose time is over. Throws OSError."""
    now, found = datetime.datetime.now(datetime.timezone.utc), []
    for name in sorted(os.listdir(BACKUP_DIR)):
        folder = os.path.join(BACKUP_DIR, name)
        mark = None if os.path.islink(folder) else read_mark(folder)
        if mark and is_over(mark.get("keepUntil"), now):
            found.append((folder, mark))
    return found


def is_over(until: object, now: datetime.datetime) -> bool:
    """False as well for a time that is not told, or can't be read."""
    try:
        return datetime.datetime.fromisoformat(str(until).replace("Z", "+00:00")) < now
    except (ValueError, TypeError):
        return False


def clear_folder(order: Order, work: Work) -> list[str]:
    """Removes what earlier attempts at this dump have left, and dumps whose time is over; answers their names."""
    for name in os.listdir(BACKUP_DIR):
        folder = os.path.join(BACKUP_DIR, name)
        if not name.startswith(HIDDEN) or os.path.islink(folder):
            continue
        mark = read_mark(folder)
        begun = mark and mark.get("name") == order["name"] and is_of_this_dump(mark, order, work)
        if begun or name.endswith(".removed"):
            remove_folder(folder)
    removed = []
    for folder, mark in expired_dumps():
        remove_folder(folder)
        removed.append(mark.get("name", os.path.basename(folder)))
    return removed


def remove_folder(folder: str) -> None:
    """Under another name first: what is half removed must not pass for a dump. A program may still write into it."""
    gone = folder
    if not folder.endswith(".removed"):
        gone = os.path.join(BACKUP_DIR, HIDDEN + secrets.token_hex(8) + ".removed")
        os.rename(folder, gone)
    for attempt in range(3):
        shutil.rmtree(gone, ignore_errors=attempt < 2)
        if not os.path.lexists(gone):
            return


def checksums(folder: str) -> dict[str, str]:
    """SHA-256 of each file of a dump but its mark, by its path in the folder."""
    found = {}
    for place, _, names in os.walk(folder):
        for name in names:
            file = os.path.join(place, name)
            if name != MARK or place != folder:
                found[os.path.relpath(file, folder)] = checksum(file)
    return found


def checksum(file: str) -> str:
    digest = hashlib.sha256()
    with open(file, "rb") as content:
        for part in iter(lambda: content.read(1 << 20), b""):
            digest.update(part)
    return digest.hexdigest()


def refuse_changed_dump(folder: str, mark: Mark, work: Work) -> None:
    """Throws Refused unless all files of a dump are what they were when it was verified."""
    work.progress.tell(message=f"reads the dump {mark['name']}")
    if checksums(folder) != mark["files"]:
        told = "the files in %s are not any more what they were when they were verified at %s; nothing was done"
        raise Refused("DumpChanged", told % (folder, mark["verified"]))
