"""Centroids to 8 bits: distinct, used, and on the grid."""

import numpy as np
import pytest

from kquant import Histogram, _kernel
from kquant.color.space import get_space
from kquant.fit.lloyd import Lloyd, seed_centroids
from kquant.fit.points import Points
from kquant.fit.problem import EFFORTS, Problem
from kquant.fit.rounding import EightBitCentroids
from kquant.parallel import Workers

SRGB = get_space("srgb")


def problem(histogram, k, locked=()):
    colors = np.array(locked, np.uint8).reshape(-1, 3)
    return Problem(histogram, k, SRGB, colors, EFFORTS["balanced"], seed=0)


@pytest.fixture
def workers():
    with Workers(1) as workers:
        yield workers


@pytest.mark.parametrize("locked", [0, 3, 200])
def test_rounding_ends_distinct_used_and_on_the_grid(workers, locked):
    colors = np.stack(np.meshgrid(*[np.arange(50, 58)] * 3), -1).reshape(-1, 3)
    histogram = Histogram(colors, np.ones(512, int))
    entries = SRGB.entries(histogram.colors[:locked])
    lloyd = seed_centroids(Points.of(histogram, SRGB), 200, entries, workers)
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


@pytest.mark.parametrize("locked", [0, 3])
def test_entries_that_fall_together_each_time_end_distinct_and_used(
    workers, monkeypatch, locked
):
    colors = np.stack(np.meshgrid(*[np.arange(50, 54)] * 3), -1).reshape(-1, 3)
    histogram = Histogram(colors, np.ones(64, int))
    lock = histogram.colors[:locked]
    lloyd = seed_centroids(Points.of(histogram, SRGB), 30, SRGB.entries(lock), workers)
    rounded = EightBitCentroids(lloyd, problem(histogram, 30, lock))
    rounds = []

    def fall_together():
        rounds.append(lloyd.error())
        rounded.palette[locked:] = 52
        lloyd.centroids[locked:] = SRGB.entries(rounded.palette)[locked:]
        lloyd.assign()

    monkeypatch.setattr(rounded, "_round", fall_together)
    rounded.optimize()
    assert len(rounds) == 4  # and then it fills what is empty, without rounding
    assert (lloyd.sums[:, 0] > 0).all()
    assert len(np.unique(rounded.palette, axis=0)) == 30
    assert np.array_equal(rounded.palette[:locked], lock)
    assert np.array_equal(lloyd.centroids, SRGB.entries(rounded.palette))
    assert lloyd.assign() == 0


def test_locked_entries_may_leave_nothing_to_fill(workers):
    colors = np.array([[0, 0, 0], [9, 9, 9], [20, 20, 20]], np.uint8)
    histogram = Histogram(colors, [5, 3, 2])
    lock = np.concatenate([colors, [[255, 0, 0]]]).astype(np.uint8)
    entries = np.concatenate([SRGB.entries(lock), SRGB.entries(colors[:1])])
    lloyd = Lloyd(Points.of(histogram, SRGB), entries, workers, len(lock))
    lloyd.assign()
    rounded = EightBitCentroids(lloyd, problem(histogram, 5, lock))
    rounded.optimize()
    assert lloyd.error() == 0
    found = rounded.finish()  # the fifth is gone; a locked one stays without use
    assert found.tolist() == [[0, 0, 0], [9, 9, 9], [20, 20, 20], [255, 0, 0]]
    assert lloyd.sums[:, 0].tolist() == [5, 3, 2, 0]
