"""What became of the files of a run, one by one and all together."""

import time
from dataclasses import dataclass, field
from typing import Any

from ..convert import FileReport
from ..errors import OutputExistsError, QualityError

# Exit codes; `kquant.cli.options` says what they mean.
FAILED, USAGE, EXISTS, NOT_SMALLER, BAD_QUALITY, INTERRUPTED = 1, 2, 15, 98, 99, 130


@dataclass(frozen=True)
class Outcome:
    """What became of one file.

    Attributes
    ----------
    source, target : str
        Names, ``-`` for stdin and stdout.
    report : FileReport, optional
    error : Exception, optional
        Either is given.
    dry_run, fixed_palette : bool
        What was asked for.
    """

    source: str
    target: str
    report: FileReport | None = None
    error: Exception | None = None
    dry_run: bool = False
    fixed_palette: bool = False

    @property
    def status(self) -> str:
        """One of written, kept, skipped, failed."""
        return "failed" if self.report is None else self.report.status


@dataclass
class Totals:
    """Sums over the files so far."""

    files: int = 0
    written: int = 0
    kept: int = 0
    skipped: int = 0
    bytes_before: int = 0
    bytes_after: int = 0
    last: str = ""
    failures: list[Outcome] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds(self) -> float:
        """Time since the first file was begun."""
        return time.monotonic() - self.began

    def add(self, outcome: Outcome) -> None:
        """Count one file; what was not written has not changed its size."""
        self.files += 1
        self.last = outcome.source
        if outcome.report is None:
            self.failures.append(outcome)
            return
        report = outcome.report
        name = report.status
        setattr(self, name, getattr(self, name) + 1)
        self.bytes_before += report.bytes_before
        written = name == "written"
        self.bytes_after += report.bytes_after if written else report.bytes_before

    def failed_by(self, kind: type[Exception]) -> bool:
        """Whether something failed, and all of it in this way."""
        return bool(self.failures) and all(
            isinstance(outcome.error, kind) for outcome in self.failures
        )

    def exit_code(self, *, skipping_is_failure: bool, skips_ok: bool) -> int:
        """Say it in a number: `kquant.cli.options` has the table."""
        single = self.files == 1
        if self.failures and not self.failed_by(QualityError):
            if single and self.failed_by(OutputExistsError):
                return EXISTS
            wrong = self.failed_by(ValueError) or self.failed_by(TypeError)
            return USAGE if single and wrong else FAILED
        if skips_ok:
            return 0
        if self.failures:
            return BAD_QUALITY
        return NOT_SMALLER if single and self.skipped and skipping_is_failure else 0

    def as_dict(self) -> dict[str, Any]:
        """Give what `--json` ends with."""
        return {
            "files": self.files,
            "written": self.written,
            "kept": self.kept,
            "skipped": self.skipped,
            "failed": len(self.failures),
            "bytes_in": self.bytes_before,
            "bytes_out": self.bytes_after,
            "seconds": self.seconds,
        }
