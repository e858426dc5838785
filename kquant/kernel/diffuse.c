/* Error diffusion: what a pixel's entry lacks goes on to its neighbours. */
#include "level.h"

#include "bits.h"
#include "diffuse_simd.h"
#include "find.h"
#include "kquant.h"
#include "nearest.h"

#include <string.h>

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
        place[0] = distance <= KQ_OWN_ENTRY ? (int16_t)~label : place[0];
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
