"""The standard streams: all of what goes to stdout, or an error; silence to nobody."""

from __future__ import annotations

import os
import sys

from ..errors import ImageFileError

TYPE_CHECKING = False  # as in `options`
if TYPE_CHECKING:
    from typing import TextIO


def send(content: bytes) -> None:
    """Write an image to stdout: now, as an error that comes later is of no file.

    Raises
    ------
    ImageFileError
        If not all of it could be written, also because nobody reads it to the end.
    """
    try:
        _write(content)
    except OSError as error:
        silence(sys.stdout)
        raise _refused(error) from None


def say(text: str) -> None:
    """Write text to stdout, all of it.

    Raises
    ------
    BrokenPipeError
        If nobody reads it, which is for the caller to judge.
    ImageFileError
        If it could not be written.
    """
    stream = sys.stdout
    try:
        if _number(stream) is None or stream.isatty():
            stream.write(text)
            stream.flush()
        else:
            text = text.replace("\n", os.linesep)
            _write(text.encode(stream.encoding, stream.errors or "strict"))
    except OSError as error:
        silence(stream)
        if isinstance(error, BrokenPipeError):
            raise
        raise _refused(error) from None


def _refused(error: OSError) -> ImageFileError:
    if isinstance(error, BrokenPipeError):
        return ImageFileError(
            "standard output",
            "nobody read it to the end",
            "Check the program that it goes to",
        )
    return ImageFileError(
        "standard output",
        f"cannot be written ({error.strerror or error})",
        "Check where it goes",
    )


def _number(stream: TextIO) -> int | None:
    """Give the number of a stream, unless a caller has put another thing there."""
    try:
        return stream.fileno()
    except (OSError, ValueError, AttributeError):
        return None


def _write(content: bytes) -> None:
    """Write bytes to stdout, and hear what there is to say against it.

    A disk or pipe may take only a part of them, and say why it takes no more when it is
    asked again. Without a buffer (``PYTHONUNBUFFERED``) Python asks only once.
    """
    number = _number(sys.stdout)
    if number is None:
        sys.stdout.buffer.write(content)
        return
    sys.stdout.flush()
    write_all(number, content)
    # Some disks, over a network or with quotas, refuse when a file is closed; the
    # stream itself stays open.
    os.close(os.dup(number))


def write_all(number: int, content: bytes) -> None:
    """Write bytes to an open file, pipe or socket, in as many parts as it takes."""
    rest = memoryview(content)
    while rest:
        try:
            rest = rest[os.write(number, rest) :]
        except BlockingIOError:  # who shares it with us does not want to wait
            import select

            select.select([], [number], [])


def flush(stream: TextIO) -> None:
    """Write what a stream still holds, if it can be written."""
    try:
        stream.flush()
    except OSError:
        silence(stream)


def silence(stream: TextIO) -> None:
    """Let what a stream still holds go nowhere, or Python complains when it ends."""
    number = _number(stream)
    if number is not None:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, number)
        os.close(null)
