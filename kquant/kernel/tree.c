/* Weighted points in Morton order, coarser points, and the tree over them. */
#include "bits.h"
#include "kquant.h"

#include <string.h>

int kq_cell_counts(const uint32_t *codes, size_t n, int code_bits, size_t *cells)
{
    size_t opened[32] = {0}; /* by the number of bits shared with the code before */
    for (size_t i = 1; i < n; i++) {
        if (codes[i - 1] >= codes[i])
            return 0;
        opened[kq_zeros_above(codes[i - 1] ^ codes[i])]++;
    }
    if (code_bits < 32 && codes[n - 1] >> code_bits)
        return 0;
    /* A code opens a new cell for every number of bits above that which it shares. */
    cells[0] = 1;
    for (int bits = 0; bits < code_bits; bits++)
        cells[bits + 1] = cells[bits] + opened[bits + 32 - code_bits];
    return 1;
}

KQ_INLINE size_t coarsen(const kq_points *points, const uint32_t *codes, int shift,
                         size_t out_stride, uint32_t *cells, int64_t *sums,
                         uint32_t *out_codes, int16_t *out_coords, int64_t *out_weights,
                         size_t channels)
{
    size_t m = 0;
    for (size_t i = 0; i < points->n; m++) {
        int64_t *sum = sums + KQ_SUMS * m;
        const uint32_t cell = codes[i] >> shift;
        cells[m] = (uint32_t)i;
        memset(sum, 0, KQ_SUMS * sizeof *sum);
        for (; i < points->n && codes[i] >> shift == cell; i++) {
            sum[0] += points->weights[i];
            for (size_t c = 0; c < channels; c++)
                sum[c + 1] +=
                    points->weights[i] * points->coords[c * points->stride + i];
        }
        out_codes[m] = cell << shift;
        out_weights[m] = sum[0];
        for (size_t c = 0; c < channels; c++)
            out_coords[c * out_stride + m] =
                (int16_t)((2 * sum[c + 1] + sum[0]) / (2 * sum[0]));
    }
    cells[m] = (uint32_t)points->n;
    for (size_t c = 0; c < channels; c++)
        memset(out_coords + c * out_stride + m, 0,
               (out_stride - m) * sizeof *out_coords);
    return m;
}

size_t kq_coarsen(const kq_points *points, const uint32_t *codes, int shift,
                  size_t out_stride, uint32_t *cells, int64_t *sums,
                  uint32_t *out_codes, int16_t *out_coords, int64_t *out_weights)
{
    return points->channels == 4 ? coarsen(points, codes, shift, out_stride, cells,
                                           sums, out_codes, out_coords, out_weights, 4)
                                 : coarsen(points, codes, shift, out_stride, cells,
                                           sums, out_codes, out_coords, out_weights, 3);
}

void kq_inherit(const uint32_t *cells, const int64_t *cell_sums,
                const uint8_t *cell_labels, size_t m, uint8_t *labels, int64_t *sums)
{
    for (size_t i = 0; i < m; i++) {
        int64_t *sum = sums + KQ_SUMS * (size_t)cell_labels[i];
        memset(labels + cells[i], cell_labels[i], cells[i + 1] - cells[i]);
        for (size_t c = 0; c < KQ_SUMS; c++)
            sum[c] += cell_sums[KQ_SUMS * i + c];
    }
}

/* Append the blocks of codes[first..last-1], which agree above bit `bit`; returns how
many they are. */
static size_t append_blocks(const uint32_t *codes, size_t first, size_t last,
                            size_t capacity, int bit, uint32_t *start)
{
    if (last - first <= capacity) {
        start[0] = (uint32_t)first;
        return 1;
    }
    size_t low = first, high = last;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (codes[middle] >> bit & 1)
            high = middle;
        else
            low = middle + 1;
    }
    size_t count = 0;
    if (low > first)
        count += append_blocks(codes, first, low, capacity, bit - 1, start);
    if (low < last)
        count += append_blocks(codes, low, last, capacity, bit - 1, start + count);
    return count;
}

size_t kq_blocks(const uint32_t *codes, size_t n, int code_bits, size_t capacity,
                 uint32_t *start)
{
    size_t count = append_blocks(codes, 0, n, capacity, code_bits - 1, start);
    start[count] = (uint32_t)n;
    return count;
}

/* From the points. */
static void measure_blocks(const kq_points *points, const uint32_t *start, size_t count,
                           int16_t *low, int16_t *high, int64_t *sums)
{
    for (size_t b = 0; b < count; b++, low += KQ_CHANNELS, high += KQ_CHANNELS) {
        int64_t *sum = sums + KQ_SUMS * b;
        memset(low, 0, KQ_CHANNELS * sizeof *low);
        memset(high, 0, KQ_CHANNELS * sizeof *high);
        memset(sum, 0, KQ_SUMS * sizeof *sum);
        for (size_t i = start[b]; i < start[b + 1]; i++)
            sum[0] += points->weights[i];
        for (size_t c = 0; c < points->channels; c++) {
            const int16_t *channel = points->coords + c * points->stride;
            int16_t least = channel[start[b]], most = least;
            int64_t total = 0;
            for (size_t i = start[b]; i < start[b + 1]; i++) {
                least = channel[i] < least ? channel[i] : least;
                most = channel[i] > most ? channel[i] : most;
            }
            for (size_t i = start[b]; i < start[b + 1]; i++)
                total += points->weights[i] * channel[i];
            low[c] = least;
            high[c] = most;
            sum[c + 1] = total;
        }
    }
}

/* From the blocks of the next finer level. */
static void join_blocks(const kq_level *finer, const uint32_t *child, size_t count,
                        int16_t *low, int16_t *high, int64_t *sums)
{
    for (size_t b = 0; b < count; b++, low += KQ_CHANNELS, high += KQ_CHANNELS) {
        const size_t first = child[b], last = child[b + 1];
        memcpy(low, finer->low + KQ_CHANNELS * first, KQ_CHANNELS * sizeof *low);
        memcpy(high, finer->high + KQ_CHANNELS * first, KQ_CHANNELS * sizeof *high);
        memset(sums + KQ_SUMS * b, 0, KQ_SUMS * sizeof *sums);
        for (size_t f = first; f < last; f++) {
            for (size_t c = 0; c < KQ_CHANNELS; c++) {
                const int16_t l = finer->low[KQ_CHANNELS * f + c];
                const int16_t h = finer->high[KQ_CHANNELS * f + c];
                low[c] = l < low[c] ? l : low[c];
                high[c] = h > high[c] ? h : high[c];
            }
            for (size_t c = 0; c < KQ_SUMS; c++)
                sums[KQ_SUMS * b + c] += finer->sums[KQ_SUMS * f + c];
        }
    }
}

void kq_measure_level(const kq_tree *tree, size_t depth, uint32_t *child, int16_t *low,
                      int16_t *high, int64_t *sums)
{
    const kq_level *level = &tree->level[depth], *finer = level + 1;
    if (depth == KQ_DEPTH - 1) {
        measure_blocks(&tree->points, level->start, level->count, low, high, sums);
        return;
    }
    uint32_t f = 0;
    for (size_t b = 0; b <= level->count; b++) {
        while (finer->start[f] < level->start[b])
            f++;
        child[b] = f;
    }
    join_blocks(finer, child, level->count, low, high, sums);
}
