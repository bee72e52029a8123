"""Makes inspect.json: this image's chains, the database's state, the rows that stand in the way."""

from __future__ import annotations

import datetime
import os
from typing import Any

from downdraft.backup.copyable import describe_copy
from downdraft.backup.dumpable import describe_dump
from downdraft.deferral import unreadable_rows, writes_new_form
from downdraft.environment import await_proxy, named_file
from downdraft.image import (
    airflow_version,
    chain_of,
    class_path,
    core_scripts,
    enforced_managers,
    fernet_keys,
    installed_managers,
    is_installed,
    manager_heads,
    manager_scripts,
)
from downdraft.inspect.hazards import encrypted_rows, hazards_of, limits_of, obstacles_of, sizes_of
from downdraft.inspect.waiting import waiting_triggers
from downdraft.kinds import KINDS
from downdraft.messages.inspection import Inspection, Manager
from downdraft.metadata import IS_MARIADB, describe_database, engine, rows
from downdraft.steps.convert import unconvertible_rows
from downdraft.steps.reversible import can_reverse, without_reverse

INSPECT_TIMEOUT_SECONDS = int(os.environ.get("DOWNDRAFT_INSPECT_TIMEOUT_SECONDS", "300"))


def inspect_all(confirmed: bool) -> tuple[Inspection, dict[str, Any]]:
    """inspect.json and the managers by class path. One read-only transaction, ended and closed."""
    named_file(engine(), confirmed)  # Airflow's default would be made here, and taken for the release's.
    await_proxy(engine())
    enforced = enforced_managers()
    core = core_scripts()
    chain = chain_of(core)
    heads = sorted(core.get_heads())
    with engine().connect() as connection, connection.begin():
        begin_reading(connection)
        database = describe_database(connection)
        newer = writes_new_form(chain, heads)
        unreadable = unreadable_rows(connection) if newer else []
        unconvertible = unconvertible_rows(connection) if newer else []
        triggers = waiting_triggers(connection)
        copy, dump, encrypted = describe_copy(connection), describe_dump(connection), encrypted_rows(connection)
        hazards = hazards_of(connection, [link["revision"] for link in chain], core)
        sizes, limits, obstacles = sizes_of(connection), limits_of(connection), obstacles_of(connection)
    managers = [
        cls
        for cls in installed_managers(enforced)
        if cls in enforced or cls.version_table_name in database["versionTables"]
    ]
    told: Inspection = {
        "at": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "airflowVersion": airflow_version(),
        "core": {"heads": heads, "chain": chain},
        "managers": [describe_manager(cls) for cls in managers],
        "database": database,
        "rows": unreadable,
        "unconvertible": unconvertible,
        "triggers": triggers,
        "fernetKeys": fernet_keys(),
        "kinds": sorted(KINDS),
        "copy": copy,
        "dump": dump,
        "encrypted": encrypted,
        "hazards": hazards,
        "sizes": sizes,
        "limits": limits,
        "obstacles": obstacles,
    }
    return told, {class_path(cls): cls for cls in managers}


def begin_reading(connection: Any) -> None:
    """Nothing is written from here on, and every statement has its limit."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        connection.exec_driver_sql(f"SET LOCAL statement_timeout = '{INSPECT_TIMEOUT_SECONDS}s'")
    if connection.dialect.name == "mysql":
        limit = f"max_execution_time = {INSPECT_TIMEOUT_SECONDS * 1000}"
        if rows(connection, IS_MARIADB)[0][0]:
            limit = f"max_statement_time = {INSPECT_TIMEOUT_SECONDS}"
        connection.exec_driver_sql(f"SET SESSION {limit}, lock_wait_timeout = {INSPECT_TIMEOUT_SECONDS}")
        # Not inside the transaction that is open already: for the next one, begun after this commit.
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("START TRANSACTION READ ONLY")


def describe_manager(cls: Any) -> Manager:
    """One entry of `managers`."""
    return {
        **manager_heads(cls),
        "chain": chain_of(manager_scripts(cls)),
        "command": command_of(cls),
        "canDowngrade": can_reverse(cls) or not without_reverse(manager_scripts(cls)),
        "coreTables": sorted(core_tables() & set(cls.metadata.tables)),
    }


def core_tables() -> set[str]:
    """Tables of core's models, as far as these are imported: what Airflow looks at itself (RunDBManager._validate)."""
    from airflow.models.base import metadata

    return set(metadata.tables)


def command_of(cls: Any) -> Any:
    """The airflow command with which a person would reverse this manager; None when no command takes it."""
    from airflow.configuration import conf

    if cls.version_table_name == "alembic_version_fab":
        return "fab-db"
    listed = [entry.strip() for entry in (conf.get("database", "external_db_managers", fallback="") or "").split(",")]
    has_command = is_installed("airflow.cli.commands.db_manager_command.downgrade")
    return "db-manager" if has_command and class_path(cls) in listed and can_reverse(cls) else None
