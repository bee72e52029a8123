"""The return by a dump: the schemas as they are now are dropped and the dump's are made, in one transaction.

psql gets from us: BEGIN, a look whether this is the database, the drops, all that pg_restore prints, a look whether
heads and rows are those of the mark, and COMMIT, which we write only when pg_restore has ended well. So the database is
never seen empty, which would be taken for a new installation, nor half; killed anywhere, nothing has changed. Nothing
is dropped with CASCADE, and what of others depends on it is named before. Functions stay as they are.
"""

import contextlib
import os
import shutil
import subprocess
import time

from downdraft.backup.dump import LIST_OF_RESTORE, contents_now, oldest_unseen, snapshot
from downdraft.backup.dumpable import DUMPED_SQL, others_on
from downdraft.backup.dumpfolder import (
    CONTENT,
    folder_of,
    is_of_this_dump,
    look_at_dump_name,
    read_mark,
    refuse_changed_dump,
    write_mark,
)
from downdraft.backup.mysql import mysql_programs, restore_mysql
from downdraft.backup.programs import Child, disk_errors, libpq_login, tended_children
from downdraft.backup.server import sql_name, sql_text
from downdraft.log import say
from downdraft.metadata import CLUSTER_SQL, engine, read_identity, rows
from downdraft.orders.guard import LOCK_TIMEOUT_SECONDS
from downdraft.refused import Refused
from downdraft.text import megabytes

# The older ones don't know the newest setting, of which pg_restore speaks from 17 on.
NEWEST_SETTING = b"SET transaction_timeout = 0;\n"

TYPES_SQL = """
SELECT n.nspname AS schema, t.typname AS name FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_class c ON c.oid = t.typrelid
WHERE n.nspname = ANY(CAST(:schemas AS text[]))
  AND (t.typtype IN ('e', 'd', 'r') OR t.typtype = 'c' AND c.relkind = 'c')
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_type'::regclass AND d.objid = t.oid AND d.deptype = 'e')
ORDER BY 1, 2"""

# A server on Linux then notices within seconds that psql is gone, also while it waits for a lock.
NOTICE_END_SQL = """SELECT set_config(name, '2s', false) FROM pg_settings
WHERE name = 'client_connection_check_interval' AND version() LIKE '%linux%';"""

# In this order. A view can be made only after what it reads, so the newest goes first, each by itself.
DROPS = (("f", "FOREIGN TABLE"), ("rp", "TABLE"), ("S", "SEQUENCE"))
VIEWS = {"v": "VIEW", "m": "MATERIALIZED VIEW"}


def look_at_restore(order, work):
    """Throws Refused where there is no dump to restore, or no program for it."""
    look_at_dump_name(order, work)
    mark_to_restore(order, work)
    with engine().connect() as connection, connection.begin():
        if connection.dialect.name == "mysql":
            missing = [] if mysql_programs(connection)[1] else ["mysql or mariadb"]
        else:
            missing = [name for name in ("pg_restore", "psql") if not shutil.which(name)]
    if missing:
        raise Refused("DumpImpossible", f"the program {' and '.join(missing)} is not in this image")


def mark_to_restore(order, work):
    """The mark of the verified dump of this run and this database. Throws Refused."""
    folder = folder_of(order)
    mark = read_mark(folder)
    if not mark or "verified" not in mark:
        raise Refused("NoDump", f"there is no verified dump in {folder}; nothing was done")
    if not is_of_this_dump(mark, order, work):
        told = "%s is a dump of run %s, of %s; nothing was done"
        raise Refused("NoDump", told % (folder, mark["downdraft"], mark.get("of")))
    return mark


def restore_database(order, work):
    """Facts: name, tables, rows, heads, seconds, and whether something had to be done: `restored`."""
    begun, folder = time.monotonic(), folder_of(order)
    work.progress.begin(work.index, "restore", 0, "")
    with disk_errors():
        mark = mark_to_restore(order, work)
        refuse_changed_dump(folder, mark, work)
        needed = not is_as_in(mark, work)
        if needed:
            restore_on = restore_mysql if work.guard.dialect == "mysql" else restore_postgres
            restore_on(folder, mark, work)
            engine().dispose()
            if not is_as_in(mark, work):
                told = "the database is not as in the dump %s after it was restored"
                raise Refused("DumpDiffers", told % mark["name"])
    facts = {name: mark[name] for name in ("name", "tables", "rows", "heads")}
    return dict(facts, restored=needed, seconds=round(time.monotonic() - begun, 3))


def is_as_in(mark, work):
    """Whether heads and rows are those of the dump."""
    work.progress.tell(message=f"compares the database with the dump {mark['name']}")
    return contents_now(mark, work) == (mark["heads"], mark["counts"], True)


def restore_postgres(folder, mark, work):
    """All in one transaction. Throws ChildFailed, Refused."""
    with snapshot(work) as (connection, _):
        first, last = before_and_after(connection, mark)
        newest = rows(connection, "SELECT current_setting('server_version_num')::int")[0][0] >= 170000
    feed(folder, first, last, newest, work)
    engine().dispose()
    remember_restored(folder, mark, work)


def remember_restored(folder, mark, work):
    """Rows count as written since from here on. Where the volume can't be written, the next order restores again."""
    with snapshot(work) as (connection, _):
        mark["since"] = oldest_unseen(connection)
    try:
        write_mark(folder, mark)
    except OSError as error:
        say(f"the mark in {folder} can't be written: {error.strerror}")


def before_and_after(connection, mark):
    """The SQL before and after the dump's own. Throws Refused where something of others is in the way."""
    others = others_on(connection, mark["schemas"])
    if others:
        told = "%s depends on Airflow's tables and would be lost: drop it and order again; nothing was done"
        raise Refused("OthersDepend", told % ", ".join(others))
    plain = ["SET client_encoding = 'UTF8';", "SET standard_conforming_strings = on;"]
    limits = {"lock_timeout": LOCK_TIMEOUT_SECONDS, "statement_timeout": 0, "idle_in_transaction_session_timeout": 0}
    set_limits = [f"SET LOCAL {name} = '{seconds}s';" for name, seconds in limits.items()]
    first = plain + [NOTICE_END_SQL, "BEGIN;"] + set_limits + [identity_check(connection)]
    last = plain + contents_check(mark) + [f"ANALYZE {', '.join(map(place_of, sorted(mark['counts'])))};"]
    return first + drops(connection, mark["schemas"]), last


def drops(connection, schemas):
    """Statements that drop what is in these schemas now, and nothing else."""
    found = rows(connection, DUMPED_SQL, schemas=schemas)
    told = []
    for row in sorted(found, key=lambda row: -row.oid):
        if row.kind in VIEWS:
            told.append(f"DROP {VIEWS[row.kind]} {sql_name(row.schema, row.name)};")
    for kinds, what in DROPS:
        # A sequence of a table's own goes with it.
        chosen = [row for row in found if row.kind in kinds and not (row.kind == "S" and row.owned)]
        names = [sql_name(row.schema, row.name) for row in chosen]
        if names:
            told.append(f"DROP {what} {', '.join(names)};")
    names = [sql_name(row.schema, row.name) for row in rows(connection, TYPES_SQL, schemas=schemas)]
    return told + ([f"DROP TYPE {', '.join(names)};"] if names else [])


def place_of(table):
    """A name of the mark's, schema.table, in SQL. Airflow's own names hold no dot; a schema's may not, either."""
    return sql_name(*table.split(".", 1))


def unless(condition, complaint):
    """A statement that fails with a complaint, which is no number."""
    return f"SELECT CAST(CASE WHEN {condition} THEN '0' ELSE {sql_text(complaint)} END AS int);"


def identity_check(connection):
    """So that psql, whose connection we don't see, can't be somewhere else."""
    seen = read_identity(connection)
    same = "(SELECT oid FROM pg_database WHERE datname = current_database()) = %s AND current_database() = %s"
    condition = same % (seen["oid"], sql_text(seen["database"]))
    if seen["cluster"]:
        condition += f" AND {CLUSTER_SQL} = {sql_text(seen['cluster'])}"
    return unless(condition, "this connection leads to another database; nothing was done")


def contents_check(mark):
    """The dump is not committed where rows or heads are not those that were counted when it was made."""
    told = []
    for table, count in sorted(mark["counts"].items()):
        told.append(unless(f"(SELECT count(*) FROM {place_of(table)}) = {count}", table + " has not its rows"))
    for table, heads in sorted(mark["heads"].items()):
        listed = f'ARRAY(SELECT CAST(version_num AS text) COLLATE "C" FROM {place_of(table)} ORDER BY 1)'
        wanted = f"CAST(ARRAY[{', '.join(map(sql_text, heads))}] AS text[])"
        told.append(unless(f"{listed} = {wanted}", table + " has not its heads"))
    return told


def feed(folder, first, last, newest, work):
    """psql carries out the whole; returns when it is committed. Throws ChildFailed, Refused: then nothing has changed,
    unless the connection was lost in COMMIT itself."""
    login, environment = libpq_login(engine())
    source = ["pg_restore", "--use-list=" + os.path.join(folder, LIST_OF_RESTORE), "--file=-"]
    source.append(os.path.join(folder, CONTENT))
    sink = ["psql", login, "--no-psqlrc", "--no-password", "--quiet", "--file=-", "--output=" + os.devnull]
    sink += ["--set=ON_ERROR_STOP=1", "--set=VERBOSITY=verbose"]
    fed = [0]
    with tended_children(work, lambda: work.progress.tell(message=f"restores: {megabytes(fed[0])}")) as children:
        children.append(Child(sink, environment, stdin=subprocess.PIPE))
        children.append(Child(source, {}, stdout=subprocess.PIPE))
        reader, writer = children
        try:
            reader.process.stdin.write("\n".join(first + [""]).encode())
            with writer.process.stdout as printed:
                for part in iter(lambda: printed.read(1 << 20), b""):
                    # The header is in the first part, and no row.
                    part = part.replace(NEWEST_SETTING, b"", 1) if not newest and fed[0] == 0 else part
                    reader.process.stdin.write(part)
                    fed[0] += len(part)
            writer.wait()
            work.authority.check()
            reader.process.stdin.write("\n".join([""] + last + ["COMMIT;", ""]).encode())
            reader.process.stdin.close()
        except BrokenPipeError:
            # It has ended before; its own words say why.
            with contextlib.suppress(BrokenPipeError):
                reader.process.stdin.close()
        reader.wait()
        if writer.process.poll() != 0:
            raise Refused("DumpFailed", "psql ended before the dump was fed whole; nothing was changed")
