"""An error, or a number, as text for people and without secrets."""

from __future__ import annotations

import re
import sys
from urllib.parse import unquote


def one_line(error: BaseException) -> str:
    """An error as one line without secrets: no URL's password, no row's values (DETAIL, parameters)."""
    cause = getattr(error, "orig", None) or error
    # MySQL's drivers say (1045, 'Access denied …').
    if cause is not error and len(cause.args) == 2 and isinstance(cause.args[1], str):
        cause = cause.args[1]
    lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
    said = lines[0] if lines else type(error).__name__
    statement = getattr(error, "statement", None)
    if statement:
        said += f" (in: {' '.join(statement.split())[:160]})"
    return masked(said)[:600]


def masked(text: str) -> str:
    """Text without passwords: in any URL, and that of the metadata connection wherever it stands.

    What a command of the configuration printed is left out whole: it may be any secret, in any form.
    """
    text = re.sub(r"Cannot execute .*Error code is: (-?\d+).*", r"a command of the configuration ended with \1", text)
    settings = sys.modules.get("airflow.settings")
    connection = getattr(settings, "SQL_ALCHEMY_CONN", None) or ""
    if len(connection) > 3:
        text = text.replace(connection, "***")
    text = re.sub(r"(://[^:/@\s]*):[^\s]*@", r"\1:***@", text)
    text = re.sub(r"((?:password|passwd|pwd|token)=)[^\s&'\"]+", r"\1***", text, flags=re.IGNORECASE)
    password = re.match(r"[^:]+://[^:/@]*:(.*)@", connection)
    for secret in (password.group(1), unquote(password.group(1))) if password else ():
        # Hiding a password of one letter would make every message unreadable, and hide nothing.
        text = text.replace(secret, "***") if len(secret) > 3 else text
    return text


def megabytes(size: float) -> str:
    return f"{size / 1000000:.1f} MB"


def named(schema: str, table: str) -> str:
    return schema + "." + table
