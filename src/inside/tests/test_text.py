"""Errors and numbers as text: nothing secret, one line."""

import sys
import types

import pytest

from downdraft.text import masked, megabytes, named, one_line


class ByDriver(Exception):
    """An error as SQLAlchemy wraps one."""

    def __init__(self, orig, statement=None):
        super().__init__("(driver) " + str(orig))
        self.orig, self.statement = orig, statement


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (ValueError("first\nsecond"), "first"),
        (ValueError(""), "ValueError"),
        (ValueError("\n\n  late  "), "late"),
        (ByDriver(Exception(1045, "Access denied")), "Access denied"),
        (ByDriver(Exception("duplicate key\nDETAIL: Key (id)=(secret)")), "duplicate key"),
        (ByDriver(Exception("no"), "SELECT\n  1"), "no (in: SELECT 1)"),
    ],
)
def test_an_error_is_told_in_one_line_without_what_follows(error, line):
    assert one_line(error) == line


def test_an_error_and_its_statement_have_a_limit():
    assert len(one_line(ValueError("x" * 5000))) == 600
    assert one_line(ByDriver(Exception("no"), "y" * 500)) == f"no (in: {'y' * 160})"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://air:pw@db/air", "postgresql://air:***@db/air"),
        ("postgresql://air:p@ss@db/air", "postgresql://air:***@db/air"),
        ("redis://:pw@host", "redis://:***@host"),
        ("password=pw user=air", "password=*** user=air"),
        ("a Token=abc&x=1", "a Token=***&x=1"),
        ("Cannot execute printf x. Error code is: 3. Output: s3cret", "a command of the configuration ended with 3"),
        ("nothing at all", "nothing at all"),
    ],
)
def test_passwords_are_masked(text, shown):
    assert masked(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("login p%40ss failed", "login *** failed"),
        ("login p@ss failed", "login *** failed"),
        ("to mysql://air:p%40ss@db/air", "to ***"),
    ],
)
def test_the_password_of_the_metadata_connection_is_masked_in_either_form(monkeypatch, text, shown):
    settings = types.SimpleNamespace(SQL_ALCHEMY_CONN="mysql://air:p%40ss@db/air")
    monkeypatch.setitem(sys.modules, "airflow.settings", settings)
    assert masked(text) == shown


def test_a_password_of_a_few_letters_does_not_make_every_message_unreadable(monkeypatch):
    settings = types.SimpleNamespace(SQL_ALCHEMY_CONN="mysql://air:a@db/air")
    monkeypatch.setitem(sys.modules, "airflow.settings", settings)
    assert masked("a table") == "a table"


def test_names_and_sizes():
    assert (named("public", "dag"), megabytes(1_550_000)) == ("public.dag", "1.6 MB")
