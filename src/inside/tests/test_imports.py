"""Modules import what they use, from floors below their own, and never in a circle."""

import ast
import pathlib

import pytest

PACKAGE = pathlib.Path(__file__).parents[1] / "downdraft"

FLOORS = ("messages", "orders", "steps", "backup", "kinds", "inspect", "carry", "runner")


def modules():
    return {".".join(file.relative_to(PACKAGE).with_suffix("").parts): file for file in PACKAGE.rglob("*.py")}


def imported(file):
    """What a module imports of the package, without the package's name; also within functions."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "downdraft":
            yield node.module.partition(".")[2]
        if isinstance(node, ast.Import):
            assert not any(one.name.partition(".")[0] == "downdraft" for one in node.names), file


def floor(module):
    """Base modules, which are in no folder, are on the lowest floor, as messages are."""
    room = module.partition(".")[0]
    return FLOORS.index(room) if room in FLOORS else 0


@pytest.mark.parametrize("module", modules())
def test_a_module_imports_from_its_own_floor_and_those_below(module):
    known = modules()
    for name in imported(known[module]):
        assert name in known, f"{module} imports {name}, which is no module: bundle.ts would not find it"
        assert floor(name) <= floor(module), f"{module} imports {name}"


def test_no_module_comes_back_to_itself():
    left = {module: set(imported(file)) for module, file in modules().items()}
    while left:
        free = [module for module, needed in left.items() if not needed & set(left)]
        assert free, f"in a circle: {sorted(left)}"
        for module in free:
            del left[module]
