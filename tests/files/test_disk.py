"""Files on the disk: complete or not there, and nothing lost."""

import errno
import os
import stat
import threading

import oracle
import pytest
from PIL import Image

import kquant
from kquant.files.disk import check_target, write_file
from kquant.files.temporary import Folder, Temporary

RGB = oracle.photo(1, 30, 40)

OLD, NEW = b"what somebody had", b"what we made"

posix = pytest.mark.skipif(os.name != "posix", reason="modes and links are of POSIX")


def failing(code):
    def fail(*_, **__):
        raise OSError(code, os.strerror(code))

    return fail


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@posix
def test_a_new_file_has_the_usual_mode(tmp_path):
    before = os.umask(0o027)
    try:
        write_file(tmp_path / "a.png", b"x", force=False)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.png").stat().st_mode) == 0o640


@posix
def test_a_replaced_file_keeps_its_mode(tmp_path):
    (tmp_path / "a.png").write_bytes(b"old")
    (tmp_path / "a.png").chmod(0o604)
    write_file(tmp_path / "a.png", b"new", force=True)
    assert (tmp_path / "a.png").read_bytes() == b"new"
    assert stat.S_IMODE((tmp_path / "a.png").stat().st_mode) == 0o604


def test_an_existing_file_is_not_replaced_unasked(tmp_path):
    (tmp_path / "a.png").write_bytes(b"old")
    q = kquant.quantize(RGB, 2)
    for write in (
        lambda: write_file(tmp_path / "a.png", b"new", force=False),
        lambda: check_target(tmp_path / "a.png", force=False),
        lambda: q.save(tmp_path / "a.png"),
    ):
        with pytest.raises(kquant.OutputExistsError, match="exists"):
            write()
    assert (tmp_path / "a.png").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a.png"]


@posix
def test_a_symlink_stays_and_what_it_names_changes(tmp_path):
    (tmp_path / "real.png").write_bytes(b"old")
    (tmp_path / "link.png").symlink_to("real.png")
    with pytest.raises(kquant.OutputExistsError):
        write_file(tmp_path / "link.png", b"new", force=False)
    write_file(tmp_path / "link.png", b"new", force=True)
    assert (tmp_path / "link.png").is_symlink()
    assert (tmp_path / "real.png").read_bytes() == b"new"


@posix
def test_special_files_are_never_replaced(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(kquant.ImageFileError, match="not a regular file"):
        write_file(tmp_path / "a.png", b"new", force=True)
    assert stat.S_ISFIFO((tmp_path / "a.png").stat().st_mode)


@pytest.mark.parametrize("force", [False, True])
def test_places_where_nothing_can_be_written(tmp_path, force):
    with pytest.raises(kquant.ImageFileError, match="is a directory"):
        write_file(tmp_path, b"x", force=force)
    with pytest.raises(kquant.ImageFileError, match="does not exist"):
        write_file(tmp_path / "no" / "a.png", b"x", force=force)
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("function", ["fsync", "replace", "link", "open"])
@pytest.mark.parametrize("force", [False, True])
def test_a_full_disk_loses_nothing(tmp_path, monkeypatch, function, force):
    if force:
        (tmp_path / "a.png").write_bytes(b"old")

    def full(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, function, full)
    if function == "link" or (function == "replace" and not force):
        monkeypatch.setattr(os, "replace", full)
        monkeypatch.setattr(os, "link", full)
        monkeypatch.setattr(Folder, "rename_new", full)
    with pytest.raises(kquant.ImageFileError, match="No space left"):
        write_file(tmp_path / "a.png", b"new", force=force)
    monkeypatch.undo()
    left = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert left == ({"a.png": b"old"} if force else {})


def test_an_interrupted_write_leaves_nothing(tmp_path, monkeypatch):
    def interrupt(handle):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_file(tmp_path / "a.png", b"new", force=False)
    assert not os.listdir(tmp_path)


# The ways to take a new name, from the best; what a disk lacks are the first ones.
NEW_NAMES = ("rename_new", "link", "rename_if_free")


@pytest.fixture(params=range(len(NEW_NAMES)))
def lacking(request, monkeypatch):
    """A disk that lacks some ways to take a new name."""
    for name in NEW_NAMES[: request.param]:
        monkeypatch.setattr(Folder, name, failing(errno.EPERM))


def test_a_file_that_appears_meanwhile_is_kept(tmp_path, monkeypatch, lacking):
    sync = os.fsync

    def appear(handle):
        (tmp_path / "a.png").write_bytes(b"theirs")
        sync(handle)

    monkeypatch.setattr(os, "fsync", appear)
    with pytest.raises(kquant.OutputExistsError):
        write_file(tmp_path / "a.png", b"ours", force=False)
    assert os.listdir(tmp_path) == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == b"theirs"


def test_disks_that_lack_ways_to_take_a_new_name(tmp_path, lacking):
    write_file(tmp_path / "a.png", b"new", force=False)
    assert os.listdir(tmp_path) == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == b"new"


@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC, errno.EDQUOT])
@pytest.mark.parametrize("force", [False, True])
@posix
def test_a_disk_that_fails_when_a_file_is_closed(
    tmp_path, monkeypatch, lacking, code, force
):
    if force:
        (tmp_path / "a.png").write_bytes(OLD)
    close = os.close

    def fail(handle):
        regular = stat.S_ISREG(os.fstat(handle).st_mode)
        close(handle)
        if regular:
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "close", fail)
    with pytest.raises(kquant.ImageFileError, match=os.strerror(code)):
        write_file(tmp_path / "a.png", NEW, force=force)
    monkeypatch.undo()
    left = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert left == ({"a.png": OLD} if force else {})


@posix
def test_a_network_disk_that_says_a_name_is_taken_by_what_it_did_itself(
    tmp_path, monkeypatch
):
    link = os.link

    def twice(*names, **options):
        link(*names, **options)
        link(*names, **options)

    monkeypatch.setattr(Folder, "rename_new", failing(errno.EINVAL))
    monkeypatch.setattr(os, "link", twice)
    write_file(tmp_path / "a.png", NEW, force=False)
    assert names(tmp_path) == ["a.png"]


def test_of_many_writers_of_one_name_one_wins(tmp_path, lacking):
    outcomes = []

    def write(i):
        try:
            write_file(tmp_path / "a.png", bytes([i]) * 10**5, force=False)
            outcomes.append(i)
        except kquant.OutputExistsError:
            pass

    threads = [threading.Thread(target=write, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (winner,) = outcomes
    assert (tmp_path / "a.png").read_bytes() == bytes([winner]) * 10**5
    assert os.listdir(tmp_path) == ["a.png"]


@posix
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o755, 0o666])
def test_a_replaced_file_keeps_its_mode_all_the_way(tmp_path, monkeypatch, mode):
    target = tmp_path / "a.png"
    target.write_bytes(OLD)
    target.chmod(mode)
    modes, fsync = [], os.fsync

    def spy(handle):
        modes.append(os.fstat(handle).st_mode)
        fsync(handle)

    monkeypatch.setattr(os, "fsync", spy)
    write_file(target, NEW, force=True)
    assert target.read_bytes() == NEW
    assert stat.S_IMODE(target.stat().st_mode) == mode
    written = [stat.S_IMODE(m) for m in modes if stat.S_ISREG(m)]
    assert written == [mode]  # nobody else could read it meanwhile


@posix
@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_and_what_it_names_changes(tmp_path, there):
    (tmp_path / "elsewhere").mkdir()
    real, link = tmp_path / "elsewhere" / "real.png", tmp_path / "link.png"
    if there:
        real.write_bytes(OLD)
    link.symlink_to(real)
    with pytest.raises(kquant.OutputExistsError):
        write_file(link, NEW, force=False)
    assert real.exists() == there
    write_file(link, NEW, force=True)
    assert link.is_symlink()
    assert real.read_bytes() == NEW
    assert names(tmp_path / "elsewhere") == ["real.png"]


@pytest.mark.parametrize("last", [*NEW_NAMES, "rename"])
def test_an_interruption_at_the_last_step_leaves_nothing(tmp_path, monkeypatch, last):
    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        for name in NEW_NAMES[:2]:
            if last not in NEW_NAMES[: NEW_NAMES.index(name) + 1]:
                patch.setattr(Folder, name, failing(errno.EPERM))
        patch.setattr(Folder, last, interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_file(tmp_path / "a.png", NEW, force=False)
    assert names(tmp_path) == []


@pytest.mark.parametrize("length", [242, 255])
def test_a_name_as_long_as_the_system_takes_is_written(tmp_path, length):
    target = tmp_path / ("x" * (length - 4) + ".png")
    try:
        target.write_bytes(OLD)
    except OSError:
        pytest.skip("this file system takes no names that long")
    write_file(target, NEW, force=True)
    assert target.read_bytes() == NEW


@pytest.mark.parametrize("name", ["x" * 300 + ".png", "x" * 300 + "/a.png"])
def test_a_name_that_is_too_long_is_our_error(tmp_path, name):
    with pytest.raises(kquant.ImageFileError):
        write_file(tmp_path / name, NEW, force=False)
    with pytest.raises(kquant.ImageFileError):
        kquant.quantize_file(tmp_path / name)
    assert names(tmp_path) == []


@pytest.mark.parametrize("name", ["none/a.png", "file/a.png", "folder.png", "a.jpg"])
def test_a_target_is_refused_before_the_source_is_read(tmp_path, name):
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "file").write_bytes(OLD)
    with pytest.raises(kquant.ImageFileError) as caught:
        kquant.quantize_file(tmp_path / "no source", tmp_path / name)
    assert caught.value.path == str(tmp_path / name)


def test_what_reads_back_differently_replaces_nothing(tmp_path, monkeypatch):
    target = tmp_path / "a.png"
    target.write_bytes(OLD)

    monkeypatch.setattr(Temporary, "read", lambda self: NEW[:-1])
    with pytest.raises(kquant.ImageFileError, match="reads back differently"):
        write_file(target, NEW, force=True)
    assert {n: (tmp_path / n).read_bytes() for n in names(tmp_path)} == {"a.png": OLD}


# ---- what somebody else does meanwhile


def during(monkeypatch, act):
    """Do something once the new content is on the disk."""
    write = Temporary.write

    def and_then(self, *arguments):
        write(self, *arguments)
        act()

    monkeypatch.setattr(Temporary, "write", and_then)


def rewrite(path):
    path.write_bytes(b"saved meanwhile, and dear to somebody")


def rewrite_as_if_nothing_were(path):
    """Change it in place, to the same size, and set the time of the content back."""
    before = path.stat()
    path.write_bytes(path.read_bytes()[::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def exchange(path):
    other = path.with_name("other.tmp")
    other.write_bytes(path.read_bytes())
    os.replace(other, path)


CHANGES = [rewrite, rewrite_as_if_nothing_were, exchange]


@posix
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("source", ["a.png", "in.png"])
def test_a_file_that_was_changed_meanwhile_is_kept(
    tmp_path, monkeypatch, change, source
):
    for name in {"a.png", source}:
        Image.fromarray(RGB).save(tmp_path / name)
    held = []

    def act():
        change(tmp_path / "a.png")
        held.append((tmp_path / "a.png").read_bytes())

    during(monkeypatch, act)
    with pytest.raises(kquant.ImageFileError, match="was changed meanwhile"):
        kquant.quantize_file(tmp_path / source, tmp_path / "a.png", 4, force=True)
    assert (tmp_path / "a.png").read_bytes() == held[0]
    assert names(tmp_path) == sorted({"a.png", source})


@posix
def test_a_file_that_was_removed_meanwhile_does_not_come_back(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    Image.fromarray(RGB).save(path)
    during(monkeypatch, path.unlink)
    with pytest.raises(kquant.ImageFileError, match="was removed meanwhile"):
        kquant.quantize_file(path, path, 4, force=True)
    assert names(tmp_path) == []


@posix
@pytest.mark.parametrize("name", ["a.png", "a.gpl"])
def test_save_keeps_what_was_changed_meanwhile(tmp_path, monkeypatch, name):
    path = tmp_path / name
    path.write_bytes(OLD)
    during(monkeypatch, lambda: rewrite(path))
    q = kquant.quantize(RGB, 4)
    with pytest.raises(kquant.ImageFileError, match="was changed meanwhile"):
        (q if name == "a.png" else q.palette).save(path, force=True)
    assert path.read_bytes().startswith(b"saved meanwhile")


def test_a_file_that_appears_is_what_force_is_for(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    during(monkeypatch, lambda: path.write_bytes(OLD))
    write_file(path, NEW, force=True, seen=check_target(path, force=True).before)
    assert path.read_bytes() == NEW


@pytest.mark.parametrize("role", ["palette", "weights"])
def test_a_picture_may_be_its_own_palette_or_weights(tmp_path, role):
    path = tmp_path / "a.png"
    kquant.quantize(RGB, 4).save(path)
    given = kquant.Palette.load(path) if role == "palette" else RGB[..., 0]
    colors = {} if role == "palette" else {"colors": 3}
    report = kquant.quantize_file(path, path, force=True, **colors, **{role: given})
    assert report.status == "written"


@posix
@pytest.mark.parametrize("force", [False, True])
def test_what_is_done_to_a_file_is_done_to_its_handle(tmp_path, monkeypatch, force):
    """Somebody who owns the directory puts a link where the new file was."""
    victim, folder = tmp_path / "victim", tmp_path / "theirs"
    folder.mkdir()
    victim.write_bytes(OLD)
    victim.chmod(0o600)
    os.utime(victim, ns=(1, 1))
    before, target = victim.stat(), folder / "a.png"
    if force:
        target.write_bytes(OLD)
        target.chmod(0o666)
    enter = Temporary.__enter__

    def exchanged(self):
        enter(self)
        (folder / self.name).unlink()
        (folder / self.name).symlink_to(victim)
        return self

    monkeypatch.setattr(Temporary, "__enter__", exchanged)
    with pytest.raises(kquant.ImageFileError, match="was exchanged"):
        write_file(target, NEW, force=force, like=os.stat(tmp_path))
    assert victim.stat() == before
    assert victim.read_bytes() == OLD
    assert names(folder) == (["a.png"] if force else [])


@posix
def test_a_directory_that_is_exchanged_does_not_lead_elsewhere(tmp_path, monkeypatch):
    folder, moved, other = (tmp_path / name for name in ("a", "b", "c"))
    folder.mkdir()
    other.mkdir()
    during(monkeypatch, lambda: (folder.rename(moved), folder.symlink_to(other)))
    write_file(folder / "a.png", NEW, force=False)
    assert (names(moved), names(other)) == (["a.png"], [])


# ---- what a file is besides its bytes


def has_attributes(folder):
    try:
        os.setxattr(folder, "user.test", b"")
    except (OSError, AttributeError):
        pytest.skip("no extended attributes here")


def test_attributes_of_users_stay(tmp_path):
    has_attributes(tmp_path)
    path = tmp_path / "a.png"
    Image.fromarray(RGB).save(path)
    os.setxattr(path, "user.note", b"a note \0 of mine")
    os.setxattr(path, "user.tags", b"red")
    report = kquant.quantize_file(path, path, 4, force=True)
    assert (report.status, report.notes) == ("written", ())
    assert {name: os.getxattr(path, name) for name in os.listxattr(path)} == {
        "user.note": b"a note \0 of mine", "user.tags": b"red",
    }  # fmt: skip


def test_attributes_that_cannot_stay_are_named(tmp_path, monkeypatch):
    has_attributes(tmp_path)
    path = tmp_path / "a.png"
    Image.fromarray(RGB).save(path)
    os.setxattr(path, "user.note", b"x")
    monkeypatch.setattr(os, "setxattr", failing(errno.ENOSPC))
    report = kquant.quantize_file(path, path, 4, force=True)
    said = f"{path} lost extended attributes: user.note"
    assert report.notes == (said,)
    q = kquant.quantize(RGB, 4)
    monkeypatch.undo()
    os.setxattr(path, "user.note", b"x")
    monkeypatch.setattr(os, "setxattr", failing(errno.ENOSPC))
    with pytest.warns(kquant.KquantWarning, match="lost extended attributes"):
        q.save(path, force=True)


# ---- names of trouble


@posix
@pytest.mark.parametrize("name", ["real.jpg", "real.gif"])
def test_a_link_to_another_format_is_not_written_through(tmp_path, name):
    Image.fromarray(RGB).save(tmp_path / name)
    before = (tmp_path / name).read_bytes()
    (tmp_path / "a.png").symlink_to(name)
    for write in (
        lambda: kquant.quantize_file(
            tmp_path / "a.png", tmp_path / "a.png", force=True
        ),
        lambda: kquant.quantize(RGB, 4).save(tmp_path / "a.png", force=True),
    ):
        with pytest.raises(kquant.ImageFileError, match=f"is a link to {name}"):
            write()
    assert (tmp_path / name).read_bytes() == before


@posix
@pytest.mark.parametrize("name", ["real.png", "real", "real.PNG", "real.old"])
def test_a_link_to_the_same_format_or_an_unknown_one_is(tmp_path, name):
    (tmp_path / name).write_bytes(OLD)
    (tmp_path / "a.png").symlink_to(name)
    kquant.quantize(RGB, 4).save(tmp_path / "a.png", force=True)
    assert (tmp_path / name).read_bytes().startswith(b"\x89PNG")


@posix
def test_a_palette_is_not_written_through_a_link_to_a_picture(tmp_path):
    (tmp_path / "real.png").write_bytes(OLD)
    (tmp_path / "a.gpl").symlink_to("real.png")
    with pytest.raises(kquant.ImageFileError, match=r"is a link to real\.png"):
        kquant.quantize(RGB, 4).palette.save(tmp_path / "a.gpl", force=True)
    assert (tmp_path / "real.png").read_bytes() == OLD


@posix
def test_a_name_deeper_than_the_system_takes_is_named(tmp_path):
    path = tmp_path.joinpath(*["x" * 200] * 30, "a.png")
    with pytest.raises(kquant.ImageFileError, match="its name is too long"):
        write_file(path, NEW, force=False)


@posix
def test_a_working_directory_that_was_deleted_is_named(tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    with pytest.raises(kquant.ImageFileError, match="its directory was deleted"):
        write_file("a.png", NEW, force=False)


@posix
def test_a_file_that_may_not_be_replaced_is_named(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    path.write_bytes(OLD)
    monkeypatch.setattr(Folder, "rename", failing(errno.EPERM))
    with pytest.raises(kquant.ImageFileError, match="is protected, as by chattr"):
        write_file(path, NEW, force=True)
    tmp_path.chmod(0o1777)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(kquant.ImageFileError, match="is another user's"):
        write_file(path, NEW, force=True)
    assert path.read_bytes() == OLD
    assert names(tmp_path) == ["a.png"]
