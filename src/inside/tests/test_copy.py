"""Names and marks of copies, and what is refused."""

import json
import types

import pytest

from downdraft.backup.copy import look_at_names, refuse_difference
from downdraft.backup.copyable import missing_rights
from downdraft.backup.marks import birthmark, is_of_this_run, mark_of
from downdraft.backup.returning import setting_text
from downdraft.backup.server import sql_name, sql_text, sqlstate, utc_now
from standins import IDENTITY, Work, kind_of


def test_names_and_texts_in_sql_are_quoted():
    assert sql_name("a", 'b"c%') == '"a"."b""c%"'
    assert (sql_text("it's"), sql_text(None)) == ("'it''s'", "NULL")
    assert utc_now().endswith("Z")


def test_an_error_of_postgresql_has_five_letters_and_others_have_none():
    by_psycopg2 = types.SimpleNamespace(orig=types.SimpleNamespace(pgcode="55006"))
    by_psycopg3 = types.SimpleNamespace(orig=types.SimpleNamespace(sqlstate="53100"))
    assert (sqlstate(by_psycopg2), sqlstate(by_psycopg3), sqlstate(ValueError())) == ("55006", "53100", None)


@pytest.mark.parametrize(
    ("parameter", "value", "text"),
    [
        ("work_mem", "4MB", "'4MB'"),
        ("search_path", 'air, "$user", "A ""b"""', "'air', '$user', 'A \"b\"'"),
        ("search_path", "", "''"),
    ],
)
def test_lists_of_names_are_set_name_by_name(parameter, value, text):
    assert setting_text(parameter, value) == text


@pytest.mark.parametrize(
    ("rights", "missing"),
    [
        ({}, []),
        ({"super": True, "creates": False, "owns": False}, []),
        ({"standby": True}, ["this server is a standby; a copy is made on the primary"]),
        ({"creates": False}, ["the role air may not create databases: ALTER ROLE ... CREATEDB"]),
        ({"owns": False}, ["the database belongs to boss, and the role air is not a member of it"]),
    ],
)
def test_rights_that_a_copy_needs(rights, missing):
    about = {"standby": False, "super": False, "creates": True, "owns": True, "role": "air", "owner": "boss"}
    assert missing_rights(types.SimpleNamespace(**dict(about, **rights))) == missing


def row(comment=None, connections=-1, owner="air", oid="7"):
    return types.SimpleNamespace(comment=comment, connections=connections, owner=owner, oid=oid)


@pytest.mark.parametrize(
    ("comment", "ours"),
    [
        (json.dumps({"downdraft": "run", "oid": "7"}), True),
        (json.dumps({"downdraft": "run", "oid": "8"}), False),
        (json.dumps({"downdraft": 1, "oid": "7"}), False),
        (json.dumps(["downdraft"]), False),
        ("a database of mine", False),
        (None, False),
    ],
)
def test_a_database_is_ours_by_a_comment_that_is_meant_for_it(comment, ours):
    assert (mark_of(row(comment)) is not None) is ours


def test_a_copy_is_of_this_run_by_its_comment_or_its_birthmark():
    order, original = {"name": "copy", "run": "run"}, row()
    ours = {"downdraft": "run", "of": IDENTITY, "oid": "7"}
    assert is_of_this_run(row(json.dumps(ours)), order, original, Work())
    assert is_of_this_run(row(connections=birthmark("copy")), order, original, Work())
    assert not is_of_this_run(row(connections=birthmark("other")), order, original, Work())
    assert not is_of_this_run(row("mine", birthmark("copy")), order, original, Work())
    assert not is_of_this_run(row(json.dumps(dict(ours, downdraft="other"))), order, original, Work())
    assert not is_of_this_run(row(json.dumps(ours), owner="other"), order, original, Work())
    assert 1 << 30 <= birthmark("copy") < 1 << 31


@pytest.mark.parametrize(
    ("order", "kind"),
    [
        ({}, "BadOrder"),
        ({"name": ""}, "BadOrder"),
        ({"name": 1}, "BadOrder"),
        ({"name": "é" * 32}, "NameTooLong"),
        ({"name": "air"}, "NameTaken"),
        ({"name": "postgres"}, "NameTaken"),
        ({"name": "copy", "aside": "air"}, "NameTaken"),
    ],
)
def test_names_of_databases_that_can_not_be_are_refused(order, kind):
    if "name" not in order:
        order["name"] = None
    assert kind_of(look_at_names, dict(order, kind="copy"), Work()) == kind


def test_a_name_of_63_bytes_is_taken():
    look_at_names({"kind": "copy", "name": "x" * 63}, Work())


@pytest.mark.parametrize(
    ("copy", "differs"),
    [(({"a": ["1"]}, {"a.t": 1}), False), (({"a": ["2"]}, {"a.t": 1}), True), (({"a": ["1"]}, {}), True)],
)
def test_a_copy_that_is_not_as_the_original_is_refused(copy, differs):
    original = ({"a": ["1"]}, {"a.t": 1})
    if differs:
        assert kind_of(refuse_difference, "copy", original, copy) == "CopyDiffers"
    else:
        refuse_difference("copy", original, copy)
