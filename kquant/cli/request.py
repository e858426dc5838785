"""What one command line asks for, checked as far as that goes without the images."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from .._palette import Palette
from ..errors import KquantWarning
from ..files.decode import read_mask
from ..files.encode import SUFFIXES
from ..parallel import Workers, allowed_cores
from ..settings import FIELDS, FIT, RUN, SHAPE, Settings
from .inputs import STREAM, Destination, Job, choose_targets, find_inputs
from .options import UsageError, Values
from .pool import half_of_memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..parallel import Progress


@dataclass(frozen=True, eq=False)
class Request:
    """What one command line asks for.

    Attributes
    ----------
    jobs : list of Job
        The files that were found, and where their results go.
    settings : Settings
        What is to be done with each, except for what depends on the file.
    shared_palette : bool
        Whether one palette is to be made for all files.
    in_place, mirrored, dry_run : bool
        Whether files are replaced, go into directories that may have to be made, or
        are not written at all.
    verbose : bool
        Whether errors that nobody expects may end the run, with a traceback.
    at_a_time : int
        How many files are done at a time.
    threads : int, optional
        Threads for what is done alone; by default all there are.
    memory : int
        Bytes for all files at a time.
    notes : tuple of str
        What is worth a warning about the files that are no inputs: palettes and masks.
    """

    jobs: list[Job]
    settings: Settings
    shared_palette: bool
    in_place: bool
    mirrored: bool
    verbose: bool
    at_a_time: int
    threads: int | None
    memory: int
    notes: tuple[str, ...] = ()

    @classmethod
    def of(cls, values: Values, names: list[str]) -> Request:
        """Check what was given, and find the files.

        Palettes and the mask are read, as what is wrong with them is to be said before
        anything is written. Of images and stdin nothing is.

        Parameters
        ----------
        values : dict
            Of the options, by the names that the library has for them.
        names : list of str
            Of the inputs.

        Raises
        ------
        UsageError, KquantError
            If something is wrong.
        """
        given = {
            name: value
            for name, value in values.items()
            if name in FIELDS and FIELDS[name].about != RUN
        }
        with _heard() as notes:
            for name in ("palette", "lock"):
                if name in given:
                    given[name] = Palette.of(given[name], name)
            if "weights" in given:
                reading = Settings(**{**given, "weights": None}).reading
                given["weights"] = read_mask(given["weights"], reading)
        settings = Settings(**given)
        Workers(values.get("threads"))  # which refuses wrong numbers
        _check_shared(values)
        jobs = _jobs(values, names)
        _check_streams(values, jobs)
        at_a_time = values.get("jobs", allowed_cores())
        if at_a_time < 1:
            raise UsageError(f"--jobs must be at least 1, got {at_a_time}")
        return cls(
            jobs=jobs,
            settings=settings,
            shared_palette="shared_palette" in values,
            in_place="in_place" in values,
            mirrored="out_dir" in values,
            verbose="verbose" in values,
            at_a_time=min(at_a_time, len(jobs)),
            threads=values.get("threads"),
            memory=values.get("memory", half_of_memory()),
            notes=tuple(notes),
        )

    @property
    def dry_run(self) -> bool:
        return self.settings.dry_run

    @property
    def fixed_palette(self) -> bool:
        """Whether the palette is not made for the image that gets it."""
        return self.settings.palette is not None

    @property
    def threads_each(self) -> int | None:
        """Threads for each of several files; None for all there are."""
        if self.threads is None and self.at_a_time > 1:
            return max(1, allowed_cores() // self.at_a_time)
        return self.threads

    def settings_for(self, job: Job, progress: Progress) -> Settings:
        """Say what is to be done with one file."""
        own: dict[str, Any] = {"threads": self.threads_each, "progress": progress}
        if job.in_place and self.settings.min_saving is None:
            own["min_saving"] = 0.0
        if job.in_place and self.in_place:
            own["force"] = True
        return self.settings.but(**own)

    def with_palette(self, palette: Palette) -> Request:
        """Ask for this palette, instead of for one that is made for each file."""
        kept = {
            name: value
            for name, value in self.settings.given.items()
            if FIELDS[name].about != FIT or name == "space"
        }
        return replace(self, settings=Settings(**{**kept, "palette": palette}))


@contextlib.contextmanager
def _heard() -> Iterator[list[str]]:
    """Give a list that has, once this is over, what the library warned of meanwhile."""
    notes: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", KquantWarning)
        yield notes
    notes += [str(each.message) for each in caught]


def _given(values: Values, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}


def _check_shared(values: Values) -> None:
    # What is for the palette of one image cannot go with one for all.
    other = [
        name
        for name, setting in FIELDS.items()
        if name in values and (setting.about == SHAPE or name == "palette")
    ]
    if "shared_palette" in values and other:
        raise UsageError(f"--shared-palette and {other[0]}: give one of them")


def _jobs(values: Values, names: list[str]) -> list[Job]:
    """Find the files, and choose where their results go."""
    _explain_names(values, names)
    found = find_inputs(names, recursive="recursive" in values)
    destination = Destination(
        **_given(values, ("output", "out_dir", "ext", "in_place", "full_names"))
    )
    jobs = choose_targets(found, destination)
    if not jobs:
        raise UsageError("there are no images in what was named")
    return jobs


def _explain_names(values: Values, names: list[str]) -> None:
    """Refuse what people type first, with what they mean."""
    for name in names:
        if "://" in name and not os.path.exists(name):
            raise UsageError(f"{name} is an address, not a file: download it first")
    output = values.get("output", "")
    folder = os.path.isdir(output) and not os.path.splitext(output)[1]
    if folder or output.endswith(("/", os.sep)):
        raise UsageError(f"-o names a file, not a directory: use --out-dir {output}")
    *first, last = names
    if not first or os.path.exists(last):
        return
    if last.isdecimal() and len(last) <= 3:
        raise UsageError(
            f"{last} is no file: a number of colours comes before the files, or as "
            f"-k {last}"
        )
    placed = any(name in values for name in ("output", "out_dir", "ext", "in_place"))
    writable = os.path.splitext(last)[1].lower() in SUFFIXES
    if len(names) == 2 and writable and os.path.exists(first[0]) and not placed:
        raise UsageError(f"{last} does not exist: to write it, use -o {last}")


def _check_streams(values: Values, jobs: list[Job]) -> None:
    if any(job.target == STREAM for job in jobs) and sys.stdout.isatty():
        raise UsageError(
            "an image is not written to a terminal: redirect stdout, or use -o FILE"
        )
    streamed = any(STREAM in (job.source, job.target) for job in jobs)
    if streamed and values.get("json") == STREAM:
        raise UsageError("--json on stdout would mix with the image: use --json=FILE")
