"""How the command line talks: summaries, a live line, JSON, trouble in one line."""

import contextlib
import sys
from typing import Any

from ..convert import FileReport
from ..indexed import IndexedImage
from .messages import explain, printable
from .options import Values
from .outcome import Done, Failed, Outcome, Totals
from .report import Report, row_of, summary_of, warnings_of
from .terminal import LiveLine, is_terminal, wants_color

YELLOW, RED = "33", "31"


class Console:
    """Where everything goes that is not an image.

    Parameters
    ----------
    count : int
        How many files there are.
    quiet, verbose : bool
    color : bool
        Whether colours are welcome; NO_COLOR and terminals have a say too.
    live : bool
        Whether a live line is welcome on a terminal.
    report : str, optional
        Where JSON Lines go: a file, or "-" for stdout.

    Attributes
    ----------
    failed : bool
        Whether the report could not be written.
    """

    def __init__(
        self,
        count: int,
        *,
        quiet: bool = False,
        verbose: bool = False,
        color: bool = True,
        live: bool = True,
        report: str | None = None,
    ) -> None:
        self._count, self._quiet, self._verbose = count, quiet, verbose
        self.failed = False
        self._notes: list[str] = []
        self._color = color and wants_color(sys.stderr)
        self._line: LiveLine | None = None
        if live and not quiet and count > 1 and is_terminal(sys.stderr):
            self._line = LiveLine(count)
        self._report = None if report is None else Report(report)

    def close(self) -> None:
        """End the live line and the report."""
        self._clear_line()
        if self._report is not None:
            self._report.close()

    def begin(self, settings: Values, notes: tuple[str, ...] = ()) -> None:
        """Say what was asked for, and what is worth a warning about that."""
        self._notes = [f"{note}." for note in notes]
        for note in self._notes:
            self._warn(note)
        if self._verbose and not self._quiet:
            self._print(_settings(settings), "")

    def show(self, outcome: Outcome, totals: Totals) -> None:
        """Say what became of a file."""
        warnings = warnings_of(outcome)
        if self._report is not None:
            self._record(self._report, row_of(outcome, warnings))
        self._clear_line()
        if isinstance(outcome, Failed):
            if self._count == 1:  # of many, what failed stands at the end
                text = explain(outcome.error, outcome.source)
                self._print(f"kquant: {printable(text)}", RED)
        elif not self._quiet:
            text = _lines(outcome) if self._count == 1 else _line(outcome)
            grew = outcome.report.bytes_after > outcome.report.bytes_before
            self._print(text + (_details(outcome) if self._verbose else ""),
                        YELLOW if grew else "")  # fmt: skip
        for warning in warnings:
            self._warn(warning)
        if self._line is not None:
            self._line.show(totals)

    def finish(self, totals: Totals) -> None:
        """Say what became of all files, if there is more than one."""
        self._clear_line()
        if self._report is not None:
            self._record(self._report, summary_of(totals, self._notes))
        if self._count > 1 and (not self._quiet or totals.failures):
            self._print(_total(totals), "")
            for failed in totals.failures:
                text = explain(failed.error, failed.source)
                self._print(f"failed: {printable(text)}", RED)

    def _warn(self, text: str) -> None:
        if not self._quiet:
            self._print(f"kquant: warning: {printable(text)}", YELLOW)

    def _clear_line(self) -> None:
        if self._line is not None:
            self._line.clear()

    def _record(self, report: Report, row: dict[str, Any]) -> None:
        """Write a row of the report; one that cannot be written ends the report."""
        try:
            report.write(row)
        except BrokenPipeError:  # nobody reads on; the files are still to be done
            self._report = None
        except OSError as error:
            if report.on_stdout:
                raise
            report.close()
            self._report, self.failed = None, True
            self._print(f"kquant: --json: cannot be written ({error.strerror}).", RED)

    def _print(self, text: str, color: str) -> None:
        if color and self._color:
            text = f"\x1b[{color}m{text}\x1b[0m"
        with contextlib.suppress(OSError):  # that nobody reads it is no reason to stop
            print(text, file=sys.stderr)


# ---- texts


def _settings(values: Values) -> str:
    """Name what was asked for, as the library calls it."""
    asked = [f"{name}={value}" for name, value in values.items() if name != "verbose"]
    return f"settings: {printable(', '.join(asked)) or 'the defaults'}"


def _lines(done: Done) -> str:
    """Say in three lines what became of the only file."""
    report = done.report
    height, width = report.image.indices.shape
    return (
        f"{_names(done)}\n"
        f"{width} x {height} pixels, {report.image.distinct:,} colours -> "
        f"{len(report.image.palette)}, {_quality(report.image)}\n"
        f"{_bytes(report)}, {report.seconds:.3f} s, "
        f"{report.image.indices.size / report.seconds / 1e6:.1f} Mpx/s"
    )


def _line(done: Done) -> str:
    report = done.report
    return (
        f"{_names(done)}: {_bytes(report)}, {len(report.image.palette)} "
        f"colours, {_quality(report.image)}"
    )


def _names(done: Done) -> str:
    names = f"{printable(done.source)} -> {printable(done.target)}"
    if done.status != "written":
        return f"{names} ({done.status}: not smaller)"
    return names + (" (dry run: not written)" if done.dry_run else "")


def _quality(image: IndexedImage) -> str:
    if image.lossless:
        return "lossless"
    dithered = "no" if image.dither == "none" else image.dither
    return (
        f"MSE {image.mse:.2f}, PSNR {image.psnr:.2f} dB, "
        f"largest error {image.max_error:.1f}, {dithered} dithering"
    )


def _details(done: Done) -> str:
    image = done.report.image
    state = "converged" if image.converged else "not converged"
    return (
        f"\nquality {image.quality} of 100, {image.iterations} iterations, {state}, "
        f"palette {' '.join(image.palette.hex[:8])}"
    )


def _bytes(report: FileReport) -> str:
    before = report.bytes_before or report.bytes_after
    change = 100 * (report.bytes_after / before - 1)
    grew = ": the file grew" if change > 0 else ""
    return (
        f"{report.bytes_before:,} -> {report.bytes_after:,} bytes "
        f"({change:+.1f} %{grew})"
    )


def _total(totals: Totals) -> str:
    parts = [
        f"{totals.statuses[status]} {name}"
        for status, name in (
            ("written", "written"),
            ("kept", "kept (not smaller)"),
            ("skipped", "skipped (not smaller)"),
            ("failed", "failed"),
        )
        if totals.statuses[status]
    ]
    saved = ""
    if totals.bytes_before:
        change = 100 * (totals.bytes_after / totals.bytes_before - 1)
        saved = (
            f"{totals.bytes_before:,} -> {totals.bytes_after:,} bytes "
            f"({change:+.1f} %), "
        )
    return f"{totals.files} files: {', '.join(parts)}; {saved}{totals.seconds:.1f} s"
