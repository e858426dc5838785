/*
kquant: the kernel. Colour histogram, weighted k-means and exact nearest-entry
search for palettes of at most 256 entries.

    kq_bucket_sizes, kq_bucket_fill     pixels  -> buckets of Morton codes
    kq_count_colors                     buckets -> distinct colours, counts
    kq_tally                            pixels  -> tables of counts
    kq_tally_sizes, kq_tally_colors     tables  -> distinct colours, counts
    kq_merge                            two lists of colours -> one
    kq_pixel_codes, kq_codes, kq_colors pixels, colours <-> Morton codes
    kq_load                             colours -> coordinates in a colour space
    kq_coarsen, kq_inherit              points  -> fewer, heavier points, and back
    kq_blocks, kq_measure_blocks        points  -> a tree of blocks
    kq_start                            points  -> centroids, by principal-axis cuts
    kq_assign, kq_update, kq_error      one iteration of Lloyd's algorithm
    kq_splits, kq_merges                clusters to cut, clusters to give up
    kq_measure                          labels  -> exact error
    kq_lookup_build, kq_lookup          labels  -> index map
    kq_hash_build, kq_hash_lookup       the same with alpha
    kq_rank_build                       colours -> a table of their places
    kq_diffuse                          pixels  -> index map, dithered by error diffusion
    kq_mix, kq_ordered                  pixels  -> index map, dithered by position

Rules that hold for every function:

- The caller owns every buffer and has checked every size; nothing is
  allocated here and nothing is kept between calls. What does not meet the
  contract is a bug of the caller: there are no error codes.
- `const` arguments are read, all others are written; a comment says which of
  them are read too (INOUT).
- All sums are integers, or doubles added in the order of the points, so the
  result does not depend on threads, processor or instruction set. It must be
  compiled without contraction of a*b+c (-ffp-contract=off).
- Functions may run at the same time on disjoint outputs.
*/
#ifndef KQUANT_H
#define KQUANT_H

#include <stddef.h>
#include <stdint.h>

#define KQ_RGB 3          // bytes of an opaque colour
#define KQ_CHANNELS 4     // coordinates of a centroid; the fourth is for alpha
#define KQ_SUMS 5         // what a cluster sums up: weight and coordinates
#define KQ_MAX_COLORS 256 // so an index fits a byte
#define KQ_LANES 16       // coordinates are read this far past their end
#define KQ_BINS 64        // places to cut a cluster at
#define KQ_DEPTH 3        // levels of the tree of blocks
#define KQ_CODE_BITS 24   // bits of a Morton code of an opaque colour
#define KQ_CODES 16777216 // so many codes
#define KQ_CELL_BITS 15   // bits of the code that name a cell of the lookup
#define KQ_CELLS 32768    // so many cells
#define KQ_CELL_SIZE 512  // colours of such a cell
#define KQ_FULL 255       // what a place in a table of counts can hold
#define KQ_BUCKETS 4096   // buckets of the histogram: the upper 12 bits

/* Coordinates are fixed point: a colour value 0..255 times KQ_ONE. Centroids
live on the same grid, which makes every distance an exact 32-bit integer
(4 * 16320^2 < 2^31) and lets Lloyd's algorithm converge exactly: the grid
point nearest to a mean is never worse than the previous one. */
#define KQ_ONE 64


/* ---- histogram ---------------------------------------------------------

Colours are ordered by their Morton code: the bits of r, g, b interleaved,
most significant first, so that colours close in the list are close in space
and every aligned box of the RGB cube is one run of the list.

There are two ways to count, with the same result. Buckets: pixels are sorted by
the upper half of their code, after which counting needs 16 kB of counters, which
stay in the first-level cache. Tables: every code has a counter of one byte, 16 MB
of them, which pays from some million pixels on. */

/* Pixels in any layout: strides in bytes, a channel stride of 0 for grey. The code of
a pixel with alpha has four bits for every three of an opaque one; a fully transparent
pixel has code 0, whatever its colour. Only functions that say so take alpha. */
typedef struct {
    const uint8_t *data;
    size_t height, width, channels;
    ptrdiff_t row, pixel, channel;
} kq_image;

/* Count the pixels of each bucket: sizes[KQ_BUCKETS]. */
void kq_bucket_sizes(const kq_image *image, uint32_t *sizes);

/* Write the lower half of each pixel's code to low[cursor[bucket]++].
cursor[KQ_BUCKETS] (INOUT) starts at the place of this image's first pixel. */
void kq_bucket_fill(const kq_image *image, uint32_t *cursor, uint16_t *low);

/* Count the distinct colours of the buckets first..last-1, whose codes are
low[bounds[bucket]..bounds[bucket + 1]-1]. Writes codes[n], colors[n][3] and
counts[n] in Morton order, n <= bounds[last] - bounds[first]; returns n. */
size_t kq_count_colors(const uint16_t *low, const uint32_t *bounds, size_t first,
                       size_t last, uint32_t *codes, uint8_t *colors, int64_t *counts);

/* Add the pixels to a table of counts: table[KQ_CODES] (INOUT). A count that would
exceed KQ_FULL starts again at 1, and its code goes to full[n_full++]; returns
n_full. What goes beyond full[room - 1] is not written. */
size_t kq_tally(const kq_image *image, uint8_t *table, uint32_t *full, size_t n_full,
                size_t room);

/* How many distinct colours each of the buckets first..last-1 of tables[count]
[KQ_CODES] has: sizes[bucket]. */
void kq_tally_sizes(const uint8_t *tables, size_t count, size_t first, size_t last,
                    uint32_t *sizes);

/* The distinct colours of these buckets, as kq_count_colors() writes them;
full[n_full]: those of all tables, ascending. */
void kq_tally_colors(const uint8_t *tables, size_t count, const uint32_t *full,
                     size_t n_full, size_t first, size_t last, uint32_t *codes,
                     uint8_t *colors, int64_t *counts);

/* Merge two such lists, of `channels` bytes a colour; room for n_a + n_b colours;
returns how many there are. */
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

Where distances are measured. An opaque colour goes through `light[value]`, which is
either its coordinate already (roots is 0), or light, from which come three cone
signals, their cube roots (below the knee a line: slope, foot) and coordinates:
from_roots * roots + offset, as in Oklab and CIELAB. `plain` says that a coordinate is
KQ_ONE times the value, and nothing else is looked at.

Alpha a in 0..1 gives a colour p the coordinates m + a (p - m) and, fourth, a times
`opaque`, where m is the middle between black and white, and `opaque` half their
distance. So the squared distance of two colours is the mean of what it is when both
are shown over black and over white. */
typedef struct {
    int plain, roots;
    double light[256];
    double to_cones[3][3], from_roots[3][3], offset[3];
    double knee, slope, foot;
    int32_t middle[3], opaque;
} kq_space;

/* Coordinates of colors[n][channels] into coords[channels][stride]; clears the
padding. */
void kq_load(const kq_space *space, const uint8_t *colors, size_t n, size_t channels,
             size_t stride, int16_t *coords);


/* ---- points and their tree --------------------------------------------- */

/* n weighted points in Morton order. Coordinate c of point i is
coords[c * stride + i], stride >= n + KQ_LANES; the rest is padding. Points have
three coordinates or, with alpha, four: `channels`. What is as small as a palette
or a tree always has room for KQ_CHANNELS, the fourth 0 where points have three. */
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

/* How many cells share at most the first `bits` bits of the codes, for every
number of bits: cells[code_bits + 1]. */
void kq_cell_counts(const uint32_t *codes, size_t n, int code_bits, size_t *cells);

/* Merge the points whose codes agree but for the lowest `shift` bits into one at
their mean (rounded to the grid): out_codes[m], out_coords[channels][out_stride],
out_weights[m]; returns m, as kq_cell_counts() said. Point i of these stands for
the points cells[i]..cells[i + 1]-1, whose exact sums are sums[i][KQ_SUMS]. */
size_t kq_coarsen(const kq_points *points, const uint32_t *codes, int shift,
                  size_t out_stride, uint32_t *cells, int64_t *sums,
                  uint32_t *out_codes, int16_t *out_coords, int64_t *out_weights);

/* Give the points of each of m cells the label of the cell: labels[n], and add
their sums up: sums[k][KQ_SUMS] (INOUT). */
void kq_inherit(const uint32_t *cells, const int64_t *cell_sums,
                const uint8_t *cell_labels, size_t m, uint8_t *labels, int64_t *sums);

/* Cut the points into the largest runs that share a prefix of the code and
hold at most `capacity` points. Writes start[count + 1], count <= n; returns
count. Runs for a smaller capacity are nested in those for a larger one. */
size_t kq_blocks(const uint32_t *codes, size_t n, int code_bits, size_t capacity,
                 uint32_t *start);

/* Box and sums of each block, from its points: low[count][KQ_CHANNELS],
high[count][KQ_CHANNELS], sums[count][KQ_SUMS]. */
void kq_measure_blocks(const kq_points *points, const uint32_t *start, size_t count,
                       int16_t *low, int16_t *high, int64_t *sums);

/* The same from the blocks of the next finer level. */
void kq_join_blocks(const kq_level *finer, const uint32_t *child, size_t count,
                    int16_t *low, int16_t *high, int64_t *sums);


/* ---- k-means ----------------------------------------------------------- */

/* Give every point of the coarsest blocks first..last-1 the label of its
nearest centroid, ties to the lowest index, exactly.

centroids[k][KQ_CHANNELS]; labels[n] (INOUT, all below k) and sums[k][KQ_SUMS] (INOUT:
weight, then weighted coordinates, of each label) are kept in step: only points
that change their label touch the sums, which is what makes late iterations
cheap. Sums may also start at 0 and be added up over several ranges of blocks.
Returns the number of points whose label changed.

Filtering (Kanungo et al., IEEE TPAMI 24(7), 2002; Pelleg and Moore, KDD 1999):
from the root down, a block keeps only those centroids that are nearest to
some place in its box. */
size_t kq_assign(const kq_tree *tree, size_t first, size_t last,
                 const int16_t *centroids, size_t k, uint8_t *labels, int64_t *sums);

/* Move every centroid that has points to the grid point nearest to their mean:
centroids[k][KQ_CHANNELS] (INOUT). Returns the number of centroids that moved. */
size_t kq_update(const int64_t *sums, size_t k, int16_t *centroids);

/* The squared error of the centroids, in colour values squared, from the sums
of their points; `energy` is kq_energy() of the points. */
double kq_error(const int64_t *sums, const int16_t *centroids, size_t k, double energy);

/* Weighted sum of the squared coordinates of all points. */
double kq_energy(const kq_points *points);

/* A deterministic start: cut the cluster whose best cut removes most error until
there are k. A cut is a plane across the principal axis, at one of KQ_BINS places,
the one that leaves the least error (Wu, ACM TOG 11(4), 1992; Celebi, 2011).
order[n] and bins[n] are scratch; writes centroids[count][KQ_CHANNELS] and returns count: k,
or less if there are fewer than k different points (or weights so unequal that
rounding hides the difference). */
size_t kq_start(const kq_points *points, size_t k, uint32_t *order, uint8_t *bins,
                int16_t *centroids);

/* The best cut of each cluster as labelled: the squared error it would remove,
gains[k] (in grid units squared), and the means of its sides,
halves[k][2][KQ_CHANNELS],
which are not written where the gain is 0. sums[k][KQ_BINS][KQ_SUMS] is scratch. */
void kq_splits(const kq_points *points, const uint8_t *labels, size_t k, double *sums,
               double *gains, int16_t *halves);

/* The cheapest merge of each cluster (Ward, J. Am. Stat. Assoc. 58, 1963): the
squared error it would add, costs[k] (in grid units squared), and the cluster
to merge it with, partners[k]; itself if k is 1. */
void kq_merges(const int64_t *sums, const int16_t *centroids, size_t k, double *costs,
               int32_t *partners);


/* ---- which code runs ---------------------------------------------------

The assignment is compiled for several instruction-set levels, which all give
the same bytes: 1 the baseline of the architecture, 3 and 4 for x86-64-v3
(AVX2) and x86-64-v4 (AVX-512). */

/* Use one level from now on; returns 0, and changes nothing, if this build or
this processor lacks it. Not to be called while others compute. */
int kq_use_level(int level);


/* ---- results ----------------------------------------------------------- */

/* The sum of the squared distances (returned) and the largest (*largest) of pixels
to their entries: labels[height][width], palette[k][channels], in sRGB values 0..255.
weights[height][width] or NULL for 1. With alpha: the mean over black and white.
counts[k]: the weight of the pixels of each entry. */
double kq_measure(const kq_image *image, const int64_t *weights, const uint8_t *labels,
                  const uint8_t *palette, size_t k, int64_t *counts, double *largest);

/* Give every label its new name: labels[n] (INOUT) becomes places[label]. */
void kq_relabel(const uint8_t *places, size_t n, uint8_t *labels);

/* A table from colour to label, with memory for occupied cells only:
slots[KQ_CELLS], table[cells][KQ_CELL_SIZE]; cells as kq_cell_counts() says
for 15 bits. Entries of colours that are not in the list are not written. */
void kq_lookup_build(const uint32_t *codes, const uint8_t *labels, size_t n,
                     uint32_t *slots, uint8_t *table);

/* indices[height][width] of an image, all of whose colours are in the table. */
void kq_lookup(const kq_image *image, const uint32_t *slots, const uint8_t *table,
               uint8_t *indices);

/* From the codes of n colours to their places in the list, by one of two tables.

Opaque colours: ranks[KQ_RANK_WORDS], a word for every KQ_RANK_CODES codes, which has a
bit for each of them that is in the list, and in its upper half the place of the first.

Others: open addressing, `size` (a power of 2, at least 2 n) places that hold 0 or
1 + i. */
typedef struct {
    const uint64_t *ranks;
    const uint32_t *codes, *table;
    size_t size;
} kq_places;

#define KQ_RANK_CODES 32
#define KQ_RANK_WORDS 524288 // KQ_CODES / KQ_RANK_CODES

/* ranks (INOUT, 0 before). */
void kq_rank_build(const uint32_t *codes, size_t n, uint64_t *ranks);

void kq_hash_build(const uint32_t *codes, size_t n, size_t size, uint32_t *table);

/* indices[height][width] of an image with alpha, from the label of each place; row[width]
is scratch. */
void kq_hash_lookup(const kq_image *image, const kq_places *places,
                    const uint8_t *labels, uint32_t *row, uint8_t *indices);


/* ---- dithering --------------------------------------------------------- */

/* Entries of a palette that may be the nearest ones, the last one repeated: the first two
coordinates of each, the other two, and their indices. The list goes on in the group
`next`, if that is not 0; or it has yet to be made, of that in the group `from`. */
#define KQ_GROUP 8

typedef struct {
    int16_t xy[KQ_GROUP][2], zw[KQ_GROUP][2];
    uint8_t index[KQ_GROUP];
    uint32_t next, from;
} kq_group;

/* Finds the nearest palette entry of any place in the colour space: of palette
[k][KQ_CHANNELS], ties to the lowest index, exactly. The space is cut into cells, and
each cell, when it is first needed, gets the list of those entries that are nearest
somewhere in it. If they are more than a group, the cell is cut into parts that get lists
of their own.

cells[KQ_NEAR_CELLS] (INOUT, 0 before the first use) and groups[KQ_NEAR_GROUPS] (INOUT)
hold them, `used` (0 before) says how many groups; when these are full, all are forgotten.
A cell is twice its first group, or that of its first part and 1 more. */
typedef struct {
    const int16_t *palette;
    size_t k, channels;
    uint32_t *cells;
    kq_group *groups;
    size_t used;
} kq_near;

#define KQ_NEAR_CELLS 131072 // of 4 bits of 4 axes, and all larger ones
#define KQ_NEAR_GROUPS 65536 // 5 MB; parts may take up to half of it
#define KQ_NEAR_MOST 256     // what a cell, its parts and the larger cells can need

#define KQ_AROUND 8 // entries that one is mixed with

/* Up to this distance squared, half a step of an 8-bit value, a colour counts as being in
the palette: it is not dithered, and takes no errors from its neighbours. */
#define KQ_OWN_ENTRY (KQ_ONE * KQ_ONE / 4)

/* What is dithered: pixels, where to find their colours, the points of these colours,
and the entry that each has without dithering. */
typedef struct {
    kq_image image;
    kq_places places;
    kq_points points;
    const uint8_t *labels;
} kq_picture;

/* What error diffusion wants to know of the points first..last-1: places[n]
[KQ_CHANNELS]. The first coordinate is ~label if a colour has an entry of its own.
palette[k][KQ_CHANNELS]. */
void kq_prepare(const kq_picture *picture, const int16_t *palette, size_t first,
                size_t last, int16_t *places);

/* Diffuse the errors of the rows first..last-1 (Floyd and Steinberg, 1976), even rows
from left to right, odd ones back; strength / 256 of every error. Colours that have an
entry of their own get it, and pass no errors on.

The image is cut into bands of KQ_BAND_ROWS rows. Errors do not go from one to the next,
but a band starts KQ_BAND_LEAD rows early, so that its first rows have errors like any
other. `first` must be the start of a band, and last - first at most KQ_BANDS bands,
which are worked on in turn.

Writes indices[height][width] of these rows. The scratch is `errors`, KQ_BANDS * 2 *
(width + 2) * KQ_CHANNELS of them (INOUT, 0 before), `rows`, KQ_BANDS * width *
KQ_CHANNELS coordinates, found[width] and unused[width]. */
#define KQ_BANDS 8
#define KQ_BAND_ROWS 64
#define KQ_BAND_LEAD 4

typedef struct {
    int32_t *errors;
    int16_t *rows;
    uint32_t *found;
    uint8_t *unused;
} kq_scratch;

void kq_diffuse(const kq_picture *picture, const int16_t *places, kq_near *near,
                size_t first, size_t last, int strength, const kq_scratch *scratch,
                uint8_t *indices);

/* Which two entries stand for each of the points first..last-1, so that their mean is
near: mixes[i] is one | other << 8 | share of the other << 16, of 256. One of them is
the nearest entry, the other one of those around it: around[k][KQ_AROUND]. Shares are
strength / 256 of what they would be; a colour with an entry of its own has just that. */
void kq_mix(const kq_picture *picture, const int16_t *palette, size_t k,
            const uint8_t *around, size_t first, size_t last, int strength,
            uint32_t *mixes);

/* around[k][KQ_AROUND] of each of k > 1 entries: the nearest others, as many as there
are, the last one repeated. */
void kq_find_around(const int16_t *palette, size_t k, uint8_t *around);

/* indices[height][width] of the rows first..last-1 from the mixes of all points: the
other entry where the threshold for the place, thresholds[KQ_TILE][KQ_TILE] repeated, is
below its share. found[width] is scratch. */
#define KQ_TILE 64

void kq_ordered(const kq_picture *picture, const uint32_t *mixes, size_t first,
                size_t last, const uint8_t *thresholds, uint32_t *found,
                uint8_t *indices);

#endif
