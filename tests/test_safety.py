"""Files are safe: real processes are killed, interrupted, raced and run out of room.

Whatever happens, a name holds what it held before, or the complete new file.
"""

import contextlib
import os
import signal
import stat
import subprocess
import time
from pathlib import Path

import pytest
from processes import finish, held, is_complete, png, split, start

from kquant.cli import main as cli

pytestmark = pytest.mark.skipif(
    os.name != "posix", reason="signals, links, modes and limits are of POSIX"
)

OLD = b"what somebody had"


# ---- killed


# `test_calls.py` has a kill at each call.

# Run kquant in a child for each line, and kill it after so many seconds; Python's own
# start, in which nothing can be lost, is the same for all of them.
KILLED_IN_TIME = """
import os, signal, sys, time
from kquant.cli import main as cli
for seconds in map(float, sys.stdin):
    child = os.fork()
    if not child:
        os._exit(cli.main(sys.argv[1:]))
    if seconds:
        time.sleep(seconds)
        os.kill(child, signal.SIGKILL)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def test_a_kill_at_any_time_leaves_the_old_file_or_the_new_one(tmp_path):
    original = png(1, 300, 400)
    path = tmp_path / "big.png"
    process = start(
        "-q", "-i", "big.png", "-k16", "--effort=fast", cwd=tmp_path,
        script=KILLED_IN_TIME,
        stdin=subprocess.PIPE,
    )  # fmt: skip

    def run(seconds):
        path.write_bytes(original)
        process.stdin.write(b"%f\n" % seconds)
        process.stdin.flush()
        return int(process.stdout.readline())

    run(0)  # the first is slower
    began = time.monotonic()
    assert run(0) == 0
    usual = time.monotonic() - began
    new = path.read_bytes()
    assert is_complete(new)
    codes = set()
    for i in range(12):
        codes.add(run(usual * (i + 1) / 12))
        unfinished, rest = split(held(tmp_path))
        assert len(unfinished) <= 1
        assert rest.keys() == {"big.png"}
        assert rest["big.png"] in (original, new)
        for name in unfinished:
            (tmp_path / name).unlink()
    assert codes <= {0, -signal.SIGKILL}
    assert -signal.SIGKILL in codes
    assert finish(process) == (0, "")


# ---- no room


@contextlib.contextmanager
def limited(most):
    """Let no file that this process writes grow beyond a size."""
    import resource  # of POSIX

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


WAYS = {
    "new": ("in.png -o a.png", "a.png", False),
    "force": ("in.png -o a.png --force", "a.png", True),
    "in place": ("a.png --in-place -k 16", "a.png", True),
}


@pytest.fixture(params=WAYS)
def way(request, tmp_path, monkeypatch):
    """A folder, arguments, and what is in the folder when they are done."""
    arguments, target, there = WAYS[request.param]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.png").write_bytes(png(1))
    if there:
        (tmp_path / target).write_bytes(png(2))
    return tmp_path, arguments.split(), target


@pytest.mark.parametrize("part", [0, 0.5, 1])
def test_a_file_that_may_not_be_so_long_is_not_begun(way, part, capsys):
    folder, arguments, target = way
    before = held(folder)
    with limited(1_000_000):
        assert cli.main([*arguments, "--quiet"]) == 0
    whole = (folder / target).read_bytes()
    (folder / target).unlink()
    for name, content in before.items():
        (folder / name).write_bytes(content)
    most = max(0, round(part * len(whole)) - 1)
    with limited(most):
        assert cli.main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith(f"kquant: {target}: cannot be written (")
    assert error.endswith("). Check the disk.\n")
    assert held(folder) == before


@contextlib.contextmanager
def small_disk(folder):
    """Mount a disk of 256 kB, if we may."""
    command = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("only root can mount a disk to be filled, and not everywhere")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.parametrize("left", [0, 4096])
def test_a_full_disk_loses_nothing(tmp_path, left, capsys):
    disk = tmp_path / "disk"
    disk.mkdir()
    with small_disk(disk), contextlib.chdir(disk):
        for i, name in enumerate(("in.png", "old.png")):
            (disk / name).write_bytes(png(i, 90, 120))
        room = os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize
        (disk / "filler").write_bytes(bytes(room - left))
        before = held(disk)
        for arguments in (
            ["in.png"], ["in.png", "-f", "-o", "old.png"], ["-i", "in.png"],
        ):  # fmt: skip
            assert cli.main(arguments) == 1
            error = capsys.readouterr().err
            assert error.count("\n") == 1
            assert ": cannot be written (No space left on device)." in error
            assert held(disk) == before
        (disk / "filler").unlink()
        assert cli.main(["-i", "in.png"]) == 0
        assert is_complete((disk / "in.png").read_bytes())


# ---- two at a time

# Both have written their temporary files before either gives its the name.
TOGETHER = """
import errno, os, sys, time
from kquant.cli import main as cli
me, links = sys.argv[1], sys.argv[2] == "links"
sync, met = os.fsync, []
def meet(handle):
    sync(handle)
    if not met:
        met.append(open(f"../here-{me}", "x"))
        end = time.monotonic() + 30
        while not all(map(os.path.exists, ("../here-a", "../here-b"))):
            assert time.monotonic() < end
            time.sleep(0.001)
os.fsync = meet
def without(*_):
    raise OSError(errno.EPERM, "Operation not permitted")
if not links:
    from kquant.files.temporary import Folder
    Folder.rename_new = Folder.link = without
sys.exit(cli.main([f"{me}.png", "-o", "out.png", *sys.argv[3:]]))
"""


@pytest.fixture
def pair(tmp_path):
    """A folder with two pictures, and what becomes of them."""
    folder, results = tmp_path / "work", {}
    folder.mkdir()
    for i, name in enumerate(("a.png", "b.png")):
        (folder / name).write_bytes(png(i))
        assert cli.main([str(folder / name), "-q", "-o", str(folder / "out.png")]) == 0
        results[name] = (folder / "out.png").read_bytes()
        (folder / "out.png").unlink()
    return folder, results


@pytest.mark.parametrize("links", ["links", "no links"])
@pytest.mark.parametrize("force", [[], ["--force"]])
def test_of_two_that_write_one_name_at_once(pair, links, force):
    folder, results = pair
    ran = [start(me, links, *force, cwd=folder, script=TOGETHER) for me in ("a", "b")]
    ends = [finish(process) for process in ran]
    files = held(folder)
    assert files.keys() == {"a.png", "b.png", "out.png"}
    if force:
        assert [code for code, _ in ends] == [0, 0]
        assert files["out.png"] in results.values()
        return
    codes = dict(zip(("a.png", "b.png"), ends, strict=True))
    (winner,) = (name for name in codes if codes[name][0] == 0)
    (loser,) = (name for name in codes if codes[name][0] == 15)
    assert files["out.png"] == results[winner]
    assert codes[loser][1] == (
        f"kquant: {loser}: out.png exists. "
        "Use --force to overwrite or -o for another name.\n"
    )


def test_of_two_that_just_start_one_wins(pair):
    folder, results = pair
    ran = {me: start(me, "-o", "out.png", cwd=folder) for me in results}
    codes = {me: finish(process)[0] for me, process in ran.items()}
    assert sorted(codes.values()) == [0, 15]
    (winner,) = (me for me in codes if codes[me] == 0)
    assert held(folder).keys() == {"a.png", "b.png", "out.png"}
    assert (folder / "out.png").read_bytes() == results[winner]


# ---- what a file is besides its bytes


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("in.png").write_bytes(png(1))
    return tmp_path


@pytest.mark.parametrize(
    "arguments", [["-i", "a.png"], ["-f", "in.png", "-o", "a.png"]]
)
@pytest.mark.parametrize("mode", [0o600, 0o640, 0o604, 0o444])
def test_a_file_that_is_replaced_keeps_its_mode(folder, arguments, mode):
    Path("a.png").write_bytes(png(2))
    os.chmod("a.png", mode)
    assert cli.main([*arguments, "-k", "4"]) == 0
    assert is_complete(Path("a.png").read_bytes())
    assert stat.S_IMODE(os.stat("a.png").st_mode) == mode


@pytest.mark.parametrize(
    "arguments",
    [["in.png"], ["in.png", "-fo", "in-kq.png"], ["in.png", "-i"]],
)
def test_preserve_keeps_mode_and_times(folder, arguments):
    if "-fo" in arguments:
        Path("in-kq.png").write_bytes(OLD)
        os.chmod("in-kq.png", 0o644)
    os.chmod("in.png", 0o640)
    times = (1_000_000_000_000_000_000, 1_234_567_890_000_000_000)
    os.utime("in.png", ns=times)
    assert cli.main([*arguments, "-k", "4", "--preserve"]) == 0
    target = os.stat("in.png" if "-i" in arguments else "in-kq.png")
    assert stat.S_IMODE(target.st_mode) == 0o640
    assert target.st_mtime_ns == times[1]


@pytest.mark.skipif(
    os.name == "posix" and os.geteuid() != 0,
    reason="only root can give files to others",
)
@pytest.mark.parametrize(
    "arguments", [["-i", "a.png"], ["-f", "--preserve", "in.png", "-o", "a.png"]]
)
def test_a_file_that_root_replaces_stays_its_owners(folder, arguments):
    Path("a.png").write_bytes(png(2))
    os.chown("a.png", 12345, 23456)
    os.chmod("a.png", 0o640)
    assert cli.main([*arguments, "-k", "4"]) == 0
    assert is_complete(Path("a.png").read_bytes())
    after = os.stat("a.png")
    assert (after.st_uid, after.st_gid) == (12345, 23456)


def test_a_file_that_one_may_not_give_away_is_replaced_all_the_same(
    folder, monkeypatch
):
    asked = []

    def refuse(handle, owner, group):
        asked.append(owner)
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "fchown", refuse)
    assert cli.main(["-i", "in.png", "-k", "4"]) == 0
    assert asked == [os.geteuid(), -1]
    assert is_complete(Path("in.png").read_bytes())


def test_the_second_name_of_a_file_keeps_the_old_content(folder, capsys):
    os.link("in.png", "second.png")
    before = Path("second.png").read_bytes()
    assert cli.main(["-i", "in.png", "-k", "4"]) == 0
    assert Path("second.png").read_bytes() == before
    assert is_complete(Path("in.png").read_bytes())
    assert "warning: in.png: in.png had 2 names" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["-i", "link.png"], ["-i", "deep/link.png"]])
def test_links_stay_links(folder, arguments):
    os.mkdir("deep")
    os.symlink("in.png", "link.png")
    os.symlink("../link.png", "deep/link.png")
    assert cli.main([*arguments, "-k", "4"]) == 0
    assert (os.readlink("link.png"), os.readlink("deep/link.png")) == (
        "in.png", "../link.png",
    )  # fmt: skip
    assert is_complete(Path("in.png").read_bytes())
    assert not Path("in.png").is_symlink()
    assert os.listdir("deep") == ["link.png"]
