"""Whether and how a provider manager's schema is reversed: by its own downgrade, else by its scripts."""

from __future__ import annotations

import ast
from typing import Any, Iterable


def reverse_manager(cls: Any, target: str) -> None:
    """A provider manager's own downgrade. By position: FAB says to_revision, the base of 3.0 to_version."""
    from airflow import settings

    session = settings.Session()
    try:
        cls(session).downgrade(target)
        session.commit()
    finally:
        session.close()


def without_reverse(scripts: Any, revisions: Iterable[str] | None = None) -> list[str]:
    """Those of the revisions (by default all but the first) whose script has no real downgrade: pass, ... or raise."""
    if revisions is None:
        revisions = [script.revision for script in scripts.walk_revisions() if script.down_revision]
    return [revision for revision in revisions if not reverses(scripts.get_revision(revision))]


def reverses(script: Any) -> bool:
    """Whether a script's downgrade() does anything."""
    from inspect import getsource
    from textwrap import dedent

    try:
        function = ast.parse(dedent(getsource(script.module.downgrade))).body[0]
    except (OSError, TypeError, AttributeError):
        return False
    body = function.body if isinstance(function, ast.FunctionDef) else []
    does_nothing = (ast.Pass, ast.Raise, ast.Return)
    return any(not isinstance(line, does_nothing) and not is_constant(line) for line in body)


def is_constant(line: ast.stmt) -> bool:
    """A docstring or ... alone on a line."""
    return isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant)


def reverse_by_scripts(cls: Any, target: str) -> None:
    """Runs alembic's downgrade with a manager's own configuration, as its upgradedb runs alembic's upgrade.

    For managers that have no downgrade of their own (Edge3's up to 5.1); without_reverse tells whether its scripts do.
    """
    from alembic import command

    command.downgrade(cls(None).get_alembic_config(), revision=target)


def can_reverse(cls: Any) -> bool:
    """Whether a manager has a downgrade of its own. In the base class (3.0 to 3.3) it only says NotImplementedError."""
    from airflow.utils.db_manager import BaseDBManager

    own = cls.downgrade is not BaseDBManager.downgrade
    return own or "NotImplementedError" not in BaseDBManager.downgrade.__code__.co_names
