"""The search for the palette: each stage against the one before it."""

import random
from dataclasses import replace

import numpy as np
import oracle
import pytest

import kquant
from kquant import Histogram, _kernel
from kquant.bench import numpy_kmeans as reference
from kquant.color.space import get_space
from kquant.fit.escape import _choose_moves, escape
from kquant.fit.kmeans import search
from kquant.fit.lloyd import Lloyd, seed_centroids
from kquant.fit.points import Points
from kquant.fit.problem import EFFORTS, Problem
from kquant.fit.rounding import EightBitCentroids
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


@pytest.mark.parametrize("k", [2, 8, 64])
@pytest.mark.parametrize("seed", [0, 1])
def test_escape_lowers_the_error_or_leaves_it(points, workers, k, seed):
    lloyd = start(points, k, workers)
    lloyd.iterate(20)
    before = lloyd.error()
    escape(lloyd, EFFORTS["balanced"], random.Random(seed))
    assert lloyd.error() <= before
    assert lloyd.assign() == 0  # labels belong to the centroids


def test_escape_finds_a_cluster_that_a_bad_start_missed(workers):
    chance = np.random.default_rng(0)
    centers = np.array([[30, 30, 30], [60, 30, 30], [200, 200, 40], [40, 220, 220]])
    colors = (centers[:, None] + chance.integers(-6, 7, (4, 300, 3))).reshape(-1, 3)
    points = Points.of(Histogram(colors, np.ones(len(colors), int)), SRGB)
    # Three centroids share one cluster, one has to serve the other three.
    bad = np.array([[30, 30, 30], [28, 33, 30], [33, 28, 30], [150, 150, 100]])
    lloyd = Lloyd(points, np.pad(bad * _kernel.ONE, ((0, 0), (0, 1))), workers)
    lloyd.assign()
    lloyd.iterate(20)
    stuck = lloyd.error()
    escape(lloyd, EFFORTS["balanced"], random.Random(0))
    lloyd.iterate(20)
    assert lloyd.error() < 0.2 * stuck
    found = oracle.nearest(lloyd.centroids[:, :3] / _kernel.ONE, centers)
    assert sorted(found) == [0, 1, 2, 3]


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


def test_no_cluster_is_in_two_moves():
    chance = np.random.default_rng(0)
    for most in (1, 3, 50):
        gains, costs = chance.random(50), chance.random(50) / 10
        partners = (np.arange(50) + chance.integers(1, 50, 50)) % 50
        moves = _choose_moves(gains, costs, partners, most, 0)
        assert 1 <= len(moves) <= most
        touched = [
            i for given_up, cut in moves for i in (given_up, partners[given_up], cut)
        ]
        assert len(set(touched)) == len(touched)


@pytest.mark.parametrize("locked", [0, 3, 200])
def test_rounding_ends_distinct_used_and_on_the_grid(workers, locked):
    colors = np.stack(np.meshgrid(*[np.arange(50, 58)] * 3), -1).reshape(-1, 3)
    histogram = Histogram(colors, np.ones(512, int))
    entries = SRGB.entries(histogram.colors[:locked])
    lloyd = start(Points.of(histogram, SRGB), 200, workers, entries)
    lock = histogram.colors[:locked]
    rounded = EightBitCentroids(lloyd, problem(histogram, 200, locked=lock))
    rounded.optimize()
    assert (lloyd.centroids % _kernel.ONE == 0).all()
    assert np.array_equal(lloyd.centroids[:, :3] // _kernel.ONE, rounded.palette)
    assert len(np.unique(lloyd.centroids, axis=0)) == 200
    assert np.array_equal(lloyd.centroids[:locked], entries)
    assert (lloyd.sums[:, 0] > 0).all()


def test_empty_clusters_go_to_the_colors_that_cost_most(workers):
    colors = np.array([[0, 0, 0], [1, 1, 1], [9, 9, 9], [255, 255, 255]])
    histogram = Histogram(colors, [1000, 900, 5, 1])
    bad = np.array([[0, 0, 0, 0], [0, 0, 0, 0]], np.int16)
    lloyd = Lloyd(Points.of(histogram, SRGB), bad, workers)
    lloyd.assign()
    rounded = EightBitCentroids(lloyd, problem(histogram, 2))
    assert rounded._fill_empty()
    # 1 * 3 * 255**2 is more than 900 * 3 or 5 * 3 * 81.
    assert rounded.palette[1].tolist() == [255, 255, 255]
    assert (lloyd.centroids[1, :3] // _kernel.ONE).tolist() == [255, 255, 255]
    assert not rounded._fill_empty()


def test_locked_centroids_never_move(histogram, points, workers):
    locked = np.array([[255, 0, 0], [0, 255, 0]], np.uint8)
    found = search(problem(histogram, 24, locked=locked), points, workers)
    assert np.array_equal(found.centroids[:2], SRGB.entries(locked))
    assert found.assign() == 0


def test_coarse_points_keep_weight_and_mean(points):
    cells = Histogram.from_image(oracle.photo(1, 120, 160)).cells
    assert (cells[0], cells[-1]) == (1, len(points))
    coarse = points.coarsened(cells, 500)
    assert 500 <= len(coarse) < len(points)
    assert coarse.total[0] == points.total[0]
    means = coarse.total[1:] / coarse.total[0] - points.total[1:] / points.total[0]
    assert np.abs(means).max() < 0.5
    assert points.coarsened(cells, len(points) + 1) is points
