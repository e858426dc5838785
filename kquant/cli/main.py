"""The door of the command line: arguments in, an exit code out.

Texts are answered with what is imported here, which is next to nothing; the module
that does the work is imported once there is work.
"""

from __future__ import annotations

import os
import sys

from ..errors import InvalidTypeError, InvalidValueError, KquantError
from .messages import complain
from .options import FAILED, INTERRUPTED, WRONG_USAGE, UsageError
from .parse import parse
from .streams import flush, silence
from .texts import text_asked_for
from .verbs import QUANTIZE, Verb, choose_verb

TYPE_CHECKING = False  # as in `options`
if TYPE_CHECKING:
    from collections.abc import Callable

    from .verbs import Command


def import_verb(verb: Verb) -> Command:
    """Import what does the work."""
    return verb.load()


def main(
    arguments: list[str] | None = None,
    load: Callable[[Verb], Command] = import_verb,
) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : list of str, optional
        By default those of the process.
    load : callable, optional
        Imports what a command does; the process may have to be prepared for it.

    Returns
    -------
    int
        The exit code (`kquant.cli.options` lists them). The standard streams have been
        flushed.
    """
    if arguments is None:
        arguments = sys.argv[1:]
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    try:
        code = _obey(arguments, load)
        sys.stdout.flush()  # here, where what goes wrong can be handled
    except KeyboardInterrupt:
        code = INTERRUPTED
    except OSError as error:  # of printing: those of files are KquantErrors
        silence(sys.stdout)
        code = 0  # nobody reads what we print: no reason to complain
        if not isinstance(error, BrokenPipeError):
            code = complain(
                f"standard output: {error.strerror}. Check the disk.", FAILED
            )
    finally:
        flush(sys.stdout)
        flush(sys.stderr)
    return code


def _obey(arguments: list[str], load: Callable[[Verb], Command]) -> int:
    """Do what the arguments say; say what is wrong with them or with the files."""
    verb = QUANTIZE
    try:
        verb, words = choose_verb(arguments)
        values, names = parse(words, verb.options, os.path.exists)
        text = text_asked_for(verb, values)
        if text is not None:
            sys.stdout.write(text)
            return 0
        if verb.needs_files and not names:
            raise UsageError("no FILE was given")
        import warnings  # which texts do without

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # those of libraries are not for users
            return load(verb)(values, names)
    except (UsageError, InvalidValueError, InvalidTypeError) as error:
        return complain(f"{error}. See {verb.prog} --help.", WRONG_USAGE)
    except KquantError as error:
        return complain(str(error), FAILED)
