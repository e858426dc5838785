"""The door to the command line: `python -m kquant` and the script `kquant`."""

from __future__ import annotations

import os
import sys

from .cli.signals import heed

TYPE_CHECKING = False  # type checkers take it for True; typing itself is slow to import
if TYPE_CHECKING:
    from .cli.verbs import Command, Verb


def main() -> int:
    """Run the command line, in a process that does nothing else."""
    heed()
    _open_streams()
    from .cli.main import main as run

    code = run(sys.argv[1:], _load)
    # What Python does at its end is of no use to a process that has nothing open.
    # With this, `kquant in.png -k 16 -q` takes 234 ms for 64 x 64 pixels, else 265.
    os._exit(code)


def _load(verb: Verb) -> Command:
    """Import what does the work, as suits a process that does nothing else.

    The times below, and at `os._exit`, are medians of 81 runs with and 81 without, in
    turn, on two cores of an AMD EPYC that had other work too, with Python 3.11.
    """
    import gc

    if not verb.needs_blas:
        # NumPy starts threads for matrices, of which there are none, and waits for
        # them at the end: 234 ms for that picture with this and 276 without, and 223
        # ms of processor time against 317 (more where there are more cores).
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # It would look through all that is imported, 66 times, and find next to nothing:
    # the imports take 181 ms of processor time with this and 192 without.
    gc.disable()
    command = verb.load()
    from .files.voices import divert

    divert()  # what libtiff prints: we say it, with the file's name
    gc.enable()
    return command


def _open_streams() -> None:
    """Open the standard streams that are closed, in the order of their numbers.

    Else the files that we open would take these numbers, and what a library prints
    would go into a picture. Nothing comes from such a stdin, a stderr swallows what it
    gets, and a stdout refuses it: whoever asked for an image there must know.
    """
    for name, mode, flags in (
        ("stdin", "r", os.O_RDONLY),
        ("stdout", "w", os.O_RDONLY),
        ("stderr", "w", os.O_WRONLY),
    ):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, flags), mode))


if __name__ == "__main__":
    sys.exit(main())
