"""The return where there is no copy to restore: what `airflow db migrate` of this image does, in this process.

The rows that were converted stay in the older form, which newer readers take as well; what the reverse scripts deleted
does not come back.
"""

from __future__ import annotations

import inspect
from typing import Any

from downdraft.image import core_scripts, enforced_managers, manager_scripts
from downdraft.messages.orders import Order
from downdraft.metadata import engine, read_identity, version_tables
from downdraft.orders.work import Work
from downdraft.refused import Refused
from downdraft.steps.schema import current_revision


def migrate_up(order: Order, work: Work) -> dict[str, Any]:
    """Core, then (3.x) the provider managers that this image enforces; facts: the version tables afterwards."""
    from airflow.utils import db

    work.progress.begin(work.index, "migrate", 0, current_revision(work.guard, "alembic_version"))
    # The 2.x form parses all Dags at the end, which the pods do as well.
    quick = {"reserialize_dags": False} if "reserialize_dags" in inspect.signature(db.upgradedb).parameters else {}
    db.upgradedb(**quick)
    # Upgrading, Airflow has made itself a new engine.
    work.guard.attach(engine())
    with engine().connect() as connection:
        work.guard.check(read_identity(connection))
        reached = version_tables(connection)
    wanted = {"alembic_version": sorted(core_scripts().get_heads())}
    wanted.update({cls.version_table_name: sorted(manager_scripts(cls).get_heads()) for cls in enforced_managers()})
    short = [table for table, heads in wanted.items() if reached.get(table) != heads]
    if short:
        told = ", ".join(f"{table} is at {reached.get(table)}, not at {wanted[table]}" for table in short)
        raise Refused("NotAtTarget", told)
    work.progress.finish(reached["alembic_version"][0])
    return {"versionTables": reached}
