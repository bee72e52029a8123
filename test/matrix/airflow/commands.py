"""Runs several of Airflow's own commands in one process, since its start takes seconds: a JSON list of argument lists
on standard input. Ends with the first that fails."""
import json
import sys

from airflow.__main__ import main

for arguments in json.load(sys.stdin):
    sys.argv = ["airflow", *arguments]
    print("+ airflow", arguments[0], arguments[1], flush=True)
    try:
        main()
    except SystemExit as end:
        if end.code not in (0, None):
            raise
