"""How many rows each table should have after the reverse scripts, and in words where it has others."""

from __future__ import annotations

from typing import Collection, Dict, Tuple, TypedDict

from downdraft.messages.orders import Order
from downdraft.steps.effects import ROW_EFFECTS, Effect, is_own


class Rows(TypedDict):
    """Of one table: its name and rows before, and between which numbers they may be now."""

    was: str
    before: int
    fewest: int
    most: int


# By schema and name.
Foreseen = Dict[Tuple[str, str], Rows]


def foresee(order: Order, backend: str, own: Collection[str]) -> tuple[Foreseen, dict[str, int]]:
    """Of tables with `own` names: (schema, name) to name and rows before, fewest and most rows now; and those that
    go."""
    now: Foreseen = {}
    for place, before in order["counts"].items():
        schema, _, name = place.partition(".")
        if is_own(name, own):
            now[schema, name] = {"was": place, "before": before, "fewest": before, "most": before}
    gone: dict[str, int] = {}
    counted = order.get("counted") or {}
    for revision in order.get("crossed") or []:
        effect = ROW_EFFECTS["effects"].get(revision)
        if effect:
            foresee_one(now, effect, counted, backend, gone)
    return now, gone


def foresee_one(
    now: Foreseen, effect: Effect, counted: dict[str, int | None], backend: str, gone: dict[str, int]
) -> None:
    """What one reverse script does to `now`."""
    exact = backend in effect.get("exactOn", [backend])
    for name, hazard in effect.get("deletes", {}).items():
        # A hazard of which nothing was found is not listed; one that could not be counted is null.
        going = counted.get(hazard, 0)
        for rows_then in rows_named(now, name):
            if going is None or (going and not exact):
                rows_then["fewest"] = 0
            else:
                rows_then["fewest"] = max(0, rows_then["fewest"] - going)
                rows_then["most"] = max(0, rows_then["most"] - going)
    deletes = effect.get("deletes", {}).values()
    if not deletes or any(counted.get(hazard, 0) != 0 for hazard in deletes):
        for rows_then in (one for name in effect.get("perhaps", []) for one in rows_named(now, name)):
            rows_then["fewest"] = 0
    for name in effect.get("empties", []):
        empty(now, name)
    renames = effect.get("renames", {})
    for schema, name in [place for place in now if place[1] in renames]:
        now[schema, renames[name]] = now.pop((schema, name))
    for place in [place for place in now if place[1] in effect.get("drops", [])]:
        dropped = now.pop(place)
        if dropped["before"]:
            gone[dropped["was"]] = dropped["before"]


def empty(now: Foreseen, name: str) -> None:
    """All rows of that table are expected to be gone."""
    for rows_then in rows_named(now, name):
        rows_then["fewest"] = rows_then["most"] = 0


def rows_named(now: Foreseen, name: str) -> list[Rows]:
    """What is foreseen of the tables of that name."""
    return [rows_then for place, rows_then in now.items() if place[1] == name]


def differences(
    expected: Foreseen, counts: dict[str, int], uncounted: Collection[str], unchecked: Collection[str]
) -> list[str]:
    """One sentence for each table that has not the rows that it should have."""
    found = []
    for (schema, name), rows_then in sorted(expected.items()):
        place = f"{schema}.{name}"
        if place in uncounted or name in unchecked:
            continue
        now = counts.get(place)
        if now is not None and rows_then["fewest"] <= now <= rows_then["most"]:
            continue
        if now is None and rows_then["most"] == 0:
            continue
        found.append(difference_in_words(place, rows_then, now))
    return found


def difference_in_words(place: str, rows_then: Rows, now: int | None) -> str:
    """dag had 3 rows and has 2; with what was planned, where that is not as many as before."""
    has = "is gone" if now is None else f"has {now}"
    said = f"{rows_then['was']} had {rows_then['before']} rows and {has}"
    if now is not None and place != rows_then["was"]:
        said = f"{rows_then['was']} had {rows_then['before']} rows and {place}, its older name, has {now}"
    fewest, most = rows_then["fewest"], rows_then["most"]
    if fewest == most == rows_then["before"]:
        return said
    return said + (f" (planned: {most})" if fewest == most else f" (planned: {fewest} to {most})")
