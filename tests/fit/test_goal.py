"""Goals: as few colours as a quality needs, as many as a size allows."""

import functools
import math
import os
from pathlib import Path

import numpy as np
import oracle
import pytest
from PIL import Image

import kquant
from kquant.convert import MOST_BEYOND
from kquant.files.content import WriteOptions
from kquant.files.encode import encode
from kquant.fit import goal, nested
from kquant.fit.kmeans import search
from kquant.fit.quality import (
    psnr_of,
)
from kquant.indexed import content_of
from kquant.parallel import Workers
from kquant.pipeline import Quantization
from kquant.settings import Settings

PHOTO = oracle.photo(7, 160, 200)
PLAIN = WriteOptions()


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
    Image.fromarray(oracle.photo(7, 60, 80)).save(tmp_path / "in.png")
    return tmp_path / "in.png"


@pytest.mark.parametrize("dither", [False, True])
def test_max_bytes_takes_the_most_colours_that_fit(source, dither):
    limits = (3_000, 1_600, 1_000)
    reports = [
        kquant.quantize_file(
            source,
            source.with_name(f"{most}.png"),
            max_bytes=most,
            dither=dither,
            effort="fast",
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


@pytest.fixture(scope="module")
def still_life(tmp_path_factory):
    """A small photograph as a file, and the size of its PNG for every size of 2..48."""
    path = tmp_path_factory.mktemp("still life") / "in.png"
    with Image.open(Path(__file__).parents[2] / "docs" / "still-life.jpg") as image:
        image.resize((120, 80)).save(path)
        pixels = np.asarray(image.resize((120, 80)))
    settings = Settings(colors=48, effort="fast", max_bytes=1)
    with Workers() as workers:
        quantization = Quantization(pixels, settings, workers)
        sizes = {
            n: len(
                encode(path, content_of(quantization.of_size(n, 1.0)), PLAIN, workers)
            )
            for n in range(2, 49)
        }
    return path, sizes


def test_of_a_photograph_no_more_colours_would_fit(still_life):
    _, sizes = still_life
    jumps = [n for n in range(2, 48) if sizes[n + 1] < sizes[n]]
    assert jumps  # else this would be too easy
    for limit in range(min(sizes.values()), max(sizes.values()) + 20, 9):
        found = goal.most_that_fit(lambda n: sizes[n] <= limit, 2, 48, MOST_BEYOND)  # noqa: B023
        assert found == max((n for n in sizes if sizes[n] <= limit), default=None)


def test_nor_does_a_call_find_fewer(still_life, monkeypatch):
    path, sizes = still_life
    # But for small things, which are locked into the palette where they are lost.
    monkeypatch.setattr("kquant.pipeline.lost_colors", lambda *_: [])
    hard = [sizes[n + 1] for n in range(2, 48) if sizes[n + 1] < sizes[n]]
    easy = np.linspace(min(sizes.values()), max(sizes.values()), 6).astype(int)
    for limit in sorted({*hard, *easy.tolist()})[::2]:
        report = kquant.quantize_file(
            path, max_bytes=limit, colors=48, effort="fast", dry_run=True, force=True
        )
        fit = max(n for n in sizes if sizes[n] <= limit)
        assert len(report.image.palette) == fit
        assert report.bytes_after == sizes[fit] <= limit


@pytest.mark.parametrize("seed", range(6))
def test_what_was_reached_can_be_asked_for(seed):
    image = oracle.photo(seed)
    q = kquant.quantize(image, 12, effort="fast", seed=seed)
    assert kquant.quantize(image, 12, max_mse=q.mse).mse <= q.mse
    assert kquant.quantize(image, 12, min_psnr=q.psnr).psnr >= q.psnr


def test_a_psnr_that_no_number_can_hold_the_error_of_is_lossless():
    image = oracle.photo(1)[:4, :4]
    assert kquant.quantize(image, 256, min_psnr=1e9).lossless
    with pytest.raises(kquant.QualityError):
        kquant.quantize(image, 2, min_psnr=1e9)
