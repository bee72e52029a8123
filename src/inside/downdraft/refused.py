"""How a step says that it was not done."""


class Refused(Exception):
    """A step that is not, or not wholly, done; `kind` is for machines, the message for people."""

    def __init__(self, kind, message):
        super().__init__(message)
        self.kind = kind
