/* Dithering: other entries than the nearest one, so that the mean is right. */
#include "bits.h"
#include "four.h"
#include "kquant.h"

#include <string.h>

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
    const int16_t *reference = NULL;
    int32_t least = INT32_MAX;
    size_t kept = 0;
    for (size_t i = 0; i < n; i++) {
        const int16_t *entry = near->palette + KQ_CHANNELS * from[i];
        int32_t distance = 0;
        for (size_t c = 0; c < KQ_CHANNELS; c++) {
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
        for (size_t c = 0; c < KQ_CHANNELS; c++) {
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
                          const int16_t *at)
{
    int32_t low[KQ_CHANNELS], high[KQ_CHANNELS];
    uint8_t *list = near->lists + near->used;
    const uint32_t place = (uint32_t)near->used;
    for (size_t c = 0; c < KQ_CHANNELS; c++) {
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

KQ_INLINE size_t cell_of(const int16_t *at, size_t channels, int bits)
{
    const int per_axis = 14 - bits;
    size_t cell = 0;
    for (size_t c = 0; c < channels; c++)
        cell = cell << per_axis | (size_t)(at[c] >> bits);
    return cell;
}

static uint32_t new_list(kq_near *near, const int16_t *at, size_t cell)
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

/* The list of the cell that a place is in. */
KQ_INLINE const uint8_t *list_of(kq_near *near, const int16_t *at, size_t channels)
{
    const size_t cell = cell_of(at, channels, cell_bits(channels));
    uint32_t place = near->cells[cell];
    if (!place)
        place = new_list(near, at, cell);
    return near->lists + place;
}

/* ---- error diffusion */

enum { EXACT = 256 }; /* in a label: the colour has an entry of its own */

static void find(const kq_picture *picture, size_t y, uint32_t *found)
{
    if (picture->image.channels == 4)
        kq_hash_find(&picture->image, y, &picture->hash, found);
    else
        kq_rank_find(&picture->image, y, &picture->ranks, found);
}

KQ_INLINE void prepare(const kq_picture *picture, const int16_t *palette, size_t first,
                       size_t last, int16_t *places, uint16_t *labels, size_t channels)
{
    const size_t stride = picture->points.stride;
    for (size_t i = first; i < last; i++) {
        const uint8_t label = picture->labels[i];
        int16_t *place = places + KQ_CHANNELS * i;
        int32_t distance = 0;
        place[KQ_CHANNELS - 1] = 0; /* if there is no alpha */
        for (size_t c = 0; c < channels; c++) {
            const int32_t at = picture->points.coords[c * stride + i];
            const int32_t away = at - palette[KQ_CHANNELS * label + c];
            place[c] = (int16_t)at;
            distance += away * away;
        }
        labels[i] = (uint16_t)(label | (distance <= NEAR_EXACT ? EXACT : 0));
    }
}

void kq_prepare(const kq_picture *picture, const int16_t *palette, size_t first,
                size_t last, int16_t *places, uint16_t *labels)
{
    if (picture->points.channels == 4)
        prepare(picture, palette, first, last, places, labels, 4);
    else
        prepare(picture, palette, first, last, places, labels, 3);
}

/* A band of rows on its way, and what its row needs. */
typedef struct {
    size_t y, last;
    const int16_t *row;
    const uint16_t *labels;
    const int32_t *now;
    int32_t *next;
    uint8_t *indices;
    four error, before;
} lane;

/* One pixel. `now` has the sixteenths of errors that come from above, `next` gets those
for the row below; both have a place before the first pixel and one after the last. */
KQ_INLINE void diffuse_pixel(kq_near *near, lane *l, ptrdiff_t x, ptrdiff_t step,
                             int strength, size_t channels)
{
    const uint16_t label = l->labels[x];
    four error = zeros();
    uint8_t index = (uint8_t)label;
    if (!(label & EXACT)) {
        int16_t at[KQ_CHANNELS];
        const four sum = add_seven(load_four(l->now + KQ_CHANNELS * (x + 1)), l->error);
        const short4 place = moved(l->row + KQ_CHANNELS * x, sum);
        store_short4(place, at);
        index = nearest(near->palette, list_of(near, at, channels), place);
        error = part_of(place, near->palette + KQ_CHANNELS * index, strength);
    }
    l->indices[x] = index;
    /* The pixel behind and below has now got all that it gets. */
    store_four(three_five_one(error, l->error, l->before),
               l->next + KQ_CHANNELS * (x + 1 - step));
    l->before = l->error;
    l->error = error;
}

/* A row of each of `count` bands, all in the same direction. Their pixels take turns:
each must wait for the error of the one before it, but not for those of other bands. */
KQ_INLINE void diffuse_rows(kq_near *near, lane *const *lanes, size_t count,
                            size_t width, int strength, size_t channels)
{
    const ptrdiff_t step = lanes[0]->y % 2 ? -1 : 1;
    ptrdiff_t x = step < 0 ? (ptrdiff_t)width - 1 : 0;
    for (size_t i = 0; i < count; i++) {
        lanes[i]->error = lanes[i]->before = zeros();
    }
    for (size_t done = 0; done < width; done++, x += step)
        for (size_t i = 0; i < count; i++)
            diffuse_pixel(near, lanes[i], x, step, strength, channels);
    for (size_t i = 0; i < count; i++)
        store_four(three_five_one(zeros(), lanes[i]->error, lanes[i]->before),
                   lanes[i]->next + KQ_CHANNELS * (x + 1 - step));
}

KQ_INLINE void diffuse(const kq_picture *picture, const kq_prepared *from,
                       kq_near *near, size_t first, size_t last, int strength,
                       int32_t *errors, uint32_t *found, int16_t *rows,
                       uint16_t *labels, uint8_t *unused, uint8_t *indices,
                       size_t channels)
{
    const size_t width = picture->image.width, size = KQ_CHANNELS * (width + 2);
    lane lanes[KQ_BANDS];
    size_t bands = 0, count;
    for (size_t y = first; y < last; y += KQ_BAND_ROWS, bands++) {
        lanes[bands].y = y ? y - KQ_BAND_LEAD : 0;
        lanes[bands].last = y + KQ_BAND_ROWS < last ? y + KQ_BAND_ROWS : last;
    }
    do {
        lane *active[KQ_BANDS];
        count = 0;
        for (size_t i = 0; i < bands; i++) {
            lane *l = &lanes[i];
            if (l->y == l->last)
                continue;
            find(picture, l->y, found + i * width);
            l->row = rows + i * KQ_CHANNELS * width;
            l->labels = labels + i * width;
            for (size_t x = 0; x < width; x++) {
                memcpy(rows + KQ_CHANNELS * (i * width + x),
                       from->places + KQ_CHANNELS * (size_t)found[i * width + x],
                       KQ_CHANNELS * sizeof *rows);
                labels[i * width + x] = from->labels[found[i * width + x]];
            }
            l->now = errors + (2 * i + l->y % 2) * size;
            l->next = errors + (2 * i + (l->y + 1) % 2) * size;
            l->indices =
                l->y < first + i * KQ_BAND_ROWS ? unused : indices + l->y * width;
            active[count++] = l;
        }
        if (count == KQ_BANDS)
            diffuse_rows(near, active, KQ_BANDS, width, strength, channels);
        else if (count)
            diffuse_rows(near, active, count, width, strength, channels);
        for (size_t i = 0; i < count; i++)
            active[i]->y++;
    } while (count);
}

void kq_diffuse(const kq_picture *picture, const kq_prepared *from, kq_near *near,
                size_t first, size_t last, int strength, int32_t *errors,
                uint32_t *found, int16_t *rows, uint16_t *labels, uint8_t *unused,
                uint8_t *indices)
{
    if (near->channels == 4)
        diffuse(picture, from, near, first, last, strength, errors, found, rows, labels,
                unused, indices, 4);
    else
        diffuse(picture, from, near, first, last, strength, errors, found, rows, labels,
                unused, indices, 3);
}

/* ---- mixing by position */

/* A mix of entries that are far apart is coarse: so much of its variance counts like
an error of its mean. */
#define COARSE 0.2f
#define FAR 4.0f            // so many times the squared distance of the nearest entry
#define NO_GAIN -2000000000 // less than any

void kq_find_around(const int16_t *palette, size_t k, uint8_t *around)
{
    for (size_t i = 0; i < k; i++) {
        uint64_t best[KQ_AROUND + 1];
        size_t count = 0;
        for (size_t j = 0; j < k; j++) {
            uint64_t next = 0;
            for (size_t c = 0; c < KQ_CHANNELS; c++) {
                const int32_t d =
                    palette[KQ_CHANNELS * i + c] - palette[KQ_CHANNELS * j + c];
                next += (uint64_t)(d * d);
            }
            next = next << 8 | j; /* ties to the lowest index */
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

/* For loops that are to become vector instructions, not code written out. */
#if defined(__GNUC__) && !defined(__clang__)
#define EACH_AROUND(j) _Pragma("GCC unroll 1") for (int j = 0; j < KQ_AROUND; j++)
#else
#define EACH_AROUND(j) for (int j = 0; j < KQ_AROUND; j++)
#endif

/* The entries around one, from there, so that many can be tried at once. */
typedef struct {
    float step[KQ_CHANNELS][KQ_AROUND], length[KQ_AROUND], inverse[KQ_AROUND];
    int32_t least[KQ_AROUND]; /* what a mix with it must gain */
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
        s->least[j] = s->length[j] > FAR * s->length[0] ? 0 : NO_GAIN;
    }
}

/* The place around the entry of what to mix it with, and the share of that. */
KQ_INLINE size_t best_mix(const star *s, const float *away, float *share,
                          size_t channels)
{
    float dot[KQ_AROUND], part[KQ_AROUND], gain[KQ_AROUND];
    int32_t rank[KQ_AROUND], most = INT32_MIN;
    EACH_AROUND (j)
        dot[j] = away[0] * s->step[0][j];
    for (size_t c = 1; c < channels; c++)
        EACH_AROUND (j)
            dot[j] += away[c] * s->step[c][j];
    EACH_AROUND (j) {
        part[j] = dot[j] * s->inverse[j];
        /* How much the squared error of the mean falls, less what is coarse. */
        gain[j] = part[j] * (dot[j] - COARSE * (1 - part[j]) * s->length[j]);
    }
    EACH_AROUND (j) {
        /* In whole numbers, which leave room for the place; the first one wins. Far
        entries only if they gain: a small share of one makes specks. */
        const int32_t whole = (int32_t)gain[j];
        const int32_t mask = -(dot[j] > 0) & -(whole > s->least[j]);
        rank[j] = (whole & mask) | (NO_GAIN & ~mask);
        rank[j] = (rank[j] & ~(KQ_AROUND - 1)) | (KQ_AROUND - 1 - j);
    }
    EACH_AROUND (j)
        most = rank[j] > most ? rank[j] : most;
    const size_t best = KQ_AROUND - 1 - (size_t)(most & (KQ_AROUND - 1));
    *share = most > NO_GAIN + KQ_AROUND ? part[best] : 0;
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
