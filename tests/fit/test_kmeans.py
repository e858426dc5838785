"""The search for the palette: each stage against the one before it."""

from dataclasses import replace

import numpy as np
import oracle
import pytest

import kquant
from kquant import Histogram, _kernel
from kquant.bench import numpy_kmeans as reference
from kquant.color.space import get_space
from kquant.fit.kmeans import search
from kquant.fit.lloyd import seed_centroids
from kquant.fit.points import Points
from kquant.fit.problem import EFFORTS, Problem
from kquant.parallel import Workers

SRGB = get_space("srgb")
NONE_LOCKED = np.empty((0, _kernel.CHANNELS), np.int16)


def start(points, k, workers, locked=NONE_LOCKED):
    return seed_centroids(points, k, locked, workers)


def problem(histogram, k, effort="balanced", *, locked=(), **changes):
    colors = np.array(locked, np.uint8).reshape(-1, 3)
    changed = replace(EFFORTS[effort], **changes)
    return Problem(histogram, k, SRGB, colors, changed, seed=0)


@pytest.fixture(scope="module")
def histogram():
    return Histogram.from_image(oracle.photo(1, 120, 160))


@pytest.fixture(scope="module")
def points(histogram):
    return Points.of(histogram, SRGB)


@pytest.fixture
def workers():
    with Workers(1) as workers:
        yield workers


@pytest.mark.parametrize("k", [4, 32, 256])
def test_iterations_reach_the_error_of_numpy(points, workers, k):
    pixels = oracle.photo(1, 120, 160).reshape(-1, 3).astype(np.float32)
    lloyd = start(points, k, workers)
    centroids = lloyd.centroids[:, :3] / _kernel.ONE
    means = reference.lloyd(pixels, centroids, 10)
    error = reference.mse(pixels, means, reference.assign(pixels, means))
    lloyd.iterate(10)
    assert lloyd.error() / len(pixels) == pytest.approx(error, rel=1e-3)


def test_settle_stops_when_the_error_hardly_falls(points, workers):
    lloyd = start(points, 32, workers)
    rounds, converged = lloyd.settle(1e-3, 100)
    assert converged
    assert rounds < 100
    before = lloyd.error()
    lloyd.iterate(1)
    assert before - lloyd.error() <= 1e-3 * before
    assert start(points, 32, workers).settle(0, 2) == (2, False)


def test_more_tries_never_end_higher(histogram, points, workers):
    errors = [
        search(problem(histogram, 24, "fast", trials=24 * n), points, workers).error()
        for n in (1, 2, 5)
    ]
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("k", [24, 40, 200])
def test_more_effort_gives_a_lower_error(k):
    errors = {"fast": 0, "balanced": 0, "best": 0}
    for seed in range(4):  # in sum: a single search may be lucky
        picture = oracle.photo(seed, 60, 80)
        for effort in errors:
            errors[effort] += kquant.quantize(picture, k, effort=effort).mse
    assert errors["best"] <= errors["balanced"] * 1.002
    assert errors["balanced"] <= errors["fast"] * 1.002
    assert errors["best"] < errors["fast"]


def test_locked_centroids_never_move(histogram, points, workers):
    locked = np.array([[255, 0, 0], [0, 255, 0]], np.uint8)
    found = search(problem(histogram, 24, locked=locked), points, workers)
    assert np.array_equal(found.centroids[:2], SRGB.entries(locked))
    assert found.assign() == 0
