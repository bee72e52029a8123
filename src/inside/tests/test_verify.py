"""Whether every row is where the plan says: what is foreseen by rows.json, and what is told of differences."""

import types

import pytest

from downdraft.refused import Refused
from downdraft.steps import foresee, verify
from downdraft.steps.effects import is_own
from downdraft.steps.verify import judge_rows, look_at_counts, unchecked_tables

UNDATED = ["1cdc775ca98f"]
FOUND = {"undated-runs": 2, "undated-tasks": 3}


@pytest.mark.parametrize(
    ("before", "after", "crossed", "told", "counted", "backend"),
    [
        pytest.param(*case[1:], *[{}, "postgresql"][len(case) - 5 :], id=case[0])
        for case in [
            ("as many as before", {"a.dag": 2}, {"a.dag": 2}, [], []),
            ("fewer", {"a.dag": 2}, {"a.dag": 1}, [], ["a.dag had 2 rows and has 1"]),
            ("more", {"a.dag": 2}, {"a.dag": 3}, [], ["a.dag had 2 rows and has 3"]),
            ("gone, and no script drops it", {"a.dag": 2}, {}, [], ["a.dag had 2 rows and is gone"]),
            ("gone, and one drops it", {"a.team": 2}, {}, ["a3c7f2b18d4e"], []),
            ("one that was empty", {"a.dag": 0}, {}, [], []),
            ("other people's table", {"a.theirs": 2}, {}, [], []),
            ("emptied", {"a.dag_code": 2}, {"a.dag_code": 0}, ["2b47dc6bc8df"], []),
            (
                "not emptied",
                {"a.dag_code": 2},
                {"a.dag_code": 1},
                ["2b47dc6bc8df"],
                ["a.dag_code had 2 rows and has 1 (planned: 0)"],
            ),
            ("renamed", {"a.asset": 2}, {"a.dataset": 2}, ["05234396c6fc"], []),
            (
                "renamed, with fewer",
                {"a.asset": 2},
                {"a.dataset": 1},
                ["05234396c6fc"],
                ["a.asset had 2 rows and a.dataset, its older name, has 1"],
            ),
            (
                "emptied and renamed",
                {"a.callback": 2},
                {"a.callback_request": 0},
                ["e812941398f4", "b87d2135fa50"],
                [],
            ),
            ("renamed and dropped", {"a.asset_alias": 2}, {}, ["05234396c6fc", "05e19f3176be"], []),
            ("exactly as many gone as were counted", {"a.dag_run": 5}, {"a.dag_run": 3}, UNDATED, [], FOUND),
            (
                "more gone than were counted",
                {"a.dag_run": 5},
                {"a.dag_run": 2},
                UNDATED,
                ["a.dag_run had 5 rows and has 2 (planned: 3)"],
                FOUND,
            ),
            ("rows of those that went", {"a.xcom": 5}, {"a.xcom": 1}, UNDATED, [], FOUND),
            (
                "rows although none went",
                {"a.xcom": 5},
                {"a.xcom": 4},
                UNDATED,
                ["a.xcom had 5 rows and has 4"],
                {"undated-runs": 0},
            ),
            (
                "what could not be counted beforehand",
                {"a.dag_run": 5},
                {"a.dag_run": 1},
                UNDATED,
                [],
                {"undated-runs": None},
            ),
            (
                "more, where some may be gone",
                {"a.xcom": 5},
                {"a.xcom": 6},
                UNDATED,
                ["a.xcom had 5 rows and has 6 (planned: 0 to 5)"],
                FOUND,
            ),
            (
                "assets of one URI",
                {"a.dataset": 5},
                {"a.dataset": 4},
                ["0d9e73a75ee4"],
                [],
                {"assets-of-one-uri": 1},
            ),
            (
                "assets of one URI on MySQL, which deletes both",
                {"a.dataset": 5},
                {"a.dataset": 3},
                ["0d9e73a75ee4"],
                [],
                {"assets-of-one-uri": 1},
                "mysql",
            ),
        ]
    ],
)
def test_rows_are_foreseen_by_the_effects_of_crossed_scripts(
    monkeypatch, before, after, crossed, told, counted, backend
):
    monkeypatch.setattr(foresee, "is_own", lambda name, _own: name != "theirs")
    order = {"counts": before, "crossed": crossed, "counted": counted}
    expected, _ = foresee.foresee(order, backend, ())
    assert foresee.differences(expected, after, {}, ()) == told


def test_what_a_script_drops_is_gone_with_its_rows():
    _, gone = foresee.foresee({"counts": {"a.team": 2}, "crossed": ["a3c7f2b18d4e"]}, "postgresql", ("team",))
    assert gone == {"a.team": 2}


def test_a_table_that_was_not_counted_or_is_unchecked_has_no_difference():
    expected, _ = foresee.foresee({"counts": {"a.dag": 2, "a.log": 2}}, "postgresql", ("dag", "log"))
    assert foresee.differences(expected, {}, {"a.dag": "no right"}, ("log",)) == []


@pytest.mark.parametrize(("name", "own"), [("dag", True), ("ab_user", True), ("theirs", False)])
def test_tables_of_airflow_are_those_of_its_models_and_of_users(name, own):
    assert is_own(name, {"dag"}) is own


@pytest.mark.parametrize("counts", [None, [], {"a.dag": "2"}])
def test_an_order_without_counts_is_refused(counts):
    with pytest.raises(Refused) as refused:
        look_at_counts({"kind": "verify", "counts": counts}, None)
    assert refused.value.kind == "BadOrder"


def test_scripts_newer_than_the_list_are_only_told():
    names, told = unchecked_tables({"crossed": ["x1", "x2", "x3", "x4"]}, None)
    assert names is None and told[0].endswith("(x1, x2, x3): differences are only told")


def test_tables_of_a_manager_whose_scripts_are_newer_are_not_compared():
    table = types.SimpleNamespace(name="ab_user")
    metadata = types.SimpleNamespace(tables={"ab_user": table})
    cls = types.SimpleNamespace(version_table_name="alembic_version_fab", metadata=metadata)
    work = types.SimpleNamespace(managers={"a.FAB": cls})
    assert unchecked_tables({"managers": {"a.FAB": ["new"], "b.Gone": ["new"]}}, work) == (
        {"ab_user"},
        [
            "not compared, since the reverse scripts of a.FAB are newer than downdraft: ab_user",
            "not compared, since the reverse scripts of b.Gone are newer than downdraft: its tables",
        ],
    )
    assert unchecked_tables({}, work) == (set(), [])


def test_differences_are_refused_and_rows_that_can_not_be_read_come_first():
    with pytest.raises(Refused) as refused:
        judge_rows(["a", "b", "c", "d"], [], False, [])
    assert (refused.value.kind, str(refused.value)) == ("RowsDiffer", f"a; b; c; and 1 more tables: {verify.EITHER}")
    with pytest.raises(Refused) as refused:
        judge_rows(["a"], ["u"], False, [])
    assert refused.value.kind == "RowsLeftUnreadable"


def test_what_a_person_has_accepted_is_only_told():
    told = ["before"]
    judge_rows(["a"], ["u"], True, told)
    assert told == ["before", "accepted: a", "accepted: u"]
