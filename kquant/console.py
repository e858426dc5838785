"""How the command line talks: exit codes, and trouble in one line."""

import argparse
import sys
from typing import NoReturn

FAILED, USAGE, EXISTS, INTERRUPTED = 1, 2, 15, 130


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """Say what is wrong, and where to read more."""
        self.exit(USAGE, f"kquant: {printable(message)}. See {self.prog} --help.\n")


def complain(message: str, code: int) -> int:
    """Print one line to stderr; return the exit code."""
    print(f"kquant: {printable(message)}", file=sys.stderr)
    return code


def printable(text: str) -> str:
    """Escape what a terminal would obey instead of show, as file names can hold it."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text
    )
