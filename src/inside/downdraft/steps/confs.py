"""Configurations of runs as Airflow 2 reads them: a part of `repair`.

On MySQL and SQLite the reverse script of CONF_REVISION reads JSON without its type, so it pickles the text of a
configuration; the scheduler of 2.x ends when it meets such a run (ValueError).
"""

from __future__ import annotations

import io
import json
import pickle
from typing import Any, NoReturn

from downdraft.metadata import engine, has_column, is_postgres, quoted, rows, schema_of
from downdraft.orders.work import Work

CONF_REVISION = "e39a26ac59f6"
CONF_BATCH = 500


class PlainUnpickler(pickle.Unpickler):
    """Reads nothing but plain values."""

    def find_class(self, module: str, name: str) -> NoReturn:
        raise pickle.UnpicklingError(f"a configuration holds a {module}.{name}")


def pickle_confs(work: Work) -> int | None:
    """Pickles the values of configurations whose text was pickled; answers how many, or None where that can't be."""
    from sqlalchemy import text

    with engine().connect() as connection:
        if is_postgres(connection) or not has_column(connection, "dag_run", "conf"):
            return None
        target = quoted(connection, schema_of(connection), "dag_run")
    select = f"SELECT id, conf FROM {target} WHERE conf IS NOT NULL AND id > :last ORDER BY id LIMIT {CONF_BATCH}"
    update = text(f"UPDATE {target} SET conf = :conf WHERE id = :id")
    changed, last = 0, -1
    while True:
        work.authority.check()
        with engine().begin() as connection:
            found = rows(connection, select, last=last)
            if not found:
                return changed
            changes = [
                {"id": key, "conf": conf} for key, conf in ((key, conf_of(stored)) for key, stored in found) if conf
            ]
            if changes:
                connection.execute(update, changes)
        changed, last = changed + len(changes), found[-1][0]
        work.progress.tell(message=f"configurations of runs: {changed}")


def conf_of(stored: Any) -> bytes | None:
    """What to store instead of a pickled text that is JSON; None where it is to be left. A value is never a text."""
    try:
        value = PlainUnpickler(io.BytesIO(bytes(stored))).load()
        read = json.loads(value) if isinstance(value, str) else value
    except Exception:  # Whatever a pickle of people's own throws: the older version reads it itself.
        return None
    plain = read is None or isinstance(read, (dict, list))
    return pickle.dumps(read, protocol=4) if plain and isinstance(value, str) else None
