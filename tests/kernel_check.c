/*
The whole kernel, without Python: every function on made-up pictures, against brute
force, at every instruction-set level that the processor has. Prints a hash of all
results, which must be the same on every machine.

It is what the sanitizers and other processors run; tests/kernel_check.sh builds it.
*/
#include "kquant.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEIGHT 97
#define WIDTH 113
#define PIXELS (HEIGHT * WIDTH)

static const int levels[] = {1, 3, 4};

static uint64_t hash = 14695981039346656037u; /* FNV-1a */

static void add_to_hash(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    for (size_t i = 0; i < size; i++)
        hash = (hash ^ bytes[i]) * 1099511628211u;
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
    size_t n;
    uint8_t *colors;
    int64_t *counts;
    uint32_t *codes;
} histogram;

/* Split a histogram at a colour, all of which both parts have; merge them again. */
static void check_merge(const histogram *h)
{
    const size_t middle = h->n / 2, rest = h->n - middle, room = middle + 1 + rest;
    uint32_t *codes = allocate(room, sizeof *codes);
    uint8_t *colors = allocate(room, 3);
    int64_t *counts = allocate(room, sizeof *counts);
    const size_t n =
        kq_merge(h->codes + middle, h->colors + 3 * middle, h->counts + middle, rest,
                 h->codes, h->colors, h->counts, middle + 1, codes, colors, counts);
    require(n == h->n, "a merged colour stands twice");
    require(!memcmp(codes, h->codes, 4 * n), "merged codes are wrong");
    require(!memcmp(colors, h->colors, 3 * n), "merged colours are wrong");
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
    size_t n = 0, n_full = 0;
    flat.pixel = flat.row = 0; /* the first pixel over and over */
    flat.height = 1;
    flat.width = 3 * KQ_FULL;
    memset(tables, 0, 2 * (size_t)KQ_CODES);
    n_full = kq_tally(image, tables, full, 0, room);
    require(kq_tally(&flat, tables + KQ_CODES, full, n_full, room) == n_full + 2,
            "a full counter was not noted");
    n_full += 2;
    qsort(full, n_full, sizeof *full, by_value);
    const uint8_t color[3] = {image->data[0], image->data[image->channel],
                              image->data[2 * image->channel]};
    kq_codes(color, 1, &first);
    kq_tally_sizes(tables, 2, 0, KQ_BUCKETS, sizes);
    for (size_t b = 0; b < KQ_BUCKETS; b++)
        n += sizes[b];
    require(n == h->n, "tables hold another number of colours");
    kq_tally_colors(tables, 2, full, n_full, 0, KQ_BUCKETS, codes, colors, counts);
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
    uint32_t sizes[KQ_BUCKETS], cursor[KQ_BUCKETS], bounds[KQ_BUCKETS + 1] = {0};
    uint16_t *low = allocate(PIXELS, sizeof *low);
    uint32_t *codes = allocate(PIXELS, sizeof *codes);
    histogram h = {0, allocate(PIXELS, 3), allocate(PIXELS, 8), allocate(PIXELS, 4)};
    kq_bucket_sizes(image, sizes);
    for (size_t b = 0; b < KQ_BUCKETS; b++)
        bounds[b + 1] = (cursor[b] = bounds[b]) + sizes[b];
    require(bounds[KQ_BUCKETS] == PIXELS, "bucket sizes do not add up");
    kq_bucket_fill(image, cursor, low);
    h.n = kq_count_colors(low, bounds, 0, KQ_BUCKETS, h.codes, h.colors, h.counts);
    kq_codes(h.colors, h.n, codes);
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

static kq_points load(const histogram *h)
{
    const size_t stride = h->n + KQ_LANES;
    int16_t *coords = allocate(3 * stride, sizeof *coords);
    kq_load(h->colors, h->n, stride, coords);
    return (kq_points){h->n, stride, coords, h->counts};
}

static kq_tree grow(kq_points points, const uint32_t *codes)
{
    static const size_t capacity[KQ_DEPTH] = {512, 100, 24};
    kq_tree tree = {.points = points};
    for (int depth = 0; depth < KQ_DEPTH; depth++) {
        uint32_t *start = allocate(points.n + 1, sizeof *start);
        const size_t blocks = kq_blocks(codes, points.n, capacity[depth], start);
        tree.level[depth] = (kq_level){.count = blocks, .start = start};
    }
    for (int depth = KQ_DEPTH - 1; depth >= 0; depth--) {
        const kq_level *finer = &tree.level[depth + 1];
        kq_level *level = &tree.level[depth];
        int16_t *low = allocate(3 * level->count, 2);
        int16_t *high = allocate(3 * level->count, 2);
        int64_t *sums = allocate(KQ_SUMS * level->count, 8);
        level->low = low;
        level->high = high;
        level->sums = sums;
        if (depth == KQ_DEPTH - 1) {
            kq_measure_blocks(&points, level->start, level->count, low, high, sums);
            continue;
        }
        uint32_t *child = allocate(level->count + 1, sizeof *child);
        for (uint32_t b = 0, f = 0; b <= level->count; b++) {
            while (finer->start[f] < level->start[b])
                f++;
            child[b] = f;
        }
        level->child = child;
        kq_join_blocks(finer, child, level->count, low, high, sums);
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
        for (size_t c = 0; c < 3; c++) {
            const int64_t d =
                points->coords[c * points->stride + i] - centroids[3 * j + c];
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
static void cluster(const kq_tree *tree, size_t k, uint8_t *labels, int16_t *centroids)
{
    const kq_points *points = &tree->points;
    int64_t sums[KQ_MAX_COLORS * KQ_SUMS] = {0};
    double gains[KQ_MAX_COLORS], costs[KQ_MAX_COLORS], error = 0;
    int16_t halves[KQ_MAX_COLORS * 6] = {0};
    int32_t partners[KQ_MAX_COLORS];
    uint32_t *order = allocate(points->n, sizeof *order);
    double *bins = allocate(k * KQ_BINS * KQ_SUMS, sizeof *bins);
    const double energy = kq_energy(points);
    for (size_t b = 0; b < tree->level[0].count; b++)
        for (size_t c = 0; c < KQ_SUMS; c++)
            sums[c] += tree->level[0].sums[KQ_SUMS * b + c];
    k = kq_start(points, k, order, labels, centroids);
    memset(labels, 0, points->n);
    add_to_hash(centroids, 6 * k);
    for (int round = 0; round < 8; round++) {
        kq_assign(tree, 0, tree->level[0].count, centroids, k, labels, sums);
        for (size_t i = 0; i < points->n; i++)
            require(labels[i] == nearest(points, i, centroids, k), "not the nearest");
        const double now = kq_error(sums, centroids, k, energy);
        require(round == 0 || round == 5 || now <= error, "the error rose");
        error = now;
        kq_splits(points, labels, k, bins, gains, halves);
        kq_merges(sums, centroids, k, costs, partners);
        kq_update(sums, k, round < 4 ? 1 : KQ_ONE, centroids);
        add_to_hash(labels, points->n);
        add_to_hash(sums, 8 * KQ_SUMS * k);
        add_to_hash(centroids, 6 * k);
        add_to_hash(gains, 8 * k);
        add_to_hash(costs, 8 * k);
        add_to_hash(partners, 4 * k);
        add_to_hash(&error, sizeof error);
    }
    kq_assign(tree, 0, tree->level[0].count, centroids, k, labels, sums);
    free(order);
    free(bins);
}

static void check_coarse(const kq_tree *tree, const uint32_t *codes, size_t k)
{
    size_t cells[KQ_CODE_BITS + 1];
    kq_cell_counts(codes, tree->points.n, cells);
    for (int bits = 0; bits <= KQ_CODE_BITS; bits += 5) {
        const size_t m = cells[bits], stride = m + KQ_LANES;
        uint32_t *coarse = allocate(m, sizeof *coarse);
        int16_t *coords = allocate(3 * stride, sizeof *coords), centroids[3 * 256];
        int64_t *weights = allocate(m, sizeof *weights);
        uint8_t *labels = allocate(m, 1);
        uint32_t *first = allocate(m + 1, sizeof *first);
        int64_t *sums = allocate(KQ_SUMS * m, sizeof *sums), all[KQ_SUMS] = {0};
        uint8_t *none = allocate(tree->points.n, 1);
        const size_t merged = kq_coarsen(&tree->points, codes, bits, stride, first,
                                         sums, coarse, coords, weights);
        require(merged == m, "cells were miscounted");
        require(first[m] == tree->points.n, "cells do not hold all points");
        kq_inherit(first, sums, labels, m, none, all);
        for (size_t i = 0; i < tree->points.n; i++)
            all[0] -= tree->points.weights[i];
        require(all[0] == 0, "cells do not weigh what their points do");
        kq_tree small = grow((kq_points){m, stride, coords, weights}, coarse);
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

static void check_image(const kq_image *image, const histogram *h,
                        const uint8_t *labels, const int16_t *centroids)
{
    uint8_t palette[3 * KQ_MAX_COLORS], *indices = allocate(PIXELS, 1);
    uint32_t *slots = allocate(KQ_CELLS, sizeof *slots), largest;
    size_t cells[KQ_CODE_BITS + 1];
    kq_cell_counts(h->codes, h->n, cells);
    uint8_t *table = allocate(cells[15], KQ_CELL_SIZE);
    for (size_t i = 0; i < 3 * KQ_MAX_COLORS; i++)
        palette[i] = (uint8_t)(centroids[i] / KQ_ONE);
    kq_lookup_build(h->codes, labels, h->n, slots, table);
    kq_lookup(image, slots, table, indices);
    int64_t total = 0;
    for (size_t i = 0; i < PIXELS; i++)
        for (size_t c = 0; c < 3; c++) {
            const ptrdiff_t x = (ptrdiff_t)(i % WIDTH), y = (ptrdiff_t)(i / WIDTH);
            const int d = image->data[y * image->row + x * image->pixel
                                      + (ptrdiff_t)c * image->channel]
                          - palette[3 * indices[i] + c];
            total += d * d;
        }
    const int64_t measured =
        kq_measure(h->colors, h->counts, labels, h->n, palette, &largest);
    require(total == measured, "the measured error is not that of the index map");
    add_to_hash(indices, PIXELS);
    add_to_hash(&largest, sizeof largest);
    free(indices);
    free(slots);
    free(table);
}

int main(void)
{
    static uint8_t pixels[3 * PIXELS];
    const kq_image images[] = {
        {pixels, HEIGHT, WIDTH, 3 * WIDTH, 3, 1},
        {pixels + 3 * PIXELS - 1, HEIGHT, WIDTH, -3 * WIDTH, -3, -1}, /* reversed */
        {pixels, HEIGHT, WIDTH, WIDTH, 1, 0},                         /* grey */
    };
    static const int bits[] = {1, 4, 8};
    static const size_t colors[] = {1, 2, 15, 16, 17, 256};
    uint64_t first = 0;
    for (size_t level = 0; level < sizeof levels / sizeof *levels; level++) {
        if (!kq_use_level(levels[level]))
            continue;
        hash = 14695981039346656037u;
        chance = 88172645463325252u;
        for (size_t b = 0; b < sizeof bits / sizeof *bits; b++)
            for (size_t i = 0; i < sizeof images / sizeof *images; i++) {
                paint(pixels, bits[b]);
                histogram h = count(&images[i]);
                kq_tree tree = grow(load(&h), h.codes);
                uint8_t *labels = allocate(h.n, 1);
                add_to_hash(h.colors, 3 * h.n);
                add_to_hash(h.counts, 8 * h.n);
                for (size_t k = 0; k < sizeof colors / sizeof *colors; k++) {
                    int16_t centroids[3 * KQ_MAX_COLORS] = {0};
                    cluster(&tree, colors[k], labels, centroids);
                    check_image(&images[i], &h, labels, centroids);
                    check_coarse(&tree, h.codes, colors[k]);
                }
                chop(&tree);
                free(labels);
                free(h.colors);
                free(h.counts);
                free(h.codes);
            }
        require(first == 0 || first == hash, "levels differ");
        first = hash;
    }
    printf("%016llx\n", (unsigned long long)first);
    return 0;
}
