"""The dump of MySQL and MariaDB, and its restore: what is not as on PostgreSQL.

Their changes of tables can't be rolled back, so a restore is not one act. While it is under way Airflow's version table
holds RESTORING, a revision that no Airflow knows: neither empty, which would be taken for a new installation, nor one
that an Airflow would start on. The true one is written last. An interrupted restore is begun anew by the next order.
The version table itself is never dropped: MariaDB's identity is made from it.
"""

import contextlib
import gzip
import os
import re
import shutil
import subprocess
import tempfile
import zlib

from downdraft.backup.dumpfolder import CONTENT
from downdraft.backup.programs import Child, run_quickly, tended_children
from downdraft.backup.server import login_of, run_sql, sql_text
from downdraft.metadata import IS_MARIADB, engine, has_column, quoted, read_identity, rows
from downdraft.orders.unfinished import HALF_WAY_SECONDS
from downdraft.refused import Refused
from downdraft.text import megabytes, named

RESTORING = "downdraft-is-restoring"
VERSION_TABLE = "alembic_version"
MYSQL_TABLES_SQL = """
SELECT table_name AS name, table_type AS kind, data_length AS bytes FROM information_schema.tables
WHERE table_schema = database() ORDER BY 1"""
TABLES_FILE, VERSION_FILE = "tables.sql.gz", "alembic_version.sql.gz"
END_OF_DUMP = b"-- Dump completed"

INSERTED = re.compile(rb"INSERT (?:IGNORE )?INTO `((?:[^`]|``)+)`")
QUOTED = re.compile(rb"'(?:[^'\\]|\\.)*'", re.DOTALL)

# What of a connection's parameters MySQL's programs read from a file, by the drivers' names; MariaDB's has no ssl-mode.
MYSQL_WORDS = {"host": "host", "port": "port", "unix_socket": "socket", "user": "user", "password": "password"}
MYSQL_WORDS.update({"passwd": "password", "ssl_mode": "loose-ssl-mode"})
SSL_WORDS = {name: "ssl-" + name for name in ("ca", "cert", "key", "capath", "cipher")}
MYSQL_WORDS.update({"ssl_" + name: word for name, word in SSL_WORDS.items()})

DUMP_OPTIONS = """
--single-transaction --quick --routines --triggers --hex-blob --no-tablespaces --skip-lock-tables --skip-dump-date
--default-character-set=utf8mb4 --max-allowed-packet=1G --loose-set-gtid-purged=OFF --loose-column-statistics=0
""".split()  # noqa: SIM905


def mysql_programs(connection):
    """The dump program and the client: MariaDB's for MariaDB where there are both. None for what is missing."""
    first = ("mariadb-dump", "mysqldump"), ("mariadb", "mysql")
    ordered = first if rows(connection, IS_MARIADB)[0][0] else [names[::-1] for names in first]
    return [next(filter(shutil.which, names), None) for names in ordered]


def describe_dump_of_mysql(connection, told):
    """As describe_dump_of_postgres."""
    dumper, client = mysql_programs(connection)
    if dumper is None:
        told["why"].append("neither mysqldump nor mariadb-dump is in this image")
    else:
        told["program"] = run_quickly([dumper, "--version"])[:100]
    if client is None:
        told["why"].append("neither mysql nor mariadb is in this image")
    told["needBytes"] = sum(int(row.bytes or 0) for row in rows(connection, MYSQL_TABLES_SQL))
    told["notes"].append(
        f"the dump may take about {megabytes(told['needBytes'])}: the size of the tables without their indexes;"
        " it is compressed"
    )
    told["notes"].append("a restore is not one act on MySQL: Airflow must stay away until it is done")


@contextlib.contextmanager
def mysql_login():
    """The argument that tells MySQL's programs how to connect: a file that only its owner may read, gone at the end."""
    _, parameters = login_of(engine())
    words = {word: parameters[name] for name, word in MYSQL_WORDS.items() if parameters.get(name) not in (None, "")}
    ssl = parameters.get("ssl")
    words.update({word: ssl[name] for name, word in SSL_WORDS.items() if isinstance(ssl, dict) and ssl.get(name)})
    words.setdefault("host", "localhost")
    private = tempfile.mkdtemp(prefix="downdraft-")
    try:
        file = os.path.join(private, "login.cnf")
        with open(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as login:
            login.write("[client]\n")
            # As on any connection by name: without this the client would take a socket for localhost.
            login.write("" if "socket" in words else "protocol=tcp\n")
            login.writelines(f'{word}="{mysql_escaped(str(value))}"\n' for word, value in words.items())
        yield "--defaults-file=" + file
    finally:
        shutil.rmtree(private, ignore_errors=True)


def mysql_escaped(value):
    """A value between double quotes in a file of options."""
    return re.sub(r'([\\"])', r"\\\1", value).replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")


def dump_mysql(folder, work):
    """Makes and verifies the content; answers what the mark has to say of it."""
    database, content = work.guard.identity["database"], os.path.join(folder, CONTENT)
    files = [os.path.join(content, name) for name in (TABLES_FILE, VERSION_FILE)]
    os.mkdir(content, 0o700)
    with engine().connect() as connection, connection.begin():
        work.guard.check(read_identity(connection))
        dumper, _ = mysql_programs(connection)
        without = f"--ignore-table={database}.{VERSION_TABLE}"
        for file, chosen in zip(files, ([without, database], [database, VERSION_TABLE])):
            dump_to(file, [dumper, DUMP_OPTIONS, chosen], work)
        heads, counts, sums = mysql_contents(connection, database, work)
    dumped = dict(rows_in_sql(files[0]), **rows_in_sql(files[1]))
    counted = {table[len(database) + 1 :]: count for table, count in counts.items() if count}
    for table in sorted(set(dumped) | set(counted)):
        if dumped.get(table, 0) != counted.get(table, 0):
            told = "%s has %d rows, its dump has %d; the dump was given up"
            raise Refused("DumpDiffers", told % (table, counted.get(table, 0), dumped.get(table, 0)))
    return {"heads": heads, "counts": counts, "sums": sums, "program": run_quickly([dumper, "--version"])[:100]}


def dump_to(file, command, work):
    """Runs the dump program; what it prints is packed into a file."""
    dumper, options, chosen = command
    tell = lambda: work.progress.tell(message="dumps: " + megabytes(os.path.getsize(file)))  # noqa: E731
    with packed_file(file) as packed, mysql_login() as login, tended_children(work, tell) as children:
        child = Child([dumper, login] + options + chosen, {}, stdout=subprocess.PIPE)
        children.append(child)
        with child.process.stdout as printed:
            shutil.copyfileobj(printed, packed, 1 << 20)
        child.wait()


@contextlib.contextmanager
def packed_file(file):
    """A new file of gzip's that only its owner may read, to write into."""
    handle = os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with open(handle, "wb") as plain, gzip.open(plain, "wb", 1) as packed:
        yield packed


def mysql_contents(connection, database, work):
    """Heads, counts and the server's checksum of every table, by database.table."""
    heads, counts, sums = {}, {}, {}
    for row in rows(connection, MYSQL_TABLES_SQL):
        work.authority.check()
        if row.kind != "BASE TABLE":
            continue
        place, name = quoted(connection, None, row.name), named(database, row.name)
        counts[name] = run_sql(connection, "SELECT count(*) FROM " + place).scalar()
        sums[name] = run_sql(connection, "CHECKSUM TABLE " + place).first()[1]
        if row.name.startswith(VERSION_TABLE) and has_column(connection, row.name, "version_num"):
            heads[name] = sorted(one[0] for one in run_sql(connection, "SELECT version_num FROM " + place))
    return heads, counts, sums


def rows_in_sql(file):
    """Rows of each table in a dump: what stands between the brackets of its INSERTs, texts left out. Throws Refused.

    MySQL's program writes all rows of an INSERT in its line, MariaDB's each in a line of its own.
    """
    found: dict[str, int] = {}
    last, table = b"", None
    try:
        with gzip.open(file, "rb") as lines:
            for line in lines:
                last = line.strip() or last
                into = INSERTED.match(line)
                if into:
                    table = into.group(1).replace(b"``", b"`").decode()
                if table and (into and not last.endswith(b"VALUES") or line.startswith(b"(")):
                    found[table] = found.get(table, 0) + QUOTED.sub(b"", line).count(b"),(") + 1
                if last.endswith(b";"):
                    table = None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise Refused(
            "DumpDiffers", f"{os.path.basename(file)} can't be read: {error}; the dump was given up"
        ) from error
    if not last.startswith(END_OF_DUMP):
        raise Refused("DumpDiffers", f"{os.path.basename(file)} has no end; the dump was given up")
    return found


def restore_mysql(folder, mark, work):
    """Drops and loads all tables but the version table, whose heads come last. Throws ChildFailed, Refused."""
    database = work.guard.identity["database"]
    with engine().connect() as connection, connection.begin():
        work.guard.check(read_identity(connection))
        write_heads(connection, [RESTORING])
        _, client = mysql_programs(connection)
        found = [row for row in rows(connection, MYSQL_TABLES_SQL) if row.name != VERSION_TABLE]
        first = [f"SET SESSION lock_wait_timeout = {HALF_WAY_SECONDS}, foreign_key_checks = 0;"]
        for row in found:
            what = "TABLE" if row.kind == "BASE TABLE" else "VIEW"
            first.append(f"DROP {what} IF EXISTS `{row.name.replace('`', '``')}`;")
    engine().dispose()
    options = ["--batch", "--default-character-set=utf8mb4", "--max-allowed-packet=1G", "--database=" + database]
    fed = [0]
    tell = lambda: work.progress.tell(message="restores: " + megabytes(fed[0]))  # noqa: E731
    with mysql_login() as login, tended_children(work, tell) as children:
        child = Child([client, login] + options, {}, stdin=subprocess.PIPE)
        children.append(child)
        with contextlib.suppress(BrokenPipeError), gzip.open(os.path.join(folder, CONTENT, TABLES_FILE)) as dump:
            child.process.stdin.write("\n".join(first + [""]).encode())
            for part in iter(lambda: dump.read(1 << 20), b""):
                child.process.stdin.write(part)
                fed[0] += len(part)
        with contextlib.suppress(BrokenPipeError):
            child.process.stdin.close()
        child.wait()
    with engine().connect() as connection, connection.begin():
        work.guard.check(read_identity(connection))
        _, counts, sums = mysql_contents(connection, database, work)
        core = named(database, VERSION_TABLE)
        for table in sorted((set(counts) | set(mark["counts"])) - {core}):
            if (counts.get(table), sums.get(table)) != (mark["counts"].get(table), mark["sums"].get(table)):
                told = "%s has %s rows after the restore, its dump has %s; Airflow must not start: order again"
                raise Refused("DumpDiffers", told % (table, counts.get(table), mark["counts"].get(table)))
        write_heads(connection, mark["heads"][core])


def write_heads(connection, heads):
    """The rows of the version table, in the transaction that is open."""
    run_sql(connection, "DELETE FROM " + VERSION_TABLE)
    for head in heads:
        run_sql(connection, f"INSERT INTO {VERSION_TABLE} (version_num) VALUES ({sql_text(head)})")
