"""Goals: as few colours as a quality needs, as many as a size allows."""

import functools
import itertools
import math
import os

import numpy as np
import oracle
import pytest
from PIL import Image

import kquant
from kquant.fit import goal, nested
from kquant.fit.kmeans import search
from kquant.fit.quality import (
    SCALE,
    mse_of,
    parse_quality,
    psnr_at,
    psnr_of,
    quality_of,
)

PHOTO = oracle.photo(7, 160, 200)


# ---- the scale


def test_the_scale_is_monotone_and_ends_lossless():
    steps = [psnr_of(quality) for quality in range(101)]
    assert all(a < b for a, b in itertools.pairwise(steps))
    assert steps[0] == 0
    assert steps[100] == math.inf
    assert [quality_of(psnr) for psnr in steps] == list(range(101))
    assert all(psnr_of(quality) == psnr for quality, psnr in SCALE)


def test_mse_and_psnr_are_each_other_s_inverse():
    for psnr in (1.0, 22.7, 40.0, 60.0):
        assert psnr_at(mse_of(psnr)) == pytest.approx(psnr)
    assert mse_of(math.inf) == 0
    assert psnr_at(0) == math.inf
    assert psnr_at(195075) == 0  # 3 * 255 squared


def test_the_guide_has_the_scale():
    path = os.path.join(os.path.dirname(__file__), "..", "docs", "guide.md")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for quality, psnr in SCALE[1:]:
        assert f"| {quality} | {psnr:g} |" in text


def test_a_result_knows_its_quality():
    q = kquant.quantize(PHOTO, 20)
    assert psnr_of(q.quality) <= q.psnr < psnr_of(q.quality + 1)
    assert kquant.quantize(PHOTO // 128 * 255).quality == 100


@pytest.mark.parametrize(
    ("given", "pair"),
    [
        ("65-80", (65, 80)), ("-80", (0, 80)), ("65-", (65, 100)), ("80", (0, 80)),
        (80, (0, 80)), ((65, 80), (65, 80)), ([0, 100], (0, 100)),
        (np.int64(3), (0, 3)),
    ],
)  # fmt: skip
def test_forms_of_quality(given, pair):
    assert parse_quality(given) == pair


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ("", ValueError), ("-", ValueError), ("a", ValueError), ("80-65", ValueError),
        ("0-101", ValueError), ("1-2-3", ValueError), ((1, 2, 3), TypeError),
        (101, ValueError), (-1, ValueError), (True, TypeError), (1.5, TypeError),
        ((1.5, 2), TypeError), ({}, TypeError), ("6 5", ValueError),
    ],
)  # fmt: skip
def test_other_forms_are_refused(given, error):
    with pytest.raises(error, match="quality must be"):
        kquant.quantize(PHOTO, quality=given)


# ---- few colours


@pytest.mark.parametrize("space", ["srgb", "oklab"])
@pytest.mark.parametrize("quality", [20, 50, 70, 85])
def test_quality_takes_the_fewest_colours_that_reach_it(quality, space):
    q = kquant.quantize(PHOTO, quality=quality, space=space)
    if len(q.palette) < 256:
        assert q.psnr >= psnr_of(quality)
        fewer = kquant.quantize(PHOTO, len(q.palette) - 1, space=space)
        # Another search may be better, by its luck; not by more than that.
        assert fewer.psnr < psnr_of(quality) + 0.1
    same = kquant.quantize(PHOTO, len(q.palette), space=space)
    assert abs(q.psnr - same.psnr) < 0.25


def test_more_quality_never_takes_fewer_colours():
    image = PHOTO[::2, ::2]
    sizes = [len(kquant.quantize(image, quality=q).palette) for q in range(5, 100, 10)]
    assert sizes == sorted(sizes)
    assert sizes[0] < 10
    assert sizes[-1] > 100


def test_every_pixel_has_the_nearest_entry():
    q = kquant.quantize(PHOTO, quality=60)
    nearest = oracle.nearest(PHOTO.reshape(-1, 3), np.asarray(q.palette))
    assert np.array_equal(q.indices.ravel(), nearest)
    assert len(np.unique(np.asarray(q.palette), axis=0)) == len(q.palette)


@functools.cache
def on_one_thread(**goal):
    """Return the result that others of the same goal are compared with."""
    return kquant.quantize(PHOTO, threads=1, **goal)


@pytest.mark.parametrize(
    ("option", "value"), [("min_psnr", 33.0), ("max_mse", 97.5), ("quality", 52)]
)
def test_the_goals_are_one(option, value):
    """33 dB are an MSE of 97.77, and a quality of not quite 52."""
    q = kquant.quantize(PHOTO, **{option: value})
    assert abs(len(q.palette) - len(on_one_thread(min_psnr=33).palette)) <= 1
    assert q.mse <= 97.78


def test_the_search_runs_once(monkeypatch):
    searches = []
    monkeypatch.setattr(
        nested, "search", lambda *given: searches.append(given) or search(*given)
    )
    kquant.quantize(PHOTO, quality=70)
    assert len(searches) == 1


def test_a_result_below_the_minimum_is_refused(tmp_path):
    with pytest.raises(
        kquant.QualityError, match=r"best 4-colour result.*quality 90-"
    ) as e:
        kquant.quantize(PHOTO, 4, quality="90-95")
    assert len(e.value.best_image.palette) == 4
    q = kquant.quantize(PHOTO, 4, quality="0-95")
    assert len(q.palette) == 4
    with pytest.raises(kquant.QualityError, match="below min_psnr 50"):
        kquant.quantize(PHOTO, 4, min_psnr=50)
    with pytest.raises(kquant.QualityError, match=r"below max_mse 0\.5"):
        kquant.quantize(PHOTO, 4, max_mse=0.5)


def test_a_picture_of_few_colours_takes_no_more_than_it_needs():
    few = PHOTO // 64 * 85
    assert kquant.quantize(few, quality=100).lossless
    q = kquant.quantize(few, quality=30)
    assert len(q.palette) < len(np.unique(few.reshape(-1, 3), axis=0))
    assert q.psnr >= psnr_of(30)
    one = np.full((5, 5, 3), 9, np.uint8)
    assert kquant.quantize(one, quality="100-100").palette.hex == ["#090909"]


def test_goals_with_alpha_weights_and_locks():
    sprite = np.dstack([PHOTO, PHOTO[..., 1]])
    weights = np.ones(PHOTO.shape[:2], int)
    weights[:50] = 3
    q = kquant.quantize(sprite, quality=50, weights=weights, lock=["#ff0000ff"])
    assert q.psnr >= psnr_of(50)
    assert "#ff0000ff" in q.palette.hex
    assert len(q.palette) < 256


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_threads_do_not_matter(threads, monkeypatch):
    one = on_one_thread(quality=65)
    monkeypatch.setattr("kquant.fit.lloyd.THREAD_POINTS", 100)
    many = kquant.quantize(PHOTO, quality=65, threads=threads)
    assert np.array_equal(one.indices, many.indices)
    assert one.palette == many.palette


@pytest.mark.parametrize(
    "options",
    [
        {"quality": 5, "min_psnr": 3}, {"min_psnr": 3, "max_mse": 3},
        {"quality": 5, "palette": ["#fff"]},
        {"min_psnr": -1}, {"max_mse": math.nan}, {"min_psnr": math.inf},
    ],
)  # fmt: skip
def test_wrong_goals_are_refused(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        kquant.quantize(PHOTO, **options)
    with pytest.raises(TypeError, match="min_psnr must be a number, got str"):
        kquant.quantize(PHOTO, min_psnr="3")


# ---- small files


@pytest.fixture
def source(tmp_path):
    Image.fromarray(oracle.photo(7, 105, 140)).save(tmp_path / "in.png")
    return tmp_path / "in.png"


@pytest.mark.parametrize("dither", [False, True])
def test_max_bytes_takes_the_most_colours_that_fit(source, dither):
    limits = (8_000, 4_000, 2_000)
    reports = [
        kquant.quantize_file(
            source, source.with_name(f"{most}.png"), max_bytes=most, dither=dither
        )
        for most in limits
    ]
    for most, report in zip(limits, reports, strict=True):
        assert os.path.getsize(report.target) == report.bytes_after <= most
        assert report.bytes_after > 0.8 * most
    colors = [len(report.image.palette) for report in reports]
    assert colors == sorted(colors, reverse=True)
    kind = "floyd-steinberg" if dither else "none"
    assert {report.image.dither for report in reports} == {kind}


def test_less_dithering_if_not_even_two_colours_fit(source):
    full, none = (
        kquant.quantize_file(source, colors=2, force=True, dither=dither).bytes_after
        for dither in (1.0, False)
    )
    report = kquant.quantize_file(
        source, max_bytes=(full + none) // 2, force=True, dither=1.0
    )
    assert len(report.image.palette) >= 2
    assert report.image.dither != "floyd-steinberg:1"
    assert report.bytes_after <= (full + none) // 2


def test_a_size_that_nothing_fits_is_refused_and_nothing_written(source):
    with pytest.raises(kquant.QualityError, match="over max_bytes 100") as caught:
        kquant.quantize_file(source, max_bytes=100)
    assert caught.value.best_bytes > 100
    with pytest.raises(kquant.QualityError, match="over max_bytes 1,000"):
        kquant.quantize_file(source, max_bytes=1000, palette="pico8")
    assert os.listdir(source.parent) == ["in.png"]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"max_bytes": 0}, ValueError), ({"max_bytes": 1.5}, TypeError),
        ({"max_bytes": 9, "quality": 5}, ValueError),
    ],
)  # fmt: skip
def test_wrong_sizes_are_refused(source, options, error):
    with pytest.raises(error, match="max_bytes"):
        kquant.quantize_file(source, **options)


@pytest.mark.parametrize("guess", [0, 3, 18, 37])
def test_the_search_finds_the_first_that_is_good(guess):
    for first in range(38):
        asked = []

        def good(n, first=first, asked=asked):
            asked.append(n)
            return n >= first

        assert goal.first_that(good, 37, guess) == first
        assert len(asked) <= (2 if first == guess else 11)
        assert len(set(asked)) == len(asked)


def test_the_most_that_fit_are_found_though_sizes_jump():
    def most(sizes, limit, beyond=5):
        return goal.most_that_fit(
            lambda n: sizes[n] <= limit, min(sizes), max(sizes), beyond
        )

    steady = {n: 10 * n for n in range(3, 41)}
    assert [most(steady, limit) for limit in (29, 30, 39, 215, 400, 999)] == [
        None, 3, 3, 21, 40, 40,
    ]  # fmt: skip
    chance = np.random.default_rng(0)
    jumpy = {n: 10 * n + int(chance.integers(0, 25)) for n in range(3, 200)}
    for limit in range(jumpy[3], 2000, 7):
        fit = max(n for n, size in jumpy.items() if size <= limit)
        assert most(jumpy, limit) == fit
