"""Pixels to entries: the nearest, of a palette that is given."""

import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

import kquant
from kquant import Palette

PHOTO = oracle.photo(9)


def forms():
    colors = [(0, 0, 0), (255, 0, 0), (9, 9, 9), (255, 0, 0), (1, 254, 3)]
    image = Image.new("P", (2, 2))
    image.putpalette(bytes(sum(colors, ())))
    return {
        "tuples": colors,
        "hex": [bytes(c).hex() for c in colors],
        "array": np.array(colors),
        "palette": Palette(colors),
        "image": image,
    }


@pytest.mark.parametrize("form", ["tuples", "hex", "array", "palette", "image"])
def test_a_fixed_palette_is_kept_bit_for_bit(form, level):
    palette = forms()[form]
    q = kquant.quantize(PHOTO, palette=palette)
    assert list(q.palette) == forms()["tuples"]
    expected = oracle.nearest(PHOTO.reshape(-1, 3), forms()["tuples"])
    assert np.array_equal(q.indices.ravel(), expected)
    assert not (q.indices == 3).any()  # a repeated entry is never used
    assert q.iterations == 0


def test_palettes_with_and_without_alpha_meet_images_with_and_without():
    clear = np.dstack([PHOTO, PHOTO[..., 0]])
    opaque = Palette(["#000", "#fff"])
    q = kquant.quantize(clear, palette=opaque)
    assert q.to_array().shape == (*PHOTO.shape[:2], 3)
    q = kquant.quantize(PHOTO, palette=["#00000000", "#808080ff"])
    assert q.to_array().shape == (*PHOTO.shape[:2], 4)
    assert q.palette.hex == ["#00000000", "#808080ff"]
    assert (q.worst(PHOTO).distance, q.mse) > (0, 0)


@pytest.mark.parametrize(
    ("palette", "error"),
    [
        ([], ValueError),
        (np.zeros((257, 3), int), ValueError),
        ([(1, 2)], ValueError),
        ([(0, 0, 256)], ValueError),
        ({"a": 1}, (TypeError, ValueError)),
        (Image.new("RGB", (2, 2)), ValueError),
        (Image.new("P", (2, 2)), ValueError),
    ],
)
def test_wrong_palettes_are_refused(palette, error):
    with pytest.raises(error, match="palette"):
        kquant.quantize(PHOTO, palette=palette)


# ---- fit and map


@given(
    image=hnp.arrays(np.uint8, (9, 8, 3)),
    colors=st.lists(st.tuples(*[st.integers(0, 255)] * 3), min_size=1, max_size=40),
)
def test_map_gives_the_nearest_and_keeps_the_palette(image, colors):
    palette = Palette(colors)
    q = palette.map(image)
    assert q.palette == palette
    nearest = oracle.nearest(image.reshape(-1, 3), colors)
    assert np.array_equal(q.indices.ravel(), nearest)
    counts = np.bincount(nearest, minlength=len(colors))
    assert q.palette.counts.tolist() == counts.tolist()
    distances = (
        (image.reshape(-1, 3).astype(int) - np.array(colors)[nearest]) ** 2
    ).sum(1)
    assert q.mse == pytest.approx(distances.mean())


def test_mapping_is_the_same_for_any_threads(monkeypatch):
    monkeypatch.setattr("kquant.parallel.THREAD_PIXELS", 100)
    image, palette = oracle.photo(5), Palette.fit(oracle.photo(6), 40)
    maps = [palette.map(image, threads=n).indices.tobytes() for n in (1, 2, 3, 8)]
    assert len(set(maps)) == 1
