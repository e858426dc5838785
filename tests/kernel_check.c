/*
The whole kernel, without Python: every function on made-up pictures, against brute
force, at every instruction-set level that the processor has. Prints a hash of all
results, which must be the same on every machine.

It is what the sanitizers and other processors run; tests/kernel_check.sh builds it, and
takes example.h out of the comment at the top of kquant.h.
*/
#include "kquant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "example.h"

#define HEIGHT 97
#define WIDTH 113
#define PIXELS (HEIGHT * WIDTH)

static const int levels[] = {1, 3, 4};

static uint64_t hash = 14695981039346656037u; /* FNV-1a */

/* By value, the lowest byte first, whatever the order of bytes of the machine. */
static void add_to_hash(const void *data, size_t size, size_t count)
{
    const uint8_t *bytes = data;
    const union {
        uint16_t value;
        uint8_t first;
    } one = {1};
    for (size_t i = 0; i < count; i++)
        for (size_t b = 0; b < size; b++) {
            const size_t at = one.first ? b : size - 1 - b;
            hash = (hash ^ bytes[size * i + at]) * 1099511628211u;
        }
}

static void require(int condition, const char *what)
{
    if (!condition) {
        fprintf(stderr, "kernel_check: %s\n", what);
        exit(1);
    }
}

static void *allocate(size_t count, size_t size)
{
    void *memory = calloc(count, size);
    require(memory != NULL, "out of memory");
    return memory;
}

static uint64_t chance = 88172645463325252u; /* xorshift */

static uint32_t any(uint32_t below)
{
    chance ^= chance << 13;
    chance ^= chance >> 7;
    chance ^= chance << 17;
    return (uint32_t)(chance >> 32) % below;
}

/* Patches of colour with a gradient and noise; the fewer bits, the fewer colours. */
static void paint(uint8_t *pixels, int bits)
{
    for (size_t i = 0; i < PIXELS; i++) {
        const size_t x = i % WIDTH, y = i / WIDTH, patch = x / 16 + y / 16;
        for (size_t c = 0; c < 3; c++) {
            const uint32_t value = (uint32_t)(patch * (37 + 11 * c) + x + y) + any(24);
            pixels[3 * i + c] = (uint8_t)((value & 255) >> (8 - bits));
        }
    }
}

typedef struct {
    size_t n, channels;
    uint8_t *colors;
    int64_t *counts;
    uint32_t *codes;
} histogram;

/* Split a histogram at a colour, all of which both parts have; merge them again. */
static void check_merge(const histogram *h)
{
    const size_t middle = h->n / 2, rest = h->n - middle, room = middle + 1 + rest;
    uint32_t *codes = allocate(room, sizeof *codes);
    uint8_t *colors = allocate(room, h->channels);
    int64_t *counts = allocate(room, sizeof *counts);
    const size_t channels = h->channels;
    const size_t n = kq_merge(h->codes + middle, h->colors + channels * middle,
                              h->counts + middle, rest, h->codes, h->colors, h->counts,
                              middle + 1, channels, codes, colors, counts);
    require(n == h->n, "a merged colour stands twice");
    require(!memcmp(codes, h->codes, 4 * n), "merged codes are wrong");
    require(!memcmp(colors, h->colors, channels * n), "merged colours are wrong");
    for (size_t i = 0; i < n; i++)
        require(counts[i] == h->counts[i] << (i == middle), "merged counts are wrong");
    free(codes);
    free(colors);
    free(counts);
}

static int by_value(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

/* Counting in a table must give the same as counting in buckets; in two parts, and
with so many pixels of one colour that its counter runs over. */
static void check_tally(const kq_image *image, const histogram *h)
{
    uint8_t *tables = allocate(2 * (size_t)KQ_CODES, 1);
    uint32_t *sizes = allocate(KQ_BUCKETS, 4), first;
    const size_t room = PIXELS / KQ_FULL + 2;
    uint32_t *full = allocate(room, sizeof *full);
    uint32_t *codes = allocate(h->n, sizeof *codes);
    uint8_t *colors = allocate(h->n, 3);
    int64_t *counts = allocate(h->n, sizeof *counts);
    kq_image flat = *image;
    size_t n = 0, n_full;
    flat.pixel = flat.row = 0; /* the first pixel over and over */
    flat.height = 1;
    flat.width = 3 * KQ_FULL;
    memset(tables, 0, 2 * (size_t)KQ_CODES);
    n_full = kq_tally(image, tables, full, room);
    require(kq_tally(&flat, tables + KQ_CODES, full + n_full, room - n_full) == 2,
            "a full counter was not noted");
    n_full += 2;
    qsort(full, n_full, sizeof *full, by_value);
    const uint8_t color[3] = {image->data[0], image->data[image->channel],
                              image->data[2 * image->channel]};
    kq_codes(color, 1, 3, &first);
    kq_tally_sizes(tables, 2, 0, KQ_BUCKETS, sizes);
    for (size_t b = 0; b < KQ_BUCKETS; b++)
        n += sizes[b];
    require(n == h->n, "tables hold another number of colours");
    require(kq_tally_colors(tables, 2, full, n_full, 0, KQ_BUCKETS, n - 1, codes,
                            colors, counts)
                == n,
            "tables write more than there is room for");
    require(kq_tally_colors(tables, 2, full, n_full, 0, KQ_BUCKETS, n, codes, colors,
                            counts)
                == n,
            "tables hold another number of colours");
    require(!memcmp(codes, h->codes, 4 * n), "codes of tables are wrong");
    require(!memcmp(colors, h->colors, 3 * n), "colours of tables are wrong");
    for (size_t i = 0; i < n; i++)
        require(counts[i] == h->counts[i] + (codes[i] == first ? 3 * KQ_FULL : 0),
                "counts of tables are wrong");
    free(tables);
    free(sizes);
    free(full);
    free(codes);
    free(colors);
    free(counts);
}

static histogram count(const kq_image *image)
{
    uint32_t bounds[2][KQ_BUCKETS + 1];
    uint16_t *low = allocate(PIXELS, sizeof *low);
    uint32_t *codes = allocate(PIXELS, sizeof *codes);
    histogram h = {0, 3, allocate(PIXELS, 3), allocate(PIXELS, 8), allocate(PIXELS, 4)};
    /* In two parts, as two threads would. */
    kq_image part[2] = {*image, *image};
    part[0].height /= 2;
    part[1].height -= part[0].height;
    part[1].data += (ptrdiff_t)part[0].height * image->row;
    const size_t above = part[0].height * WIDTH;
    kq_bucket_sort(&part[0], bounds[0], low);
    kq_bucket_sort(&part[1], bounds[1], low + above);
    require(bounds[0][KQ_BUCKETS] + bounds[1][KQ_BUCKETS] == PIXELS,
            "bucket sizes do not add up");
    const kq_buckets parts[2] = {{low, bounds[0]}, {low + above, bounds[1]}};
    h.n = kq_count_colors(parts, 2, 0, KQ_BUCKETS, h.codes, h.colors, h.counts);
    kq_codes(h.colors, h.n, 3, codes);
    require(memcmp(codes, h.codes, 4 * h.n) == 0, "codes are not those of the colours");
    check_merge(&h);
    check_tally(image, &h);
    int64_t total = 0;
    for (size_t i = 0; i < h.n; i++) {
        total += h.counts[i];
        require(i == 0 || h.codes[i - 1] < h.codes[i], "colours out of order");
    }
    require(total == PIXELS, "counts do not add up");
    free(low);
    free(codes);
    return h;
}

/* The same for pixels with alpha: sort their codes, count equal ones. */
static histogram count_with_alpha(const kq_image *image)
{
    histogram h = {0, 4, allocate(PIXELS, 4), allocate(PIXELS, 8), allocate(PIXELS, 4)};
    uint32_t *codes = allocate(PIXELS, sizeof *codes);
    kq_pixel_codes(image, codes);
    qsort(codes, PIXELS, sizeof *codes, by_value);
    for (size_t i = 0; i < PIXELS; i++) {
        if (i == 0 || codes[i] != codes[i - 1])
            h.codes[h.n++] = codes[i];
        h.counts[h.n - 1]++;
    }
    kq_colors(h.codes, h.n, 4, h.colors);
    kq_codes(h.colors, h.n, 4, codes);
    require(memcmp(codes, h.codes, 4 * h.n) == 0, "codes are not those of the colours");
    check_merge(&h);
    free(codes);
    return h;
}

/* sRGB, or a space of cube roots that looks a little like Oklab. */
static kq_space make_space(int plain)
{
    kq_space space = {.plain = plain, .roots = !plain, .opaque = 14134, .knee = 0.01};
    for (int value = 0; value < 256; value++)
        space.light[value] = value * value / 65025.0;
    for (int i = 0; i < 3; i++) {
        space.middle[i] = 255 * KQ_ONE / 2;
        space.offset[i] = i ? 255 * KQ_ONE / 2 : 0;
        for (int j = 0; j < 3; j++) {
            space.to_cones[i][j] = i == j ? 0.75 : 0.125;
            space.from_roots[i][j] = i == 0 ? 5440 : i == j ? 4000 : -2000;
        }
    }
    space.slope = 21.5; /* the line from 0 to the root at the knee */
    return space;
}

static kq_points to_points(const histogram *h, int plain)
{
    const size_t stride = h->n + KQ_LANES;
    const kq_space space = make_space(plain);
    int16_t *coords = allocate(h->channels * stride, sizeof *coords);
    kq_to_space(&space, h->colors, h->n, h->channels, stride, coords);
    return (kq_points){h->n, stride, h->channels, coords, h->counts};
}

static kq_tree grow(kq_points points, const uint32_t *codes)
{
    static const size_t capacity[KQ_DEPTH] = {512, 100, 24};
    kq_tree tree = {.points = points};
    for (int depth = 0; depth < KQ_DEPTH; depth++) {
        uint32_t *start = allocate(points.n + 1, sizeof *start);
        const size_t blocks = kq_blocks(codes, points.n, 8 * (int)points.channels,
                                        capacity[depth], start);
        tree.level[depth] = (kq_level){.count = blocks, .start = start};
    }
    for (int depth = KQ_DEPTH - 1; depth >= 0; depth--) {
        kq_level *level = &tree.level[depth];
        uint32_t *child = allocate(level->count + 1, sizeof *child);
        int16_t *low = allocate(KQ_CHANNELS * level->count, 2);
        int16_t *high = allocate(KQ_CHANNELS * level->count, 2);
        int64_t *sums = allocate(KQ_SUMS * level->count, 8);
        *level = (kq_level){level->count, level->start, child, low, high, sums};
        kq_measure_level(&tree, (size_t)depth, child, low, high, sums);
    }
    return tree;
}

static void chop(kq_tree *tree)
{
    for (int depth = 0; depth < KQ_DEPTH; depth++) {
        free((void *)tree->level[depth].start);
        free((void *)tree->level[depth].child);
        free((void *)tree->level[depth].low);
        free((void *)tree->level[depth].high);
        free((void *)tree->level[depth].sums);
    }
    free((void *)tree->points.coords);
}

static size_t nearest(const kq_points *points, size_t i, const int16_t *centroids,
                      size_t k)
{
    int64_t least = INT64_MAX;
    size_t best = 0;
    for (size_t j = 0; j < k; j++) {
        int64_t distance = 0;
        for (size_t c = 0; c < points->channels; c++) {
            const int64_t d =
                points->coords[c * points->stride + i] - centroids[KQ_CHANNELS * j + c];
            distance += d * d;
        }
        if (distance < least) {
            least = distance;
            best = j;
        }
    }
    return best;
}

/* Lloyd's algorithm from a start of its own, checked and hashed step by step. */
static size_t cluster(const kq_tree *tree, size_t k, uint8_t *labels,
                      int16_t *centroids)
{
    const kq_points *points = &tree->points;
    int64_t sums[KQ_MAX_COLORS * KQ_SUMS] = {0};
    double gains[KQ_MAX_COLORS], costs[KQ_MAX_COLORS], error = 0;
    int16_t halves[KQ_MAX_COLORS * 2 * KQ_CHANNELS] = {0};
    int32_t partners[KQ_MAX_COLORS];
    uint32_t *order = allocate(points->n, sizeof *order);
    double *bins = allocate(k * KQ_BINS * KQ_SUMS, sizeof *bins);
    const double energy = kq_energy(points);
    for (size_t b = 0; b < tree->level[0].count; b++)
        for (size_t c = 0; c < KQ_SUMS; c++)
            sums[c] += tree->level[0].sums[KQ_SUMS * b + c];
    k = kq_seed(points, k, order, labels, centroids);
    memset(labels, 0, points->n);
    add_to_hash(centroids, 2, KQ_CHANNELS * k);
    for (int round = 0; round < 8; round++) {
        kq_assign(tree, 0, tree->level[0].count, centroids, k, labels, sums);
        for (size_t i = 0; i < points->n; i++)
            require(labels[i] == nearest(points, i, centroids, k), "not the nearest");
        const double now = kq_error(sums, centroids, k, energy);
        require(round == 0 || now <= error, "the error rose");
        error = now;
        kq_splits(points, labels, k, bins, gains, halves);
        kq_merges(sums, centroids, k, costs, partners);
        kq_update(sums, k, centroids);
        add_to_hash(labels, 1, points->n);
        add_to_hash(sums, 8, KQ_SUMS * k);
        add_to_hash(centroids, 2, KQ_CHANNELS * k);
        add_to_hash(gains, 8, k);
        add_to_hash(costs, 8, k);
        add_to_hash(partners, 4, k);
        add_to_hash(&error, sizeof error, 1);
    }
    kq_assign(tree, 0, tree->level[0].count, centroids, k, labels, sums);
    free(order);
    free(bins);
    return k;
}

/* With alpha: the entry whose colour is nearest of those that are near on the grid. */
static void check_alpha(const kq_tree *tree, const uint8_t *colors, int plain, size_t k,
                        const int16_t *centroids)
{
    const kq_points *points = &tree->points;
    const kq_space space = make_space(plain);
    uint8_t palette[4 * KQ_MAX_COLORS], *labels = allocate(points->n, 1);
    int16_t planes[4 * (KQ_MAX_COLORS + KQ_LANES)];
    int16_t entries[KQ_CHANNELS * KQ_MAX_COLORS];
    int64_t sums[KQ_MAX_COLORS * KQ_SUMS] = {0};
    const kq_alpha alpha = {colors, palette, plain ? KQ_SLACK : 0};
    for (size_t i = 0; i < 4 * k; i++)
        palette[i] = (uint8_t)(centroids[i] / KQ_ONE);
    for (size_t i = 0; i < k; i += 2)
        palette[4 * i + 3] /= 64; /* nearly transparent */
    const size_t stride = k + KQ_LANES;
    kq_to_space(&space, palette, k, 4, stride, planes);
    for (size_t i = 0; i < k; i++)
        for (size_t c = 0; c < 4; c++)
            entries[KQ_CHANNELS * i + c] = planes[c * stride + i];
    kq_assign_alpha(tree, 0, tree->level[0].count, entries, &alpha, k, labels, sums);
    for (size_t i = 0; i < points->n; i++) {
        int64_t least = INT64_MAX, near = INT64_MAX;
        size_t best = 0;
        for (size_t j = 0; j < k; j++) {
            int64_t on_grid = 0, distance = 0;
            const uint8_t *p = colors + 4 * i, *q = palette + 4 * j;
            const int64_t e = 255 * (p[3] - q[3]);
            for (size_t c = 0; c < 4; c++) {
                const int64_t d = points->coords[c * points->stride + i]
                                  - entries[KQ_CHANNELS * j + c];
                on_grid += d * d;
            }
            for (size_t c = 0; c < 3; c++) {
                const int64_t d = p[3] * p[c] - q[3] * q[c];
                distance += d * d + (d - e) * (d - e);
            }
            on_grid = plain ? 0 : on_grid; /* where the grid does not decide */
            if (on_grid < near || (on_grid == near && distance < least)) {
                near = on_grid;
                least = distance;
                best = j;
            }
        }
        require(labels[i] == best, "not the nearest colour");
    }
    free(labels);
}

static void check_coarse(const kq_tree *tree, const uint32_t *codes, size_t k)
{
    const size_t channels = tree->points.channels;
    const int most = 8 * (int)channels;
    size_t cells[4 * 8 + 1];
    require(kq_cell_counts(codes, tree->points.n, most, cells), "codes do not ascend");
    for (int bits = 1; bits <= most; bits += 5) {
        const size_t m = cells[bits], stride = m + KQ_LANES;
        uint32_t *coarse = allocate(m, sizeof *coarse);
        int16_t *coords = allocate(channels * stride, sizeof *coords);
        int16_t centroids[KQ_CHANNELS * KQ_MAX_COLORS];
        int64_t *weights = allocate(m, sizeof *weights);
        uint8_t *labels = allocate(m, 1);
        uint32_t *first = allocate(m + 1, sizeof *first);
        int64_t *sums = allocate(KQ_SUMS * m, sizeof *sums), all[KQ_SUMS] = {0};
        uint8_t *none = allocate(tree->points.n, 1);
        const size_t merged = kq_coarsen(&tree->points, codes, most - bits, stride,
                                         first, sums, coarse, coords, weights);
        require(merged == m, "cells were miscounted");
        require(first[m] == tree->points.n, "cells do not hold all points");
        kq_inherit(first, sums, labels, m, none, all);
        for (size_t i = 0; i < tree->points.n; i++)
            all[0] -= tree->points.weights[i];
        require(all[0] == 0, "cells do not weigh what their points do");
        kq_tree small = grow((kq_points){m, stride, channels, coords, weights}, coarse);
        cluster(&small, k, labels, centroids);
        chop(&small);
        free(coarse);
        free(first);
        free(sums);
        free(none);
        free(weights);
        free(labels);
    }
}

/* The nearest entry of every pixel by a table, the error of that, and dithering. */
static void check_image(const kq_image *image, const histogram *h,
                        const kq_points *points, uint8_t *labels, size_t k,
                        const int16_t *centroids)
{
    const size_t channels = h->channels;
    uint8_t palette[4 * KQ_MAX_COLORS], *indices = allocate(PIXELS, 1);
    uint32_t found[WIDTH], hashed[131072];
    uint64_t *ranks = allocate(KQ_RANK_WORDS, 8);
    const kq_color_index color_index = {ranks, h->codes, hashed, 131072};
    kq_picture picture = {*image, color_index, *points, labels, centroids, k, 205};
    int64_t counts[KQ_MAX_COLORS];
    double largest;
    for (size_t i = 0; i < k; i++)
        for (size_t c = 0; c < channels; c++)
            palette[channels * i + c] =
                (uint8_t)(centroids[KQ_CHANNELS * i + c] / KQ_ONE);
    kq_hash_build(h->codes, h->n, 131072, hashed);
    if (channels == 3) {
        size_t cells[25];
        kq_cell_counts(h->codes, h->n, 24, cells);
        uint32_t *slots = allocate(KQ_CELLS, sizeof *slots);
        uint8_t *table = allocate(cells[KQ_CELL_BITS], KQ_CELL_SIZE);
        kq_lookup_build(h->codes, labels, h->n, slots, table);
        kq_lookup(image, slots, table, indices);
        kq_rank_build(h->codes, h->n, ranks);
        free(slots);
        free(table);
    } else {
        kq_hash_lookup(image, &color_index, labels, found, indices);
    }
    uint32_t *codes = allocate(PIXELS, sizeof *codes);
    kq_pixel_codes(image, codes);
    for (size_t i = 0; i < PIXELS; i++) {
        size_t low = 0, high = h->n; /* the last colour whose code is not above */
        while (high - low > 1) {
            const size_t middle = (low + high) / 2;
            *(h->codes[middle] <= codes[i] ? &low : &high) = middle;
        }
        require(labels[low] == indices[i], "a pixel has another colour's label");
    }
    free(codes);
    double total = 0;
    for (size_t i = 0; i < PIXELS; i++) {
        const ptrdiff_t x = (ptrdiff_t)(i % WIDTH), y = (ptrdiff_t)(i / WIDTH);
        const uint8_t *pixel = image->data + y * image->row + x * image->pixel;
        const uint8_t *entry = palette + channels * indices[i];
        const double a = channels == 4 ? pixel[3 * image->channel] / 255.0 : 1;
        const double b = channels == 4 ? entry[3] / 255.0 : 1;
        for (int c = 0; c < 3; c++) {
            const double d = a * pixel[c * image->channel] - b * entry[c];
            const double e = d - 255 * (a - b);
            total += (d * d + e * e) / 2;
        }
    }
    const double measured =
        kq_measure(image, NULL, indices, palette, k, counts, &largest);
    require(measured >= total * 0.999999 - 1 && measured <= total * 1.000001 + 1,
            "the measured error is not that of the index map");
    for (size_t i = 0; i < PIXELS; i++)
        counts[indices[i]]--;
    for (size_t i = 0; i < k; i++)
        require(counts[i] == 0, "the counts are not those of the index map");
    add_to_hash(indices, 1, PIXELS);
    add_to_hash(&largest, sizeof largest, 1);
    /* Dithering: the bytes are compared; tests in Python say that they are right. */
    uint32_t *near_cells = allocate(KQ_NEAREST_CELLS, 4),
             *mixes = allocate(h->n + 1, 4);
    kq_group *groups = allocate(KQ_NEAREST_GROUPS, sizeof *groups);
    int32_t *errors = allocate(KQ_BANDS * 2 * (WIDTH + 2) * KQ_CHANNELS, 4);
    int16_t rows[KQ_BANDS * WIDTH * KQ_CHANNELS];
    int16_t *prepared = allocate((h->n + 1) * KQ_CHANNELS, 2);
    uint8_t unused[WIDTH];
    uint8_t thresholds[KQ_TILE * KQ_TILE];
    for (size_t i = 0; i < sizeof thresholds; i++)
        thresholds[i] = (uint8_t)(i * 37 + i / KQ_TILE * 11);
    kq_nearest search = {near_cells, groups, errors, rows, found,
                         unused,     0,      NULL,   0,    0};
    kq_prepare(&picture, 0, h->n, prepared);
    kq_diffuse(&picture, prepared, &search, 0, HEIGHT, indices);
    require(search.used <= KQ_NEAREST_GROUPS, "lists are too long");
    add_to_hash(indices, 1, PIXELS);
    /* Lists that do not fit are forgotten, and half full there is no room for parts:
    which must not change anything. */
    const size_t used[] = {KQ_NEAREST_GROUPS - KQ_NEAREST_MOST + 1,
                           KQ_NEAREST_GROUPS / 2};
    uint8_t *again = allocate(PIXELS, 1);
    for (size_t i = 0; i < 2; i++) {
        search.used = used[i];
        memset(near_cells, 0, KQ_NEAREST_CELLS * sizeof *near_cells);
        kq_diffuse(&picture, prepared, &search, 0, HEIGHT, again);
        require(!memcmp(indices, again, PIXELS), "full lists change the result");
    }
    free(again);
    picture.strength = KQ_STRENGTH;
    kq_mix(&picture, 0, h->n, mixes);
    kq_ordered(&picture, mixes, 0, HEIGHT, thresholds, found, indices);
    add_to_hash(indices, 1, PIXELS);
    free(near_cells);
    free(mixes);
    free(prepared);
    free(groups);
    free(errors);
    free(indices);
    free(ranks);
}

/* All of the above for one picture, in one colour space. */
static void check_picture(const kq_image *image, int plain)
{
    static const size_t colors[] = {1, 2, 15, 16, 17, 256};
    histogram h = image->channels == 4 ? count_with_alpha(image) : count(image);
    kq_tree tree = grow(to_points(&h, plain), h.codes);
    uint8_t *labels = allocate(h.n, 1);
    add_to_hash(h.colors, 1, h.channels * h.n);
    add_to_hash(h.counts, 8, h.n);
    add_to_hash(tree.points.coords, 2, h.channels * tree.points.stride);
    for (size_t i = 0; i < sizeof colors / sizeof *colors; i++) {
        int16_t centroids[KQ_CHANNELS * KQ_MAX_COLORS] = {0};
        const size_t k = cluster(&tree, colors[i], labels, centroids);
        check_image(image, &h, &tree.points, labels, k, centroids);
        if (h.channels == 4)
            check_alpha(&tree, h.colors, plain, k, centroids);
        check_coarse(&tree, h.codes, colors[i]);
    }
    chop(&tree);
    free(labels);
    free(h.colors);
    free(h.counts);
    free(h.codes);
}

/* The example in kquant.h: every pixel has the nearest centroid, and all are in use. */
static void check_example(uint8_t *pixels)
{
    int16_t centroids[K * KQ_CHANNELS];
    uint8_t *indices = allocate(N, 1);
    int used[K] = {0};
    require(N <= PIXELS, "the example is too large");
    paint(pixels, 8);
    require(example(pixels, centroids, indices) == K, "the example lacks entries");
    for (size_t i = 0; i < N; i++) {
        const uint8_t *pixel = pixels + 3 * i;
        const int16_t coords[3] = {(int16_t)(pixel[0] * KQ_ONE),
                                   (int16_t)(pixel[1] * KQ_ONE),
                                   (int16_t)(pixel[2] * KQ_ONE)};
        const kq_points point = {1, 1, 3, coords, NULL};
        require(indices[i] == nearest(&point, 0, centroids, K), "the example is wrong");
        used[indices[i]] = 1;
    }
    for (size_t j = 0; j < K; j++)
        require(used[j], "the example has an entry without pixels");
    free(indices);
}

/* What no function may be given is told from what it may. */
static void check_contract(void)
{
    size_t cells[33];
    const uint32_t codes[] = {0, 7, 1 << 23, 1 << 24}, twice[] = {5, 6, 6};
    require(kq_cell_counts(codes, 4, 32, cells) && cells[32] == 4, "codes are refused");
    require(kq_cell_counts(codes, 3, 24, cells) && cells[24] == 3, "codes are refused");
    require(!kq_cell_counts(codes, 4, 24, cells), "a code of 25 bits is taken");
    require(!kq_cell_counts(codes + 3, 1, 24, cells), "a code of 25 bits is taken");
    require(!kq_cell_counts(twice, 3, 24, cells), "a code is taken twice");
    const uint8_t labels[] = {0, 3, 255, 1};
    require(kq_is_exact(), "not compiled by the rules of IEEE 754");
    require(kq_are_labels(labels, 4, 256) && kq_are_labels(labels, 2, 4)
                && !kq_are_labels(labels, 4, 255) && !kq_are_labels(labels, 2, 3),
            "labels are told wrong");
    const int16_t coords[] = {0, KQ_MOST, -1}, above[] = {1, KQ_MOST + 1};
    require(kq_are_on_grid(coords, 2) && !kq_are_on_grid(coords, 3)
                && !kq_are_on_grid(above, 2) && kq_are_on_grid(above, 1),
            "coordinates are told wrong");
    const int64_t most[] = {1, KQ_MOST_WEIGHT - 1, 1, 0, -1};
    const int64_t large[] = {INT64_MIN, INT64_MAX, 2};
    require(kq_are_weights(most, 2, 1) && !kq_are_weights(most, 3, 1)
                && kq_are_weights(most + 2, 2, 0) && !kq_are_weights(most + 2, 2, 1)
                && !kq_are_weights(most + 4, 1, 0) && !kq_are_weights(large, 1, 0)
                && !kq_are_weights(large + 1, 2, 0),
            "weights are told wrong");
    const int64_t good[KQ_SUMS] = {2, 0, 2 * KQ_MOST, 1, 0};
    const int64_t bad[][KQ_SUMS] = {
        {2, 0, 2 * KQ_MOST + 1}, {2, -1}, {-1}, {INT64_MIN}, {0, 1},
        {KQ_MOST_WEIGHT + 1}};
    require(kq_are_sums(good, 1), "sums are refused");
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        require(!kq_are_sums(bad[i], 1), "wrong sums are taken");
}

int main(void)
{
    static uint8_t pixels[4 * PIXELS];
    const kq_image images[] = {
        {pixels, HEIGHT, WIDTH, 3, 3 * WIDTH, 3, 1},
        {pixels + 3 * PIXELS - 1, HEIGHT, WIDTH, 3, -3 * WIDTH, -3, -1}, /* reversed */
        {pixels, HEIGHT, WIDTH, 3, WIDTH, 1, 0},                         /* grey */
        {pixels, HEIGHT, WIDTH, 4, 3 * WIDTH, 3, 1}, /* alpha is the next one's red */
    };
    static const int bits[] = {1, 4, 8};
    uint64_t first = 0;
    for (size_t level = 0; level < sizeof levels / sizeof *levels; level++) {
        if (!kq_use_level(levels[level]))
            continue;
        hash = 14695981039346656037u;
        chance = 88172645463325252u;
        for (size_t b = 0; b < sizeof bits / sizeof *bits; b++)
            for (size_t i = 0; i < sizeof images / sizeof *images; i++) {
                paint(pixels, bits[b]);
                check_picture(&images[i], 1);
                check_picture(&images[i], 0);
            }
        require(first == 0 || first == hash, "levels differ");
        first = hash;
    }
    check_example(pixels);
    check_contract();
    printf("%016llx\n", (unsigned long long)first);
    return 0;
}
