/* From pixels to distinct colours with counts. */
#include "bits.h"
#include "kquant.h"
#include "morton.h"

#include <string.h>

void kq_pixel_codes(const kq_image *image, uint32_t *codes)
{
    for (size_t y = 0; y < image->height; y++) {
        const uint8_t *pixel = image->data + (ptrdiff_t)y * image->row;
        for (size_t x = 0; x < image->width; x++, pixel += image->pixel)
            *codes++ = any_code(image, pixel);
    }
}

/* The image is looked at twice, and is the caller's: it may change in between. A bucket
that then gets more than was counted runs into the next one, but never beyond the last:
what comes out is of no picture that there was, and harmless. */
void kq_bucket_sort(const kq_image *image, uint32_t *bounds, uint16_t *low)
{
    const size_t pixels = image->height * image->width;
    uint32_t next[KQ_BUCKETS];
    memset(bounds, 0, (KQ_BUCKETS + 1) * sizeof *bounds);
    for (size_t y = 0; y < image->height; y++) {
        const uint8_t *pixel = image->data + (ptrdiff_t)y * image->row;
        for (size_t x = 0; x < image->width; x++, pixel += image->pixel)
            bounds[pixel_code(image, pixel) / KQ_BUCKETS + 1]++;
    }
    for (size_t bucket = 0; bucket < KQ_BUCKETS; bucket++)
        bounds[bucket + 1] += next[bucket] = bounds[bucket];
    for (size_t y = 0; y < image->height; y++) {
        const uint8_t *pixel = image->data + (ptrdiff_t)y * image->row;
        for (size_t x = 0; x < image->width; x++, pixel += image->pixel) {
            const uint32_t code = pixel_code(image, pixel);
            uint32_t *at = &next[code / KQ_BUCKETS];
            if (*at < pixels)
                low[(*at)++] = (uint16_t)(code % KQ_BUCKETS);
        }
    }
}

/* What every lower half of a code gives to a colour; the upper half gives the rest. */
typedef struct {
    uint8_t color[KQ_BUCKETS][KQ_RGB];
} lower_half;

static void fill_lower_half(lower_half *lower)
{
    for (uint32_t offset = 0; offset < KQ_BUCKETS; offset++)
        to_color(offset, lower->color[offset]);
}

static inline void put_color(const lower_half *lower, const uint8_t *upper,
                             size_t offset, uint8_t *color)
{
    for (size_t c = 0; c < KQ_RGB; c++)
        color[c] = upper[c] | lower->color[offset][c];
}

size_t kq_count_colors(const kq_buckets *parts, size_t count, size_t first, size_t last,
                       uint32_t *codes, uint8_t *colors, int64_t *counts)
{
    uint32_t seen[KQ_BUCKETS] = {0};
    uint64_t used[KQ_BUCKETS / 64];
    lower_half lower;
    size_t n = 0;
    fill_lower_half(&lower);
    for (size_t bucket = first; bucket < last; bucket++) {
        size_t pixels = 0;
        for (size_t p = 0; p < count; p++)
            pixels += parts[p].bounds[bucket + 1] - parts[p].bounds[bucket];
        if (!pixels)
            continue;
        uint8_t upper[KQ_RGB];
        to_color((uint32_t)(bucket * KQ_BUCKETS), upper);
        memset(used, 0, sizeof used);
        for (size_t p = 0; p < count; p++) {
            const uint16_t *low = parts[p].low;
            const uint32_t end = parts[p].bounds[bucket + 1];
            for (uint32_t i = parts[p].bounds[bucket]; i < end; i++) {
                seen[low[i]]++;
                used[low[i] / 64] |= (uint64_t)1 << low[i] % 64;
            }
        }
        for (size_t word = 0; word < KQ_BUCKETS / 64; word++) {
            for (uint64_t bits = used[word]; bits; bits &= bits - 1) {
                const size_t offset = word * 64 + (size_t)kq_zeros_below(bits);
                codes[n] = (uint32_t)(bucket * KQ_BUCKETS + offset);
                put_color(&lower, upper, offset, colors + KQ_RGB * n);
                counts[n++] = seen[offset];
                seen[offset] = 0;
            }
        }
    }
    return n;
}

size_t kq_tally(const kq_image *image, uint8_t *table, uint32_t *full, size_t room)
{
    /* Two rounds over each batch, so that the memory of many counts is on its way at
    once: first ask for it, then use it. */
    uint32_t codes[BATCH];
    size_t n_full = 0;
    for (size_t y = 0; y < image->height; y++) {
        const uint8_t *pixel = image->data + (ptrdiff_t)y * image->row;
        for (size_t x = 0, count; x < image->width; x += count) {
            count = image->width - x < BATCH ? image->width - x : BATCH;
            for (size_t j = 0; j < count; j++, pixel += image->pixel) {
                codes[j] = pixel_code(image, pixel);
                kq_prefetch(table + codes[j]);
            }
            for (size_t j = 0; j < count; j++) {
                if (++table[codes[j]] == 0) {
                    table[codes[j]] = 1;
                    if (n_full < room)
                        full[n_full] = codes[j];
                    n_full++;
                }
            }
        }
    }
    return n_full;
}

/* The counters of a bucket, of all tables in one: not 0 where there is a colour. */
static void join_tables(const uint8_t *tables, size_t count, size_t bucket,
                        uint8_t *joined)
{
    memcpy(joined, tables + bucket * KQ_BUCKETS, KQ_BUCKETS);
    for (size_t t = 1; t < count; t++)
        for (size_t offset = 0; offset < KQ_BUCKETS; offset++)
            joined[offset] |= tables[t * KQ_CODES + bucket * KQ_BUCKETS + offset];
}

void kq_tally_sizes(const uint8_t *tables, size_t count, size_t first, size_t last,
                    uint32_t *sizes)
{
    for (size_t bucket = first; bucket < last; bucket++) {
        uint8_t joined[KQ_BUCKETS];
        uint32_t size = 0;
        join_tables(tables, count, bucket, joined);
        for (size_t offset = 0; offset < KQ_BUCKETS; offset++)
            size += joined[offset] != 0;
        sizes[bucket] = size;
    }
}

/* Which of eight counters are not 0, as the highest bits of eight bytes: that of the
lowest byte is for the first counter. */
static inline uint64_t occupied(const uint8_t *counters)
{
    const uint64_t most = 0x7f7f7f7f7f7f7f7f;
    uint64_t eight = 0;
    for (int i = 0; i < 8; i++) /* compilers make one load of this */
        eight |= (uint64_t)counters[i] << 8 * i;
    return (((eight & most) + most) | eight) & ~most;
}

size_t kq_tally_colors(const uint8_t *tables, size_t count, const uint32_t *full,
                       size_t n_full, size_t first, size_t last, size_t room,
                       uint32_t *codes, uint8_t *colors, int64_t *counts)
{
    lower_half lower;
    size_t n = 0, f = 0;
    fill_lower_half(&lower);
    while (f < n_full && full[f] / KQ_BUCKETS < first)
        f++;
    for (size_t bucket = first; bucket < last; bucket++) {
        uint8_t joined[KQ_BUCKETS], upper[KQ_RGB];
        join_tables(tables, count, bucket, joined);
        to_color((uint32_t)(bucket * KQ_BUCKETS), upper);
        for (size_t eight = 0; eight < KQ_BUCKETS; eight += 8) {
            for (uint64_t bits = occupied(joined + eight); bits; bits &= bits - 1) {
                const size_t offset = eight + (size_t)kq_zeros_below(bits) / 8;
                const size_t code = bucket * KQ_BUCKETS + offset;
                int64_t pixels = 0;
                for (size_t t = 0; t < count; t++)
                    pixels += tables[t * KQ_CODES + code];
                for (; f < n_full && full[f] == code; f++)
                    pixels += KQ_FULL;
                if (n == room)
                    return room + 1;
                codes[n] = (uint32_t)code;
                put_color(&lower, upper, offset, colors + KQ_RGB * n);
                counts[n++] = pixels;
            }
        }
    }
    return n;
}

size_t kq_merge(const uint32_t *codes_a, const uint8_t *colors_a,
                const int64_t *counts_a, size_t n_a, const uint32_t *codes_b,
                const uint8_t *colors_b, const int64_t *counts_b, size_t n_b,
                size_t channels, uint32_t *codes, uint8_t *colors, int64_t *counts)
{
    size_t n = 0;
    for (size_t a = 0, b = 0; a < n_a || b < n_b; n++) {
        const int from_a = b == n_b || (a < n_a && codes_a[a] <= codes_b[b]);
        const int from_b = a == n_a || (b < n_b && codes_b[b] <= codes_a[a]);
        codes[n] = from_a ? codes_a[a] : codes_b[b];
        memcpy(colors + channels * n,
               from_a ? colors_a + channels * a : colors_b + channels * b, channels);
        counts[n] = (from_a ? counts_a[a] : 0) + (from_b ? counts_b[b] : 0);
        a += (size_t)from_a;
        b += (size_t)from_b;
    }
    return n;
}

void kq_codes(const uint8_t *colors, size_t n, size_t channels, uint32_t *codes)
{
    for (size_t i = 0; i < n; i++, colors += channels)
        codes[i] = channels == KQ_RGB
                       ? morton(colors[0], colors[1], colors[2])
                       : alpha_code(colors[0], colors[1], colors[2], colors[3]);
}

void kq_colors(const uint32_t *codes, size_t n, size_t channels, uint8_t *colors)
{
    for (size_t i = 0; i < n; i++, colors += channels)
        if (channels == KQ_RGB)
            to_color(codes[i], colors);
        else
            for (int c = 0; c < 4; c++)
                colors[c] = narrowed(codes[i] >> (3 - c));
}
