"""The C kernel, function by function and level by level, against brute force."""

import functools
from types import SimpleNamespace

import numpy as np
import oracle
import pytest
from conftest import BEST, LEVELS
from hypothesis import given, settings
from hypothesis import strategies as st

from kquant import _kernel
from kquant.color.histogram import Histogram, morton_codes
from kquant.color.space import get_space
from kquant.fit.points import Points

SRGB = get_space("srgb")

# One, around the lanes of a vector and the points of a block, and a deep tree.
SIZES = [1, 2, 15, 16, 17, 33, 127, 128, 129, 1000, 20_000]


def make_points(n, seed=0, clustered=False, channels=3):
    """At most n distinct colours with weights, as points and as plain arrays."""
    chance = np.random.default_rng(seed)
    if clustered:
        colors = np.clip(chance.normal(90, 12, (n, channels)), 0, 255).astype(np.uint8)
    else:
        colors = chance.integers(0, 256, (n, channels), np.uint8)
    histogram = Histogram(colors, chance.integers(1, 1000, n))
    return Points.of(histogram, SRGB), histogram


def as_coords(histogram):
    """(n, 4) int64: the channels on the grid; with alpha, premultiplied from grey."""
    colors = histogram.colors.astype(np.int64)
    if colors.shape[1] == 3:
        return np.pad(colors * _kernel.ONE, ((0, 0), (0, 1)))
    alpha = colors[:, 3:]
    middle = 255 * _kernel.ONE // 2
    parts = (colors[:, :3] * _kernel.ONE - middle) * alpha / 255
    rounded = np.sign(parts) * np.floor(np.abs(parts) + 0.5)
    opaque = int(3**0.5 / 2 * 255 * _kernel.ONE + 0.5)
    return np.hstack([middle + rounded, (2 * opaque * alpha + 255) // 510]).astype(int)


def as_centroids(coords):
    return np.ascontiguousarray(coords, np.int16)


def assign(points, centroids, labels=None, sums=None):
    if labels is None:
        labels = np.zeros(len(points), np.uint8)
        sums = np.zeros((len(centroids), _kernel.SUMS), np.int64)
        sums[0] = points.total
    roots = points.tree.roots
    changed = points.tree.assign(0, roots, as_centroids(centroids), labels, sums)
    return labels, sums, changed


def sums_of(histogram, labels, k):
    sums = np.zeros((k, _kernel.SUMS), np.int64)
    np.add.at(sums[:, 0], labels, histogram.counts)
    coords = as_coords(histogram)
    for c in range(4):
        np.add.at(sums[:, c + 1], labels, histogram.counts * coords[:, c])
    return sums


@functools.cache  # one answer, which every level is compared with
def assigned_twice(n, k, clustered, channels):
    """Return points, and for two calls the centroids, and labels and sums after."""
    points, histogram = make_points(n, n + k, clustered, channels)
    chance = np.random.default_rng(k)
    centroids = as_coords(make_points(k, k, clustered, channels)[1])
    first = centroids[chance.permutation(len(centroids))]
    # Once more from there, with centroids that are on the fine grid.
    moves = chance.integers(-99, 100, first.shape) * (np.arange(4) < channels)
    second = np.clip(first + moves, 0, 16320)
    calls = []
    for centroids in (first, second):
        labels = oracle.nearest(as_coords(histogram), centroids)
        calls.append((centroids, labels, sums_of(histogram, labels, len(centroids))))
    return points, calls


@pytest.mark.parametrize("n", SIZES)
@pytest.mark.parametrize("k", [1, 2, 16, 17, 255, 256])
@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize("channels", [3, 4])
def test_assign_finds_the_nearest_and_keeps_the_sums(level, n, k, clustered, channels):
    points, calls = assigned_twice(n, k, clustered, channels)
    labels, sums, before = None, None, 0
    for centroids, expected, expected_sums in calls:
        labels, sums, changed = assign(points, centroids, labels, sums)
        assert np.array_equal(labels, expected)
        assert np.array_equal(sums, expected_sums)
        assert changed == np.count_nonzero(expected != before)
        before = expected


@pytest.mark.parametrize("channels", [3, 4])
@settings(max_examples=60)
@given(data=st.data(), level=st.sampled_from(LEVELS))
def test_assign_is_exact_for_any_colors_and_centroids(channels, data, level):
    color = st.tuples(*[st.integers(0, 255)] * channels)
    centroid = st.tuples(*[st.integers(0, 16320)] * channels)
    colors = data.draw(st.lists(color, min_size=1, max_size=300))
    centroids = np.array(data.draw(st.lists(centroid, min_size=1, max_size=9)))
    centroids = np.pad(centroids, ((0, 0), (0, 4 - channels)))
    histogram = Histogram(colors, [1] * len(colors))
    _kernel.use_level(level)
    labels, _, _ = assign(Points.of(histogram, SRGB), centroids)
    _kernel.use_level(BEST)
    assert np.array_equal(labels, oracle.nearest(as_coords(histogram), centroids))


def test_ties_go_to_the_lowest_index(level):
    points, _ = make_points(500)
    centroids = np.repeat([[8000, 8000, 8000, 0]], 200, axis=0)
    labels, _, _ = assign(points, centroids)
    assert not labels.any()
    # Corners of a cube around a middle that is equally far from all of them.
    corners = np.array(np.meshgrid([0, 255], [0, 255], [0, 254])).reshape(3, -1).T
    middle = Points.of(Histogram([[127, 127, 127]], [1]), SRGB)
    corners = np.pad(corners[::-1] * _kernel.ONE, ((0, 0), (0, 1)))
    labels, _, _ = assign(middle, corners)
    expected = oracle.nearest([[127 * 64] * 3 + [0]], corners)
    assert np.array_equal(labels, expected)


def test_parts_of_the_tree_add_up(level):
    points, histogram = make_points(30_000, 5)
    centroids = as_coords(make_points(64, 6)[1]).astype(np.int16)
    labels = np.zeros(len(points), np.uint8)
    sums = np.zeros((64, _kernel.SUMS), np.int64)
    sums[0] = points.total
    for first in range(points.tree.roots):
        change = np.zeros_like(sums)
        points.tree.assign(first, first + 1, centroids, labels, change)
        sums += change
    assert np.array_equal(labels, oracle.nearest(as_coords(histogram), centroids))
    assert np.array_equal(sums, sums_of(histogram, labels, 64))


@pytest.mark.parametrize("channels", [3, 4])
def test_update_is_the_nearest_grid_point_to_the_mean(channels):
    points, histogram = make_points(5000, 1, channels=channels)
    centroids = as_coords(make_points(20, 2, channels=channels)[1])
    labels, sums, _ = assign(points, centroids)
    moved = as_centroids(centroids)
    count = _kernel.update(sums, moved)
    for k in range(20):
        weights = histogram.counts[labels == k]
        mean = np.average(as_coords(histogram)[labels == k], axis=0, weights=weights)
        assert (np.abs(moved[k] - mean) <= 0.5 + 1e-9).all()
    assert count == (moved != centroids).any(axis=1).sum()


def test_update_leaves_an_empty_cluster_where_it_is():
    centroids = np.array([[1, 2, 3, 9], [4, 5, 6, 9]], np.int16)
    sums = np.array([[0, 0, 0, 0, 0], [2, 20, 22, 24, 26]], np.int64)
    assert _kernel.update(sums, centroids) == 1
    assert centroids.tolist() == [[1, 2, 3, 9], [10, 11, 12, 13]]


@pytest.mark.parametrize("channels", [3, 4])
def test_a_lloyd_iteration_never_raises_the_error(level, channels):
    points, _ = make_points(20_000, 3, channels=channels)
    centroids = as_centroids(as_coords(make_points(100, 4, channels=channels)[1]))
    labels, sums, _ = assign(points, centroids)
    error = _kernel.error(sums, centroids, points.energy)
    for _ in range(30):
        _kernel.update(sums, centroids)
        updated = _kernel.error(sums, centroids, points.energy)
        assign(points, centroids, labels, sums)
        assigned = _kernel.error(sums, centroids, points.energy)
        assert assigned <= updated <= error
        error = assigned


def test_error_is_the_weighted_squared_distance():
    points, histogram = make_points(3000, 7)
    centroids = as_coords(make_points(10, 8)[1])
    labels, sums, _ = assign(points, centroids)
    distances = ((as_coords(histogram) - centroids[labels]) ** 2).sum(axis=1)
    expected = (distances * histogram.counts).sum() / _kernel.ONE**2
    error = _kernel.error(sums, as_centroids(centroids), points.energy)
    assert error == pytest.approx(expected, rel=1e-9)


def test_measure_is_exact(level):
    _, histogram = make_points(3000, 9)
    palette = make_points(7, 10)[1].colors
    labels = oracle.nearest(histogram.colors, palette).astype(np.uint8)
    distances = ((histogram.colors.astype(int) - palette[labels]) ** 2).sum(axis=1)
    total = (distances * histogram.counts).sum()
    counts = np.empty(len(palette), np.int64)
    row = histogram.colors[np.newaxis], labels[np.newaxis], palette, counts
    weights = histogram.counts[np.newaxis]
    assert _kernel.measure(*row, weights) == (total, distances.max())
    assert counts.tolist() == [
        histogram.counts[labels == k].sum() for k in range(len(palette))
    ]
    assert _kernel.measure(*row) == (distances.sum(), distances.max())
    assert counts.tolist() == np.bincount(labels, minlength=len(palette)).tolist()


def test_measure_with_alpha_is_the_mean_over_black_and_white():
    _, histogram = make_points(3000, 9, channels=4)
    palette = make_points(7, 10, channels=4)[1].colors
    labels = np.random.default_rng(1).integers(0, 7, len(histogram)).astype(np.uint8)
    shown = [
        [c[:, :3] * (c[:, 3:] / 255) + back * (1 - c[:, 3:] / 255) for back in (0, 255)]
        for c in (histogram.colors, palette[labels])
    ]
    distances = (
        ((np.array(shown[0]) - np.array(shown[1])) ** 2).sum(axis=2).mean(axis=0)
    )
    counts = np.empty(len(palette), np.int64)
    row = histogram.colors[np.newaxis], labels[np.newaxis], palette, counts
    total, largest = _kernel.measure(*row, histogram.counts[np.newaxis])
    assert total == pytest.approx((distances * histogram.counts).sum(), rel=1e-12)
    assert largest == pytest.approx(distances.max(), rel=1e-12)


def test_codes_interleave_the_bits():
    colors = np.random.default_rng(0).integers(0, 256, (500, 3), np.uint8)
    assert morton_codes(colors).tolist() == [oracle.interleave(c) for c in colors]


def interleave_four(color):
    """Bits of r, g, b, a in turn, highest first; 0 for all that is transparent."""
    bits = [f"{channel:08b}" for channel in color]
    code = int("".join(r + g + b + a for r, g, b, a in zip(*bits, strict=True)), 2)
    return code if color[3] else 0


def test_codes_with_alpha_interleave_four():
    colors = np.random.default_rng(0).integers(0, 256, (500, 4), np.uint8)
    colors[::5, 3] = 0
    codes = morton_codes(colors)
    assert codes.tolist() == [interleave_four(c) for c in colors]
    back = np.empty_like(colors)
    _kernel.colors(codes, back)
    colors[colors[:, 3] == 0] = 0
    assert np.array_equal(back, colors)
    pixels = np.empty(500, np.uint32)
    _kernel.pixel_codes(colors.reshape(20, 25, 4), pixels)
    assert np.array_equal(pixels, codes)


@pytest.mark.parametrize("n", [1, 2, 100, 5000])
def test_tables_of_colors_find_every_pixel(n):
    _, histogram = make_points(n, 31, clustered=True, channels=4)
    pixels = np.random.default_rng(1).choice(histogram.colors, (37, 41))
    labels = np.random.default_rng(2).integers(0, 256, len(histogram)).astype(np.uint8)
    table = np.empty(1 << (2 * len(histogram) - 1).bit_length(), np.uint32)
    _kernel.hash_build(histogram.codes, table)
    indices, row = np.empty((37, 41), np.uint8), np.empty(41, np.uint32)
    _kernel.hash_lookup(pixels, histogram.codes, table, labels, row, indices)
    places = {tuple(c): i for i, c in enumerate(histogram.colors.tolist())}
    expected = [labels[places[tuple(c)]] for c in pixels.reshape(-1, 4).tolist()]
    assert indices.ravel().tolist() == expected


@pytest.mark.parametrize("capacity", [1, 2, 7, 100, 10**6])
@pytest.mark.parametrize("channels", [3, 4])
def test_blocks_are_runs_of_one_prefix_and_not_above_capacity(capacity, channels):
    points, _ = make_points(5000, 11, clustered=True, channels=channels)
    start = np.empty(len(points) + 1, np.uint32)
    count = _kernel.blocks(points.codes, 8 * channels, capacity, start)
    start = start[: count + 1].astype(int)
    assert start[0] == 0
    assert start[-1] == len(points)
    assert (np.diff(start) > 0).all()
    assert (np.diff(start) <= capacity).all()
    first, last = points.codes[start[:-1]], points.codes[start[1:] - 1]
    for low, high in zip(first.tolist(), last.tolist(), strict=True):
        # No colour outside the run may have what all in the run have in common.
        cell = low >> (low ^ high).bit_length()
        shared = points.codes >> (low ^ high).bit_length() == cell
        assert shared.sum() == ((points.codes >= low) & (points.codes <= high)).sum()


@pytest.mark.parametrize("channels", [3, 4])
def test_cell_counts_are_distinct_prefixes(channels):
    points, _ = make_points(4000, 12, clustered=True, channels=channels)
    most = 8 * channels
    cells = np.empty(most + 1, np.uintp)
    _kernel.cell_counts(points.codes, cells)
    codes = points.codes.astype(np.uint64)
    expected = [len(np.unique(codes >> np.uint64(most - b))) for b in range(most + 1)]
    assert cells.tolist() == expected


@pytest.mark.parametrize("shift", [24, 23, 16, 9, 1, 0])
@pytest.mark.parametrize("channels", [3, 4])
def test_coarsened_points_are_the_means_of_their_cells(shift, channels):
    points, histogram = make_points(4000, 13, channels=channels)
    cells = np.unique(points.codes >> shift)
    codes = np.empty(len(cells), np.uint32)
    weights = np.empty(len(cells), np.int64)
    coords = np.empty((channels, len(cells) + _kernel.LANES), np.int16)
    first = np.empty(len(cells) + 1, np.uint32)
    sums = np.empty((len(cells), _kernel.SUMS), np.int64)
    outputs = first, sums, codes, coords, weights
    m = points.tree.coarsen(points.codes, shift, *outputs)
    of = np.searchsorted(cells, points.codes >> shift)
    assert np.array_equal(sums, sums_of(histogram, of, len(cells)))
    assert np.array_equal(np.repeat(np.arange(m), np.diff(first.astype(int))), of)
    # Labels of cells become those of their points, and the sums follow.
    cell_labels = np.random.default_rng(shift).integers(0, 9, m).astype(np.uint8)
    labels = np.empty(len(points), np.uint8)
    inherited = np.zeros((9, _kernel.SUMS), np.int64)
    _kernel.inherit(first, sums, cell_labels, labels, inherited)
    assert np.array_equal(labels, cell_labels[of])
    assert np.array_equal(inherited, sums_of(histogram, labels, 9))
    assert m == len(cells)
    assert codes.tolist() == (cells << shift).tolist()
    totals = np.bincount(of, histogram.counts)
    assert np.array_equal(weights, totals)
    for c in range(channels):
        weighted = histogram.counts * as_coords(histogram)[:, c]
        mean = np.bincount(of, weighted) / totals
        assert (np.abs(coords[c, :m] - mean) <= 0.5 + 1e-9).all()


def start(points, k):
    centroids = np.empty((k, 4), np.int16)
    order, bins = np.empty(len(points), np.uint32), np.empty(len(points), np.uint8)
    used = points.tree.start(order, bins, centroids)
    return centroids[:used]


def error_of(histogram, centroids):
    distances = (
        (
            as_coords(histogram)
            - centroids[oracle.nearest(as_coords(histogram), centroids)]
        )
        ** 2
    ).sum(axis=1)
    return (distances * histogram.counts).sum()


@pytest.mark.parametrize("channels", [3, 4])
def test_start_with_one_centroid_is_the_mean(channels):
    points, histogram = make_points(1000, 14, channels=channels)
    mean = np.average(as_coords(histogram), axis=0, weights=histogram.counts)
    assert np.abs(start(points, 1)[0] - mean).max() <= 0.5 + 1e-9


@pytest.mark.parametrize("k", [2, 5, 64, 256])
@pytest.mark.parametrize("channels", [3, 4])
def test_start_is_distinct_and_better_than_a_random_one(k, channels):
    points, histogram = make_points(3000, 15, channels=channels)
    centroids = start(points, k)
    assert len(np.unique(centroids, axis=0)) == k
    chance = np.random.default_rng(0)
    for _ in range(5):
        other = chance.choice(as_coords(histogram), k, replace=False)
        assert error_of(histogram, centroids) < error_of(histogram, other)


def test_start_stops_where_there_is_nothing_to_cut():
    points, _ = make_points(5, 16)
    assert len(start(points, 256)) == len(points)


def best_cut_gain(coords, counts):
    """Squared error that the best plane across the principal axis removes."""
    coords = coords - np.average(coords, axis=0, weights=counts)
    axis = np.linalg.eigh(np.cov(coords.T, fweights=counts))[1][:, -1]
    order = np.argsort(coords @ axis)
    weights = np.cumsum(counts[order])[:-1]
    sums = np.cumsum(coords[order] * counts[order, None], axis=0)[:-1]
    total = counts.sum()
    return ((sums**2).sum(axis=1) * total / weights / (total - weights)).max()


@pytest.mark.parametrize("channels", [3, 4])
def test_splits_remove_as_much_error_as_they_say(channels):
    points, histogram = make_points(4000, 17, clustered=True, channels=channels)
    centroids = start(points, 12)
    labels, sums, _ = assign(points, centroids)
    _kernel.update(sums, centroids)
    gains, halves = np.empty(12), np.zeros((12, 2, 4), np.int16)
    scratch = np.empty((12, _kernel.BINS, _kernel.SUMS))
    points.tree.splits(labels, scratch, gains, halves)
    for k in range(12):
        inside = labels == k
        coords, counts = as_coords(histogram)[inside], histogram.counts[inside]
        mean = np.average(coords, axis=0, weights=counts)
        before = (((coords - mean) ** 2).sum(axis=1) * counts).sum()
        sides = oracle.nearest(coords, halves[k])
        after = (((coords - halves[k][sides]) ** 2).sum(axis=1) * counts).sum()
        # Nearest halves are at least as good as the cut that made them.
        assert 0 < gains[k] <= (before - after) * (1 + 1e-3)
        assert gains[k] > 0.9 * best_cut_gain(coords, counts)


@pytest.mark.parametrize("channels", [3, 4])
def test_merges_name_the_cheapest_partner(channels):
    points, _ = make_points(4000, 18, channels=channels)
    centroids = start(points, 30)
    _, sums, _ = assign(points, centroids)
    costs, partners = np.empty(30), np.empty(30, np.int32)
    _kernel.merges(sums, centroids, costs, partners)
    weights = sums[:, 0].astype(float)
    distances = ((centroids[:, None].astype(int) - centroids) ** 2).sum(axis=2)
    ward = distances * np.outer(weights, weights) / np.add.outer(weights, weights)
    np.fill_diagonal(ward, np.inf)
    assert np.array_equal(partners, ward.argmin(axis=1))
    assert costs == pytest.approx(ward.min(axis=1))


def test_merges_of_one_cluster_have_no_partner():
    costs, partners = np.empty(1), np.empty(1, np.int32)
    sums, centroids = np.ones((1, 5), np.int64), np.ones((1, 4), np.int16)
    _kernel.merges(sums, centroids, costs, partners)
    assert partners[0] == 0
    assert costs[0] > 1e300


@pytest.mark.parametrize("channels", [3, 4])
def test_total_is_all_points_together(channels):
    points, histogram = make_points(3000, 19, channels=channels)
    coords, counts = as_coords(histogram), histogram.counts
    total = [counts.sum(), *(coords * counts[:, None]).sum(axis=0)]
    assert points.total.tolist() == total
    assert points.energy == ((coords**2).sum(axis=1) * counts).sum()


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda v: v.tree.assign(0, v.roots + 1, v.c, v.labels, v.sums), "root blocks"),
        (lambda v: v.tree.assign(0, 1, v.c[:0], v.labels, v.sums[:0]), "centroids"),
        (lambda v: v.tree.assign(0, 1, v.c, v.labels[1:], v.sums), "labels"),
        (lambda v: v.tree.assign(0, 1, v.c, v.labels, v.sums[1:]), "sums"),
        (lambda v: _kernel.update(v.sums[1:], v.c), "sums"),
        (lambda v: v.tree.start(v.order[1:], v.labels, v.c), "order"),
        (lambda v: v.tree.start(v.order, v.labels[1:], v.c), "order"),
    ],
)
def test_buffers_of_a_wrong_size_are_refused(call, what):
    points, _ = make_points(100, 20)
    values = SimpleNamespace(
        tree=points.tree,
        roots=points.tree.roots,
        c=start(points, 4),
        order=np.zeros(len(points), np.uint32),
        labels=np.zeros(len(points), np.uint8),
        sums=np.zeros((4, _kernel.SUMS), np.int64),
    )
    with pytest.raises(ValueError, match=f"kernel: {what}"):
        call(values)
