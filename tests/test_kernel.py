"""The C kernel, function by function and level by level, against brute force."""

import functools
import threading
from types import SimpleNamespace

import numpy as np
import oracle
import pytest
from conftest import BEST, LEVELS
from hypothesis import given, settings
from hypothesis import strategies as st

import kquant
from kquant import _kernel
from kquant.color.counting import allocate, morton_codes
from kquant.color.histogram import Histogram
from kquant.color.space import get_space
from kquant.fit.points import CAPACITIES, Points

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
    blocks = len(points.roots) - 1
    changed, change = points.tree.assign(0, blocks, as_centroids(centroids), labels)
    return labels, sums + change, changed


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
    for first in range(len(points.roots) - 1):
        _, change = points.tree.assign(first, first + 1, centroids, labels)
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
    error = points.tree.error(sums, centroids)
    for _ in range(30):
        _kernel.update(sums, centroids)
        updated = points.tree.error(sums, centroids)
        labels, sums, _ = assign(points, centroids, labels, sums)
        assigned = points.tree.error(sums, centroids)
        assert assigned <= updated <= error
        error = assigned


def test_error_is_the_weighted_squared_distance():
    points, histogram = make_points(3000, 7)
    centroids = as_coords(make_points(10, 8)[1])
    labels, sums, _ = assign(points, centroids)
    distances = ((as_coords(histogram) - centroids[labels]) ** 2).sum(axis=1)
    expected = (distances * histogram.counts).sum() / _kernel.ONE**2
    error = points.tree.error(sums, as_centroids(centroids))
    assert error == pytest.approx(expected, rel=1e-9)


def test_measure_is_exact(level):
    _, histogram = make_points(3000, 9)
    palette = make_points(7, 10)[1].colors
    labels = oracle.nearest(histogram.colors, palette).astype(np.uint8)
    distances = ((histogram.colors.astype(int) - palette[labels]) ** 2).sum(axis=1)
    total = (distances * histogram.counts).sum()
    row = histogram.colors[np.newaxis], labels[np.newaxis], palette
    *found, counts = _kernel.measure(*row, histogram.counts[np.newaxis])
    assert found == [total, distances.max()]
    assert counts.tolist() == [
        histogram.counts[labels == k].sum() for k in range(len(palette))
    ]
    *found, counts = _kernel.measure(*row)
    assert found == [distances.sum(), distances.max()]
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
    row = histogram.colors[np.newaxis], labels[np.newaxis], palette
    total, largest, _ = _kernel.measure(*row, histogram.counts[np.newaxis])
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
    assert np.array_equal(_kernel.pixel_codes(colors.reshape(20, 25, 4)), codes)
    colors[colors[:, 3] == 0] = 0
    assert np.array_equal(_kernel.decoded(codes, 4), colors)


@pytest.mark.parametrize("n", [1, 2, 100, 5000])
@pytest.mark.parametrize("channels", [3, 4])
def test_tables_of_colors_find_every_pixel(n, channels):
    _, histogram = make_points(n, 31, clustered=True, channels=channels)
    pixels = np.random.default_rng(1).choice(histogram.colors, (37, 41))
    labels = np.random.default_rng(2).integers(0, 256, len(histogram)).astype(np.uint8)
    indices = np.empty((37, 41), np.uint8)
    _kernel.ColorIndex(histogram.checked_codes, labels).map(pixels, indices)
    ranks = {tuple(c): i for i, c in enumerate(histogram.colors.tolist())}
    expected = [labels[ranks[tuple(c)]] for c in pixels.reshape(-1, channels).tolist()]
    assert indices.ravel().tolist() == expected


@pytest.mark.parametrize("channels", [3, 4])
def test_other_colors_get_a_label_that_is_there(channels):
    _, histogram = make_points(3000, 32, clustered=True, channels=channels)
    labels = np.full(len(histogram), 7, np.uint8)
    pixels = np.random.default_rng(3).integers(0, 256, (200, 300, channels), np.uint8)
    indices = np.empty((200, 300), np.uint8)
    _kernel.ColorIndex(histogram.checked_codes, labels).map(pixels, indices)
    assert (indices == 7).all()


@pytest.mark.parametrize("capacity", [1, 2, 7, 100, 10**6])
@pytest.mark.parametrize("channels", [3, 4])
def test_blocks_are_runs_of_one_prefix_and_not_above_capacity(capacity, channels):
    points, histogram = make_points(5000, 11, clustered=True, channels=channels)
    codes = histogram.codes
    tree = _kernel.Tree(
        histogram.checked_codes, points.coords, points.weights, [capacity] * 3
    )
    start = tree.roots.astype(int)
    assert start[0] == 0
    assert start[-1] == len(points)
    assert (np.diff(start) > 0).all()
    assert (np.diff(start) <= capacity).all()
    for low, high in zip(
        codes[start[:-1]].tolist(), codes[start[1:] - 1].tolist(), strict=True
    ):
        # No colour outside the run may have what all in the run have in common.
        cell = low >> (low ^ high).bit_length()
        shared = codes >> (low ^ high).bit_length() == cell
        assert shared.sum() == ((codes >= low) & (codes <= high)).sum()


@pytest.mark.parametrize("channels", [3, 4])
def test_cells_are_distinct_prefixes(channels):
    _, histogram = make_points(4000, 12, clustered=True, channels=channels)
    most = 8 * channels
    codes = histogram.codes.astype(np.uint64)
    expected = [len(np.unique(codes >> np.uint64(most - b))) for b in range(most + 1)]
    assert histogram.cells.tolist() == expected


@pytest.mark.parametrize("shift", [24, 23, 16, 9, 1, 0])
@pytest.mark.parametrize("channels", [3, 4])
def test_coarsened_points_are_the_means_of_their_cells(shift, channels):
    points, histogram = make_points(4000, 13, channels=channels)
    cells, of = np.unique(histogram.codes >> shift, return_inverse=True)
    coarse = points.tree.coarsen(8 * channels - shift, [8, 4, 2])
    m = len(cells)
    assert len(coarse.weights) == m
    # Labels of cells become those of their points, and the sums follow.
    cell_labels = np.random.default_rng(shift).integers(0, 9, m).astype(np.uint8)
    labels, inherited = coarse.inherit(cell_labels, 9)
    assert np.array_equal(labels, cell_labels[of])
    assert np.array_equal(inherited, sums_of(histogram, labels, 9))
    sums = sums_of(histogram, of, m)
    assert np.array_equal(coarse.weights, sums[:, 0])
    means = sums[:, 1 : channels + 1] / sums[:, :1]
    assert (np.abs(coarse.coords[:, :m].T - means) <= 0.5 + 1e-9).all()
    with pytest.raises(ValueError, match="not coarse"):
        points.tree.inherit(labels, 9)


def start(points, k):
    return points.tree.seed(k)


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
    gains, halves = points.tree.splits(labels, 12)
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
    costs, partners = _kernel.merges(sums, centroids)
    weights = sums[:, 0].astype(float)
    distances = ((centroids[:, None].astype(int) - centroids) ** 2).sum(axis=2)
    ward = distances * np.outer(weights, weights) / np.add.outer(weights, weights)
    np.fill_diagonal(ward, np.inf)
    assert np.array_equal(partners, ward.argmin(axis=1))
    assert costs == pytest.approx(ward.min(axis=1))


def test_merges_of_one_cluster_have_no_partner():
    sums, centroids = np.ones((1, 5), np.int64), np.ones((1, 4), np.int16)
    costs, partners = _kernel.merges(sums, centroids)
    assert partners[0] == 0
    assert costs[0] > 1e300


@pytest.mark.parametrize("channels", [3, 4])
def test_total_is_all_points_together(channels):
    points, histogram = make_points(3000, 19, channels=channels)
    coords, counts = as_coords(histogram), histogram.counts
    total = [counts.sum(), *(coords * counts[:, None]).sum(axis=0)]
    assert points.total.tolist() == total
    energy = ((coords**2).sum(axis=1) * counts).sum()
    origin = np.zeros((1, 4), np.int16)
    assert points.tree.error(points.total[np.newaxis], origin) * 64**2 == energy


def changed(array, index, value):
    array = array.copy()
    array[index] = value
    return array


def make_values(channels):
    """Arguments that go together, of every kind there is, for tests to spoil one."""
    points, histogram = make_points(3000, 20, channels=channels)
    chance = np.random.default_rng(21)
    pixels = chance.choice(histogram.colors, (150, 70))
    centroids = start(points, 4)
    labels, sums, _ = assign(points, centroids)
    codes, channels = histogram.checked_codes, channels
    picture = _kernel.Picture(pixels, codes, points.coords, labels, centroids, 200)
    opaque = np.ascontiguousarray(pixels[..., :3])
    buckets, tables = _kernel.Buckets(opaque), _kernel.Tables(2)
    tables.add(0, opaque)
    return SimpleNamespace(
        histogram=histogram,
        codes=histogram.codes,
        checked=codes,
        points=points,
        tree=points.tree,
        coarse=points.tree.coarsen(8, CAPACITIES),
        blocks=len(points.roots) - 1,
        coords=points.coords,
        weights=points.weights,
        c=centroids,
        labels=labels,
        sums=sums,
        pixels=pixels,
        opaque=opaque,
        weighed=chance.integers(0, 9, pixels.shape[:2]),
        indices=np.zeros(pixels.shape[:2], np.uint8),
        colors=histogram.colors[:4].copy(),
        picture=picture,
        nearest=_kernel.Nearest(picture),
        thresholds=np.zeros((_kernel.TILE, _kernel.TILE), np.uint8),
        buckets=buckets,
        tables=tables,
        counted=allocate(len(_kernel.pixel_codes(opaque))),
        exact=allocate(int(tables.sizes(0, _kernel.BUCKETS).sum())),
        listed=(histogram.codes, histogram.colors, histogram.counts),
        merged=allocate(2 * len(histogram), channels),
    )


@pytest.fixture(scope="module")
def opaque_values():
    return make_values(3)


@pytest.fixture(scope="module")
def alpha_values():
    return make_values(4)


def picture(v, **spoiled):
    given = {
        "pixels": v.pixels,
        "codes": v.checked,
        "coords": v.coords,
        "labels": v.labels,
        "palette": v.c,
        "strength": _kernel.STRENGTH,
    }
    return _kernel.Picture(*(given | spoiled).values())


def count(v, parts=None, first=0, last=_kernel.BUCKETS, out=None):
    parts = [v.buckets] if parts is None else parts
    return _kernel.count_colors(parts, first, last, *(out or v.counted))


def tree(v, **spoiled):
    given = {
        "codes": v.checked,
        "coords": v.coords,
        "weights": v.weights,
        "capacities": CAPACITIES,
    }
    return _kernel.Tree(*(given | spoiled).values())


BUCKETS, MOST, PLANES = _kernel.BUCKETS, 255 * _kernel.ONE, np.zeros((2, 9, 3), "u1")

# What each call is refused for. All that would make the kernel read or write beyond an
# array, divide by 0 or overflow is here.
REFUSED = {
    # Pixels.
    "one channel": lambda v: _kernel.Buckets(v.pixels[..., :1]),
    "no rows": lambda v: _kernel.Buckets(v.opaque[:0]),
    "no pixels in rows": lambda v: _kernel.Buckets(v.opaque[:, :0]),
    "more pixels than 32 bits count": lambda v: _kernel.Buckets(
        np.broadcast_to(v.opaque[:1, :1], (1 << 16, 1 << 16, 3))
    ),
    "alpha in tables": lambda v: v.tables.add(0, np.zeros((2, 2, 4), np.uint8)),
    "five channels": lambda v: _kernel.pixel_codes(np.zeros((2, 2, 5), np.uint8)),
    "decoded to two channels": lambda v: _kernel.decoded(v.codes, 2),
    "decoded to none": lambda v: _kernel.decoded(v.codes[:0], 3),
    # Buckets and tables.
    "no parts": lambda v: count(v, []),
    "too many parts": lambda v: count(v, [v.buckets] * 65),
    "buckets beyond the last": lambda v: count(v, last=BUCKETS + 1),
    "no buckets": lambda v: count(v, first=7, last=7),
    "buckets backwards": lambda v: count(v, first=9, last=8),
    "too little room": lambda v: count(v, out=[a[1:] for a in v.counted]),
    "room for one part of two": lambda v: count(v, [v.buckets] * 2),
    "less room for colours": lambda v: count(
        v, out=(v.counted[0], v.counted[1][1:], v.counted[2])
    ),
    "less room for counts": lambda v: count(v, out=(*v.counted[:2], v.counted[2][1:])),
    "colours with alpha": lambda v: count(v, out=allocate(len(v.counted[0]), 4)),
    "no tables": lambda v: _kernel.Tables(0),
    "too many tables": lambda v: _kernel.Tables(65),
    "a table that is not there": lambda v: v.tables.add(2, v.opaque),
    "sizes beyond the last": lambda v: v.tables.sizes(0, BUCKETS + 1),
    "no sizes": lambda v: v.tables.sizes(3, 3),
    "less room than colours": lambda v: v.tables.colors(
        0, BUCKETS, *(a[1:] for a in v.exact)
    ),
    "more room than colours": lambda v: v.tables.colors(0, BUCKETS, *v.counted),
    "no room": lambda v: v.tables.colors(0, BUCKETS, *allocate(0)),
    "colours beyond the last": lambda v: v.tables.colors(0, BUCKETS + 1, *v.exact),
    # Histograms.
    "nothing to merge": lambda v: _kernel.merge(
        *v.listed, *(a[:0] for a in v.listed), *v.merged
    ),
    "no room to merge": lambda v: _kernel.merge(
        *v.listed, *v.listed, *(a[1:] for a in v.merged)
    ),
    "other channels": lambda v: _kernel.merge(
        v.listed[0], PLANES[0], v.listed[2], *v.listed, *v.merged
    ),
    "fewer counts": lambda v: _kernel.merge(
        *v.listed, v.codes, v.histogram.colors, v.listed[2][1:], *v.merged
    ),
    "no codes": lambda v: _kernel.Codes(v.codes[:0], 3),
    "codes of five channels": lambda v: _kernel.Codes(v.codes, 5),
    "codes that descend": lambda v: _kernel.Codes(v.codes[::-1].copy(), 4),
    "a code twice": lambda v: _kernel.Codes(np.repeat(v.codes, 2), 4),
    "equal codes": lambda v: _kernel.Codes(np.full(500, 5, np.uint32), 3),
    "codes above 24 bits": lambda v: _kernel.Codes(
        np.append(v.codes[:9] >> 9, np.uint32(1 << 24)), 3
    ),
    "codes all above 24 bits": lambda v: _kernel.Codes(
        np.arange(9, dtype=np.uint32) << 28, 3
    ),
    # Points.
    "no colours": lambda v: SRGB._converter.load(v.histogram.colors[:0]),
    "colours of two channels": lambda v: SRGB._converter.load(PLANES[0, :, :2].copy()),
    "a middle outside": lambda v: _kernel.Space(
        True, [0.0] * 256, None, None, None, None, (0, 0, MOST + 1), 5
    ),
    "a negative middle": lambda v: _kernel.Space(
        True, [0.0] * 256, None, None, None, None, (-1, 0, 0), 5
    ),
    "an opaque outside": lambda v: _kernel.Space(
        True, [0.0] * 256, None, None, None, None, (0, 0, 0), MOST + 1
    ),
    "coords without padding": lambda v: tree(v, coords=v.coords[:, :-1].copy()),
    "fewer planes": lambda v: tree(v, coords=v.coords[:-1].copy()),
    "coords below the grid": lambda v: tree(v, coords=changed(v.coords, (0, 7), -1)),
    "coords above the grid": lambda v: tree(
        v, coords=changed(v.coords, (-1, 7), MOST + 1)
    ),
    "padding off the grid": lambda v: tree(v, coords=changed(v.coords, (0, -1), -1)),
    "fewer weights": lambda v: tree(v, weights=v.weights[1:].copy()),
    "a weight of 0": lambda v: tree(v, weights=changed(v.weights, 5, 0)),
    "a negative weight": lambda v: tree(v, weights=changed(v.weights, -1, -1)),
    "the least weight": lambda v: tree(v, weights=changed(v.weights, 0, -(1 << 63))),
    "weights that overflow": lambda v: tree(
        v, weights=changed(v.weights, [2, 3], [1 << 44, 1 << 44])
    ),
    "two capacities": lambda v: tree(v, capacities=(8, 4)),
    "a capacity of 0": lambda v: tree(v, capacities=(8, 4, 0)),
    "capacities that ascend": lambda v: tree(v, capacities=(2, 4, 8)),
    "more bits than codes have": lambda v: v.tree.coarsen(33, CAPACITIES),
    "negative bits": lambda v: v.tree.coarsen(-1, CAPACITIES),
    "labels of no coarse points": lambda v: v.tree.inherit(v.labels, 4),
    "fewer labels of cells": lambda v: v.coarse.inherit(v.labels[:9].copy(), 4),
    "labels of cells from k on": lambda v: v.coarse.inherit(
        np.full(len(v.coarse.weights), 4, np.uint8), 4
    ),
    "no labels to inherit": lambda v: v.coarse.inherit(
        np.zeros(len(v.coarse.weights), np.uint8), 0
    ),
    # K-means.
    "seed of none": lambda v: v.tree.seed(0),
    "seed of too many": lambda v: v.tree.seed(257),
    "root blocks beyond": lambda v: v.tree.assign(0, v.blocks + 1, v.c, v.labels),
    "root blocks backwards": lambda v: v.tree.assign(1, 0, v.c, v.labels),
    "no centroids": lambda v: v.tree.assign(0, 1, v.c[:0], v.labels),
    "too many centroids": lambda v: v.tree.assign(
        0, 1, np.zeros((257, 4), np.int16), v.labels
    ),
    "centroids of three": lambda v: v.tree.assign(
        0, 1, v.c[:, :3].copy(), v.labels
    ),
    "centroids below the grid": lambda v: v.tree.assign(
        0, 1, changed(v.c, (1, 1), -1), v.labels
    ),
    "centroids above the grid": lambda v: v.tree.assign(
        0, 1, changed(v.c, (3, 3), MOST + 1), v.labels
    ),
    "fewer labels": lambda v: v.tree.assign(0, 1, v.c, v.labels[1:]),
    "labels from k on": lambda v: v.tree.assign(
        0, v.blocks, v.c, changed(v.labels, -1, 4)
    ),
    "colours of fewer points": lambda v: assign_alpha(v, v.histogram.colors[1:]),
    "colours of three channels": lambda v: assign_alpha(
        v, v.histogram.colors[:, :3].copy()
    ),
    "a palette of more entries": lambda v: assign_alpha(
        v, palette=np.zeros((5, 4), np.uint8)
    ),
    "a palette of three channels": lambda v: assign_alpha(
        v, palette=np.zeros((4, 3), np.uint8)
    ),
    "more slack than there is": lambda v: assign_alpha(v, slack=_kernel.SLACK + 1),
    "negative slack": lambda v: assign_alpha(v, slack=-1),
    "root blocks beyond, with alpha": lambda v: assign_alpha(v, last=v.blocks + 1),
    "labels from k on, with alpha": lambda v: assign_alpha(
        v, labels=changed(v.labels, -1, 4)
    ),
    "fewer labels to split": lambda v: v.tree.splits(v.labels[1:].copy(), 4),
    "labels from k on to split": lambda v: v.tree.splits(v.labels, v.labels.max()),
    "splits of too many": lambda v: v.tree.splits(v.labels, 257),
    "splits of none": lambda v: v.tree.splits(v.labels, 0),
    "fewer sums": lambda v: _kernel.update(v.sums[1:], v.c),
    "narrow sums": lambda v: _kernel.update(v.sums[:, :4].copy(), v.c),
    "a sum that divides by 0": lambda v: _kernel.update(
        changed(v.sums, (2, 0), -(1 << 63)), v.c
    ),
    "sums of too much": lambda v: _kernel.update(
        changed(v.sums, (2, 0), (1 << 45) + 1), v.c
    ),
    "sums beyond the grid": lambda v: _kernel.merges(
        changed(v.sums, (2, 1), v.sums[2, 0] * MOST + 1), v.c
    ),
    "negative sums": lambda v: v.tree.error(changed(v.sums, (2, 1), -1), v.c),
    "sums of other centroids": lambda v: v.tree.error(v.sums, v.c[1:]),
    # Results.
    "fewer rows of labels": lambda v: _kernel.measure(
        v.pixels, v.indices[1:], v.colors
    ),
    "fewer columns of labels": lambda v: _kernel.measure(
        v.pixels, v.indices[:, 1:].copy(), v.colors
    ),
    "labels beyond the palette": lambda v: _kernel.measure(
        v.pixels, changed(v.indices, (-1, -1), 4), v.colors
    ),
    "a palette of none": lambda v: _kernel.measure(v.pixels, v.indices, v.colors[:0]),
    "a palette of too many": lambda v: _kernel.measure(
        v.pixels, v.indices, np.zeros((257, v.pixels.shape[2]), np.uint8)
    ),
    "a palette of other channels": lambda v: _kernel.measure(
        v.pixels, v.indices, v.colors[:, :2].copy()
    ),
    "fewer weights of pixels": lambda v: _kernel.measure(
        v.pixels, v.indices, v.colors, v.weighed[1:]
    ),
    "negative weights of pixels": lambda v: _kernel.measure(
        v.pixels, v.indices, v.colors, -v.weighed
    ),
    "too much weight of pixels": lambda v: _kernel.measure(
        v.pixels, v.indices, v.colors, v.weighed + (1 << 40)
    ),
    "fewer labels of colours": lambda v: _kernel.ColorIndex(
        v.checked, v.labels[1:].copy()
    ),
    "no labels": lambda v: _kernel.ColorIndex(v.checked).map(v.pixels, v.indices),
    "pixels of other channels": lambda v: _kernel.ColorIndex(v.checked, v.labels).map(
        np.zeros((150, 70, 7 - v.pixels.shape[2]), np.uint8), v.indices
    ),
    "indices of other pixels": lambda v: _kernel.ColorIndex(v.checked, v.labels).map(
        v.pixels, v.indices[1:]
    ),
    # Dithering.
    "a picture of other channels": lambda v: picture(
        v, pixels=np.zeros((9, 9, 7 - v.pixels.shape[2]), np.uint8)
    ),
    "a picture of no pixels": lambda v: picture(v, pixels=v.pixels[:0]),
    "fewer coords": lambda v: picture(v, coords=v.coords[:, :9].copy()),
    "fewer planes of coords": lambda v: picture(v, coords=v.coords[1:]),
    "coords off the grid": lambda v: picture(
        v, coords=changed(v.coords, (1, 1), MOST + 1)
    ),
    "fewer labels to dither": lambda v: picture(v, labels=v.labels[1:]),
    "labels beyond the entries": lambda v: picture(v, labels=changed(v.labels, 9, 4)),
    "no entries": lambda v: picture(v, palette=v.c[:0]),
    "entries off the grid": lambda v: picture(v, palette=changed(v.c, (2, 2), -5)),
    "strength above all": lambda v: picture(v, strength=257),
    "negative strength": lambda v: picture(v, strength=-1),
    "colours beyond": lambda v: v.picture.prepare(0, v.picture.colors + 1),
    "no colours to prepare": lambda v: v.picture.prepare(5, 5),
    "mixes beyond": lambda v: v.picture.mix(0, v.picture.colors + 1),
    "rows beyond": lambda v: v.picture.diffuse(v.nearest, 0, 151, v.indices),
    "no rows to dither": lambda v: v.picture.diffuse(v.nearest, 64, 64, v.indices),
    "half a band": lambda v: v.picture.diffuse(v.nearest, 1, 64, v.indices),
    "other indices": lambda v: v.picture.diffuse(v.nearest, 0, 64, v.indices[:99]),
    "lists of another picture": lambda v: v.picture.diffuse(
        _kernel.Nearest(picture(v)), 0, 64, v.indices
    ),
    "more bands than there are": lambda v: tall(v).diffuse(
        _kernel.Nearest(tall(v)), 0, 8 * 64 + 1, np.zeros((600, 70), np.uint8)
    ),
    "rows beyond for thresholds": lambda v: v.picture.ordered(
        v.thresholds, 0, 151, v.indices
    ),
    "fewer thresholds": lambda v: v.picture.ordered(
        v.thresholds[1:], 0, 9, v.indices
    ),
    "narrow indices": lambda v: v.picture.ordered(
        v.thresholds, 0, 9, v.indices[:, :5].copy()
    ),
}  # fmt: skip


def assign_alpha(v, colors=None, palette=None, slack=0, last=None, labels=None):
    return v.tree.assign_alpha(
        0, v.blocks if last is None else last, v.c,
        v.labels if labels is None else labels,
        v.histogram.colors if colors is None else colors,
        v.colors if palette is None else palette, slack,
    )  # fmt: skip


def tall(v):
    return picture(v, pixels=np.repeat(v.pixels, 4, axis=0))


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("what", REFUSED)
def test_what_does_not_go_together_is_refused(
    what, channels, opaque_values, alpha_values
):
    with pytest.raises(ValueError, match="kernel: "):
        REFUSED[what](opaque_values if channels == 3 else alpha_values)


@pytest.mark.parametrize("channels", [3, 4])
def test_what_goes_together_is_taken(channels, opaque_values, alpha_values):
    v = opaque_values if channels == 3 else alpha_values
    assert count(v) == len(v.exact[0])
    v.tables.colors(0, BUCKETS, *v.exact)
    assert tree(v).total.tolist() == v.points.total.tolist()
    if channels == 4:
        assign_alpha(v, slack=_kernel.SLACK)
    mine = picture(v)
    mine.prepare(0, mine.colors)
    mine.diffuse(_kernel.Nearest(mine), 0, 150, v.indices)
    assert v.indices.max() < 4
    mine.mix(0, mine.colors)
    mine.ordered(v.thresholds, 0, 150, v.indices)
    assert v.indices.max() < 4


def test_an_object_of_another_class_is_refused(opaque_values):
    v = opaque_values
    for wrong in (None, v.codes):
        with pytest.raises(TypeError):
            tree(v, codes=wrong)
        with pytest.raises(TypeError):
            v.picture.diffuse(wrong, 0, 64, v.indices)
        with pytest.raises(TypeError):
            count(v, [wrong])
    with pytest.raises(TypeError):
        _kernel.Buckets(None)
    with pytest.raises(TypeError):
        _kernel.update(None, v.c)


def test_what_sizes_other_arrays_is_read_only(opaque_values):
    v = opaque_values
    kept = [
        v.codes, v.checked.cells, v.histogram.cells, v.buckets.bounds, v.tree.coords,
        v.tree.weights, v.tree.roots, v.tree.total, v.coarse.coords, v.coarse.weights,
    ]  # fmt: skip
    for array in kept:
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 1


def test_a_picture_that_is_not_prepared_stays_within_its_palette(opaque_values):
    v = opaque_values
    raw = picture(v)
    raw.diffuse(_kernel.Nearest(raw), 0, 150, v.indices)
    assert v.indices.max() < 4
    raw.ordered(v.thresholds, 0, 150, v.indices)
    assert v.indices.max() < 4


@pytest.mark.parametrize("channels", [3, 4])
def test_a_picture_of_other_colors_stays_within_its_palette(channels):
    v = make_values(channels)
    v.pixels[:] = np.random.default_rng(5).integers(0, 256, v.pixels.shape)
    v.pixels[0, 0] = 255  # behind the last of all colours
    v.picture.prepare(0, v.picture.colors)
    v.picture.diffuse(v.nearest, 0, 150, v.indices)
    assert v.indices.max() < 4
    v.picture.mix(0, v.picture.colors)
    v.picture.ordered(v.thresholds, 0, 150, v.indices)
    assert v.indices.max() < 4


# Settings that look at the pixels in every way there is, twice or more.
WAYS = [
    {"effort": "fast"},
    {"effort": "fast", "dither": True},
    {"effort": "fast", "dither": "bayer"},
    {"effort": "fast", "space": "oklab", "weights": True, "max_error": 400},
]


def quantized(image, way):
    if "weights" in way:
        way = way | {"weights": np.ones(image.shape[:2], int)}
    return kquant.quantize(image, 8, **way)


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("tables", [False, True])
def test_an_image_that_changes_meanwhile_does_no_harm(
    tables, way, channels, monkeypatch
):
    monkeypatch.setattr("kquant.parallel.THREAD_PIXELS", 10_000)
    if tables:
        monkeypatch.setattr("kquant.color.counting.TABLE_PIXELS", 10_000)
    chance = np.random.default_rng(0)
    few = chance.integers(0, 4, (200, 200, channels), np.uint8)
    many = chance.integers(0, 256, few.shape, np.uint8)
    image, stop = few.copy(), threading.Event()

    def change():
        while not stop.is_set():
            image[:] = many
            image[:] = few

    thread = threading.Thread(target=change)
    thread.start()
    try:
        for _ in range(3 if tables else 12):
            q = quantized(image, way)
            assert q.indices.max() < len(q.palette)
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("channels", [3, 4])
@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("stage", ["histogram", "palette", "index"])
def test_an_image_that_a_listener_overwrites_does_no_harm(way, channels, stage):
    chance = np.random.default_rng(1)
    image = chance.integers(90, 99, (150, 120, channels), np.uint8)

    def listen(now, fraction):
        if now == stage:
            image[:] = chance.integers(0, 256, image.shape)
            image[0, 0] = 255

    q = quantized(image, way | {"progress": listen})
    assert q.indices.max() < len(q.palette)
