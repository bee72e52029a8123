"""The two forms of deferral data, and the way from the newer to the older."""

import json
import types

import pytest

from downdraft.deferral import LAST_HEAD_OF_OLD_FORM, UNDECIPHERABLE, is_old_form, opened, writes_new_form
from downdraft.steps import convert
from downdraft.steps.convert import fault_at, sift, update_sql
from downdraft.steps.olderform import Unconvertible, classes_in, older_form, older_kwargs

OLD = {"__type": "dict", "__var": {"a": 1}}


@pytest.mark.parametrize(
    ("value", "old"),
    [
        (1, True),
        (None, True),
        ([1, "x"], True),
        (OLD, True),
        ({}, False),
        ({"a": 1}, False),
        ([OLD, {"a": 1}], False),
        ({"__type": "dict", "__var": 1}, False),
        ({"__type": "dict", "__var": {"a": {"b": 1}}}, False),
        ({"__type": "tuple", "__var": [{"b": 1}]}, False),
        ({"__type": "set", "__var": [1]}, True),
        ({"__type": "base_trigger", "__var": {"a": 1}}, False),
        ({"__type": "base_exc_ser", "__var": OLD}, True),
        ({"__type": "pod", "__var": {"metadata": {"name": "x"}}}, True),
        ({"__classname__": "datetime.datetime", "__version__": 2, "__data__": {}}, False),
    ],
)
def test_the_older_reader_takes_envelopes_to_their_depth_alone(value, old):
    assert is_old_form(value) is old


@pytest.mark.parametrize(
    ("revisions", "heads", "newer"),
    [
        ([LAST_HEAD_OF_OLD_FORM], [LAST_HEAD_OF_OLD_FORM], False),
        (["new", LAST_HEAD_OF_OLD_FORM], ["new"], True),
        (["older"], ["older"], False),
    ],
)
def test_an_image_writes_the_new_form_when_its_scripts_go_on_after_3_1_8(revisions, heads, newer):
    assert writes_new_form([{"revision": revision} for revision in revisions], heads) is newer


def test_what_is_no_json_is_not_known():
    assert opened("next_kwargs", '{"a": 1}') == {"a": 1}
    assert opened("kwargs", '{"a": 1}') == {"a": 1}
    assert opened("next_kwargs", "{") is UNDECIPHERABLE


@pytest.mark.parametrize(
    ("value", "older"),
    [
        (1, 1),
        ({"a": 1}, {"__type": "dict", "__var": {"a": 1}}),
        ([{"a": []}], [{"__type": "dict", "__var": {"a": []}}]),
        (OLD, OLD),
        ({"Encoding.TYPE": "dict", "Encoding.VAR": {"a": 1}}, OLD),
        (
            {"__type": "dict", "__var": {"a": {"b": 1}}},
            {"__type": "dict", "__var": {"a": {"__type": "dict", "__var": {"b": 1}}}},
        ),
        (
            {"__classname__": "builtins.tuple", "__version__": 1, "__data__": [{"a": 1}]},
            {"__type": "tuple", "__var": [{"__type": "dict", "__var": {"a": 1}}]},
        ),
        (
            {"__classname__": "builtins.frozenset", "__version__": 1, "__data__": [1]},
            {"__type": "set", "__var": [1]},
        ),
        ({"__type": "pod", "__var": {"a": {"b": 1}}}, {"__type": "pod", "__var": {"a": {"b": 1}}}),
    ],
)
def test_mappings_and_collections_are_rewritten_and_what_is_old_stays(value, older):
    lost = set()
    assert older_form(value, lost) == older
    assert is_old_form(older) and not lost


def test_names_of_classes_are_told_and_nothing_that_is_no_name():
    value = [{"__classname__": "a.B", "__data__": {"x": {"__classname__": "c.D"}}}, {"__classname__": "not a name"}, 1]
    assert classes_in(value) == {"a.B", "c.D"}


@pytest.mark.parametrize(
    ("value", "why"),
    [(UNDECIPHERABLE, "no key of this image opens them"), ([1], "no mapping"), ("x", "no mapping")],
)
def test_what_can_not_be_rewritten_says_why(value, why):
    with pytest.raises(Unconvertible, match=why):
        older_kwargs(value, set())


@pytest.fixture
def older_reader(monkeypatch):
    """An Airflow whose older reader opens the outermost envelope."""
    serialization = types.SimpleNamespace(deserialize=lambda value: value["__var"])
    module = types.SimpleNamespace(BaseSerialization=serialization)
    for name in ("airflow", "airflow.serialization", "airflow.serialization.serialized_objects"):
        monkeypatch.setitem(__import__("sys").modules, name, module)


def test_keyword_arguments_are_read_once_by_the_older_reader(older_reader):
    assert older_kwargs({"a": {"b": 1}}, set()) == {
        "__type": "dict",
        "__var": {"a": {"__type": "dict", "__var": {"b": 1}}},
    }
    with pytest.raises(Unconvertible, match="in reading a.B"):
        older_kwargs({"a": {"__classname__": "a.B", "__version__": 1, "__data__": {}}}, set())


def test_rows_are_sifted_by_what_keeps_them_from_being_rewritten(monkeypatch, older_reader):
    rows = [((1,), {"a": 1}), ((2,), UNDECIPHERABLE), ((3,), [1]), ((4,), UNDECIPHERABLE)]
    monkeypatch.setattr("downdraft.steps.convert.unreadable_values", lambda _connection, *_place: rows)
    keys, wrong = sift(None, ("trigger", "kwargs"), lambda: None)
    assert keys == [(1,)]
    assert wrong == {"no key of this image opens them": [(2,), (4,)], "no mapping": [(3,)]}


@pytest.mark.parametrize(
    ("dialect", "place", "sql"),
    [
        (
            "postgresql",
            ("task_instance", "next_kwargs"),
            'UPDATE "air"."task_instance" SET "next_kwargs" = CAST(:written AS jsonb)'
            ' WHERE "a" = :key0 AND "b" = :key1',
        ),
        ("mysql", ("trigger", "kwargs"), 'UPDATE "trigger" SET "kwargs" = :written WHERE "a" = :key0 AND "b" = :key1'),
    ],
)
def test_a_row_is_written_by_its_whole_key(monkeypatch, dialect, place, sql):
    monkeypatch.setattr(convert, "key_columns", lambda _connection, _table: ["a", "b"])
    monkeypatch.setattr(convert, "schema_of", lambda _connection: "air" if dialect == "postgresql" else None)
    preparer = types.SimpleNamespace(quote=lambda name: f'"{name}"')
    connection = types.SimpleNamespace(dialect=types.SimpleNamespace(name=dialect, identifier_preparer=preparer))
    assert update_sql(connection, *place) == sql


def test_a_fault_names_a_few_rows():
    keys = [(number,) for number in range(7)]
    assert json.loads(json.dumps(fault_at(("trigger", "kwargs"), "why", keys))) == {
        "table": "trigger",
        "column": "kwargs",
        "count": 7,
        "ids": "0, 1, 2, 3, 4, …",
        "why": "why",
    }
