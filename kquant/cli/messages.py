"""Trouble in one line: what happened, to which file, and what to do."""

from __future__ import annotations

import sys

from ..errors import ImageFileError, OutputExistsError, QualityError


def complain(message: str, code: int) -> int:
    """Print one line to stderr; return the exit code."""
    try:  # noqa: SIM105, as contextlib takes 9 ms to import
        print(f"kquant: {printable(message)}", file=sys.stderr)
    except OSError:
        pass
    return code


def printable(text: str) -> str:
    """Escape what a terminal would obey instead of show, as file names can hold it."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text
    )


def explain(error: Exception, name: str) -> str:
    """Say what went wrong with a file, and what to do."""
    if isinstance(error, OutputExistsError):
        return (
            f"{name}: {error.path} exists. "
            "Use --force to overwrite or -o for another name."
        )
    if isinstance(error, QualityError):
        return f"{name}: {error}. Ask for less, or allow more colours."
    if isinstance(error, ImageFileError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"{name}: not enough memory. Scale it down."
    if isinstance(error, ValueError | TypeError):
        return f"{name}: {error}. See kquant --help."
    return f"{name}: unexpected {type(error).__name__}: {error}. Please report it."
