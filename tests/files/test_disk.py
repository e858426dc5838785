"""Files on the disk: complete or not there, and nothing lost."""

import errno
import io
import os
import stat
import threading

import oracle
import pytest

import kquant
from kquant.files import disk
from kquant.files.disk import check_target, write_file

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


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_appears_meanwhile_is_kept(tmp_path, monkeypatch, links):
    sync = os.fsync

    def appear(handle):
        (tmp_path / "a.png").write_bytes(b"theirs")
        sync(handle)

    monkeypatch.setattr(os, "fsync", appear)
    if not links:
        monkeypatch.setattr(os, "link", without_links)
    with pytest.raises(kquant.OutputExistsError):
        write_file(tmp_path / "a.png", b"ours", force=False)
    assert os.listdir(tmp_path) == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == b"theirs"


def without_links(source, target):
    raise OSError(errno.EPERM, "Operation not permitted")


def test_disks_without_hard_links(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "link", without_links)
    write_file(tmp_path / "a.png", b"new", force=False)
    assert os.listdir(tmp_path) == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == b"new"


def test_of_many_writers_of_one_name_one_wins(tmp_path):
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


@pytest.mark.parametrize("call", ["link", "replace"])
def test_an_interruption_at_the_last_step_leaves_nothing(tmp_path, monkeypatch, call):
    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        if call == "replace":
            patch.setattr(os, "link", failing(errno.EPERM))
        patch.setattr(os, call, interrupt)
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

    class Bad(io.BytesIO):
        def fileno(self):
            return os.open(tmp_path, os.O_RDONLY) if os.name == "posix" else 0

        def read(self, *_):
            return NEW[:-1]

    monkeypatch.setattr(disk, "open", lambda *_: Bad(), raising=False)
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    with pytest.raises(kquant.ImageFileError, match="reads back differently"):
        write_file(target, NEW, force=True)
    assert {n: (tmp_path / n).read_bytes() for n in names(tmp_path)} == {"a.png": OLD}
