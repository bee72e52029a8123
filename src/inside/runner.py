"""The warm runner: imports Airflow and inspects before anything is drained, then waits for orders, in files.

All talk is by small files in one folder (DOWNDRAFT_DIR), each written whole by a rename, so that it can be polled by
short reads through a dropped-and-made-again connection. src/inside/README.md lists the files.

1. The folder is claimed by a file lock, which dies with the process; a second runner ends with 3.
2. inspect.json is written; then all connections are closed: a waiting runner keeps no session on the database.
3. A file `look` makes it inspect once more: after the drain nobody writes, and what was counted before is old.
4. orders.json is carried out (steps.py), result.json written, and it waits again, until `stop` or until idle for long.
"""
import fcntl
import signal
import traceback

DIR = os.environ.get("DOWNDRAFT_DIR", "/tmp/downdraft")
IDLE_SECONDS = float(os.environ.get("DOWNDRAFT_IDLE_SECONDS", "3600"))
POLL_SECONDS = 0.1


def say(line):
    """One line of the log."""
    print("downdraft-runner: " + masked(line), flush=True)


def path(name):
    return os.path.join(DIR, name)


def write(name, value):
    """Writes a file of the folder whole: as JSON, in one rename."""
    draft = path(".%s.%d.%d" % (name, os.getpid(), threading.get_ident()))
    with open(draft, "w") as file:
        json.dump(value, file)
    os.replace(draft, path(name))


def remove(*names):
    for name in names:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path(name))


def claim():
    """Takes the folder for this process, or ends with 3. What a former runner left is taken away, but for the token."""
    os.makedirs(DIR, mode=0o700, exist_ok=True)
    owner = open(path("owner"), "a+")
    try:
        fcntl.flock(owner, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        by = ""
        with contextlib.suppress(FileNotFoundError), open(path("pid")) as file:
            by = ", process %s," % file.read().strip()
        say("another runner%s is alive and owns %s; this one ends" % (by, DIR))
        sys.exit(3)
    # Orders that a former runner left are not carried out unasked: the way back may have been taken since.
    left = Authority.read() or {}
    if isinstance(left.get("token"), int):
        Authority.remember(left["token"])
    remove("inspect.json", "orders.json", "progress.json", "result.json", "stop", "look")
    write("pid", os.getpid())
    return owner


class Authority:
    """Whose orders count: those with the highest token ever seen in this folder."""

    def __init__(self):
        self.orders, self.ignored = None, None

    @staticmethod
    def read():
        """What stands in orders.json; None when there is none, or nothing of use."""
        try:
            with open(path("orders.json")) as file:
                orders = json.load(file)
        except FileNotFoundError:
            return None
        except ValueError as error:
            say("orders.json is no JSON: %s" % error)
            return None
        return orders if isinstance(orders, dict) else None

    @staticmethod
    def highest():
        try:
            with open(path("token")) as file:
                return int(file.read())
        except FileNotFoundError:
            return 0

    @staticmethod
    def remember(token):
        if token > Authority.highest():
            write("token", token)

    def next(self):
        """Orders to carry out now, or None. Ignored: a token that is lower than one seen, and what was done already."""
        orders = self.read()
        signature = (orders.get("token"), orders.get("run")) if orders else None
        if orders is None or signature == self.ignored:
            return None
        self.ignored = signature
        fault = fault_of(orders)
        if not fault and orders["token"] < self.highest():
            fault = "token %d is lower than %d, which was seen before" % (orders["token"], self.highest())
        if fault:
            say("orders ignored: %s" % fault)
            return None
        self.remember(orders["token"])
        self.orders = orders
        return orders

    def check(self):
        """Before each step. A higher token with the same run renews the authority; another run ends it, as the way back does."""
        if os.path.exists(path("stop")):
            raise Refused("Stopped", "asked to stop; the steps from here on were not begun")
        orders = self.read()
        if not orders or fault_of(orders) or orders["token"] < self.orders["token"]:
            return
        if orders["run"] != self.orders["run"]:
            raise Refused("Superseded", "newer orders came, of another run; the steps from here on were not begun")
        if orders["token"] > self.orders["token"]:
            self.remember(orders["token"])
            self.orders, self.ignored = orders, (orders["token"], orders["run"])

    def signature(self):
        """Under which orders we act."""
        return {"token": self.orders["token"], "run": self.orders["run"]}


def fault_of(orders):
    """What makes orders unusable, or None."""
    if not isinstance(orders.get("token"), int) or not isinstance(orders.get("run"), str):
        return "token must be a whole number and run a text"
    identity = orders.get("identity")
    if not isinstance(identity, dict) or set(identity) != {"database", "oid", "cluster"}:
        return "identity must have database, oid and cluster"
    for order in orders.get("steps") or [None]:
        if not isinstance(order, dict) or order.get("kind") not in KINDS:
            return "there must be steps, each of a kind that is known: %s" % ", ".join(sorted(KINDS))
        if order["kind"] in ("core", "manager") and not isinstance(order.get("toRevision"), str):
            return "a step of the schema needs a toRevision"
        if order["kind"] == "manager" and not isinstance(order.get("class"), str):
            return "a step of a manager needs its class"
    return None


def take(name):
    """The text of a file of the folder, which is then gone."""
    with open(path(name)) as file:
        text = file.read()
    remove(name)
    return text


def inspect_or_end(mark=None):
    """Writes inspect.json, with the mark of whoever asked for it, and answers the managers; on failure writes the
    error there and ends with 1."""
    begun = time.monotonic()
    try:
        import airflow  # noqa: F401

        imported = time.monotonic()
        told, managers = inspect_all()
        told["look"] = mark
        told["seconds"] = {"import": imported - begun, "inspect": time.monotonic() - imported}
    except (Exception, SystemExit) as error:
        write("inspect.json", {"error": one_line(error)})
        say("inspection failed: %s" % one_line(error))
        sys.exit(1)
    engine().dispose()
    write("inspect.json", told)
    say("inspected %s in %.1f s" % (told["database"]["versionTables"], time.monotonic() - begun))
    return managers


def warm_up():
    """Loads now what alembic's env.py would load in the outage. Failing here costs only time: the step says why."""
    try:
        from airflow import models

        models.import_all_models()
    except Exception as error:
        say("can't load the models beforehand: %s" % one_line(error))


def obey(orders, authority, managers, guard):
    """Carries out orders and writes result.json, whatever happens."""
    say("orders %s of run %s: %d steps" % (orders["token"], orders["run"], len(orders["steps"])))
    remove("progress.json", "result.json")
    progress = Progress(authority, write, say, len(orders["steps"]))
    try:
        seconds, facts = carry_out(orders, Work(managers, guard, progress, authority))
        result = {"ok": True, "seconds": seconds, "facts": facts}
    except (Exception, SystemExit) as error:
        # Frames only: a message may hold a row's values.
        say("".join(traceback.format_tb(error.__traceback__)))
        result = {"ok": False, "error": failure(error, progress)}
    guard.identity = None
    try:
        with engine().connect() as connection:
            result["versionTables"] = version_tables(connection)
    except Exception as error:
        result["versionTables"], result["versionTablesError"] = {}, one_line(error)
    engine().dispose()
    guard.close_what_is_left()
    write("result.json", dict(result, **authority.signature()))
    say("result: %s" % json.dumps(result))


def end_on_sigterm():
    """Ends at once on SIGTERM, also inside a statement and as process 1, where the default action does not end it.

    Python's own handlers run only between bytecodes; the wake-up pipe is written at once. PostgreSQL rolls back.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.signal(signal.SIGTERM, lambda *_: None)
    signal.set_wakeup_fd(writing)

    def wait():
        while signal.SIGTERM not in os.read(reading, 64):
            continue
        os._exit(143)

    threading.Thread(target=wait, daemon=True).start()


def main():
    end_on_sigterm()
    owner = claim()  # noqa: F841 the lock lives as long as this file is open
    os.environ["PGAPPNAME"] = "downdraft-runner"
    os.environ.setdefault("PGCONNECT_TIMEOUT", "15")
    managers = inspect_or_end()
    warm_up()
    guard, authority = Guard(engine()), Authority()
    deadline = time.monotonic() + IDLE_SECONDS
    while time.monotonic() < deadline and not os.path.exists(path("stop")):
        if os.path.exists(path("look")):
            managers = inspect_or_end(take("look"))
        orders = authority.next()
        if orders:
            obey(orders, authority, managers, guard)
            deadline = time.monotonic() + IDLE_SECONDS
        time.sleep(POLL_SECONDS)
    say("ends: %s" % ("stopped" if os.path.exists(path("stop")) else "idle"))
    remove("pid")
    # Other people's atexit functions and threads must not keep the pod, nor connect.
    sys.stdout.flush()
    os._exit(0)


main()
