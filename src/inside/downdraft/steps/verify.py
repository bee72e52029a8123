"""The step `verify`, the last of a downgrade: whether every row is where the plan says, and readable by the older
version.

What reverse scripts do to rows stands in rows.json (`effects`, by revision, table names as they are when that revision
is reversed). It was read from the scripts of Airflow 2.7 to 3.3; test/matrix shows that it is true.
- drops: the table goes with its rows. empties: all its rows go. renames: newer name to older.
- deletes: by table the hazard of hazards.json that counts exactly the rows that go; `exactOn` says on which backends.
- perhaps: tables that lose rows along with those, which nobody counts beforehand; none where no row is deleted.

A revision that stands in neither `checked` nor `checkedOfManagers` is newer than this list. Then a difference is told
and fails nothing: it may be as its script wants it.
"""

import time

from downdraft.deferral import unreadable_rows
from downdraft.refused import Refused
from downdraft.steps.count import is_own, one_snapshot, own_names, own_tables, rows_of_tables
from downdraft.steps.effects import ROW_EFFECTS
from downdraft.steps.repair import are_dags_versioned

DIFFERENCES_SHOWN = 3

# Commas in a message would end its list.
EITHER = "either somebody else writes to this database, or a reverse script lost rows"


def look_at_counts(order, work):
    """Throws Refused for an order without counts."""
    counts = order.get("counts")
    if not isinstance(counts, dict) or not all(isinstance(one, int) for one in counts.values()):
        raise Refused("BadOrder", "a step verify needs the counts of a step count")


def verify(order, work):
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


def foresee(order, backend, own):
    """Of tables with `own` names: (schema, name) to name and rows before, fewest and most rows now; and those that
    go."""
    now = {}
    for place, before in order["counts"].items():
        schema, _, name = place.partition(".")
        if is_own(name, own):
            now[schema, name] = {"was": place, "before": before, "fewest": before, "most": before}
    gone, counted = {}, order.get("counted") or {}
    for revision in order.get("crossed") or []:
        effect = ROW_EFFECTS["effects"].get(revision)
        if effect:
            foresee_one(now, effect, counted, backend, gone)
    return now, gone


def foresee_one(now, effect, counted, backend, gone):
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


def empty(now, name):
    """All rows of that table are expected to be gone."""
    for rows_then in rows_named(now, name):
        rows_then["fewest"] = rows_then["most"] = 0


def rows_named(now, name):
    """What is foreseen of the tables of that name."""
    return [rows_then for place, rows_then in now.items() if place[1] == name]


def unchecked_tables(order, work):
    """Names of tables that are not compared, and why; None for the names where that can't be told, so that it is
    all."""
    unknown = [one for one in order.get("crossed") or [] if one not in ROW_EFFECTS["checked"]]
    if unknown:
        told = "reverse scripts newer than downdraft's list of what they do to rows (%s): differences are only told"
        return None, [told % ", ".join(unknown[:DIFFERENCES_SHOWN])]
    names, told = set(), []
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


def differences(expected, counts, uncounted, unchecked):
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


def difference_in_words(place, rows_then, now):
    """dag had 3 rows and has 2; with what was planned, where that is not as many as before."""
    has = "is gone" if now is None else f"has {now}"
    said = f"{rows_then['was']} had {rows_then['before']} rows and {has}"
    if now is not None and place != rows_then["was"]:
        said = f"{rows_then['was']} had {rows_then['before']} rows and {place}, its older name, has {now}"
    fewest, most = rows_then["fewest"], rows_then["most"]
    if fewest == most == rows_then["before"]:
        return said
    return said + (f" (planned: {most})" if fewest == most else f" (planned: {fewest} to {most})")


def left_unreadable(connection):
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


def judge_rows(differing, unreadable, accepted, told):
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
