"""What a step works with."""

from __future__ import annotations

from typing import Any

from downdraft.orders.folder import Authority
from downdraft.orders.guard import Guard
from downdraft.orders.progress import Progress


class Work:
    """`managers` by class path; `index` is the step's place in the orders."""

    def __init__(self, managers: dict[str, Any], guard: Guard, progress: Progress, authority: Authority) -> None:
        self.managers, self.guard, self.progress, self.authority = managers, guard, progress, authority
        self.index = 0
        # Names of Airflow's own tables, once they were asked for (count.py).
        self.own_names: set[str] | None = None
        # Keys of rows to convert by table and column, from the look ahead on (convert.py).
        self.unconverted: dict[tuple[str, str], list[tuple[Any, ...]]] = {}
