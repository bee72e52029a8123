"""What stands in the way: revisions that no table knows, and what waits for triggers."""

import json

import pytest

from downdraft.inspect import waiting
from downdraft.inspect.hazards import HAZARDS, not_in_table
from downdraft.inspect.waiting import argument_names, class_name
from downdraft.metadata import identity_by


def test_revisions_newer_than_the_table_are_unchecked():
    newest = HAZARDS["checkedThrough"]
    told = {"id": "not-in-table", "crosses": "new", "effect": "unchecked", "what": "new", "count": None}
    assert not_in_table(["new", newest, "old"]) == [told]
    assert not_in_table(["unknown", "chain"]) == []


@pytest.mark.parametrize(
    ("path", "told"),
    [
        ("airflow.triggers.X", "airflow.triggers.X"),
        ("$(HOME)", None),
        ("1.X", None),
        ("a.X\n", None),
        ("a" * 300, None),
        (None, None),
    ],
)
def test_only_what_can_be_a_class_is_told(path, told):
    assert class_name(path) == told


@pytest.mark.parametrize(
    ("stored", "names"),
    [
        ({"__type": "dict", "__var": {"b": 1, "a": 2}}, ("a", "b")),
        ('{"__type": "dict", "__var": {"__type": "dict", "__var": {"a": 2}}}', ("a",)),
        ('{"Encoding.TYPE": "dict", "Encoding.VAR": {"a": 2}}', ("a",)),
        ("{}", ()),
        ("[1]", None),
        ("{", None),
        ('{"$(HOME)": 1}', None),
        (json.dumps({f"a{number}": 1 for number in range(41)}), None),
    ],
)
def test_names_of_arguments_and_never_a_value(stored, names):
    assert argument_names(stored) == names


@pytest.fixture
def deferred(monkeypatch):
    """Only tasks wait, in these rows."""

    def listed(rows):
        monkeypatch.setattr(waiting, "has_column", lambda _connection, table, _column: table == "task_instance")
        monkeypatch.setattr(waiting, "referred_triggers", lambda *_place: rows)
        return waiting.waiting_triggers(None)

    return listed


def test_a_hundred_kinds_are_listed_the_most_awaited_first_and_the_others_counted_together(deferred):
    found = deferred([(f"x.Y{number}", '{"a": 1}', number) for number in range(1, 151)])
    assert len(found) == 101
    assert [found[0]["class"], found[99]["class"]] == ["x.Y150", "x.Y51"]
    assert found[100] == {"class": None, "arguments": None, "tasks": 50 * 51 // 2, "watchers": 0, "callbacks": 0}


def test_what_there_is_no_time_to_open_has_no_names_of_arguments(deferred, monkeypatch):
    monkeypatch.setattr(waiting, "OPENING_SECONDS", 0)
    found = deferred([("x.Y", '{"a": 1}', 1)] * 3)
    assert found == [{"class": "x.Y", "arguments": None, "tasks": 3, "watchers": 0, "callbacks": 0}]


@pytest.mark.parametrize(
    ("dialect", "answers", "cluster"),
    [
        ("postgresql", [(True,), ("air", 7, 8)], "pg_control_system"),
        ("postgresql", [(False,), ("air", 7, "")], "'' AS cluster"),
        ("mysql", [(0,), ("air", "", "uuid")], "@@server_uuid"),
        ("mysql", [(1,), ("air", "", "uuid")], "WSREP_CLUSTER_STATE_UUID"),
        ("sqlite", [("/file", "", "")], "pragma_database_list"),
    ],
)
def test_which_database_it_is_is_asked_of_each_kind_of_server(dialect, answers, cluster):
    asked, left = [], iter(answers)

    def first_row(sql):
        asked.append(sql)
        return next(left)

    assert identity_by(first_row, dialect) == dict(zip(("database", "oid", "cluster"), map(str, answers[-1])))
    assert cluster in asked[-1]


def test_another_kind_of_server_has_no_identity():
    with pytest.raises(NotImplementedError):
        identity_by(lambda _sql: (), "oracle")
