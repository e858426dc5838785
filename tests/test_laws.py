"""The laws that quantize() promises, each against brute force."""

import os
import subprocess
import sys

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

import kquant
from kquant import Histogram, Palette, _kernel
from kquant.fit import lloyd
from kquant.fit.problem import EFFORTS

# Few values crowd the colours together, many spread them.
IMAGES = hnp.arrays(
    np.uint8,
    st.tuples(st.integers(1, 40), st.integers(1, 40), st.sampled_from([1, 3])),
    elements=st.integers(0, 255) | st.integers(100, 107),
)


def check(image, q, colors):
    """Laws 1, 2 and 6, and all that the result says of itself."""
    pixels = np.broadcast_to(image, (*image.shape[:2], 3)).reshape(-1, 3).astype(int)
    palette = np.asarray(q.palette).astype(int)
    distinct = len(oracle.count(pixels))
    assert np.array_equal(q.indices.ravel(), oracle.nearest(pixels, palette))
    assert len(palette) == min(colors, distinct)
    assert len(np.unique(palette, axis=0)) == len(palette)
    assert q.indices.max() < len(palette)
    distances = ((pixels - palette[q.indices.ravel()]) ** 2).sum(axis=1)
    assert q.mse == pytest.approx(distances.mean(), rel=1e-12)
    assert q.max_error == pytest.approx(distances.max() ** 0.5, rel=1e-12)
    assert q.lossless == (distances.max() == 0)
    assert q.distinct == distinct
    assert (
        q.palette.counts.tolist()
        == np.bincount(q.indices.ravel(), minlength=len(palette)).tolist()
    )
    if distinct <= colors:
        assert q.lossless


@settings(max_examples=150, deadline=None)
@given(image=IMAGES, colors=st.integers(1, 256), effort=st.sampled_from([*EFFORTS]))
def test_every_pixel_gets_the_nearest_of_exactly_min_k_n_entries(image, colors, effort):
    check(image, kquant.quantize(image, colors, effort=effort), colors)


@pytest.mark.parametrize("colors", [1, 2, 3, 16, 64, 255, 256])
@pytest.mark.parametrize("spread", [2, 40, 200])
def test_the_same_for_pictures(level, colors, spread):
    image = oracle.photo(colors, 90, 120, spread)
    check(image, kquant.quantize(image, colors), colors)


def cube(side, start=100):
    """All colours of a small cube, more than its palette can hold, all alike."""
    steps = np.arange(start, start + side, dtype=np.uint8)
    return np.stack(np.meshgrid(steps, steps, steps), axis=-1).reshape(1, -1, 3)


@pytest.mark.parametrize("side", [2, 3, 6, 7, 8, 12])
@pytest.mark.parametrize("colors", [1, 2, 7, 100, 255, 256])
def test_colors_crowded_into_a_corner_still_fill_the_palette(side, colors):
    check(cube(side), kquant.quantize(cube(side), colors), colors)
    check(
        cube(side, 248 - side), kquant.quantize(cube(side, 248 - side), colors), colors
    )


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((1, 1, 3), np.uint8),
        np.full((1, 300, 3), 255, np.uint8),
        np.arange(257 * 3, dtype=np.uint16).astype(np.uint8).reshape(1, 257, 3),
        np.arange(256, dtype=np.uint8).reshape(256, 1),
        np.tile(np.uint8([[0, 255]]), (64, 64)),
        np.repeat(np.uint8([0, 1, 2, 254]), [10**5, 1, 1, 1])[np.newaxis],
    ],
    ids=["1x1", "white", "1xN", "Nx1", "two", "rare"],
)
@pytest.mark.parametrize("colors", [1, 2, 3, 4, 256])
def test_degenerate_pictures(image, colors):
    check(
        image if image.ndim == 3 else image[..., None],
        kquant.quantize(image, colors),
        colors,
    )


def test_no_more_colors_than_entries_is_lossless():
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), np.uint8)
    q = kquant.quantize(np.tile(image, (3, 2, 1)), 256)
    assert q.lossless
    assert q.mse == q.max_error == 0
    assert q.psnr == float("inf")
    assert np.array_equal(q.to_array(), np.tile(image, (3, 2, 1)))


# ---- law 3: the same bytes


def bytes_of(q):
    return np.asarray(q.palette).tobytes(), q.indices.tobytes()


@pytest.fixture(scope="module")
def picture():
    return oracle.photo(0, 256, 384)


@pytest.mark.parametrize("threads", [1, 2, 3, 8])
def test_any_number_of_threads(picture, threads, monkeypatch):
    expected = bytes_of(kquant.quantize(picture, 64, threads=1))
    monkeypatch.setattr("kquant.parallel.THREAD_PIXELS", 500)
    monkeypatch.setattr(lloyd, "THREAD_POINTS", 500)
    assert bytes_of(kquant.quantize(picture, 64, threads=threads)) == expected


def test_any_level(picture, level):
    got = bytes_of(kquant.quantize(picture, 100))
    assert _kernel.use_level("base")
    assert bytes_of(kquant.quantize(picture, 100)) == got


def test_any_run_and_process(picture, tmp_path):
    expected = bytes_of(kquant.quantize(picture, 32))
    assert bytes_of(kquant.quantize(picture, 32)) == expected
    np.save(tmp_path / "picture.npy", picture)
    code = (
        "import sys, numpy, kquant\n"
        "q = kquant.quantize(numpy.load('picture.npy'), 32)\n"
        "sys.stdout.buffer.write(numpy.asarray(q.palette).tobytes())\n"
        "sys.stdout.buffer.write(q.indices.tobytes())\n"
    )
    for hash_seed in ("1", "2"):
        ran = subprocess.run(
            [sys.executable, "-c", code],
            cwd=tmp_path,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            check=True,
        )
        assert ran.stdout == b"".join(expected)


def test_any_merge_of_histograms(picture):
    whole = Palette.fit(picture, 32)
    parts = [Histogram.from_image(tile) for tile in np.array_split(picture, 5)]
    assert Palette.fit(sum(parts), 32) == whole
    assert Palette.fit(sum(parts[::-1]), 32) == whole
    columns = [
        Histogram.from_image(tile) for tile in np.array_split(picture, 4, axis=1)
    ]
    assert Palette.fit(columns[2] + columns[0] + (columns[3] + columns[1]), 32) == whole
    assert kquant.quantize(picture, 32).palette == whole


def test_any_order_of_the_pixels(picture):
    flat = picture.reshape(1, -1, 3)
    order = np.random.default_rng(0).permutation(flat.shape[1])
    q, shuffled = kquant.quantize(flat, 48), kquant.quantize(flat[:, order], 48)
    assert shuffled.palette == q.palette
    assert np.array_equal(shuffled.indices, q.indices[:, order])


def test_the_same_colors_in_any_form(picture):
    expected = bytes_of(kquant.quantize(picture, 20))
    opaque = np.concatenate([picture, np.full_like(picture[..., :1], 255)], axis=2)
    for form in (
        Image.fromarray(picture),
        opaque,
        Image.fromarray(opaque),
        picture.astype(np.uint16) * 257,
        picture / 255,
        np.asfortranarray(picture),
    ):
        assert bytes_of(kquant.quantize(form, 20)) == expected


def test_seeds_act_and_are_reproducible(picture):
    palettes = {kquant.quantize(picture, 64, seed=seed).palette for seed in range(6)}
    assert len(palettes) > 1
    again = {kquant.quantize(picture, 64, seed=seed).palette for seed in range(6)}
    assert again == palettes


# ---- law 4: weights are repetition


@given(
    colors=hnp.arrays(np.uint8, (30, 3)),
    counts=hnp.arrays(np.int64, 30, elements=st.integers(1, 50)),
    k=st.integers(1, 12),
)
def test_counts_equal_repetition(colors, counts, k):
    repeated = np.repeat(colors, counts, axis=0)[np.newaxis]
    p, q = Palette.fit(Histogram(colors, counts), k), Palette.fit(repeated, k)
    assert p == q
    assert p.counts.tolist() == q.counts.tolist()


# ---- the error


def test_the_error_is_below_that_of_median_cut(picture):
    image = Image.fromarray(picture)
    for colors in (16, 64, 256):
        cut = image.quantize(colors, Image.Quantize.MEDIANCUT, dither=0).convert("RGB")
        error = ((np.asarray(cut).astype(int) - picture) ** 2).sum(axis=2).mean()
        assert kquant.quantize(picture, colors).mse < 0.8 * error


def test_one_color_is_the_rounded_mean():
    image = oracle.photo(9)
    mean = image.reshape(-1, 3).mean(axis=0)
    assert np.abs(np.asarray(kquant.quantize(image, 1).palette)[0] - mean).max() <= 0.5


def test_well_separated_clusters_are_found():
    chance = np.random.default_rng(3)
    corners = np.stack(np.meshgrid([40, 215], [40, 215], [40, 215]), -1).reshape(-1, 3)
    noise = chance.integers(-9, 10, (8, 500, 3))
    image = (corners[:, np.newaxis] + noise).astype(np.uint8)
    palette = np.asarray(kquant.quantize(image, 8).palette).astype(int)
    found = corners[oracle.nearest(palette, corners)]
    assert len(np.unique(found, axis=0)) == 8
    assert np.abs(found - palette).max() <= 2


def test_each_entry_is_the_mean_of_its_pixels_as_nearly_as_8_bits_allow(picture):
    q = kquant.quantize(picture, 64)
    assert q.converged
    assert q.iterations >= 1
    for k, color in enumerate(np.asarray(q.palette).astype(int)):
        mean = picture[q.indices == k].mean(axis=0)
        assert np.abs(mean - color).max() < 1


def test_more_colors_never_cost_more(picture):
    errors = [
        kquant.quantize(picture, k).mse for k in (1, 2, 4, 8, 16, 32, 64, 128, 256)
    ]
    assert errors == sorted(errors, reverse=True)
