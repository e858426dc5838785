/* Dithering: other entries than the nearest one, so that the mean is right. */
#include "level.h"

#include "bits.h"
#include "find.h"
#include "diffuse_simd.h"
#include "kquant.h"

#include <string.h>

/* Up to this distance squared, half a step of an 8-bit value, a colour counts as being in
the palette: it is not dithered, and takes no errors from its neighbours. */
#define NEAR_EXACT (KQ_ONE * KQ_ONE / 4)

/* ---- the nearest entry of any place */

/* Instead of the number of the next group: the list has yet to be made. */
#define UNMADE UINT32_MAX

/* Compared before they are made, with no use for the result. */
static void unmake(kq_group *group, uint32_t from)
{
    memset(group, 0, sizeof *group);
    group->next = UNMADE;
    group->from = from;
}

/* Cells are 0: their list is group 0, which has yet to be made. */
static void start(kq_near *near)
{
    unmake(near->groups, 0);
    near->used = 1;
}

static void forget_all(kq_near *near)
{
    memset(near->cells, 0, KQ_NEAR_CELLS * sizeof *near->cells);
    start(near);
}

static int32_t squared_distance(const int16_t *a, const int16_t *b)
{
    int32_t sum = 0;
    for (int c = 0; c < KQ_CHANNELS; c++)
        sum += (a[c] - b[c]) * (a[c] - b[c]);
    return sum;
}

static int nearest_in_group(const kq_group *group, const int16_t *at)
{
    const kq_group *groups[SIDE];
    const int16_t *from[SIDE];
    int nearest[SIDE];
    for (int i = 0; i < SIDE; i++) {
        groups[i] = group;
        from[i] = at;
    }
    nearest_in_groups(groups, join(from), nearest);
    return nearest[0];
}

/* In order, so ties go to the lowest index. */
static int nearest_in_list(const kq_near *near, const kq_group *group,
                           const int16_t *at)
{
    int32_t least = INT32_MAX;
    int nearest = 0;
    for (;;) {
        const int other = nearest_in_group(group, at);
        const int32_t next = squared_distance(near->palette + KQ_CHANNELS * other, at);
        nearest = next < least ? other : nearest;
        least = next < least ? next : least;
        if (!group->next)
            return nearest;
        group = near->groups + group->next;
    }
}

/* Lists are made entry by entry: the first group is given, others are taken as needed. */
typedef struct {
    kq_group *group;
    int count, last;
} list_end;

static void append(kq_near *near, list_end *to, int index)
{
    const int16_t *entry = near->palette + KQ_CHANNELS * index;
    if (to->count == KQ_GROUP) {
        to->group->next = (uint32_t)near->used;
        to->group = near->groups + near->used++;
        to->count = 0;
    }
    memcpy(to->group->xy[to->count], entry, 4);
    memcpy(to->group->zw[to->count], entry + 2, 4);
    to->group->index[to->count++] = (uint8_t)index;
    to->last = index;
}

static void finish(kq_near *near, list_end *to)
{
    while (to->count < KQ_GROUP)
        append(near, to, to->last);
    to->group->next = 0;
}

/* Of a list those entries that are nearest, or as near as another, somewhere in the cell
with so many bits of each axis that a place is in. Those are out that are farther than
the one that is nearest to the middle at every corner: see filter() in candidates.h. */
static void shorten(kq_near *near, const kq_group *from, const int16_t *at, int bits,
                    kq_group *group)
{
    int16_t low[KQ_CHANNELS] = {0}, high[KQ_CHANNELS] = {0}, middle[KQ_CHANNELS] = {0};
    for (size_t c = 0; c < near->channels; c++) {
        const int first = at[c] >> (14 - bits) << (14 - bits);
        const int last = first + (1 << (14 - bits)) - 1;
        low[c] = (int16_t)(2 * first);
        high[c] = (int16_t)(2 * last);
        middle[c] = (int16_t)((first + last) / 2);
    }
    const int reference = nearest_in_list(near, from, middle);
    const box in = make_box(near->palette + KQ_CHANNELS * reference, low, high);
    list_end to = {group, 0, -1};
    for (;;) {
        for (unsigned kept = near_in_group(from, &in); kept; kept &= kept - 1) {
            const int index = from->index[kq_zeros_below(kept)];
            if (index != to.last)
                append(near, &to, index);
        }
        if (!from->next)
            break;
        from = near->groups + from->next;
    }
    finish(near, &to);
}

static uint32_t list_of_all(kq_near *near)
{
    const uint32_t list = (uint32_t)near->used++;
    list_end to = {near->groups + list, 0, -1};
    for (size_t i = 0; i < near->k; i++)
        append(near, &to, (int)i);
    finish(near, &to);
    return list;
}

/* The first of the parts of a cell with a long list, each yet to be made. */
static uint32_t split(kq_near *near, uint32_t list)
{
    const uint32_t first = (uint32_t)near->used;
    const uint32_t count = 1u << part_bits(near->channels) * (int)near->channels;
    for (uint32_t i = 0; i < count; i++)
        unmake(near->groups + first + i, list);
    near->used += count;
    return first;
}

/* The number of a cell with so many bits of each axis, which no other one has. The
largest is the whole space; then each has a bit more, up to cell_bits(). */
KQ_INLINE size_t number_of(const int16_t *at, int bits, size_t channels)
{
    size_t cell = 1;
    for (size_t c = 0; c < channels; c++)
        cell = cell << bits | (size_t)(at[c] >> (14 - bits));
    return cell;
}

/* A cell and those that make up the next larger one with it get one list. */
static void share(kq_near *near, size_t cell, int bits, uint32_t list)
{
    for (size_t i = 0; i < (size_t)1 << near->channels; i++) {
        size_t other = cell;
        for (size_t c = 0; c < near->channels; c++)
            other ^= (i >> c & 1) << bits * (int)c;
        near->cells[other] = 2 * list;
    }
}

/* The list of a cell, by way of the next larger one. Where that has a short list, its
cells share it. */
static uint32_t list_of(kq_near *near, const int16_t *at, int bits)
{
    const size_t cell = number_of(at, bits, near->channels);
    if (near->cells[cell])
        return near->cells[cell] / 2;
    if (bits == 0) {
        const uint32_t all = list_of_all(near);
        near->cells[cell] = 2 * all;
        return all;
    }
    const uint32_t larger = list_of(near, at, bits - 1);
    if (!near->groups[larger].next) {
        share(near, cell, bits, larger);
        return larger;
    }
    const uint32_t list = (uint32_t)near->used++;
    shorten(near, near->groups + larger, at, bits, near->groups + list);
    near->cells[cell] = 2 * list;
    if (bits == cell_bits(near->channels) && near->groups[list].next
        && near->used < KQ_NEAR_GROUPS / 2)
        near->cells[cell] = 2 * split(near, list) + 1;
    return list;
}

KQ_INLINE kq_group *group_of(const kq_near *near, uint32_t cell, uint32_t part,
                             size_t channels)
{
    const size_t first = (size_t)1 << cell_bits(channels) * (int)channels;
    const uint32_t list = near->cells[first + cell];
    return near->groups + list / 2 + (part & -(list & 1));
}

/* Where one look does not do: the list is long, or has yet to be made. */
static int find_nearest(kq_near *near, const int16_t *at, uint32_t cell, uint32_t part)
{
    kq_group *group = group_of(near, cell, part, near->channels);
    while (group->next == UNMADE) {
        if (near->used + KQ_NEAR_MOST > KQ_NEAR_GROUPS)
            forget_all(near);
        else if (group->from)
            shorten(near, near->groups + group->from, at,
                    cell_bits(near->channels) + part_bits(near->channels), group);
        else
            list_of(near, at, cell_bits(near->channels));
        group = group_of(near, cell, part, near->channels);
    }
    return nearest_in_list(near, group, at);
}

/* The entries of places: the nearest ones, or those of their own that colours have. */
KQ_INLINE void find_entries(kq_near *near, places at, const int16_t *from, int *nearest,
                            size_t channels)
{
    const kq_group *groups[SIDE];
    uint32_t cells[SIDE], parts[SIDE], more[SIDE], any = 0;
    find_cells(at, channels, cells, parts);
    for (int i = 0; i < SIDE; i++) {
        groups[i] = group_of(near, cells[i], parts[i], channels);
        any |= more[i] = groups[i]->next;
    }
    nearest_in_groups(groups, at, nearest);
    if (any)
        for (int i = 0; i < SIDE; i++)
            if (more[i] && from[KQ_CHANNELS * i] >= 0) {
                int16_t one[KQ_CHANNELS];
                store_place(place_of(at, i), one);
                nearest[i] = find_nearest(near, one, cells[i], parts[i]);
            }
    for (int i = 0; i < SIDE; i++) {
        const int own = from[KQ_CHANNELS * i];
        nearest[i] = own < 0 ? ~own : nearest[i];
    }
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

/* Bands of rows on their way side by side, and what their rows need: at each x that of
one band after the other. */
typedef struct {
    const int16_t *row;
    const int32_t *now;
    int32_t *next;
    uint8_t *indices[SIDE];
    fours error, before;
} lane;

#define STEP (SIDE * KQ_CHANNELS)

/* A pixel of each band. `now` has the sixteenths of errors that come from above, `next`
gets those for the row below; both have a place before the first pixel and one after the
last. */
KQ_INLINE void diffuse_pixel(kq_near *near, lane *l, ptrdiff_t x, ptrdiff_t step,
                             int strength, size_t channels)
{
    const int16_t *from = l->row + STEP * x;
    fours error = zeros();
    int own = -1;
    for (int i = 0; i < SIDE; i++)
        own &= from[KQ_CHANNELS * i];
    if (own < 0) {
        for (int i = 0; i < SIDE; i++)
            l->indices[i][x] = (uint8_t)~from[KQ_CHANNELS * i];
    } else {
        const fours sum = add_seven(load_fours(l->now + STEP * (x + 1)), l->error);
        const places at = moved(from, sum);
        const int16_t *entries[SIDE];
        int nearest[SIDE];
        find_entries(near, at, from, nearest, channels);
        for (int i = 0; i < SIDE; i++) {
            l->indices[i][x] = (uint8_t)nearest[i];
            entries[i] = near->palette + KQ_CHANNELS * nearest[i];
        }
        error = part_of(at, entries, strength, from);
    }
    /* The pixel behind and below has now got all that it gets. */
    store_fours(three_five_one(error, l->error, l->before),
                l->next + STEP * (x + 1 - step));
    l->before = l->error;
    l->error = error;
}

/* A row of each of `count` lanes, all in the same direction. Their pixels take turns:
each must wait for the error of the one before it, but not for those of other lanes. */
KQ_INLINE void diffuse_rows(kq_near *near, lane *lanes, size_t count, size_t width,
                            int back, int strength, size_t channels)
{
    const ptrdiff_t step = back ? -1 : 1;
    ptrdiff_t x = back ? (ptrdiff_t)width - 1 : 0;
    for (size_t i = 0; i < count; i++)
        lanes[i].error = lanes[i].before = zeros();
    for (size_t done = 0; done < width; done++, x += step)
        for (size_t i = 0; i < count; i++)
            diffuse_pixel(near, &lanes[i], x, step, strength, channels);
    for (size_t i = 0; i < count; i++)
        store_fours(three_five_one(zeros(), lanes[i].error, lanes[i].before),
                    lanes[i].next + STEP * (x + 1 - step));
}

/* The points of a row; for a band that has none, colours that cause no errors. */
KQ_INLINE void gather_row(const kq_picture *picture, const int16_t *points, size_t y,
                          int has_row, uint32_t *found, int16_t *row)
{
    static const int16_t none[KQ_CHANNELS] = {-1};
    const size_t width = picture->image.width;
    if (has_row)
        find(&picture->image, y, &picture->places, found);
    for (size_t x = 0; x < width; x++)
        memcpy(row + STEP * x, has_row ? points + KQ_CHANNELS * (size_t)found[x] : none,
               sizeof none);
}

KQ_INLINE void diffuse(const kq_picture *picture, const int16_t *points, kq_near *near,
                       size_t first, size_t last, int strength,
                       const kq_scratch *scratch, uint8_t *indices, size_t channels)
{
    const size_t width = picture->image.width, size = STEP * (width + 2);
    const size_t bands = (last - first + KQ_BAND_ROWS - 1) / KQ_BAND_ROWS;
    if (!near->used)
        start(near);
    /* All bands are at the same row of theirs. */
    for (size_t turn = 0; turn < KQ_BAND_LEAD + KQ_BAND_ROWS; turn++) {
        lane lanes[KQ_BANDS / SIDE];
        const size_t count = (bands + SIDE - 1) / SIDE;
        for (size_t i = 0; i < SIDE * count; i++) {
            lane *l = &lanes[i / SIDE];
            const size_t start = first + i * KQ_BAND_ROWS;
            const size_t y = start + turn - KQ_BAND_LEAD; /* might be below 0 */
            const int has_row = i < bands && start + turn >= KQ_BAND_LEAD && y < last;
            int16_t *row = scratch->rows + i / SIDE * STEP * width;
            gather_row(picture, points, y, has_row, scratch->found,
                       row + i % SIDE * KQ_CHANNELS);
            l->row = row;
            l->now = scratch->errors + (2 * (i / SIDE) + turn % 2) * size;
            l->next = scratch->errors + (2 * (i / SIDE) + (turn + 1) % 2) * size;
            l->indices[i % SIDE] =
                has_row && turn >= KQ_BAND_LEAD ? indices + y * width : scratch->unused;
        }
        if (count == KQ_BANDS / SIDE)
            diffuse_rows(near, lanes, KQ_BANDS / SIDE, width, turn % 2, strength,
                         channels);
        else
            diffuse_rows(near, lanes, count, width, turn % 2, strength, channels);
    }
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
            const uint32_t dithered =
                -(uint32_t)(best[j] > NONE) & -(uint32_t)(distance[j] > NEAR_EXACT);
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
