/*
kquant: the kernel. Colour histogram, weighted k-means and exact nearest-entry
search for palettes of at most 256 entries.

    kq_bucket_sort                      pixels  -> buckets of Morton codes
    kq_count_colors                     buckets -> distinct colours, counts
    kq_tally                            pixels  -> tables of counts
    kq_tally_sizes, kq_tally_colors     tables  -> distinct colours, counts
    kq_merge                            two lists of colours -> one
    kq_pixel_codes, kq_codes, kq_colors pixels, colours <-> Morton codes
    kq_to_space                         colours -> coordinates in a colour space
    kq_coarsen, kq_inherit              points  -> fewer, heavier points, and back
    kq_blocks, kq_measure_level         points  -> a tree of blocks
    kq_seed                             points  -> centroids, by principal-axis cuts
    kq_assign, kq_update, kq_error      one iteration of Lloyd's algorithm
    kq_assign_alpha                     colours with alpha -> nearest entries, exactly
    kq_splits, kq_merges                clusters to cut, clusters to give up
    kq_measure                          index map -> exact error
    kq_lookup_build, kq_lookup          labels  -> index map
    kq_hash_build, kq_hash_lookup       the same with alpha
    kq_rank_build                       colours -> a table of their ranks
    kq_prepare, kq_diffuse              pixels  -> index map, by error diffusion
    kq_mix, kq_ordered                  pixels  -> index map, by ordered dithering
    kq_are_labels and others            what a caller can check

Rules that hold for every function:

- The caller owns every buffer and has checked every size and value; nothing is
  allocated here and nothing is kept between calls. A call that breaks the
  contract is a bug of the caller: there are no error codes.
- Only pixels may be any, and may change while a function looks at them: they
  decide which bytes are written, never where. Of a colour that is not in the
  list of distinct colours a function makes some label that is there.
- `const` arguments are read, all others are written; a comment marks those
  that are read as well (INOUT).
- All sums are integers, or doubles added in the order of the points, so the
  result does not depend on threads, processor or instruction set. Compile
  without contraction of a*b+c (-ffp-contract=off).
- Functions may run at the same time if their outputs are disjoint.

Words that always mean the same: a *code* is the Morton code of a colour. The list of
distinct colours is in the order of their codes, and the *rank* of a colour is its
position in that list. A *point* is a colour in a colour space; its *coordinates* say
where. An *entry* is a colour of the palette, and a *centroid* is an entry that k-means
still moves. The number of an entry is an *index* if a pixel has it, and a *label* if a
colour or a point has it.

A whole run, which tests/kernel_check.sh compiles from here and runs:

    // At most K colours for an image of H rows of W opaque pixels.
    enum { H = 97, W = 113, N = H * W, STRIDE = N + KQ_LANES, K = 16 };

    size_t example(const uint8_t *pixels, int16_t *centroids, uint8_t *indices)
    {
        // Pixels to distinct colours, in the order of their codes.
        static uint32_t bounds[KQ_BUCKETS + 1], codes[N];
        static uint16_t low[N];
        static uint8_t colors[N * KQ_RGB];
        static int64_t counts[N];
        const kq_image image = {pixels, H, W, KQ_RGB, KQ_RGB * W, KQ_RGB, 1};
        kq_bucket_sort(&image, bounds, low);
        const kq_buckets part = {low, bounds};
        const size_t n =
            kq_count_colors(&part, 1, 0, KQ_BUCKETS, codes, colors, counts);

        // Colours to weighted points; the space is sRGB as it is.
        static int16_t coords[KQ_RGB * STRIDE];
        const kq_space space = {.plain = 1};
        kq_to_space(&space, colors, n, KQ_RGB, STRIDE, coords);
        const kq_points points = {n, STRIDE, KQ_RGB, coords, counts};

        // A tree over the points, from the finest level to the coarsest.
        static const size_t capacity[KQ_DEPTH] = {512, 100, 24};
        static uint32_t start[KQ_DEPTH][N + 1], child[KQ_DEPTH][N + 1];
        static int16_t least[KQ_DEPTH][N * KQ_CHANNELS];
        static int16_t most[KQ_DEPTH][N * KQ_CHANNELS];
        static int64_t inside[KQ_DEPTH][N * KQ_SUMS];
        kq_tree tree = {.points = points};
        for (size_t d = KQ_DEPTH; d-- > 0;) {
            const size_t count =
                kq_blocks(codes, n, KQ_CODE_BITS, capacity[d], start[d]);
            tree.level[d] =
                (kq_level){count, start[d], child[d], least[d], most[d], inside[d]};
            kq_measure_level(&tree, d, child[d], least[d], most[d], inside[d]);
        }

        // Seed. All points begin with label 0, whose sums are those of all points.
        static uint32_t order[N];
        static uint8_t bins[N], labels[N];
        int64_t sums[K * KQ_SUMS] = {0};
        const size_t k = kq_seed(&points, K, order, bins, centroids);
        memset(labels, 0, n);
        for (size_t i = 0; i < KQ_SUMS * tree.level[0].count; i++)
            sums[i % KQ_SUMS] += inside[0][i];

        // Assign and update, until no centroid moves.
        do
            kq_assign(&tree, 0, tree.level[0].count, centroids, k, labels, sums);
        while (kq_update(sums, k, centroids));

        // Labels of colours to the index map, by a table of at most n cells.
        static uint32_t slots[KQ_CELLS];
        static uint8_t table[N * KQ_CELL_SIZE];
        kq_lookup_build(codes, labels, n, slots, table);
        kq_lookup(&image, slots, table, indices);
        return k; // centroids[k], in units of 1 / KQ_ONE of a colour value
    }
*/
#ifndef KQUANT_H
#define KQUANT_H

#include <float.h>
#include <stddef.h>
#include <stdint.h>

/* The same bytes on every machine need sums that are added and rounded as written. */
#if defined(__FAST_MATH__) || defined(_M_FP_FAST)
#error "kquant cannot be compiled with -ffast-math, -Ofast or /fp:fast: leave it out"
#elif FLT_EVAL_METHOD != 0
#error "kquant needs doubles that are rounded after each operation: use -mfpmath=sse"
#endif

#define KQ_RGB 3             // bytes of an opaque colour
#define KQ_CHANNELS 4        // coordinates of a centroid; the fourth is for alpha
#define KQ_SUMS 5            // what a cluster sums up: weight and coordinates
#define KQ_MAX_COLORS 256    // so an index fits a byte
#define KQ_LANES 16          // coordinates are read this far past their end
#define KQ_BINS 64           // along the axis that a cluster is cut across
#define KQ_DEPTH 3           // levels of the tree of blocks
#define KQ_CODE_BITS 24      // bits of a Morton code of an opaque colour
#define KQ_CODES 16777216    // how many of these codes there are
#define KQ_CELL_BITS 15      // bits of the code that name a cell of the lookup
#define KQ_CELLS 32768       // how many of these cells there are
#define KQ_CELL_SIZE 512     // colours of one of these cells
#define KQ_FULL 255          // the most that a counter in a table of counts can hold
#define KQ_BUCKETS 4096      // buckets of the histogram: the upper 12 bits
#define KQ_RANK_CODES 32     // codes that share a word of the table of ranks
#define KQ_RANK_WORDS 524288 // words of that table: KQ_CODES / KQ_RANK_CODES
#define KQ_PARTS 64          // parts of an image that are counted on their own

/* Of dithering. */
#define KQ_STRENGTH 256    // full strength, and the whole of a mix
#define KQ_STRENGTH_BITS 8 // KQ_STRENGTH is 2 to the power of this
#define KQ_GROUP 8         // entries that the nearest-entry search compares at once
#define KQ_NEAREST_CELLS 131072 // cells: 4 bits of 4 axes, and all larger ones
#define KQ_NEAREST_GROUPS 65536 // room for groups, 5 MB; parts of cells may take half
#define KQ_NEAREST_MOST 256     // the most groups that one search can need
#define KQ_BANDS 8              // bands that error diffusion works on in turn
#define KQ_BAND_ROWS 64         // rows of a band
#define KQ_BAND_LEAD 4          // rows above a band that it starts with
#define KQ_AROUND 8             // entries that an entry is mixed with
#define KQ_TILE 64              // rows and columns of the thresholds

/* Coordinates are fixed point: a colour value 0..255 times KQ_ONE. Centroids
live on the same grid, which makes every distance an exact 32-bit integer
(4 * 16320^2 < 2^31) and lets Lloyd's algorithm converge exactly: the grid
point nearest to a mean is never worse than the previous one. */
#define KQ_ONE 64
#define KQ_MOST (255 * KQ_ONE) // the largest coordinate

/* How much farther than the nearest entry on the grid, in its units, one with alpha may
be there and yet be truly the nearest, in a plain space: alpha.h says why. */
#define KQ_SLACK 5

/* Up to here the weights of all points together may go: times KQ_MOST, and twice that,
fits 64 bits. */
#define KQ_MOST_WEIGHT ((int64_t)1 << 45)

/* A colour has an entry of its own if the squared distance to the nearest entry is at
most this: half a step of an 8-bit value, squared. Dithering gives it that entry, and it
neither takes errors from its neighbours nor passes any on. */
#define KQ_OWN_ENTRY (KQ_ONE * KQ_ONE / 4)


/* ---- histogram ---------------------------------------------------------

Colours are ordered by their Morton code: the bits of r, g, b interleaved,
most significant first, so that colours close in the list are close in space
and every aligned box of the RGB cube is one run of the list.

There are two ways to count, with the same result. Buckets: pixels are sorted by
the upper half of their code; after that, counting needs 16 kB of counters, which
stay in the first-level cache. Tables: every code has a counter of one byte, 16 MB
in all, which is faster for large images. */

/* Pixels in any layout. Strides are in bytes; a channel stride of 0 makes grey. With
alpha, a code has four bits where it has three for opaque pixels, and that of a fully
transparent pixel is 0, whatever its colour. Only functions that say so take alpha. */
typedef struct {
    const uint8_t *data;
    size_t height, width, channels;
    ptrdiff_t row, pixel, channel;
} kq_image;

/* Pixels in their buckets: bucket b has those whose codes have the upper half b and the
lower halves low[bounds[b]..bounds[b + 1]-1]. bounds[KQ_BUCKETS + 1]. */
typedef struct {
    const uint16_t *low;
    const uint32_t *bounds;
} kq_buckets;

/* Sort an image of less than 2^32 pixels into buckets: low[height * width], bounds
[KQ_BUCKETS + 1]. If the image changes meanwhile, so does what comes out, and not all of
`low` need be written. */
void kq_bucket_sort(const kq_image *image, uint32_t *bounds, uint16_t *low);

/* Count the distinct colours of the buckets first..last-1 of parts[count]. Writes
codes[n], colors[n][3] and counts[n] in Morton order, n at most the pixels of these
buckets; returns n. */
size_t kq_count_colors(const kq_buckets *parts, size_t count, size_t first, size_t last,
                       uint32_t *codes, uint8_t *colors, int64_t *counts);

/* Add the pixels to a table of counts: table[KQ_CODES] (INOUT). A counter that would
exceed KQ_FULL starts again at 1, and its code goes to full[room]; returns how many did.
With all the pixels that went to a table before, they are at most a part of KQ_FULL;
beyond the room they are not written, but counted all the same. */
size_t kq_tally(const kq_image *image, uint8_t *table, uint32_t *full, size_t room);

/* How many distinct colours each of the buckets first..last-1 of tables[count]
[KQ_CODES] has: sizes[bucket]. */
void kq_tally_sizes(const uint8_t *tables, size_t count, size_t first, size_t last,
                    uint32_t *sizes);

/* The distinct colours of these buckets, as kq_count_colors() writes them, but at most
`room`; returns how many, or more than that if there are more. full[n_full] are the
codes that kq_tally() wrote for all the tables, in ascending order. */
size_t kq_tally_colors(const uint8_t *tables, size_t count, const uint32_t *full,
                       size_t n_full, size_t first, size_t last, size_t room,
                       uint32_t *codes, uint8_t *colors, int64_t *counts);

/* Merge two lists like these, of `channels` bytes a colour, into one with room for
n_a + n_b colours; returns how many there are. */
size_t kq_merge(const uint32_t *codes_a, const uint8_t *colors_a,
                const int64_t *counts_a, size_t n_a, const uint32_t *codes_b,
                const uint8_t *colors_b, const int64_t *counts_b, size_t n_b,
                size_t channels, uint32_t *codes, uint8_t *colors, int64_t *counts);

/* The code of each pixel, with or without alpha: codes[height * width]. */
void kq_pixel_codes(const kq_image *image, uint32_t *codes);

/* Morton codes of colors[n][channels], and back: codes[n]. */
void kq_codes(const uint8_t *colors, size_t n, size_t channels, uint32_t *codes);
void kq_colors(const uint32_t *codes, size_t n, size_t channels, uint8_t *colors);


/* ---- colour spaces -----------------------------------------------------

Where distances are measured. If `plain` is set, a coordinate is KQ_ONE times the
value, and the other fields for opaque colours are ignored. Otherwise each value goes
through `light[value]`. If `roots` is 0, that is the coordinate. If not, it is an amount
of light; three amounts make three cone signals, these make three cube roots (near
black, below the knee, a line instead: slope, foot), and these make the coordinates,
from_roots * roots + offset, as in Oklab and CIELAB.

A colour p with alpha a in 0..1 has the coordinates m + a (p - m) and, as the fourth, a
times `opaque`, where m is the middle between black and white, and `opaque` is half the
distance between them. Then the squared distance of two colours is the mean of two: with
both shown over black, and with both shown over white. */
typedef struct {
    int plain, roots;
    double light[256];
    double to_cones[3][3], from_roots[3][3], offset[3];
    double knee, slope, foot;
    int32_t middle[3], opaque;
} kq_space;

/* Coordinates of colors[n][channels] into coords[channels][stride]; clears the
padding. */
void kq_to_space(const kq_space *space, const uint8_t *colors, size_t n,
                 size_t channels, size_t stride, int16_t *coords);


/* ---- points and their tree --------------------------------------------- */

/* n weighted points in Morton order. Coordinate c of point i is coords[c * stride + i],
stride >= n + KQ_LANES; the rest is padding.

Points have `channels` coordinates: three or, with alpha, four. There are many points,
so without alpha there is no room for a fourth. Palettes, centroids and blocks always
have KQ_CHANNELS coordinates, and without alpha the last is 0: they are few, and one
layout is simpler than two. */
typedef struct {
    size_t n, stride, channels;
    const int16_t *coords;
    const int64_t *weights;
} kq_points;

/* One level of the tree: `count` blocks of consecutive points. Block b holds
the points start[b]..start[b + 1]-1 within the box low[b][c]..high[b][c], their
sums are sums[b][KQ_SUMS] (weight, then weighted coordinates), and its parts are
the blocks child[b]..child[b + 1]-1 of the next finer level (on the finest: none). */
typedef struct {
    size_t count;
    const uint32_t *start, *child;
    const int16_t *low, *high;
    const int64_t *sums;
} kq_level;

typedef struct {
    kq_points points;
    kq_level level[KQ_DEPTH]; /* level[0] is the coarsest */
} kq_tree;

/* Into how many cells the codes fall if only their first `bits` bits count:
cells[bits], for every number of bits from 0 to code_bits. Returns 0 if they are no list
of distinct colours: if they do not ascend, or have more bits. n > 0. */
int kq_cell_counts(const uint32_t *codes, size_t n, int code_bits, size_t *cells);

/* Merge points whose codes differ only in the lowest `shift` bits into one point at
their mean (rounded to the grid): out_codes[m], out_coords[channels][out_stride],
out_weights[m]; returns m, as kq_cell_counts() said. New point i stands for the points
cells[i]..cells[i + 1]-1, whose exact sums are sums[i][KQ_SUMS]. */
size_t kq_coarsen(const kq_points *points, const uint32_t *codes, int shift,
                  size_t out_stride, uint32_t *cells, int64_t *sums,
                  uint32_t *out_codes, int16_t *out_coords, int64_t *out_weights);

/* Give the points of each of m cells the label of the cell: labels[n]. Adds the sums of
the cells to those of their labels: sums[k][KQ_SUMS] (INOUT). */
void kq_inherit(const uint32_t *cells, const int64_t *cell_sums,
                const uint8_t *cell_labels, size_t m, uint8_t *labels, int64_t *sums);

/* Cut the points into the largest runs that share a prefix of the code and
hold at most `capacity` points. Writes start[count + 1], count <= n; returns
count. Runs for a smaller capacity are nested in those for a larger one. */
size_t kq_blocks(const uint32_t *codes, size_t n, int code_bits, size_t capacity,
                 uint32_t *start);

/* Fill in a level of the tree, of which `count` and `start` are there, from the next
finer level, or the finest one from the points: the parts of each block, child[count +
1] (not on the finest level), its box, low[count][KQ_CHANNELS] and high[count]
[KQ_CHANNELS], and its sums[count][KQ_SUMS]. */
void kq_measure_level(const kq_tree *tree, size_t depth, uint32_t *child, int16_t *low,
                      int16_t *high, int64_t *sums);


/* ---- k-means ----------------------------------------------------------- */

/* Give every point of the coarsest blocks first..last-1 the label of its
nearest centroid, ties to the lowest index, exactly.

centroids[k][KQ_CHANNELS]. labels[n] (INOUT, all below k) and sums[k][KQ_SUMS] (INOUT:
weight, then weighted coordinates, of each label) are kept in step: only points
that change their label touch the sums, which is what makes late iterations
cheap. If the sums are 0 before the call, they are the changes after it; so threads can
work on ranges of blocks at the same time, and their changes are added up afterwards.
Returns the number of points whose label changed.

Filtering (Kanungo et al., IEEE TPAMI 24(7), 2002; Pelleg and Moore, KDD 1999):
from the root down, a block keeps only the centroids that can be nearest to
some point of its box. */
size_t kq_assign(const kq_tree *tree, size_t first, size_t last,
                 const int16_t *centroids, size_t k, uint8_t *labels, int64_t *sums);

/* What decides between entries with alpha that are close to a point on the grid: the
colours of the points, colors[n][4], and of the entries, palette[k][4]. The grid is
nearly exact if the space is plain, and then `slack` is KQ_SLACK. If it is 0, colours
decide only between entries that are equally near on the grid. */
typedef struct {
    const uint8_t *colors, *palette;
    int slack;
} kq_alpha;

/* kq_assign() for points with alpha and a palette as it will be written, of which
centroids[k][KQ_CHANNELS] are what kq_to_space() makes: every point gets the label of
the entry whose colour is nearest to its own, ties to the lowest index, exactly. So a
colour that is an entry gets that entry. */
size_t kq_assign_alpha(const kq_tree *tree, size_t first, size_t last,
                       const int16_t *centroids, const kq_alpha *alpha, size_t k,
                       uint8_t *labels, int64_t *sums);

/* Move every centroid that has points to the grid point nearest to their mean:
centroids[k][KQ_CHANNELS] (INOUT). Returns the number of centroids that moved. */
size_t kq_update(const int64_t *sums, size_t k, int16_t *centroids);

/* The squared error of the centroids, in colour values squared, from the sums
of their points; `energy` is kq_energy() of the points. */
double kq_error(const int64_t *sums, const int16_t *centroids, size_t k, double energy);

/* Weighted sum of the squared coordinates of all points. */
double kq_energy(const kq_points *points);

/* Centroids to start from, without chance: cut the cluster whose best cut removes most
error, again and again, until there are k clusters. A cut is a plane across the
principal axis, between two of KQ_BINS bins, where it leaves the least error (Wu, ACM
TOG 11(4), 1992; Celebi, 2011).
order[n] and bins[n] are scratch. Writes centroids[count][KQ_CHANNELS] and returns
count: k, or less if there are fewer than k different points (or if weights are so
unequal that rounding hides a difference). */
size_t kq_seed(const kq_points *points, size_t k, uint32_t *order, uint8_t *bins,
               int16_t *centroids);

/* The best cut of each cluster (the points of one label): the squared error that it
would remove, gains[k] (in grid units squared), and the means of its two sides,
halves[k][2][KQ_CHANNELS], which are not written where the gain is 0.
sums[k][KQ_BINS][KQ_SUMS] is scratch. */
void kq_splits(const kq_points *points, const uint8_t *labels, size_t k, double *sums,
               double *gains, int16_t *halves);

/* The cheapest merge of each cluster (Ward, J. Am. Stat. Assoc. 58, 1963): the
squared error it would add, costs[k] (in grid units squared), and the cluster
to merge it with, partners[k]; itself if k is 1. */
void kq_merges(const int64_t *sums, const int16_t *centroids, size_t k, double *costs,
               int32_t *partners);


/* ---- which code runs ---------------------------------------------------

The hot functions (the assignment, the measure, dithering) are compiled for several
instruction-set levels, which all give the same bytes: 1 the baseline of the
architecture, 3 and 4 for x86-64-v3 (AVX2) and x86-64-v4 (AVX-512). */

/* Use one level from now on; returns 0, and changes nothing, if this build or
this processor lacks it. Not to be called while others compute. */
int kq_use_level(int level);


/* ---- results ----------------------------------------------------------- */

/* The squared distances of pixels to their entries: the sum (returned) and the largest
(*largest). labels[height][width], palette[k][channels], in sRGB values 0..255.
weights[height][width], or NULL for 1. With alpha, a distance is the mean of that over
black and that over white. counts[k]: the weight of the pixels of each entry. */
double kq_measure(const kq_image *image, const int64_t *weights, const uint8_t *labels,
                  const uint8_t *palette, size_t k, int64_t *counts, double *largest);

/* A table from colour to label, with memory for occupied cells only: the labels of cell
c are table[slots[c]][KQ_CELL_SIZE]. slots[KQ_CELLS] (INOUT, 0 before), table[cells]
[KQ_CELL_SIZE]; cells as kq_cell_counts() says for KQ_CELL_BITS. Colours that are not in
the list get the label of another one. */
void kq_lookup_build(const uint32_t *codes, const uint8_t *labels, size_t n,
                     uint32_t *slots, uint8_t *table);

/* indices[height][width] of an image. */
void kq_lookup(const kq_image *image, const uint32_t *slots, const uint8_t *table,
               uint8_t *indices);

/* From the codes of n colours to their ranks in the list, by one of two tables. Of a
code that is not in the list they make some other rank, n at most.

Opaque colours: ranks[KQ_RANK_WORDS], a word for every KQ_RANK_CODES codes. Its lower
half has a bit for each code, which is set if the code is in the list. Its upper half is
the rank of the first code that is.

With alpha: an open-addressing hash table[size], size a power of 2 and at least 2 n,
whose slots hold 0 or 1 + the rank of a code; and codes[n], to compare with. */
typedef struct {
    const uint64_t *ranks;
    const uint32_t *codes, *table;
    size_t size;
} kq_color_index;

/* ranks (INOUT) is 0 before. */
void kq_rank_build(const uint32_t *codes, size_t n, uint64_t *ranks);

void kq_hash_build(const uint32_t *codes, size_t n, size_t size, uint32_t *table);

/* indices[height][width] of an image with alpha, from the label of each colour:
labels[n]. found[width] is scratch: ranks of a row. */
void kq_hash_lookup(const kq_image *image, const kq_color_index *color_index,
                    const uint8_t *labels, uint32_t *found, uint8_t *indices);


/* ---- dithering --------------------------------------------------------- */

/* Some entries of a palette, the last one repeated to fill the group: the first two
coordinates of each, the other two, and their indices. A list of entries is one or more
groups; `next` is the number of the group where it goes on, or 0 at its end. For groups
that nearest.h has yet to fill, `from` is the start of the list to choose from. */
typedef struct {
    int16_t xy[KQ_GROUP][2], zw[KQ_GROUP][2];
    uint8_t index[KQ_GROUP];
    uint32_t next, from;
} kq_group;

/* Finds the nearest entry of a palette for any point of the colour space, ties to the
lowest index, exactly. The space is cut into cells. A cell, when it is first
needed, gets a list of those entries that are nearest somewhere in it; if that is longer
than a group, the cell is cut into parts that get lists of their own.

cells[KQ_NEAREST_CELLS] (INOUT, 0 before the first use) has, for each cell, twice the
number of its first group, or twice that of its first part and 1 more.
groups[KQ_NEAREST_GROUPS] (INOUT) are the lists, `used` (INOUT, 0 before) says how many
groups there are. When they are full, all are forgotten and made again as needed.

errors[KQ_BANDS * 2 * (width + 2) * KQ_CHANNELS], rows[KQ_BANDS * width * KQ_CHANNELS],
found[width] and unused[width] are scratch of kq_diffuse(), which sets the rest: always
to the same palette. */
typedef struct {
    uint32_t *cells;
    kq_group *groups;
    int32_t *errors;
    int16_t *rows;
    uint32_t *found;
    uint8_t *unused;
    size_t used;
    const int16_t *palette;
    size_t k, channels;
} kq_nearest;

/* What is dithered: pixels, the way from their colours to ranks, and for each rank the
point of the colour and its nearest entry of palette[k][KQ_CHANNELS]. The points need no
weights. `strength` is a part of KQ_STRENGTH.

What is made of the n points has one more element, 0 before, for a pixel that has
changed since the colours were listed: its rank may be n. */
typedef struct {
    kq_image image;
    kq_color_index color_index;
    kq_points points;
    const uint8_t *labels;
    const int16_t *palette;
    size_t k;
    int strength;
} kq_picture;

/* For each of the points first..last-1 what error diffusion needs: prepared[n + 1]
[KQ_CHANNELS], its coordinates; if the colour has an entry of its own, the first is
~label, which is below 0. */
void kq_prepare(const kq_picture *picture, size_t first, size_t last,
                int16_t *prepared);

/* Error diffusion of the rows first..last-1 (Floyd and Steinberg, 1976), even rows from
left to right, odd ones back: strength / KQ_STRENGTH of every error is passed on.
Colours that have an entry of their own get it, and pass no errors on. Writes
indices[height][width] of these rows.

The image is cut into bands of KQ_BAND_ROWS rows, so that threads can share the work.
Errors do not go from one band to the next. Instead, a band starts KQ_BAND_LEAD rows
early, so that its first rows get errors from above like any others. `first` must be the
start of a band. Up to `last` there may be at most KQ_BANDS bands; they take turns,
pixel by pixel. */
void kq_diffuse(const kq_picture *picture, const int16_t *prepared, kq_nearest *search,
                size_t first, size_t last, uint8_t *indices);

/* Which two entries stand for each of the points first..last-1, so that their mean is
near: mixes[n + 1], each one | other << 8 | share of the other << 16, a share of
KQ_STRENGTH. One of them is the nearest entry, the other one of those around it. The
share of the latter is strength / KQ_STRENGTH of what it would be. A colour with an
entry of its own has just that. */
void kq_mix(const kq_picture *picture, size_t first, size_t last, uint32_t *mixes);

/* Write indices[height][width] of the rows first..last-1, from the mixes of all points.
A pixel gets the other entry where its threshold is below the share. The thresholds,
thresholds[KQ_TILE][KQ_TILE], are repeated over the image. found[width] is scratch. */
void kq_ordered(const kq_picture *picture, const uint32_t *mixes, size_t first,
                size_t last, const uint8_t *thresholds, uint32_t *found,
                uint8_t *indices);


/* ---- checks ------------------------------------------------------------

The contract, as far as values are concerned, for callers who cannot be sure: the
functions above go by these values when they index, divide or add. */

/* Whether this build adds, multiplies and divides as IEEE 754 says. Some flags that
change that show in no macro. */
int kq_is_exact(void);

/* Are all labels[n] below k? */
int kq_are_labels(const uint8_t *labels, size_t n, size_t k);

/* Are all coords[n] within 0..KQ_MOST? */
int kq_are_on_grid(const int16_t *coords, size_t n);

/* Are all weights[n] at least `least`, and together at most KQ_MOST_WEIGHT? */
int kq_are_weights(const int64_t *weights, size_t n, int64_t least);

/* Are sums[k][KQ_SUMS] those of points with such coordinates and weights? */
int kq_are_sums(const int64_t *sums, size_t k);

#endif
