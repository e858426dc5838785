"""The command line: arguments in; files, a summary or one line of trouble out."""

import contextlib
import os
import sys
import warnings
from typing import Any

from ..errors import InvalidTypeError, InvalidValueError, KquantError
from .console import Console, complain
from .options import UsageError, full_help, help_text, parse
from .outcome import FAILED, INTERRUPTED, USAGE, Totals
from .run import Run, silence


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : list of str, optional
        By default those of the process.

    Returns
    -------
    int
        The exit code (`kquant.cli.options` lists them).
    """
    if arguments is None:
        arguments = sys.argv[1:]
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):
            stream.reconfigure(errors="backslashreplace")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # those of libraries are not for users
            return _run(arguments)
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:  # of printing: those of files are KquantErrors
        silence(sys.stdout)
        if isinstance(error, BrokenPipeError):
            return 0  # nobody reads what we print: no reason to complain
        return complain(f"standard output: {error.strerror}. Check the disk.", FAILED)
    finally:
        try:
            sys.stderr.flush()
        except OSError:
            silence(sys.stderr)


def _run(arguments: list[str]) -> int:
    try:
        if arguments[:1] == ["bench"]:
            from ..bench.against_numpy import main as bench

            return bench(arguments[1:])
        return _dispatch(arguments)
    except UsageError as error:
        return complain(f"{error}. See kquant --help.", USAGE)
    except (InvalidValueError, InvalidTypeError) as error:
        return complain(f"{error}. See kquant --help.", USAGE)
    except KquantError as error:
        return complain(str(error), FAILED)
    finally:
        if sys.stdout is not None:
            sys.stdout.flush()  # here, where what goes wrong can be handled


def _dispatch(arguments: list[str]) -> int:
    values, names = parse(arguments, os.path.exists)
    if "help" in values:
        print(help_text(), end="")
    elif "help_all" in values:
        print(full_help(), end="")
    elif "version" in values:
        from .. import __version__

        print(f"kquant {__version__}")
    elif "print_completion" in values:
        from .texts import completion

        print(completion(values["print_completion"]), end="")
    elif "print_man" in values:
        from .. import __version__
        from .texts import man_page

        print(man_page(__version__), end="")
    elif not names:
        raise UsageError("no FILE was given")
    else:
        return _quantize(values, names)
    return 0


def _quantize(values: dict[str, Any], names: list[str]) -> int:
    run = Run(values, names)
    totals = Totals()
    console = Console(
        len(run.jobs),
        quiet="quiet" in values,
        verbose="verbose" in values,
        color="no_color" not in values,
        live=values.get("progress") != "never",
        report=values.get("json"),
    )
    try:
        for outcome in run.outcomes():
            totals.add(outcome)
            console.show(outcome, totals)
            if outcome.error is not None and "fail_fast" in values:
                break
        console.finish(totals)
    except KeyboardInterrupt:
        console.finish(totals)
        raise
    finally:
        console.close()
    code = totals.exit_code(
        skipping_is_failure="min_saving" in values, skips_ok="skips_ok" in values
    )
    return code or (FAILED if console.failed else 0)
