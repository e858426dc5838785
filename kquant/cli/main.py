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
from .signals import code as stopped_by
from .streams import flush, say
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
    except KeyboardInterrupt:
        code = stopped_by() or INTERRUPTED
    except BrokenPipeError:  # whoever reads a text may have read enough
        code = 0
    except OSError as error:  # what is expected is a KquantError
        code = complain(
            f"unexpected {type(error).__name__}: {error}. Please report it.", FAILED
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
            say(text)
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
