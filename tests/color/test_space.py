"""Colour spaces: against coloraide, and law 1 in each of them."""

import decimal

import numpy as np
import oracle
import pytest
from coloraide import Color

import kquant
from kquant import _kernel
from kquant.color.space import LAB_UNIT, MOST, get_space
from kquant.settings import FIELDS

SPACES = FIELDS["space"].words

CHANCE = np.random.default_rng(3)
COLORS = np.vstack(
    [
        CHANCE.integers(0, 256, (300, 3)),
        np.stack(np.meshgrid(*3 * [[0, 1, 5, 254, 255]]), -1).reshape(-1, 3),
    ]
).astype(np.uint8)


def reference(name, color):
    """Coordinates on the grid by coloraide, not rounded."""
    c = Color("srgb", [int(v) / 255 for v in color])
    if name == "srgb":
        return np.array(c.coords()) * MOST
    if name == "linear":
        return np.array(c.convert("srgb-linear").coords()) * MOST
    if name == "oklab":
        light, a, b = c.convert("oklab").coords()
        return np.array([light, a + 0.5, b + 0.5]) * MOST
    light, a, b = c.convert("lab-d65").coords()
    return np.array([light, a + 90, b + 110]) * LAB_UNIT


@pytest.mark.parametrize("name", SPACES)
def test_coordinates_are_those_of_coloraide(name):
    space = get_space(name)
    got = space.coords(COLORS)[:, : len(COLORS)].T
    wanted = np.array([reference(name, color) for color in COLORS])
    # A grid step is 1/16320 of the range; matrices are published to 8 digits or so.
    assert np.abs(got - wanted).max() <= (0.5 + 1e-6 if name != "lab" else 1.0)
    assert got.min() >= 0
    assert got.max() <= MOST


@pytest.mark.parametrize("name", SPACES)
def test_the_way_back_is_the_nearest_color(name):
    space = get_space(name)
    assert np.array_equal(space.colors(space.entries(COLORS), 3), COLORS)
    centroids = space.entries(COLORS)
    centroids[:, :3] = np.clip(
        centroids[:, :3] + CHANCE.integers(-60, 61, (len(COLORS), 3)), 0, MOST
    )
    found = space.colors(centroids, 3)
    # Nothing around it is nearer.
    steps = np.stack(np.meshgrid(*3 * [[-2, -1, 0, 1, 2]]), -1).reshape(-1, 3)
    for centroid, color in zip(centroids[:60], found, strict=False):
        around = np.unique(np.clip(color + steps, 0, 255), axis=0).astype(np.uint8)
        at = space.entries(around)[:, :3].astype(int)
        distances = ((at - centroid[:3]) ** 2).sum(axis=1)
        own = space.entries(color[np.newaxis])[0, :3].astype(int)
        assert ((own - centroid[:3]) ** 2).sum() == distances.min()


@pytest.mark.parametrize("name", SPACES)
def test_every_pixel_gets_the_nearest_entry_in_the_space(level, name):
    image = oracle.photo(5)
    space = get_space(name)
    for colors in (1, 7, 200):
        q = kquant.quantize(image, colors, space=name)
        assert len(q.palette) == colors
        assert len(np.unique(np.asarray(q.palette), axis=0)) == colors
        pixels = space.entries(image.reshape(-1, 3))
        entries = space.entries(np.asarray(q.palette))
        assert np.array_equal(q.indices.ravel(), oracle.nearest(pixels, entries))
        again = q.palette.map(image, space=name)
        assert np.array_equal(again.indices, q.indices)


def test_oklab_looks_closer_than_srgb():
    """Mean CIEDE2000 of colours drawn from pictures, by coloraide."""
    means = {}
    for name in ("srgb", "oklab"):
        total = 0.0
        for seed in (1, 2):
            image = oracle.photo(seed, spread=60)
            q = kquant.quantize(image, 256, space=name)
            pairs = np.concatenate([image, q.to_array()], axis=2)[::9, ::9]
            for pair in pairs.reshape(-1, 6) / 255:
                a, b = Color("srgb", pair[:3]), Color("srgb", pair[3:])
                total += a.delta_e(b, method="2000")
        means[name] = total
    assert means["oklab"] < means["srgb"]


@pytest.mark.parametrize("name", SPACES)
def test_threads_and_levels_do_not_matter_in_any_space(level, name):
    image = oracle.photo(6)
    q = kquant.quantize(image, 20, space=name, threads=3)
    _kernel.use_level("base")
    assert np.array_equal(
        q.to_array(), kquant.quantize(image, 20, space=name).to_array()
    )


def test_the_spaces_are_not_the_same():
    image = oracle.photo(7)
    arrays = {
        n: kquant.quantize(image, 9, space=n).to_array().tobytes() for n in SPACES
    }
    assert len(set(arrays.values())) == len(SPACES)
    errors = {n: kquant.quantize(image, 9, space=n).mse for n in SPACES}
    assert min(errors, key=errors.get) == "srgb"


@pytest.mark.parametrize(
    ("space", "error"), [("hsv", ValueError), ("", ValueError), (None, TypeError)]
)
def test_other_spaces_are_refused(space, error):
    with pytest.raises(error, match="space must be"):
        kquant.quantize(oracle.photo(1), space=space)
    with pytest.raises(error, match="space must be"):
        kquant.Palette(["#000"]).map(oracle.photo(1), space=space)


@pytest.mark.parametrize("name", ["srgb", "linear", "oklab", "lab"])
@pytest.mark.parametrize("alpha", [False, True])
def test_grey_stays_grey(name, alpha):
    for seed, colors in enumerate((2, 7, 40)):
        image = oracle.photo(seed)[..., [0, 0, 0]]
        if alpha:
            image = np.dstack([image, oracle.photo(seed)[..., 1]])
        palette = np.asarray(kquant.quantize(image, colors, space=name).palette)
        assert np.ptp(palette[:, :3].astype(int), axis=1).max() == 0


@pytest.mark.parametrize("space", ["linear", "oklab", "lab"])
def test_the_decimal_context_of_the_caller_does_not_count(space):
    expected = get_space(space).entries(oracle.photo(1)[0])
    get_space.cache_clear()
    with decimal.localcontext(decimal.Context(prec=3, traps=[decimal.Inexact])):
        found = get_space(space).entries(oracle.photo(1)[0])
    get_space.cache_clear()
    assert np.array_equal(found, expected)
