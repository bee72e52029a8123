"""The step `verify`, the last of a downgrade: whether every row is where the plan says, and readable by the older
version."""

from __future__ import annotations

import time
from typing import Any

from downdraft.deferral import unreadable_rows
from downdraft.messages.orders import Order
from downdraft.orders.work import Work
from downdraft.refused import Refused
from downdraft.steps.count import one_snapshot, own_names, own_tables, rows_of_tables
from downdraft.steps.effects import ROW_EFFECTS
from downdraft.steps.foresee import differences, empty, foresee
from downdraft.steps.repair import are_dags_versioned

DIFFERENCES_SHOWN = 3

# Commas in a message would end its list.
EITHER = "either somebody else writes to this database, or a reverse script lost rows"


def look_at_counts(order: Order, work: Work) -> None:
    """Throws Refused for an order without counts."""
    counts = order.get("counts")
    if not isinstance(counts, dict) or not all(isinstance(one, int) for one in counts.values()):
        raise Refused("BadOrder", "a step verify needs the counts of a step count")


def verify(order: Order, work: Work) -> dict[str, Any]:
    """Facts: `tables` and `rows` compared, `gone` (rows as planned, by table), `told` (what is not known), `seconds`.

    Throws Refused, RowsDiffer or RowsLeftUnreadable; with order["accept"] it only tells.
    """
    begun = time.monotonic()
    work.progress.begin(work.index, "verify", len(order["counts"]), "")
    with one_snapshot(work) as connection:
        expected, gone = foresee(order, connection.dialect.name, own_names(work))
        # `repair` has deleted them.
        if order.get("crossed") and not are_dags_versioned():
            empty(expected, "serialized_dag")
        there = set(own_tables(connection, work))
        wanted = [place for place in sorted(expected) if place in there]
        counts, uncounted = rows_of_tables(connection, wanted, work)
        unreadable = left_unreadable(connection) if order.get("readable") else []
    unchecked, told = unchecked_tables(order, work)
    unseen = dict(order.get("uncounted") or {}, **uncounted)
    told += [f"{place} could not be counted: {why}" for place, why in sorted(unseen.items())]
    differing = [] if unchecked is None else differences(expected, counts, uncounted, unchecked)
    if unchecked is None:
        told += differences(expected, counts, uncounted, ())
    judge_rows(differing, unreadable, bool(order.get("accept")), told)
    for (schema, name), rows_then in expected.items():
        now = counts.get(f"{schema}.{name}", rows_then["before"])
        if now < rows_then["before"] and now <= rows_then["most"]:
            gone[rows_then["was"]] = rows_then["before"] - now
    work.progress.finish("")
    facts = {"tables": len(counts), "rows": sum(counts.values()), "gone": gone, "told": told}
    return dict(facts, seconds=round(time.monotonic() - begun, 3))


def unchecked_tables(order: Order, work: Work) -> tuple[set[str] | None, list[str]]:
    """Names of tables that are not compared, and why; None for the names where that can't be told, so that it is
    all."""
    unknown = [one for one in order.get("crossed") or [] if one not in ROW_EFFECTS["checked"]]
    if unknown:
        listed = ", ".join(unknown[:DIFFERENCES_SHOWN])
        newer = f"reverse scripts newer than downdraft's list of what they do to rows ({listed})"
        return None, [newer + ": differences are only told"]
    names: set[str] = set()
    told = []
    for path, crossed in (order.get("managers") or {}).items():
        cls = work.managers.get(path)
        checked = ROW_EFFECTS["checkedOfManagers"].get(getattr(cls, "version_table_name", ""), [])
        if any(revision not in checked for revision in crossed):
            own = {table.name for table in cls.metadata.tables.values()} if cls else set()
            names |= own
            told.append(
                f"not compared, since the reverse scripts of {path} are newer than downdraft:"
                f" {', '.join(sorted(own)) or 'its tables'}"
            )
    return names, told


def left_unreadable(connection: Any) -> list[str]:
    """One sentence for each column with rows that the older version can't read."""
    told = "%s.%s has %d rows that the older version can't read (ids %s)"
    return [
        told
        % (
            entry["table"],
            entry["column"],
            entry["count"] + entry.get("undecipherable", 0),
            ", ".join(map(str, entry["examples"])) or "of unknown keys",
        )
        for entry in unreadable_rows(connection)
        if entry["count"] or entry.get("undecipherable")
    ]


def judge_rows(differing: list[str], unreadable: list[str], accepted: bool, told: list[str]) -> None:
    """Throws Refused for what is not as it must be; what a person has accepted goes to `told`."""
    if accepted:
        told += [f"accepted: {one}" for one in differing + unreadable]
        return
    if unreadable:
        raise Refused(
            "RowsLeftUnreadable", "; ".join(unreadable[:DIFFERENCES_SHOWN]) + ": somebody else writes to this database"
        )
    if differing:
        more = len(differing) - DIFFERENCES_SHOWN
        others = f"; and {more} more tables" if more > 0 else ""
        shown = "; ".join(differing[:DIFFERENCES_SHOWN]) + others
        raise Refused("RowsDiffer", f"{shown}: {EITHER}")
