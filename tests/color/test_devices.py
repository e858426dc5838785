"""The palettes of devices, and the inks that they really have."""

import numpy as np
import oracle
import pytest
from PIL import Image

from kquant import Palette
from kquant.color.devices import DEVICES

PHOTO = oracle.photo(9)


@pytest.mark.parametrize("name", DEVICES)
def test_device_palettes(name):
    palette = Palette.named(name)
    assert palette.hex == [f"#{c}" for c in DEVICES[name].written.split()]
    assert len(set(palette)) == len(palette)
    assert palette.matched.shape == (len(palette), 3)
    assert DEVICES[name].source
    q = palette.map(PHOTO, dither=True, space="oklab")
    assert q.palette == palette
    assert np.array_equal(q.to_array(), np.asarray(palette)[q.indices])


def test_an_unknown_device_is_refused():
    with pytest.raises(ValueError, match="must be one of bw, bwr, "):
        Palette.named("epson")


def test_matched_colors_decide_and_written_ones_are_written(tmp_path):
    palette = Palette(["#000", "#fff", "#f00"], ["#000", "#999", "#9c484b"])
    q = palette.map(PHOTO)
    expected = oracle.nearest(PHOTO.reshape(-1, 3), palette.matched)
    assert np.array_equal(q.indices.ravel(), expected)
    distances = (PHOTO.astype(int) - palette.matched[q.indices]) ** 2
    assert q.mse == pytest.approx(distances.sum(axis=2).mean())
    q.save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as image:
        used = set(map(tuple, np.asarray(image.convert("RGB")).reshape(-1, 3).tolist()))
    assert used <= {(0, 0, 0), (255, 255, 255), (255, 0, 0)}
    assert palette != Palette(["#000", "#fff", "#f00"])
    assert palette[1:].matched.tolist() == palette.matched[1:].tolist()
    with pytest.raises(ValueError, match="matched must have the shape"):
        Palette(["#000"], ["#000", "#fff"])
