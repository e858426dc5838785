"""The NumPy reference itself, by hand and by brute force."""

import numpy as np
import oracle
import pytest

from kquant.bench import numpy_kmeans as reference


@pytest.mark.parametrize("assign", [reference.assign, reference.assign_matmul])
def test_assign_is_the_nearest(assign):
    colors = oracle.photo(1).reshape(-1, 3).astype(np.float32)
    centroids = np.random.default_rng(0).integers(0, 256, (30, 3)).astype(np.float64)
    expected = oracle.nearest(colors, centroids)
    labels = assign(colors, centroids)
    # A matrix product rounds, so ties may go either way: compare the distances.
    assert reference.mse(colors, centroids, labels) == pytest.approx(
        reference.mse(colors, centroids, expected), rel=1e-6
    )
    if assign is reference.assign:
        assert np.array_equal(labels, expected)


def test_update_by_hand():
    colors = np.float32([[0, 0, 0], [2, 4, 6], [9, 9, 9]])
    centroids = np.float64([[1, 1, 1], [5, 5, 5], [7, 7, 7]])
    labels = np.array([0, 0, 2])
    means = reference.update(colors, centroids, labels)
    assert means.tolist() == [[1, 2, 3], [5, 5, 5], [9, 9, 9]]
    means = reference.update(colors, centroids, labels, np.array([1, 3, 1]))
    assert means.tolist() == [[1.5, 3, 4.5], [5, 5, 5], [9, 9, 9]]


def test_weights_equal_repetition():
    pixels = oracle.photo(2)
    flat = pixels.reshape(-1, 3).astype(np.float32)
    colors, counts = reference.count_colors(pixels)
    assert len(colors) == len(oracle.count(pixels))
    start = flat[::1000][:12].astype(np.float64)
    by_pixel = reference.lloyd(flat, start, 5)
    by_color = reference.lloyd(colors, start, 5, counts)
    assert by_color == pytest.approx(by_pixel, abs=1e-6)
