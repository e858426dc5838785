"""The door to the command line: `python -m kquant` and the script `kquant`."""

import os
import sys


def main() -> int:
    """Run the command line; the help at once, without what it does not need."""
    _open_streams()
    if sys.argv[1:] in (["-h"], ["--help"]):
        from .cli.options import help_text

        try:
            sys.stdout.write(help_text())
            sys.stdout.flush()
        except OSError:  # nobody reads it
            sys.stdout = None
        return 0
    import gc
    import signal

    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has no SIGHUP
        if number and signal.getsignal(number) != signal.SIG_IGN:  # as nohup does
            signal.signal(number, _terminate)
    if sys.argv[1:2] != ["bench"]:
        # NumPy starts threads for matrices, of which there are none, and waits for
        # them: a third of the time that a small picture takes.
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    gc.disable()  # which would look through all that is imported, many times
    try:
        from .cli.main import main as run
    except KeyboardInterrupt:  # which `run` takes for itself
        return 130
    gc.enable()
    code = run(sys.argv[1:])
    # What Python does at its end takes a tenth of the time of a small picture.
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code)


def _terminate(number: int, frame: object) -> None:
    """Leave as by Ctrl-C, so that no temporary file stays."""
    sys.exit(128 + number)


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
