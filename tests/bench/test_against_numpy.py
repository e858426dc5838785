"""`kquant bench`: it runs, logs, and fails when the two sides disagree."""

import csv
import json
import subprocess
import sys

import numpy as np
import oracle
import pytest
from PIL import Image

from kquant.bench import against_numpy
from kquant.cli import main as cli


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
