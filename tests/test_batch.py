"""Many files: what is found, where it goes, conflicts, memory, one palette for all."""

import json
import os
import threading
import time

import numpy as np
import oracle
import pytest
from PIL import Image

import kquant
from kquant.cli import main as cli
from kquant.cli.inputs import Destination, Job, choose_targets, find_inputs
from kquant.cli.options import UsageError
from kquant.cli.pool import Budget, half_of_memory, memory_for, run_all

posix = pytest.mark.skipif(os.name != "posix", reason="links are of POSIX")


def save(*names):
    for i, name in enumerate(names):
        os.makedirs(os.path.dirname(name) or ".", exist_ok=True)
        Image.fromarray(oracle.photo(i, 40, 50)).save(name)


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def files():
    return sorted(
        os.path.join(path, name).replace(os.sep, "/").removeprefix("./")
        for path, _, names in os.walk(".")
        for name in names
    )


def jobs(names, recursive=False, **where):
    found = find_inputs(names, recursive=recursive)
    targets = choose_targets(found, Destination(**where))
    return [(job.source, job.target) for job in targets]


# ---- inputs


def test_directories_are_searched_for_images_in_the_order_of_names():
    save("t/b.png", "t/a.jpg", "t/sub/c.PNG", "t/sub/deep/d.webp")
    for name in ("t/notes.txt", "t/e.svg", "t/f"):
        open(name, "w").close()
    found = [one.path for one in find_inputs(["t"], recursive=True)]
    assert found == ["t/a.jpg", "t/b.png", "t/sub/c.PNG", "t/sub/deep/d.webp"]
    assert [one.path for one in find_inputs(["t"], recursive=False)] == ["t"]


@posix
def test_links_to_directories_are_not_followed():
    save("t/a.png")
    os.symlink("..", "t/loop")
    assert [one.path for one in find_inputs(["t"], recursive=True)] == ["t/a.png"]


def test_globs_that_the_shell_left_are_expanded():
    save("b.png", "a.png", "sub/c.png", "[x].png")
    assert [one.path for one in find_inputs(["?.png"], recursive=False)] == [
        "a.png", "b.png",
    ]  # fmt: skip
    deep = [one.path for one in find_inputs(["**/[ac].png"], recursive=False)]
    assert deep == ["a.png", "sub/c.png"]
    # A name that is there is no glob, and a glob that fits nothing is a name.
    assert [one.path for one in find_inputs(["[x].png"], recursive=False)] == [
        "[x].png"
    ]
    assert [one.path for one in find_inputs(["no*.png"], recursive=False)] == [
        "no*.png"
    ]


def test_a_file_that_is_named_twice_is_taken_once():
    save("t/a.png")
    names = ["t/a.png", "./t/../t/a.png", "t/*.png", "t"]
    found = find_inputs(names, recursive=True)
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


# ---- several at a time


def test_results_come_in_the_order_of_the_jobs():
    def work(job):
        time.sleep(0.02 * (job.source == "0"))
        return job.source

    many = [Job(str(i), "") for i in range(20)]
    for at_a_time in (1, 3):
        found = list(run_all(many, work, at_a_time, threading.Event()))
        assert found == [str(i) for i in range(20)]


def test_memory_is_shared_out():
    budget, lock = Budget(100), threading.Lock()
    used, most = [0], [0]

    def work(job):
        size = int(job.source)

        def use():
            with lock:
                used[0] += min(size, 100)
                most[0] = max(most[0], used[0])
            time.sleep(0.01)
            with lock:
                used[0] -= min(size, 100)
            return size

        return budget.run(size, use)

    sizes = [30, 60, 1000, 30, 40, 99, 1, 100]  # one needs more than there is
    many = [Job(str(size), "") for size in sizes]
    assert list(run_all(many, work, 8, threading.Event())) == sizes
    assert most[0] <= 100
    assert half_of_memory() > 1 << 26
    assert memory_for(12_000_000) < 400_000_000


def test_an_early_end_stops_what_runs():
    stop, ran = threading.Event(), []

    def work(job):
        ran.append(job.source)
        stop.wait(5)

    many = [Job(str(i), "") for i in range(50)]
    began = time.monotonic()
    generator = run_all(
        many, lambda job: work(job) if job.source != "0" else 0, 2, stop
    )
    assert next(generator) == 0
    generator.close()
    assert time.monotonic() - began < 4
    assert len(ran) < 10


# ---- from the command line


def test_a_bad_file_does_not_stop_the_others(capsys):
    save("a.png", "b.png")
    with open("bad.png", "w") as file:
        file.write("no image")
    assert cli.main(["a.png", "bad.png", "b.png"]) == 1
    assert files() == ["a-kq.png", "a.png", "b-kq.png", "b.png", "bad.png"]
    error = capsys.readouterr().err.splitlines()
    assert error[0].startswith("a.png -> a-kq.png: ")
    assert error[1].startswith("b.png -> b-kq.png: ")
    assert error[2].startswith("3 files: 2 written, 1 failed; ")
    assert error[3].startswith("failed: bad.png: not an image kquant reads")
    assert len(error) == 4


def test_fail_fast_stops(capsys):
    save("b.png", "c.png")
    assert cli.main(["a.png", "b.png", "c.png", "--fail-fast", "-j1"]) == 1
    assert files() == ["b.png", "c.png"]


def test_many_at_a_time_give_the_same_bytes(capsys):
    save(*(f"in/{i}.png" for i in range(6)))
    for number in (1, 2, 5):
        assert cli.main(["-r", "in", "--out-dir", f"o{number}", "-j", str(number)]) == 0
    for i in range(6):
        contents = set()
        for n in (1, 2, 5):
            with open(f"o{n}/{i}.png", "rb") as file:
                contents.add(file.read())
        assert len(contents) == 1


def test_little_memory_means_one_after_the_other(capsys):
    save(*(f"in/{i}.png" for i in range(4)))
    assert cli.main(["-r", "in", "-j4", "--memory", "1"]) == 0
    assert len(files()) == 8


def test_one_palette_for_all_files(capsys):
    save("t/a.png", "t/s/b.png", "t/c.png")
    open("t/bad.png", "w").close()
    arguments = ["-r", "t", "--out-dir", "o", "--shared-palette", "-k", "24"]
    assert cli.main([*arguments, "--space", "oklab"]) == 1
    palettes = {tuple(kquant.Palette.load(f"o/{n}.png").hex) for n in ("a", "s/b", "c")}
    pixels = [oracle.photo(i, 40, 50) for i in range(3)]
    total = sum(kquant.Histogram.from_image(p) for p in pixels)
    expected = kquant.Palette.fit(total, 24, space="oklab")
    assert palettes == {tuple(expected.hex)}
    for name, image in zip(("a", "s/b", "c"), pixels, strict=True):
        with Image.open(f"o/{name}.png") as written:
            mapped = expected.map(image, space="oklab")
            assert np.array_equal(np.asarray(written), mapped.indices)
    assert cli.main(["x.png", "--shared-palette"]) == 2
    assert "no file can be read" in capsys.readouterr().err


def test_in_place_keeps_the_smaller_file(capsys):
    save("a.png", "b.gif")
    Image.new("RGB", (3, 3), "red").quantize(2).save("tiny.png", optimize=True)
    with open("tiny.png", "rb") as file:
        tiny = file.read()
    before = os.path.getsize("a.png")
    assert cli.main(["-i", "a.png", "tiny.png"]) == 0
    assert os.path.getsize("a.png") < before
    with open("tiny.png", "rb") as file:
        assert file.read() == tiny
    assert "tiny.png -> tiny.png (kept: not smaller)" in capsys.readouterr().err
    assert files() == ["a.png", "b.gif", "tiny.png"]


def test_ext_and_force_replace_as_in_pngquant(capsys):
    save("a.png")
    assert cli.main(["--ext", ".png", "a.png"]) == 15
    assert cli.main(["--ext", ".png", "--force", "64", "a.png"]) == 0
    with Image.open("a.png") as image:
        assert image.mode == "P"


def test_skipping_what_is_not_smaller(capsys):
    Image.new("RGB", (3, 3), "red").quantize(2).save("tiny.png", optimize=True)
    save("a.png")
    assert cli.main(["tiny.png", "--skip-if-larger"]) == 98
    assert cli.main(["tiny.png", "--min-saving", "10"]) == 98
    assert cli.main(["tiny.png", "--skip-if-larger", "--skips-ok"]) == 0
    assert cli.main(["tiny.png", "a.png", "--skip-if-larger"]) == 0
    assert files() == ["a-kq.png", "a.png", "tiny.png"]
    assert cli.main(["a.png", "--min-saving", "99", "-f"]) == 98


def test_quality_that_is_not_reached(capsys):
    save("a.png", "b.png")
    assert cli.main(["a.png", "-k4", "-Q", "90-99"]) == 99
    assert "best 4-colour result has quality" in capsys.readouterr().err
    assert cli.main(["a.png", "b.png", "-k4", "-Q", "90-99"]) == 99
    assert cli.main(["a.png", "b.png", "-k4", "-Q", "90-99", "--skips-ok"]) == 0
    assert cli.main(["a.png", "no.png", "-k4", "-Q", "90-99"]) == 1
    assert files() == ["a.png", "b.png"]


def test_a_dry_run_writes_nothing(capsys):
    save("a.png", "t/b.png")
    assert cli.main(["a.png", "--dry-run"]) == 0
    assert cli.main(["-r", "t", "--out-dir", "o", "--dry-run"]) == 0
    assert cli.main(["-i", "a.png", "--dry-run"]) == 0
    assert "a.png -> a-kq.png (dry run: not written)" in capsys.readouterr().err
    assert files() == ["a.png", "t/b.png"]


def test_preserve_keeps_mode_and_times(capsys):
    save("a.png")
    os.chmod("a.png", 0o640)
    os.utime("a.png", (1e9, 1e9))
    assert cli.main(["a.png", "--preserve"]) == 0
    assert os.stat("a-kq.png").st_mtime == 1e9
    if os.name == "posix":
        assert os.stat("a-kq.png").st_mode & 0o777 == 0o640


def test_json_lines_have_stable_keys(capsys):
    save("a.png")
    Image.new("RGB", (9, 5), "#102030").save("flat.png")
    assert cli.main(["a.png", "flat.png", "no.png", "--json", "-k", "9", "-q"]) == 1
    captured = capsys.readouterr()
    a, flat, missing, summary = map(json.loads, captured.out.splitlines())
    assert set(a) == {
        "schema", "input", "output", "status", "reason", "dry_run", "warnings",
        "width", "height", "frames", "colors_in", "colors_out", "lossless", "dither",
        "palette", "mse", "psnr", "quality", "max_error", "bytes_in", "bytes_out",
        "seconds",
    }  # fmt: skip
    q = kquant.quantize(oracle.photo(0, 40, 50), 9)
    assert (a["input"], a["output"]) == ("a.png", "a-kq.png")
    assert (a["status"], a["colors_out"], a["mse"]) == ("written", 9, q.mse)
    assert a["bytes_out"] == os.path.getsize("a-kq.png")
    assert [entry["hex"] for entry in a["palette"]] == q.palette.hex
    assert [entry["count"] for entry in a["palette"]] == q.palette.counts.tolist()
    assert (flat["width"], flat["height"]) == (9, 5)
    assert (flat["lossless"], flat["psnr"], flat["quality"]) == (True, None, 100)
    assert flat["palette"] == [{"hex": "#102030", "alpha": 255, "count": 45}]
    assert missing["status"] == "failed"
    assert missing["reason"] == "no.png: no such file. Check the name."
    assert summary["summary"] is True
    assert (summary["files"], summary["written"], summary["failed"]) == (3, 2, 1)


def test_json_goes_to_a_file_that_is_new(capsys):
    save("a.png")
    assert cli.main(["a.png", "--json=log.jsonl"]) == 0
    with open("log.jsonl", encoding="utf-8") as file:
        assert len(file.readlines()) == 2
    assert cli.main(["a.png", "-f", "--json=log.jsonl"]) == 2
    assert "log.jsonl" in capsys.readouterr().err


def test_an_empty_directory_is_no_success(capsys):
    os.mkdir("empty")
    assert cli.main(["-r", "empty"]) == 2
    assert "there are no images" in capsys.readouterr().err
    assert cli.main(["empty"]) == 1
    assert "is a directory. Name a file in it, or use -r" in capsys.readouterr().err
