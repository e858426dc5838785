"""Many files: which ones, where each result goes, and several at a time."""

import glob
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import takewhile
from typing import TypeVar

from ..files.decode import SUFFIXES
from .options import UsageError

Result = TypeVar("Result")

# What names end in beside their sources, and in a directory of their own.
BESIDE, APART = "-kq.png", ".png"

STREAM = "-"

# Memory for a file: so much a pixel, from pictures whose pixels all differ, and for
# what does not depend on them.
BYTES_PER_PIXEL, BYTES_PER_FILE = 24, 48 << 20


@dataclass(frozen=True)
class Found:
    """An input, and the directory that its name is relative to in another one."""

    path: str
    root: str
    walked: bool = False


@dataclass(frozen=True)
class Job:
    """One file to be read and one to be written; ``-`` are stdin and stdout."""

    source: str
    target: str

    @property
    def in_place(self) -> bool:
        """Whether the source itself is replaced."""
        return self.source != STREAM and _key(self.source) == _key(self.target)


@dataclass(frozen=True)
class Where:
    """Where results go.

    Attributes
    ----------
    output : str, optional
        The only one.
    out_dir : str, optional
        A directory, in which folders are mirrored.
    ext : str, optional
        What names end in, instead of the endings of their sources.
    in_place : bool
        Whether each file is replaced by its result.
    """

    output: str | None = None
    out_dir: str | None = None
    ext: str | None = None
    in_place: bool = False


def find_inputs(names: list[str], *, recursive: bool) -> list[Found]:
    """Expand directories and globs; a name that is no file stays, to be complained of.

    Files in directories are those with the ending of an image, in the order of their
    names; links to directories are not followed. A file that is named twice is taken
    once.
    """
    found: list[Found] = []
    for name in names:
        if name == STREAM:
            found.append(Found(name, ""))
        elif os.path.isdir(name) and recursive:
            found += [Found(path, name, walked=True) for path in _walk(name)]
        elif not os.path.lexists(name) and glob.has_magic(name):
            paths = sorted(glob.glob(name, recursive=True))
            root = _plain_part(name)
            found += [Found(path, root) for path in paths if os.path.isfile(path)]
            found += [] if paths else [Found(name, root)]
        else:
            found.append(Found(name, os.path.dirname(name)))
    return list({_key(one.path): one for one in reversed(found)}.values())[::-1]


def _walk(folder: str) -> Iterator[str]:
    for path, folders, files in os.walk(folder):
        folders.sort()
        for file in sorted(files):
            if os.path.splitext(file)[1].lower() in SUFFIXES:
                yield os.path.join(path, file)


def _plain_part(pattern: str) -> str:
    """Give the directories of a pattern before the first one that is a pattern."""
    parts = os.path.normpath(pattern).split(os.sep)[:-1]
    plain = list(takewhile(lambda part: not glob.has_magic(part), parts))
    return os.sep.join(plain) or (os.sep if pattern.startswith(os.sep) else "")


def plan(found: list[Found], where: Where) -> list[Job]:
    """Say where each result goes, and refuse what would be lost or mixed up.

    Raises
    ------
    UsageError
        If two results have one name, or one has the name of another one's input.
    """
    asked = {"-o": where.output, "--out-dir": where.out_dir, "-i": where.in_place}
    given = [name for name, value in asked.items() if value]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)}: give one place for the results")
    if where.ext is not None and (where.output or where.in_place):
        raise UsageError("--ext has no effect with -o or -i: leave it out")
    if where.output is not None and len(found) > 1:
        raise UsageError(
            f"-o names one file, but there are {len(found)} inputs: use --out-dir"
        )
    if where.ext is not None and not os.path.splitext(f"name{where.ext}")[1]:
        raise UsageError(f"--ext must end like -kq.png or .png, got {where.ext!r}")
    jobs = [
        Job(one.path, _target(one, where))
        for one in found
        if not (one.walked and _is_result(one.path, where))
    ]
    _check_conflicts(jobs)
    return jobs


def _is_result(path: str, where: Where) -> bool:
    """Whether an earlier run left this file in the directory that is searched."""
    if where.out_dir is not None:
        return os.path.realpath(path).startswith(
            os.path.join(os.path.realpath(where.out_dir), "")
        )
    ours = where.ext or BESIDE
    return ours.startswith("-") and not where.in_place and path.endswith(ours)


def _target(one: Found, where: Where) -> str:
    if where.output is not None:
        return where.output
    if one.path == STREAM or where.in_place:
        return one.path
    if where.out_dir is None:
        return os.path.splitext(one.path)[0] + (where.ext or BESIDE)
    relative = os.path.relpath(one.path, one.root or os.curdir)
    if relative.startswith(os.pardir):
        relative = os.path.basename(one.path)
    stem = os.path.splitext(relative)[0]
    return os.path.join(where.out_dir, stem + (where.ext or APART))


def _key(path: str) -> str:
    return path if path == STREAM else os.path.normcase(os.path.realpath(path))


def _check_conflicts(jobs: list[Job]) -> None:
    sources = {_key(job.source): job for job in jobs if job.source != STREAM}
    targets: dict[str, Job] = {}
    for job in jobs:
        if job.target == STREAM:
            continue
        key = _key(job.target)
        if key in targets:
            raise UsageError(
                f"{targets[key].source} and {job.source} would both become "
                f"{job.target}: use another --ext or --out-dir, or one at a time"
            )
        targets[key] = job
        if key in sources and not job.in_place:  # which takes --force, of its own
            raise UsageError(
                f"the result of {job.source}, {job.target}, is an input too: use "
                "another --ext or --out-dir"
            )


# ---- several at a time


class Budget:
    """Memory that jobs share: each waits until its part is free.

    Parameters
    ----------
    total : int
        Bytes. A job that needs more than all runs alone.
    """

    def __init__(self, total: int) -> None:
        self._total, self._used = total, 0
        self._changed = threading.Condition()

    def run(self, size: int, function: Callable[[], Result]) -> Result:
        """Call a function that needs so many bytes, once they are there."""
        size = min(size, self._total)
        with self._changed:
            self._changed.wait_for(lambda: self._used + size <= self._total)
            self._used += size
        try:
            return function()
        finally:
            with self._changed:
                self._used -= size
                self._changed.notify_all()


def half_of_memory() -> int:
    """Bytes: half of what the machine has, or 1 GB where it does not say."""
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    except (AttributeError, ValueError, OSError):
        return 1 << 30


def memory_for(pixels: int) -> int:
    """Bytes that an image of so many pixels may need."""
    return pixels * BYTES_PER_PIXEL + BYTES_PER_FILE


def run_all(
    jobs: list[Job],
    work: Callable[[Job], Result],
    at_a_time: int,
    stop: threading.Event,
) -> Iterator[Result]:
    """Do all jobs, several at a time; results come in the order of the jobs.

    Whoever leaves the loop early, also by Ctrl-C, ends what runs: `stop` is set, which
    `work` is to look at.
    """
    if at_a_time == 1:
        yield from map(work, jobs)
        return
    pool = ThreadPoolExecutor(at_a_time, "kquant-file")
    try:
        futures = [pool.submit(work, job) for job in jobs]
        for future in futures:
            yield future.result()
    finally:
        stop.set()
        pool.shutdown(cancel_futures=True)
