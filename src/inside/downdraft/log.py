"""What we print ourselves: nothing else may stand on stdout."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import Iterator

from downdraft.text import masked


@contextlib.contextmanager
def stdout_to_stderr() -> Iterator[None]:
    """Airflow, its plugins and local settings may print; what we print ourselves must stay alone on stdout."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


def say(line: str) -> None:
    """One line of the log."""
    print("downdraft-runner: " + masked(line), flush=True)
