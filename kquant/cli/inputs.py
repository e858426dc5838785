"""Which files are meant, and where the result of each goes."""

import glob
import os
from collections.abc import Iterator
from itertools import takewhile
from typing import NamedTuple

from ..files.decode import SUFFIXES
from .options import UsageError

# What names end in beside their sources, and in a directory of their own.
BESIDE, APART = "-kq.png", ".png"

STREAM = "-"


class Found(NamedTuple):
    """An input, and the directory that its name is relative to in another one."""

    path: str
    root: str
    walked: bool = False


class Job(NamedTuple):
    """One file to be read and one to be written; ``-`` are stdin and stdout.

    `clash` is another source whose result would have the same name; it is not done.
    """

    source: str
    target: str
    clash: str | None = None

    @property
    def in_place(self) -> bool:
        """Whether the source itself is replaced."""
        return self.source != STREAM and _key(self.source) == _key(self.target)


class Destination(NamedTuple):
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
    full_names : bool
        Whether names keep the endings of their sources, so that no two are the same.
    """

    output: str | None = None
    out_dir: str | None = None
    ext: str | None = None
    in_place: bool = False
    full_names: bool = False


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


def choose_targets(found: list[Found], destination: Destination) -> list[Job]:
    """Say where each result goes, and refuse what would be lost or mixed up.

    Raises
    ------
    UsageError
        If two results have one name, or one has the name of another one's input.
    """
    asked = {
        "-o": destination.output,
        "--out-dir": destination.out_dir,
        "-i": destination.in_place,
    }
    given = [name for name, value in asked.items() if value]
    if len(given) > 1:
        raise UsageError(f"{' and '.join(given)}: give one place for the results")
    if destination.ext is not None and (destination.output or destination.in_place):
        raise UsageError("--ext has no effect with -o or -i: leave it out")
    if destination.output is not None and len(found) > 1:
        raise UsageError(
            f"-o names one file, but there are {len(found)} inputs: use --out-dir"
        )
    if (
        destination.ext is not None
        and not os.path.splitext(f"name{destination.ext}")[1]
    ):
        raise UsageError(
            f"--ext must end like -kq.png or .png, got {destination.ext!r}"
        )
    if destination.full_names and (destination.output or destination.in_place):
        raise UsageError("--full-names has no effect with -o or -i: leave it out")
    found = [
        one for one in found if not (one.walked and _is_result(one.path, destination))
    ]
    jobs = [Job(one.path, _target(one, destination)) for one in found]
    return _without_conflicts(jobs, {one.path for one in found if one.walked})


def _is_result(path: str, destination: Destination) -> bool:
    """Whether an earlier run left this file in the directory that is searched."""
    if destination.out_dir is not None:
        return os.path.realpath(path).startswith(
            os.path.join(os.path.realpath(destination.out_dir), "")
        )
    ours = destination.ext or BESIDE
    return ours.startswith("-") and not destination.in_place and path.endswith(ours)


def _target(one: Found, destination: Destination) -> str:
    if destination.output is not None:
        return destination.output
    if one.path == STREAM or destination.in_place:
        return one.path
    if destination.out_dir is None:
        return _stem(one.path, destination) + (destination.ext or BESIDE)
    relative = os.path.relpath(one.path, one.root or os.curdir)
    if relative.startswith(os.pardir):
        relative = os.path.basename(one.path)
    stem = _stem(relative, destination)
    return os.path.join(destination.out_dir, stem + (destination.ext or APART))


def _stem(path: str, destination: Destination) -> str:
    return path if destination.full_names else os.path.splitext(path)[0]


def _key(path: str) -> str:
    return path if path == STREAM else os.path.normcase(os.path.realpath(path))


def _without_conflicts(jobs: list[Job], walked: set[str]) -> list[Job]:
    """Mark jobs whose results would have one name, if their files were found.

    Those that were named are refused before anything is done.
    """
    sources = {_key(job.source): job for job in jobs if job.source != STREAM}
    targets: dict[str, Job] = {}
    clashes: dict[str, str] = {}
    for job in jobs:
        if job.target == STREAM:
            continue
        key = _key(job.target)
        first = targets.setdefault(key, job)
        if first is not job:
            if not {first.source, job.source} <= walked:
                raise UsageError(
                    f"{first.source} and {job.source} would both become "
                    f"{job.target}: use --full-names, another --ext or --out-dir, or "
                    "one at a time"
                )
            clashes.setdefault(first.source, job.source)
            clashes[job.source] = first.source
        if key in sources and not job.in_place:  # which takes --force, of its own
            raise UsageError(
                f"the result of {job.source}, {job.target}, is an input too: use "
                "another --ext or --out-dir"
            )
    return [job._replace(clash=clashes.get(job.source)) for job in jobs]
