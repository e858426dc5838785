# cython: language_level=3, boundscheck=False, wraparound=False
# cython: initializedcheck=False, embedsignature=True
"""The binding: checks shapes, releases the GIL, calls kernel/kquant.h.

Nothing is computed here. Shapes are checked because memory safety depends on
them; whether a value makes sense is checked above, in Python, where it can be
said best.
"""

import numpy

from libc.stdint cimport (
    int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t,
)

cdef extern from "kquant.h" nogil:
    enum:
        KQ_AROUND, KQ_BANDS, KQ_BAND_ROWS, KQ_BINS, KQ_BUCKETS, KQ_CELLS, KQ_CELL_BITS
        KQ_CELL_SIZE, KQ_CHANNELS, KQ_CODES, KQ_DEPTH, KQ_FULL, KQ_LANES
        KQ_MAX_COLORS, KQ_NEAREST_CELLS, KQ_NEAREST_GROUPS, KQ_ONE, KQ_RANK_WORDS
        KQ_RGB, KQ_SUMS, KQ_TILE

    ctypedef struct kq_image:
        const uint8_t *data
        size_t height, width, channels
        ptrdiff_t row, pixel, channel

    ctypedef struct kq_points:
        size_t n, stride, channels
        const int16_t *coords
        const int64_t *weights

    ctypedef struct kq_level:
        size_t count
        const uint32_t *start
        const uint32_t *child
        const int16_t *low
        const int16_t *high
        const int64_t *sums

    ctypedef struct kq_space:
        bint plain, roots
        double light[256]
        double to_cones[3][3]
        double from_roots[3][3]
        double offset[3]
        double knee, slope, foot
        int32_t middle[3]
        int32_t opaque

    ctypedef struct kq_color_index:
        const uint64_t *ranks
        const uint32_t *codes
        const uint32_t *table
        size_t size

    ctypedef struct kq_group:
        pass

    ctypedef struct kq_nearest:
        const int16_t *palette
        size_t k, channels
        uint32_t *cells
        kq_group *groups
        size_t used

    ctypedef struct kq_picture:
        kq_image image
        kq_color_index color_index
        kq_points points
        const uint8_t *labels

    ctypedef struct kq_tree:
        kq_points points
        kq_level level[3]

    void kq_bucket_sizes(const kq_image *, uint32_t *)
    void kq_bucket_fill(const kq_image *, uint32_t *, uint16_t *)
    size_t kq_count_colors(const uint16_t *, const uint32_t *, size_t, size_t,
                           uint32_t *, uint8_t *, int64_t *)
    size_t kq_tally(const kq_image *, uint8_t *, uint32_t *, size_t, size_t)
    void kq_tally_sizes(const uint8_t *, size_t, size_t, size_t, uint32_t *)
    void kq_tally_colors(const uint8_t *, size_t, const uint32_t *, size_t, size_t,
                         size_t, uint32_t *, uint8_t *, int64_t *)
    size_t kq_merge(const uint32_t *, const uint8_t *, const int64_t *, size_t,
                    const uint32_t *, const uint8_t *, const int64_t *, size_t,
                    size_t, uint32_t *, uint8_t *, int64_t *)
    void kq_pixel_codes(const kq_image *, uint32_t *)
    void kq_codes(const uint8_t *, size_t, size_t, uint32_t *)
    void kq_colors(const uint32_t *, size_t, size_t, uint8_t *)
    void kq_to_space(const kq_space *, const uint8_t *, size_t, size_t, size_t,
                     int16_t *)
    void kq_cell_counts(const uint32_t *, size_t, int, size_t *)
    size_t kq_coarsen(const kq_points *, const uint32_t *, int, size_t, uint32_t *,
                      int64_t *, uint32_t *, int16_t *, int64_t *)
    void kq_inherit(const uint32_t *, const int64_t *, const uint8_t *, size_t,
                    uint8_t *, int64_t *)
    size_t kq_blocks(const uint32_t *, size_t, int, size_t, uint32_t *)
    void kq_measure_blocks(const kq_points *, const uint32_t *, size_t, int16_t *,
                           int16_t *, int64_t *)
    void kq_join_blocks(const kq_level *, const uint32_t *, size_t, int16_t *,
                        int16_t *, int64_t *)
    size_t kq_seed(const kq_points *, size_t, uint32_t *, uint8_t *, int16_t *)
    void kq_splits(const kq_points *, const uint8_t *, size_t, double *, double *,
                   int16_t *)
    size_t kq_assign(const kq_tree *, size_t, size_t, const int16_t *, size_t,
                     uint8_t *, int64_t *)
    size_t kq_update(const int64_t *, size_t, int16_t *)
    double kq_error(const int64_t *, const int16_t *, size_t, double)
    double kq_energy(const kq_points *)
    void kq_merges(const int64_t *, const int16_t *, size_t, double *, int32_t *)
    double kq_measure(const kq_image *, const int64_t *, const uint8_t *,
                      const uint8_t *, size_t, int64_t *, double *)
    void kq_relabel(const uint8_t *, size_t, uint8_t *)
    void kq_lookup_build(const uint32_t *, const uint8_t *, size_t, uint32_t *,
                         uint8_t *)
    void kq_lookup(const kq_image *, const uint32_t *, const uint8_t *, uint8_t *)
    void kq_rank_build(const uint32_t *, size_t, uint64_t *)
    void kq_hash_build(const uint32_t *, size_t, size_t, uint32_t *)
    void kq_hash_lookup(const kq_image *, const kq_color_index *, const uint8_t *,
                        uint32_t *, uint8_t *)

    ctypedef struct kq_scratch:
        int32_t *errors
        int16_t *rows
        uint32_t *found
        uint8_t *unused

    void kq_prepare(const kq_picture *, const int16_t *, size_t, size_t, int16_t *)
    void kq_diffuse(const kq_picture *, const int16_t *, kq_nearest *, size_t, size_t,
                    int, const kq_scratch *, uint8_t *)
    void kq_find_around(const int16_t *, size_t, uint8_t *)
    void kq_mix(const kq_picture *, const int16_t *, size_t, const uint8_t *, size_t,
                size_t, int, uint32_t *)
    void kq_ordered(const kq_picture *, const uint32_t *, size_t, size_t,
                    const uint8_t *, uint32_t *, uint8_t *)
    int kq_use_level(int)

AROUND = KQ_AROUND
BANDS = KQ_BANDS
BAND_ROWS = KQ_BAND_ROWS
BINS = KQ_BINS
BUCKETS = KQ_BUCKETS
CELLS = KQ_CELLS
CELL_BITS = KQ_CELL_BITS
CELL_SIZE = KQ_CELL_SIZE
CHANNELS = KQ_CHANNELS
CODES = KQ_CODES
DEPTH = KQ_DEPTH
FULL = KQ_FULL
GROUP_SIZE = sizeof(kq_group)
LANES = KQ_LANES
MAX_COLORS = KQ_MAX_COLORS
NEAR_CELLS = KQ_NEAREST_CELLS
NEAR_GROUPS = KQ_NEAREST_GROUPS
ONE = KQ_ONE
RANK_WORDS = KQ_RANK_WORDS
SUMS = KQ_SUMS
TILE = KQ_TILE


cdef int need(bint condition, str what) except -1:
    if not condition:
        raise ValueError(f"kernel: {what}")
    return 0


# ---- instruction-set levels

LEVELS = {"base": 1, "v3": 3, "v4": 4}
_level = "base"


def use_level(str name):
    """Run this instruction-set level from now on; False if it is not there."""
    global _level
    if not kq_use_level(LEVELS[name]):
        return False
    _level = name
    return True


def level():
    """Name the instruction-set level that runs: "base", "v3" or "v4"."""
    return _level


# ---- histogram

cdef kq_image as_image(const uint8_t[:, :, :] pixels, bint alpha=False) except *:
    cdef kq_image image
    image.channels = pixels.shape[2]
    need(image.channels == KQ_RGB or (alpha and image.channels == 4), "channels")
    need(pixels.shape[0] > 0 and pixels.shape[1] > 0, "no pixels")
    image.data = &pixels[0, 0, 0]
    image.height, image.width = pixels.shape[0], pixels.shape[1]
    image.row, image.pixel = pixels.strides[0], pixels.strides[1]
    image.channel = pixels.strides[2]
    return image


def bucket_sizes(const uint8_t[:, :, :] pixels, uint32_t[::1] sizes):
    """pixels (H, W, 3) -> sizes (BUCKETS,)."""
    cdef kq_image image = as_image(pixels)
    need(sizes.shape[0] == KQ_BUCKETS, "sizes")
    with nogil:
        kq_bucket_sizes(&image, &sizes[0])


def bucket_fill(const uint8_t[:, :, :] pixels, uint32_t[::1] cursor,
                uint16_t[::1] low):
    """pixels (H, W, 3), cursor (BUCKETS,) in and out -> low (pixels,).

    The cursors must be those that bucket_sizes() gives for these pixels.
    """
    cdef kq_image image = as_image(pixels)
    need(cursor.shape[0] == KQ_BUCKETS, "cursor")
    need(low.shape[0] >= 1, "low")
    with nogil:
        kq_bucket_fill(&image, &cursor[0], &low[0])


def count_colors(const uint16_t[::1] low, const uint32_t[::1] bounds, size_t first,
                 size_t last, uint32_t[::1] codes, uint8_t[:, ::1] colors,
                 int64_t[::1] counts):
    """low, bounds (BUCKETS + 1,) -> codes, colors (n, 3), counts (n,); returns n."""
    need(bounds.shape[0] == KQ_BUCKETS + 1 and first < last <= KQ_BUCKETS, "bounds")
    need(bounds[last] <= <size_t>low.shape[0] and low.shape[0] > 0, "low")
    cdef size_t room = bounds[last] - bounds[first], n
    need(room <= <size_t>colors.shape[0] and colors.shape[1] == KQ_RGB, "colors")
    need(room <= <size_t>counts.shape[0], "counts")
    need(room <= <size_t>codes.shape[0], "codes")
    if room == 0:
        return 0
    with nogil:
        n = kq_count_colors(&low[0], &bounds[0], first, last, &codes[0],
                            &colors[0, 0], &counts[0])
    return n


def tally(const uint8_t[:, :, :] pixels, uint8_t[::1] table, uint32_t[::1] full,
          size_t n_full):
    """pixels (H, W, 3), table (CODES,), full (room,) in and out; returns n_full."""
    cdef kq_image image = as_image(pixels)
    cdef size_t room = full.shape[0]
    need(table.shape[0] == KQ_CODES and room > 0, "table")
    with nogil:
        n_full = kq_tally(&image, &table[0], &full[0], n_full, room)
    need(n_full <= room, "full")
    return n_full


def tally_sizes(const uint8_t[:, ::1] tables, size_t first, size_t last,
                uint32_t[::1] sizes):
    """tables (T, CODES) -> sizes[first:last] of (BUCKETS,)."""
    need(tables.shape[0] > 0 and tables.shape[1] == KQ_CODES, "tables")
    need(first < last <= KQ_BUCKETS and sizes.shape[0] == KQ_BUCKETS, "sizes")
    with nogil:
        kq_tally_sizes(&tables[0, 0], tables.shape[0], first, last, &sizes[0])


def tally_colors(const uint8_t[:, ::1] tables, const uint32_t[::1] full, size_t first,
                 size_t last, uint32_t[::1] codes, uint8_t[:, ::1] colors,
                 int64_t[::1] counts):
    """tables (T, CODES), full (n,) -> codes, colors (n, 3), counts (n,).

    n must be what tally_sizes() says for the buckets first..last-1.
    """
    cdef size_t n_full = full.shape[0], n = codes.shape[0]
    need(tables.shape[0] > 0 and tables.shape[1] == KQ_CODES, "tables")
    need(first < last <= KQ_BUCKETS, "buckets")
    need(<size_t>counts.shape[0] == n == <size_t>colors.shape[0], "colors")
    need(colors.shape[1] == KQ_RGB, "colors")
    if n == 0:
        return
    with nogil:
        kq_tally_colors(&tables[0, 0], tables.shape[0], &full[0] if n_full else NULL,
                        n_full, first, last, &codes[0], &colors[0, 0], &counts[0])


def merge(const uint32_t[::1] codes_a, const uint8_t[:, ::1] colors_a,
          const int64_t[::1] counts_a, const uint32_t[::1] codes_b,
          const uint8_t[:, ::1] colors_b, const int64_t[::1] counts_b,
          uint32_t[::1] codes, uint8_t[:, ::1] colors, int64_t[::1] counts):
    """Two histograms -> codes (n,), colors (n, 3), counts (n,); returns n."""
    cdef size_t n_a = codes_a.shape[0], n_b = codes_b.shape[0], room = n_a + n_b, n
    need(n_a > 0 and n_b > 0, "no colours")
    need(<size_t>colors_a.shape[0] == n_a == <size_t>counts_a.shape[0], "a")
    need(<size_t>colors_b.shape[0] == n_b == <size_t>counts_b.shape[0], "b")
    cdef size_t channels = colors.shape[1]
    need(<size_t>colors_a.shape[1] == channels == <size_t>colors_b.shape[1], "colours")
    need(room <= <size_t>codes.shape[0] and room <= <size_t>counts.shape[0], "codes")
    need(room <= <size_t>colors.shape[0], "colors")
    with nogil:
        n = kq_merge(&codes_a[0], &colors_a[0, 0], &counts_a[0], n_a,
                     &codes_b[0], &colors_b[0, 0], &counts_b[0], n_b, channels,
                     &codes[0], &colors[0, 0], &counts[0])
    return n


def pixel_codes(const uint8_t[:, :, :] pixels, uint32_t[::1] codes):
    """pixels (H, W, 3|4) -> Morton codes (H * W,)."""
    cdef kq_image image = as_image(pixels, alpha=True)
    need(<size_t>codes.shape[0] == image.height * image.width, "codes")
    with nogil:
        kq_pixel_codes(&image, &codes[0])


cdef int check_channels(const uint8_t[:, ::1] colors) except -1:
    need(colors.shape[1] == KQ_RGB or colors.shape[1] == 4, "colors")
    return 0


def codes(const uint8_t[:, ::1] colors, uint32_t[::1] codes):
    """colors (n, 3|4) -> Morton codes (n,)."""
    cdef size_t n = colors.shape[0]
    check_channels(colors)
    need(<size_t>codes.shape[0] == n, "codes")
    if n:
        with nogil:
            kq_codes(&colors[0, 0], n, colors.shape[1], &codes[0])


def colors(const uint32_t[::1] codes, uint8_t[:, ::1] colors):
    """Morton codes (n,) -> colors (n, 3|4)."""
    cdef size_t n = colors.shape[0]
    check_channels(colors)
    need(n > 0 and <size_t>codes.shape[0] == n, "codes")
    with nogil:
        kq_colors(&codes[0], n, colors.shape[1], &colors[0, 0])


def cell_counts(const uint32_t[::1] codes, size_t[::1] cells):
    """codes (n,) of b bits -> occupied cells by number of leading bits (b + 1,)."""
    need(cells.shape[0] in (25, 33) and codes.shape[0] > 0, "cells")
    with nogil:
        kq_cell_counts(&codes[0], codes.shape[0], <int>cells.shape[0] - 1, &cells[0])


# ---- points, tree, k-means

cdef class Space:
    """A colour space, as kq_space in the header describes it."""

    cdef kq_space space

    def __cinit__(self, bint plain, light, to_cones, from_roots, offset, root, middle,
                  int32_t opaque):
        cdef kq_space *space = &self.space
        cdef int i, j
        space.plain, space.roots = plain, to_cones is not None
        for i in range(256):
            space.light[i] = light[i]
        if space.roots:
            for i in range(3):
                space.offset[i] = offset[i]
                for j in range(3):
                    space.to_cones[i][j] = to_cones[i][j]
                    space.from_roots[i][j] = from_roots[i][j]
            space.knee, space.slope, space.foot = root
        for i in range(3):
            space.middle[i] = middle[i]
        space.opaque = opaque

    def load(self, const uint8_t[:, ::1] colors, int16_t[:, ::1] coords):
        """colors (n, 3|4) -> coords (3|4, n + LANES or more)."""
        cdef size_t n = colors.shape[0], stride = coords.shape[1]
        check_channels(colors)
        need(n > 0 and coords.shape[0] == colors.shape[1], "colors")
        need(stride >= n + KQ_LANES, "coords")
        with nogil:
            kq_to_space(&self.space, &colors[0, 0], n, colors.shape[1], stride,
                        &coords[0, 0])


def blocks(const uint32_t[::1] codes, int code_bits, size_t capacity,
           uint32_t[::1] start):
    """codes (n,) -> start (n + 1,), of which count + 1 are used; returns count."""
    cdef size_t n = codes.shape[0], count
    need(n > 0 and capacity > 0 and <size_t>start.shape[0] > n, "start")
    need(code_bits == 24 or code_bits == 32, "code_bits")
    with nogil:
        count = kq_blocks(&codes[0], n, code_bits, capacity, &start[0])
    return count


cdef class Tree:
    """Weighted points in Morton order and the blocks over them.

    Parameters
    ----------
    coords : (3|4, n + LANES or more) int16
    weights : (n,) int64
    levels : DEPTH tuples (start, child, low, high, sums), coarse to fine
        start, child (count + 1,) uint32: first point of each block and its first
        block on the next level; low, high (count, CHANNELS) int16 and sums
        (count, SUMS) int64: filled in here.
    """

    cdef kq_tree tree
    cdef object kept  # the arrays that the tree points into
    cdef readonly size_t n, roots

    def __cinit__(self, const int16_t[:, ::1] coords, const int64_t[::1] weights,
                  list levels):
        cdef kq_points *points = &self.tree.points
        cdef size_t depth
        self.n = points.n = weights.shape[0]
        points.stride = coords.shape[1]
        need(self.n > 0, "no points")
        points.channels = coords.shape[0]
        need(points.channels == 3 or points.channels == 4, "coords")
        need(points.stride >= self.n + KQ_LANES, "coords without padding")
        need(len(levels) == KQ_DEPTH, "levels")
        points.coords, points.weights = &coords[0, 0], &weights[0]
        self.kept = coords, weights, tuple(levels)
        for depth in range(<size_t>KQ_DEPTH):  # from fine to coarse
            start, child, low, high, sums = levels[KQ_DEPTH - 1 - depth]
            self.set_level(KQ_DEPTH - 1 - depth, start, child, low, high, sums)
        self.roots = self.tree.level[0].count

    cdef int set_level(self, size_t depth, const uint32_t[::1] start,
                       const uint32_t[::1] child, int16_t[:, ::1] low,
                       int16_t[:, ::1] high, int64_t[:, ::1] sums) except -1:
        cdef kq_level *level = &self.tree.level[depth]
        cdef kq_level *finer = level + 1
        cdef size_t count = start.shape[0] - 1
        need(start.shape[0] > 1 and start[count] == self.n, "start")
        need(child.shape[0] == start.shape[0], "child")
        need(<size_t>low.shape[0] == count and low.shape[1] == KQ_CHANNELS, "low")
        need(<size_t>high.shape[0] == count and high.shape[1] == KQ_CHANNELS, "high")
        need(<size_t>sums.shape[0] == count and sums.shape[1] == KQ_SUMS, "sums")
        level.count, level.start, level.child = count, &start[0], &child[0]
        level.low, level.high, level.sums = &low[0, 0], &high[0, 0], &sums[0, 0]
        if depth == KQ_DEPTH - 1:
            with nogil:
                kq_measure_blocks(&self.tree.points, level.start, count, &low[0, 0],
                                  &high[0, 0], &sums[0, 0])
        else:
            need(child[count] == finer.count, "child")
            with nogil:
                kq_join_blocks(finer, level.child, count, &low[0, 0], &high[0, 0],
                               &sums[0, 0])
        return 0

    def energy(self):
        """Weighted sum of the squared coordinates of all points."""
        return kq_energy(&self.tree.points)

    def coarsen(self, const uint32_t[::1] codes, int shift, uint32_t[::1] cells,
                int64_t[:, ::1] sums, uint32_t[::1] out_codes,
                int16_t[:, ::1] out_coords, int64_t[::1] out_weights):
        """Merge the points whose codes agree but for the lowest `shift` bits.

        codes (n,) -> cells (m + 1,), sums (m, SUMS), out_codes, out_weights (m,),
        out_coords (3|4, m + LANES or more); m as cell_counts() says.
        """
        cdef size_t m = out_codes.shape[0]
        need(<size_t>codes.shape[0] == self.n and m > 0, "codes")
        need(<size_t>cells.shape[0] == m + 1 and <size_t>sums.shape[0] == m, "cells")
        need(0 <= shift < 32, "shift")
        need(<size_t>out_coords.shape[0] == self.tree.points.channels, "out_coords")
        need(<size_t>out_weights.shape[0] == m and sums.shape[1] == KQ_SUMS, "sums")
        need(<size_t>out_coords.shape[1] >= m + KQ_LANES, "out_coords")
        with nogil:
            m = kq_coarsen(&self.tree.points, &codes[0], shift, out_coords.shape[1],
                           &cells[0], &sums[0, 0], &out_codes[0], &out_coords[0, 0],
                           &out_weights[0])
        return m

    def start(self, uint32_t[::1] order, uint8_t[::1] bins, int16_t[:, ::1] centroids):
        """order, bins (n,) scratch -> centroids (k, CHANNELS); returns how many."""
        cdef size_t k = centroids.shape[0], used
        check_centroids(centroids)
        need(<size_t>order.shape[0] == self.n == <size_t>bins.shape[0], "order")
        with nogil:
            used = kq_seed(&self.tree.points, k, &order[0], &bins[0], &centroids[0, 0])
        return used

    def splits(self, const uint8_t[::1] labels, double[:, :, ::1] sums,
               double[::1] gains, int16_t[:, :, ::1] halves):
        """labels (n,) -> gains (k,), halves (k, 2, CHANNELS).

        sums (k, BINS, SUMS) is scratch.
        """
        cdef size_t k = gains.shape[0]
        need(<size_t>labels.shape[0] == self.n, "labels")
        need(<size_t>sums.shape[0] == k and sums.shape[1] == KQ_BINS, "sums")
        need(sums.shape[2] == KQ_SUMS, "sums")
        need(0 < k <= KQ_MAX_COLORS and <size_t>halves.shape[0] == k, "halves")
        need(halves.shape[1] == 2 and halves.shape[2] == KQ_CHANNELS, "halves")
        with nogil:
            kq_splits(&self.tree.points, &labels[0], k, &sums[0, 0, 0], &gains[0],
                      &halves[0, 0, 0])

    def assign(self, size_t first, size_t last, const int16_t[:, ::1] centroids,
               uint8_t[::1] labels, int64_t[:, ::1] sums):
        """Label the points of the root blocks first..last-1.

        labels (n,), all below k, and sums (k, SUMS) in and out; returns how many
        labels changed.
        """
        cdef size_t k = centroids.shape[0], changed
        check_centroids(centroids)
        check_sums(sums, k)
        need(first <= last <= self.roots, "root blocks")
        need(<size_t>labels.shape[0] == self.n, "labels")
        with nogil:
            changed = kq_assign(&self.tree, first, last, &centroids[0, 0], k,
                                &labels[0], &sums[0, 0])
        return changed


cdef int check_centroids(const int16_t[:, ::1] centroids) except -1:
    need(0 < centroids.shape[0] <= KQ_MAX_COLORS, "centroids")
    need(centroids.shape[1] == KQ_CHANNELS, "centroids")
    return 0


cdef int check_sums(const int64_t[:, ::1] sums, size_t k) except -1:
    need(<size_t>sums.shape[0] == k and sums.shape[1] == KQ_SUMS, "sums")
    return 0


def inherit(const uint32_t[::1] cells, const int64_t[:, ::1] cell_sums,
            const uint8_t[::1] cell_labels, uint8_t[::1] labels, int64_t[:, ::1] sums):
    """cells (m + 1,), cell_sums, cell_labels (m,) -> labels (n,), sums (k, SUMS)."""
    cdef size_t m = cell_labels.shape[0]
    need(m > 0 and <size_t>cells.shape[0] == m + 1, "cells")
    need(cells[m] == <size_t>labels.shape[0], "labels")
    need(<size_t>cell_sums.shape[0] == m and cell_sums.shape[1] == KQ_SUMS, "cell_sums")
    check_sums(sums, sums.shape[0])
    with nogil:
        kq_inherit(&cells[0], &cell_sums[0, 0], &cell_labels[0], m, &labels[0],
                   &sums[0, 0])


def update(const int64_t[:, ::1] sums, int16_t[:, ::1] centroids):
    """sums (k, SUMS), centroids (k, CHANNELS) in and out; returns how many moved."""
    cdef size_t k = centroids.shape[0], moved
    check_centroids(centroids)
    check_sums(sums, k)
    with nogil:
        moved = kq_update(&sums[0, 0], k, &centroids[0, 0])
    return moved


def error(const int64_t[:, ::1] sums, const int16_t[:, ::1] centroids, double energy):
    """Squared error of the centroids, in colour values squared."""
    check_centroids(centroids)
    check_sums(sums, centroids.shape[0])
    return kq_error(&sums[0, 0], &centroids[0, 0], centroids.shape[0], energy)


def merges(const int64_t[:, ::1] sums, const int16_t[:, ::1] centroids,
           double[::1] costs, int32_t[::1] partners):
    """sums (k, SUMS), centroids (k, CHANNELS) -> costs (k,), partners (k,)."""
    cdef size_t k = centroids.shape[0]
    check_centroids(centroids)
    check_sums(sums, k)
    need(<size_t>costs.shape[0] == k and <size_t>partners.shape[0] == k, "costs")
    with nogil:
        kq_merges(&sums[0, 0], &centroids[0, 0], k, &costs[0], &partners[0])


# ---- results

def measure(const uint8_t[:, :, :] pixels, const uint8_t[:, ::1] labels,
            const uint8_t[:, ::1] palette, int64_t[::1] counts,
            const int64_t[:, ::1] weights=None):
    """(sum of squared distances, largest squared distance) to the entries.

    pixels (H, W, 3|4), labels (H, W) below len(palette), palette (k, 3|4), weights
    (H, W) -> counts (k,): the pixels, or their weight, of each entry.
    """
    cdef kq_image image = as_image(pixels, alpha=True)
    cdef const int64_t *weight = NULL
    cdef size_t k = palette.shape[0]
    cdef double largest, total
    need(labels.shape[0] == pixels.shape[0], "labels")
    need(labels.shape[1] == pixels.shape[1], "labels")
    need(0 < k <= KQ_MAX_COLORS and palette.shape[1] == pixels.shape[2], "palette")
    need(<size_t>counts.shape[0] == k, "counts")
    if weights is not None:
        need(weights.shape[0] == pixels.shape[0], "weights")
        need(weights.shape[1] == pixels.shape[1], "weights")
        weight = &weights[0, 0]
    with nogil:
        total = kq_measure(&image, weight, &labels[0, 0], &palette[0, 0], k, &counts[0],
                           &largest)
    return total, largest


def relabel(const uint8_t[::1] places, uint8_t[::1] labels):
    """places (k,), labels (n,) in and out, all below k."""
    need(places.shape[0] > 0 and labels.shape[0] > 0, "labels")
    with nogil:
        kq_relabel(&places[0], labels.shape[0], &labels[0])


def lookup_build(const uint32_t[::1] codes, const uint8_t[::1] labels,
                 uint32_t[::1] slots, uint8_t[:, ::1] table):
    """codes (n,), labels (n,) -> slots (CELLS,), table (cells, CELL_SIZE)."""
    cdef size_t n = codes.shape[0]
    need(n > 0 and <size_t>labels.shape[0] == n, "labels")
    need(slots.shape[0] == KQ_CELLS and table.shape[0] > 0, "slots")
    need(table.shape[1] == KQ_CELL_SIZE, "table")
    with nogil:
        kq_lookup_build(&codes[0], &labels[0], n, &slots[0], &table[0, 0])


def lookup(const uint8_t[:, :, :] pixels, const uint32_t[::1] slots,
           const uint8_t[:, ::1] table, uint8_t[:, ::1] indices):
    """pixels (H, W, 3), all in the table -> indices (H, W)."""
    cdef kq_image image = as_image(pixels)
    need(slots.shape[0] == KQ_CELLS and table.shape[1] == KQ_CELL_SIZE, "table")
    need(indices.shape[0] == pixels.shape[0], "indices")
    need(indices.shape[1] == pixels.shape[1], "indices")
    with nogil:
        kq_lookup(&image, &slots[0], &table[0, 0], &indices[0, 0])


def rank_build(const uint32_t[::1] codes, uint64_t[::1] ranks):
    """codes (n,) of opaque colours -> ranks (RANK_WORDS,), 0 before."""
    need(codes.shape[0] > 0 and ranks.shape[0] == KQ_RANK_WORDS, "ranks")
    with nogil:
        kq_rank_build(&codes[0], codes.shape[0], &ranks[0])


cdef int check_hash(const uint32_t[::1] codes, const uint32_t[::1] table) except -1:
    cdef size_t size = table.shape[0]
    need(codes.shape[0] > 0 and size >= 2 * <size_t>codes.shape[0], "table")
    need(size & (size - 1) == 0, "table")
    return 0


def hash_build(const uint32_t[::1] codes, uint32_t[::1] table):
    """codes (n,) -> table (a power of 2, at least 2 n)."""
    check_hash(codes, table)
    with nogil:
        kq_hash_build(&codes[0], codes.shape[0], table.shape[0], &table[0])


cdef kq_color_index as_places(size_t channels, const uint32_t[::1] codes,
                              places) except *:
    """What rank_build() makes of opaque colours, or hash_build() of others."""
    cdef kq_color_index to = kq_color_index(NULL, NULL, NULL, 0)
    cdef const uint64_t[::1] ranks
    cdef const uint32_t[::1] table
    if channels == KQ_RGB:
        ranks = places
        need(ranks.shape[0] == KQ_RANK_WORDS, "ranks")
        to.ranks = &ranks[0]
    else:
        table = places
        check_hash(codes, table)
        to.codes, to.table, to.size = &codes[0], &table[0], table.shape[0]
    return to


def hash_lookup(const uint8_t[:, :, :] pixels, const uint32_t[::1] codes,
                const uint32_t[::1] table, const uint8_t[::1] labels,
                uint32_t[::1] row, uint8_t[:, ::1] indices):
    """pixels (H, W, 4), all in the table; row (W,) scratch -> indices (H, W)."""
    cdef kq_image image = as_image(pixels, alpha=True)
    cdef kq_color_index hash
    need(image.channels == 4, "channels")
    hash = as_places(4, codes, table)
    need(labels.shape[0] == codes.shape[0], "labels")
    need(row.shape[0] == pixels.shape[1] == indices.shape[1], "row")
    need(indices.shape[0] == pixels.shape[0], "indices")
    with nogil:
        kq_hash_lookup(&image, &hash, &labels[0], &row[0], &indices[0, 0])


# ---- dithering

cdef class Picture:
    """What is dithered: pixels, the table of their colours, their points, and labels.

    Parameters
    ----------
    pixels : (H, W, 3|4) uint8
    codes : (n,) uint32
    places : array
        Of opaque pixels what rank_build() makes, of others what hash_build() does.
    coords : (3|4, n + LANES or more) int16
    labels : (n,) uint8, below len(palette)
    palette : (k, CHANNELS) int16, within 0..255 * ONE
    """

    cdef kq_picture picture
    cdef const int16_t[:, ::1] palette
    cdef readonly size_t height, width, colors, entries
    cdef object kept

    def __cinit__(self, const uint8_t[:, :, :] pixels, const uint32_t[::1] codes,
                  places, const int16_t[:, ::1] coords,
                  const uint8_t[::1] labels, const int16_t[:, ::1] palette):
        cdef size_t n = codes.shape[0]
        self.picture.image = as_image(pixels, alpha=True)
        need(n > 0, "codes")
        self.picture.color_index = as_places(self.picture.image.channels, codes, places)
        check_centroids(palette)
        need(coords.shape[0] == pixels.shape[2], "coords")
        need(<size_t>coords.shape[1] >= n and <size_t>labels.shape[0] == n, "labels")
        self.picture.points.n, self.picture.points.stride = n, coords.shape[1]
        self.picture.points.channels = coords.shape[0]
        self.picture.points.coords, self.picture.points.weights = &coords[0, 0], NULL
        self.picture.labels = &labels[0]
        self.palette = palette
        self.height, self.width = pixels.shape[0], pixels.shape[1]
        self.colors, self.entries = n, palette.shape[0]
        self.kept = pixels, codes, places, coords, labels

    def prepare(self, size_t first, size_t last, int16_t[:, ::1] places):
        """-> places[first:last] of (n, CHANNELS)."""
        need(first < last <= self.picture.points.n, "points")
        need(<size_t>places.shape[0] == self.picture.points.n, "places")
        need(places.shape[1] == KQ_CHANNELS, "places")
        with nogil:
            kq_prepare(&self.picture, &self.palette[0, 0], first, last, &places[0, 0])

    def diffuse(self, const int16_t[:, ::1] places, size_t first, size_t last,
                int strength, uint32_t[::1] cells, uint8_t[:, ::1] groups, size_t used,
                uint8_t[:, ::1] indices):
        """Dither rows first..last-1 of indices (H, W); returns `used` for the next.

        places as prepare() makes them; cells (NEAR_CELLS,), 0 at first, and groups
        (NEAR_GROUPS, GROUP_SIZE) in and out; first is a multiple of BAND_ROWS, and
        the rows are at most BANDS * BAND_ROWS.
        """
        cdef kq_nearest search
        cdef kq_scratch scratch
        cdef size_t width = self.picture.image.width
        cdef int32_t[:, :, :, ::1] errors
        cdef int16_t[:, :, ::1] rows
        cdef uint32_t[::1] found
        cdef uint8_t[::1] unused
        need(first < last <= self.picture.image.height, "rows")
        need(first % KQ_BAND_ROWS == 0, "first")
        need(last - first <= KQ_BANDS * KQ_BAND_ROWS, "last")
        need(<size_t>places.shape[0] == self.picture.points.n, "places")
        need(places.shape[1] == KQ_CHANNELS, "places")
        need(0 <= strength <= 256, "strength")
        need(cells.shape[0] == KQ_NEAREST_CELLS, "cells")
        need(groups.shape[0] == KQ_NEAREST_GROUPS, "groups")
        need(used <= KQ_NEAREST_GROUPS, "groups")
        need(groups.shape[1] == sizeof(kq_group), "groups")
        need(<size_t>indices.shape[0] == self.picture.image.height, "indices")
        need(<size_t>indices.shape[1] == width, "indices")
        errors = numpy.zeros((KQ_BANDS, 2, width + 2, KQ_CHANNELS), numpy.int32)
        rows = numpy.empty((KQ_BANDS, width, KQ_CHANNELS), numpy.int16)
        found = numpy.empty(width, numpy.uint32)
        unused = numpy.empty(width, numpy.uint8)
        scratch.errors, scratch.rows = &errors[0, 0, 0, 0], &rows[0, 0, 0]
        scratch.found, scratch.unused = &found[0], &unused[0]
        search.palette, search.k = &self.palette[0, 0], self.palette.shape[0]
        search.channels = self.picture.points.channels
        search.cells, search.groups = &cells[0], <kq_group *>&groups[0, 0]
        search.used = used
        with nogil:
            kq_diffuse(&self.picture, &places[0, 0], &search, first, last, strength,
                       &scratch, &indices[0, 0])
        return search.used

    def find_around(self, uint8_t[:, ::1] around):
        """-> around (k, AROUND): the entries nearest to each."""
        cdef size_t k = self.palette.shape[0]
        need(<size_t>around.shape[0] == k and around.shape[1] == KQ_AROUND, "around")
        with nogil:
            kq_find_around(&self.palette[0, 0], k, &around[0, 0])

    def mix(self, const uint8_t[:, ::1] around, size_t first, size_t last, int strength,
            uint32_t[::1] mixes):
        """around as find_around() makes it -> mixes[first:last] of (n,)."""
        need(around.shape[0] == self.palette.shape[0], "around")
        need(around.shape[1] == KQ_AROUND and 0 <= strength <= 256, "around")
        need(first < last <= self.picture.points.n, "points")
        need(<size_t>mixes.shape[0] == self.picture.points.n, "mixes")
        with nogil:
            kq_mix(&self.picture, &self.palette[0, 0], self.palette.shape[0],
                   &around[0, 0], first, last, strength, &mixes[0])

    def ordered(self, const uint32_t[::1] mixes, size_t first, size_t last,
                const uint8_t[:, ::1] thresholds, uint32_t[::1] found,
                uint8_t[:, ::1] indices):
        """Rows first..last-1 of indices (H, W), from mixes as mix() makes them.

        thresholds (TILE, TILE); found (W,) is scratch.
        """
        cdef size_t width = self.picture.image.width
        need(thresholds.shape[0] == KQ_TILE == thresholds.shape[1], "thresholds")
        need(<size_t>mixes.shape[0] == self.picture.points.n, "mixes")
        need(first < last <= self.picture.image.height, "rows")
        need(<size_t>found.shape[0] == width, "found")
        need(<size_t>indices.shape[0] == self.picture.image.height, "indices")
        need(<size_t>indices.shape[1] == width, "indices")
        with nogil:
            kq_ordered(&self.picture, &mixes[0], first, last, &thresholds[0, 0],
                       &found[0], &indices[0, 0])
