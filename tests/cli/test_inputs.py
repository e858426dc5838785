"""Names to jobs: what is found, where it goes, and mix-ups."""

import contextlib
import os

import oracle
import pytest
from PIL import Image

from kquant.cli.inputs import Destination, choose_targets, find_inputs
from kquant.cli.options import UsageError

posix = pytest.mark.skipif(os.name != "posix", reason="links are of POSIX")


def save(*names):
    for i, name in enumerate(names):
        os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
        Image.fromarray(oracle.photo(i, 40, 50)).save(name)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def find(names, recursive=False):
    found, notes = find_inputs(names, recursive=recursive)
    assert notes == []
    return found


def jobs(names, recursive=False, **where):
    found, _ = find_inputs(names, recursive=recursive)
    targets = choose_targets(found, Destination(**where))
    return [(job.source, job.target) for job in targets]


# ---- inputs


def test_directories_are_searched_for_images_in_the_order_of_names():
    save("t/b.png", "t/a.jpg", "t/sub/c.PNG", "t/sub/deep/d.webp")
    for name in ("t/notes.txt", "t/e.svg", "t/f"):
        open(name, "w").close()
    found = [one.path for one in find(["t"], recursive=True)]
    assert found == ["t/a.jpg", "t/b.png", "t/sub/c.PNG", "t/sub/deep/d.webp"]
    assert [one.path for one in find(["t"], recursive=False)] == ["t"]


@posix
def test_links_to_directories_are_not_followed():
    save("t/a.png")
    os.symlink("..", "t/loop")
    assert [one.path for one in find(["t"], recursive=True)] == ["t/a.png"]


@posix
def test_what_is_no_file_is_passed_over_and_named():
    save("t/a.png")
    os.mkfifo("t/b.png")
    os.mkfifo("t/notes")  # which has no ending of an image
    os.symlink("b.png", "t/c.png")
    os.symlink("nowhere", "t/gone.png")
    found, notes = find_inputs(["t", "t/*.png"], recursive=True)
    assert {one.path for one in found} == {"t/a.png", "t/gone.png"}
    assert notes == [
        f"t/{name} is a pipe and was passed over: to read it, name it"
        for name in ("b.png", "c.png")
    ]
    (named,), notes = find_inputs(["t/b.png"], recursive=True)
    assert (named.path, notes) == ("t/b.png", [])


@contextlib.contextmanager
def as_nobody():
    """Be a user who may not do everything, if we are root."""
    if os.getuid() == 0:
        os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(os.getuid())


@posix
def test_a_directory_that_cannot_be_read_fails_alone():
    save("tree/a.png", "tree/shut/b.png", "tree/z/c.png")
    os.chmod("tree/shut", 0)
    os.chmod(".", 0o755)
    try:
        with as_nobody():
            found = find(["tree"], recursive=True)
    finally:
        os.chmod("tree/shut", 0o755)
    made = choose_targets(found, Destination())
    assert [job.source for job in made] == ["tree/a.png", "tree/shut", "tree/z/c.png"]
    assert [job.problem for job in made] == [
        None, ("cannot be read (Permission denied)", "Check its mode"), None,
    ]  # fmt: skip


@contextlib.contextmanager
def nested(depth):
    """Directories called d, one in another; taken away again, since shutil.rmtree,
    which pytest cleans up with, calls itself once a directory."""
    for _ in range(depth):
        os.mkdir("d")
        os.chdir("d")
    save("deep.png")
    for _ in range(depth):
        os.chdir("..")
    try:
        yield
    finally:
        for _ in range(depth):
            os.chdir("d")
        os.remove("deep.png")
        for _ in range(depth):
            os.chdir("..")
            os.rmdir("d")


def test_directories_may_be_nested_as_deep_as_names_can_be():
    depth = 1500
    with nested(depth):
        ((source, target),) = jobs(["d"], recursive=True, out_dir="out")
    assert source == os.path.join(*["d"] * depth, "deep.png")
    assert target == os.path.join("out", *["d"] * (depth - 1), "deep.png")


def test_what_lies_deeper_than_names_can_be_fails_alone():
    save("d/a.png")
    top = os.getcwd()
    for _ in range(30):
        os.makedirs("d/" + "e" * 200, exist_ok=True)
        os.chdir("d/" + "e" * 200)
    save("deep.png")
    os.chdir(top)
    made = choose_targets(find(["d"], recursive=True), Destination(out_dir="out"))
    good, bad = made
    assert (good.source, good.problem) == ("d/a.png", None)
    assert bad.problem == (
        "cannot be read (File name too long)", "Run kquant farther inside",
    )  # fmt: skip


def test_globs_that_the_shell_left_are_expanded():
    save("b.png", "a.png", "sub/c.png", "[x].png")
    assert [one.path for one in find(["?.png"], recursive=False)] == [
        "a.png", "b.png",
    ]  # fmt: skip
    deep = [one.path for one in find(["**/[ac].png"], recursive=False)]
    assert deep == ["a.png", "sub/c.png"]
    # A name that is there is no glob, and a glob that fits nothing is a name.
    assert [one.path for one in find(["[x].png"], recursive=False)] == ["[x].png"]
    assert [one.path for one in find(["no*.png"], recursive=False)] == ["no*.png"]


def test_a_file_that_is_named_twice_is_taken_once():
    save("t/a.png")
    names = ["t/a.png", "./t/../t/a.png", "t/*.png", "t"]
    found = find(names, recursive=True)
    assert [one.path for one in found] == ["t/a.png"]


# ---- outputs


def test_results_stand_beside_their_inputs():
    save("a.png", "sub/b.jpg")
    assert jobs(["a.png", "sub/b.jpg", "-"]) == [
        ("a.png", "a-kq.png"), ("sub/b.jpg", "sub/b-kq.png"), ("-", "-"),
    ]  # fmt: skip
    assert jobs(["a.png"], ext="-new.webp") == [("a.png", "a-new.webp")]
    assert jobs(["a.png"], in_place=True) == [("a.png", "a.png")]
    assert jobs(["a.png"], ext=".png") == [("a.png", "a.png")]  # which takes --force


def test_another_directory_mirrors_the_folders():
    save("t/a.png", "t/sub/b.jpg", "c.png", "g/x/d.png", "g/y/d.png")
    assert jobs(["t", "c.png", "g/*/d.png"], recursive=True, out_dir="out") == [
        ("t/a.png", "out/a.png"), ("t/sub/b.jpg", "out/sub/b.png"),
        ("c.png", "out/c.png"), ("g/x/d.png", "out/x/d.png"),
        ("g/y/d.png", "out/y/d.png"),
    ]  # fmt: skip


def test_mirrored_names_stay_within_the_directory():
    save("up/a.png", "here/b.png")
    os.chdir("here")
    for names in (
        ["../up/a.png"],
        ["../up"],
        ["../u*/a.png"],
        [os.path.abspath("../up")],
    ):
        ((_, target),) = jobs(names, recursive=True, out_dir="out")
        inside = os.path.realpath(target)
        assert inside.startswith(os.path.realpath("out") + os.sep)


def test_found_files_of_one_name_do_not_stop_the_others():
    save("t/logo.png", "t/logo.jpg", "t/other.png")
    found = find(["t"], recursive=True)
    made = choose_targets(found, Destination(out_dir="out"))
    other = {"t/logo.jpg": "t/logo.png", "t/logo.png": "t/logo.jpg"}
    assert [job.source for job in made] == [*other, "t/other.png"]
    assert made[2].problem is None
    for job in made[:2]:
        what, advice = job.problem
        assert what == (
            f"its result, {job.target}, would also be that of {other[job.source]}"
        )
        assert advice == "Name them after their whole names (--full-names)"
    whole = jobs(["t"], recursive=True, out_dir="out", full_names=True)
    assert [target for _, target in whole] == [
        "out/logo.jpg.png", "out/logo.png.png", "out/other.png.png",
    ]  # fmt: skip


def test_what_an_earlier_run_left_in_a_directory_is_no_input():
    save("t/a.png", "t/a-kq.png", "t/out/a.png")
    assert [source for source, _ in jobs(["t"], recursive=True)] == [
        "t/a.png", "t/out/a.png",
    ]  # fmt: skip
    again = jobs(["t"], recursive=True, out_dir="t/out")
    assert [source for source, _ in again] == ["t/a-kq.png", "t/a.png"]


@pytest.mark.parametrize(
    ("names", "where", "what"),
    [
        (["a.png", "a.jpg"], {}, "a.png and a.jpg would both become a-kq.png"),
        (["a.png", "s/a.png"], {"out_dir": "o"}, "would both become o/a.png"),
        (["a.png", "a-kq.png"], {}, "the result of a.png, a-kq.png, is an input too"),
        (["a.png", "a.jpg"], {"output": "o.png"}, "there are 2 inputs: use --out-dir"),
        (["a.png"], {"output": "o.png", "in_place": True}, "give one place"),
        (["a.png"], {"output": "o.png", "ext": ".gif"}, "--ext has no effect"),
        (["a.png"], {"ext": "-new"}, "--ext must end like"),
        (["s/a.png", "a.jpg"], {"output": "a.jpg"}, "there are 2 inputs"),
    ],
)
def test_mix_ups_are_found_before_anything_is_read(names, where, what):
    save("a.png", "a.jpg", "s/a.png", "a-kq.png")
    with pytest.raises(UsageError) as caught:
        jobs(names, **where)
    assert what in str(caught.value)


@posix
def test_mix_ups_are_found_through_links():
    save("a.png", "b.png")
    os.symlink("a.png", "b-kq.png")
    with pytest.raises(UsageError, match="is an input too"):
        jobs(["a.png", "b.png"])
