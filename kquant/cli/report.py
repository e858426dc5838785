"""The report as JSON Lines: a row a file, one for all of them, and the warnings."""

import contextlib
import math
import sys
from typing import Any, TextIO

from .messages import explain
from .options import UsageError
from .outcome import Failed, Outcome, Totals

# How JSON is laid out: keys may be added, never renamed.
SCHEMA = 1

# From here on a region is worth a warning.
BAD = 48


class Report:
    """Where the rows go.

    Parameters
    ----------
    name : str
        A file that is new, or ``"-"`` for stdout.
    """

    def __init__(self, name: str) -> None:
        self.on_stdout = name == "-"
        self._file = sys.stdout if self.on_stdout else _open_new(name)

    def write(self, row: dict[str, Any]) -> None:
        """Write a row, so that it can be read at once; raises OSError."""
        import json  # which few ask for

        print(json.dumps(row), file=self._file, flush=True)

    def close(self) -> None:
        """Close the file, whatever still happens to it."""
        if not self.on_stdout:
            with contextlib.suppress(OSError):
                self._file.close()


def _open_new(name: str) -> TextIO:
    try:
        return open(name, "x", encoding="utf-8")
    except OSError as error:
        raise UsageError(
            f"--json={name}: {error.strerror}: name a file that can be made"
        ) from None


def row_of(outcome: Outcome, warnings: list[str]) -> dict[str, Any]:
    """Say what became of a file."""
    row: dict[str, Any] = {
        "schema": SCHEMA,
        "input": outcome.source,
        "output": outcome.target,
        "status": outcome.status,
        "reason": None,
        "dry_run": outcome.dry_run,
        "warnings": warnings,
    }
    if isinstance(outcome, Failed):
        return {**row, "reason": explain(outcome.error, outcome.source)}
    report = outcome.report
    image = report.image
    height, width = image.indices.shape
    counts = image.palette.counts
    assert counts is not None  # as it is the palette of a result
    palette = [
        {"hex": f"#{bytes(c[:3]).hex()}", "alpha": (*c, 255)[3], "count": int(n)}
        for c, n in zip(image.palette, counts, strict=True)
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


def summary_of(totals: Totals, warnings: list[str]) -> dict[str, Any]:
    """Say what became of all files; warnings are of palettes and masks."""
    statuses = ("written", "kept", "skipped", "failed")
    return {
        "schema": SCHEMA,
        "summary": True,
        "files": totals.files,
        **{status: totals.statuses[status] for status in statuses},
        "warnings": warnings,
        "bytes_in": totals.bytes_before,
        "bytes_out": totals.bytes_after,
        "seconds": totals.seconds,
    }


def warnings_of(outcome: Outcome) -> list[str]:
    """Say what a user should know: notes, and the region that came out badly."""
    if isinstance(outcome, Failed):
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
