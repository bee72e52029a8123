"""Operators, triggers and callbacks of the matrix's Dags, for Airflow 2.7 to 3.3. On PYTHONPATH, so a trigger finds it."""
import asyncio
import os
from datetime import datetime, timedelta, timezone
from decimal import Decimal

try:
    from airflow.sdk import BaseOperator
except ImportError:
    from airflow.models.baseoperator import BaseOperator
from airflow.triggers.base import BaseTrigger, TriggerEvent

NOON = datetime(2025, 1, 1, 12, tzinfo=timezone.utc)

# What a task hands to its own later self: every kind of value that all versions can write.
HANDED_ON = {
    "since": NOON,
    "span": timedelta(hours=1, seconds=3),
    "names": ("a", "b"),
    "labels": {"x", "y"},
    "limits": {"deep": {"at": NOON, "pairs": [(1, 2), (3, 4)]}, "empty": {}},
    "text": "ünïcode",
    "nothing": None,
}

# One XCom each. Airflow before 3.0 writes JSON, newer ones too, with typed values inside.
XCOMS = {
    "whole": 7,
    "real": 1.5,
    "yes": True,
    "none": None,
    "text": "ünïcode \\ \" '",
    "list": [1, "two", [3.0, None]],
    "dict": {"a": {"b": [1, 2, {"c": "d"}]}},
    "moment": NOON,
    "tuple": (1, ("two", 3)),
    "set": {1, 2, 3},
    "decimal": Decimal("12.50"),
    "long": "x" * 10_000,
}


class GateOpens(BaseTrigger):
    """Fires when the file of $MATRIX_GATE is there."""

    def __init__(self, moment, span, names, limits):
        super().__init__()
        self.told = {"moment": moment, "span": span, "names": names, "limits": limits}

    def serialize(self):
        return "matrix_parts.GateOpens", self.told

    async def run(self):
        while not os.path.exists(os.environ["MATRIX_GATE"]):
            await asyncio.sleep(0.5)
        # What came through the database must be of the type that went in.
        yield TriggerEvent({name: type(value).__name__ for name, value in self.told.items()})


class WaitsForGate(BaseOperator):
    """Is deferred until the gate opens, and fails when what it handed on has changed on the way."""

    def execute(self, context):
        trigger = GateOpens(
            moment=NOON, span=HANDED_ON["span"], names=HANDED_ON["names"], limits=HANDED_ON["limits"]
        )
        self.defer(trigger=trigger, method_name="passed", kwargs=dict(HANDED_ON))

    def passed(self, context, event=None, **handed_on):
        if handed_on != HANDED_ON:
            raise ValueError("was handed on as %r" % handed_on)
        return event


async def late(**kwargs):
    """What a missed deadline calls."""
    return "late"
