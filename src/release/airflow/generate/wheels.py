"""Reads migration scripts out of wheels without running them.

Usage: python3 wheels.py WHEEL...   Writes one JSON object per wheel, one a line, in the order given:

  file, sha256   name and digest of the wheel
  revisions      {revision: [the revisions it follows]}, from migrations/versions/*.py
  headsMap       {version: revision}, the _REVISION_HEADS_MAP beside them ({} where there is none)
  managers       [{class, versionTable}], subclasses of BaseDBManager; empty for Airflow itself
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
import sys
import zipfile

SCRIPT = re.compile(r"airflow/(providers/\w+/)?migrations/versions/(?!__init__)\w+\.py")
# Airflow keeps its map in utils/db.py, the providers theirs beside the manager.
DATABASE_MODULE = re.compile(r"airflow/(utils|providers/\w+/(\w+/)?models)/db\.py")


def assigned(body: list[ast.stmt]) -> dict[str, object]:
    """Returns the names that these statements set to a literal; anything computed is left out."""
    values: dict[str, object] = {}
    for statement in body:
        if isinstance(statement, ast.Assign):
            targets, value = statement.targets, statement.value
        elif isinstance(statement, ast.AnnAssign) and statement.value:
            targets, value = [statement.target], statement.value
        else:
            continue
        try:
            literal = ast.literal_eval(value)
        except ValueError:
            continue
        values.update({target.id: literal for target in targets if isinstance(target, ast.Name)})
    return values


def read_revision(source: bytes, path: str) -> tuple[str, list[str]]:
    """Returns a script's revision and the revisions it follows. Raises ValueError when either is not a literal."""
    values = assigned(ast.parse(source, path).body)
    if not isinstance(values.get("revision"), str) or "down_revision" not in values:
        raise ValueError(f"{path} sets no literal revision and down_revision")
    down = values["down_revision"]
    return values["revision"], [down] if isinstance(down, str) else list(down or [])


def read_managers(module: ast.Module, path: str) -> list[dict[str, str]]:
    """Returns the database managers defined in a module."""
    dotted = path.removesuffix(".py").replace("/", ".")
    found = []
    for node in module.body:
        if not isinstance(node, ast.ClassDef) or "BaseDBManager" not in map(ast.unparse, node.bases):
            continue
        table = assigned(node.body).get("version_table_name")
        if not isinstance(table, str):
            raise ValueError(f"{dotted}.{node.name} sets no literal version_table_name")
        found.append({"class": f"{dotted}.{node.name}", "versionTable": table})
    return found


def read_wheel(path: str) -> dict[str, object]:
    """Returns what the wheel at this path says of its schema. Raises ValueError when a script can't be understood."""
    with open(path, "rb") as wheel:
        digest = hashlib.sha256(wheel.read()).hexdigest()
    revisions: dict[str, list[str]] = {}
    heads_map: dict[str, str] = {}
    managers: list[dict[str, str]] = []
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if SCRIPT.fullmatch(name):
                revision, down = read_revision(archive.read(name), name)
                if revision in revisions:
                    raise ValueError(f"{path} has two scripts for revision {revision}")
                revisions[revision] = down
            elif DATABASE_MODULE.fullmatch(name):
                module = ast.parse(archive.read(name), name)
                names = assigned(module.body)
                # 2.7.0 still calls it by the name without the underscore.
                heads_map |= names.get("_REVISION_HEADS_MAP") or names.get("REVISION_HEADS_MAP") or {}
                managers += read_managers(module, name)
    return {
        "file": path.rpartition("/")[2],
        "sha256": digest,
        "revisions": revisions,
        "headsMap": heads_map,
        "managers": managers,
    }


if __name__ == "__main__":
    for wheel_path in sys.argv[1:]:
        print(json.dumps(read_wheel(wheel_path)))
