"""Keyed digests of the settings by which a downgrade goes, as Airflow resolves them here: compared without being told.

Prints one line, `DOWNDRAFT-DIGESTS {json}`.

Compared is what the programs of this folder, and the scripts that they run, go by:

sql_alchemy_conn      which database: what its driver is given, without host and login
host                  by what way: it may be the node's own, and the controller compares the databases themselves then
credentials           who logs in: Vault may give each pod a login of its own, so another one is only told
sql_alchemy_schema    where Airflow's tables are looked for
fernet_key            what is rewritten for the older version is encrypted with it
auth_manager, external_db_managers
                      whose schemas are enforced, and so downgraded
sql_engine_collation_for_ids
                      with what columns MySQL's reverse scripts make

Not compared are the ways to these values (AIRFLOW_HOME, airflow.cfg, _CMD, _SECRET, secrets backends), which may differ
while the values do not, and what no reverse script reads (Dags, executor, logging).
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
from typing import Any, Iterable, Mapping, cast

from downdraft.answering import SECONDS, adopt_runner, answer_with, resolve
from downdraft.environment import adopt_environment, login_given
from downdraft.messages.lines import Digests, DigestsLine

CONFIGURED = (
    ("database", "sql_alchemy_schema"),
    ("core", "auth_manager"),
    ("database", "external_db_managers"),
    ("database", "sql_engine_collation_for_ids"),
)

# As psycopg, psycopg2, mysqlclient and PyMySQL call them, and libpq's own variables, which count where a URL is silent.
PLACE = ("dbname", "database", "db", "options", "service", "read_default_file")
PLACE_OF_LIBPQ = ("PGDATABASE", "PGOPTIONS", "PGSERVICE", "PGSERVICEFILE")
HOST = ("host", "hostaddr", "port", "unix_socket")
HOST_OF_LIBPQ = ("PGHOST", "PGHOSTADDR", "PGPORT")
LOGIN = ("user", "username", "password", "passwd", "passfile", "sslcert", "sslkey")
LOGIN_OF_LIBPQ = ("PGUSER", "PGPASSWORD", "PGPASSFILE")


def keyed(key: str, name: str, value: str | None) -> str | None:
    """The digest of a value by a key in hexadecimal digits; None where there is none."""
    if value is None:
        return None
    told = (f"{name}\0{value}").encode("utf-8", "surrogateescape")
    return hmac.new(bytes.fromhex(key), told, hashlib.sha256).hexdigest()


def picked(names: Iterable[str], given: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(name, str(given[name])) for name in names if given.get(name) not in (None, "")]


def connection_values(resolved: Any) -> tuple[str, str, str]:
    """Which database, by what way, and who logs in. Throws what a listener of Airflow's local settings throws."""
    args, named = login_given(resolved) or ((), resolved.url.translate_connect_args())
    named = {name: os.fsdecode(value) if isinstance(value, bytes) else value for name, value in named.items()}
    # The file of SQLite; a whole text for libpq may hold a password.
    file = list(args) if resolved.dialect.name == "sqlite" else []
    place = [resolved.dialect.name, file, picked(PLACE, named), picked(PLACE_OF_LIBPQ, os.environ)]
    host = [picked(HOST, named), picked(HOST_OF_LIBPQ, os.environ)]
    login = [[] if file else list(map(str, args)), picked(LOGIN, named), picked(LOGIN_OF_LIBPQ, os.environ)]
    return json.dumps(place), json.dumps(host), json.dumps(login)


def fernet_value() -> str | None:
    """The keys; None where the environment gives none: Airflow then writes one of its own into each pod's
    airflow.cfg."""
    from airflow.configuration import conf

    if not any("AIRFLOW__CORE__FERNET_KEY" + end in os.environ for end in ("", "_CMD", "_SECRET")):
        return None
    return listed(conf.get("core", "fernet_key", fallback=""))


def listed(value: str | None) -> str:
    return ",".join(entry.strip() for entry in (value or "").split(","))


def digests(who: str, key: str) -> DigestsLine:
    """The answer. Throws what Airflow and its configuration throw, and LookupError where nobody's environment is
    seen."""
    if not (adopt_runner() if who == "runner" else adopt_environment()):
        raise LookupError(f"no {who} that runs here shows its environment")
    os.environ.setdefault("PGCONNECT_TIMEOUT", str(max(2, int(SECONDS * 0.8))))
    resolved = resolve()
    from airflow.configuration import conf

    place, host, login = connection_values(resolved)
    values: dict[str, str | None] = {name: listed(conf.get(section, name, fallback="")) for section, name in CONFIGURED}
    values.update(sql_alchemy_conn=place, host=host, credentials=login, fernet_key=fernet_value())
    return {"digests": cast(Digests, {name: keyed(key, name, value) for name, value in values.items()})}


def main(who: str, key: str) -> None:
    """`who`: whose environment counts, "airflow" in an old pod, "runner" in its copy. `key` is of one comparison
    alone."""
    answer_with("DOWNDRAFT-DIGESTS ", lambda: digests(who, key))
