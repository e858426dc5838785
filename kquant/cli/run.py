"""Does what a request asks for: its files, one by one or several at a time."""

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from io import BytesIO

from .._palette import Palette, fit_palette
from ..color.ground import on_ground
from ..color.histogram import Histogram
from ..convert import FileReport, convert
from ..errors import ImageFileError, KquantError, QualityError
from ..files.decode import count_pixels_of, pillow_limit, read_picture
from ..files.disk import make_folder, read_file
from ..files.disk import reading as errors_of
from ..parallel import Workers
from .inputs import STREAM, Job
from .options import UsageError
from .outcome import Done, Failed, Outcome
from .pool import Budget, memory_for, run_all
from .request import Request
from .streams import send


class StoppedError(Exception):
    """The run ends; what this job did is of no use."""


class Run:
    """The run that a request asks for.

    Parameters
    ----------
    request : Request
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._budget = Budget(request.memory)
        self._stop = threading.Event()
        self._input = b""

    def outcomes(self) -> Iterator[Outcome]:
        """Do the files; yield what became of each, in their order."""
        request = self._request
        if any(job.source == STREAM for job in request.jobs):
            # Here and not by the thread that wants it: Ctrl-C interrupts this one only.
            with errors_of(STREAM):
                self._input = sys.stdin.buffer.read()
        with pillow_limit(request.settings.max_pixels):
            if request.shared_palette:
                self._request = request.with_palette(self._shared_palette())
            request = self._request
            yield from run_all(
                request.jobs, self._outcome, request.at_a_time, self._stop
            )

    def _shared_palette(self) -> Palette:
        """Fit one palette for all the files that can be read."""
        request = self._request
        counted = run_all(request.jobs, self._count, request.at_a_time, self._stop)
        total: Histogram | None = None
        for histogram in counted:
            if histogram is not None:
                total = histogram if total is None else total + histogram
        self._stop.clear()
        if total is None:
            raise UsageError("no file can be read to make --shared-palette of")
        with Workers(request.threads) as workers:
            return fit_palette(total, total, request.settings, workers)

    def _count(self, job: Job) -> Histogram | None:
        def count() -> Histogram | None:
            try:
                reading = request.settings.reading
                pixels = read_picture(self._source(job), reading).pixels
                settings = request.settings
                pixels = on_ground(pixels, settings.matte, settings.alpha_threshold)
                return Histogram.from_image(pixels, threads=request.threads_each)
            except (KquantError, MemoryError):
                return None  # which will be said when it is its turn

        request = self._request
        return self._budget.run(memory_for(count_pixels_of(self._source(job))), count)

    def _outcome(self, job: Job) -> Outcome:
        """Quantize one file; whatever goes wrong is its outcome."""
        request = self._request
        try:
            if job.clash is not None:
                raise ImageFileError(
                    job.source,
                    f"its result, {job.target}, would also be that of {job.clash}",
                    "Name them after their whole names (--full-names)",
                )
            need = memory_for(count_pixels_of(self._source(job)))
            report = self._budget.run(need, lambda: self._quantize(job))
        except Exception as error:
            expected = isinstance(error, KquantError | StoppedError)
            if request.verbose and not expected:
                raise
            if isinstance(error, QualityError):
                with contextlib.suppress(ImageFileError):  # one problem is enough
                    self._pass_through(job)
            return Failed(job.source, job.target, error, request.dry_run)
        return Done(
            job.source, job.target, report, request.dry_run, request.fixed_palette
        )

    def _quantize(self, job: Job) -> FileReport:
        request = self._request
        target: str | BytesIO = job.target
        if job.target == STREAM:
            target = BytesIO()
        elif request.mirrored and not request.dry_run:
            make_folder(os.path.dirname(job.target) or os.curdir)
        settings = request.settings_for(job, self._check_stop)
        report = convert(self._source(job), target, settings)
        if isinstance(target, BytesIO) and not request.dry_run:
            if report.status == "written":
                send(target.getvalue())
            else:
                self._pass_through(job)
        return report

    def _source(self, job: Job) -> "str | BytesIO":
        return _Input(self._input) if job.source == STREAM else job.source

    def _pass_through(self, job: Job) -> None:
        """Give stdout the original, where there is no result, as pngquant does."""
        if job.target != STREAM or self._request.dry_run:
            return
        content = self._input
        if job.source != STREAM:
            with contextlib.suppress(KquantError):
                content = read_file(job.source)
        if content:
            send(content)

    def _check_stop(self, stage: str, fraction: float) -> None:
        if self._stop.is_set():
            raise StoppedError


class _Input(BytesIO):
    """What came from stdin, with the name that it has in messages."""

    name = STREAM
