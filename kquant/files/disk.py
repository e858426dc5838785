"""Files on the disk: trouble gets a name, and nothing is ever lost."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple, TypeAlias

from ..errors import ImageFileError, InvalidValueError, NamingMemory, OutputExistsError
from .temporary import Folder, Temporary

PathLike: TypeAlias = str | os.PathLike[str]

# The most that is read from a pipe or another file whose size nobody knows.
MOST_BYTES = 1 << 30


@contextlib.contextmanager
def reading(path: PathLike) -> Iterator[None]:
    """Turn what goes wrong with a file, or its content, into an `ImageFileError`."""
    try:
        with NamingMemory():
            yield
    except ImageFileError:
        raise
    except FileNotFoundError:
        raise ImageFileError(path, "no such file", "Check the name") from None
    except OSError as error:
        if os.path.isdir(path):  # reported as many things on many systems
            raise ImageFileError(
                path, "is a directory", "Name a file in it, or use -r"
            ) from None
        raise ImageFileError(
            path, f"cannot be read ({error.strerror or error})", _cure(error)
        ) from None
    except InvalidValueError as error:
        raise ImageFileError(
            path, str(error), "Convert it to an RGB image first"
        ) from None


def _cure(error: OSError) -> str:
    if error.errno == errno.ENAMETOOLONG:
        return "Choose a shorter name"
    return "Check its mode"


def read_file(path: PathLike, most: int = MOST_BYTES) -> bytes:
    """Read a file, or a pipe to its end.

    Raises
    ------
    ImageFileError
        If it cannot be read, or is longer than `most` bytes.
    """
    with reading(path), open(path, "rb") as file:
        content = file.read(most + 1)
    if len(content) > most:
        raise ImageFileError(path, f"longer than {most:,} bytes", "Check the file")
    return content


class Target(NamedTuple):
    """Where a file may be written.

    Attributes
    ----------
    path : pathlib.Path
        The name of the file itself: what links to it name.
    before : os.stat_result, optional
        Of the file that was there when this was asked.
    """

    path: Path
    before: os.stat_result | None


def check_target(path: PathLike, *, force: bool) -> Target:
    """Return where a file may be written: known before any work is done.

    Raises
    ------
    OutputExistsError
        If the file exists and `force` is not set.
    ImageFileError
        If it is no regular file, or its directory cannot take files.
    """
    target = Path(path)
    if os.path.isdir(target):  # Path.is_dir() raises for names that are too long
        raise ImageFileError(path, "is a directory", "Name a file in it")
    before = None
    if os.path.lexists(target):
        if not force:
            raise OutputExistsError(
                path, "exists", "Choose to overwrite it, or another name"
            )
        with _trouble(path, target):
            # A link stays, what it names changes.
            target = Path(os.path.realpath(target))
        with contextlib.suppress(OSError):
            before = os.stat(target)
        if before is not None and not stat.S_ISREG(before.st_mode):
            raise ImageFileError(path, "is not a regular file", "Choose another name")
    _check_folder(path, target.parent)
    return Target(target, before)


def _check_folder(path: PathLike, folder: Path) -> None:
    try:
        mode = os.stat(folder).st_mode
    except PermissionError:
        raise ImageFileError(
            path, "no permission to reach its directory", "Choose another place"
        ) from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise _too_long(path) from None
        mode = 0
    if not stat.S_ISDIR(mode):
        raise ImageFileError(path, "its directory does not exist", "Make it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ImageFileError(
            path, "no permission to write into its directory", "Choose another place"
        )


def check_link(path: PathLike, target: Target, formats: Mapping[str, str]) -> None:
    """Refuse a link whose ending says another format than that of the file it names.

    That file would then hold what its own name does not say.

    Parameters
    ----------
    path : str or path-like
        What the caller named.
    target : Target
        What `check_target` said of it.
    formats : mapping of str
        The formats of the endings that are known.

    Raises
    ------
    ImageFileError
        If it is such a link.
    """
    says = formats.get(Path(path).suffix.lower())
    holds = formats.get(target.path.suffix.lower())
    if holds is not None and says != holds:
        raise ImageFileError(
            path,
            f"is a link to {target.path.name}, which would not hold what its ending "
            "says",
            "Name that file, or choose another name",
        )


def make_folder(path: PathLike) -> None:
    """Make a directory, and those that it is in, where they are not there.

    Raises
    ------
    ImageFileError
        If that cannot be.
    """
    missing = []
    folder = os.fspath(path)
    while folder and not os.path.isdir(folder):
        missing.append(folder)
        folder = os.path.dirname(folder.rstrip(os.sep))
    try:
        for folder in reversed(missing):  # os.makedirs() calls itself for each
            with contextlib.suppress(FileExistsError):  # as by another thread
                os.mkdir(folder)
        if missing and not os.path.isdir(path):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    except OSError as error:
        raise ImageFileError(
            path,
            f"cannot be made a directory ({error.strerror or error})",
            "Choose another place",
        ) from None


def lost_attributes(path: PathLike, names: list[str]) -> str:
    """Say which extended attributes a file that replaced another does not have."""
    return f"{os.fspath(path)} lost extended attributes: {', '.join(names)}"


def hard_links(path: PathLike) -> int:
    """Count the names of a file; 1 if there is none."""
    try:
        return os.stat(path).st_nlink
    except OSError:
        return 1


def write_file(
    path: PathLike,
    content: bytes,
    *,
    force: bool,
    like: os.stat_result | None = None,
    seen: os.stat_result | None = None,
) -> list[str]:
    """Write a file that is complete or not there; an existing one only by force.

    The content goes to a temporary file in the same directory, which is flushed to
    the disk, read again if it is to replace another, closed, and then takes the name
    in one step. After a power cut or a kill the name has the old content or the new
    one, and at most a ``.kquant-unfinished-*.tmp`` is left beside it.

    The directory is opened once, and what the new file gets is given to its handle, so
    it does not matter to whom the names belong meanwhile.

    Parameters
    ----------
    path : str or path-like
    content : bytes
    force : bool
        Whether an existing file may be replaced; it keeps its mode, its extended
        attributes of users and access list, and, as far as the system lets us, its
        owner and group.
    like : os.stat_result, optional
        Of a file whose mode and times the new one gets.
    seen : os.stat_result, optional
        Of the file that may be replaced, from when it was read or asked for: if it is
        another one now, it is kept.

    Returns
    -------
    list of str
        The extended attributes that the new file could not be given.

    Raises
    ------
    OutputExistsError, ImageFileError
        As for `check_target`, if the disk is full, and if the file is not what was
        `seen`.
    """
    target = check_target(path, force=force).path
    with _trouble(path, target), Folder(target.parent) as folder:
        before = folder.look_at(target.name) if force else None
        _check_unchanged(path, seen, before)
        mode = like or before
        with Temporary(folder, private=mode is not None) as temporary:
            lost = []
            if before is not None:
                temporary.give_owner(before)
            if mode is not None:  # before there is anything to read
                temporary.give_mode(mode)
            if before is not None:
                lost = temporary.give_attributes(
                    target.name,
                    before,
                    access=like is None or os.path.samestat(like, before),
                )
            temporary.write(content, like)
            if force and temporary.read() != content:
                raise ImageFileError(
                    path, "what was written reads back differently", "Check the disk"
                )
            temporary.close()  # which is when some disks say that they are full
            if not temporary.has(temporary.name):
                raise ImageFileError(
                    path,
                    f"its temporary file, {temporary.name}, was exchanged",
                    "Find out who writes there",
                )
            if force:
                _check_unchanged(path, seen, folder.look_at(target.name))
                temporary.replace(target.name)
            else:
                temporary.take_new(target.name)
        folder.sync()
    return lost


def _check_unchanged(
    path: PathLike, seen: os.stat_result | None, now: os.stat_result | None
) -> None:
    """Refuse to replace another file than the one that was seen, or no file."""
    if now is not None and not stat.S_ISREG(now.st_mode):
        raise ImageFileError(path, "is not a regular file", "Choose another name")
    if seen is None:
        return
    # The time of the last change of anything (ctime) cannot be set back, so it tells
    # of programs that keep the time of the content. On Windows it is another time, and
    # names and handles may have other numbers.
    parts = ["st_size", "st_mtime_ns"]
    if os.name == "posix":
        parts += ["st_dev", "st_ino", "st_ctime_ns"]
    if now is None or any(getattr(now, part) != getattr(seen, part) for part in parts):
        raise ImageFileError(
            path,
            "was changed meanwhile by another program, and is left as it is"
            if now is not None
            else "was removed meanwhile by another program",
            "Try again",
        )


def _too_long(path: PathLike) -> ImageFileError:
    return ImageFileError(
        path, "its name is too long for the system", "Choose a shorter one"
    )


@contextlib.contextmanager
def _trouble(path: PathLike, target: Path) -> Iterator[None]:
    """Turn what the system says while a file is written into an `ImageFileError`."""
    try:
        yield
    except ImageFileError:
        raise
    except FileExistsError:
        raise OutputExistsError(
            path, "exists", "Choose to overwrite it, or another name"
        ) from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise _too_long(path) from None
        if error.errno == errno.ENOENT:
            raise ImageFileError(
                path, "its directory was deleted meanwhile", "Make it again"
            ) from None
        said = error.strerror or str(error)
        if error.errno in (errno.EPERM, errno.EACCES):
            problem, advice = _what_forbids(target)
            raise ImageFileError(path, f"{problem} ({said})", advice) from None
        raise ImageFileError(
            path, f"cannot be written ({said})", "Check the disk"
        ) from None


def _what_forbids(target: Path) -> tuple[str, str]:
    """Say why a file may not be replaced in a directory that takes files."""
    with contextlib.suppress(OSError):
        file, folder = os.lstat(target), os.stat(target.parent)
        ours = {getattr(os, "geteuid", int)()}
        if folder.st_mode & stat.S_ISVTX and not ours & {file.st_uid, folder.st_uid}:
            return (
                "is another user's, in a directory where only owners replace files",
                "Write another file",
            )
    return (
        "may not be replaced or made: the file or its directory is protected, as by "
        "chattr +i",
        "Write another file, or take the protection away",
    )
