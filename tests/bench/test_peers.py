"""The other quantizers, beside ours."""

import json

import numpy as np
import oracle
import pytest
from PIL import Image

from kquant.bench import peers
from kquant.cli import main as cli


@pytest.fixture
def pictures(tmp_path):
    names = []
    for seed in (1, 2):
        names.append(str(tmp_path / f"{seed}.png"))
        Image.fromarray(oracle.photo(seed, 30, 40)).save(names[-1])
    return names


def run(*arguments):
    return cli.main(["bench", "--iterations", "3", "-k", "16", *arguments])


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
