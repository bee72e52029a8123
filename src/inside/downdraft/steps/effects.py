"""What each reverse script does to rows.

What reverse scripts do to rows stands in rows.json (`effects`, by revision, table names as they are when that revision
is reversed). It was read from the scripts of Airflow 2.7 to 3.3; test/matrix shows that it is true.
- drops: the table goes with its rows. empties: all its rows go. renames: newer name to older.
- deletes: by table the hazard of hazards.json that counts exactly the rows that go; `exactOn` says on which backends.
- perhaps: tables that lose rows along with those, which nobody counts beforehand; none where no row is deleted.

A revision that stands in neither `checked` nor `checkedOfManagers` is newer than this list. Then a difference is told
and fails nothing: it may be as its script wants it.
"""

from __future__ import annotations

import json
import pkgutil
from typing import Collection, TypedDict


class Effect(TypedDict, total=False):
    """What one reverse script does."""

    drops: list[str]
    empties: list[str]
    renames: dict[str, str]
    deletes: dict[str, str]
    exactOn: list[str]
    perhaps: list[str]


class Effects(TypedDict):
    """rows.json."""

    checked: list[str]
    checkedOfManagers: dict[str, list[str]]
    effects: dict[str, Effect]


ROW_EFFECTS: Effects = json.loads(pkgutil.get_data("downdraft.steps", "rows.json") or "")


def is_own(name: str, names: Collection[str]) -> bool:
    """Whether a table is Airflow's. Up to 2.x the tables of users belong to Airflow, but not to its models."""
    return name in names or name.startswith("ab_")
