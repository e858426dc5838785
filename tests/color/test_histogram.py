"""From pixels to distinct colours: exact, in one order, whatever the way."""

import functools
import pickle
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import kquant
from kquant import Histogram
from kquant.color import counting as module

IMAGES = hnp.arrays(
    np.uint8,
    st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3)),
    elements=st.integers(0, 255) | st.integers(0, 3),
)


def as_dict(histogram):
    colors, counts = histogram.colors.tolist(), histogram.counts.tolist()
    return {tuple(color): n for color, n in zip(colors, counts, strict=True)}


@given(IMAGES)
def test_counts_are_those_of_numpy(pixels):
    histogram = Histogram.from_image(pixels)
    assert as_dict(histogram) == oracle.count(pixels)
    assert len(histogram) == len(oracle.count(pixels))
    assert histogram.pixels == pixels.shape[0] * pixels.shape[1]
    codes = [oracle.interleave(color) for color in histogram.colors]
    assert codes == sorted(codes)


def test_all_colors_there_are():
    codes = np.arange(1 << 24, dtype="<u4").reshape(4096, 4096, 1)
    pixels = np.ascontiguousarray(codes.view(np.uint8)[..., 2::-1])
    histogram = Histogram.from_image(pixels)
    assert len(histogram) == 1 << 24
    assert (histogram.counts == 1).all()
    assert histogram.colors[[0, 1, 2, 4, -1]].tolist() == [
        [0, 0, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0], [255, 255, 255]
    ]  # fmt: skip


@pytest.mark.parametrize(
    "view",
    [
        lambda a: a[::2],
        lambda a: a[:, ::-3],
        lambda a: a[::-1, ::-1, ::-1],
        lambda a: a.transpose(1, 0, 2),
        np.asfortranarray,
        lambda a: a[:1],
        lambda a: a[:, :1],
        lambda a: np.broadcast_to(a[:1, :1], (50, 40, 3)),
        lambda a: np.frombuffer(a.tobytes(), np.uint8).reshape(a.shape),  # read-only
    ],
)
def test_any_strides(view):
    pixels = view(oracle.photo(1))
    assert as_dict(Histogram.from_image(pixels)) == oracle.count(pixels)


@functools.cache
def crowded(shape, spread, white=0):
    """Return pixels around a grey, some of them white if asked, and their counts."""
    pixels = np.random.default_rng(0).normal(120, spread, shape).astype(np.uint8)
    if white:
        pixels.reshape(-1, 3)[::white] = 255
    return pixels, oracle.count(pixels)


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("shape", [(70, 600, 3), (1, 60_000, 3), (60_000, 1, 3)])
def test_threads_give_the_same(threads, shape, monkeypatch):
    monkeypatch.setattr("kquant.parallel.THREAD_PIXELS", 1000)
    pixels, expected = crowded(shape, 9)
    histogram = Histogram.from_image(pixels, threads=threads)
    assert as_dict(histogram) == expected


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
@pytest.mark.parametrize("step", [700, 10**9])
@pytest.mark.parametrize("shape", [(70, 600, 3), (2, 21_000, 3), (42_000, 1, 3)])
def test_counting_in_tables_gives_the_same(threads, step, shape, monkeypatch):
    monkeypatch.setattr(module, "TABLE_PIXELS", 4000)
    monkeypatch.setattr(module, "STEP_PIXELS", step)
    pixels, expected = crowded(shape, 3, white=7)  # more than a byte can count
    histogram = Histogram.from_image(pixels, threads=threads)
    assert as_dict(histogram) == expected
    assert histogram.counts.max() > 4 * 255
    assert all(np.diff(histogram.codes.astype(int)) > 0)


@pytest.mark.parametrize("pixels", [254, 255, 256, 257, 510, 511, 765, 1021])
def test_a_counter_that_is_full_goes_on(pixels, monkeypatch):
    monkeypatch.setattr(module, "TABLE_PIXELS", 1)
    flat = np.full((pixels, 1, 3), 7, np.uint8)
    for threads in (1, 3):
        counted = Histogram.from_image(flat, threads=threads)
        assert as_dict(counted) == {(7, 7, 7): pixels}


@given(IMAGES, IMAGES, IMAGES)
def test_any_merge_order_gives_the_same(a, b, c):
    x, y, z = map(Histogram.from_image, (a, b, c))
    merged = (x + y) + z
    assert merged == z + (y + x) == sum([y, z, x])
    pixels = np.concatenate([i.reshape(-1, 3) for i in (a, b, c)])[np.newaxis]
    assert merged == Histogram.from_image(pixels)
    assert as_dict(merged) == oracle.count(pixels)


@given(IMAGES, st.integers(1, 10))
def test_any_tiling_gives_the_same(pixels, rows):
    tiles = [pixels[i : i + rows] for i in range(0, len(pixels), rows)]
    assert sum(map(Histogram.from_image, tiles)) == Histogram.from_image(pixels)


def test_the_constructor_orders_and_adds_up():
    histogram = Histogram([[9, 9, 9], [1, 2, 3], [9, 9, 9]], [1, 5, 2])
    assert as_dict(histogram) == {(1, 2, 3): 5, (9, 9, 9): 3}


def test_pickling_keeps_it():
    histogram = Histogram.from_image(oracle.photo(3))
    copy = pickle.loads(pickle.dumps(histogram))
    assert copy == histogram
    assert hash(copy) == hash(histogram)


def test_equality_is_of_colors_and_counts():
    a = Histogram([[1, 2, 3]], [1])
    assert a == Histogram([[1, 2, 3]], [1])
    assert a != Histogram([[1, 2, 3]], [2])
    assert a != Histogram([[1, 2, 4]], [1])
    assert a != "a"


def test_it_cannot_be_changed():
    histogram = Histogram.from_image(oracle.photo(3))
    with pytest.raises(ValueError, match="read-only"):
        histogram.counts[0] = 7
    with pytest.raises(ValueError, match="read-only"):
        histogram.colors[0] = 7
    with pytest.raises(ValueError, match="read-only"):
        histogram.cells[0] = 7
    with pytest.raises(AttributeError):
        histogram.counts = None


def test_a_histogram_that_came_from_anywhere_is_checked():
    good = Histogram([[1, 2, 3], [200, 2, 3]], [1, 1])
    parts = [part.copy() for part in (good.codes, good.colors, good.counts)]
    bad = Histogram._ordered(parts[0][::-1].copy(), *parts[1:])
    with pytest.raises(ValueError, match="kernel: codes"):
        kquant.Palette.fit(bad, 1)
    bad = Histogram._ordered(*parts[:2], parts[2] - 1)
    with pytest.raises(ValueError, match=r"kernel: .*weights"):
        kquant.Palette.fit(bad, 1)


def test_a_changed_pickle_is_checked():
    make, (colors, counts) = Histogram([[1, 2, 3], [200, 2, 3]], [1, 1]).__reduce__()
    assert make(colors[::-1], counts) == Histogram(colors, counts)
    for wrong in ((colors, counts - 1), (colors[:1], counts), (colors * 1.5, counts)):
        with pytest.raises(kquant.KquantError, match=r"colors|counts"):
            make(*wrong)


def test_threads_that_share_a_histogram_get_the_same_cells():
    # The first of them that asks makes what the others then use.
    codes = np.random.default_rng(1).permutation(1 << 24)[:100_000]
    colors = np.stack([codes >> 16, codes >> 8 & 255, codes & 255], 1)
    counts = np.ones(len(colors), np.int64)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            h = Histogram(colors, counts)
            fits = [
                pool.submit(kquant.Palette.fit, h, 8, effort="fast", threads=1)
                for _ in range(4)
            ]
            assert len({fit.result() for fit in fits}) == 1


def test_the_arrays_given_are_not_taken_away():
    colors, counts = np.array([[1, 2, 3]], np.uint8), np.array([4])
    Histogram(colors, counts)
    colors[0], counts[0] = 0, 9  # still writable, and without effect


@pytest.mark.parametrize(
    ("colors", "counts", "error", "what"),
    [
        ([], [], ValueError, "colors must be"),
        ([[1, 2]], [1], ValueError, "colors must be"),
        ([[1, 2, 3]], [1, 2], ValueError, "counts must be"),
        ([[1, 2, 3]], [0], ValueError, "counts must be at least 1, got 0"),
        ([[1, 2, 3]], [-1], ValueError, "counts must be at least 1, got -1"),
        ([[1, 2, 256]], [1], ValueError, "colors must be 0..255, got 1..256"),
        ([[-1, 2, 3]], [1], ValueError, "colors must be 0..255, got -1..3"),
        ([[1.5, 2, 3]], [1], TypeError, "integers"),
        ([[1, 2, 3]], [0.5], TypeError, "integers"),
        ([[1, 2, 3]], [2**62], ValueError, "counts must add up to at most"),
        ([[1, 2, 3]], [2**63], ValueError, "counts must add up to at most"),
        ([[1, 2, 3], [3, 2, 1]], [2**44, 2**44 + 1], ValueError, "counts must add up"),
    ],
)
def test_what_is_no_histogram_is_refused(colors, counts, error, what):
    with pytest.raises(error, match=what) as caught:
        Histogram(colors, counts)
    assert isinstance(caught.value, kquant.KquantError)


def test_adding_something_else_is_refused():
    with pytest.raises(TypeError, match="unsupported operand"):
        Histogram([[1, 2, 3]], [1]) + 1
    with pytest.raises(ValueError, match="counts must add up"):
        Histogram([[1, 2, 3]], [2**45]) + Histogram([[1, 2, 3]], [1])


def test_the_largest_counts_do_not_overflow():
    colors = [[0, 0, 0], [255, 255, 255], [0, 0, 255]]
    histogram = Histogram(colors, [2**43, 2**43, 2**44])
    palette = kquant.Palette.fit(histogram, 2)
    assert sorted(palette) == [(0, 0, 170), (255, 255, 255)]
    assert sorted(palette.counts) == [2**43, 2**43 + 2**44]
