"""Palettes of every size from one search."""

import numpy as np
import oracle
import pytest

import kquant
from kquant import Histogram
from kquant.color.space import get_space
from kquant.fit.nested import NestedPalettes
from kquant.fit.problem import EFFORTS, Problem
from kquant.parallel import Workers

SRGB = get_space("srgb")


@pytest.fixture
def workers():
    with Workers(1) as workers:
        yield workers


def nested(image, k, workers, lock=()):
    histogram = Histogram.from_image(image)
    lock = np.array(lock, np.uint8).reshape(-1, histogram.colors.shape[1])
    problem = Problem(histogram, k, SRGB, lock, EFFORTS["fast"], seed=0)
    return NestedPalettes(problem, workers), histogram


def check(palettes, histogram, lock=()):
    """Look at every size: its entries, labels, counts, and what was expected of it."""
    locked = {tuple(color) for color in lock}
    expected = []
    for size in range(palettes.least, palettes.most + 1):
        clusters = palettes.at(size).clusters
        entries = set(map(tuple, clusters.colors.tolist()))
        assert len(clusters.colors) == len(entries) == size
        assert locked <= entries
        used = np.bincount(clusters.labels, histogram.counts, size)
        assert clusters.counts.tolist() == used.tolist()
        if size < palettes.most or not locked:
            points, of = SRGB.entries(histogram.colors), SRGB.entries(clusters.colors)
            assert np.array_equal(clusters.labels, oracle.nearest(points, of))
        expected.append(palettes.expected_error(size))
        assert palettes.at(size).clusters is clusters  # which is made once
    assert expected[0] == max(expected)
    if not locked:  # which a merge may well go into, though they cannot move
        assert expected == sorted(expected, reverse=True)


def test_there_is_a_palette_of_every_size(workers):
    palettes, histogram = nested(oracle.photo(2, 40, 50), 24, workers)
    assert (palettes.least, palettes.most) == (1, 24)
    check(palettes, histogram)


def test_the_locked_are_in_every_one(workers):
    lock = [(255, 0, 0), (0, 255, 0), (1, 2, 3)]
    palettes, histogram = nested(oracle.photo(2, 40, 50), 20, workers, lock)
    assert (palettes.least, palettes.most) == (3, 20)
    check(palettes, histogram, lock)


def few_colors():
    """A picture of 27 colours, each more frequent than the next."""
    chance = np.random.default_rng(0)
    values = np.stack(np.meshgrid(*3 * [[0, 90, 200]]), -1).reshape(-1, 3)
    order = chance.permutation(np.repeat(np.arange(27), np.arange(60, 6, -2)))
    return values[order].astype(np.uint8)[np.newaxis]


def test_if_there_are_few_colors_the_largest_has_them_all(workers):
    image = few_colors()
    palettes, histogram = nested(image, 100, workers)
    assert palettes.most == 27
    assert palettes.at(27).clusters.counts.tolist() == sorted(
        histogram.counts, reverse=True
    )
    check(palettes, histogram)


@pytest.mark.parametrize(
    "lock",
    [
        [(90, 90, 90)],  # one that the picture has
        [(255, 1, 2)],  # or has not
        [(255, 1, 2), (0, 0, 0), (200, 0, 90), (7, 7, 7)],
    ],
)
def test_and_the_locked_ones(workers, lock):
    image = few_colors()
    histogram = Histogram.from_image(image)
    unused = {color for color in lock if color not in oracle.count(image)}
    palettes, _ = nested(image, 100, workers, lock)
    assert (palettes.least, palettes.most) == (len(lock), 27 + len(unused))
    check(palettes, histogram, lock)
    q = kquant.quantize(image, max_mse=1500, lock=lock)
    assert set(lock) <= set(q.palette)
    assert len(lock) < len(q.palette) < 27
    assert q.mse <= 1500


def test_no_more_than_there_is_room_for(workers):
    lock = [(255, 1, 2), (255, 2, 1)]
    palettes, histogram = nested(few_colors(), 28, workers, lock)  # 29 would be all
    assert (palettes.least, palettes.most) == (2, 28)
    check(palettes, histogram, lock)


def test_a_listener_can_stop_it_while_it_shrinks():
    heard = []

    def stop(stage, fraction):
        heard.append(fraction)
        if len(heard) > 5:
            raise StopIteration

    with Workers(1, stop) as workers:
        palettes, _ = nested(few_colors(), 100, workers)
        with pytest.raises(StopIteration):
            palettes.expected_error(3)


def test_an_unused_locked_color_does_not_swallow_clusters(workers):
    chance = np.random.default_rng(0)
    image = chance.integers(0, 3, (40, 40, 3)).astype(np.uint8) * 100
    image[:10] = 200  # a frequent colour, far from the locked one
    lock = [(250, 0, 250)]
    palettes, histogram = nested(image, 28, workers, lock)
    for size in (22, 16, 10):
        clusters = palettes.at(size).clusters
        away = clusters.colors[clusters.labels].astype(int) - histogram.colors
        mse = ((away**2).sum(axis=1) * histogram.counts).sum() / histogram.pixels
        alone = kquant.quantize(image, size, lock=["#fa00fa"], effort="fast").mse
        assert mse <= 1.2 * alone + 1
    expected = [palettes.expected_error(n) for n in range(1, palettes.most + 1)]
    assert expected == sorted(expected, reverse=True)
