"""The steps `core` and `manager`: the schema of Airflow itself, and that of a provider, down to one revision.

The version table has the last word, before and afterwards.
"""

from __future__ import annotations

import contextlib
from typing import Any

from downdraft.image import chain_of, class_path, core_scripts, manager_scripts
from downdraft.messages.orders import Order
from downdraft.metadata import engine, read_identity, version_tables
from downdraft.orders.guard import Guard
from downdraft.orders.unfinished import Unfinished, refuse_half_reversed
from downdraft.orders.work import Work
from downdraft.refused import Refused
from downdraft.steps.reversible import can_reverse, reverse_by_scripts, reverse_manager, without_reverse
from downdraft.text import one_line


def look_at_chain(order: Order, work: Work) -> tuple[Any, str, str, list[str]]:
    """Manager class (None for core), version table, current revision and those to reverse; throws if it can't be done.

    Already at the target is done; else the target must be one exact, older revision of this image's chain.
    """
    cls = None
    if order["kind"] == "manager":
        cls = work.managers.get(order["class"])
        if cls is None:
            raise Refused("UnknownManager", f"this image has no manager {order['class']}")
    table = cls.version_table_name if cls else "alembic_version"
    current = current_revision(work.guard, table)
    between = revisions_between(manager_scripts(cls) if cls else core_scripts(), current, order["toRevision"])
    if cls and not can_reverse(cls) and without_reverse(manager_scripts(cls), between):
        raise Refused("CannotReverse", f"{class_path(cls)} has no downgrade; its schema must be downgraded by hand")
    return cls, table, current, between


def reverse_schema(order: Order, work: Work) -> None:
    """From where the database really is down to the order's revision, and a look whether it is there afterwards."""
    target = order["toRevision"]
    cls, table, current, between = look_at_chain(order, work)
    work.progress.begin(work.index, order["kind"], len(between), current)
    with Unfinished(engine(), table) if between else contextlib.nullcontext():
        if between and cls and can_reverse(cls):
            reverse_manager(cls, target)
        elif between and cls:
            reverse_by_scripts(cls, target)
        elif between:
            from airflow.utils import db

            db.downgrade(to_revision=target)
    reached = current_revision(work.guard, table)
    if reached != target:
        raise Refused("NotAtTarget", f"{table} is at {reached} after the step, not at {target}")
    work.progress.finish(reached)


def current_revision(guard: Guard, table: str) -> str:
    """The one revision in a version table, read on a connection whose identity is checked."""
    with engine().connect() as connection:
        guard.check(read_identity(connection))
        refuse_half_reversed(connection)
        found = version_tables(connection).get(table, [])
    if len(found) != 1:
        held = ", ".join(found) or "nothing"
        raise Refused("NoSingleRevision", f"{table} holds {held}, not one revision; set it right first")
    return found[0]


def revisions_between(scripts: Any, current: str, target: str) -> list[str]:
    """The revisions to reverse, newest first. Alembic takes "base", "-1" or half an id, too; we take whole ids only."""
    from alembic.script.revision import RevisionError

    known = {link["revision"] for link in chain_of(scripts)}
    for name, revision in (("the database is at", current), ("the target is", target)):
        if revision not in known:
            raise Refused("UnknownRevision", f"{name} {revision}, which this image's scripts don't know")
    if current == target:
        return []
    try:
        return [script.revision for script in scripts.iterate_revisions(current, target)]
    except RevisionError as error:
        raise Refused("NotAnAncestor", f"{target} does not lie below {current}: {one_line(error)}") from error
