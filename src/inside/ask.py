"""Asks a running container's own Airflow where its metadata database is and what stands in it.

Put after chain.py, database.py and environment.py. Prints one line, `DOWNDRAFT-DATABASE {json}`, as in src/inside/README.md; exit 0, or
another with `error` and `kind`. Reads only, makes nothing, ends by itself after DOWNDRAFT_ASK_SECONDS.

1. The environment of the Airflow that runs here is taken, for an entry point may have added to the container's.
2. Only as much of Airflow is set up as makes its engine: on 3.x in half the time of a whole `import airflow`.
3. On that engine, with a connection of its own, one read-only transaction.
"""
import signal
import threading

SECONDS = float(os.environ.get("DOWNDRAFT_ASK_SECONDS", "20"))
MOST_SESSIONS = 200

# What airflow.settings.initialize() of 3.x does up to the engine, in its order; without logging, policy plugins, masks.
RESOLVING = (
    "configure_vars",
    "prepare_syspath_for_config_and_plugins",
    "configure_policy_plugin_manager",
    "import_local_settings",
    "configure_orm",
)

# As src/database/sessions.ts: of another role's session an ordinary role sees neither state, address nor backend_type.
SESSIONS_SQL = {
    "postgresql": """
        SELECT pid, coalesce(usename::text, ''), coalesce(application_name, ''), coalesce(host(client_addr), ''),
          coalesce(state, '')
        FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
          AND (backend_type = 'client backend' OR (backend_type IS NULL AND usesysid IS NOT NULL))
          AND coalesce(application_name, '') NOT IN ('downdraft', 'downdraft-runner')
        ORDER BY backend_start NULLS LAST, pid LIMIT %d""",
    "mysql": """
        SELECT id, user, '', host, lower(command) FROM information_schema.processlist
        WHERE db = database() AND id <> connection_id() ORDER BY id LIMIT %d""",
}
MAY_SEE_ALL = """
    SELECT 1 FROM information_schema.user_privileges WHERE privilege_type = 'PROCESS'
      AND grantee = concat('''', replace(current_user(), '@', '''@'''), '''')"""


class Answer:
    """The one line that is printed, by whoever comes first: the main thread or the clock."""

    def __init__(self):
        self.first = threading.Lock()
        # Airflow, its plugins and local settings may print, and a command of the configuration may wait for input.
        self.out = os.dup(1)
        os.dup2(2, 1)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)

    def give(self, answer, code):
        """Prints and ends the process; after a failure with all that a command of the configuration has started."""
        if not self.first.acquire(blocking=False):
            threading.Event().wait()
        with os.fdopen(self.out, "w") as out:
            out.write("DOWNDRAFT-DATABASE " + json.dumps(answer) + "\n")
        if code and os.getpgrp() == os.getpid():
            os.killpg(0, signal.SIGKILL)
        # Other people's atexit functions and threads must not keep us, nor connect.
        os._exit(code)


def end_in_time(answer):
    """After SECONDS the clock answers; a second later the kernel ends us, whatever any library is doing."""
    late = {"error": "no answer within %g s" % SECONDS, "kind": "Timeout"}
    clock = threading.Timer(SECONDS, answer.give, (late, 1))
    clock.daemon = True
    clock.start()
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, SECONDS + 1)


def resolve():
    """Airflow's own engine, made as Airflow makes it. 2.x can't do it in part, and is as fast as a whole."""
    os.environ["_AIRFLOW__AS_LIBRARY"] = "1"
    from airflow import settings

    # A command of the configuration may be a program of Airflow's own.
    del os.environ["_AIRFLOW__AS_LIBRARY"]
    known = vars(settings)
    if airflow_version().startswith("2.") or not all(name in known for name in RESOLVING if "policy" not in name):
        settings.initialize()
    else:
        for step in (known[name] for name in RESOLVING if name in known):
            step()
    return engine()


def readable(resolved, confirmed):
    """The engine to read with. SQLite's is made anew: Airflow's would make the file, and switches its journal mode."""
    file = named_file(resolved, confirmed)
    if file is None:
        return resolved
    import sqlite3

    from sqlalchemy import create_engine

    return create_engine("sqlite://", creator=lambda: sqlite3.connect(file.as_uri() + "?mode=ro", uri=True, timeout=2))


def limit_wait(resolved):
    """Bounds the wait for a MySQL server; libpq has PGCONNECT_TIMEOUT, which a connect_timeout of the URL overrides."""
    from sqlalchemy import event

    @event.listens_for(resolved, "do_connect")
    def bound(dialect, _record, _positional, named):
        if dialect.name == "mysql" and dialect.driver in ("mysqldb", "pymysql"):
            for name in ("connect_timeout", "read_timeout"):
                named.setdefault(name, max(1, int(SECONDS)))


def begin_reading(connection):
    """Nothing can be written from here on, and no statement outlasts us on the server."""
    milliseconds = int(SECONDS * 900)
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET TRANSACTION READ ONLY")
        connection.exec_driver_sql("SET LOCAL statement_timeout = %d" % milliseconds)
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = %d" % milliseconds)
    if connection.dialect.name == "mysql":
        limit = "max_execution_time = %d" % milliseconds
        if getattr(connection.dialect, "is_mariadb", False):
            limit = "max_statement_time = %g" % (milliseconds / 1000)
        # Reflection asks by SHOW, which no time limit for statements covers, but that for waiting does.
        connection.exec_driver_sql("SET SESSION %s, lock_wait_timeout = %d" % (limit, max(1, milliseconds // 1000)))
        # Not inside the transaction that is open already: for the next one, begun after this commit.
        connection.exec_driver_sql("COMMIT")
        connection.exec_driver_sql("START TRANSACTION READ ONLY")


def refuse_hidden(connection):
    """An empty answer lets any image through, so it must be true: no schema that our role may not look into."""
    if not is_postgres(connection):
        return
    hidden = """SELECT nspname FROM pg_namespace WHERE NOT has_schema_privilege(oid, 'usage') AND nspname IN (
        SELECT CASE btrim(part, ' "') WHEN '$user' THEN current_user::text ELSE btrim(part, ' "') END
        FROM unnest(string_to_array(current_setting('search_path'), ',')) AS part UNION SELECT :configured)"""
    found = rows(connection, hidden, configured=configured_schema(connection))
    if found:
        raise PermissionError("permission denied for schema %s" % found[0][0])


def sessions(connection):
    """Sessions of others, or None when that can't be told: an empty list always means that nobody is there."""
    dialect = connection.dialect.name
    if dialect not in SESSIONS_SQL:
        return None
    names = ("pid", "user", "application", "client", "state")
    found = [dict(zip(names, row)) for row in rows(connection, SESSIONS_SQL[dialect] % MOST_SESSIONS)]
    # Without PROCESS a MySQL user sees its own sessions only.
    blind = dialect == "mysql" and not rows(connection, MAY_SEE_ALL)
    return None if blind and not found else found


def ask():
    """The answer. Throws what Airflow, its configuration, SQLAlchemy or the driver throws."""
    confirmed = adopt_environment()
    os.environ["PGAPPNAME"] = "downdraft"
    os.environ.setdefault("PGCONNECT_TIMEOUT", str(max(2, int(SECONDS * 0.8))))
    resolved = readable(resolve(), confirmed)
    limit_wait(resolved)
    with resolved.connect() as connection, connection.begin():
        begin_reading(connection)
        told = describe_database(connection)
        if not told["versionTables"] and not told["airflowTables"]:
            refuse_hidden(connection)
        found = sessions(connection)
        if found is not None:
            told["sessions"] = found
    resolved.dispose()
    return told


def main():
    # A group of our own, so that what a command of the configuration starts can be ended with us.
    with contextlib.suppress(OSError):
        os.setpgid(0, 0)
    answer = Answer()
    end_in_time(answer)
    try:
        told = ask()
    except (Exception, SystemExit) as error:  # Airflow ends the process on some configuration faults.
        answer.give({"error": one_line(error), "kind": type(error).__name__}, 1)
    answer.give(told, 0)


main()
