"""The step that copies the database on its own server, and checks the copy, before anything is changed.

1. CREATE DATABASE … TEMPLATE, the files copied where the server can. Nobody can connect to the copy yet.
2. In one transaction: only the owner may connect, our comment without `verified`, connections allowed.
3. Version tables and the rows of every table are read on both. Only when they are the same: our comment, with what was
   counted and since when it is `verified`.

Killed anywhere and ordered again: a copy with `verified` is checked against its comment and kept, all else of ours
is dropped and made anew; a database that is not ours, or of another run, is never touched.
"""

import contextlib
import threading
import time
from concurrent import futures

from downdraft.backup.marks import INVALID, birthmark, database_named, is_of_this_run, mark_of, original_row, put_mark
from downdraft.backup.server import (
    MAINTENANCE_DATABASES,
    NAME_BYTES,
    alone_on,
    at_maintenance,
    one_transaction,
    run_sql,
    sql_name,
    sql_text,
    sqlstate,
    utc_now,
)
from downdraft.metadata import rows
from downdraft.orders.guard import LOCK_KEY
from downdraft.refused import Refused
from downdraft.steps.count import counts_of_own

COPY_COUNT_SECONDS = 1800

VERSION_TABLES_SQL = """
SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'version_num' AND NOT a.attisdropped
WHERE c.relkind = 'r' AND c.relname LIKE 'alembic_version%' ORDER BY 1, 2"""
COLLATION_SQL = """
SELECT datcollversion, pg_database_collation_actual_version(oid) FROM pg_database WHERE datname = :name"""
FILE_COPY_METHOD_SQL = """
SELECT set_config(name, :method, false) FROM pg_settings WHERE name = 'file_copy_method' AND :method = ANY(enumvals)"""
COUNTED_SQL = """
SELECT n.nspname AS schema, c.relname AS name FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' ORDER BY 1, 2"""


def look_at_names(order, work):
    """Throws Refused for a name that PostgreSQL would cut, or that is the database's own."""
    for key in ("name", "aside"):
        name = order.get(key, "-")
        if not isinstance(name, str) or not name:
            raise Refused("BadOrder", f"a step {order['kind']} needs a {key}")
        if len(name.encode()) > NAME_BYTES:
            raise Refused("NameTooLong", f"{name} is longer than PostgreSQL's {NAME_BYTES} bytes")
        if name == work.guard.identity["database"] or name in MAINTENANCE_DATABASES:
            raise Refused("NameTaken", f"{name} is a database that is in use")


def copy_database(order, work):
    """Facts of a copy that is verified: name, bytes, tables, rows, heads (by schema.table) and seconds; and `counts`,
    the rows of Airflow's own tables by schema.table. Throws Refused."""
    begun = time.monotonic()
    work.progress.begin(work.index, "copy", 0, "")
    with at_maintenance(work) as (server, connection):
        original = original_row(connection, work)
        row = database_named(connection, order["name"])
        if row and not is_of_this_run(row, order, original, work):
            told = "%s is there already and is no copy of this run; it was not touched"
            raise Refused("NameTaken", told % order["name"])
        mark = mark_of(row) if row else None
        if row and mark and "verified" in mark and row.connections != INVALID:
            counted = check_again(server, mark, row, work)
        else:
            if row:
                drop_unfinished(connection, row, order, work)
            mark, counted = make_copy(server, connection, original, order, work)
        counts = counts_of_own(server, original.name, counted, work)
        size = rows(connection, "SELECT pg_database_size(:name)", name=order["name"])[0][0]
    facts = {"name": order["name"], "bytes": size, "tables": mark["tables"], "rows": mark["rows"]}
    return dict(facts, heads=mark["heads"], counts=counts, seconds=round(time.monotonic() - begun, 3))


def drop_unfinished(connection, row, order, work):
    """The comment comes first: a DROP that is cut short takes the birthmark away."""
    if not row.comment:
        put_mark(connection, row, {"downdraft": order.get("run"), "of": work.guard.identity})
    drop_database(connection, order["name"], work)


def drop_database(connection, name, work):
    drop = "DROP DATABASE IF EXISTS " + sql_name(name)
    alone_on(connection, [name], work, lambda: run_sql(connection, drop))


def make_copy(server, connection, original, order, work):
    """Makes, closes to others and verifies the copy; answers its comment, and its rows by schema.table. Nothing stays
    of what can't be verified."""
    mark = {"downdraft": order.get("run"), "of": work.guard.identity}
    statement = create_statement(connection, original, order["name"])
    with tended(connection, work):
        alone_on(connection, [original.name], work, lambda: copy_files(connection, statement, work))
    try:
        row = database_named(connection, order["name"])
        close_to_others(connection, row, mark)
        counted = contents_of_both(server, order["name"], work)
        refuse_difference(order["name"], *counted)
        heads, found = counted[1]
        mark.update(heads=heads, tables=len(found), rows=sum(found.values()), verified=utc_now())
        if isinstance(order.get("keepUntil"), str):
            mark["keepUntil"] = order["keepUntil"]
        put_mark(connection, row, mark)
    except Exception:
        # Where this fails, too, the next order finds it unfinished.
        with contextlib.suppress(Exception):
            run_sql(connection, "DROP DATABASE " + sql_name(order["name"]))
        raise
    return mark, found


def create_statement(connection, original, name):
    """CREATE DATABASE by the fastest strategy that the server has."""
    told = "CREATE DATABASE %s TEMPLATE %s OWNER %s CONNECTION LIMIT %d ALLOW_CONNECTIONS false"
    names = [sql_name(text) for text in (name, original.name, original.owner)]
    told %= (*names, birthmark(name))
    if rows(connection, "SELECT current_setting('server_version_num')::int")[0][0] < 150000:
        return told
    # A server whose C library has changed refuses to copy, unless told that the copy's order is as old as the
    # original's.
    known, actual = rows(connection, COLLATION_SQL, name=original.name)[0]
    return told + " STRATEGY FILE_COPY" + ("" if known in (None, actual) else " COLLATION_VERSION " + sql_text(known))


def copy_files(connection, statement, work):
    """Carries out CREATE DATABASE. From PostgreSQL 18 on the file system may share the blocks; where it can't,
    copies."""
    work.progress.tell(message="copies the database")
    cloning = rows(connection, FILE_COPY_METHOD_SQL, method="clone")
    try:
        run_sql(connection, statement)
    except Exception as error:
        # 58: the file system's own errors; 0A: not supported.
        if not cloning or (sqlstate(error) or "")[:2] not in ("58", "0A", "XX"):
            raise
        rows(connection, FILE_COPY_METHOD_SQL, method="copy")
        run_sql(connection, statement)


def close_to_others(connection, row, mark):
    """From here on the owner may connect, and nobody else but superusers."""
    with one_transaction(connection):
        run_sql(connection, f"REVOKE ALL ON DATABASE {sql_name(row.name)} FROM PUBLIC")
        put_mark(connection, row, mark)
        run_sql(connection, f"ALTER DATABASE {sql_name(row.name)} ALLOW_CONNECTIONS true")


@contextlib.contextmanager
def tended(connection, work):
    """While a long statement runs: signs of life, and its end as soon as the orders don't hold any more."""
    ended, lost = threading.Event(), []

    def tend():
        while not ended.wait(1):
            try:
                work.authority.check()
                work.progress.tell()
            except Refused as refused:
                lost.append(refused)
                connection.connection.dbapi_connection.cancel()
                return

    thread = threading.Thread(target=tend, daemon=True)
    thread.start()
    try:
        yield
    except Exception:
        if lost:
            raise lost[0] from None
        raise
    finally:
        ended.set()
        thread.join()


def contents_of_both(server, name, work):
    """Version tables and rows per table of the original and of the copy, read at the same time."""
    original = work.guard.identity["database"]
    with futures.ThreadPoolExecutor(2) as pool:
        told = (
            pool.submit(contents_of, server, original, work, locked=True),
            pool.submit(contents_of, server, name, work),
        )
        return [one.result() for one in told]


def contents_of(server, database, work, locked=False):
    """Version tables with their rows, and the number of rows of every table, by schema.table; as of one moment.

    `locked`: under our lock on that database, so that no runner reverses it meanwhile.
    """
    connection = server.open(database)
    try:
        run_sql(connection, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        run_sql(connection, f"SET LOCAL statement_timeout = '{COPY_COUNT_SECONDS}s'")
        if locked and not rows(connection, f"SELECT pg_try_advisory_xact_lock({LOCK_KEY})")[0][0]:
            raise Refused("AnotherRunner", "another downdraft runner works on this database; wait for its end")
        heads, counted, found = heads_of(connection), {}, rows(connection, COUNTED_SQL)
        for index, (schema, name) in enumerate(found):
            work.authority.check()
            if not locked:
                work.progress.tell(done=index, of=len(found), message=f"checks the copy: {schema}.{name}")
            place = sql_name(schema, name)
            counted[schema + "." + name] = run_sql(connection, "SELECT count(*) FROM " + place).scalar()
        return heads, counted
    finally:
        connection.close()


def heads_of(connection):
    """All version tables of the database, by schema.table: a copy does not have the original's search path."""
    told = {}
    for schema, name in rows(connection, VERSION_TABLES_SQL):
        found = run_sql(connection, "SELECT version_num FROM " + sql_name(schema, name))
        told[schema + "." + name] = sorted(row[0] for row in found)
    return told


def refuse_difference(name, original, copy):
    """Throws Refused where the copy is not as the original."""
    for what, one, other in zip(("version tables", "rows"), original, copy):
        for table in sorted(set(one) | set(other)):
            if one.get(table) != other.get(table):
                told = "%s has %s %s, its copy in %s has %s; the copy was given up"
                raise Refused("CopyDiffers", told % (table, one.get(table), what, name, other.get(table)))


def check_again(server, mark, row, work):
    """The rows of a verified copy by schema.table. Throws Refused unless it is what its comment says, and the original
    has not lived on since."""
    (heads, counted), (copied_heads, copied) = contents_of_both(server, row.name, work)
    if copied_heads != mark["heads"] or (len(copied), sum(copied.values())) != (mark["tables"], mark["rows"]):
        told = "the copy %s is not any more what it was when it was verified at %s; it was not touched"
        raise Refused("CopyChanged", told % (row.name, mark["verified"]))
    # Where a reversal has begun since, the original has to differ.
    if heads == mark["heads"] and counted != copied:
        told = "the database was written to after the copy %s was verified at %s; drop that, and order again"
        raise Refused("CopyStale", told % (row.name, mark["verified"]))
    return copied
