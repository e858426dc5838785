"""Palette: what it accepts, what it is, and mapping with a given one."""

import pickle

import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import kquant
from kquant import Histogram, Palette

COLORS = [(255, 136, 0), (0, 0, 255), (1, 2, 3)]


@pytest.mark.parametrize(
    "form",
    [
        ["#ff8800", "#0000ff", "#010203"],
        ["ff8800", "00F", "#010203"],
        ["#f80", (0, 0, 255), [1, 2, 3]],
        COLORS,
        np.array(COLORS),
        np.array(COLORS, np.uint8)[::-1][::-1],
        iter(COLORS),
        Palette(COLORS),
    ],
)
def test_every_form_gives_the_same(form):
    palette = Palette(form)
    assert list(palette) == COLORS
    assert palette == Palette(COLORS)
    assert palette.counts is None


def test_it_is_a_sequence():
    palette = Palette(COLORS)
    assert len(palette) == 3
    assert palette[0] == COLORS[0]
    assert palette[-1] == COLORS[-1]
    assert palette[np.int64(1)] == COLORS[1]
    assert COLORS[1] in palette
    assert palette.index(COLORS[2]) == 2
    assert palette.count(COLORS[2]) == 1
    assert list(reversed(palette)) == COLORS[::-1]
    assert palette[1:] == Palette(COLORS[1:])
    assert palette[::-1] == Palette(COLORS[::-1])
    with pytest.raises(IndexError):
        palette[3]
    with pytest.raises(ValueError, match="cannot be empty"):
        palette[3:]


def test_it_is_an_array():
    palette = Palette(COLORS)
    assert np.asarray(palette).dtype == np.uint8
    assert np.asarray(palette).tolist() == list(map(list, COLORS))
    assert np.asarray(palette, np.float32).dtype == np.float32
    assert np.shares_memory(np.asarray(palette), np.asarray(palette))
    copy = np.array(palette)
    copy[0] = 9
    assert palette[0] == COLORS[0]
    assert (palette + np.zeros(3)).tolist() == list(map(list, COLORS))


def test_it_cannot_be_changed():
    palette = Palette.fit(oracle.photo(1), 8)
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(palette)[0] = 1
    with pytest.raises(ValueError, match="read-only"):
        palette.counts[0] = 1


def test_the_array_given_is_not_taken_away():
    colors = np.array(COLORS, np.uint8)
    palette = Palette(colors)
    colors[0] = 0
    assert palette[0] == COLORS[0]


def test_hex_can_be_read_back():
    palette = Palette.fit(oracle.photo(2), 16)
    assert Palette(palette.hex) == palette
    assert palette.hex[0] == "#{:02x}{:02x}{:02x}".format(*palette[0])


def test_pickling_keeps_colors_and_counts():
    palette = Palette.fit(oracle.photo(2), 16)
    copy = pickle.loads(pickle.dumps(palette))
    assert copy == palette
    assert hash(copy) == hash(palette)
    assert copy.counts.tolist() == palette.counts.tolist()


def test_slices_keep_their_counts():
    palette = Palette.fit(oracle.photo(2), 16)
    assert palette[:4].counts.tolist() == palette.counts[:4].tolist()


def test_repr_names_the_colors():
    assert repr(Palette(COLORS)) == "Palette(3 colors: #ff8800 #0000ff #010203)"
    assert repr(Palette(COLORS * 9)).endswith("...)")


def test_repeated_colors_are_kept():
    palette = Palette([COLORS[0]] * 256)
    assert len(palette) == 256
    assert not palette.map(oracle.photo(1)).indices.any()


@pytest.mark.parametrize(
    ("colors", "error", "what"),
    [
        ([], ValueError, r"palette must have 1\.\.256 colours, got 0"),
        (np.zeros((0, 3), np.uint8), ValueError, "1..256 colours, got 0"),
        (np.zeros((257, 3), np.uint8), ValueError, "1..256 colours, got 257"),
        (np.zeros((4, 5), np.uint8), ValueError, "palette must be"),
        (np.zeros(3, np.uint8), ValueError, "palette must be"),
        ([(1, 2, 256)], ValueError, r"got \(1, 2, 256\) at index 0"),
        ([(1, 2, 3), (-1, 2, 3)], ValueError, r"got \(-1, 2, 3\) at index 1"),
        ([(1, 2, 3), (1, 2)], TypeError, "palette must be"),
        ([(0.5, 1, 1)], TypeError, "integers, got float64"),
        (["#12345"], ValueError, "'#12345' is not of the form"),
        (["#gggggg"], ValueError, "'#gggggg' is not of the form"),
        (["red"], ValueError, "'red' is not of the form"),
        (["# 12 34"], ValueError, "is not of the form"),
        ("#ff0000", TypeError, "got one string"),
        (None, TypeError, "palette must be"),
        (7, TypeError, "palette must be"),
    ],
)
def test_what_is_no_palette_is_refused(colors, error, what):
    with pytest.raises(error, match=what) as caught:
        Palette(colors)
    assert isinstance(caught.value, kquant.KquantError)


# ---- fit and map


def test_fit_takes_images_and_histograms():
    image = oracle.photo(4)
    palette = Palette.fit(image, 12)
    assert palette == Palette.fit(Histogram.from_image(image), 12)
    assert palette == kquant.quantize(image, 12).palette
    assert palette.counts.sum() == image.shape[0] * image.shape[1]
    assert palette.counts.tolist() == kquant.quantize(image, 12).palette.counts.tolist()


def test_the_most_used_come_first():
    counts = Palette.fit(oracle.photo(4), 12).counts
    assert counts.tolist() == sorted(counts, reverse=True)


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


# ---- arguments of quantize() and fit()


@pytest.mark.parametrize("call", [kquant.quantize, Palette.fit])
@pytest.mark.parametrize(
    ("arguments", "error", "what"),
    [
        ({"colors": 0}, ValueError, "colors must be 1..256, got 0"),
        ({"colors": 257}, ValueError, "colors must be 1..256, got 257"),
        ({"colors": -1}, ValueError, "colors must be 1..256, got -1"),
        ({"colors": 2.0}, TypeError, "colors must be an integer 1..256, got float"),
        ({"colors": "16"}, TypeError, "colors must be an integer 1..256, got str"),
        ({"colors": None}, TypeError, "colors must be an integer 1..256, got None"),
        ({"colors": True}, TypeError, "colors must be an integer 1..256, got bool"),
        ({"effort": "some"}, ValueError, "effort must be one of 'fast', 'balanced', "),
        ({"effort": 3}, TypeError, "effort must be a string, got int"),
        ({"seed": 0.5}, TypeError, "seed must be an integer, got float"),
        ({"threads": 0}, ValueError, "threads must be at least 1, got 0"),
        ({"threads": 1.5}, TypeError, "threads must be an integer or None, got float"),
    ],
)
def test_wrong_arguments_are_named(call, arguments, error, what):
    with pytest.raises(error, match=what) as caught:
        call(oracle.photo(1), **arguments)
    assert isinstance(caught.value, kquant.KquantError)


def test_numpy_integers_are_integers():
    image = oracle.photo(1)
    q = kquant.quantize(image, np.int64(5), seed=np.uint8(0), threads=np.int32(1))
    assert q.palette == kquant.quantize(image, 5).palette
