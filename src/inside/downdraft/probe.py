"""Asks an image what it is: its Airflow version, the heads it wants, the provider managers it enforces at start.

Prints one line, `DOWNDRAFT-PROBE {json}`, and exits 0; on failure `DOWNDRAFT-PROBE {"error", "kind"}` and exits 1.
Importing Airflow builds an engine but opens no connection, so no database is needed and none is written to.
"""

from __future__ import annotations

import json
import os
import platform
from typing import NoReturn

from downdraft.image import airflow_version, core_scripts, enforced_managers, fernet_keys, manager_heads
from downdraft.log import stdout_to_stderr
from downdraft.messages.lines import ProbeLine
from downdraft.text import one_line


def ask() -> ProbeLine:
    """The answer, as in src/inside/README.md. Throws what importing Airflow or a manager throws."""
    return {
        "airflowVersion": airflow_version(),
        "coreHeads": sorted(core_scripts().get_heads()),
        "managers": [manager_heads(cls) for cls in enforced_managers()],
        "fernetKeys": fernet_keys(),
        "python": platform.python_version(),
    }


def main() -> NoReturn:
    answer: ProbeLine | dict[str, str]
    try:
        with stdout_to_stderr():
            answer = ask()
        code = 0
    except (Exception, SystemExit) as error:  # Airflow ends the process on some configuration faults.
        answer, code = {"error": one_line(error), "kind": type(error).__name__}, 1
    print("DOWNDRAFT-PROBE " + json.dumps(answer), flush=True)
    # Other people's atexit functions and threads must not keep the pod, nor connect.
    os._exit(code)
