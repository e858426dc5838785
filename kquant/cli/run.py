"""What one command line asks for: its files, one by one or several at a time."""

import contextlib
import os
import sys
import threading
from io import BytesIO
from typing import Any, BinaryIO, TextIO

from .._palette import Palette
from ..color.histogram import Histogram
from ..convert import quantize_file
from ..errors import (
    ImageFileError,
    KquantError,
    QualityError,
)
from ..files.decode import ReadOptions as Reading
from ..files.decode import count_pixels_of, read_mask, read_picture
from ..files.disk import make_folder, read_file
from ..parallel import Workers, allowed_cores
from ..settings import Settings
from .inputs import (
    STREAM,
    Budget,
    Job,
    Where,
    find_inputs,
    half_of_memory,
    memory_for,
    plan,
    run_all,
)
from .options import UsageError
from .outcome import Outcome

# Options that say how a file is read, how its palette is made, and which are of
# `quantize_file` only: what is not here is about files and how the run goes.
READING = ("icc", "max_pixels", "allow_truncated", "frames")
FITTING = (
    "colors", "effort", "space", "lock", "max_error", "protect_pixels", "seed",
)  # fmt: skip
QUANTIZE = (
    *FITTING, "dither", "palette", "weights", "transparent_rgb", "bits", "order",
    "transparent_index", "quality", "min_psnr", "max_mse",
)  # fmt: skip
CHECKED = (*READING, "max_bytes", "min_saving", "strip", "optimize")
FILE = (*CHECKED, "preserve", "dry_run", "force")

# What shapes the palette of one image, and so cannot go with one for all.
NOT_SHARED = (
    "palette", "quality", "min_psnr", "max_mse", "max_bytes", "weights", "bits",
    "order", "transparent_index",
)  # fmt: skip


class StoppedError(Exception):
    """The run ends; what this job did is of no use."""


class Run:
    """All that one command line asks for, checked before anything is read.

    Parameters
    ----------
    values : dict
        Of the options, by the names that the library has for them.
    names : list of str
        Of the inputs.

    Attributes
    ----------
    jobs : list of Job
    """

    def __init__(self, values: dict[str, Any], names: list[str]) -> None:
        self._values = values
        for name in ("palette", "lock"):
            if name in values:
                values[name] = Palette.of(values[name], name)
        if "weights" in values:
            how = Reading(**self._given(READING))
            values["weights"] = read_mask(values["weights"], how)
        settings = Settings(**self._given((*QUANTIZE, *CHECKED, "threads")))
        Workers(settings.threads)
        shared = values.get("shared_palette")
        if shared and (other := [name for name in NOT_SHARED if name in values]):
            raise UsageError(f"--shared-palette and {other[0]}: give one of them")
        where = Where(
            values.get("output"),
            values.get("out_dir"),
            values.get("ext"),
            values.get("in_place", False),
        )
        self.jobs = plan(
            find_inputs(names, recursive=values.get("recursive", False)), where
        )
        if not self.jobs:
            raise UsageError("there are no images in what was named")
        if any(job.target == STREAM for job in self.jobs) and sys.stdout.isatty():
            raise UsageError(
                "an image is not written to a terminal: redirect stdout, or use -o FILE"
            )
        streams = [job for job in self.jobs if STREAM in (job.source, job.target)]
        if streams and values.get("json") == STREAM:
            raise UsageError(
                "--json on stdout would mix with the image: use --json=FILE"
            )
        at_a_time = _at_least_one("--jobs", values.get("jobs", allowed_cores()))
        self._at_a_time = min(at_a_time, len(self.jobs))
        self._threads = values.get("threads")
        if self._threads is None and self._at_a_time > 1:
            self._threads = max(1, allowed_cores() // self._at_a_time)
        self._budget = Budget(values.get("memory", half_of_memory()))
        self._stop = threading.Event()
        self._input = None
        if any(job.source == STREAM for job in self.jobs):
            self._input = sys.stdin.buffer.read()

    def _given(self, names: tuple[str, ...]) -> dict[str, Any]:
        return {name: self._values[name] for name in names if name in self._values}

    def outcomes(self) -> Any:
        """Yield what became of each file, in their order."""
        if self._values.get("shared_palette"):
            self._values["palette"] = self._shared_palette()
            for name in FITTING:
                if name != "space":
                    self._values.pop(name, None)
        yield from run_all(self.jobs, self._guarded, self._at_a_time, self._stop)

    def _shared_palette(self) -> Palette:
        """Fit one palette for all the files that can be read."""
        counted = run_all(self.jobs, self._count, self._at_a_time, self._stop)
        total = sum(histogram for histogram in counted if histogram is not None)
        self._stop.clear()
        if not total:
            raise UsageError("no file can be read to make --shared-palette of")
        return Palette.fit(total, threads=self._values.get("threads"),
                           **self._given(FITTING))  # fmt: skip

    def _count(self, job: Job) -> Histogram | None:
        def count() -> Histogram | None:
            try:
                how = Reading(**self._given(READING))
                pixels = read_picture(self._source(job), how).pixels
                return Histogram.from_image(pixels, threads=self._threads)
            except (KquantError, MemoryError):
                return None  # which will be said when it is its turn

        return self._budget.run(memory_for(count_pixels_of(job.source)), count)

    def _guarded(self, job: Job) -> Outcome:
        """Quantize one file; whatever goes wrong is its outcome."""
        outcome: dict[str, Any] = {
            "source": job.source,
            "target": job.target,
            "dry_run": self._values.get("dry_run", False),
            "fixed_palette": "palette" in self._values,
        }
        try:
            need = memory_for(count_pixels_of(job.source))
            report = self._budget.run(need, lambda: self._work(job))
            return Outcome(**outcome, report=report)
        except StoppedError as error:
            return Outcome(**outcome, error=error)
        except Exception as error:
            if "verbose" in self._values and not isinstance(error, KquantError):
                raise
            if isinstance(error, QualityError):
                with contextlib.suppress(ImageFileError):  # one problem is enough
                    self._pass_through(job)
            return Outcome(**outcome, error=error)

    def _work(self, job: Job) -> Any:
        options = self._given((*QUANTIZE, *FILE))
        target: str | BinaryIO = job.target
        if job.target == STREAM:
            target = BytesIO()
        elif self._values.get("out_dir") and not self._values.get("dry_run"):
            make_folder(os.path.dirname(job.target) or os.curdir)
        if job.in_place:
            options.setdefault("min_saving", 0.0)
            if self._values.get("in_place"):
                options["force"] = True
        report = quantize_file(
            self._source(job),
            target,
            threads=self._threads,
            progress=self._check_stop,
            **options,
        )
        if job.target == STREAM and not self._values.get("dry_run"):
            if report.status == "written":
                _send(target.getvalue())
            else:
                self._pass_through(job)
        return report

    def _source(self, job: Job) -> str | BinaryIO:
        if job.source != STREAM:
            return job.source
        stream = BytesIO(self._input)
        stream.name = STREAM
        return stream

    def _pass_through(self, job: Job) -> None:
        """Give stdout the original, where there is no result, as pngquant does."""
        if job.target != STREAM or self._values.get("dry_run"):
            return
        content = self._input
        if job.source != STREAM:
            with contextlib.suppress(KquantError):
                content = read_file(job.source)
        if content:
            _send(content)

    def _check_stop(self, stage: str, fraction: float) -> None:
        if self._stop.is_set():
            raise StoppedError


def _at_least_one(name: str, value: int) -> int:
    if value < 1:
        raise UsageError(f"{name} must be at least 1, got {value}")
    return value


def _send(content: bytes) -> None:
    """Write an image to stdout: now, as an error that comes later is of no file."""
    try:
        sys.stdout.buffer.write(content)
        sys.stdout.buffer.flush()
    except OSError as error:
        silence(sys.stdout)
        if not isinstance(error, BrokenPipeError):
            raise ImageFileError(
                "standard output",
                f"cannot be written ({error.strerror})",
                "Check where it goes",
            ) from None


def silence(stream: TextIO) -> None:
    """Let what a stream still holds go nowhere, or Python complains when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
