"""How a step says that it was not done."""

from __future__ import annotations

from downdraft.messages.kinds import ErrorKind


class Refused(Exception):
    """A step that is not, or not wholly, done; `kind` is for machines, the message for people."""

    def __init__(self, kind: ErrorKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind
