/*
kquant: the kernel. Colour histogram, weighted k-means and exact nearest-entry
search for palettes of at most 256 entries.

    kq_bucket_sizes, kq_bucket_fill     pixels  -> buckets of Morton codes
    kq_count_colors                     buckets -> distinct colours, counts
    kq_tally                            pixels  -> tables of counts
    kq_tally_sizes, kq_tally_colors     tables  -> distinct colours, counts
    kq_merge                            two lists of colours -> one
    kq_load                             colours -> points (codes, coordinates)
    kq_coarsen, kq_inherit              points  -> fewer, heavier points, and back
    kq_blocks, kq_measure_blocks        points  -> a tree of blocks
    kq_start                            points  -> centroids, by principal-axis cuts
    kq_assign, kq_update, kq_error      one iteration of Lloyd's algorithm
    kq_splits, kq_merges                clusters to cut, clusters to give up
    kq_measure                          labels  -> exact error
    kq_lookup_build, kq_lookup          labels  -> index map

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

#define KQ_CHANNELS 3     // coordinates of a point: red, green, blue
#define KQ_SUMS 4         // what a cluster sums up: weight and coordinates
#define KQ_MAX_COLORS 256 // so an index fits a byte
#define KQ_LANES 16       // coordinates are read this far past their end
#define KQ_BINS 64        // places to cut a cluster at
#define KQ_DEPTH 3        // levels of the tree of blocks
#define KQ_CODE_BITS 24   // bits of a Morton code
#define KQ_CODES 16777216 // so many codes
#define KQ_FULL 255       // what a place in a table of counts can hold
#define KQ_BUCKETS 4096   // buckets of the histogram: the upper 12 bits
#define KQ_CELL_BITS 15   // bits of the code that name a cell of the lookup
#define KQ_CELLS 32768    // so many cells
#define KQ_CELL_SIZE 512  // colours of such a cell

/* Coordinates are fixed point: a colour value 0..255 times KQ_ONE. Centroids
live on the same grid, which makes every distance an exact 32-bit integer
(3 * 16320^2 < 2^30) and lets Lloyd's algorithm converge exactly: the grid
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

/* Pixels in any layout: strides in bytes, a channel stride of 0 for grey. */
typedef struct {
    const uint8_t *data;
    size_t height, width;
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

/* Merge two such lists; room for n_a + n_b colours; returns how many there are. */
size_t kq_merge(const uint32_t *codes_a, const uint8_t *colors_a,
                const int64_t *counts_a, size_t n_a, const uint32_t *codes_b,
                const uint8_t *colors_b, const int64_t *counts_b, size_t n_b,
                uint32_t *codes, uint8_t *colors, int64_t *counts);

/* Morton codes of colors[n][3]: codes[n]. */
void kq_codes(const uint8_t *colors, size_t n, uint32_t *codes);


/* ---- points and their tree --------------------------------------------- */

/* n weighted points in Morton order. Coordinate c of point i is
coords[c * stride + i], stride >= n + KQ_LANES; the rest is padding. */
typedef struct {
    size_t n, stride;
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

/* Coordinates of colors[n][3] into coords[3][stride]; clears the padding. */
void kq_load(const uint8_t *colors, size_t n, size_t stride, int16_t *coords);

/* How many cells share at most the first `bits` bits of the code, for every
number of bits: cells[KQ_CODE_BITS + 1]. */
void kq_cell_counts(const uint32_t *codes, size_t n, size_t *cells);

/* Merge the points whose codes agree in the first `bits` bits into one at
their mean (rounded to the grid): out_codes[m], out_coords[3][out_stride],
out_weights[m]; returns m, as kq_cell_counts() said. Point i of these stands for
the points cells[i]..cells[i + 1]-1, whose exact sums are sums[i][KQ_SUMS]. */
size_t kq_coarsen(const kq_points *points, const uint32_t *codes, int bits,
                  size_t out_stride, uint32_t *cells, int64_t *sums,
                  uint32_t *out_codes, int16_t *out_coords, int64_t *out_weights);

/* Give the points of each of m cells the label of the cell: labels[n], and add
their sums up: sums[k][KQ_SUMS] (INOUT). */
void kq_inherit(const uint32_t *cells, const int64_t *cell_sums,
                const uint8_t *cell_labels, size_t m, uint8_t *labels, int64_t *sums);

/* Cut the points into the largest runs that share a prefix of the code and
hold at most `capacity` points. Writes start[count + 1], count <= n; returns
count. Runs for a smaller capacity are nested in those for a larger one. */
size_t kq_blocks(const uint32_t *codes, size_t n, size_t capacity, uint32_t *start);

/* Box and sums of each block, from its points: low[count][3], high[count][3],
sums[count][KQ_SUMS]. */
void kq_measure_blocks(const kq_points *points, const uint32_t *start, size_t count,
                       int16_t *low, int16_t *high, int64_t *sums);

/* The same from the blocks of the next finer level. */
void kq_join_blocks(const kq_level *finer, const uint32_t *child, size_t count,
                    int16_t *low, int16_t *high, int64_t *sums);


/* ---- k-means ----------------------------------------------------------- */

/* Give every point of the coarsest blocks first..last-1 the label of its
nearest centroid, ties to the lowest index, exactly.

centroids[k][3]; labels[n] (INOUT, all below k) and sums[k][KQ_SUMS] (INOUT:
weight, then weighted coordinates, of each label) are kept in step: only points
that change their label touch the sums, which is what makes late iterations
cheap. Sums may also start at 0 and be added up over several ranges of blocks.
Returns the number of points whose label changed.

Filtering (Kanungo et al., IEEE TPAMI 24(7), 2002; Pelleg and Moore, KDD 1999):
from the root down, a block keeps only those centroids that are nearest to
some place in its box. */
size_t kq_assign(const kq_tree *tree, size_t first, size_t last,
                 const int16_t *centroids, size_t k, uint8_t *labels, int64_t *sums);

/* Move every centroid that has points to the multiple of `grid` (1, or KQ_ONE
for 8-bit colours) nearest to their mean: centroids[k][3] (INOUT). Returns
the number of centroids that moved. */
size_t kq_update(const int64_t *sums, size_t k, int grid, int16_t *centroids);

/* The squared error of the centroids, in colour values squared, from the sums
of their points; `energy` is kq_energy() of the points. */
double kq_error(const int64_t *sums, const int16_t *centroids, size_t k, double energy);

/* Weighted sum of the squared coordinates of all points. */
double kq_energy(const kq_points *points);

/* A deterministic start: cut the cluster whose best cut removes most error until
there are k. A cut is a plane across the principal axis, at one of KQ_BINS places,
the one that leaves the least error (Wu, ACM TOG 11(4), 1992; Celebi, 2011).
order[n] and bins[n] are scratch; writes centroids[count][3] and returns count: k,
or less if there are fewer than k different points (or weights so unequal that
rounding hides the difference). */
size_t kq_start(const kq_points *points, size_t k, uint32_t *order, uint8_t *bins,
                int16_t *centroids);

/* The best cut of each cluster as labelled: the squared error it would remove,
gains[k] (in grid units squared), and the means of its sides, halves[k][2][3],
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

/* Exact error of colors[n][3] against palette[k][3]: the weighted sum of
squared distances (returned) and the largest squared distance (*largest). */
int64_t kq_measure(const uint8_t *colors, const int64_t *counts, const uint8_t *labels,
                   size_t n, const uint8_t *palette, uint32_t *largest);

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

#endif
