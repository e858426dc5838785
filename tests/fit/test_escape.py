"""Out of local optima, by moving a centroid to where it does more."""

import random

import numpy as np
import oracle
import pytest

from kquant import Histogram, _kernel
from kquant.color.space import get_space
from kquant.fit.escape import _choose_moves, escape
from kquant.fit.lloyd import Lloyd, seed_centroids
from kquant.fit.points import Points
from kquant.fit.problem import EFFORTS
from kquant.parallel import Workers

SRGB = get_space("srgb")
NONE_LOCKED = np.empty((0, _kernel.CHANNELS), np.int16)


@pytest.fixture(scope="module")
def points():
    return Points.of(Histogram.from_image(oracle.photo(1, 120, 160)), SRGB)


@pytest.fixture
def workers():
    with Workers(1) as workers:
        yield workers


@pytest.mark.parametrize("k", [2, 8, 64])
@pytest.mark.parametrize("seed", [0, 1])
def test_escape_lowers_the_error_or_leaves_it(points, workers, k, seed):
    lloyd = seed_centroids(points, k, NONE_LOCKED, workers)
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
