"""What libraries print by themselves: heard where it can be, and told by file.

libtiff prints to the standard error stream of the process, not to Python's. Only a
process of our own can turn that away: the command line does, a library must not.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_lock = threading.Lock()  # who decodes while others do not is whom we hear
_heard: int | None = None  # the file that has taken the place of the stream


def divert() -> None:
    """Let Python alone write to the standard error stream, for the whole process."""
    global _heard
    if _heard is not None:
        return
    import logging

    # Without a handler Python prints what Pillow logs as an error.
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    try:
        number = sys.stderr.fileno()
        if number != 2:
            return
        sys.stderr.flush()
        ours = os.dup(number)
        _heard = _nameless_file()
        os.dup2(_heard, number)
    except (OSError, AttributeError, ValueError):
        return  # then it stays as it is
    sys.stderr = os.fdopen(
        ours, "w", buffering=1, encoding=sys.stderr.encoding, errors=sys.stderr.errors
    )


def _nameless_file() -> int:
    if hasattr(os, "memfd_create"):  # Linux
        return os.memfd_create("kquant")
    import tempfile

    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


@contextlib.contextmanager
def listening() -> Iterator[list[str]]:
    """Give a list that has, once this is over, the lines that were printed meanwhile.

    It is empty where nothing was diverted.
    """
    lines: list[str] = []
    if _heard is None:
        yield lines
        return
    with _lock:
        before = os.lseek(_heard, 0, os.SEEK_END)
        try:
            yield lines
        finally:
            after = os.lseek(_heard, 0, os.SEEK_END)
            os.lseek(_heard, before, os.SEEK_SET)
            text = os.read(_heard, min(after - before, 1 << 16))
            os.lseek(_heard, before, os.SEEK_SET)
            os.ftruncate(_heard, before)
            lines += text.decode("utf-8", "replace").splitlines()
