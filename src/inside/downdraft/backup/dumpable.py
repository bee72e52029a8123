"""Whether the database can be dumped to the volume that is named, and back: the part `dump` of inspect.json.

Reads the database; writes an empty file to the volume, gone at once.
"""

from __future__ import annotations

import os
import re
import shutil

from downdraft.backup.dumpfolder import BACKUP_DIR, expired_dumps
from downdraft.backup.mysql import describe_dump_of_mysql
from downdraft.backup.programs import libpq_login, run_quickly
from downdraft.backup.server import THROUGH_POOLER, goes_through_pooler
from downdraft.messages.inspection import DumpPossible
from downdraft.metadata import engine, rows, schema_of, version_schema
from downdraft.refused import Refused
from downdraft.text import megabytes, named, one_line

POSTGRES_PROGRAMS = ("pg_dump", "pg_restore", "psql")

# All that has a place of its own in Airflow's schemas, but for what an extension made. Indexes go with their tables.
DUMPED_SQL = """
SELECT c.oid::bigint AS oid, n.nspname AS schema, c.relname AS name, c.relkind::text AS kind,
       CASE WHEN c.relkind IN ('r', 'm') THEN pg_table_size(c.oid) ELSE 0 END AS bytes,
       has_table_privilege(c.oid, 'SELECT') AS readable, pg_has_role(c.relowner, 'MEMBER') AS ours,
       EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
               AND d.refclassid = 'pg_class'::regclass AND d.deptype IN ('a', 'i')) AS owned
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = ANY(CAST(:schemas AS text[])) AND c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S')
  AND NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = 'pg_class'::regclass AND e.objid = c.oid
                  AND e.deptype = 'e')
ORDER BY n.nspname, c.relname"""

# What would have to go, or be changed, where those are dropped, and would not come back with the dump.
OTHERS_SQL = """
WITH schemas AS (SELECT oid FROM pg_namespace WHERE nspname = ANY(CAST(:schemas AS text[]))),
     ours AS (SELECT oid FROM pg_class WHERE relnamespace IN (SELECT oid FROM schemas)),
     types AS (SELECT oid FROM pg_type WHERE typnamespace IN (SELECT oid FROM schemas))
SELECT DISTINCT CASE WHEN w.ev_class IS NULL THEN pg_describe_object(d.classid, d.objid, 0)
                     ELSE pg_describe_object('pg_class'::regclass, w.ev_class, 0) END
FROM pg_depend d
LEFT JOIN pg_rewrite w ON d.classid = 'pg_rewrite'::regclass AND w.oid = d.objid
LEFT JOIN pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
LEFT JOIN pg_attrdef a ON d.classid = 'pg_attrdef'::regclass AND a.oid = d.objid
LEFT JOIN pg_trigger t ON d.classid = 'pg_trigger'::regclass AND t.oid = d.objid
LEFT JOIN pg_policy p ON d.classid = 'pg_policy'::regclass AND p.oid = d.objid
WHERE (d.deptype = 'n'
       OR d.deptype = 'a' AND d.classid IN ('pg_class'::regclass, to_regclass('pg_catalog.pg_publication_rel')))
  AND (d.refclassid = 'pg_class'::regclass AND d.refobjid IN (SELECT oid FROM ours)
       OR d.refclassid = 'pg_type'::regclass AND d.refobjid IN (SELECT oid FROM types))
  AND NOT (d.classid = 'pg_type'::regclass AND d.objid IN (SELECT oid FROM types))
  AND coalesce(w.ev_class, nullif(k.conrelid, 0), a.adrelid, t.tgrelid, p.polrelid, d.objid)
      NOT IN (SELECT oid FROM ours)
ORDER BY 1"""


def describe_dump(connection):
    """None where no volume is named; else possible, why (a sentence for each thing in the way), notes, program,
    needBytes and freeBytes."""
    if not BACKUP_DIR:
        return None
    told: DumpPossible = {
        "possible": False,
        "why": [],
        "notes": [],
        "program": None,
        "needBytes": None,
        "freeBytes": None,
    }
    try:
        told["freeBytes"] = free_bytes()
    except OSError as error:
        told["why"].append(f"the folder {BACKUP_DIR} can't be written: {error.strerror}")
    try:
        known = {"postgresql": describe_dump_of_postgres, "mysql": describe_dump_of_mysql}
        describe = known.get(connection.dialect.name)
        if describe:
            # What can't be read must not take the rest of the inspection with it.
            with connection.begin_nested():
                describe(connection, told)
        else:
            told["why"].append("a dump is made of PostgreSQL, MySQL and MariaDB, this is " + connection.dialect.name)
    except Exception as error:
        told["why"].append("what a dump needs can't be found out: " + one_line(error))
    free, need = told["freeBytes"], told["needBytes"]
    if free is not None and need is not None and need > free:
        sizes = f"{megabytes(need)}, and {megabytes(free)} are free in {BACKUP_DIR}"
        told["why"].append("the dump may take " + sizes)
    told["possible"] = not told["why"]
    return told


def free_bytes():
    """What is free in the folder, dumps counted in whose time is over. Throws OSError where it can't be written."""
    probe = os.path.join(BACKUP_DIR, f".downdraft-probe-{os.getpid()}")
    os.close(os.open(probe, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
    os.unlink(probe)
    volume = os.statvfs(BACKUP_DIR)
    over = [mark.get("bytes") for _, mark in expired_dumps()]
    return volume.f_bavail * volume.f_frsize + sum(size for size in over if isinstance(size, int))


def describe_dump_of_postgres(connection, told):
    told["why"] += missing_programs(connection, told)
    if goes_through_pooler(connection):
        told["why"].append(THROUGH_POOLER.replace("a copy", "a dump"))
    try:
        libpq_login(engine())
    except Refused as refused:
        told["why"].append(str(refused))
    schemas = dumped_schemas(connection)
    found = rows(connection, DUMPED_SQL, schemas=schemas)
    told["needBytes"] = sum(row.bytes for row in found)
    told["notes"].append(
        f"the dump may take about {megabytes(told['needBytes'])}: the size of the tables in"
        f" {', '.join(schemas)} without their indexes; it is compressed"
    )
    role = rows(connection, "SELECT current_user")[0][0]
    unreadable = [row for row in found if row.kind in "rpS" and not row.readable]
    if unreadable:
        told["why"].append(f"{unreadable[0].schema}.{unreadable[0].name} can't be read by {role}")
    foreign = [row for row in found if not row.ours]
    if foreign:
        place = named(foreign[0].schema, foreign[0].name)
        told["why"].append(f"{place} does not belong to {role}, who could not bring it back")
    told["why"] += [
        f"{role} may not make tables in the schema {schema}, so that they could not be restored"
        for schema in schemas
        if not rows(connection, "SELECT has_schema_privilege(:schema, 'CREATE')", schema=schema)[0][0]
    ]
    others = others_on(connection, schemas)
    if others:
        told["notes"].append(f"a dump is not restored while {', '.join(others)} depends on Airflow's tables")


def missing_programs(connection, told):
    """Sentences; writes `program`. pg_dump reads servers of its own version and older ones."""
    why = [f"the program {name} is not in this image" for name in POSTGRES_PROGRAMS if not shutil.which(name)]
    if why:
        return why
    told["program"] = " ".join(run_quickly(["pg_dump", "--version"]).replace("(PostgreSQL)", "").split()[:2])
    version = re.search(r" (\d+)", told["program"])
    if not version:
        return ["pg_dump does not tell its version: " + told["program"]]
    server = rows(connection, "SELECT current_setting('server_version_num')::int / 10000")[0][0]
    older = int(version.group(1)) < server
    return [f"{told['program']} is older than the server, which is PostgreSQL {server}"] if older else []


def dumped_schemas(connection):
    """Where Airflow's tables are; other people's schemas stay out."""
    return sorted({schema_of(connection), version_schema(connection)})


def others_on(connection, schemas):
    """Views, foreign keys, functions, publications of others that depend on what is in these schemas, by name."""
    return [row[0] for row in rows(connection, OTHERS_SQL, schemas=schemas)]
