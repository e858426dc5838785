/* Dithering: other entries than the nearest one, so that the mean is right. */
#include "level.h"

#include "bits.h"
#include "candidates.h"
#include "find.h"
#include "four.h"
#include "kquant.h"

#include <string.h>

/* Up to this distance squared, half a step of an 8-bit value, a colour counts as being in
the palette: it is not dithered, and takes no errors from its neighbours. */
#define NEAR_EXACT (KQ_ONE * KQ_ONE / 4)

/* ---- the nearest entry of any place */

/* Cells have 5 (or, with four channels, 4) bits of each axis. Above each are larger ones
with one bit less, up to the cell that is the whole space. */
KQ_INLINE int finest(size_t channels)
{
    return channels == 4 ? 4 : 5;
}

/* What `cells` holds: where in `lists` the first group is, and how many entries. */
#define LENGTHS 512

static uint32_t put_list(kq_near *near, const candidates *from)
{
    const uint32_t list = (uint32_t)near->used * LENGTHS + (uint32_t)from->count;
    for (int i = 0; i < from->count; i += KQ_GROUP, near->used++)
        for (int j = 0; j < KQ_GROUP; j++) {
            const int k = i + j < from->count ? i + j : from->count - 1;
            const int16_t *entry = near->palette + KQ_CHANNELS * from->index[k];
            int16_t *group = near->lists + KQ_GROUP_SIZE * near->used;
            memcpy(group + 2 * j, entry, 4);
            memcpy(group + 2 * (KQ_GROUP + j), entry + 2, 4);
            group[4 * KQ_GROUP + j] = (int16_t)from->index[k];
        }
    return list;
}

static void take_list(const kq_near *near, uint32_t list, candidates *to)
{
    const int16_t *group = near->lists + KQ_GROUP_SIZE * (list / LENGTHS);
    to->count = (int)(list % LENGTHS);
    for (int i = 0; i < to->count; i++) {
        to->index[i] =
            group[KQ_GROUP_SIZE * (i / KQ_GROUP) + 4 * KQ_GROUP + i % KQ_GROUP];
        const int16_t *entry = near->palette + KQ_CHANNELS * to->index[i];
        to->x[i] = entry[0];
        to->y[i] = entry[1];
        to->z[i] = entry[2];
        to->w[i] = entry[3];
    }
    pad(to, 1);
}

/* Of a list those entries that are nearest somewhere in the cell with so many bits of
each axis that a place is in. */
static uint32_t shorten(kq_near *near, uint32_t list, const int16_t *at, int bits)
{
    candidates from, to;
    int16_t low[KQ_CHANNELS] = {0}, high[KQ_CHANNELS] = {0};
    for (size_t c = 0; c < near->channels; c++) {
        low[c] = (int16_t)(at[c] >> (14 - bits) << (14 - bits));
        high[c] = (int16_t)(low[c] + (1 << (14 - bits)) - 1);
    }
    take_list(near, list, &from);
    if (near->channels == 4)
        filter(&from, low, high, &to, 1);
    else
        filter(&from, low, high, &to, 0);
    return put_list(near, &to);
}

/* The list of that cell, by way of the next larger one. Where that has a short list, its
cells share it. */
static uint32_t list_of(kq_near *near, const int16_t *at, int bits)
{
    size_t cell = 1; /* so that every cell has a number of its own */
    for (size_t c = 0; c < near->channels; c++)
        cell = cell << bits | (size_t)(at[c] >> (14 - bits));
    if (!near->cells[cell]) {
        uint32_t list;
        if (bits == 0) {
            candidates all;
            all_candidates(near->palette, near->k, &all);
            list = put_list(near, &all);
        } else {
            list = list_of(near, at, bits - 1);
            if (list % LENGTHS > KQ_GROUP)
                list = shorten(near, list, at, bits);
        }
        near->cells[cell] = list;
    }
    return near->cells[cell];
}

static uint32_t new_list(kq_near *near, const int16_t *at)
{
    if (near->used + KQ_NEAR_MOST > KQ_NEAR_GROUPS) {
        memset(near->cells, 0, KQ_NEAR_CELLS * sizeof *near->cells);
        near->used = 0;
    }
    return list_of(near, at, finest(near->channels));
}

/* In order, so ties go to the lowest index. */
KQ_INLINE int nearest_entry(kq_near *near, short4 place, size_t channels)
{
    const int bits = finest(channels);
    const size_t first = (size_t)1 << bits * (int)channels;
    uint32_t list = near->cells[first + cell_of(place, bits, channels)];
    if (!list) {
        int16_t at[KQ_CHANNELS];
        store_short4(place, at);
        list = new_list(near, at);
    }
    const int16_t *group = near->lists + KQ_GROUP_SIZE * (list / LENGTHS);
    int32_t least;
    int index = group[4 * KQ_GROUP + nearest_in_group(group, place, &least)];
    for (int left = (int)(list % LENGTHS) - KQ_GROUP; left > 0; left -= KQ_GROUP) {
        int32_t next;
        group += KQ_GROUP_SIZE;
        const int other = group[4 * KQ_GROUP + nearest_in_group(group, place, &next)];
        index = next < least ? other : index;
        least = next < least ? next : least;
    }
    return index;
}

/* ---- error diffusion */

KQ_INLINE void prepare(const kq_picture *picture, const int16_t *palette, size_t first,
                       size_t last, int16_t *places, size_t channels)
{
    const kq_points *points = &picture->points;
    for (size_t i = first; i < last; i++) {
        const int label = picture->labels[i];
        int16_t place[KQ_CHANNELS] = {0}; /* the last one, if there is no alpha */
        int32_t distance = 0;
        for (size_t c = 0; c < channels; c++) {
            place[c] = points->coords[c * points->stride + i];
            const int32_t away = place[c] - palette[KQ_CHANNELS * label + (int)c];
            distance += away * away;
        }
        place[0] = distance <= NEAR_EXACT ? (int16_t)~label : place[0];
        memcpy(places + KQ_CHANNELS * i, place, sizeof place);
    }
}

void kq_prepare(const kq_picture *picture, const int16_t *palette, size_t first,
                size_t last, int16_t *places)
{
    if (picture->points.channels == 4)
        prepare(picture, palette, first, last, places, 4);
    else
        prepare(picture, palette, first, last, places, 3);
}

/* A band of rows on its way, and what its row needs. */
typedef struct {
    size_t y, last;
    const int16_t *row;
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
    const int16_t *point = l->row + KQ_CHANNELS * x;
    int index = ~point[0];
    four error = zeros();
    if (index < 0) {
        const four sum = add_seven(load_four(l->now + KQ_CHANNELS * (x + 1)), l->error);
        const short4 place = moved(point, sum);
        index = nearest_entry(near, place, channels);
        error = part_of(place, near->palette + KQ_CHANNELS * index, strength);
    }
    l->indices[x] = (uint8_t)index;
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

KQ_INLINE void diffuse(const kq_picture *picture, const int16_t *points, kq_near *near,
                       size_t first, size_t last, int strength,
                       const kq_scratch *scratch, uint8_t *indices, size_t channels)
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
            int16_t *row = scratch->rows + i * KQ_CHANNELS * width;
            find(&picture->image, l->y, &picture->places, scratch->found);
            for (size_t x = 0; x < width; x++)
                memcpy(row + KQ_CHANNELS * x,
                       points + KQ_CHANNELS * (size_t)scratch->found[x],
                       KQ_CHANNELS * sizeof *row);
            l->row = row;
            l->now = scratch->errors + (2 * i + l->y % 2) * size;
            l->next = scratch->errors + (2 * i + (l->y + 1) % 2) * size;
            l->indices = l->y < first + i * KQ_BAND_ROWS ? scratch->unused
                                                         : indices + l->y * width;
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

void kq_diffuse(const kq_picture *picture, const int16_t *points, kq_near *near,
                size_t first, size_t last, int strength, const kq_scratch *scratch,
                uint8_t *indices)
{
    if (near->channels == 4)
        diffuse(picture, points, near, first, last, strength, scratch, indices, 4);
    else
        diffuse(picture, points, near, first, last, strength, scratch, indices, 3);
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
        uint32_t squares[KQ_MAX_COLORS];
        size_t count = 0;
        for (size_t j = 0; j < k; j++) {
            squares[j] = 0;
            for (size_t c = 0; c < KQ_CHANNELS; c++) {
                const int32_t d =
                    palette[KQ_CHANNELS * i + c] - palette[KQ_CHANNELS * j + c];
                squares[j] += (uint32_t)(d * d);
            }
        }
        for (size_t j = 0; j < k; j++) {
            const uint64_t next =
                (uint64_t)squares[j] << 8 | j; /* ties to the lowest */
            if (!squares[j] || (count == KQ_AROUND && next > best[count - 1]))
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

/* Write the share of each entry around in a mix for a colour, so far from the star's
middle. Returns a number that has the place of the best one, from the end, in its lower
bits, and is above NONE if that is worth it. */
#define NONE (NO_GAIN + KQ_AROUND)

KQ_INLINE int32_t best_mix(const star *s, const float (*away)[BATCH], size_t i,
                           float *part, size_t channels)
{
    float dot[KQ_AROUND], gain[KQ_AROUND];
    int32_t rank[KQ_AROUND], most = INT32_MIN;
    EACH_AROUND (j)
        dot[j] = away[0][i] * s->step[0][j];
    for (size_t c = 1; c < channels; c++)
        EACH_AROUND (j)
            dot[j] += away[c][i] * s->step[c][j];
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
    return most;
}

/* In batches, of which all but the choice among the entries around is done for many
colours at once, and without branches: nothing foresees what a colour needs. */
KQ_INLINE void mix(const kq_picture *picture, const int16_t *palette, size_t k,
                   const uint8_t *around, size_t first, size_t last, int strength,
                   uint32_t *mixes, size_t channels)
{
    const size_t stride = picture->points.stride;
    star stars[KQ_MAX_COLORS];
    int32_t entries[KQ_CHANNELS][KQ_MAX_COLORS];
    for (size_t i = 0; i < k; i++) {
        make_star(palette, i, around, &stars[i]);
        for (size_t c = 0; c < channels; c++)
            entries[c][i] = palette[KQ_CHANNELS * i + c];
    }
    for (size_t i = first; i < last; i += BATCH) {
        const size_t count = last - i < BATCH ? last - i : BATCH;
        const uint8_t *labels = picture->labels + i;
        float away[KQ_CHANNELS][BATCH], distance[BATCH] = {0}, shares[BATCH];
        int32_t best[BATCH];
        uint32_t others[BATCH];
        for (size_t c = 0; c < channels; c++) {
            const int16_t *coords = picture->points.coords + c * stride + i;
            for (size_t j = 0; j < count; j++) {
                away[c][j] = (float)(coords[j] - entries[c][labels[j]]);
                distance[j] += away[c][j] * away[c][j];
            }
        }
        for (size_t j = 0; j < count; j++) {
            float parts[KQ_AROUND];
            best[j] = best_mix(&stars[labels[j]], away, j, parts, channels);
            const size_t place = KQ_AROUND - 1 - (best[j] & (KQ_AROUND - 1));
            shares[j] = parts[place];
            others[j] = around[KQ_AROUND * labels[j] + place];
        }
        for (size_t j = 0; j < count; j++) {
            const uint32_t label = labels[j], other = others[j];
            const float share = shares[j] * (float)strength + 0.5f;
            const uint32_t dithered = -(uint32_t)(best[j] > NONE)
                                      & -(uint32_t)(distance[j] > NEAR_EXACT);
            const uint32_t of_other = dithered & (uint32_t)(int32_t)share;
            /* The lower index first, so that a pair has one pattern from end to end. */
            const uint32_t swap = -(uint32_t)(other < label);
            const uint32_t both = label ^ other, one = label ^ (both & swap);
            mixes[i + j] = one | (one ^ both) << 8
                           | (of_other + (swap & (256 - 2 * of_other))) << 16;
        }
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
                size_t last, const uint8_t *thresholds, uint32_t *found,
                uint8_t *indices)
{
    const size_t width = picture->image.width;
    for (size_t y = first; y < last; y++) {
        const uint8_t *row = thresholds + y % KQ_TILE * KQ_TILE;
        uint8_t *out = indices + y * width;
        find(&picture->image, y, &picture->places, found);
        for (size_t x = 0; x < width; x += KQ_TILE) {
            const size_t count = width - x < KQ_TILE ? width - x : KQ_TILE;
            for (size_t j = 0; j < count; j++) {
                /* A shift, since no branch predictor can foresee blue noise. */
                const uint32_t mixed = mixes[found[x + j]];
                const uint32_t other = row[j] < mixed >> 16;
                out[x + j] = (uint8_t)(mixed >> 8 * other);
            }
        }
    }
}
