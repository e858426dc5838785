"""The command without a name: quantize files, and say what became of each."""

from .console import Console
from .options import FAILED, Values
from .outcome import Failed, Totals
from .request import Request
from .run import Run


def quantize(values: Values, names: list[str]) -> int:
    """Do what a command line asks for.

    Parameters
    ----------
    values : dict
        What its options say.
    names : list of str
        Of the inputs.

    Returns
    -------
    int
        The exit code.
    """
    request = Request.of(values, names)
    totals = Totals()
    console = Console(
        len(request.jobs),
        quiet="quiet" in values,
        verbose="verbose" in values,
        color="no_color" not in values,
        live=values.get("live_line") != "never",
        report=values.get("json"),
    )
    try:
        console.begin(values, request.notes)
        for outcome in Run(request).outcomes():
            totals.add(outcome)
            console.show(outcome, totals)
            if isinstance(outcome, Failed) and "fail_fast" in values:
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
