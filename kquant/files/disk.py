"""Files on the disk: trouble gets a name, and nothing is ever lost."""

import contextlib
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TypeAlias

from ..errors import ImageFileError, InvalidValueError, NamingMemory, OutputExistsError

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
            path, f"cannot be read ({error.strerror or error})", "Check its mode"
        ) from None
    except InvalidValueError as error:
        raise ImageFileError(
            path, str(error), "Convert it to an RGB image first"
        ) from None


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


def check_target(path: PathLike, *, force: bool) -> Path:
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
    if os.path.lexists(target):
        if not force:
            raise OutputExistsError(
                path, "exists", "Choose to overwrite it, or another name"
            )
        target = Path(os.path.realpath(target))  # a link stays, what it names changes
        if os.path.exists(target) and not os.path.isfile(target):
            raise ImageFileError(path, "is not a regular file", "Choose another name")
    folder = target.parent
    if not os.path.isdir(folder):
        raise ImageFileError(path, "its directory does not exist", "Make it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ImageFileError(
            path, "no permission to write into its directory", "Choose another place"
        )
    return target


def make_folder(path: PathLike) -> None:
    """Make a directory, and those that it is in, where they are not there.

    Raises
    ------
    ImageFileError
        If that cannot be.
    """
    try:
        os.makedirs(path, exist_ok=True)
    except OSError as error:
        raise ImageFileError(
            path,
            f"cannot be made a directory ({error.strerror or error})",
            "Choose another place",
        ) from None


def hard_links(path: PathLike) -> int:
    """Count the names of a file; 1 if there is none."""
    try:
        return os.stat(path).st_nlink
    except OSError:
        return 1


def write_file(
    path: PathLike, content: bytes, *, force: bool, like: os.stat_result | None = None
) -> None:
    """Write a file that is complete or not there; an existing one only by force.

    The content goes to a temporary file in the same directory, which is flushed to
    the disk, read again if it is to replace another, and then takes the name in one
    step. After a power cut or a kill the name has the old content or the new one, and
    at most a ``.kquant-unfinished-*.tmp`` is left beside it.

    Parameters
    ----------
    path : str or path-like
    content : bytes
    force : bool
        Whether an existing file may be replaced; it keeps its mode and, as far as
        the system lets us, its owner and group.
    like : os.stat_result, optional
        Of a file whose mode and times the new one gets.

    Raises
    ------
    OutputExistsError, ImageFileError
        As for `check_target`, and if the disk is full.
    """
    target = check_target(path, force=force)
    random = os.urandom(8).hex()
    temporary = target.with_name(f".kquant-unfinished-{random}.tmp")
    try:
        # Not mkstemp(): its files are private to the user, and to give them the
        # usual mode one must change the umask of the whole process to learn it.
        handle = os.open(
            temporary,
            os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0),
            0o666,
        )
        with open(handle, "w+b") as file:
            before = None
            if force:
                with contextlib.suppress(FileNotFoundError):
                    before = os.stat(target)
            if before is not None:
                _keep_owner(temporary, before)
            mode = like or before
            if mode is not None:  # before there is anything to read
                os.chmod(temporary, stat.S_IMODE(mode.st_mode))
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            file.seek(0)
            if force and file.read() != content:
                raise ImageFileError(
                    path, "what was written reads back differently", "Check the disk"
                )
        if like is not None:
            os.utime(temporary, ns=(like.st_atime_ns, like.st_mtime_ns))
        if force:
            os.replace(temporary, target)
        else:
            _rename_new(temporary, target)
        _sync_directory(target.parent)
    except FileExistsError:
        raise OutputExistsError(
            path, "exists", "Choose to overwrite it, or another name"
        ) from None
    except ImageFileError:
        raise
    except OSError as error:
        raise ImageFileError(
            path, f"cannot be written ({error.strerror or error})", "Check the disk"
        ) from None
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def _keep_owner(temporary: Path, before: os.stat_result) -> None:
    """Give a file to those who had the one that it is going to replace.

    Else a picture that root makes smaller is no longer its user's. Others than root
    may at most choose the group.
    """
    if not hasattr(os, "chown"):  # Windows
        return
    for owner in (before.st_uid, -1):
        with contextlib.suppress(OSError):
            os.chown(temporary, owner, before.st_gid)
            return


def _rename_new(temporary: Path, target: Path) -> None:
    """Rename, but fail if the target has come to exist meanwhile."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:
        # No hard links here (FAT, some network disks): take the name, then fill it.
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        try:
            os.replace(temporary, target)
        except BaseException:
            os.unlink(target)
            raise


def _sync_directory(folder: Path) -> None:
    """Make the rename itself survive a power cut, where directories can be opened."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
