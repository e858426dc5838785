"""How the command line talks: summaries, a live line, JSON, trouble in one line."""

import contextlib
import math
import os
import sys
import time
from typing import Any, TextIO

from ..errors import ImageFileError, OutputExistsError, QualityError
from .options import UsageError
from .outcome import Outcome, Totals

# From here on a region is worth a warning.
BAD = 48

# How JSON is laid out: keys may be added, never renamed.
SCHEMA = 1

YELLOW, RED = "33", "31"


def complain(message: str, code: int) -> int:
    """Print one line to stderr; return the exit code."""
    with contextlib.suppress(OSError):
        print(f"kquant: {printable(message)}", file=sys.stderr)
    return code


def printable(text: str) -> str:
    """Escape what a terminal would obey instead of show, as file names can hold it."""
    return "".join(
        c if c.isprintable() else c.encode("unicode_escape").decode() for c in text
    )


def explain(outcome: Outcome) -> str:
    """Say what went wrong with a file, and what to do."""
    error, name = outcome.error, outcome.source
    if isinstance(error, OutputExistsError):
        return (
            f"{name}: {error.path} exists. "
            "Use --force to overwrite or -o for another name."
        )
    if isinstance(error, QualityError):
        return f"{name}: {error}. Ask for less, or allow more colours."
    if isinstance(error, ImageFileError):
        return str(error)
    if isinstance(error, MemoryError):
        return f"{name}: not enough memory. Scale it down."
    if isinstance(error, ValueError | TypeError):
        return f"{name}: {error}. See kquant --help."
    return f"{name}: unexpected {type(error).__name__}: {error}. Please report it."


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
        self._color = color and _wants_color(sys.stderr)
        self._live = _no_line
        if live and not quiet and count > 1 and _is_terminal(sys.stderr):
            self._live = _live_line(count)
        self._report = None if report is None else _open_report(report)

    def close(self) -> None:
        """End the live line and the report."""
        self._live(None)
        if self._report not in (None, sys.stdout):
            self._report.close()

    def show(self, outcome: Outcome, totals: Totals) -> None:
        """Say what became of a file."""
        warnings = _warnings(outcome)
        if self._report is not None:
            self._write(_as_json(outcome, warnings))
        self._live(None)
        if outcome.error is not None:
            if self._count == 1:  # of many, what failed stands at the end
                self._print(f"kquant: {printable(explain(outcome))}", RED)
        elif not self._quiet:
            text = _lines(outcome) if self._count == 1 else _line(outcome)
            grew = outcome.report.bytes_after > outcome.report.bytes_before
            self._print(text + (_details(outcome) if self._verbose else ""),
                        YELLOW if grew else "")  # fmt: skip
        if not self._quiet:
            for warning in warnings:
                self._print(f"kquant: warning: {printable(warning)}", YELLOW)
        self._live(totals)

    def finish(self, totals: Totals) -> None:
        """Say what became of all files, if there is more than one."""
        self._live(None)
        if self._report is not None:
            self._write({"schema": SCHEMA, "summary": True, **totals.as_dict()})
        if self._count > 1 and (not self._quiet or totals.failures):
            self._print(_total(totals), "")
            for outcome in totals.failures:
                self._print(f"failed: {printable(explain(outcome))}", RED)

    def _write(self, value: dict[str, Any]) -> None:
        import json  # which few ask for

        try:
            print(json.dumps(value), file=self._report, flush=True)
        except BrokenPipeError:  # nobody reads on; the files are still to be done
            self._report = None
        except OSError as error:
            if self._report is sys.stdout:
                raise
            with contextlib.suppress(OSError):
                self._report.close()
            self._report, self.failed = None, True
            self._print(f"kquant: --json: cannot be written ({error.strerror}).", RED)

    def _print(self, text: str, color: str) -> None:
        if color and self._color:
            text = f"\x1b[{color}m{text}\x1b[0m"
        with contextlib.suppress(OSError):  # that nobody reads it is no reason to stop
            print(text, file=sys.stderr)


def _open_report(name: str) -> TextIO:
    if name == "-":
        return sys.stdout
    try:
        return open(name, "x", encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"--json={name}: {error.strerror}: name a file that can be made"
        ) from None


# ---- texts


def _lines(outcome: Outcome) -> str:
    """Say in three lines what became of the only file."""
    report = outcome.report
    height, width = report.image.indices.shape
    return (
        f"{_names(outcome)}\n"
        f"{width} x {height} pixels, {report.image.distinct:,} colours -> "
        f"{len(report.image.palette)}, {_quality(report.image)}\n"
        f"{_bytes(report)}, {report.seconds:.3f} s, "
        f"{report.image.indices.size / report.seconds / 1e6:.1f} Mpx/s"
    )


def _line(outcome: Outcome) -> str:
    report = outcome.report
    return (
        f"{_names(outcome)}: {_bytes(report)}, {len(report.image.palette)} "
        f"colours, {_quality(report.image)}"
    )


def _names(outcome: Outcome) -> str:
    names = f"{printable(outcome.source)} -> {printable(outcome.target)}"
    if outcome.report.status != "written":
        return f"{names} ({outcome.report.status}: not smaller)"
    return names + (" (dry run: not written)" if outcome.dry_run else "")


def _quality(image: Any) -> str:
    if image.lossless:
        return "lossless"
    dithered = "no" if image.dither == "none" else image.dither
    return (
        f"MSE {image.mse:.2f}, PSNR {image.psnr:.2f} dB, "
        f"largest error {image.max_error:.1f}, {dithered} dithering"
    )


def _details(outcome: Outcome) -> str:
    image = outcome.report.image
    state = "converged" if image.converged else "not converged"
    return (
        f"\nquality {image.quality} of 100, {image.iterations} iterations, {state}, "
        f"palette {' '.join(image.palette.hex[:8])}"
    )


def _bytes(report: Any) -> str:
    before = report.bytes_before or report.bytes_after
    change = 100 * (report.bytes_after / before - 1)
    grew = ": the file grew" if change > 0 else ""
    return (
        f"{report.bytes_before:,} -> {report.bytes_after:,} bytes "
        f"({change:+.1f} %{grew})"
    )


def _total(totals: Totals) -> str:
    parts = [
        f"{number} {name}"
        for name, number in (
            ("written", totals.written),
            ("kept (not smaller)", totals.kept),
            ("skipped (not smaller)", totals.skipped),
            ("failed", len(totals.failures)),
        )
        if number
    ]
    saved = ""
    if totals.bytes_before:
        change = 100 * (totals.bytes_after / totals.bytes_before - 1)
        saved = (
            f"{totals.bytes_before:,} -> {totals.bytes_after:,} bytes "
            f"({change:+.1f} %), "
        )
    return f"{totals.files} files: {', '.join(parts)}; {saved}{totals.seconds:.1f} s"


def _warnings(outcome: Outcome) -> list[str]:
    """Say what a user should know: notes, and the region that came out badly."""
    if outcome.report is None:
        return []
    warnings = [f"{outcome.source}: {note}." for note in outcome.report.notes]
    image = outcome.report.image
    if outcome.fixed_palette or image.max_error < BAD:
        return warnings
    region = outcome.report.worst()
    if region.distance < BAD:
        return warnings
    left, upper, right, lower = region.box
    before, after = (
        bytes(c).hex() for c in (region.color, image.palette[region.entry])
    )
    warnings.append(
        f"{outcome.source}: {right - left} x {lower - upper} pixels at {left},{upper} "
        f"are off by {region.distance:.0f}: #{before} -> #{after}. "
        f"Keep them with --lock '#{before}' or --protect."
    )
    return warnings


# ---- JSON


def _as_json(outcome: Outcome, warnings: list[str]) -> dict[str, Any]:
    row: dict[str, Any] = {
        "schema": SCHEMA,
        "input": outcome.source,
        "output": outcome.target,
        "status": outcome.status,
        "reason": None,
        "dry_run": outcome.dry_run,
        "warnings": warnings,
    }
    if outcome.error is not None:
        return {**row, "reason": explain(outcome)}
    report = outcome.report
    image = report.image
    height, width = image.indices.shape
    palette = [
        {"hex": f"#{bytes(c[:3]).hex()}", "alpha": (*c, 255)[3], "count": int(n)}
        for c, n in zip(image.palette, image.palette.counts, strict=True)
    ]
    if report.status != "written":
        row["reason"] = "not smaller"
    return {
        **row,
        "width": width,
        "height": height,
        "frames": 1,
        "colors_in": image.distinct,
        "colors_out": len(image.palette),
        "lossless": image.lossless,
        "dither": image.dither,
        "palette": palette,
        "mse": image.mse,
        "psnr": None if math.isinf(image.psnr) else image.psnr,
        "quality": image.quality,
        "max_error": image.max_error,
        "bytes_in": report.bytes_before,
        "bytes_out": report.bytes_after,
        "seconds": report.seconds,
    }


# ---- terminals


def _is_terminal(stream: TextIO) -> bool:
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def _wants_color(stream: TextIO) -> bool:
    """Follow no-color.org and force-color.org."""
    if os.environ.get("NO_COLOR"):
        return False
    return bool(os.environ.get("FORCE_COLOR")) or _is_terminal(stream)


def _no_line(totals: Totals | None) -> None:
    """Show nothing, where nobody would see it."""


def _status(totals: Totals, count: int, began: float) -> str:
    """Files done, bytes saved, time left, and the last name."""
    saved = totals.bytes_before - totals.bytes_after
    left = (time.monotonic() - began) / totals.files * (count - totals.files)
    minutes, seconds = divmod(round(left), 60)
    return (
        f"{totals.files}/{count}  saved {saved / 1e6:.1f} MB  "
        f"{minutes}:{seconds:02} left  {printable(totals.last)}"
    )


def _live_line(count: int) -> Any:
    """Make the function that draws the live line: by rich if it is installed."""
    began = time.monotonic()
    try:
        from rich.console import Console as RichConsole
        from rich.status import Status
    except ImportError:
        return _plain_line(count, began)
    status = Status("", console=RichConsole(stderr=True))

    def update(totals: Totals | None) -> None:
        if totals is None:
            status.stop()
        else:
            from rich.text import Text

            status.update(Text(_status(totals, count, began)))
            status.start()

    return update


def _plain_line(count: int, began: float) -> Any:
    def update(totals: Totals | None) -> None:
        text = ""
        if totals is not None:
            text = _status(totals, count, began)[: _columns() - 1]
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()

    return update


def _columns() -> int:
    import shutil

    return shutil.get_terminal_size().columns
