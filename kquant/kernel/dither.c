/* Dithering: other entries than the nearest one, so that the mean is right. */
#include "bits.h"
#include "kquant.h"

#include <float.h>
#include <string.h>

/* Entries of a list are looked at in groups of so many. */
#define GROUP 4

/* Up to this distance squared, half a step of an 8-bit value, a colour counts as being in
the palette: it is not dithered, and takes no errors from its neighbours. */
#define NEAR_EXACT (KQ_ONE * KQ_ONE / 4)

/* ---- the nearest entry of any place */

/* Cells are cubes of 32 (or, with four channels, 16) to a side, and for every 64 (256)
of them that make a cube there is one larger cell. */
KQ_INLINE int cell_bits(size_t channels)
{
    return channels == 4 ? 10 : 9;
}

/* Entries from `from` that are nearest somewhere in the box: as in assign.c. */
static size_t filter(const kq_near *near, const uint8_t *from, size_t n,
                     const int32_t *low, const int32_t *high, uint8_t *to)
{
    const size_t channels = near->channels;
    const int16_t *reference = NULL;
    int32_t least = INT32_MAX;
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        const int16_t *entry = near->palette + KQ_CHANNELS * from[i];
        int32_t distance = 0;
        for (size_t c = 0; c < channels; c++) {
            const int32_t d = entry[c] - (low[c] + high[c]) / 2;
            distance += d * d;
        }
        if (distance < least) {
            least = distance;
            reference = entry;
        }
    }
    for (size_t i = 0; i < n; i++) {
        const int16_t *entry = near->palette + KQ_CHANNELS * from[i];
        int32_t excess = 0;
        for (size_t c = 0; c < channels; c++) {
            const int32_t a = entry[c], r = reference[c];
            excess += (a - r) * (a + r - 2 * (a > r ? high[c] : low[c]));
        }
        to[kept] = from[i];
        kept += excess <= 0;
    }
    return kept;
}

/* Make the list of a cell whose side is 1 << bits, from its parent's list: the number
of groups of GROUP entries, and the entries, the last one repeated to fill a group. */
static uint32_t make_list(kq_near *near, const uint8_t *from, size_t n, int bits,
                          const int32_t *at)
{
    int32_t low[KQ_CHANNELS], high[KQ_CHANNELS];
    uint8_t *list = near->lists + near->used;
    const uint32_t place = (uint32_t)near->used;
    for (size_t c = 0; c < near->channels; c++) {
        low[c] = at[c] >> bits << bits;
        high[c] = low[c] + (1 << bits) - 1;
        high[c] = high[c] < 255 * KQ_ONE ? high[c] : 255 * KQ_ONE;
    }
    n = filter(near, from, n, low, high, list + 1);
    for (; n % GROUP; n++)
        list[1 + n] = list[n];
    list[0] = (uint8_t)(n / GROUP);
    near->used += 1 + n;
    return place;
}

KQ_INLINE size_t cell_of(const int32_t *at, size_t channels, int bits)
{
    const int per_axis = 14 - bits;
    size_t cell = 0;
    for (size_t c = 0; c < channels; c++)
        cell = cell << per_axis | (size_t)(at[c] >> bits);
    return cell;
}

static uint32_t new_list(kq_near *near, const int32_t *at, size_t cell)
{
    const int bits = cell_bits(near->channels), wide = bits + 2;
    const size_t wider = 65536 + cell_of(at, near->channels, wide);
    if (!near->cells[wider]) {
        uint8_t all[KQ_MAX_COLORS];
        for (size_t i = 0; i < near->k; i++)
            all[i] = (uint8_t)i;
        if (!near->used)
            near->used = 1; /* so that 0 is no place */
        near->cells[wider] = make_list(near, all, near->k, wide, at);
    }
    const uint8_t *list = near->lists + near->cells[wider];
    size_t n = (size_t)list[0] * GROUP;
    while (n > 1 && list[n] == list[n - 1])
        n--;
    return near->cells[cell] = make_list(near, list + 1, n, bits, at);
}

/* Distance and index in one number: its minimum is the nearest, ties the lowest. */
KQ_INLINE uint64_t rank(const kq_near *near, const int32_t *at, uint8_t index,
                        size_t channels)
{
    const int16_t *entry = near->palette + KQ_CHANNELS * index;
    uint32_t distance = 0;
    for (size_t c = 0; c < channels; c++)
        distance += (uint32_t)((at[c] - entry[c]) * (at[c] - entry[c]));
    return (uint64_t)distance << 8 | index;
}

KQ_INLINE uint8_t nearest(kq_near *near, const int32_t *at, size_t channels)
{
    const size_t cell = cell_of(at, channels, cell_bits(channels));
    uint32_t place = near->cells[cell];
    if (!place)
        place = new_list(near, at, cell);
    const uint8_t *list = near->lists + place;
    uint64_t best = UINT64_MAX;
    /* In groups, so that how long a list is hardly ever surprises the processor. */
    for (int groups = *list++; groups > 0; groups--, list += GROUP)
        for (int j = 0; j < GROUP; j++) {
            const uint64_t next = rank(near, at, list[j], channels);
            best = next < best ? next : best;
        }
    return (uint8_t)best;
}

/* ---- error diffusion */

KQ_INLINE int32_t clamped(int32_t value)
{
    value = value > 0 ? value : 0;
    return value < 255 * KQ_ONE ? value : 255 * KQ_ONE;
}

enum { EXACT = 256 };

static void find(const kq_picture *picture, size_t y, uint32_t *found)
{
    if (picture->image.channels == 4)
        kq_hash_find(&picture->image, y, &picture->hash, found);
    else
        kq_rank_find(&picture->image, y, &picture->ranks, found);
}

/* Look a row up, all pixels at once, as the errors must go from one to the next. */
KQ_INLINE void find_row(const kq_picture *picture, const kq_near *near, size_t y,
                        uint32_t *found, int16_t *row, uint16_t *labels,
                        size_t channels)
{
    const size_t width = picture->image.width, stride = picture->points.stride;
    const int16_t *coords = picture->points.coords;
    find(picture, y, found);
    for (size_t x = 0; x < width; x++) {
        const uint8_t label = picture->labels[found[x]];
        const int16_t *entry = near->palette + KQ_CHANNELS * label;
        int32_t distance = 0;
        for (size_t c = 0; c < channels; c++) {
            const int16_t at = coords[c * stride + found[x]];
            row[KQ_CHANNELS * x + c] = at;
            distance += (at - entry[c]) * (at - entry[c]);
        }
        labels[x] = (uint16_t)(label | (distance <= NEAR_EXACT ? EXACT : 0));
    }
}

/* `now` has the sixteenths of errors that come from above, `next` gets those for the
row below; both have a place before the first pixel and one after the last. */
KQ_INLINE void diffuse_row(kq_near *near, size_t width, int backwards, int strength,
                           const int32_t *now, int32_t *next, const int16_t *row,
                           const uint16_t *labels, uint8_t *indices, size_t channels)
{
    const ptrdiff_t step = backwards ? -1 : 1;
    int32_t last[KQ_CHANNELS] = {0}, before[KQ_CHANNELS] = {0};
    ptrdiff_t x = backwards ? (ptrdiff_t)width - 1 : 0;
    for (size_t done = 0; done < width; done++, x += step) {
        int32_t at[KQ_CHANNELS], error[KQ_CHANNELS];
        if (labels[x] & EXACT) {
            indices[x] = (uint8_t)labels[x];
            for (size_t c = 0; c < channels; c++)
                error[c] = 0;
        } else {
            for (size_t c = 0; c < channels; c++) {
                const int32_t sum = now[KQ_CHANNELS * (x + 1) + (ptrdiff_t)c];
                at[c] = clamped(row[KQ_CHANNELS * x + (ptrdiff_t)c]
                                + (((sum + 7 * last[c]) * strength + 2048) >> 12));
            }
            indices[x] = nearest(near, at, channels);
            for (size_t c = 0; c < channels; c++)
                error[c] = at[c] - near->palette[KQ_CHANNELS * indices[x] + c];
        }
        /* The pixel behind and below has now got all that it gets. */
        for (size_t c = 0; c < channels; c++) {
            next[KQ_CHANNELS * (x + 1 - step) + (ptrdiff_t)c] =
                3 * error[c] + 5 * last[c] + before[c];
            before[c] = last[c];
            last[c] = error[c];
        }
    }
    for (size_t c = 0; c < channels; c++)
        next[KQ_CHANNELS * (x + 1 - step) + (ptrdiff_t)c] = 5 * last[c] + before[c];
}

KQ_INLINE void diffuse(const kq_picture *picture, kq_near *near, size_t first,
                       size_t last, int strength, int32_t *errors, uint32_t *found,
                       int16_t *row, uint16_t *labels, uint8_t *indices,
                       size_t channels)
{
    const size_t width = picture->image.width, size = KQ_CHANNELS * (width + 2);
    for (size_t y = first; y < last; y++) {
        find_row(picture, near, y, found, row, labels, channels);
        diffuse_row(near, width, y % 2, strength, errors + y % 2 * size,
                    errors + (y + 1) % 2 * size, row, labels, indices + y * width,
                    channels);
    }
}

void kq_diffuse(const kq_picture *picture, kq_near *near, size_t first, size_t last,
                int strength, int32_t *errors, uint32_t *found, int16_t *row,
                uint16_t *labels, uint8_t *indices)
{
    if (near->channels == 4)
        diffuse(picture, near, first, last, strength, errors, found, row, labels,
                indices, 4);
    else
        diffuse(picture, near, first, last, strength, errors, found, row, labels,
                indices, 3);
}

/* ---- mixing by position */

/* A mix of entries that are far apart is coarse: so much of its variance counts like
an error of its mean. */
#define COARSE 0.2f

void kq_find_around(const int16_t *palette, size_t k, size_t channels, uint8_t *around)
{
    for (size_t i = 0; i < k; i++) {
        uint64_t best[KQ_AROUND + 1];
        size_t count = 0;
        const kq_near near = {.palette = palette, .k = k, .channels = channels};
        int32_t at[KQ_CHANNELS];
        for (size_t c = 0; c < KQ_CHANNELS; c++)
            at[c] = palette[KQ_CHANNELS * i + c];
        for (size_t j = 0; j < k; j++) {
            const uint64_t next = rank(&near, at, (uint8_t)j, channels);
            if (next >> 8 == 0 || (count == KQ_AROUND && next > best[count - 1]))
                continue;
            size_t place = count < KQ_AROUND ? count++ : count - 1;
            for (; place > 0 && best[place - 1] > next; place--)
                best[place] = best[place - 1];
            best[place] = next;
        }
        for (size_t j = 0; j < KQ_AROUND; j++)
            around[KQ_AROUND * i + j] =
                count ? (uint8_t)best[j < count ? j : count - 1] : (uint8_t)i;
    }
}

/* The entries around one, from there, so that many can be tried at once. */
typedef struct {
    float step[KQ_CHANNELS][KQ_AROUND], length[KQ_AROUND], inverse[KQ_AROUND];
} star;

static void make_star(const int16_t *palette, size_t label, const uint8_t *around,
                      star *s)
{
    for (size_t j = 0; j < KQ_AROUND; j++) {
        const size_t other = around[KQ_AROUND * label + j];
        s->length[j] = 0;
        for (size_t c = 0; c < KQ_CHANNELS; c++) {
            const int d =
                palette[KQ_CHANNELS * other + c] - palette[KQ_CHANNELS * label + c];
            s->step[c][j] = (float)d;
            s->length[j] += (float)d * (float)d;
        }
        s->inverse[j] = s->length[j] > 0 ? 1 / s->length[j] : 0;
    }
}

/* The place around the entry of what to mix it with, and the share of that. */
KQ_INLINE size_t best_mix(const star *s, const float *away, float *share,
                          size_t channels)
{
    float gain[KQ_AROUND], part[KQ_AROUND];
    size_t best = 0;
    for (size_t j = 0; j < KQ_AROUND; j++) {
        float dot = 0;
        for (size_t c = 0; c < channels; c++)
            dot += away[c] * s->step[c][j];
        dot = dot > 0 ? dot : 0;
        part[j] = dot * s->inverse[j];
        /* How much the squared error of the mean falls, less what is coarse. */
        gain[j] = part[j] * (dot - COARSE * (1 - part[j]) * s->length[j]);
        gain[j] = dot > 0 ? gain[j] : -FLT_MAX;
    }
    for (size_t j = 1; j < KQ_AROUND; j++)
        best = gain[j] > gain[best] ? j : best;
    *share = part[best];
    return best;
}

KQ_INLINE void mix(const kq_picture *picture, const int16_t *palette, size_t k,
                   const uint8_t *around, size_t first, size_t last, int strength,
                   uint32_t *mixes, size_t channels)
{
    const size_t stride = picture->points.stride;
    star stars[KQ_MAX_COLORS];
    for (size_t i = 0; i < k; i++)
        make_star(palette, i, around, &stars[i]);
    for (size_t i = first; i < last; i++) {
        const uint32_t label = picture->labels[i];
        float away[KQ_CHANNELS], distance = 0, share = 0;
        for (size_t c = 0; c < channels; c++) {
            away[c] = (float)(picture->points.coords[c * stride + i]
                              - palette[KQ_CHANNELS * label + c]);
            distance += away[c] * away[c];
        }
        const size_t place = best_mix(&stars[label], away, &share, channels);
        const uint32_t other = around[KQ_AROUND * label + place];
        share = distance > NEAR_EXACT ? share * (float)strength : 0;
        const uint32_t of_other = (uint32_t)(share + 0.5f);
        /* The lower index first, so that a pair has one pattern from end to end. */
        mixes[i] = label <= other ? label | other << 8 | of_other << 16
                                  : other | label << 8 | (256 - of_other) << 16;
    }
}

void kq_mix(const kq_picture *picture, const int16_t *palette, size_t k,
            const uint8_t *around, size_t first, size_t last, int strength,
            uint32_t *mixes)
{
    if (picture->points.channels == 4)
        mix(picture, palette, k, around, first, last, strength, mixes, 4);
    else
        mix(picture, palette, k, around, first, last, strength, mixes, 3);
}

void kq_ordered(const kq_picture *picture, const uint32_t *mixes, size_t first,
                size_t last, const uint8_t *thresholds, size_t size, uint32_t *found,
                uint8_t *indices)
{
    const size_t width = picture->image.width;
    for (size_t y = first; y < last; y++) {
        const uint8_t *row = thresholds + y % size * size;
        uint8_t *out = indices + y * width;
        find(picture, y, found);
        for (size_t x = 0; x < width; x++) {
            const uint32_t mixed = mixes[found[x]];
            out[x] = (uint8_t)(row[x & (size - 1)] < mixed >> 16 ? mixed >> 8 : mixed);
        }
    }
}
