# cython: language_level=3, boundscheck=False, wraparound=False
# cython: initializedcheck=False, embedsignature=True
# cython: allow_none_for_extension_args=False, auto_pickle=False, autotestdict=False
"""The binding: checks what it is given, releases the GIL, calls kernel/kquant.h.

Nothing is computed here. Whatever the kernel goes by when it reads or writes memory is
checked here, sizes and values, or belongs to an object that made it. Pixels need no
check: they are the caller's, and may change at any time, even during a call.

Not checked, since no check could hold: that no other thread writes to other arrays
during a call, and that what an object keeps, which is read-only from then on, is not
made writeable again.
"""

import _thread

import numpy

from libc.stdint cimport (
    INT64_MAX, UINT32_MAX,
    int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t,
)
from libc.string cimport memcpy

cdef extern from "kquant.h" nogil:
    enum:
        KQ_BANDS, KQ_BAND_ROWS, KQ_BINS, KQ_BUCKETS, KQ_CELLS, KQ_CELL_BITS
        KQ_CELL_SIZE, KQ_CHANNELS, KQ_CODES, KQ_DEPTH, KQ_FULL, KQ_LANES, KQ_MAX_COLORS
        KQ_MOST, KQ_NEAREST_CELLS, KQ_NEAREST_GROUPS, KQ_ONE, KQ_PARTS, KQ_RANK_WORDS
        KQ_RGB, KQ_STRENGTH, KQ_SUMS, KQ_TILE

    ctypedef struct kq_image:
        const uint8_t *data
        size_t height, width, channels
        ptrdiff_t row, pixel, channel

    ctypedef struct kq_buckets:
        const uint16_t *low
        const uint32_t *bounds

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

    ctypedef struct kq_tree:
        kq_points points
        kq_level level[3]

    ctypedef struct kq_space:
        bint plain, roots
        double light[256]
        double to_cones[3][3]
        double from_roots[3][3]
        double offset[3]
        double knee, slope, foot
        int32_t middle[3], opaque

    ctypedef struct kq_color_index:
        const uint64_t *ranks
        const uint32_t *codes
        const uint32_t *table
        size_t size

    ctypedef struct kq_picture:
        kq_image image
        kq_color_index color_index
        kq_points points
        const uint8_t *labels

    ctypedef struct kq_group:
        pass

    ctypedef struct kq_nearest:
        const int16_t *palette
        size_t k, channels
        uint32_t *cells
        kq_group *groups
        size_t used

    ctypedef struct kq_scratch:
        int32_t *errors
        int16_t *rows
        uint32_t *found
        uint8_t *unused

    void kq_bucket_sort(const kq_image *, uint32_t *, uint32_t *, uint16_t *)
    size_t kq_count_colors(const kq_buckets *, size_t, size_t, size_t, uint32_t *,
                           uint8_t *, int64_t *)
    size_t kq_tally(const kq_image *, uint8_t *, uint32_t *, size_t)
    void kq_tally_sizes(const uint8_t *, size_t, size_t, size_t, uint32_t *)
    size_t kq_tally_colors(const uint8_t *, size_t, const uint32_t *, size_t, size_t,
                           size_t, size_t, uint32_t *, uint8_t *, int64_t *)
    size_t kq_merge(const uint32_t *, const uint8_t *, const int64_t *, size_t,
                    const uint32_t *, const uint8_t *, const int64_t *, size_t,
                    size_t, uint32_t *, uint8_t *, int64_t *)
    void kq_pixel_codes(const kq_image *, uint32_t *)
    void kq_colors(const uint32_t *, size_t, size_t, uint8_t *)
    void kq_to_space(const kq_space *, const uint8_t *, size_t, size_t, size_t,
                     int16_t *)
    int kq_cell_counts(const uint32_t *, size_t, int, size_t *)
    size_t kq_coarsen(const kq_points *, const uint32_t *, int, size_t, uint32_t *,
                      int64_t *, uint32_t *, int16_t *, int64_t *)
    void kq_inherit(const uint32_t *, const int64_t *, const uint8_t *, size_t,
                    uint8_t *, int64_t *)
    size_t kq_blocks(const uint32_t *, size_t, int, size_t, uint32_t *)
    void kq_measure_level(const kq_tree *, size_t, uint32_t *, int16_t *, int16_t *,
                          int64_t *)
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
    void kq_lookup_build(const uint32_t *, const uint8_t *, size_t, uint32_t *,
                         uint8_t *)
    void kq_lookup(const kq_image *, const uint32_t *, const uint8_t *, uint8_t *)
    void kq_rank_build(const uint32_t *, size_t, uint64_t *)
    void kq_hash_build(const uint32_t *, size_t, size_t, uint32_t *)
    void kq_hash_lookup(const kq_image *, const kq_color_index *, const uint8_t *,
                        uint32_t *, uint8_t *)
    void kq_prepare(const kq_picture *, const int16_t *, size_t, size_t, int16_t *)
    void kq_diffuse(const kq_picture *, const int16_t *, kq_nearest *, size_t, size_t,
                    int, const kq_scratch *, uint8_t *)
    void kq_mix(const kq_picture *, const int16_t *, size_t, size_t, size_t, int,
                uint32_t *)
    void kq_ordered(const kq_picture *, const uint32_t *, size_t, size_t,
                    const uint8_t *, uint32_t *, uint8_t *)
    int kq_use_level(int)
    int kq_are_labels(const uint8_t *, size_t, size_t)
    int kq_are_on_grid(const int16_t *, size_t)
    int kq_are_weights(const int64_t *, size_t, int64_t)
    int kq_are_sums(const int64_t *, size_t)

BANDS = KQ_BANDS
BAND_ROWS = KQ_BAND_ROWS
BUCKETS = KQ_BUCKETS
CHANNELS = KQ_CHANNELS
ONE = KQ_ONE
STRENGTH = KQ_STRENGTH
SUMS = KQ_SUMS
TILE = KQ_TILE


# ---- checks

cdef int need(bint condition, str what) except -1:
    if not condition:
        raise ValueError(f"kernel: {what}")
    return 0


cdef int need_range(size_t first, size_t last, size_t most) except -1:
    return need(first < last <= most, "range")


cdef int need_plane(Py_ssize_t height, Py_ssize_t width, const uint8_t[:, :, :] pixels,
                    str what) except -1:
    """Is there something for each pixel?"""
    return need(height == pixels.shape[0] and width == pixels.shape[1], what)


cdef kq_image as_image(const uint8_t[:, :, :] pixels, bint alpha=False) except *:
    cdef kq_image image
    image.channels = pixels.shape[2]
    need(image.channels == KQ_RGB or (alpha and image.channels == 4), "channels")
    need(pixels.shape[0] > 0 and pixels.shape[1] > 0, "no pixels")
    need(pixels.shape[0] <= INT64_MAX // pixels.shape[1] // 8, "too many pixels")
    image.data = &pixels[0, 0, 0]
    image.height, image.width = pixels.shape[0], pixels.shape[1]
    image.row, image.pixel = pixels.strides[0], pixels.strides[1]
    image.channel = pixels.strides[2]
    return image


cdef size_t need_colors(const uint32_t[::1] codes, const uint8_t[:, ::1] colors,
                        const int64_t[::1] counts, size_t channels) except *:
    """How many colours there are, or there is room for."""
    cdef size_t n = codes.shape[0]
    need(<size_t>colors.shape[0] == n and <size_t>colors.shape[1] == channels, "colors")
    need(<size_t>counts.shape[0] == n, "counts")
    return n


cdef size_t need_centroids(const int16_t[:, ::1] centroids) except 0:
    """How many centroids, or entries of a palette, there are."""
    cdef size_t k = centroids.shape[0]
    need(0 < k <= KQ_MAX_COLORS and centroids.shape[1] == KQ_CHANNELS, "centroids")
    need(kq_are_on_grid(&centroids[0, 0], KQ_CHANNELS * k), "centroids")
    return k


cdef size_t need_sums(const int64_t[:, ::1] sums,
                      const int16_t[:, ::1] centroids) except 0:
    cdef size_t k = need_centroids(centroids)
    need(<size_t>sums.shape[0] == k and sums.shape[1] == KQ_SUMS, "sums")
    need(kq_are_sums(&sums[0, 0], k), "sums")
    return k


cdef int need_labels(const uint8_t[::1] labels, size_t n, size_t k) except -1:
    need(0 < k <= KQ_MAX_COLORS and n > 0, "labels")
    need(<size_t>labels.shape[0] == n and kq_are_labels(&labels[0], n, k), "labels")
    return 0


cdef object keep(array):
    """What an object goes by after it was checked, nobody may change any more."""
    array.flags.writeable = False
    return array


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


# ---- pixels to distinct colours

cdef class Buckets:
    """The pixels (H, W, 3) of a part of an image, sorted into buckets.

    `bounds` (BUCKETS + 1,), read-only, says where among them each bucket begins.
    """

    cdef kq_buckets buckets
    cdef readonly object bounds
    cdef object low

    def __cinit__(self, const uint8_t[:, :, :] pixels):
        cdef kq_image image = as_image(pixels)
        cdef size_t size = image.height * image.width
        need(size <= UINT32_MAX, "too many pixels")
        cdef uint32_t[::1] codes = numpy.empty(size, numpy.uint32)
        cdef uint32_t[::1] bounds = numpy.empty(KQ_BUCKETS + 1, numpy.uint32)
        cdef uint16_t[::1] low = numpy.empty(size, numpy.uint16)
        with nogil:
            kq_bucket_sort(&image, &codes[0], &bounds[0], &low[0])
        self.buckets = kq_buckets(&low[0], &bounds[0])
        self.low, self.bounds = low, keep(bounds.base)


def count_colors(parts, size_t first, size_t last, uint32_t[::1] codes,
                 uint8_t[:, ::1] colors, int64_t[::1] counts):
    """Buckets first..last-1 of all parts -> codes, colors (room, 3), counts (room,).

    There must be room for all of their pixels; returns how many colours there are.
    """
    cdef kq_buckets buckets[KQ_PARTS]
    cdef size_t pixels = 0, count = 0, n, room = need_colors(codes, colors, counts, 3)
    kept = tuple(parts)
    need_range(first, last, KQ_BUCKETS)
    need_range(0, len(kept), KQ_PARTS)
    for part in kept:
        buckets[count] = (<Buckets?>part).buckets
        pixels += buckets[count].bounds[last] - buckets[count].bounds[first]
        count += 1
    need(0 < pixels <= room, "room")
    with nogil:
        n = kq_count_colors(buckets, count, first, last, &codes[0], &colors[0, 0],
                            &counts[0])
    return n


cdef class Tables:
    """So many tables of counts of all the colours there are, each for one thread."""

    cdef uint8_t[:, ::1] tables
    cdef size_t pixels[KQ_PARTS]  # that each table has got
    cdef list full

    def __cinit__(self, size_t count):
        need_range(0, count, KQ_PARTS)
        self.tables = numpy.zeros((count, KQ_CODES), numpy.uint8)
        self.full = [numpy.empty(0, numpy.uint32)]

    def add(self, size_t table, const uint8_t[:, :, :] pixels):
        """Count pixels (H, W, 3) in one of the tables."""
        cdef kq_image image = as_image(pixels)
        cdef size_t room, used
        need_range(table, table + 1, self.tables.shape[0])
        self.pixels[table] += image.height * image.width
        room = self.pixels[table] // KQ_FULL + 1
        cdef uint32_t[::1] full = numpy.empty(room, numpy.uint32)
        with nogil:
            used = kq_tally(&image, &self.tables[table, 0], &full[0], room)
        need(used <= room, "room")
        self.full.append(full.base[:used].copy())

    def sizes(self, size_t first, size_t last):
        """How many colours each of the buckets first..last-1 has: (last - first,)."""
        need_range(first, last, KQ_BUCKETS)
        cdef uint32_t[::1] sizes = numpy.empty(KQ_BUCKETS, numpy.uint32)
        with nogil:
            kq_tally_sizes(&self.tables[0, 0], self.tables.shape[0], first, last,
                           &sizes[0])
        return sizes.base[first:last]

    def colors(self, size_t first, size_t last, uint32_t[::1] codes,
               uint8_t[:, ::1] colors, int64_t[::1] counts):
        """Buckets first..last-1, n colours by their sizes() -> as count_colors()."""
        cdef size_t n = need_colors(codes, colors, counts, 3), found, n_full
        need_range(first, last, KQ_BUCKETS)
        need(n > 0, "room")
        full = numpy.concatenate(self.full)
        here = (first <= full // KQ_BUCKETS) & (full // KQ_BUCKETS < last)
        cdef uint32_t[::1] ascending = numpy.sort(full[here])
        n_full = ascending.shape[0]
        with nogil:
            found = kq_tally_colors(&self.tables[0, 0], self.tables.shape[0],
                                    &ascending[0], n_full, first, last, n, &codes[0],
                                    &colors[0, 0], &counts[0])
        need(found == n, "room")


def merge(const uint32_t[::1] codes_a, const uint8_t[:, ::1] colors_a,
          const int64_t[::1] counts_a, const uint32_t[::1] codes_b,
          const uint8_t[:, ::1] colors_b, const int64_t[::1] counts_b,
          uint32_t[::1] codes, uint8_t[:, ::1] colors, int64_t[::1] counts):
    """Two histograms -> codes (n,), colors (n, 3|4), counts (n,); returns n."""
    cdef size_t channels = colors.shape[1], n
    cdef size_t n_a = need_colors(codes_a, colors_a, counts_a, channels)
    cdef size_t n_b = need_colors(codes_b, colors_b, counts_b, channels)
    need(n_a > 0 and n_b > 0 and channels > 0, "no colours")
    need(n_a + n_b <= need_colors(codes, colors, counts, channels), "room")
    with nogil:
        n = kq_merge(&codes_a[0], &colors_a[0, 0], &counts_a[0], n_a,
                     &codes_b[0], &colors_b[0, 0], &counts_b[0], n_b, channels,
                     &codes[0], &colors[0, 0], &counts[0])
    return n


def pixel_codes(const uint8_t[:, :, :] pixels):
    """pixels (H, W, 3|4) -> Morton codes (H * W,)."""
    cdef kq_image image = as_image(pixels, alpha=True)
    cdef uint32_t[::1] codes = numpy.empty(image.height * image.width, numpy.uint32)
    with nogil:
        kq_pixel_codes(&image, &codes[0])
    return codes.base


def decoded(const uint32_t[::1] codes, size_t channels):
    """Morton codes (n,) -> colors (n, 3|4)."""
    cdef size_t n = codes.shape[0]
    need(n > 0 and (channels == 3 or channels == 4), "channels")
    cdef uint8_t[:, ::1] colors = numpy.empty((n, channels), numpy.uint8)
    with nogil:
        kq_colors(&codes[0], n, channels, &colors[0, 0])
    return colors.base


cdef class Codes:
    """The codes (n,) of distinct colours with 3|4 channels: checked that they ascend.

    `cells` (b + 1,), read-only, says how many cells their first 0..b bits make.
    """

    cdef const uint32_t[::1] codes
    cdef size_t n, channels
    cdef int bits
    cdef size_t counts[33]
    cdef readonly object cells

    def __cinit__(self, codes, size_t channels):
        cdef bint ascend
        need(channels == 3 or channels == 4, "channels")
        self.codes, self.channels = codes, channels
        self.n, self.bits = self.codes.shape[0], 8 * <int>channels
        need(0 < self.n <= UINT32_MAX, "codes")
        with nogil:
            ascend = kq_cell_counts(&self.codes[0], self.n, self.bits, self.counts)
        need(ascend, "codes")
        keep(codes)
        self.cells = keep(numpy.array(<size_t[:self.bits + 1]>self.counts))


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
        for i in range(3 if space.roots else 0):
            space.offset[i] = offset[i]
            for j in range(3):
                space.to_cones[i][j] = to_cones[i][j]
                space.from_roots[i][j] = from_roots[i][j]
        space.knee, space.slope, space.foot = root or (0, 0, 0)
        space.middle[0], space.middle[1], space.middle[2] = middle
        space.opaque = opaque
        need(0 <= min(*middle, opaque) and max(*middle, opaque) <= KQ_MOST, "middle")

    def load(self, const uint8_t[:, ::1] colors):
        """colors (n, 3|4) -> coords (3|4, n + padding)."""
        cdef size_t n = colors.shape[0], channels = colors.shape[1]
        cdef size_t stride = n + KQ_LANES
        need(n > 0 and (channels == 3 or channels == 4), "colors")
        cdef int16_t[:, ::1] coords = numpy.empty((channels, stride), numpy.int16)
        with nogil:
            kq_to_space(&self.space, &colors[0, 0], n, channels, stride, &coords[0, 0])
        return coords.base


cdef class Tree:
    """Weighted points in Morton order and the blocks over them.

    codes, coords (3|4, n + padding) as Space.load() makes them, weights (n,), and how
    many points blocks may have on each level, coarse to fine; `roots` (count + 1,),
    read-only, says where the coarsest ones begin, `total` (SUMS,) the sums of all.
    """

    cdef kq_tree tree
    cdef list kept  # the arrays that the tree points into
    cdef Codes codes
    cdef double energy  # below 0 until it is needed
    cdef readonly object coords, weights, roots, total
    # Of a coarse tree: the first finer point of each of its points, and their sums.
    cdef const uint32_t[::1] cells
    cdef const int64_t[:, ::1] cell_sums

    def __cinit__(self, Codes codes, coords, weights, capacities):
        cdef const int16_t[:, ::1] at = coords
        cdef const int64_t[::1] weight = weights
        cdef size_t n = codes.n, capacity, least = 1
        need(<size_t>at.shape[0] == codes.channels, "coords")
        need(<size_t>at.shape[1] >= n + KQ_LANES, "coords without padding")
        need(kq_are_on_grid(&at[0, 0], at.shape[0] * at.shape[1]), "coords")
        need(<size_t>weight.shape[0] == n, "weights")
        need(kq_are_weights(&weight[0], n, 1), "weights")
        need(len(capacities) == KQ_DEPTH, "capacities")
        self.coords, self.weights, self.codes = keep(coords), keep(weights), codes
        self.kept, self.energy = [at, weight], -1
        self.tree.points = kq_points(n, at.shape[1], codes.channels, &at[0, 0],
                                     &weight[0])
        for depth in reversed(range(KQ_DEPTH)):
            capacity = capacities[depth]
            need(least <= capacity, "capacities")  # so that blocks are nested
            self.add_level(depth, capacity)
            least = capacity

    cdef int add_level(self, size_t depth, size_t capacity) except -1:
        cdef kq_level *level = &self.tree.level[depth]
        cdef size_t n = self.tree.points.n
        cdef uint32_t[::1] start = numpy.empty(n + 1, numpy.uint32)
        with nogil:
            level.count = kq_blocks(&self.codes.codes[0], n, self.codes.bits, capacity,
                                    &start[0])
        start = start.base[:level.count + 1].copy()
        cdef uint32_t[::1] child = numpy.empty(level.count + 1, numpy.uint32)
        cdef int16_t[:, ::1] low = numpy.empty((level.count, KQ_CHANNELS), numpy.int16)
        cdef int16_t[:, ::1] high = numpy.empty((level.count, KQ_CHANNELS), numpy.int16)
        cdef int64_t[:, ::1] sums = numpy.empty((level.count, KQ_SUMS), numpy.int64)
        self.kept += [start, child, low, high, sums]
        level.start, level.child, level.sums = &start[0], &child[0], &sums[0, 0]
        level.low, level.high = &low[0, 0], &high[0, 0]
        with nogil:
            kq_measure_level(&self.tree, depth, &child[0], &low[0, 0], &high[0, 0],
                             &sums[0, 0])
        self.roots, self.total = keep(start.base), keep(sums.base.sum(axis=0))
        return 0

    def error(self, const int64_t[:, ::1] sums, const int16_t[:, ::1] centroids):
        """Squared error, in colour values squared, of centroids with these sums."""
        cdef size_t k = need_sums(sums, centroids)
        cdef double energy = self.energy, error
        with nogil:
            if energy < 0:
                energy = kq_energy(&self.tree.points)
            error = kq_error(&sums[0, 0], &centroids[0, 0], k, energy)
        self.energy = energy
        return error

    def coarsen(self, int bits, capacities):
        """Merge the points whose codes agree in the first `bits` bits: a coarse Tree."""
        cdef int shift = self.codes.bits - bits
        need(0 <= bits <= self.codes.bits and shift < 32, "bits")
        cdef size_t m = self.codes.counts[bits], channels = self.codes.channels
        cdef uint32_t[::1] cells = numpy.empty(m + 1, numpy.uint32)
        cdef int64_t[:, ::1] sums = numpy.empty((m, KQ_SUMS), numpy.int64)
        cdef uint32_t[::1] codes = numpy.empty(m, numpy.uint32)
        cdef int64_t[::1] weights = numpy.empty(m, numpy.int64)
        cdef int16_t[:, ::1] coords = numpy.empty((channels, m + KQ_LANES), numpy.int16)
        with nogil:
            kq_coarsen(&self.tree.points, &self.codes.codes[0], shift, m + KQ_LANES,
                       &cells[0], &sums[0, 0], &codes[0], &coords[0, 0], &weights[0])
        cdef Tree coarse = Tree(Codes(codes.base, channels), coords.base, weights.base,
                                capacities)
        coarse.cells, coarse.cell_sums = cells, sums
        return coarse

    def inherit(self, const uint8_t[::1] labels, size_t k):
        """labels (m,) of a coarse tree -> those of all points (n,), sums (k, SUMS)."""
        cdef size_t m = self.tree.points.n
        need(self.cells.shape[0] > 0, "not coarse")
        need_labels(labels, m, k)
        cdef uint8_t[::1] fine = numpy.empty(self.cells[m], numpy.uint8)
        cdef int64_t[:, ::1] sums = numpy.zeros((k, KQ_SUMS), numpy.int64)
        with nogil:
            kq_inherit(&self.cells[0], &self.cell_sums[0, 0], &labels[0], m, &fine[0],
                       &sums[0, 0])
        return fine.base, sums.base

    def seed(self, size_t k):
        """Cut until there are k centroids, or nothing to cut: (k or less, CHANNELS)."""
        cdef size_t n = self.tree.points.n, used
        need(0 < k <= KQ_MAX_COLORS, "k")
        cdef uint32_t[::1] order = numpy.empty(n, numpy.uint32)
        cdef uint8_t[::1] bins = numpy.empty(n, numpy.uint8)
        cdef int16_t[:, ::1] centroids = numpy.empty((k, KQ_CHANNELS), numpy.int16)
        with nogil:
            used = kq_seed(&self.tree.points, k, &order[0], &bins[0], &centroids[0, 0])
        return centroids.base[:used]

    def splits(self, const uint8_t[::1] labels, size_t k):
        """labels (n,) below k -> gains (k,), halves (k, 2, CHANNELS)."""
        need_labels(labels, self.tree.points.n, k)
        cdef double[:, :, ::1] sums = numpy.empty((k, KQ_BINS, KQ_SUMS))
        cdef double[::1] gains = numpy.empty(k)
        cdef int16_t[:, :, ::1] halves = numpy.zeros((k, 2, KQ_CHANNELS), numpy.int16)
        with nogil:
            kq_splits(&self.tree.points, &labels[0], k, &sums[0, 0, 0], &gains[0],
                      &halves[0, 0, 0])
        return gains.base, halves.base

    def assign(self, size_t first, size_t last, const int16_t[:, ::1] centroids,
               uint8_t[::1] labels):
        """Label the points of the root blocks first..last-1: labels (n,) in and out.

        Returns how many changed, and the change (k, SUMS) of the sums of the labels.
        """
        cdef size_t k = need_centroids(centroids), changed, begin
        cdef const kq_level *level = &self.tree.level[0]
        need(<size_t>labels.shape[0] == self.tree.points.n, "labels")
        need(first <= last <= level.count, "root blocks")
        begin = level.start[first]  # other threads write to other labels
        need(kq_are_labels(&labels[0] + begin, level.start[last] - begin, k), "labels")
        cdef int64_t[:, ::1] change = numpy.zeros((k, KQ_SUMS), numpy.int64)
        with nogil:
            changed = kq_assign(&self.tree, first, last, &centroids[0, 0], k,
                                &labels[0], &change[0, 0])
        return changed, change.base


def update(const int64_t[:, ::1] sums, int16_t[:, ::1] centroids):
    """sums (k, SUMS), centroids (k, CHANNELS) in and out; returns how many moved."""
    cdef size_t k = need_sums(sums, centroids), moved
    with nogil:
        moved = kq_update(&sums[0, 0], k, &centroids[0, 0])
    return moved


def merges(const int64_t[:, ::1] sums, const int16_t[:, ::1] centroids):
    """sums (k, SUMS), centroids (k, CHANNELS) -> costs (k,), partners (k,)."""
    cdef size_t k = need_sums(sums, centroids)
    cdef double[::1] costs = numpy.empty(k)
    cdef int32_t[::1] partners = numpy.empty(k, numpy.int32)
    with nogil:
        kq_merges(&sums[0, 0], &centroids[0, 0], k, &costs[0], &partners[0])
    return costs.base, partners.base


# ---- results

def measure(const uint8_t[:, :, :] pixels, const uint8_t[:, ::1] labels,
            const uint8_t[:, ::1] palette, const int64_t[:, ::1] weights=None):
    """pixels (H, W, 3|4), labels, weights (H, W), palette (k, 3|4) -> how far apart.

    The sum of the squared distances, the largest, and how many pixels, or which weight,
    each entry has (k,).
    """
    cdef kq_image image = as_image(pixels, alpha=True)
    cdef const int64_t *weight = NULL
    cdef size_t k = palette.shape[0], size = image.height * image.width
    cdef double largest, total
    need(0 < k <= KQ_MAX_COLORS and palette.shape[1] == pixels.shape[2], "palette")
    need_plane(labels.shape[0], labels.shape[1], pixels, "labels")
    need(kq_are_labels(&labels[0, 0], size, k), "labels")
    if weights is not None:
        need_plane(weights.shape[0], weights.shape[1], pixels, "weights")
        weight = &weights[0, 0]
        need(kq_are_weights(weight, size, 0), "weights")
    cdef int64_t[::1] counts = numpy.empty(k, numpy.int64)
    with nogil:
        total = kq_measure(&image, weight, &labels[0, 0], &palette[0, 0], k, &counts[0],
                           &largest)
    return total, largest, counts.base


cdef class ColorIndex:
    """From pixels to the ranks of their colours, or to labels (n,) of these."""

    cdef kq_color_index index
    cdef Codes codes
    cdef const uint8_t[::1] labels
    cdef uint64_t[::1] ranks
    cdef uint32_t[::1] slots, hashed
    cdef uint8_t[:, ::1] table

    def __cinit__(self, Codes codes, const uint8_t[::1] labels=None):
        cdef const uint32_t *first = &codes.codes[0]
        cdef size_t n = codes.n, size = 64
        need(labels is None or <size_t>labels.shape[0] == n, "labels")
        self.codes, self.labels = codes, labels
        if codes.channels == 4:
            while size < 2 * n:
                size *= 2
            self.hashed = numpy.empty(size, numpy.uint32)
            with nogil:
                kq_hash_build(first, n, size, &self.hashed[0])
            self.index = kq_color_index(NULL, first, &self.hashed[0], size)
        elif labels is None:
            self.ranks = numpy.zeros(KQ_RANK_WORDS, numpy.uint64)
            with nogil:
                kq_rank_build(first, n, &self.ranks[0])
            self.index = kq_color_index(&self.ranks[0], NULL, NULL, 0)
        else:
            self.slots = numpy.zeros(KQ_CELLS, numpy.uint32)
            self.table = numpy.empty((codes.counts[KQ_CELL_BITS], KQ_CELL_SIZE),
                                     numpy.uint8)
            with nogil:
                kq_lookup_build(first, &labels[0], n, &self.slots[0],
                                &self.table[0, 0])

    def map(self, const uint8_t[:, :, :] pixels, uint8_t[:, ::1] indices):
        """pixels (H, W, 3|4) -> indices (H, W); any of the labels for other colours."""
        cdef kq_image image = as_image(pixels, alpha=True)
        cdef uint32_t[::1] found
        need(self.labels is not None, "labels")
        need(image.channels == self.codes.channels, "channels")
        need_plane(indices.shape[0], indices.shape[1], pixels, "indices")
        if image.channels == KQ_RGB:
            with nogil:
                kq_lookup(&image, &self.slots[0], &self.table[0, 0], &indices[0, 0])
            return
        found = numpy.empty(image.width, numpy.uint32)
        with nogil:
            kq_hash_lookup(&image, &self.index, &self.labels[0], &found[0],
                           &indices[0, 0])


# ---- dithering

cdef class Picture:
    """What is dithered: pixels; the codes, points and entries of their colours.

    pixels (H, W, 3|4), coords (3|4, n + padding) as Space.load() makes them, labels
    (n,), palette (k, CHANNELS); strength is a part of STRENGTH.
    """

    cdef kq_picture picture
    cdef int16_t palette[KQ_MAX_COLORS][KQ_CHANNELS]
    cdef int strength
    cdef int16_t[:, ::1] prepared
    cdef uint32_t[::1] mixes
    cdef readonly size_t height, width, colors, entries
    cdef tuple kept

    def __cinit__(self, const uint8_t[:, :, :] pixels, Codes codes,
                  const int16_t[:, ::1] coords, const uint8_t[::1] labels,
                  const int16_t[:, ::1] palette, int strength):
        cdef ColorIndex index
        cdef size_t n = codes.n, stride = coords.shape[1]
        self.picture.image = as_image(pixels, alpha=True)
        need(self.picture.image.channels == codes.channels, "channels")
        need(<size_t>coords.shape[0] == codes.channels and stride >= n, "coords")
        need(kq_are_on_grid(&coords[0, 0], codes.channels * stride), "coords")
        self.entries = need_centroids(palette)
        need_labels(labels, n, self.entries)
        need(0 <= strength <= KQ_STRENGTH, "strength")
        memcpy(self.palette, &palette[0, 0], self.entries * sizeof(self.palette[0]))
        index = ColorIndex(codes)
        self.picture.color_index, self.picture.labels = index.index, &labels[0]
        self.picture.points = kq_points(n, stride, codes.channels, &coords[0, 0], NULL)
        self.kept = pixels, index, coords, labels
        # One more than colours, for pixels that have changed; 0 is a valid value of all.
        self.prepared = numpy.zeros((n + 1, KQ_CHANNELS), numpy.int16)
        self.mixes = numpy.zeros(n + 1, numpy.uint32)
        self.height, self.width = pixels.shape[0], pixels.shape[1]
        self.colors, self.strength = n, strength

    cdef int need_rows(self, size_t first, size_t last,
                       const uint8_t[:, ::1] indices) except -1:
        need_range(first, last, self.height)
        need(<size_t>indices.shape[0] == self.height, "indices")
        return need(<size_t>indices.shape[1] == self.width, "indices")

    def prepare(self, size_t first, size_t last):
        """Make the colours first..last-1, in the end all, ready for diffuse()."""
        need_range(first, last, self.colors)
        with nogil:
            kq_prepare(&self.picture, &self.palette[0][0], first, last,
                       &self.prepared[0, 0])

    def diffuse(self, Nearest nearest, size_t first, size_t last,
                uint8_t[:, ::1] indices):
        """Dither rows first..last-1 of indices (H, W).

        first is a multiple of BAND_ROWS, and the rows are at most BANDS * BAND_ROWS.
        """
        cdef kq_scratch scratch
        self.need_rows(first, last, indices)
        need(first % KQ_BAND_ROWS == 0, "first")
        need(last - first <= KQ_BANDS * KQ_BAND_ROWS, "last")
        need(nearest.picture is self, "nearest")
        cdef int32_t[:, :, :, ::1] errors = numpy.zeros(
            (KQ_BANDS, 2, self.width + 2, KQ_CHANNELS), numpy.int32)
        cdef int16_t[:, :, ::1] rows = numpy.empty(
            (KQ_BANDS, self.width, KQ_CHANNELS), numpy.int16)
        cdef uint32_t[::1] found = numpy.empty(self.width, numpy.uint32)
        cdef uint8_t[::1] unused = numpy.empty(self.width, numpy.uint8)
        scratch = kq_scratch(&errors[0, 0, 0, 0], &rows[0, 0, 0], &found[0], &unused[0])
        with nearest.lock, nogil:
            kq_diffuse(&self.picture, &self.prepared[0, 0], &nearest.search, first,
                       last, self.strength, &scratch, &indices[0, 0])

    def mix(self, size_t first, size_t last):
        """Make the colours first..last-1, in the end all, ready for ordered()."""
        need_range(first, last, self.colors)
        with nogil:
            kq_mix(&self.picture, &self.palette[0][0], self.entries, first, last,
                   self.strength, &self.mixes[0])

    def ordered(self, const uint8_t[:, ::1] thresholds, size_t first, size_t last,
                uint8_t[:, ::1] indices):
        """Dither rows first..last-1 of indices (H, W) by thresholds (TILE, TILE)."""
        self.need_rows(first, last, indices)
        need(thresholds.shape[0] == KQ_TILE == thresholds.shape[1], "thresholds")
        cdef uint32_t[::1] found = numpy.empty(self.width, numpy.uint32)
        with nogil:
            kq_ordered(&self.picture, &self.mixes[0], first, last, &thresholds[0, 0],
                       &found[0], &indices[0, 0])


cdef class Nearest:
    """Finds the nearest entries of a picture's palette, for one thread."""

    cdef kq_nearest search
    cdef Picture picture
    cdef tuple kept
    cdef object lock  # should two threads use it, they take turns

    def __cinit__(self, Picture picture):
        cdef uint32_t[::1] cells = numpy.zeros(KQ_NEAREST_CELLS, numpy.uint32)
        cdef uint8_t[::1] groups = numpy.empty(
            KQ_NEAREST_GROUPS * sizeof(kq_group), numpy.uint8)
        self.search = kq_nearest(&picture.palette[0][0], picture.entries,
                                 picture.picture.points.channels, &cells[0],
                                 <kq_group *>&groups[0], 0)
        self.picture, self.kept = picture, (cells, groups)
        self.lock = _thread.allocate_lock()
