"""Deferral data in the form of 3.1 and older, made of that of 3.2.

Mappings, lists, tuples and sets are rewritten from JSON to JSON and may hold both forms side by side, as they do in
databases that came up from 3.1. Only what is between them is made into an object and written anew. What the older form
has no place for it holds as text, as 3.1 would have stored it: a Decimal, a UUID, a date, an instance of a class.
"""

from __future__ import annotations

import re
from typing import Any

from downdraft.deferral import EXAMPLES, NESTED_TYPES, UNDECIPHERABLE, is_old_form

# Names of the envelope's keys where 3.2 took Python's enum for the key (apache/airflow #65973).
ENVELOPE_NAMES = {"Encoding.TYPE": "__type", "Encoding.VAR": "__var"}

# Collections by serde's name. The older writer knows no frozenset; a set equals it.
COLLECTIONS = {"builtins.tuple": "tuple", "builtins.set": "set", "builtins.frozenset": "set"}


class Unconvertible(Exception):
    """A row that can't be rewritten; the message holds nothing of what is in it but the names of classes."""


def older_kwargs(value: Any, lost: set[str]) -> Any:
    """Keyword arguments in the older form, read once by its own reader to be sure. Throws Unconvertible."""
    if value is UNDECIPHERABLE:
        raise Unconvertible("no key of this image opens them")
    if not isinstance(value, dict):
        raise Unconvertible("no mapping")
    try:
        from airflow.serialization.serialized_objects import BaseSerialization

        older = older_form(value, lost)
        read = BaseSerialization.deserialize(older)
    except Exception as error:
        # Classes of Airflow, of providers and of people run here; what they say may hold what is in the row.
        classes = ", ".join(sorted(classes_in(value))[:EXAMPLES])
        raise Unconvertible(f"{type(error).__name__} in reading {classes or 'them'}") from error
    if not is_old_form(older) or not isinstance(read, dict):
        raise Unconvertible("no mapping of keyword arguments")
    return older


def classes_in(value: Any) -> set[str]:
    """The names of classes in a JSON value of the new form."""
    if isinstance(value, list):
        return set().union(*map(classes_in, value))
    if not isinstance(value, dict):
        return set()
    name = value.get("__classname__")
    named = {name} if isinstance(name, str) and re.match(r"[\w.]{1,200}$", name) else set()
    return named.union(*map(classes_in, value.values()))


def older_form(value: Any, lost: set[str]) -> Any:
    """A JSON value in the older form. `lost` takes the names of classes of which only text is kept."""
    if isinstance(value, list):
        return [older_form(item, lost) for item in value]
    if not isinstance(value, dict):
        return value
    if set(value) == set(ENVELOPE_NAMES):
        value = {ENVELOPE_NAMES[key]: item for key, item in value.items()}
    if "__classname__" in value and "__version__" in value:
        return older_object(value, lost)
    if "__type" in value and "__var" in value:
        return {"__type": value["__type"], "__var": inside(value["__type"], value["__var"], lost)}
    return envelope("dict", {key: older_form(item, lost) for key, item in value.items()})


def inside(kind: str, value: Any, lost: set[str]) -> Any:
    """What is in an envelope of the older form, where something of the new form may lie deeper."""
    if kind == "dict" and isinstance(value, dict):
        return {key: older_form(item, lost) for key, item in value.items()}
    if kind in ("tuple", "set", *NESTED_TYPES):
        return older_form(value, lost)
    return value


def older_object(value: dict[str, Any], lost: set[str]) -> Any:
    """What serde has stored with its class."""
    collection = COLLECTIONS.get(value["__classname__"])
    if collection and isinstance(value.get("__data__"), list):
        return envelope(collection, older_form(value["__data__"], lost))
    from airflow.sdk.serde import deserialize
    from airflow.serialization.serialized_objects import BaseSerialization

    made = deserialize(value)
    try:
        return BaseSerialization.serialize(made, strict=True)
    except Exception:  # Strictly, the older writer takes nothing that it would keep as text.
        lost.add(value["__classname__"])
        return BaseSerialization.serialize(made)


def envelope(kind: str, value: Any) -> dict[str, Any]:
    return {"__type": kind, "__var": value}
