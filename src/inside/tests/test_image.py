"""What scripts on disk say, read from modules made for it."""

import importlib
import sys
import types

import pytest

from downdraft.image import chain_of, class_path, import_class, is_installed, package_of, script_says
from downdraft.steps.reversible import reverses, without_reverse

SCRIPT = """
airflow_version = "3.1.0"

def downgrade():
    {body}
"""


class Scripts:
    """Alembic's ScriptDirectory, as far as it is asked."""

    def __init__(self, *scripts):
        self.scripts = scripts

    def walk_revisions(self):
        return iter(self.scripts)

    def get_revision(self, revision):
        return next(script for script in self.scripts if script.revision == revision)


@pytest.fixture
def script(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))

    def make(revision, down, body):
        (tmp_path / f"revision_{revision}.py").write_text(SCRIPT.format(body=body))
        module = importlib.import_module(f"revision_{revision}")
        return types.SimpleNamespace(revision=revision, down_revision=down, module=module)

    yield make
    for name in [name for name in sys.modules if name.startswith("revision_")]:
        del sys.modules[name]


@pytest.mark.parametrize(
    ("body", "real"),
    [
        ("op.drop_table('x')", True),
        ("pass", False),
        ("...", False),
        ('"""Nothing to do."""', False),
        ("raise NotImplementedError()", False),
        ("return", False),
        ('"""Drops."""\n    op.drop_table("x")', True),
    ],
)
def test_a_reverse_script_is_one_that_does_something(script, body, real):
    assert reverses(script("a", None, body)) is real


def test_a_script_without_a_downgrade_does_not_reverse():
    assert reverses(types.SimpleNamespace(module=types.SimpleNamespace())) is False


def test_the_first_script_needs_no_reverse_unless_it_is_asked_for(script):
    scripts = Scripts(script("c", "b", "raise"), script("b", "a", "op.x()"), script("a", None, "pass"))
    assert without_reverse(scripts) == ["c"]
    assert without_reverse(scripts, ["b", "a"]) == ["a"]


def test_words_of_a_reverse_script_are_found_and_what_has_no_text_has_none(script):
    scripts = Scripts(script("a", None, "next_dagrun = NULL"), types.SimpleNamespace(revision="b", module=None))
    assert script_says(scripts, "a", "next_dagrun = NULL")
    assert not script_says(scripts, "a", "something else")
    assert not script_says(scripts, "b", "something else")


def test_a_chain_tells_revisions_what_is_below_and_the_label(script):
    merged = script("c", ("a", "b"), "pass")
    assert chain_of(Scripts(merged, script("a", None, "pass"))) == [
        {"revision": "c", "down": ["a", "b"], "version": "3.1.0"},
        {"revision": "a", "down": None, "version": "3.1.0"},
    ]


def test_classes_by_their_paths():
    assert class_path(import_class(" collections.OrderedDict ")) == "collections.OrderedDict"
    assert is_installed("json.decoder.JSONDecoder") and not is_installed("no.such.module.Class")
    with pytest.raises(ImportError):
        import_class("no.such.module.Class")


def test_a_provider_is_named_after_its_module_the_longest_first(monkeypatch):
    versions = {"apache-airflow-providers-fab": "3.6.1", "ruff": "0.1"}

    def version(name):
        if name not in versions:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setattr(importlib.metadata, "packages_distributions", lambda: {"mine": ["ruff"]}, raising=False)
    assert package_of("airflow.providers.fab.auth_manager.models.db") == ("apache-airflow-providers-fab", "3.6.1")
    assert package_of("mine.models") == ("ruff", "0.1")
    assert package_of("other.models") == (None, None)
