"""What only a terminal gets: colours, and the line that shows how far a run is."""

import contextlib
import os
import sys
import time
from typing import TextIO

from .messages import printable
from .outcome import Totals


def is_terminal(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def wants_color(stream: TextIO) -> bool:
    """Follow no-color.org and force-color.org."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or is_terminal(stream)


class LiveLine:
    """The last line of a terminal, on stderr: how far a run is.

    Parameters
    ----------
    count : int
        How many files there are.
    """

    def __init__(self, count: int) -> None:
        self._count, self._began = count, time.monotonic()
        self._drawn = False

    def show(self, totals: Totals) -> None:
        """Draw it, or draw it anew."""
        import shutil  # which takes 4 ms, and few runs show a line

        columns = shutil.get_terminal_size().columns
        self._draw(self._text(totals)[: columns - 1])
        self._drawn = True

    def clear(self) -> None:
        """Take it away, so that other lines can be printed."""
        if self._drawn:
            self._draw("")
            self._drawn = False

    def _draw(self, text: str) -> None:
        with contextlib.suppress(OSError):  # that nobody reads it is no reason to stop
            sys.stderr.write(f"\r\x1b[K{text}")
            sys.stderr.flush()

    def _text(self, totals: Totals) -> str:
        """Files done, bytes saved, time left, and the last name."""
        done = totals.files
        saved = totals.bytes_before - totals.bytes_after
        left = (time.monotonic() - self._began) / done * (self._count - done)
        minutes, seconds = divmod(round(left), 60)
        return (
            f"{done}/{self._count}  saved {saved / 1e6:.1f} MB  "
            f"{minutes}:{seconds:02} left  {printable(totals.last)}"
        )
