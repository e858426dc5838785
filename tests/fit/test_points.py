"""The points that k-means runs on."""

import numpy as np
import oracle

from kquant import Histogram
from kquant.color.space import get_space
from kquant.fit.points import Points


def test_coarse_points_keep_weight_and_mean():
    histogram = Histogram.from_image(oracle.photo(1, 120, 160))
    points, cells = Points.of(histogram, get_space("srgb")), histogram.cells
    assert (cells[0], cells[-1]) == (1, len(points))
    coarse = points.coarsened(cells, 500)
    assert 500 <= len(coarse) < len(points)
    assert coarse.total[0] == points.total[0]
    means = coarse.total[1:] / coarse.total[0] - points.total[1:] / points.total[0]
    assert np.abs(means).max() < 0.5
    assert points.coarsened(cells, len(points) + 1) is points
