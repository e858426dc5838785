"""Images with alpha, at every stage: law 5, and the error that is minimized."""

import io

import numpy as np
import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

import kquant
from kquant import Histogram

IMAGES = hnp.arrays(
    np.uint8,
    st.tuples(st.integers(1, 24), st.integers(1, 24), st.just(4)),
    elements=st.integers(0, 255) | st.sampled_from([0, 0, 128, 254, 255]),
)


def sprite(seed, height=90, width=120):
    """A picture whose edges are soft and whose corners are transparent."""
    y, x = np.mgrid[0:height, 0:width]
    away = np.hypot(y - height / 2, x - width / 2)
    alpha = np.clip((height / 2 - away) * 8, 0, 255).astype(np.uint8)
    return np.dstack([oracle.photo(seed, height, width), alpha])


def distances(a, b):
    """Mean over black and over white of the squared distance, (..., 4) -> (...)."""
    a, b = a.astype(float), b.astype(float)
    total = 0
    for backdrop in (0, 255):
        shown = [
            c[..., :3] * c[..., 3:] / 255 + backdrop * (1 - c[..., 3:] / 255)
            for c in (a, b)
        ]
        total = total + ((shown[0] - shown[1]) ** 2).sum(axis=-1)
    return total / 2


def check(image, q, colors):
    palette = np.asarray(q.palette)
    assert palette.shape[1] == 4
    visible = image.copy()
    visible[visible[..., 3] == 0] = 0
    distinct = len(np.unique(visible.reshape(-1, 4), axis=0))
    assert q.distinct == distinct
    assert len(palette) == min(colors, distinct)
    assert (palette[:, 3] == 0).sum() <= 1
    assert len(np.unique(palette, axis=0)) == len(palette)
    errors = distances(image, palette[q.indices])
    assert q.mse == pytest.approx(errors.mean(), rel=1e-9, abs=1e-9)
    assert q.max_error == pytest.approx(errors.max() ** 0.5, rel=1e-9, abs=1e-6)
    counts = np.bincount(q.indices.ravel(), minlength=len(palette))
    assert q.palette.counts.tolist() == counts.tolist()
    nearest = oracle.over_both(image.reshape(-1, 4), palette).argmin(axis=1)
    assert np.array_equal(q.indices.ravel(), nearest)
    if distinct <= colors:
        assert q.lossless


@settings(max_examples=80, deadline=None)
@given(image=IMAGES, colors=st.integers(1, 256))
def test_pixels_get_the_nearest_entry_over_black_and_white(image, colors):
    if (image[..., 3] == 255).all():
        image[0, 0, 3] = 254
    check(image, kquant.quantize(image, colors), colors)


@pytest.mark.parametrize("colors", [1, 2, 16, 100, 256])
def test_sprites(level, colors):
    image = sprite(colors, 60, 80)
    q = kquant.quantize(image, colors)
    check(image, q, colors)
    if colors > 2:
        hidden = image[..., 3] == 0
        assert (q.to_array()[hidden, 3] == 0).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_opaque_alpha_changes_no_byte(mode):
    image = Image.fromarray(oracle.photo(3))
    plain = image.convert("L" if mode == "LA" else "RGB")
    with_alpha = plain.convert(mode)
    for options in ({}, {"space": "oklab"}, {"dither": True}, {"dither": "bayer"}):
        a = kquant.quantize(plain, 30, **options)
        b = kquant.quantize(with_alpha, 30, **options)
        assert a.palette == b.palette
        assert np.array_equal(a.indices, b.indices)


@pytest.mark.parametrize("space", ["srgb", "linear", "oklab", "lab"])
@pytest.mark.parametrize("effort", ["fast", "balanced"])
def test_nearly_transparent_colors_get_as_many_entries_as_were_asked_for(space, effort):
    for seed in range(8):
        chance = np.random.default_rng(seed)
        side, most = [(12, 1), (12, 3), (64, 2), (256, 1)][seed % 4]
        colors = chance.integers(0, side, (150, 4)).astype(np.uint8)
        colors[:, 3] = chance.integers(seed % 2, most + 1, 150)
        colors[colors[:, 3] == 0] = 0
        distinct = np.unique(colors, axis=0)
        wanted = max(1, len(distinct) * (3 + seed) // 11)
        q = kquant.quantize(colors[np.newaxis], wanted, space=space, effort=effort)
        assert len(q.palette) == wanted
        assert len(np.unique(q.palette, axis=0)) == wanted
        assert (q.palette.counts > 0).all()
        fitted = kquant.Palette.fit(Histogram(distinct, np.ones(len(distinct), int)),
                                    wanted, space=space, effort=effort)  # fmt: skip
        assert len(np.unique(fitted, axis=0)) == wanted


def test_transparent_pixels_share_one_entry_whatever_they_hide():
    image = sprite(1)
    other = image.copy()
    other[other[..., 3] == 0, :3] = 77
    a, b = kquant.quantize(image, 20), kquant.quantize(other, 20)
    assert a.palette == b.palette
    assert np.array_equal(a.indices, b.indices)


def test_a_faint_color_matters_less():
    image = np.full((10, 20, 4), 255, np.uint8)
    image[:, :5] = 200, 0, 0, 255
    image[:, 5:10] = 0, 200, 0, 255
    image[:5, 10:] = 0, 0, 255, 4
    image[5:, 10:] = 255, 0, 0, 4
    palette = np.asarray(kquant.quantize(image, 3).palette)
    assert sorted(palette[:, 3].tolist()) == [4, 255, 255]


@pytest.mark.parametrize("space", ["srgb", "linear", "oklab", "lab"])
def test_merging_and_threads_do_not_matter(space, monkeypatch):
    image = sprite(2)
    one = kquant.quantize(image, 40, space=space, threads=1)
    monkeypatch.setattr("kquant.parallel.THREAD_PIXELS", 1000)
    monkeypatch.setattr("kquant.fit.lloyd.THREAD_POINTS", 1000)
    monkeypatch.setattr("kquant.parallel.THREAD_PIXELS", 1000)
    many = kquant.quantize(image, 40, space=space, threads=3)
    assert one.palette == many.palette
    assert np.array_equal(one.indices, many.indices)
    parts = [Histogram.from_image(part) for part in np.array_split(image, 7)]
    fitted = kquant.Palette.fit(sum(parts[::-1]), 40, space=space)
    assert fitted == one.palette


def test_histograms_with_and_without_alpha_add_up():
    opaque, clear = oracle.photo(1), sprite(1)
    both = Histogram.from_image(opaque) + Histogram.from_image(clear)
    assert both == Histogram.from_image(clear) + Histogram.from_image(opaque)
    assert both.pixels == opaque.shape[0] * opaque.shape[1] + clear[..., 0].size
    rgba = np.concatenate(
        [np.pad(opaque.reshape(-1, 3), ((0, 0), (0, 1)), constant_values=255),
         clear.reshape(-1, 4)]
    )  # fmt: skip
    rgba[rgba[:, 3] == 0] = 0
    colors, counts = np.unique(rgba, axis=0, return_counts=True)
    assert both == Histogram(colors, counts)


def test_files_have_a_trimmed_transparency_chunk(tmp_path):
    image = sprite(4)
    q = kquant.quantize(image, 50)
    q.save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    at = data.index(b"tRNS")
    length = int.from_bytes(data[at - 4 : at], "big")
    alpha = np.asarray(q.palette)[:, 3]
    assert length == np.flatnonzero(alpha < 255).max() + 1
    with Image.open(io.BytesIO(data)) as written:
        assert np.array_equal(np.asarray(written.convert("RGBA")), q.to_array())


def test_all_transparent_is_one_entry():
    image = np.zeros((7, 5, 4), np.uint8)
    image[..., 0] = np.arange(5)
    q = kquant.quantize(image, 10)
    assert list(q.palette) == [(0, 0, 0, 0)]
    assert q.lossless
    assert q.mse == 0


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1)])
def test_thin_images(shape):
    image = np.random.default_rng(1).integers(0, 256, (*shape, 4), np.uint8)
    for dither in (False, True, "blue-noise", "bayer"):
        for colors in (1, 3):
            q = kquant.quantize(image, colors, dither=dither)
            assert q.indices.shape == shape
