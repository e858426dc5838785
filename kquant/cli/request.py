"""What one command line asks for, checked as far as that goes without the images."""

import sys
from dataclasses import dataclass, replace
from typing import Any

from .._palette import Palette
from ..convert import check_file_options
from ..files.decode import Reading, read_mask
from ..parallel import allowed_cores
from .inputs import STREAM, Destination, Job, choose_targets, find_inputs
from .options import UsageError, Values
from .pool import half_of_memory

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


@dataclass(frozen=True, eq=False)
class Request:
    """What one command line asks for.

    Attributes
    ----------
    jobs : list of Job
        The files that were found, and where their results go.
    options : dict
        The arguments of `quantize_file`, except for those of one job.
    read_options : Reading
        How images are read.
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
    """

    jobs: list[Job]
    options: dict[str, Any]
    read_options: Reading
    shared_palette: bool
    in_place: bool
    mirrored: bool
    verbose: bool
    at_a_time: int
    threads: int | None
    memory: int

    @classmethod
    def of(cls, values: Values, names: list[str]) -> "Request":
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
        values = dict(values)
        for name in ("palette", "lock"):
            if name in values:
                values[name] = Palette.of(values[name], name)
        read_options = Reading(**_given(values, READING))
        if "weights" in values:
            values["weights"] = read_mask(values["weights"], read_options)
        check_file_options(**_given(values, (*QUANTIZE, *CHECKED, "threads")))
        _check_shared(values)
        jobs = _jobs(values, names)
        _check_streams(values, jobs)
        at_a_time = values.get("jobs", allowed_cores())
        if at_a_time < 1:
            raise UsageError(f"--jobs must be at least 1, got {at_a_time}")
        return cls(
            jobs=jobs,
            options=_given(values, (*QUANTIZE, *FILE)),
            read_options=read_options,
            shared_palette="shared_palette" in values,
            in_place="in_place" in values,
            mirrored="out_dir" in values,
            verbose="verbose" in values,
            at_a_time=min(at_a_time, len(jobs)),
            threads=values.get("threads"),
            memory=values.get("memory", half_of_memory()),
        )

    @property
    def dry_run(self) -> bool:
        return bool(self.options.get("dry_run"))

    @property
    def fixed_palette(self) -> bool:
        """Whether the palette is not made for the image that gets it."""
        return "palette" in self.options

    @property
    def threads_each(self) -> int | None:
        """Threads for each of several files; None for all there are."""
        if self.threads is None and self.at_a_time > 1:
            return max(1, allowed_cores() // self.at_a_time)
        return self.threads

    @property
    def fitting(self) -> dict[str, Any]:
        """The arguments of `Palette.fit`."""
        return _given(self.options, FITTING)

    def options_of(self, job: Job) -> dict[str, Any]:
        """Give the arguments of `quantize_file` for one file."""
        options = dict(self.options)
        if job.in_place:
            options.setdefault("min_saving", 0.0)
            if self.in_place:
                options["force"] = True
        return options

    def with_palette(self, palette: Palette) -> "Request":
        """Ask for this palette, instead of for one that is made for each file."""
        made = set(FITTING) - {"space"}
        kept = {name: self.options[name] for name in self.options if name not in made}
        return replace(self, options={**kept, "palette": palette})


def _given(values: Values, names: tuple[str, ...]) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}


def _check_shared(values: Values) -> None:
    other = [name for name in NOT_SHARED if name in values]
    if "shared_palette" in values and other:
        raise UsageError(f"--shared-palette and {other[0]}: give one of them")


def _jobs(values: Values, names: list[str]) -> list[Job]:
    """Find the files, and choose where their results go."""
    found = find_inputs(names, recursive="recursive" in values)
    destination = Destination(
        **_given(values, ("output", "out_dir", "ext", "in_place"))
    )
    jobs = choose_targets(found, destination)
    if not jobs:
        raise UsageError("there are no images in what was named")
    return jobs


def _check_streams(values: Values, jobs: list[Job]) -> None:
    if any(job.target == STREAM for job in jobs) and sys.stdout.isatty():
        raise UsageError(
            "an image is not written to a terminal: redirect stdout, or use -o FILE"
        )
    streamed = any(STREAM in (job.source, job.target) for job in jobs)
    if streamed and values.get("json") == STREAM:
        raise UsageError("--json on stdout would mix with the image: use --json=FILE")
