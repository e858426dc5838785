"""What became of the files of a run, one by one and all together."""

import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TypeAlias

from ..convert import FileReport
from ..errors import OutputExistsError, QualityError
from .options import BAD_QUALITY, EXISTS, FAILED, NOT_SMALLER, WRONG_USAGE


@dataclass(frozen=True, eq=False)
class Done:
    """A file that was quantized.

    Attributes
    ----------
    source, target : str
        Names, ``-`` for stdin and stdout.
    report : FileReport
    dry_run, fixed_palette : bool
        What was asked for.
    """

    source: str
    target: str
    report: FileReport
    dry_run: bool = False
    fixed_palette: bool = False

    @property
    def status(self) -> str:
        """One of written, kept, skipped."""
        return self.report.status


@dataclass(frozen=True, eq=False)
class Failed:
    """A file that could not be read, quantized or written.

    Attributes
    ----------
    source, target : str
        Names, ``-`` for stdin and stdout.
    error : Exception
    dry_run : bool
        What was asked for.
    """

    source: str
    target: str
    error: Exception
    dry_run: bool = False

    status = "failed"


Outcome: TypeAlias = Done | Failed


@dataclass(eq=False)
class Totals:
    """Sums over the files so far, of so many."""

    statuses: Counter[str] = field(default_factory=Counter)
    bytes_before: int = 0
    bytes_after: int = 0
    last: str = ""
    failures: list[Failed] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    of: int = 0

    @property
    def files(self) -> int:
        """How many there were."""
        return self.statuses.total()

    @property
    def left(self) -> int:
        """How many were not done, as the run was stopped."""
        return max(0, self.of - self.files)

    @property
    def seconds(self) -> float:
        """Time since the first file was begun."""
        return time.monotonic() - self.began

    def add(self, outcome: Outcome) -> None:
        """Count one file; what was not written has not changed its size."""
        self.statuses[outcome.status] += 1
        self.last = outcome.source
        if isinstance(outcome, Failed):
            self.failures.append(outcome)
            return
        report = outcome.report
        written = report.status == "written"
        self.bytes_before += report.bytes_before
        self.bytes_after += report.bytes_after if written else report.bytes_before

    def failed_by(self, kind: type[Exception]) -> bool:
        """Whether something failed, and all of it in this way."""
        return bool(self.failures) and all(
            isinstance(failed.error, kind) for failed in self.failures
        )

    def exit_code(self, *, skipping_is_failure: bool, skips_ok: bool) -> int:
        """Say it in a number: `kquant.cli.options` has the table."""
        single = self.files == 1
        if self.failures and not self.failed_by(QualityError):
            if single and self.failed_by(OutputExistsError):
                return EXISTS
            wrong = self.failed_by(ValueError) or self.failed_by(TypeError)
            return WRONG_USAGE if single and wrong else FAILED
        if skips_ok:
            return 0
        if self.failures:
            return BAD_QUALITY
        skipped = self.statuses["skipped"]
        return NOT_SMALLER if single and skipped and skipping_is_failure else 0
