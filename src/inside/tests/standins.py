"""What stands in for a step's work."""

import types

import pytest

from downdraft.refused import Refused

IDENTITY = {"database": "air", "oid": "1", "cluster": "2"}


class Work:
    """A step's work at which nobody looks."""

    def __init__(self):
        nothing = lambda *_, **__: None  # noqa: E731
        self.guard = types.SimpleNamespace(identity=IDENTITY)
        self.progress, self.authority = types.SimpleNamespace(tell=nothing), types.SimpleNamespace(check=nothing)


def kind_of(refusing, *given):
    with pytest.raises(Refused) as refused:
        refusing(*given)
    return refused.value.kind
