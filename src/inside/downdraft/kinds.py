"""The kinds of steps that an order may have: what each does, and what is looked at before any step is begun."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

from downdraft.backup.copy import copy_database, look_at_names
from downdraft.backup.dump import dump_database, look_at_dump
from downdraft.backup.restore import look_at_restore, restore_database
from downdraft.backup.returning import drop_copy, take_back
from downdraft.messages.kinds import StepKind
from downdraft.messages.orders import Order
from downdraft.orders.work import Work
from downdraft.steps.convert import convert, look_at_rows
from downdraft.steps.count import count
from downdraft.steps.migrate import migrate_up
from downdraft.steps.repair import repair
from downdraft.steps.schema import look_at_chain, reverse_schema
from downdraft.steps.verify import look_at_counts, verify


class Kind(NamedTuple):
    """`run` answers facts for result.json, or None. `look_ahead` throws Refused before any step of the orders begins.

    `alone`: no session of ours is on the database while it runs, neither lock nor watcher.
    """

    run: Callable[[Order, Work], dict[str, Any] | None]
    look_ahead: Callable[[Order, Work], Any] | None = None
    alone: bool = False


KINDS: dict[StepKind, Kind] = {
    "convert": Kind(convert, look_at_rows),
    "copy": Kind(copy_database, look_at_names, alone=True),
    "core": Kind(reverse_schema, look_at_chain),
    "count": Kind(count),
    "dropCopy": Kind(drop_copy, look_at_names, alone=True),
    "dump": Kind(dump_database, look_at_dump),
    "manager": Kind(reverse_schema, look_at_chain),
    "migrate": Kind(migrate_up),
    "repair": Kind(repair),
    "restore": Kind(restore_database, look_at_restore),
    "takeBack": Kind(take_back, look_at_names, alone=True),
    "verify": Kind(verify, look_at_counts),
}
