"""The programs that only answer: triggers, digests, and the environment that they take over."""

import os
import socket
import subprocess
import sys
import time
import types

import pytest

from downdraft import environment
from downdraft.digests import keyed, listed, picked
from downdraft.environment import adopt, await_proxy, named_file
from downdraft.triggers import take_up, take_ups


class Takes:
    """A trigger."""

    def __init__(self, moment, *, end=None):
        pass


class TakesAll:
    """A trigger of any arguments."""

    def __init__(self, first, **rest):
        pass


NO_CLASS = 1


@pytest.mark.parametrize(
    ("path", "names", "told"),
    [
        (f"{__name__}.Takes", ["moment", "end"], {}),
        (f"{__name__}.Takes", ["moment", "later", "a"], {"refuses": ["a", "later"]}),
        (f"{__name__}.Takes", ["end"], {"needs": ["moment"]}),
        (f"{__name__}.TakesAll", ["first", "second"], {}),
        (f"{__name__}.NO_CLASS", [], {"lacks": "it is no class"}),
        ("no.such.Class", [], {"lacks": "No module named 'no'"}),
    ],
)
def test_a_trigger_is_taken_up_by_its_class_and_the_names_of_arguments(path, names, told):
    assert take_up(path, names) == told


def test_a_module_that_ends_its_process_is_not_known_and_the_others_are(tmp_path, monkeypatch):
    (tmp_path / "ends.py").write_text("import os; os._exit(3)")
    (tmp_path / "refuses.py").write_text("raise SystemExit('not today')")
    monkeypatch.syspath_prepend(str(tmp_path))
    paths = [f"{__name__}.Takes", "ends.X", "refuses.X", f"{__name__}.TakesAll"]
    answers = take_ups([{"class": path, "arguments": ["moment"]} for path in paths])
    told = [{key: one[key] for key in one if key not in ("class", "arguments")} for one in answers]
    assert told == [
        {},
        {"notKnown": "importing it ended the process"},
        {"lacks": "SystemExit: not today"},
        {"needs": ["first"]},
    ]


def test_a_digest_is_of_name_value_and_key():
    digest = keyed("ff", "host", "db")
    assert len(digest) == 64 and keyed("ff", "host", None) is None
    assert len({digest, keyed("fe", "host", "db"), keyed("ff", "credentials", "db"), keyed("ff", "host", "d")}) == 4


def test_what_is_compared_is_in_one_form():
    assert (listed(" a, b ,c"), listed(None)) == ("a,b,c", "")
    assert picked(("a", "b", "c", "d"), {"a": 1, "b": "", "c": None}) == [("a", "1")]


@pytest.fixture
def proxy(monkeypatch):
    """The addresses that are tried, of which the first few refuse."""
    tried = []

    def wait(host, port, refusals=0):
        def connect(address, timeout):
            tried.append(address)
            if len(tried) <= refusals:
                raise ConnectionRefusedError
            return types.SimpleNamespace(close=lambda: None)

        monkeypatch.setattr(socket, "create_connection", connect)
        monkeypatch.setattr(time, "sleep", lambda _seconds: None)
        monkeypatch.setattr(environment, "PROXY_SECONDS", 3600)
        url, dialect = types.SimpleNamespace(host=host, port=port), types.SimpleNamespace(name="postgresql")
        await_proxy(types.SimpleNamespace(url=url, dialect=dialect))
        return tried

    return wait


@pytest.mark.parametrize(
    ("host", "port", "tried"),
    [
        ("127.0.0.1", 6432, [("127.0.0.1", 6432)]),
        ("localhost", None, [("localhost", 5432)]),
        ("::1", None, [("::1", 5432)]),
        ("db.corp", 5432, []),
        ("127.corp", 5432, []),
        ("localhost.corp", 5432, []),
        (None, None, []),
    ],
)
def test_only_at_an_address_of_the_pod_itself_a_proxy_is_waited_for(proxy, host, port, tried):
    assert proxy(host, port) == tried


def test_a_proxy_is_waited_for_until_it_listens(proxy):
    assert len(proxy("localhost", None, refusals=6)) == 7


def test_the_environment_of_a_process_is_taken_over_with_our_own_settings(monkeypatch):
    for name, value in (("DOWNDRAFT_DIR", "/ours"), ("ONLY_HERE", "1"), ("PATH", os.environ["PATH"])):
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "path", list(sys.path))
    given = {"PATH": os.environ["PATH"], "PYTHONPATH": "/of/airflow", "DOWNDRAFT_DIR": "/theirs", "TOLD": "x"}
    before = dict(os.environ)
    with subprocess.Popen(["cat"], env=given, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0) as process:
        try:
            # Only once it answers, its environment is certainly its own.
            process.stdin.write(b"\n")
            assert process.stdout.read(1) == b"\n"
            assert not adopt(process.pid, lambda env: env.get("TOLD") == "y")
            assert dict(os.environ) == before
            assert adopt(process.pid, lambda env: env.get("TOLD") == "x")
            taken = {name: os.environ.get(name) for name in ("TOLD", "DOWNDRAFT_DIR", "ONLY_HERE")}
            assert taken == {"TOLD": "x", "DOWNDRAFT_DIR": "/ours", "ONLY_HERE": None}
            assert sys.path[0] == "/of/airflow"
        finally:
            os.environ.clear()
            os.environ.update(before)
            process.kill()


def test_a_file_of_sqlite_counts_only_where_it_is_and_was_told(monkeypatch, tmp_path):
    configuration = types.SimpleNamespace(AIRFLOW_HOME=str(tmp_path))
    monkeypatch.setitem(sys.modules, "airflow", types.SimpleNamespace())
    monkeypatch.setitem(sys.modules, "airflow.configuration", configuration)
    for name in [name for name in os.environ if "SQL_ALCHEMY_CONN" in name]:
        monkeypatch.delenv(name)

    def engine(kind, file):
        return types.SimpleNamespace(
            dialect=types.SimpleNamespace(name=kind), url=types.SimpleNamespace(database=str(file))
        )

    default = tmp_path / "airflow.db"
    assert named_file(engine("mysql", "air")) is None
    with pytest.raises(LookupError):
        named_file(engine("sqlite", default))
    with pytest.raises(FileNotFoundError):
        named_file(engine("sqlite", default), confirmed=True)
    default.write_text("")
    assert named_file(engine("sqlite", default), confirmed=True) == default
    assert not list(tmp_path.glob("other*"))
