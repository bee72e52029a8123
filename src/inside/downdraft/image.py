"""What this image's own migration scripts say: core and provider chains, heads, managers.

Nothing here connects to a database.
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.metadata
import importlib.util
import os
from typing import Any

from downdraft.log import say
from downdraft.messages.inspection import Link
from downdraft.messages.lines import ManagerHead
from downdraft.text import one_line

# Managers of images that don't list their providers' (before 3.2).
KNOWN_MANAGERS = (
    "airflow.providers.fab.auth_manager.models.db.FABDBManager",
    "airflow.providers.edge3.models.db.EdgeDBManager",
)


def fernet_keys() -> list[str] | None:
    """Fingerprints of the Fernet keys, the one that encrypts first, without telling them; None when they are not known.

    Only of keys that the environment gives: Airflow writes an airflow.cfg where there is none, with a key of its own.
    """
    from airflow.configuration import conf

    if not any("AIRFLOW__CORE__FERNET_KEY" + end in os.environ for end in ("", "_CMD", "_SECRET")):
        return None
    try:
        keys = conf.get("core", "fernet_key", fallback="") or ""
    except Exception:  # A command or a secrets backend that fails; whoever needs the key will say so.
        return None
    return [hashlib.sha256(key.strip().encode()).hexdigest()[:12] for key in keys.split(",") if key.strip()]


def airflow_version() -> str:
    """The version of the Airflow that is imported, 3.1.8."""
    import airflow

    return str(airflow.__version__)


def core_scripts() -> Any:
    """Alembic's ScriptDirectory of Airflow's own scripts, by a function that 2.7 to 3.3 have."""
    from airflow.utils import db

    return db._get_script_object()


def import_class(path: str) -> Any:
    """The class of a dotted path. Throws ImportError or AttributeError."""
    module, _, name = path.strip().rpartition(".")
    return getattr(importlib.import_module(module), name)


def class_path(cls: Any) -> str:
    """The dotted path of a class."""
    return f"{cls.__module__}.{cls.__qualname__}"


def enforced_managers() -> list[Any]:
    """Manager classes without whose heads this image does not start: those `airflow db check-migrations` asks.

    2.x has no such managers; from 3.0 on airflow.utils.db_manager.RunDBManager collects them from configuration, the
    auth manager and (3.2) installed providers.
    """
    try:
        from airflow.utils.db_manager import RunDBManager
    except ImportError:
        # Only "this Airflow has no managers" may pass; a manager that can't be imported may not.
        if importlib.util.find_spec("airflow.utils.db_manager") is None:
            return []
        raise
    return list(RunDBManager()._managers)


def installed_managers(enforced: list[Any]) -> list[Any]:
    """The enforced managers and all others that this image has, without doubles."""
    found = {class_path(cls): cls for cls in enforced}
    if importlib.util.find_spec("airflow.utils.db_manager") is None:
        return []
    for path in KNOWN_MANAGERS:
        if path in found or not is_installed(path):
            continue
        found[path] = import_class(path)
    return list(found.values())


def is_installed(path: str) -> bool:
    """Whether the module of a dotted class path can be found, without running more of it than its parents."""
    try:
        return importlib.util.find_spec(path.rpartition(".")[0]) is not None
    except ImportError:
        return False


def manager_scripts(cls: Any) -> Any:
    """Alembic's ScriptDirectory of a manager; needs no session."""
    return cls(None).get_script_object()


def manager_heads(cls: Any) -> ManagerHead:
    """What a manager is and where its scripts end; heads come from the scripts on disk, not from a map."""
    package, version = package_of(cls.__module__)
    return {
        "class": class_path(cls),
        "versionTable": cls.version_table_name,
        "heads": sorted(manager_scripts(cls).get_heads()),
        "package": package,
        "packageVersion": version,
    }


def package_of(module: str) -> tuple[str | None, str | None]:
    """Name and version of the installed package that a module came with, or (None, None).

    Airflow's providers are named after their modules: airflow.providers.fab is apache-airflow-providers-fab.
    """
    parts = module.split(".")
    if parts[:2] == ["airflow", "providers"]:
        names = ["apache-airflow-providers-" + "-".join(parts[2:end]) for end in range(len(parts), 2, -1)]
    else:
        by_module: dict[str, list[str]] = getattr(importlib.metadata, "packages_distributions", dict)()
        names = by_module.get(parts[0], [])
    for name in names:
        try:
            return name, importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None, None


def chain_of(scripts: Any) -> list[Link]:
    """Every revision of a ScriptDirectory, newest first. The version is the script's own label, where it has one."""
    links = []
    for script in scripts.walk_revisions():
        down = script.down_revision
        link: Link = {"revision": script.revision, "down": list(down) if isinstance(down, tuple) else down}
        for name, value in vars(script.module).items():
            if name.endswith("_version") and isinstance(value, str):
                link["version"] = value
        links.append(link)
    return links


def warm_up() -> None:
    """Loads now what alembic's env.py would load in the outage. Failing here costs only time: the step says why."""
    try:
        from airflow import models

        models.import_all_models()
    except Exception as error:
        say(f"can't load the models beforehand: {one_line(error)}")


def script_says(scripts: Any, revision: str, words: str) -> bool:
    """Whether the reverse script of a revision has these words; False also where its text can't be had."""
    from inspect import getsource

    try:
        return words in getsource(scripts.get_revision(revision).module.downgrade)
    except (OSError, TypeError, AttributeError):
        return False
