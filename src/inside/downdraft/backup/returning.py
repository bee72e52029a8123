"""The return: the verified copy takes the place of the reversed database, which is put aside; and dropping a copy.

Both renames, and all that a copy does not carry (who may connect, ALTER DATABASE … SET, limits, comment), are one
transaction on the maintenance database: killed anywhere, either all of it is done or nothing. They are taken from the
original at that moment and not when the copy was made, so that nobody but the owner can connect to a copy and what was
changed in between counts. Which database is which is told by oid, and by our comments: a rename keeps both. So one
rename that a person has done by hand is found, too, and the other is done.
"""

import re

from downdraft.backup.copy import contents_of, drop_database, heads_of, tended
from downdraft.backup.marks import birthmark, database_named, database_where, mark_of, put_mark
from downdraft.backup.server import (
    alone_on,
    at_maintenance,
    one_transaction,
    run_sql,
    sql_name,
    sql_text,
    sqlstate,
    utc_now,
)
from downdraft.log import say
from downdraft.metadata import read_identity, rows, version_tables
from downdraft.refused import Refused
from downdraft.text import one_line

GRANTS_SQL = """
SELECT r.rolname AS role, a.privilege_type AS privilege, bool_or(a.is_grantable) AS grantable
FROM pg_database d, aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) a
LEFT JOIN pg_roles r ON r.oid = a.grantee
WHERE d.oid = CAST(:oid AS oid) AND (a.grantee = 0 OR r.oid IS NOT NULL) GROUP BY 1, 2 ORDER BY 1, 2"""

SET_FOR_SQL = """
SELECT r.rolname AS role, split_part(entry, '=', 1) AS name, substr(entry, strpos(entry, '=') + 1) AS value
FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole,
     unnest(s.setconfig) WITH ORDINALITY AS c(entry, place)
WHERE s.setdatabase = CAST(:oid AS oid) AND (s.setrole = 0 OR r.oid IS NOT NULL) ORDER BY r.rolname, c.place"""

# Parameters whose value is a list of names (GUC_LIST_QUOTE): quoted as one text they would be one name.
LISTS = ("local_preload_libraries", "search_path", "session_preload_libraries", "temp_tablespaces")


def take_back(order, work):
    """Facts: name, aside, versionTables, the new identity, and notCarried: what this role could not give to the
    copy."""
    work.progress.begin(work.index, "takeBack", 0, "")
    identity = work.guard.identity
    with at_maintenance(work) as (server, connection):
        reversed_one = database_where(connection, "oid = CAST(:oid AS oid)", oid=identity["oid"])
        done = reversed_one and mark_of(reversed_one)
        if done and "took" in done:
            refuse_other_place(connection, done["took"], identity)
            mark, lost = done["took"], []
        else:
            copy = copy_to_take(connection, order, work)
            mark = mark_of(copy)
            check_copy(server, copy, work)
            lost = exchange(connection, order, reversed_one, copy, work)
        told = {"name": order["name"], "aside": order["aside"], "notCarried": lost}
        return dict(told, **place_now(server, identity["database"], mark))


def refuse_other_place(connection, took, identity):
    """Throws Refused unless the copy that was restored is what stands in the original's place."""
    row = database_named(connection, identity["database"])
    if row is None or row.oid != took["oid"]:
        told = "the copy was restored before, but %s is another database now; nothing was done"
        raise Refused("IdentityChanged", told % identity["database"])


def copy_to_take(connection, order, work):
    """The verified copy, under its own name, or under the original's where a person has renamed it."""
    seen = []
    for name in (order["name"], work.guard.identity["database"]):
        row = database_named(connection, name)
        mark = mark_of(row) if row else None
        if mark and "verified" in mark:
            if mark.get("of") == work.guard.identity and mark["downdraft"] == order.get("run"):
                return row
            seen.append(f"{name} is a copy of run {mark['downdraft']}, of {mark.get('of')}")
    told = "there is no verified copy %s of this database: %s; nothing was done"
    raise Refused("NoCopy", told % (order["name"], "; ".join(seen) or "none has our comment"))


def check_copy(server, copy, work):
    """Throws Refused unless the copy still is what was verified."""
    mark = mark_of(copy) or {}
    heads, counted = contents_of(server, copy.name, work)
    if heads != mark["heads"] or (len(counted), sum(counted.values())) != (mark["tables"], mark["rows"]):
        told = "the copy %s is not any more what it was when it was verified at %s; nothing was done"
        raise Refused("CopyChanged", told % (copy.name, mark["verified"]))


def exchange(connection, order, reversed_one, copy, work):
    """The renames and what goes with them, in one transaction; answers what could not be carried over, in words."""
    identity = work.guard.identity
    names = {row.name for row in (reversed_one, copy) if row}

    def act():
        work.progress.tell(message=f"restores the copy {copy.name}")
        with one_transaction(connection):
            if reversed_one and reversed_one.name != order["aside"]:
                rename(connection, reversed_one.name, order["aside"])
            if copy.name != identity["database"]:
                rename(connection, copy.name, identity["database"])
            lost = carry_over(connection, reversed_one, identity["database"]) if reversed_one else []
            mark = mark_of(copy)
            if reversed_one:
                close_aside(connection, order, reversed_one, mark, identity)
            return lost

    with tended(connection, work):
        return alone_on(connection, sorted(names), work, act)


def rename(connection, name, new):
    run_sql(connection, f"ALTER DATABASE {sql_name(name)} RENAME TO {sql_name(new)}")


def carry_over(connection, source, name):
    """Gives to the database `name` what the source has beside its content. Inside a transaction."""
    place = sql_name(name)
    lost: list[str] = []
    changes = (
        f"ALTER DATABASE {place} CONNECTION LIMIT {source.connections}"
        f" ALLOW_CONNECTIONS {str(source.open).lower()} IS_TEMPLATE {str(source.template).lower()}"
    )
    attempt(connection, "limits", changes, lost)
    attempt(connection, "grants", f"REVOKE ALL ON DATABASE {place} FROM PUBLIC, {sql_name(source.owner)}", lost)
    for role, privilege, grantable in rows(connection, GRANTS_SQL, oid=source.oid):
        to = "PUBLIC" if role is None else sql_name(role)
        grant = f"GRANT {privilege} ON DATABASE {place} TO {to}"
        grant += " WITH GRANT OPTION" if grantable and role != source.owner else ""
        attempt(connection, f"{privilege} for {to}", grant, lost)
    for role, parameter, value in rows(connection, SET_FOR_SQL, oid=source.oid):
        who = "DATABASE " + place if role is None else f"ROLE {sql_name(role)} IN DATABASE {place}"
        change = f"ALTER {who} SET {sql_name(*parameter.split('.'))} TO {setting_text(parameter, value)}"
        attempt(connection, parameter if role is None else f"{parameter} for {role}", change, lost)
    attempt(connection, "comment", f"COMMENT ON DATABASE {place} IS {sql_text(source.comment)}", lost)
    return lost


def setting_text(parameter, value):
    """A stored value as SET takes it."""
    if parameter not in LISTS:
        return sql_text(value)
    found = re.findall(r'"((?:[^"]|"")*)"|([^",\s]+)', value)
    return ", ".join(sql_text(within.replace('""', '"') or plain) for within, plain in found) or "''"


def attempt(connection, what, sql, lost):
    """One change of a transaction that goes on without it where this role may not make it. Throws Refused for all else,
    as a lock that is not had in time. Without the statement, since a setting may be a secret."""
    run_sql(connection, "SAVEPOINT downdraft")
    try:
        run_sql(connection, sql)
    except Exception as error:
        told = f"{what}: {one_line(getattr(error, 'orig', error))}"
        # 42: no right, or unknown to this server; 22: not a value.
        if (sqlstate(error) or "")[:2] not in ("42", "22"):
            raise Refused("NotCarried", told + "; nothing was changed") from error
        run_sql(connection, "ROLLBACK TO SAVEPOINT downdraft")
        lost.append(told)
    run_sql(connection, "RELEASE SAVEPOINT downdraft")


def close_aside(connection, order, reversed_one, mark, identity):
    """The reversed one is nobody's place to connect to by mistake; its comment says what it is."""
    place = sql_name(order["aside"])
    lost: list[str] = []
    granted = rows(connection, GRANTS_SQL, oid=reversed_one.oid)
    for role in sorted({role for role, _, _ in granted if role != reversed_one.owner}, key=str):
        to = "PUBLIC" if role is None else sql_name(role)
        attempt(connection, "grants of " + to, f"REVOKE ALL ON DATABASE {place} FROM {to}", lost)
    for line in lost:
        say(f"left as it was on {order['aside']}: {line}")
    took = {"name": order["name"], "oid": mark["oid"], "heads": mark["heads"], "at": utc_now()}
    aside = database_named(connection, order["aside"])
    put_mark(connection, aside, {"downdraft": mark["downdraft"], "of": identity, "took": took})


def place_now(server, name, mark):
    """Version tables and identity of what stands in the original's place. Throws Refused unless it is the copy."""
    connection = server.open(name)
    try:
        heads = heads_of(connection)
        if heads != mark["heads"]:
            raise Refused("NotAtTarget", f"{name} is at {heads}, its copy was at {mark['heads']}")
        return {"versionTables": version_tables(connection), "identity": read_identity(connection)}
    finally:
        connection.close()


def drop_copy(order, work):
    """Drops a copy, finished or not, or what was put aside, of any run; facts: name, and whether there was one.

    The orders may name the identity from before or after the return: the database in use is known by its name.
    """
    work.progress.begin(work.index, "dropCopy", 0, "")
    with at_maintenance(work) as (_server, connection):
        row = database_named(connection, order["name"])
        if row:
            unfinished = not row.comment and row.connections == birthmark(row.name)
            if not unfinished and not mark_of(row):
                raise Refused("NotOurs", f"{row.name} is no copy that downdraft made; it was not touched")
            drop_database(connection, row.name, work)
        return {"name": order["name"], "dropped": row is not None}
