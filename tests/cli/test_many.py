"""Many files at once: summary, report, one palette for all, what is skipped."""

import json
import os

import numpy as np
import oracle
import pytest
from PIL import Image

import kquant
from kquant.cli import main as cli


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
    assert cli.main(["a.png", "no.jpg", "-k4", "-Q", "90-99"]) == 1
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
