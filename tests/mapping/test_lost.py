"""Goals and small things: what a reader looks at must not be outvoted by paper."""

import numpy as np
import oracle
import pytest
from PIL import Image, ImageDraw, ImageFont

import kquant
from kquant import Palette
from kquant.mapping.lost import MANY, WINDOW, in_crowds

HEIGHT, WIDTH = 240, 340
Y, X = np.mgrid[0:HEIGHT, 0:WIDTH]
GROUNDS = {
    "page": np.stack([250 - 5 * X / WIDTH, 248 - 4 * Y / HEIGHT, 240 + 0 * X], 2),
    "night": np.stack([20 + 9 * X / WIDTH, 24 + 9 * Y / HEIGHT, 40 + 0 * X], 2),
    "leaf": np.stack([60 + 40 * Y / HEIGHT, 120 + 30 * X / WIDTH, 50 + 0 * X], 2),
}
THINGS = {"red": (210, 30, 40), "blue": (60, 90, 220), "grey": (130, 130, 130)}


def noisy(picture, seed=5):
    grain = np.random.default_rng(seed).normal(0, 1.5, picture.shape)
    return np.clip(picture + grain, 0, 255).astype(np.uint8)


def shape(kind):
    if kind == "dot":
        return (X - 170) ** 2 + (Y - 120) ** 2 <= 16
    if kind == "square":
        return (abs(X - 50) < 2.5) & (abs(Y - 40) < 2.5)
    if kind == "line":
        return (abs(Y - 200) < 2) & (X > 90) & (X < 130)
    image = Image.new("L", (WIDTH, HEIGHT))
    font = ImageFont.load_default(16)
    ImageDraw.Draw(image).text((40, 40), "Pay by the 14th, please.", 255, font)
    return np.asarray(image) > 200


def off(result, mask, color):
    shown = result.to_array()[mask][:, :3].astype(float)
    return np.sqrt(((shown - color) ** 2).sum(1)).mean()


@pytest.mark.parametrize("quality", ["0-55", "65-80"])
@pytest.mark.parametrize("kind", ["dot", "square", "line", "text"])
@pytest.mark.parametrize("thing", THINGS)
@pytest.mark.parametrize("ground", GROUNDS)
def test_small_things_survive_a_quality(ground, thing, kind, quality):
    picture, mask, color = GROUNDS[ground].copy(), shape(kind), THINGS[thing]
    picture[mask] = color
    image = noisy(picture)
    result = kquant.quantize(image, quality=quality)
    assert off(result, mask, color) < 60
    assert len(result.palette) < 30


@pytest.mark.parametrize("goal", [{"min_psnr": 34}, {"max_mse": 60}])
def test_other_goals_are_held_to_it_too(goal):
    picture, mask = GROUNDS["page"].copy(), shape("dot")
    picture[mask] = THINGS["red"]
    result = kquant.quantize(noisy(picture), **goal)
    assert off(result, mask, THINGS["red"]) < 60


def test_a_size_is_held_to_it_too(tmp_path):
    picture, mask = GROUNDS["page"].copy(), shape("dot")
    picture[mask] = THINGS["red"]
    Image.fromarray(noisy(picture)).save(tmp_path / "in.png")
    report = kquant.quantize_file(tmp_path / "in.png", max_bytes=9_000)
    assert report.bytes_after <= 9_000
    assert off(report.image, mask, THINGS["red"]) < 60


def test_transparent_pictures_keep_small_things():
    alpha = np.clip(3 * X, 0, 255)
    picture, mask = np.dstack([GROUNDS["leaf"], alpha]), shape("dot")
    picture[mask, :3] = THINGS["red"]
    result = kquant.quantize(noisy(picture), quality=60)
    assert off(result, mask, THINGS["red"]) < 60


@pytest.mark.parametrize("seed", range(4))
def test_pictures_without_small_things_get_as_many_colors_as_the_mean_needs(seed):
    picture = oracle.photo(seed, 120, 160)
    result = kquant.quantize(picture, quality=60)
    fewer = len(result.palette) - 1
    naive = kquant.quantize(picture, fewer)
    assert naive.psnr < 34.1 + 0.1  # what quality 60 stands for


def test_windows_are_found_by_counting():
    chance = np.random.default_rng(0)
    for height, width in [(1, 1), (3, 9), (4, 4), (20, 31)]:
        far = chance.random((height, width)) < 0.35
        expected = np.zeros_like(far)
        for y in range(height - min(WINDOW, height) + 1):
            for x in range(width - min(WINDOW, width) + 1):
                part = np.s_[y : y + WINDOW, x : x + WINDOW]
                expected[part] |= far[part].sum() >= MANY
        assert np.array_equal(in_crowds(far), expected & far)


# ---- promises together with goals


def patched():
    image = oracle.photo(3, 120, 160, spread=8)
    image[40:52, 60:72] = 255, 0, 255
    image[90:96, 20:26] = 0, 255, 0
    return image


@pytest.mark.parametrize("goal", [{"quality": 30}, {"min_psnr": 30}, {"max_mse": 150}])
@pytest.mark.parametrize("limit", [20, 60])
def test_a_promise_holds_with_a_goal(goal, limit):
    image = patched()
    result = kquant.quantize(image, max_error=limit, protect_pixels=30, **goal)
    alone = kquant.quantize(image, **goal)
    assert result.psnr >= 29.9
    assert result.max_error_in_space <= limit
    assert len(alone.palette) <= len(result.palette) < 128
    for y, x in [(45, 65), (92, 22)]:
        away = result.to_array()[y, x].astype(float) - image[y, x]
        assert np.sqrt((away**2).sum()) <= limit


def test_a_promise_and_locked_colors_hold_with_a_size(tmp_path):
    Image.fromarray(patched()).save(tmp_path / "in.png")
    report = kquant.quantize_file(
        tmp_path / "in.png", max_bytes=7_000, max_error=50, protect_pixels=30,
        lock=["#123456"],
    )  # fmt: skip
    assert report.bytes_after <= 7_000
    assert report.image.max_error_in_space <= 50
    assert (0x12, 0x34, 0x56) in list(report.image.palette)


def test_a_goal_whose_promise_needs_more_colors_than_allowed_is_refused():
    image = oracle.photo(1, 60, 80, spread=200)
    with pytest.raises(ValueError, match="max_error=3 cannot be kept with 8 colors"):
        kquant.quantize(image, 8, min_psnr=5, max_error=3, protect_pixels=1)


def test_locked_colors_stay_when_things_are_reserved():
    picture, mask = GROUNDS["page"].copy(), shape("dot")
    picture[mask] = THINGS["red"]
    result = kquant.quantize(noisy(picture), quality=70, lock=Palette(["#00ff00"]))
    assert (0, 255, 0) in list(result.palette)
    assert off(result, mask, THINGS["red"]) < 60
