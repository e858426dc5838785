"""The standard streams: bytes to stdout, and silence where nobody listens."""

from __future__ import annotations

import os
import sys

from ..errors import ImageFileError

TYPE_CHECKING = False  # as in `options`
if TYPE_CHECKING:
    from typing import TextIO


def send(content: bytes) -> None:
    """Write an image to stdout: now, as an error that comes later is of no file."""
    try:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    except OSError as error:
        silence(sys.stdout)
        if not isinstance(error, BrokenPipeError):
            raise ImageFileError(
                "standard output",
                f"cannot be written ({error.strerror})",
                "Check where it goes",
            ) from None


def flush(stream: TextIO) -> None:
    """Write what a stream still holds, if it can be written."""
    try:
        stream.flush()
    except OSError:
        silence(stream)


def silence(stream: TextIO) -> None:
    """Let what a stream still holds go nowhere, or Python complains when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
