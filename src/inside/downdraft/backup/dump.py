"""The step that dumps Airflow's schemas into a folder of a volume, and checks the dump, before anything is changed.

1. One transaction sees one moment: it exports its snapshot, in which pg_dump reads while we count the rows and heads.
   A connection that leads elsewhere finds no such snapshot.
2. pg_restore reads the dump's list; every table's file is read to its end, and its rows are as many as were counted.
3. Only then the mark says `verified`, with the sums of all files, and the folder gets its name by a rename.

Killed anywhere and ordered again: a verified dump of this run is checked against its mark and kept, what was begun for
it is removed and made anew; a folder that is not ours, or of another run, is never touched.
"""

import contextlib
import os
import re
import subprocess
import time
import zlib

from downdraft.backup.copy import VERSION_TABLES_SQL
from downdraft.backup.dumpable import DUMPED_SQL, describe_dump, dumped_schemas
from downdraft.backup.dumpfolder import (
    BACKUP_DIR,
    CONTENT,
    checksums,
    clear_folder,
    folder_of,
    is_of_this_dump,
    look_at_dump_name,
    new_folder,
    read_mark,
    refuse_changed_dump,
    remove_folder,
    write_mark,
    write_out,
)
from downdraft.backup.mysql import dump_mysql, mysql_contents
from downdraft.backup.programs import Child, disk_errors, libpq_login, run_quickly, tended_children
from downdraft.backup.server import run_sql, sql_name, utc_now
from downdraft.metadata import engine, read_identity, rows
from downdraft.orders.guard import LOCK_TIMEOUT_SECONDS
from downdraft.refused import Refused
from downdraft.text import megabytes, named

DUMP_JOBS = min(4, os.cpu_count() or 1)
LIST_OF_RESTORE = "restore.list"
END_OF_ROWS = b"\\.\n\n\n"

# What is in Airflow's schema and no part of its tables: it is in the dump, stays in the database, and is not restored.
STAYS = re.compile(
    r"\d+; \d+ \d+ (?:(?:ACL|COMMENT|SECURITY LABEL) \S+ )?(?:SCHEMA|FUNCTION|PROCEDURE|AGGREGATE|OPERATOR|COLLATION|"
    r"CONVERSION|TEXT SEARCH|DEFAULT ACL|EXTENSION|CAST|TRANSFORM)\b"
)
LISTED_DATA = re.compile(r"(\d+); \d+ (\d+) TABLE DATA ")


def look_at_dump(order, work):
    """Throws Refused where the dump can't be made, unless it is there already."""
    look_at_dump_name(order, work)
    if os.path.lexists(folder_of(order)):
        return
    with engine().connect() as connection, connection.begin():
        told = describe_dump(connection)
    if not told["possible"]:
        raise Refused("DumpImpossible", "; ".join(told["why"]))


def dump_database(order, work):
    """Facts: name, path, bytes, tables, rows, counts and heads (by schema.table), seconds, and `removed`: names of
    dumps whose time was over. Throws Refused, ChildFailed."""
    begun, folder, removed = time.monotonic(), folder_of(order), []
    work.progress.begin(work.index, "dump", 0, "")
    with disk_errors():
        mark = read_mark(folder)
        if os.path.lexists(folder):
            if not mark or "verified" not in mark or not is_of_this_dump(mark, order, work):
                told = "%s is there already and is no dump of this run; it was not touched"
                raise Refused("NameTaken", told % folder)
            check_dump_again(folder, mark, work)
        else:
            removed = clear_folder(order, work)
            mark = make_dump(order, work)
    facts = {name: mark[name] for name in ("name", "bytes", "tables", "rows", "counts", "heads")}
    return dict(facts, path=folder, removed=removed, seconds=round(time.monotonic() - begun, 3))


def make_dump(order, work):
    """Makes and verifies the dump; answers its mark. Nothing stays of what can't be verified."""
    folder, mark = new_folder(order, work)
    try:
        if work.guard.dialect == "mysql":
            mark.update(dump_mysql(folder, work))
        else:
            with snapshot(work) as (connection, exported):
                mark.update(dump_postgres(connection, exported, folder, work))
        mark["files"] = checksums(folder)
        mark["bytes"] = sum(os.path.getsize(os.path.join(folder, file)) for file in mark["files"])
        mark.update(tables=len(mark["counts"]), rows=sum(mark["counts"].values()), verified=utc_now())
        write_mark(folder, mark)
        work.authority.check()
        if os.path.lexists(folder_of(order)):
            raise Refused("NameTaken", f"{folder_of(order)} has come in between; it was not touched")
        os.rename(folder, folder_of(order))
        write_out(BACKUP_DIR)
    except BaseException:
        # Where this fails, too, the next order finds it unfinished.
        with contextlib.suppress(OSError):
            remove_folder(folder)
        raise
    return mark


@contextlib.contextmanager
def snapshot(work):
    """A connection that sees one moment of the database, and the name of its snapshot, for others meanwhile."""
    with engine().connect() as connection, connection.begin():
        run_sql(connection, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
        run_sql(connection, "SET LOCAL row_security = off")
        work.guard.check(read_identity(connection))
        yield connection, rows(connection, "SELECT pg_export_snapshot()")[0][0]


def dump_postgres(connection, exported, folder, work):
    """Makes and verifies content and restore.list; answers what the mark has to say of them."""
    schemas, content = dumped_schemas(connection), os.path.join(folder, CONTENT)
    found = rows(connection, DUMPED_SQL, schemas=schemas)
    tables = {row.oid: (row.schema, row.name) for row in found if row.kind == "r"}
    login, environment = libpq_login(engine())
    chosen = ["--schema=" + sql_name(schema) for schema in schemas]
    options = ["--format=directory", "--compress=1", f"--jobs={DUMP_JOBS}", "--no-password", "--strict-names"]
    options += ["--snapshot=" + exported, f"--lock-wait-timeout={LOCK_TIMEOUT_SECONDS * 1000}", "--file=" + content]
    tell = lambda: work.progress.tell(message="dumps: " + megabytes(size_of(content)))  # noqa: E731
    with tended_children(work, tell, connection) as children:
        children.append(Child(["pg_dump", login] + options + chosen, environment))
        heads = heads_in(connection, schemas)
        counts = {named(*table): count_rows(connection, *table, work) for table in tables.values()}
        children[0].wait()
        listed = list_of(content, children)
        count_in_files(content, listed, tables, counts, work)
    with open(os.path.join(folder, LIST_OF_RESTORE), "w") as file:
        file.writelines(line + "\n" for line in listed if not STAYS.match(line))
    os.chmod(file.name, 0o600)
    told = {"heads": heads, "counts": counts, "schemas": schemas, "since": oldest_unseen(connection)}
    return dict(told, program=run_quickly(["pg_dump", "--version"]))


def size_of(folder):
    """Bytes so far; what comes and goes meanwhile doesn't matter."""
    found = 0
    with contextlib.suppress(OSError):
        found = sum(entry.stat().st_size for entry in os.scandir(folder))
    return found


def heads_in(connection, schemas):
    """The version tables of these schemas with their rows, by schema.table."""
    told = {}
    for schema, name in rows(connection, VERSION_TABLES_SQL):
        if schema in schemas:
            found = run_sql(connection, "SELECT version_num FROM " + sql_name(schema, name))
            told[named(schema, name)] = sorted(row[0] for row in found)
    return told


def count_rows(connection, schema, table, work):
    work.authority.check()
    return run_sql(connection, "SELECT count(*) FROM " + sql_name(schema, table)).scalar()


def oldest_unseen(connection):
    """A transaction's number, 32 bits as in xmin: rows that it or a later one has written may not be seen here."""
    return rows(connection, "SELECT txid_snapshot_xmin(txid_current_snapshot())")[0][0] % (1 << 32)


def list_of(content, children):
    """The lines of pg_restore --list."""
    child = Child(["pg_restore", "--list", content], {}, stdout=subprocess.PIPE)
    children.append(child)
    with child.process.stdout as printed:
        listed = printed.read().decode().splitlines()
    child.wait()
    return listed


def count_in_files(content, listed, tables, counts, work):
    """Throws Refused unless the dump has a whole file for each table, with as many rows as were counted."""
    work.progress.tell(message="checks the dump")
    files = {int(oid): number for number, oid in (found.groups() for found in map(LISTED_DATA.match, listed) if found)}
    if set(files) != set(tables):
        odd = sorted(named(*tables[oid]) if oid in tables else f"oid {oid}" for oid in set(files) ^ set(tables))
        raise Refused("DumpDiffers", f"only one of database and dump has {', '.join(odd[:5])}; the dump was given up")
    for oid, number in files.items():
        work.authority.check()
        table, found = named(*tables[oid]), rows_in(os.path.join(content, number + ".dat"))
        if found != counts[table]:
            told = "%s has %d rows, its dump has %s; the dump was given up"
            raise Refused("DumpDiffers", told % (table, counts[table], "no end" if found is None else found))


def rows_in(file):
    """Rows in a table's file, as COPY writes it, one a line; None where it is cut off or spoiled."""
    packed = not os.path.exists(file)
    unpacker, lines, tail = zlib.decompressobj(31), 0, b""
    try:
        with open(file + ".gz" if packed else file, "rb") as content:
            for part in iter(lambda: content.read(1 << 20), b""):
                text = unpacker.decompress(part) if packed else part
                lines += text.count(b"\n")
                tail = (tail + text)[-len(END_OF_ROWS) - 1 :]
    except zlib.error:
        return None
    # gzip's own sum is checked at its end.
    whole = tail in (END_OF_ROWS, b"\n" + END_OF_ROWS) and (unpacker.eof or not packed)
    return lines - END_OF_ROWS.count(b"\n") if whole else None


def check_dump_again(folder, mark, work):
    """Throws Refused unless a verified dump is what its mark says, and the database has not lived on since."""
    refuse_changed_dump(folder, mark, work)
    heads, counts, _ = contents_now(mark, work)
    # Where a reversal has begun since, the database has to differ.
    if heads == mark["heads"] and counts != mark["counts"]:
        told = "the database was written to after the dump %s was verified at %s; remove that, and order again"
        raise Refused("DumpStale", told % (folder, mark["verified"]))


def contents_now(mark, work):
    """Heads and counts of a dump's tables as they are in the database, and whether their rows are those of the dump."""
    if work.guard.dialect == "mysql":
        with engine().connect() as connection, connection.begin():
            work.guard.check(read_identity(connection))
            heads, counts, sums = mysql_contents(connection, work.guard.identity["database"], work)
        return heads, counts, sums == mark["sums"]
    # A frozen row has its number still; where one is so old that it seems new, that is no harm.
    newer = "SELECT count(*), count(*) FILTER (WHERE age(xmin) <= age(CAST('%d' AS xid))) FROM %s"
    counts, written = {}, 0
    with snapshot(work) as (connection, _):
        for row in rows(connection, DUMPED_SQL, schemas=mark["schemas"]):
            if row.kind == "r":
                counted = run_sql(connection, newer % (mark["since"], sql_name(row.schema, row.name))).first()
                counts[named(row.schema, row.name)] = counted[0]
                written += counted[1]
        return heads_in(connection, mark["schemas"]), counts, written == 0
