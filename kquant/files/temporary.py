"""A file under a name of its own, which then takes another: all by its handle."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
import time
from collections.abc import Iterator
from pathlib import Path

# Those that are there at this moment, and whether the process is about to end.
_live: dict[Temporary, None] = {}
_abandoned = False


def abandon() -> None:
    """Remove all temporary files: the process ends, in the middle of whatever.

    It takes no lock, since a signal handler calls it, and whoever makes a file enters
    it in the list before. Those that were just about to be made are found by a second
    look.
    """
    global _abandoned
    _abandoned = True
    for again in (False, True):
        if _live and again:
            time.sleep(0.01)
        for temporary in list(_live):
            temporary.remove()


# Whether files can be named by the handle of their directory; not on Windows.
BY_HANDLE = {os.open, os.stat, os.unlink, os.link, os.rename} <= os.supports_dir_fd


class Folder:
    """A directory that is opened once, so that its name may come to mean another."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.handle: int | None = None
        if not BY_HANDLE:
            return
        try:
            self.handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except PermissionError:  # to list it; files can be made all the same
            if hasattr(os, "O_PATH"):
                self.handle = os.open(path, os.O_PATH | os.O_DIRECTORY)

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *_: object) -> None:
        if self.handle is not None:
            with contextlib.suppress(OSError):
                os.close(self.handle)

    def name(self, name: str) -> str:
        """Name a file in it for calls that get the handle, if there is one."""
        return name if self.handle is not None else str(self._path / name)

    def look_at(self, name: str) -> os.stat_result | None:
        """Say what has a name, which may be a link; None if nothing has."""
        try:
            return os.stat(self.name(name), dir_fd=self.handle, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def open(self, name: str, flags: int, mode: int = 0o666) -> int:
        return os.open(self.name(name), flags, mode, dir_fd=self.handle)

    def rename(self, old: str, new: str) -> None:
        """Rename, and replace what there is; not on Windows, without a handle."""
        where = {"src_dir_fd": self.handle, "dst_dir_fd": self.handle}
        os.replace(self.name(old), self.name(new), **where)

    def rename_new(self, old: str, new: str) -> None:
        """Rename in one step, but fail if the new name is taken.

        Linux alone has this for most file systems, and Windows, where `os.rename`
        never replaces.
        """
        if os.name == "nt":
            os.rename(self.name(old), self.name(new))
            return
        import ctypes  # which NumPy has imported, as a rule

        rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
        if rename is None:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        where = -100 if self.handle is None else self.handle  # AT_FDCWD
        names = (os.fsencode(self.name(name)) for name in (old, new))
        old_name, new_name = map(ctypes.c_char_p, names)
        no_replace = 1  # RENAME_NOREPLACE
        if rename(where, old_name, where, new_name, ctypes.c_uint(no_replace)):
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code))

    def link(self, old: str, new: str) -> None:
        """Give a file a second name, but fail if that is taken."""
        os.link(
            self.name(old),
            self.name(new),
            src_dir_fd=self.handle,
            dst_dir_fd=self.handle,
            follow_symlinks=False,
        )

    def rename_if_free(self, old: str, new: str) -> None:
        """Look whether the new name is taken, and if not, rename.

        Between the two steps another program may take it, and what it wrote would be
        replaced. Another run of ours may not, as it waits for the same lock.
        """
        with self._lock():
            if self.look_at(new) is not None:
                raise FileExistsError
            self.rename(old, new)

    @contextlib.contextmanager
    def _lock(self) -> Iterator[None]:
        """Keep other runs of ours out, for as long as one renames; for a second."""
        try:
            import fcntl
        except ImportError:  # Windows
            yield
            return
        handle = self.handle
        for _ in range(100):
            if handle is None:
                break
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(0.01)
            except OSError:  # not every disk has locks
                break
            else:
                break
        yield  # closing the directory gives the lock back

    def unlink(self, name: str) -> None:
        """Remove a file, at the second try if not at the first, if it is there."""
        for _ in range(2):
            try:
                os.unlink(self.name(name), dir_fd=self.handle)
            except FileNotFoundError:
                return
            except OSError:
                continue
            else:
                return

    def sync(self) -> None:
        """Make a rename itself survive a power cut, where directories can do that."""
        if self.handle is not None:
            with contextlib.suppress(OSError):
                os.fsync(self.handle)


class Temporary:
    """A new file under a name of its own, which is gone at the end.

    Parameters
    ----------
    folder : Folder
    private : bool
        Whether nobody else may open it: until its mode says who may.
    """

    def __init__(self, folder: Folder, *, private: bool) -> None:
        self._folder = folder
        self.name = f".kquant-unfinished-{os.urandom(8).hex()}.tmp"
        self._mode = 0o600 if private else 0o666  # less what the umask says
        self._handles: list[int] = []

    def __enter__(self) -> Temporary:
        # Not mkstemp(): its files are private to the user, and to give them the
        # usual mode one must change the umask of the whole process to learn it.
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        _live[self] = None
        try:
            if _abandoned:
                raise OSError(errno.ECANCELED, os.strerror(errno.ECANCELED))
            self._handles.append(self._folder.open(self.name, flags, self._mode))
        except FileExistsError:  # of a name by chance: no output exists
            del _live[self]
            raise OSError(errno.EIO, os.strerror(errno.EIO)) from None
        except BaseException:  # also Ctrl-C between the system's call and ours
            self.remove()
            del _live[self]
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for handle in self._handles:
            with contextlib.suppress(OSError):
                os.close(handle)
        self.remove()
        del _live[self]

    def remove(self) -> None:
        """Remove it, if it has not taken another name."""
        if self.name:
            self._folder.unlink(self.name)

    @property
    def _handle(self) -> int:
        return self._handles[0]

    def give_owner(self, before: os.stat_result) -> None:
        """Give it to those who had the one that it is going to replace.

        Else a picture that root makes smaller is no longer its user's. Others than
        root may at most choose the group.
        """
        if not hasattr(os, "fchown"):  # Windows
            return
        for owner in (before.st_uid, -1):
            with contextlib.suppress(OSError):
                os.fchown(self._handle, owner, before.st_gid)
                return

    def give_mode(self, like: os.stat_result) -> None:
        mode = stat.S_IMODE(like.st_mode)
        if os.chmod in os.supports_fd:
            os.chmod(self._handle, mode)
        else:  # Windows
            os.chmod(self._folder.name(self.name), mode)

    def give_attributes(
        self, name: str, before: os.stat_result, *, access: bool
    ) -> list[str]:
        """Give it the attributes of the file that it replaces; name those it lacks.

        They are those of users, and, if `access` is set, the access list. The system's
        own (``security``, ``trusted``) are about the old content, or are set for new
        files as they should be.
        """
        if not hasattr(os, "listxattr"):  # of Linux
            return []
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            old = self._folder.open(name, flags)
        except OSError:  # a file that we may not read has no attributes for us either
            return []
        try:
            if not os.path.samestat(os.fstat(old), before):
                return []  # which is found out before the name is taken
            return _copy_attributes(old, self._handle, access=access)
        finally:
            with contextlib.suppress(OSError):
                os.close(old)

    def write(self, content: bytes, like: os.stat_result | None) -> None:
        """Write all of it to the disk, and set the times."""
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(self._handle, rest) :]
        if like is not None and os.utime in os.supports_fd:
            os.utime(self._handle, ns=(like.st_atime_ns, like.st_mtime_ns))
        os.fsync(self._handle)
        if like is not None and os.utime not in os.supports_fd:  # Windows
            os.utime(
                self._folder.name(self.name), ns=(like.st_atime_ns, like.st_mtime_ns)
            )

    def read(self) -> bytes:
        """Read what was written."""
        os.lseek(self._handle, 0, os.SEEK_SET)
        parts = []
        while part := os.read(self._handle, 1 << 24):
            parts.append(part)
        return b"".join(parts)

    def close(self) -> None:
        """Close the file, and hear what the disk says to that.

        A second handle stays: a file that has one is not removed, so no other one can
        have its number. (Windows renames nothing that is open.)
        """
        if os.name == "posix":
            self._handles.append(os.dup(self._handle))
        os.close(self._handles.pop(0))

    def has(self, name: str) -> bool:
        """Whether this is the file that has a name."""
        there = self._folder.look_at(name)
        if there is None or not self._handles:
            return there is not None
        return os.path.samestat(os.fstat(self._handle), there)

    def replace(self, name: str) -> None:
        """Take a name from the file that has it, if there is one."""
        self._folder.rename(self.name, name)
        self.name = ""

    def take_new(self, name: str) -> None:
        """Take a name that no file has, by the best means that the disk has.

        A network disk may do what it is told, lose its answer, be told again and say
        that the name is taken: by this file.
        """
        folder = self._folder
        ways = (folder.rename_new, folder.link, folder.rename_if_free)
        for way in ways:
            try:
                way(self.name, name)
            except FileExistsError:
                if not self._handles or not self.has(name):
                    raise
            except OSError:
                if way is ways[-1]:
                    raise
                continue
            if way != folder.link:
                self.name = ""
            return


ACCESS = "system.posix_acl_access"


def _copy_attributes(old: int, new: int, *, access: bool) -> list[str]:
    """Copy the attributes of one handle's file to another's; name what cannot be."""
    try:
        theirs, ours = os.listxattr(old), os.listxattr(new)
    except OSError:  # this disk has none
        return []
    if ACCESS in ours and not (access and ACCESS in theirs):  # from the directory
        with contextlib.suppress(OSError):
            os.removexattr(new, ACCESS)
    lost = []
    for name in theirs:
        if name.startswith("user.") or (access and name == ACCESS):
            try:
                os.setxattr(new, name, os.getxattr(old, name))
            except OSError:
                lost.append(name)
    if ACCESS in lost:  # without it the mode of the group is that of all in the list
        os.chmod(new, stat.S_IMODE(os.fstat(new).st_mode) & ~stat.S_IRWXG)
    return lost
