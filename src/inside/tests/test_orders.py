"""Orders, and whose count; words for people on what keeps us waiting."""

import json
import logging
import types
from typing import get_args

import pytest

from downdraft.carry import failure
from downdraft.kinds import KINDS
from downdraft.messages.kinds import StepKind
from downdraft.orders import folder
from downdraft.orders.activity import Activity
from downdraft.orders.blockers import blocker_in_words, first_words, mysql_blocker_in_words
from downdraft.orders.folder import Authority, fault_of
from downdraft.orders.progress import Progress
from downdraft.orders.unfinished import CHANGES_TABLE, ENDS_REVISION, READS, half_reversed
from downdraft.refused import Refused

IDENTITY = {"database": "air", "oid": "1", "cluster": "2"}
ORDERS = {"token": 1, "run": "a", "identity": IDENTITY, "steps": [{"kind": "count"}]}
CORE = {"kind": "core", "toRevision": "abc"}


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({}, None),
        ({"steps": [CORE]}, None),
        ({"steps": [dict(CORE, kind="manager", **{"class": "a.B"})]}, None),
        ({"token": "1"}, "token must be a whole number and run a text"),
        ({"run": None}, "token must be a whole number and run a text"),
        ({"identity": None}, "identity must have database, oid and cluster"),
        ({"identity": dict(IDENTITY, more="x")}, "identity must have database, oid and cluster"),
        ({"steps": []}, "there must be steps, each of a kind that is known: "),
        ({"steps": ["count"]}, "there must be steps, each of a kind that is known: "),
        ({"steps": [{"kind": "rm"}]}, "there must be steps, each of a kind that is known: "),
        ({"steps": [{"kind": "core"}]}, "a step of the schema needs a toRevision"),
        ({"steps": [dict(CORE, kind="manager")]}, "a step of a manager needs its class"),
    ],
)
def test_orders_are_looked_at_before_they_are_taken(change, fault):
    found = fault_of(dict(ORDERS, **change), KINDS)
    assert found == fault if fault is None else found.startswith(fault)


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(folder, "DIR", str(tmp_path))

    def order(**change):
        folder.write("orders.json", dict(ORDERS, **change))

    return order


def test_orders_are_carried_out_once_and_a_lower_token_is_ignored(place):
    authority = Authority(KINDS)
    assert authority.next() is None
    place(token=5)
    assert authority.next()["token"] == 5
    assert authority.next() is None
    place(token=4, run="b")
    assert authority.next() is None
    place(token=6)
    assert authority.next()["token"] == 6
    assert Authority(KINDS).highest() == 6


def test_orders_that_are_no_json_are_none(place, tmp_path):
    (tmp_path / "orders.json").write_text("{")
    assert Authority(KINDS).next() is None


def test_a_higher_token_of_the_same_run_renews_the_authority_and_another_run_ends_it(place, tmp_path):
    authority = Authority(KINDS)
    place(token=1)
    authority.next()
    place(token=2)
    authority.check()
    assert (authority.signature(), authority.newer()) == ({"token": 2, "run": "a"}, None)
    place(token=3, run="b")
    assert authority.newer() == "b"
    with pytest.raises(Refused) as refused:
        authority.check()
    assert refused.value.kind == "Superseded"
    (tmp_path / "stop").write_text("")
    with pytest.raises(Refused) as refused:
        authority.check()
    assert refused.value.kind == "Stopped"


def test_the_folder_is_claimed_by_one_and_left_orders_are_not_carried_out(place, tmp_path):
    place(token=9)
    owner = folder.claim()
    assert not (tmp_path / "orders.json").exists() and Authority(KINDS).highest() == 9
    with pytest.raises(SystemExit) as ended:
        folder.claim()
    assert ended.value.code == 3
    owner.close()


def test_a_file_is_taken_whole_and_is_gone(place):
    folder.write("look", "mark")
    assert json.loads(folder.take("look")) == "mark"
    folder.remove("look", "look")


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (None, ""),
        ("UPDATE dag SET a = 'secret'", "UPDATE dag SET a ="),
        ('SELECT 1 FROM "x"', "SELECT ? FROM"),
        ("SELECT  a\n FROM b -- note", "SELECT a FROM b"),
        ("SELECT a /* note */ FROM b", "SELECT a"),
        ("SELECT $tag$x$tag$", "SELECT"),
        ("x" * 200, "x" * 80),
    ],
)
def test_a_statement_is_told_without_values(statement, words):
    assert first_words(statement) == words


def test_who_keeps_us_waiting():
    assert blocker_in_words(0, None, None, None, None, None).startswith("a prepared transaction")
    assert blocker_in_words(7, "air", "psql", "active", "2026-01-01 00:00", "SELECT 1") == (
        "pid 7, air, psql, active, transaction since 2026-01-01 00:00 UTC, last statement: SELECT ?"
    )
    assert blocker_in_words(7, "air", "psql", None, None, "SELECT 1") == (
        "pid 7, air, psql, in a state that this role may not see"
    )
    assert mysql_blocker_in_words(7, "air", "host", "query", 400, "SELECT 1") == (
        "session 7, air, host, query for more than 5 min, statement: SELECT ?"
    )
    assert mysql_blocker_in_words(7, "air", "host", "sleep", None, None) == "session 7, air, host, sleep"


def test_the_pace_of_a_part_tells_what_is_left_of_it():
    activity = Activity()
    activity.follow_part({"what": "index", "percent": 10}, 0)
    assert activity.remaining({"what": "index", "percent": 11}, 30) == {}
    assert activity.remaining({"what": "index", "percent": 40}, 30) == {"remainingSeconds": 60}
    activity.follow_part({"what": "other", "percent": 50}, 40)
    assert activity.remaining({"what": "other", "percent": 75}, 50) == {"remainingSeconds": 10}
    activity.follow_part(None, 60)
    assert activity.remaining({"what": "other", "percent": None}, 70) == {}


def test_only_more_than_our_own_looks_make_is_a_movement():
    activity = Activity()
    assert not activity.grew({"rows": 5})
    activity.counts = {"rows": 5, "log": 5}
    assert not activity.grew({"rows": 1005, "log": 5})
    assert activity.grew({"rows": 1006, "log": 5}) and activity.grew({"rows": 5, "log": 6})


def test_a_state_begins_when_it_is_another_one():
    activity = Activity()
    assert activity.told() is None
    activity.enter("unknown", activity.since + 5, "why")
    since = activity.since
    activity.enter("unknown", since + 5, "other")
    assert (activity.since, activity.told()["state"], activity.told()["why"]) == (since, "unknown", "other")


def test_alembics_lines_are_followed():
    told = []
    authority = types.SimpleNamespace(
        check=lambda: None, signature=lambda: {"token": 1, "run": "a"}, newer=lambda: None
    )
    progress = Progress(authority, lambda name, value: told.append((name, value)), lambda line: None, 2)
    progress.begin(1, "core", 2, "c")
    logger = logging.getLogger("alembic.runtime.migration")
    logger.info("Context impl PostgresqlImpl.")
    logger.info("Running downgrade c -> b, drop a table")
    logger.info("Running downgrade b -> a")
    progress.end()
    logger.info("Running downgrade a -> 0")
    name, last = told[-1]
    shown = {key: last[key] for key in ("step", "done", "of", "revision", "message", "token", "run")}
    assert name == "progress.json" and len(told) == 3
    assert shown == {"step": 1, "done": 1, "of": 2, "revision": "b", "message": "", "token": 1, "run": "a"}


@pytest.mark.parametrize(
    ("statement", "reads", "changes", "ends"),
    [
        ("SELECT 1", True, False, False),
        ("  show tables", True, False, False),
        ("ALTER TABLE dag DROP x", False, True, False),
        ("UPDATE alembic_version SET version_num='a'", False, False, True),
        ("DELETE FROM alembic_version", False, False, True),
        ("UPDATE dag SET a = 1", False, False, False),
        ("SELECTED", False, False, False),
    ],
)
def test_statements_of_reverse_scripts_by_what_they_do(statement, reads, changes, ends):
    found = [bool(one.match(statement)) for one in (READS, CHANGES_TABLE, ENDS_REVISION)]
    assert found == [reads, changes, ends]


def test_what_a_half_done_script_has_left_is_told():
    assert "the reverse script of abc is half done: 3 statements, and perhaps this: ALTER x." in half_reversed(
        "abc", 3, "ALTER x"
    )


@pytest.mark.parametrize(
    ("error", "kind", "message"),
    [
        (Refused("NoCopy", "there is none"), "NoCopy", "there is none"),
        (ValueError("odd"), "ValueError", "odd"),
        (
            ValueError("canceling due to lock timeout"),
            "LockTimeout",
            "canceling due to lock timeout; kept waiting by x",
        ),
        (Refused("AnotherRunner", "lock timeout"), "AnotherRunner", "lock timeout"),
    ],
)
def test_a_failure_tells_its_kind_and_where(error, kind, message):
    progress = types.SimpleNamespace(blocked_by=["x"], state={"step": 2, "revision": "abc"})
    assert failure(error, progress) == {"kind": kind, "message": message, "step": 2, "revision": "abc"}


def test_every_kind_of_step_is_carried_out():
    assert set(KINDS) == set(get_args(StepKind))
