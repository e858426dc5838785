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
    int16_t as i16, int32_t as i32, int64_t as i64,
    uint8_t as u8, uint16_t as u16, uint32_t as u32, uint64_t as u64,
)

cdef extern from "kquant.h" nogil:
    enum:
        KQ_BANDS, KQ_BAND_ROWS, KQ_BINS, KQ_BUCKETS, KQ_CELLS, KQ_CELL_BITS
        KQ_CELL_SIZE, KQ_CHANNELS, KQ_CODES, KQ_DEPTH, KQ_FULL, KQ_LANES, KQ_MAX_COLORS
        KQ_MOST, KQ_NEAREST_CELLS, KQ_NEAREST_GROUPS, KQ_ONE, KQ_PARTS, KQ_RANK_WORDS
        KQ_RGB, KQ_SLACK, KQ_STRENGTH, KQ_SUMS, KQ_TILE

    ctypedef struct kq_image:
        const u8 *data
        size_t height, width, channels
        ptrdiff_t row, pixel, channel

    ctypedef struct kq_buckets:
        const u16 *low
        const u32 *bounds

    ctypedef struct kq_points:
        size_t n, stride, channels
        const i16 *coords
        const i64 *weights

    ctypedef struct kq_level:
        size_t count
        const u32 *start
        const u32 *child
        const i16 *low
        const i16 *high
        const i64 *sums

    ctypedef struct kq_tree:
        kq_points points
        kq_level level[3]

    ctypedef struct kq_alpha:
        const u8 *colors
        const u8 *palette
        int slack

    ctypedef struct kq_space:
        bint plain, roots
        double light[256]
        double to_cones[3][3]
        double from_roots[3][3]
        double offset[3]
        double knee, slope, foot
        i32 middle[3]
        i32 opaque

    ctypedef struct kq_color_index:
        const u64 *ranks
        const u32 *codes
        const u32 *table
        size_t size

    ctypedef struct kq_picture:
        kq_image image
        kq_color_index color_index
        kq_points points
        const u8 *labels
        const i16 *palette
        size_t k
        int strength

    ctypedef struct kq_group:
        pass

    ctypedef struct kq_nearest:
        u32 *cells
        kq_group *groups
        i32 *errors
        i16 *rows
        u32 *found
        u8 *unused
        size_t used

    void kq_bucket_sort(const kq_image *, u32 *, u16 *)
    size_t kq_count_colors(const kq_buckets *, size_t, size_t, size_t, u32 *, u8 *,
                           i64 *)
    size_t kq_tally(const kq_image *, u8 *, u32 *, size_t)
    void kq_tally_sizes(const u8 *, size_t, size_t, size_t, u32 *)
    size_t kq_tally_colors(const u8 *, size_t, const u32 *, size_t, size_t, size_t,
                           size_t, u32 *, u8 *, i64 *)
    size_t kq_merge(const u32 *, const u8 *, const i64 *, size_t, const u32 *,
                    const u8 *, const i64 *, size_t, size_t, u32 *, u8 *, i64 *)
    void kq_pixel_codes(const kq_image *, u32 *)
    void kq_colors(const u32 *, size_t, size_t, u8 *)
    void kq_to_space(const kq_space *, const u8 *, size_t, size_t, size_t, i16 *)
    int kq_cell_counts(const u32 *, size_t, int, size_t *)
    size_t kq_coarsen(const kq_points *, const u32 *, int, size_t, u32 *, i64 *, u32 *,
                      i16 *, i64 *)
    void kq_inherit(const u32 *, const i64 *, const u8 *, size_t, u8 *, i64 *)
    size_t kq_blocks(const u32 *, size_t, int, size_t, u32 *)
    void kq_measure_level(const kq_tree *, size_t, u32 *, i16 *, i16 *, i64 *)
    size_t kq_seed(const kq_points *, size_t, u32 *, u8 *, i16 *)
    void kq_splits(const kq_points *, const u8 *, size_t, double *, double *, i16 *)
    size_t kq_assign(const kq_tree *, size_t, size_t, const i16 *, size_t, u8 *, i64 *)
    size_t kq_assign_alpha(const kq_tree *, size_t, size_t, const i16 *,
                           const kq_alpha *, size_t, u8 *, i64 *)
    size_t kq_update(const i64 *, size_t, i16 *)
    double kq_error(const i64 *, const i16 *, size_t, double)
    double kq_energy(const kq_points *)
    void kq_merges(const i64 *, const i16 *, size_t, double *, i32 *)
    double kq_measure(const kq_image *, const i64 *, const u8 *, const u8 *, size_t,
                      i64 *, double *)
    void kq_lookup_build(const u32 *, const u8 *, size_t, u32 *, u8 *)
    void kq_lookup(const kq_image *, const u32 *, const u8 *, u8 *)
    void kq_rank_build(const u32 *, size_t, u64 *)
    void kq_hash_build(const u32 *, size_t, size_t, u32 *)
    void kq_hash_lookup(const kq_image *, const kq_color_index *, const u8 *, u32 *,
                        u8 *)
    void kq_prepare(const kq_picture *, size_t, size_t, i16 *)
    void kq_diffuse(const kq_picture *, const i16 *, kq_nearest *, size_t, size_t, u8 *)
    void kq_mix(const kq_picture *, size_t, size_t, u32 *)
    void kq_ordered(const kq_picture *, const u32 *, size_t, size_t, const u8 *, u32 *,
                    u8 *)
    int kq_use_level(int)
    int kq_is_exact()
    int kq_are_labels(const u8 *, size_t, size_t)
    int kq_are_on_grid(const i16 *, size_t)
    int kq_are_weights(const i64 *, size_t, i64)
    int kq_are_sums(const i64 *, size_t)

BANDS, BAND_ROWS, BUCKETS, TILE = KQ_BANDS, KQ_BAND_ROWS, KQ_BUCKETS, KQ_TILE
CHANNELS, ONE, SLACK, STRENGTH, SUMS = (
    KQ_CHANNELS, KQ_ONE, KQ_SLACK, KQ_STRENGTH, KQ_SUMS)


if not kq_is_exact():
    raise ImportError(
        "kquant was compiled with flags that change how floating-point numbers are "
        "rounded: build it again without them (CFLAGS, LDFLAGS)"
    )


# ---- checks

cdef int need(bint condition, str what) except -1:
    if not condition:
        raise ValueError(f"kernel: {what}")
    return 0


cdef int need_range(size_t first, size_t last, size_t most) except -1:
    return need(first < last <= most, "range")


cdef int need_plane(Py_ssize_t height, Py_ssize_t width, const u8[:, :, :] pixels,
                    str what) except -1:
    """Is there something for each pixel?"""
    return need(height == pixels.shape[0] and width == pixels.shape[1], what)


cdef kq_image as_image(const u8[:, :, :] pixels, bint alpha=False) except *:
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


cdef size_t need_colors(const u32[::1] codes, const u8[:, ::1] colors,
                        const i64[::1] counts, size_t channels) except *:
    """How many colours there are, or there is room for."""
    cdef size_t n = codes.shape[0]
    need(<size_t>colors.shape[0] == n and <size_t>colors.shape[1] == channels, "colors")
    need(<size_t>counts.shape[0] == n, "counts")
    return n


cdef size_t need_centroids(const i16[:, ::1] centroids) except 0:
    """How many centroids, or entries of a palette, there are."""
    cdef size_t k = centroids.shape[0]
    need(0 < k <= KQ_MAX_COLORS and centroids.shape[1] == KQ_CHANNELS, "centroids")
    need(kq_are_on_grid(&centroids[0, 0], KQ_CHANNELS * k), "centroids")
    return k


cdef size_t need_sums(const i64[:, ::1] sums, const i16[:, ::1] centroids) except 0:
    cdef size_t k = need_centroids(centroids)
    need(<size_t>sums.shape[0] == k and sums.shape[1] == KQ_SUMS, "sums")
    need(kq_are_sums(&sums[0, 0], k), "sums")
    return k


cdef int need_labels(const u8 *labels, size_t n, size_t k) except -1:
    cdef bint good
    with nogil:
        good = 0 < k <= KQ_MAX_COLORS and kq_are_labels(labels, n, k)
    return need(good, "labels")


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

    def __cinit__(self, const u8[:, :, :] pixels):
        cdef kq_image image = as_image(pixels)
        cdef size_t size = image.height * image.width
        need(size <= UINT32_MAX, "too many pixels")
        cdef u32[::1] bounds = numpy.empty(KQ_BUCKETS + 1, numpy.uint32)
        # Not all of it is written if the image changes meanwhile.
        cdef u16[::1] low = numpy.zeros(size, numpy.uint16)
        with nogil:
            kq_bucket_sort(&image, &bounds[0], &low[0])
        self.buckets = kq_buckets(&low[0], &bounds[0])
        self.low, self.bounds = low, keep(bounds.base)


def count_colors(parts, size_t first, size_t last, u32[::1] codes, u8[:, ::1] colors,
                 i64[::1] counts):
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

    cdef u8[:, ::1] tables
    cdef size_t pixels[KQ_PARTS]  # that each table has got
    cdef list full

    def __cinit__(self, size_t count):
        need_range(0, count, KQ_PARTS)
        self.tables = numpy.zeros((count, KQ_CODES), numpy.uint8)
        self.full = [numpy.empty(0, numpy.uint32)]

    def add(self, size_t table, const u8[:, :, :] pixels):
        """Count pixels (H, W, 3) in one of the tables."""
        cdef kq_image image = as_image(pixels)
        cdef size_t room, used
        need_range(table, table + 1, self.tables.shape[0])
        self.pixels[table] += image.height * image.width
        room = self.pixels[table] // KQ_FULL + 1
        cdef u32[::1] full = numpy.empty(room, numpy.uint32)
        with nogil:
            used = kq_tally(&image, &self.tables[table, 0], &full[0], room)
        need(used <= room, "room")
        self.full.append(full.base[:used].copy())

    def sizes(self, size_t first, size_t last):
        """How many colours each of the buckets first..last-1 has: (last - first,)."""
        need_range(first, last, KQ_BUCKETS)
        cdef u32[::1] sizes = numpy.empty(KQ_BUCKETS, numpy.uint32)
        with nogil:
            kq_tally_sizes(&self.tables[0, 0], self.tables.shape[0], first, last,
                           &sizes[0])
        return sizes.base[first:last]

    def colors(self, size_t first, size_t last, u32[::1] codes, u8[:, ::1] colors,
               i64[::1] counts):
        """Buckets first..last-1, n colours by their sizes() -> as count_colors()."""
        cdef size_t n = need_colors(codes, colors, counts, 3), found, n_full
        need_range(first, last, KQ_BUCKETS)
        need(n > 0, "room")
        full = numpy.concatenate(self.full)
        here = (first <= full // KQ_BUCKETS) & (full // KQ_BUCKETS < last)
        cdef u32[::1] ascending = numpy.sort(full[here])
        n_full = ascending.shape[0]
        with nogil:
            found = kq_tally_colors(&self.tables[0, 0], self.tables.shape[0],
                                    &ascending[0], n_full, first, last, n, &codes[0],
                                    &colors[0, 0], &counts[0])
        need(found == n, "room")


def merge(const u32[::1] codes_a, const u8[:, ::1] colors_a, const i64[::1] counts_a,
          const u32[::1] codes_b, const u8[:, ::1] colors_b, const i64[::1] counts_b,
          u32[::1] codes, u8[:, ::1] colors, i64[::1] counts):
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


def pixel_codes(const u8[:, :, :] pixels):
    """pixels (H, W, 3|4) -> Morton codes (H * W,)."""
    cdef kq_image image = as_image(pixels, alpha=True)
    cdef u32[::1] codes = numpy.empty(image.height * image.width, numpy.uint32)
    with nogil:
        kq_pixel_codes(&image, &codes[0])
    return codes.base


def decoded(const u32[::1] codes, size_t channels):
    """Morton codes (n,) -> colors (n, 3|4)."""
    cdef size_t n = codes.shape[0]
    need(n > 0 and (channels == 3 or channels == 4), "channels")
    cdef u8[:, ::1] colors = numpy.empty((n, channels), numpy.uint8)
    with nogil:
        kq_colors(&codes[0], n, channels, &colors[0, 0])
    return colors.base


cdef class Codes:
    """The codes (n,) of distinct colours with 3|4 channels: checked that they ascend.

    `cells` (b + 1,), read-only, says how many cells their first 0..b bits make.
    """

    cdef const u32[::1] codes
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
                  i32 opaque):
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

    def load(self, const u8[:, ::1] colors):
        """colors (n, 3|4) -> coords (3|4, n + padding)."""
        cdef size_t n = colors.shape[0], channels = colors.shape[1]
        cdef size_t stride = n + KQ_LANES
        need(n > 0 and (channels == 3 or channels == 4), "colors")
        cdef i16[:, ::1] coords = numpy.empty((channels, stride), numpy.int16)
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
    cdef const u32[::1] cells
    cdef const i64[:, ::1] cell_sums

    def __cinit__(self, Codes codes, coords, weights, capacities):
        cdef const i16[:, ::1] at = coords
        cdef const i64[::1] weight = weights
        cdef size_t n = codes.n, stride = at.shape[1], capacity, least = 1
        cdef bint good
        need(<size_t>at.shape[0] == codes.channels, "coords")
        need(stride >= n + KQ_LANES, "coords without padding")
        need(<size_t>weight.shape[0] == n, "weights")
        with nogil:
            good = (kq_are_on_grid(&at[0, 0], codes.channels * stride)
                    and kq_are_weights(&weight[0], n, 1))
        need(good, "coords or weights")
        need(len(capacities) == KQ_DEPTH, "capacities")
        self.coords, self.weights, self.codes = keep(coords), keep(weights), codes
        self.kept, self.energy = [at, weight], -1
        self.tree.points = kq_points(n, stride, codes.channels, &at[0, 0], &weight[0])
        for depth in reversed(range(KQ_DEPTH)):
            capacity = capacities[depth]
            need(least <= capacity, "capacities")  # so that blocks are nested
            self.add_level(depth, capacity)
            least = capacity

    cdef int add_level(self, size_t depth, size_t capacity) except -1:
        cdef kq_level *level = &self.tree.level[depth]
        cdef size_t n = self.tree.points.n
        cdef u32[::1] start = numpy.empty(n + 1, numpy.uint32)
        with nogil:
            level.count = kq_blocks(&self.codes.codes[0], n, self.codes.bits, capacity,
                                    &start[0])
        start = start.base[:level.count + 1].copy()
        cdef u32[::1] child = numpy.empty(level.count + 1, numpy.uint32)
        cdef i16[:, ::1] low = numpy.empty((level.count, KQ_CHANNELS), numpy.int16)
        cdef i16[:, ::1] high = numpy.empty((level.count, KQ_CHANNELS), numpy.int16)
        cdef i64[:, ::1] sums = numpy.empty((level.count, KQ_SUMS), numpy.int64)
        self.kept += [start, child, low, high, sums]
        level.start, level.child, level.sums = &start[0], &child[0], &sums[0, 0]
        level.low, level.high = &low[0, 0], &high[0, 0]
        with nogil:
            kq_measure_level(&self.tree, depth, &child[0], &low[0, 0], &high[0, 0],
                             &sums[0, 0])
        self.roots, self.total = keep(start.base), keep(sums.base.sum(axis=0))
        return 0

    def error(self, const i64[:, ::1] sums, const i16[:, ::1] centroids):
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
        """A coarse Tree, of the points whose codes agree in the first `bits` bits."""
        cdef int shift = self.codes.bits - bits
        need(0 <= bits <= self.codes.bits and shift < 32, "bits")
        cdef size_t m = self.codes.counts[bits], channels = self.codes.channels
        cdef u32[::1] cells = numpy.empty(m + 1, numpy.uint32)
        cdef i64[:, ::1] sums = numpy.empty((m, KQ_SUMS), numpy.int64)
        cdef u32[::1] codes = numpy.empty(m, numpy.uint32)
        cdef i64[::1] weights = numpy.empty(m, numpy.int64)
        cdef i16[:, ::1] coords = numpy.empty((channels, m + KQ_LANES), numpy.int16)
        with nogil:
            kq_coarsen(&self.tree.points, &self.codes.codes[0], shift, m + KQ_LANES,
                       &cells[0], &sums[0, 0], &codes[0], &coords[0, 0], &weights[0])
        cdef Tree coarse = Tree(Codes(codes.base, channels), coords.base, weights.base,
                                capacities)
        coarse.cells, coarse.cell_sums = cells, sums
        return coarse

    def inherit(self, const u8[::1] labels, size_t k):
        """labels (m,) of a coarse tree -> those of all points (n,), sums (k, SUMS)."""
        cdef size_t m = self.tree.points.n
        need(self.cells.shape[0] > 0, "not coarse")
        need(<size_t>labels.shape[0] == m, "labels")
        need_labels(&labels[0], m, k)
        cdef u8[::1] fine = numpy.empty(self.cells[m], numpy.uint8)
        cdef i64[:, ::1] sums = numpy.zeros((k, KQ_SUMS), numpy.int64)
        with nogil:
            kq_inherit(&self.cells[0], &self.cell_sums[0, 0], &labels[0], m, &fine[0],
                       &sums[0, 0])
        return fine.base, sums.base

    def seed(self, size_t k):
        """Cut until there are k centroids, or nothing to cut: (k or less, CHANNELS)."""
        cdef size_t n = self.tree.points.n, used
        need(0 < k <= KQ_MAX_COLORS, "k")
        cdef u32[::1] order = numpy.empty(n, numpy.uint32)
        cdef u8[::1] bins = numpy.empty(n, numpy.uint8)
        cdef i16[:, ::1] centroids = numpy.empty((k, KQ_CHANNELS), numpy.int16)
        with nogil:
            used = kq_seed(&self.tree.points, k, &order[0], &bins[0], &centroids[0, 0])
        return centroids.base[:used]

    def splits(self, const u8[::1] labels, size_t k):
        """labels (n,) below k -> gains (k,), halves (k, 2, CHANNELS)."""
        cdef size_t n = self.tree.points.n
        need(<size_t>labels.shape[0] == n, "labels")
        need_labels(&labels[0], n, k)
        cdef double[:, :, ::1] sums = numpy.empty((k, KQ_BINS, KQ_SUMS))
        cdef double[::1] gains = numpy.empty(k)
        cdef i16[:, :, ::1] halves = numpy.zeros((k, 2, KQ_CHANNELS), numpy.int16)
        with nogil:
            kq_splits(&self.tree.points, &labels[0], k, &sums[0, 0, 0], &gains[0],
                      &halves[0, 0, 0])
        return gains.base, halves.base

    def assign(self, size_t first, size_t last, const i16[:, ::1] centroids,
               u8[::1] labels):
        """Label the points of the root blocks first..last-1: labels (n,) in and out.

        Returns how many changed, and the change (k, SUMS) of the sums of the labels.
        """
        cdef size_t k = self.need_blocks(first, last, centroids, labels), changed
        cdef i64[:, ::1] change = numpy.zeros((k, KQ_SUMS), numpy.int64)
        with nogil:
            changed = kq_assign(&self.tree, first, last, &centroids[0, 0], k,
                                &labels[0], &change[0, 0])
        return changed, change.base

    def assign_alpha(self, size_t first, size_t last, const i16[:, ::1] centroids,
                     u8[::1] labels, const u8[:, ::1] colors, const u8[:, ::1] palette,
                     int slack):
        """assign() by the colours (n, 4) and entries (k, 4), slack at most SLACK."""
        cdef size_t k = self.need_blocks(first, last, centroids, labels), changed
        need(<size_t>colors.shape[0] == self.tree.points.n, "colors")
        need(self.tree.points.channels == 4 == colors.shape[1], "channels")
        need(<size_t>palette.shape[0] == k and palette.shape[1] == 4, "palette")
        need(0 <= slack <= KQ_SLACK, "slack")
        cdef kq_alpha alpha = kq_alpha(&colors[0, 0], &palette[0, 0], slack)
        cdef i64[:, ::1] change = numpy.zeros((k, KQ_SUMS), numpy.int64)
        with nogil:
            changed = kq_assign_alpha(&self.tree, first, last, &centroids[0, 0], &alpha,
                                      k, &labels[0], &change[0, 0])
        return changed, change.base

    cdef size_t need_blocks(self, size_t first, size_t last,
                            const i16[:, ::1] centroids,
                            const u8[::1] labels) except 0:
        """How many centroids root blocks first..last-1 may be assigned to."""
        cdef size_t k = need_centroids(centroids), begin
        cdef const kq_level *level = &self.tree.level[0]
        need(<size_t>labels.shape[0] == self.tree.points.n, "labels")
        need(first <= last <= level.count, "root blocks")
        begin = level.start[first]  # other threads write to other labels
        need_labels(&labels[0] + begin, level.start[last] - begin, k)
        return k


def update(const i64[:, ::1] sums, i16[:, ::1] centroids):
    """sums (k, SUMS), centroids (k, CHANNELS) in and out; returns how many moved."""
    cdef size_t k = need_sums(sums, centroids), moved
    with nogil:
        moved = kq_update(&sums[0, 0], k, &centroids[0, 0])
    return moved


def merges(const i64[:, ::1] sums, const i16[:, ::1] centroids):
    """sums (k, SUMS), centroids (k, CHANNELS) -> costs (k,), partners (k,)."""
    cdef size_t k = need_sums(sums, centroids)
    cdef double[::1] costs = numpy.empty(k)
    cdef i32[::1] partners = numpy.empty(k, numpy.int32)
    with nogil:
        kq_merges(&sums[0, 0], &centroids[0, 0], k, &costs[0], &partners[0])
    return costs.base, partners.base


# ---- results

def measure(const u8[:, :, :] pixels, const u8[:, ::1] labels,
            const u8[:, ::1] palette, const i64[:, ::1] weights=None):
    """pixels (H, W, 3|4), labels, weights (H, W), palette (k, 3|4) -> how far apart.

    The sum of the squared distances, the largest, and how many pixels, or which weight,
    each entry has (k,).
    """
    cdef kq_image image = as_image(pixels, alpha=True)
    cdef const i64 *weight = NULL
    cdef size_t k = palette.shape[0], size = image.height * image.width
    cdef double largest, total
    cdef bint good
    need(k > 0 and palette.shape[1] == pixels.shape[2], "palette")
    need_plane(labels.shape[0], labels.shape[1], pixels, "labels")
    need_labels(&labels[0, 0], size, k)
    if weights is not None:
        need_plane(weights.shape[0], weights.shape[1], pixels, "weights")
        weight = &weights[0, 0]
        with nogil:
            good = kq_are_weights(weight, size, 0)
        need(good, "weights")
    cdef i64[::1] counts = numpy.empty(k, numpy.int64)
    with nogil:
        total = kq_measure(&image, weight, &labels[0, 0], &palette[0, 0], k, &counts[0],
                           &largest)
    return total, largest, counts.base


cdef class ColorIndex:
    """From pixels to the ranks of their colours, or to labels (n,) of these."""

    cdef kq_color_index index
    cdef Codes codes
    cdef const u8[::1] labels
    cdef u64[::1] ranks
    cdef u32[::1] slots, hashed
    cdef u8[:, ::1] table

    def __cinit__(self, Codes codes, const u8[::1] labels=None):
        cdef const u32 *first = &codes.codes[0]
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

    def map(self, const u8[:, :, :] pixels, u8[:, ::1] indices):
        """pixels (H, W, 3|4) -> indices (H, W); any of the labels for other colours."""
        cdef kq_image image = as_image(pixels, alpha=True)
        cdef u32[::1] found
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
    cdef i16[:, ::1] prepared
    cdef u32[::1] mixes
    cdef readonly size_t height, width, colors, entries
    cdef tuple kept

    def __cinit__(self, const u8[:, :, :] pixels, Codes codes,
                  const i16[:, ::1] coords, const u8[::1] labels, palette,
                  int strength):
        cdef kq_image image = as_image(pixels, alpha=True)
        cdef size_t n = codes.n, stride = coords.shape[1]
        cdef i16[:, ::1] entries = numpy.zeros((KQ_MAX_COLORS, KQ_CHANNELS), "i2")
        cdef size_t k = need_centroids(palette)
        cdef bint good
        need(image.channels == codes.channels == <size_t>coords.shape[0], "channels")
        need(stride >= n == <size_t>labels.shape[0], "labels")
        need_labels(&labels[0], n, k)
        with nogil:
            good = kq_are_on_grid(&coords[0, 0], codes.channels * stride)
        need(good and 0 <= strength <= KQ_STRENGTH, "coords or strength")
        entries.base[:k] = palette
        index = ColorIndex(codes)
        self.kept = pixels, index, coords, labels, entries
        self.picture = kq_picture(
            image, (<ColorIndex>index).index,
            kq_points(n, stride, codes.channels, &coords[0, 0], NULL), &labels[0],
            &entries[0, 0], k, strength)
        self.height, self.width = image.height, image.width
        self.colors, self.entries = n, k
        # One more than colours, for pixels that have changed; 0 is a valid value.
        self.prepared = numpy.zeros((n + 1, KQ_CHANNELS), numpy.int16)
        self.mixes = numpy.zeros(n + 1, numpy.uint32)

    cdef int need_rows(self, size_t first, size_t last,
                       const u8[:, ::1] indices) except -1:
        need_range(first, last, self.height)
        need(<size_t>indices.shape[0] == self.height, "indices")
        return need(<size_t>indices.shape[1] == self.width, "indices")

    def prepare(self, size_t first, size_t last):
        """Make the colours first..last-1, in the end all, ready for diffuse()."""
        need_range(first, last, self.colors)
        with nogil:
            kq_prepare(&self.picture, first, last, &self.prepared[0, 0])

    def diffuse(self, Nearest nearest, size_t first, size_t last, u8[:, ::1] indices):
        """Dither rows first..last-1 of indices (H, W).

        first is a multiple of BAND_ROWS, and the rows are at most BANDS * BAND_ROWS.
        """
        self.need_rows(first, last, indices)
        need(first % KQ_BAND_ROWS == 0, "first")
        need(last - first <= KQ_BANDS * KQ_BAND_ROWS, "last")
        need(nearest.picture is self, "nearest")
        with nearest.lock, nogil:
            kq_diffuse(&self.picture, &self.prepared[0, 0], &nearest.nearest, first,
                       last, &indices[0, 0])

    def mix(self, size_t first, size_t last):
        """Make the colours first..last-1, in the end all, ready for ordered()."""
        need_range(first, last, self.colors)
        with nogil:
            kq_mix(&self.picture, first, last, &self.mixes[0])

    def ordered(self, const u8[:, ::1] thresholds, size_t first, size_t last,
                u8[:, ::1] indices):
        """Dither rows first..last-1 of indices (H, W) by thresholds (TILE, TILE)."""
        self.need_rows(first, last, indices)
        need(thresholds.shape[0] == KQ_TILE == thresholds.shape[1], "thresholds")
        cdef u32[::1] found = numpy.empty(self.width, numpy.uint32)
        with nogil:
            kq_ordered(&self.picture, &self.mixes[0], first, last, &thresholds[0, 0],
                       &found[0], &indices[0, 0])


cdef class Nearest:
    """The memory of one thread that diffuses a picture: lists of nearest entries."""

    cdef kq_nearest nearest
    cdef Picture picture
    cdef tuple kept
    cdef object lock  # should two threads use it, they take turns

    def __cinit__(self, Picture picture):
        cdef size_t width = picture.width
        cdef u32[::1] cells = numpy.zeros(KQ_NEAREST_CELLS, numpy.uint32)
        cdef u8[::1] groups = numpy.empty(KQ_NEAREST_GROUPS * sizeof(kq_group), "u1")
        cdef i32[::1] errors = numpy.empty(
            KQ_BANDS * 2 * (width + 2) * KQ_CHANNELS, numpy.int32)
        cdef i16[::1] rows = numpy.empty(KQ_BANDS * width * KQ_CHANNELS, numpy.int16)
        cdef u32[::1] found = numpy.empty(width, numpy.uint32)
        cdef u8[::1] unused = numpy.empty(width, numpy.uint8)
        self.nearest = kq_nearest(&cells[0], <kq_group *>&groups[0], &errors[0],
                                  &rows[0], &found[0], &unused[0], 0)
        self.kept = cells, groups, errors, rows, found, unused
        self.picture, self.lock = picture, _thread.allocate_lock()
