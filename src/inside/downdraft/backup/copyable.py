"""Whether the server can copy Airflow's database, and the copy take its place again: the part `copy` of inspect.json.

Read only. PostgreSQL tells nobody how much of its disk is free (only programs run on the server would), so that stays
unknown, and a copy that finds the disk full is given up without a trace.
"""

from __future__ import annotations

from downdraft.backup.marks import database_named
from downdraft.backup.server import THROUGH_POOLER, Server, goes_through_pooler
from downdraft.messages.inspection import CopyPossible
from downdraft.metadata import engine, is_postgres, read_identity, rows, schema_of, version_schema
from downdraft.refused import Refused
from downdraft.text import one_line

ABOUT_SQL = """
SELECT d.oid::text AS oid, d.datname AS name, pg_get_userbyid(d.datdba) AS owner, pg_database_size(d.oid) AS bytes,
       current_setting('server_version_num')::int AS version, t.spcname AS tablespace, pg_is_in_recovery() AS standby,
       r.rolname AS role, r.rolsuper AS super, r.rolcreatedb AS creates, r.rolcreaterole AS creates_roles,
       pg_has_role(d.datdba, 'USAGE') AND pg_has_role(d.datdba, 'MEMBER') AS owns
FROM pg_database d JOIN pg_tablespace t ON t.oid = d.dattablespace, pg_roles r
WHERE d.datname = current_database() AND r.rolname = current_user"""

# Whoever reads a table: not the server itself, not an extension.
TABLES_SQL = """
SELECT n.nspname, c.relname, has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS readable
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                  AND d.deptype = 'e')
ORDER BY 1, 2"""

REPLICATION_SQL = """
SELECT 'replication slot ' || slot_name FROM pg_replication_slots WHERE database = current_database()
UNION ALL
SELECT 'subscription ' || subname FROM pg_subscription
WHERE subdbid = (SELECT oid FROM pg_database WHERE datname = current_database())"""

# ALTER DATABASE … SET and ALTER ROLE … IN DATABASE … SET.
SETTINGS_SQL = """
SELECT split_part(entry, '=', 1) AS name, coalesce(r.rolname, '') AS role, coalesce(p.context, '') AS context
FROM pg_db_role_setting s JOIN pg_database d ON d.oid = s.setdatabase LEFT JOIN pg_roles r ON r.oid = s.setrole,
     unnest(s.setconfig) AS c(entry) LEFT JOIN pg_settings p ON p.name = split_part(entry, '=', 1)
WHERE d.datname = current_database() ORDER BY 1, 2"""


def describe_copy(connection):
    """possible, why (a sentence for each thing in the way), notes, bytes, maintenance, strategy, others, freeBytes."""
    told: CopyPossible = {
        "possible": False,
        "why": [],
        "notes": [],
        "bytes": 0,
        "others": [],
        "freeBytes": None,
        "maintenance": None,
        "strategy": "",
    }
    if not is_postgres(connection):
        told["why"].append(f"only PostgreSQL copies a database by itself, this is {connection.dialect.name}")
        return told
    try:
        # What can't be read must not take the rest of the inspection with it.
        with connection.begin_nested():
            describe_on_postgres(connection, told)
    except Exception as error:
        told["why"].append("what a copy needs can't be found out: " + one_line(error))
    told["possible"] = not told["why"]
    return told


def describe_on_postgres(connection, told):
    about = rows(connection, ABOUT_SQL)[0]
    told["bytes"], told["strategy"] = about.bytes, "FILE_COPY" if about.version >= 150000 else ""
    told["notes"].append(
        f"the copy takes {about.bytes // 1000000 + 1} MB in tablespace {about.tablespace};"
        " PostgreSQL does not tell how much is free there"
    )
    told["why"] += missing_rights(about)
    if goes_through_pooler(connection):
        told["why"].append(THROUGH_POOLER)
    try:
        told["maintenance"] = find_maintenance(about, read_identity(connection)["cluster"])
    except Exception as error:
        told["why"].append(one_line(error))
    others, unreadable = foreign_tables(connection)
    told["others"] = sorted(others)
    if others:
        told["why"].append(
            f"tables that are not Airflow's are in the schemas {', '.join(told['others'])}:"
            " a return would undo what they wrote, too"
        )
    if unreadable:
        told["why"].append(f"{unreadable[0]} can't be read by {about.role}, so that a copy can't be checked")
    bound = [row[0] for row in rows(connection, REPLICATION_SQL)]
    if bound:
        told["why"].append(f"{', '.join(bound)} follow this database and would not follow a copy that takes its place")
    told["why"] += settings_of_others(connection, about)


def missing_rights(about):
    """What the role of Airflow's connection lacks."""
    if about.standby:
        return ["this server is a standby; a copy is made on the primary"]
    if about.super:
        return []
    why = [] if about.creates else [f"the role {about.role} may not create databases: ALTER ROLE ... CREATEDB"]
    if not about.owns:
        told = "the database belongs to %s, and the role %s is not a member of it"
        why.append(told % (about.owner, about.role))
    return why


def find_maintenance(about, cluster):
    """Name of the database from which the copy is made; it must know ours, on the same server."""
    name, other = Server(engine()).open_maintenance(about.name)
    try:
        row = database_named(other, about.name)
        if read_identity(other)["cluster"] != cluster or row is None or row.oid != about.oid:
            told = "the database %s that the same login reaches is on another server"
            raise Refused("NoMaintenance", told % name)
        return name
    finally:
        other.close()


def foreign_tables(connection):
    """Schemas with tables beside those of Airflow, and tables in Airflow's that we can't read."""
    own = {schema_of(connection), version_schema(connection)}
    found = rows(connection, TABLES_SQL)
    unreadable = [schema + "." + name for schema, name, readable in found if schema in own and not readable]
    return {row[0] for row in found} - own, unreadable


def settings_of_others(connection, about):
    """Settings of the database that this role could not give to a copy which takes its place."""
    if about.super:
        return []
    why = []
    for name, role, context in rows(connection, SETTINGS_SQL):
        if role not in ("", about.role) and not about.creates_roles:
            why.append(f"only {role} or a superuser may set {name} for {role} in a database")
        # One that the server does not know may belong to an extension: that, too, needs a superuser.
        elif (context or "superuser").startswith("superuser") and not may_set(connection, about, name):
            why.append(f"the database sets {name}, which only a superuser may")
    return why


def may_set(connection, about, name):
    """Whether the right to set this one parameter was granted, which there is from PostgreSQL 15 on."""
    asked = "SELECT has_parameter_privilege(:name, 'SET')"
    return about.version >= 150000 and rows(connection, asked, name=name)[0][0]
