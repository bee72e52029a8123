"""Programs that we start (pg_dump, pg_restore, psql and MySQL's): their login, their end, what they complain of.

The password is in their environment only. They end when we do: by the kernel's word where there is setpriv, else when
they next read from us or write to us.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import signal
import subprocess
import threading
from typing import Any

from downdraft.backup.dumpfolder import BACKUP_DIR
from downdraft.backup.server import REFUSALS, login_of
from downdraft.messages.kinds import ErrorKind
from downdraft.refused import Refused
from downdraft.text import masked

COMPLAINT_BYTES = 4000
END_SECONDS = 5

# What of a connection's parameters libpq's own programs take, too; the password is not among them. client_encoding is
# the driver's matter.
LIBPQ_WORDS = (
    "application_name channel_binding connect_timeout dbname gssdelegation gssencmode gsslib host hostaddr keepalives"
    " keepalives_count keepalives_idle keepalives_interval krbsrvname load_balance_hosts options passfile port"
    " require_auth requirepeer service ssl_max_protocol_version ssl_min_protocol_version sslcert sslcertmode"
    " sslcompression sslcrl sslcrldir sslkey sslmode sslnegotiation sslrootcert sslsni target_session_attrs"
    " tcp_user_timeout user"
)
LIBPQ_KEYWORDS = frozenset(LIBPQ_WORDS.split())

started = set()


class ChildFailed(Exception):
    """A program ended with another code than 0; `kind` is for machines."""

    def __init__(self, kind: ErrorKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Child:
    """A program that was started in a process group of its own; only its owner may read what it writes."""

    def __init__(self, arguments, environment, **pipes):
        self.name, self.complaint = os.path.basename(arguments[0]), b""
        before = os.umask(0o077)
        try:
            self.process: Any = subprocess.Popen(
                ending_with_us() + arguments,
                env=dict(os.environ, LC_ALL="C", **environment),
                stdin=pipes.get("stdin", subprocess.DEVNULL),
                stdout=pipes.get("stdout", subprocess.DEVNULL),
                stderr=subprocess.PIPE,
                start_new_session=True,
            )
        finally:
            os.umask(before)
        started.add(self)
        self.listener = threading.Thread(target=self.listen, daemon=True)
        self.listener.start()

    def listen(self):
        """Keeps the end of what it complains of."""
        with self.process.stderr as stderr:
            for part in iter(lambda: stderr.read1(65536), b""):
                self.complaint = (self.complaint + part)[-COMPLAINT_BYTES:]

    def wait(self):
        """Its end. Throws ChildFailed, with the last line that it said, where that was not a good one."""
        code = self.process.wait()
        started.discard(self)
        self.listener.join(END_SECONDS)
        if code:
            raise child_failed(self.name, code, self.complaint.decode("utf-8", "replace"))

    def signal(self, number):
        """To all of its processes; they may be gone."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)

    def end(self):
        """Ends it, politely at first."""
        self.signal(signal.SIGTERM)
        try:
            self.process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            self.signal(signal.SIGKILL)
            self.process.wait()
        started.discard(self)


def ending_with_us():
    """What stands before a program's arguments so that the kernel ends it when the thread that started it ends."""
    if "setpriv" not in known_programs:
        told = run_quickly(["setpriv", "--help"]) if shutil.which("setpriv") else ""
        known_programs["setpriv"] = ["setpriv", "--pdeathsig", "SIGTERM"] if "--pdeathsig" in told else []
    return known_programs["setpriv"]


known_programs: dict[str, list[str]] = {}


def run_quickly(arguments):
    """What a program prints that needs no database and ends at once. Throws OSError and subprocess.SubprocessError."""
    nowhere = subprocess.DEVNULL
    run = subprocess.run(arguments, stdin=nowhere, stdout=subprocess.PIPE, stderr=nowhere, timeout=60)
    return run.stdout.decode("utf-8", "replace").strip()


def child_failed(name, code, complaint):
    """The error of a program that failed: the line of the error only, since what follows may hold a row's values."""
    lines = [line.strip() for line in complaint.splitlines() if line.strip()]
    state, told = None, lines[-1] if lines else f"ended with {code}"
    for line in lines:
        found = re.search(r"(?:ERROR|FATAL|error):\s+(?:(\w{5}): )?(.*)", line)
        if found:
            state, told = found.group(1), found.group(2)
            break
    kind, meaning = REFUSALS.get(state, ("DumpFailed", ""))
    if "No space left on device" in complaint or "Disk quota exceeded" in complaint:
        kind, meaning = "DiskFull", "the disk is full"
    return ChildFailed(kind, f"{name}: {meaning and meaning + ': '}{masked(told)[:400]}")


def end_children():
    """Tells all to end and waits for none: for our own sudden end."""
    for child in list(started):
        child.signal(signal.SIGTERM)


@contextlib.contextmanager
def tended_children(work, tell, connection=None):
    """A list for the children that a step starts. While they run: signs of life by `tell`, and their end as soon as the
    orders don't hold any more, with that of a statement on `connection`. None is left at the end."""
    children: list[Child] = []
    ended, lost = threading.Event(), []

    def tend():
        while not ended.wait(0.5):
            try:
                work.authority.check()
                tell()
            except Refused as refused:
                lost.append(refused)
                for child in children:
                    child.signal(signal.SIGTERM)
                if connection is not None:
                    connection.connection.dbapi_connection.cancel()
                return

    thread = threading.Thread(target=tend, daemon=True)
    thread.start()
    try:
        yield children
        if lost:
            raise lost[0]
    except Exception:
        if lost:
            raise lost[0] from None
        raise
    finally:
        ended.set()
        thread.join()
        for child in children:
            child.end()


def libpq_login(watched):
    """How libpq's programs connect as Airflow's engine would: an argument, and the environment. Throws Refused."""
    if not watched.dialect.driver.startswith("psycopg"):
        told = "Airflow's connection is made by %s, whose parameters pg_dump does not take"
        raise Refused("DumpImpossible", told % watched.dialect.driver)
    args, parameters = login_of(watched)
    for dsn in filter(None, (*args, parameters.get("dsn"), parameters.get("conninfo"))):
        parameters = dict(words_of(dsn), **parameters)
    if parameters.get("sslpassword"):
        told = "the key of the connection's certificate has a password, which pg_dump takes only as an argument"
        raise Refused("DumpImpossible", told)
    parameters.setdefault("dbname", parameters.get("database"))
    chosen = {name: str(value) for name, value in parameters.items() if name in LIBPQ_KEYWORDS and value is not None}
    words = [name + "='" + re.sub(r"(['\\])", r"\\\1", value) + "'" for name, value in sorted(chosen.items())]
    password = parameters.get("password")
    return "--dbname=" + " ".join(words), {} if password is None else {"PGPASSWORD": str(password)}


def words_of(dsn):
    """A libpq connection string as a dict."""
    try:
        from psycopg2.extensions import parse_dsn
    except ImportError:
        from psycopg.conninfo import conninfo_to_dict as parse_dsn
    return dict(parse_dsn(dsn))


@contextlib.contextmanager
def disk_errors():
    """Says in our words what the volume's file system refuses."""
    try:
        yield
    except OSError as error:
        kind: ErrorKind = "DumpFailed"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            kind = "DiskFull"
        elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            kind = "NotAllowed"
        raise Refused(kind, f"{error.filename or BACKUP_DIR}: {error.strerror}") from error
