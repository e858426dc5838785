"""Does what a request asks for: its files, one by one or several at a time."""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any, TypeVar

from .._palette import Palette, fit_palette
from ..color.ground import on_ground
from ..color.histogram import Histogram
from ..convert import FileReport, convert
from ..errors import ImageFileError, KquantError, QualityError
from ..files.decode import count_pixels_of, pillow_limit, read_picture
from ..files.disk import MOST_BYTES, make_folder, read_file
from ..files.disk import reading as errors_of
from ..parallel import Workers
from .inputs import STREAM, Job
from .options import UsageError
from .outcome import Done, Failed, Outcome
from .pool import Budget, Leave, Pool, StoppedError, memory_for
from .request import Request
from .streams import send

Result = TypeVar("Result")


class Run:
    """The run that a request asks for.

    Parameters
    ----------
    request : Request

    Attributes
    ----------
    stopped : bool
        Whether it is to end before all is done.
    """

    def __init__(self, request: Request) -> None:
        self._request = request
        self._budget = Budget(request.memory)
        self._pool: Pool[Job, Any] | None = None
        self._input: bytes | None = None
        self.stopped = False

    def stop(self, *, hurry: bool = False) -> None:
        """Begin no other file; a signal handler may call it, and then in a hurry."""
        self.stopped = True
        if self._pool is not None:
            self._pool.stop(hurry=hurry)

    def outcomes(self) -> Iterator[Outcome]:
        """Do the files; yield what became of each, in their order."""
        request = self._request
        with pillow_limit(request.settings.max_pixels):
            if request.shared_palette:
                try:
                    self._request = request.with_palette(self._shared_palette())
                except StoppedError:
                    return
            yield from self._all(self._outcome, self._late)

    def _all(
        self,
        work: Callable[[Job, Leave], Result],
        late: Callable[[Job], Result],
    ) -> Iterator[Result]:
        """Do something with all files, several at a time."""
        request = self._request
        pool = Pool(request.jobs, work, request.at_a_time, request.timeout, late)
        self._pool = pool
        if not self.stopped:  # else by a signal before there was a pool
            yield from pool.results()

    def _shared_palette(self) -> Palette:
        """Fit one palette for all the files that can be read."""
        request = self._request
        total: Histogram | None = None
        for histogram in self._all(self._count, lambda job: None):
            if histogram is not None:
                total = histogram if total is None else total + histogram
        self._check_stop()
        if total is None:
            raise UsageError("no file can be read to make --shared-palette of")
        with Workers(request.threads, self._check_stop) as workers:
            return fit_palette(total, total, request.settings, workers)

    def _check_stop(self, stage: str = "", fraction: float = 0.0) -> None:
        if self.stopped:
            raise StoppedError

    def _count(self, job: Job, leave: Leave) -> Histogram | None:
        def count() -> Histogram | None:
            settings = self._request.settings
            pixels = read_picture(self._source(job), settings.reading).pixels
            pixels = on_ground(pixels, settings.matte, settings.alpha_threshold)
            return Histogram.from_image(pixels, threads=self._request.threads_each)

        try:
            return self._budget.run(self._need(job), count, leave)
        except (KquantError, MemoryError):
            return None  # which will be said when it is its turn

    def _outcome(self, job: Job, leave: Leave) -> Outcome:
        """Quantize one file; whatever goes wrong is its outcome."""
        request = self._request
        try:
            if job.problem is not None:
                raise ImageFileError(job.source, *job.problem)
            report = self._budget.run(
                self._need(job), lambda: self._quantize(job, leave), leave
            )
        except StoppedError:
            raise
        except Exception as error:
            if request.verbose and not isinstance(error, KquantError):
                raise
            if isinstance(error, QualityError):
                with contextlib.suppress(ImageFileError):  # one problem is enough
                    self._pass_through(job, leave)
            return Failed(job.source, job.target, error, request.dry_run)
        return Done(
            job.source, job.target, report, request.dry_run, request.fixed_palette
        )

    def _late(self, job: Job) -> Outcome:
        """Say that a file took too long."""
        error = ImageFileError(
            job.source,
            f"took longer than {self._request.timeout:g} s, and was passed over",
            "Allow it more (--timeout), or look what is wrong with it",
        )
        return Failed(job.source, job.target, error, self._request.dry_run)

    def _need(self, job: Job) -> int:
        """Say how many bytes it takes."""
        return memory_for(count_pixels_of(self._source(job)))

    def _quantize(self, job: Job, leave: Leave) -> FileReport:
        request = self._request
        target: str | BytesIO = job.target
        if job.target == STREAM:
            target = BytesIO()
        elif request.mirrored and not request.dry_run:
            make_folder(os.path.dirname(job.target) or os.curdir)
        settings = request.settings_for(job, leave.check)
        report = convert(self._source(job), target, settings, leave.commit)
        if isinstance(target, BytesIO) and not request.dry_run:
            if report.status == "written":
                send(target.getvalue())
            else:
                self._pass_through(job, leave)
        return report

    def _source(self, job: Job) -> "str | BytesIO":
        """Name the file, or give what came from stdin, which is read but once."""
        if job.source != STREAM:
            return job.source
        if self._input is None:
            with errors_of(STREAM):
                self._input = sys.stdin.buffer.read(MOST_BYTES + 1)
        return _Input(self._input)

    def _pass_through(self, job: Job, leave: Leave) -> None:
        """Give stdout the original, where there is no result, as pngquant does."""
        if job.target != STREAM or self._request.dry_run:
            return
        content = self._input or b""
        if job.source != STREAM:
            with contextlib.suppress(KquantError):
                content = read_file(job.source)
        leave.commit()
        if content:
            send(content)


class _Input(BytesIO):
    """What came from stdin, with the name that it has in messages."""

    name = STREAM
