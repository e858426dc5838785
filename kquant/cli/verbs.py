"""The commands: one row each, with a name, a text, options, and the module behind it.

A new command is a row of `VERBS` and a module with its function, which is imported
only when the command is given.
"""

from __future__ import annotations

import os

from .options import GROUPS, Option, UsageError, integer

TYPE_CHECKING = False  # as in `options`
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    from .options import Groups, Values

# What the options say, and names of files -> the exit code.
Command: TypeAlias = "Callable[[Values, list[str]], int]"

PROG = "kquant"


class Verb:
    """A command.

    Parameters
    ----------
    name : str
        The first word; ``""`` for what is done without one.
    summary : str
        What it does, in a line.
    operands : str
        What follows its name, as ``"[OPTION ...] FILE ..."``.
    about : str
        The lines of its help above the options.
    groups : tuple
        Its options, as those in `kquant.cli.options`.
    load : callable
        Imports the module behind it, and returns the function.
    needs_files : bool
        Whether there is nothing to do without names of files.
    needs_blas : bool
        Whether it multiplies matrices, on the threads that NumPy has for them.
    """

    def __init__(
        self,
        name: str,
        summary: str,
        operands: str,
        about: str,
        groups: Groups,
        load: Callable[[], Command],
        *,
        needs_files: bool = False,
        needs_blas: bool = False,
    ) -> None:
        self.name, self.summary, self.operands = name, summary, operands
        self.about, self.groups, self.load = about, groups, load
        self.needs_files, self.needs_blas = needs_files, needs_blas

    @property
    def prog(self) -> str:
        """How it is called."""
        return f"{PROG} {self.name}".rstrip()

    @property
    def usage(self) -> str:
        return f"{self.prog} {self.operands}"

    @property
    def options(self) -> tuple[Option, ...]:
        return tuple(option for _, group in self.groups for option in group)


def _quantize() -> Command:
    from .quantize import quantize

    return quantize


def _bench() -> Command:
    from .bench import bench

    return bench


QUANTIZE = Verb(
    "", "reduce images to palettes of at most 256 colours",
    "[OPTION ...] [COLORS] [--] FILE ...",
    "Reduce images to palettes of at most 256 colours: PNG, GIF, WebP, TIFF or BMP.\n"
    "FILE: an image, a glob, - for stdin (and stdout); with -r also a directory.",
    GROUPS, _quantize, needs_files=True,
)  # fmt: skip

VERBS = {
    verb.name: verb
    for verb in (
        Verb(
            "bench", "compare with NumPy, or with other quantizers",
            "[OPTION ...] [IMAGE ...]",
            "Run the same k-means (same start, iterations and picture) in NumPy and\n"
            "in the kernel, and print times and errors. NumPy computes all distances\n"
            "of all pixels; the second figure is NumPy tuned: distinct colours with\n"
            "counts, distances by a matrix product. Fails if the errors of NumPy and\n"
            "the kernel differ by more than 0.1 %. With --peers: quantize() and the\n"
            "other quantizers that are installed, in turn, with medians and a\n"
            "picture.\n"
            "IMAGE: a picture (a rendered one).",
            (
                ("", (
                    Option("-h, --help", "", "print this help", "help"),
                    Option("-k, --colors", "N", "1..256 (256)", "colors", integer),
                    Option("--iterations", "N", "of Lloyd (40)", "iterations", integer),
                    Option("--threads", "N", "for the kernel (all; with --peers 1)",
                           "threads", integer),
                    Option("--peers", "", "compare with other quantizers instead",
                           "peers"),
                    Option("--log", "DIR", "for the CSV and JSON files (.)", "log"),
                )),
            ),
            _bench, needs_blas=True,
        ),
    )
}  # fmt: skip


def choose_verb(arguments: list[str]) -> tuple[Verb, list[str]]:
    """Say which command is given, and what follows its name.

    Raises
    ------
    UsageError
        If the first word is neither a command nor a file, and does not look like the
        name of a file either: then it is a command that was misspelt or that another
        version has, and to quantize the files after it is not what was asked for.
    """
    first = arguments[0] if arguments else ""
    if first in VERBS:
        return VERBS[first], arguments[1:]
    if _is_bare(first) and not os.path.lexists(first):
        near = _near(first)
        hint = f" (did you mean {' or '.join(near)}?)" if near else ""
        raise UsageError(f"{first}: no such command or file{hint}")
    return QUANTIZE, arguments


def _is_bare(word: str) -> bool:
    """Whether it is no option, number, path or glob, and has no ending."""
    marks = f"/.*?[{os.sep}{os.altsep or ''}"
    return bool(word) and not (
        word.startswith("-") or word.isdigit() or any(mark in word for mark in marks)
    )


def _near(word: str) -> list[str]:
    """Find the commands, and the files here, that are called nearly so."""
    from difflib import get_close_matches  # slow to import, and seldom of use

    meant = {name: name for name in VERBS}
    try:
        names = sorted(os.listdir())
    except OSError:
        names = []
    for name in names:
        meant.setdefault(name, name)
        meant.setdefault(os.path.splitext(name)[0], name)
    return list(dict.fromkeys(meant[near] for near in get_close_matches(word, meant)))
