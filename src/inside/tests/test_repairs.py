"""What `repair` makes of rows: serialized Dags, deadlines, configurations of runs."""

import json
import pickle
import zlib

import pytest

from downdraft.steps.confs import conf_of
from downdraft.steps.renames import mend_deadlines, stored_dag, with_older_callbacks
from downdraft.steps.repair import in_older_format

NEWER, OLDER = "airflow.sdk.definitions.callback.AsyncCallback", "airflow.sdk.definitions.deadline.AsyncCallback"


class Odd:
    """A value that is no plain one."""


def dag(*alerts):
    return {"dag": {"deadline": list(alerts)}}


def alert(name):
    return {"__var": {"callback": {"__classname__": name}}}


@pytest.mark.parametrize(
    ("given", "mended"),
    [
        (dag(alert(NEWER)), dag(alert(OLDER))),
        ({"dag": {"deadline": alert(NEWER)}}, {"dag": {"deadline": alert(OLDER)}}),
        (dag(alert(OLDER)), None),
        (dag(alert("mine.Callback")), None),
        (dag(), None),
        ({}, None),
        ({"dag": None}, None),
        ({"dag": {"deadline": None}}, None),
        (dag("00000000-0000-0000-0000-000000000001"), {"dag": {"deadline": None}}),
        (dag({"callback": json.dumps({"__classname__": NEWER})}), dag({"callback": {"__classname__": OLDER}})),
        (dag({"reference": '{"a": 1}', "callback": None}), dag({"reference": {"a": 1}, "callback": None})),
        (dag({"reference": "no JSON", "callback": 1}), None),
    ],
)
def test_deadlines_are_as_3_1_writes_them(given, mended):
    assert with_older_callbacks(given, False) == mended


def test_a_dag_that_can_not_be_read_is_left():
    assert mend_deadlines(None) is False


@pytest.mark.parametrize(
    ("data", "compressed", "value"),
    [
        ('{"a": 1}', None, {"a": 1}),
        (b'{"a": 1}', None, {"a": 1}),
        ({"a": 1}, None, {"a": 1}),
        (None, zlib.compress(b'{"a": 1}'), {"a": 1}),
        (None, b"spoiled", None),
        ("{", None, None),
        (None, None, None),
    ],
)
def test_a_serialized_dag_is_read_in_each_of_its_forms(data, compressed, value):
    assert stored_dag(data, compressed) == value


def test_compressed_dags_of_format_3_alone_are_made_older():
    newer = {"__version": 3, "client_defaults": {}, "dag": {}}
    assert in_older_format(dict(newer), False) is None
    assert in_older_format({"__version": 2}, True) is None
    assert in_older_format(dict(newer), True) == {"__version": 2, "dag": {}}


@pytest.mark.parametrize("value", [{"a": 1}, [1], None])
def test_a_pickled_text_of_json_becomes_its_value(value):
    assert pickle.loads(conf_of(pickle.dumps(json.dumps(value)))) == value


@pytest.mark.parametrize(
    "stored",
    [pickle.dumps({"a": 1}), pickle.dumps('"text"'), pickle.dumps("no JSON"), pickle.dumps(Odd()), b"", None],
)
def test_any_other_configuration_is_left(stored):
    assert conf_of(stored) is None
