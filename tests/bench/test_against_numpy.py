"""`kquant bench`: it runs, logs, and fails when the two sides disagree."""

import csv
import json
import subprocess
import sys

import numpy as np
import oracle
import pytest
from PIL import Image

from kquant.bench import against_numpy, peers
from kquant.cli import main as cli
from kquant.cli.verbs import VERBS


@pytest.fixture
def pictures(tmp_path):
    names = []
    for seed in (1, 2):
        names.append(str(tmp_path / f"{seed}.png"))
        Image.fromarray(oracle.photo(seed, 60, 80)).save(names[-1])
    return names


def run(*arguments):
    return cli.main(["bench", "--iterations", "3", "-k", "16", *arguments])


def test_table_and_logs(pictures, tmp_path, capsys):
    assert run(*pictures, "--log", str(tmp_path)) == 0
    out = capsys.readouterr().out
    (csv_log,) = tmp_path.glob("kquant-bench-*.csv")
    (json_log,) = tmp_path.glob("kquant-bench-*.json")
    with open(csv_log, newline="") as file:
        rows = list(csv.DictReader(file))
    log = json.loads(json_log.read_text())
    assert [row["image"] for row in rows] == ["1.png", "2.png"]
    assert [row["image"] for row in log["runs"]] == ["1.png", "2.png"]
    for row, run_ in zip(rows, log["runs"], strict=True):
        assert row["image"] in out
        assert int(row["pixels"]) == run_["pixels"] == 4800
        assert float(row["speedup"]) == run_["speedup"] > 1
        assert run_["numpy_mse"] == pytest.approx(run_["kernel_mse"], rel=1e-3)
        assert {"date", "python", "numpy", "kquant", "processor", "level"} <= set(row)
    assert {"python", "numpy", "kquant", "processor", "level"} <= set(log["machine"])
    assert "date" in log


def test_without_pictures_it_renders_one(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(against_numpy, "render", lambda: oracle.photo(3, 60, 80))
    assert run("--log", str(tmp_path)) == 0
    assert "rendered" in capsys.readouterr().out


def test_the_rendered_picture_is_always_the_same():
    picture = against_numpy.render(64, 96)
    assert picture.shape == (64, 96, 3)
    assert np.array_equal(picture, against_numpy.render(64, 96))
    assert len(oracle.count(picture)) > 3000


def test_it_fails_when_the_errors_differ(pictures, tmp_path, capsys, monkeypatch):
    reference = against_numpy.reference
    right = reference.assign

    def worse(colors, centroids):
        return np.where(np.arange(len(colors)) % 7, right(colors, centroids), 0)

    monkeypatch.setattr(reference, "assign", worse)
    monkeypatch.setattr(reference.lloyd, "__defaults__", (None, worse))
    assert run(*pictures, "--log", str(tmp_path)) == 1
    err = capsys.readouterr().err
    assert err.startswith("kquant: 1.png, 2.png: the errors")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        (["missing.png"], 1, "missing.png: no such file"),
        (["-k", "0"], 2, "colors must be 1..256"),
        (["--iterations", "0"], 2, "iterations"),
        (["--threads", "0"], 2, "threads must be"),
        (["--log", "nowhere"], 1, "directory does not exist"),
        (["--iterations", "x"], 2, "--iterations must be a whole number, got 'x'"),
        (["--peer"], 2, "unknown option --peer (did you mean --peers?)"),
        (["--dither"], 2, "unknown option --dither. See kquant bench --help."),
    ],
)
def test_wrong_arguments_are_one_line(
    arguments, code, what, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(against_numpy, "render", lambda: oracle.photo(3, 60, 80))
    assert run(*arguments) == code
    err = capsys.readouterr().err
    assert what in err
    assert err.startswith("kquant: ")
    assert len(err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_help_lists_its_options(capsys):
    assert run("--help") == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: kquant bench [OPTION ...] [IMAGE ...]\n")
    for option in VERBS["bench"].options:
        assert f"  {option.shown}" in out
        assert option.help in out
    assert max(map(len, out.splitlines())) < 80


@pytest.mark.parametrize("module", ["against_numpy", "log", "numpy_kmeans", "peers"])
def test_the_core_knows_of_no_terminal(module):
    code = (
        f"import sys, kquant.bench.{module}\n"
        "print([name for name in sys.modules if name.startswith('kquant.cli')])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert ran.stdout == "[]\n"


def test_peers_are_measured_beside_us(pictures, tmp_path, capsys):
    assert run("--peers", *pictures, "--log", str(tmp_path)) == 0
    out = capsys.readouterr().out
    (json_log,) = tmp_path.glob("kquant-bench-*.json")
    rows = json.loads(json_log.read_text())["runs"]
    assert {row["image"] for row in rows} == {"1.png", "2.png"}
    methods = {row["method"] for row in rows}
    ours = {"kquant fast", "kquant balanced", "kquant best"}
    assert ours | {"Pillow median cut", "Pillow octree"} <= methods
    assert all(method in out for method in methods)
    assert all(row["seconds"] > 0 for row in rows)
    for row in rows:
        if row["method"] == "Pillow median cut":
            image = Image.open(tmp_path / row["image"])
            cut = np.asarray(image.quantize(16, 0, dither=0).convert("RGB"))
            error = ((cut.astype(int) - np.asarray(image)) ** 2).sum(axis=2).mean()
            assert row["mse"] == pytest.approx(error)


def test_the_summary_is_the_mean_above_the_lowest():
    rows = [
        {"image": image, "method": method, "seconds": seconds, "mse": mse}
        for image, method, seconds, mse in (
            ("a", "x", 1, 10), ("a", "y", 3, 20), ("b", "x", 2, 30), ("b", "y", 5, 15)
        )
    ]  # fmt: skip
    x, y = peers.summarize(rows)
    assert (x["method"], x["milliseconds"]) == ("x", 1500)
    assert (x["percent_above_lowest"], x["worst_percent"]) == (50, 100)
    assert (y["percent_above_lowest"], y["worst_percent"]) == (50, 100)


def test_the_drawing_is_a_picture(tmp_path):
    pytest.importorskip("matplotlib", reason="an extra: kquant[bench]")
    means = [
        {"method": "kquant fast", "milliseconds": 9, "percent_above_lowest": 3},
        {"method": "other", "milliseconds": 90, "percent_above_lowest": 30},
    ]
    peers.draw(means, "title", str(tmp_path / "a.png"))
    with Image.open(tmp_path / "a.png") as image:
        assert image.size == (800, 500)
        assert len(oracle.count(np.asarray(image.convert("RGB")))) > 20
