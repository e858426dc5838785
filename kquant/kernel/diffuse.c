/* Error diffusion: the difference between a pixel and its entry is passed on to pixels
that come later, so that the mean is right. */
#include "level.h"

#include "bits.h"
#include "diffuse_simd.h"
#include "find.h"
#include "kquant.h"
#include "nearest.h"

#include <string.h>

KQ_INLINE void prepare(const kq_picture *picture, size_t first, size_t last,
                       int16_t *prepared, size_t channels)
{
    const kq_points *points = &picture->points;
    for (size_t i = first; i < last; i++) {
        const int label = picture->labels[i];
        int16_t point[KQ_CHANNELS] = {0}; /* the fourth stays 0 without alpha */
        int32_t distance = 0;
        for (size_t c = 0; c < channels; c++) {
            point[c] = points->coords[c * points->stride + i];
            const int32_t away =
                point[c] - picture->palette[KQ_CHANNELS * label + (int)c];
            distance += away * away;
        }
        point[0] = distance <= KQ_OWN_ENTRY ? (int16_t)~label : point[0];
        memcpy(prepared + KQ_CHANNELS * i, point, sizeof point);
    }
}

void kq_prepare(const kq_picture *picture, size_t first, size_t last, int16_t *prepared)
{
    if (picture->points.channels == 4)
        prepare(picture, first, last, prepared, 4);
    else
        prepare(picture, first, last, prepared, 3);
}

/* SIDE bands that are worked on side by side, at the same x of the same row of theirs.
In all buffers but the indices, the values of one band follow those of the other at each
x. `now` has the sixteenths of errors that come from the row above, `next` gets those
for the row below; both have room for a pixel before the first one and after the last.
`error` is that of the pixel before, `before` that of the one before that. */
typedef struct {
    const int16_t *row;
    const int32_t *now;
    int32_t *next;
    uint8_t *indices[SIDE];
    fours error, before;
} lane;

#define STEP (SIDE * KQ_CHANNELS)

/* A pixel of each band. An error goes to the next pixel (7/16), and in the row below to
the pixels behind (3/16), at the same x (5/16) and ahead (1/16). */
KQ_INLINE void diffuse_pixel(kq_nearest *search, lane *l, ptrdiff_t x, ptrdiff_t step,
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
        const points at = moved(from, sum);
        const int16_t *entries[SIDE];
        int nearest[SIDE];
        find_entries(search, at, from, nearest, channels);
        for (int i = 0; i < SIDE; i++) {
            l->indices[i][x] = (uint8_t)nearest[i];
            entries[i] = search->palette + KQ_CHANNELS * nearest[i];
        }
        error = passed_on(at, entries, strength, from);
    }
    /* The pixel below and behind has now got all of its errors: from this pixel and the
    two before it. */
    store_fours(three_five_one(error, l->error, l->before),
                l->next + STEP * (x + 1 - step));
    l->before = l->error;
    l->error = error;
}

/* A row of each of `count` lanes, all in the same direction. Lanes take turns at every
pixel: a pixel must wait for the error of the one before it in its row, and the
processor can work on other lanes meanwhile. */
KQ_INLINE void diffuse_rows(kq_nearest *search, lane *lanes, size_t count, size_t width,
                            int back, int strength, size_t channels)
{
    const ptrdiff_t step = back ? -1 : 1;
    ptrdiff_t x = back ? (ptrdiff_t)width - 1 : 0;
    for (size_t i = 0; i < count; i++)
        lanes[i].error = lanes[i].before = zeros();
    for (size_t done = 0; done < width; done++, x += step)
        for (size_t i = 0; i < count; i++)
            diffuse_pixel(search, &lanes[i], x, step, strength, channels);
    for (size_t i = 0; i < count; i++)
        store_fours(three_five_one(zeros(), lanes[i].error, lanes[i].before),
                    lanes[i].next + STEP * (x + 1 - step));
}

/* What kq_prepare() made of the pixels of row y. A band that has no such row gets
colours that have an entry of their own, which cause no errors. */
KQ_INLINE void gather_row(const kq_picture *picture, const int16_t *prepared, size_t y,
                          int has_row, uint32_t *found, int16_t *row)
{
    static const int16_t none[KQ_CHANNELS] = {-1};
    const size_t width = picture->image.width;
    if (has_row)
        find_colors(&picture->image, y, &picture->color_index, found);
    for (size_t x = 0; x < width; x++)
        memcpy(row + STEP * x,
               has_row ? prepared + KQ_CHANNELS * (size_t)found[x] : none, sizeof none);
}

KQ_INLINE void diffuse(const kq_picture *picture, const int16_t *prepared,
                       kq_nearest *search, size_t first, size_t last, uint8_t *indices,
                       size_t channels)
{
    const size_t width = picture->image.width, size = STEP * (width + 2);
    const size_t bands = (last - first + KQ_BAND_ROWS - 1) / KQ_BAND_ROWS;
    const int strength = picture->strength;
    search->palette = picture->palette;
    search->k = picture->k;
    search->channels = channels;
    memset(search->errors, 0,
           KQ_BANDS * 2 * (width + 2) * KQ_CHANNELS * sizeof(int32_t));
    if (!search->used)
        reset_groups(search);
    /* In each turn, all bands are at the same row of theirs. */
    for (size_t turn = 0; turn < KQ_BAND_LEAD + KQ_BAND_ROWS; turn++) {
        lane lanes[KQ_BANDS / SIDE];
        const size_t count = (bands + SIDE - 1) / SIDE;
        for (size_t i = 0; i < SIDE * count; i++) {
            lane *l = &lanes[i / SIDE];
            const size_t band = first + i * KQ_BAND_ROWS;
            const size_t y = band + turn - KQ_BAND_LEAD; /* may wrap around below 0 */
            const int has_row = i < bands && band + turn >= KQ_BAND_LEAD && y < last;
            int16_t *row = search->rows + i / SIDE * STEP * width;
            gather_row(picture, prepared, y, has_row, search->found,
                       row + i % SIDE * KQ_CHANNELS);
            l->row = row;
            l->now = search->errors + (2 * (i / SIDE) + turn % 2) * size;
            l->next = search->errors + (2 * (i / SIDE) + (turn + 1) % 2) * size;
            l->indices[i % SIDE] =
                has_row && turn >= KQ_BAND_LEAD ? indices + y * width : search->unused;
        }
        if (count == KQ_BANDS / SIDE)
            diffuse_rows(search, lanes, KQ_BANDS / SIDE, width, turn % 2, strength,
                         channels);
        else
            diffuse_rows(search, lanes, count, width, turn % 2, strength, channels);
    }
}

void kq_diffuse(const kq_picture *picture, const int16_t *prepared, kq_nearest *search,
                size_t first, size_t last, uint8_t *indices)
{
    if (picture->points.channels == 4)
        diffuse(picture, prepared, search, first, last, indices, 4);
    else
        diffuse(picture, prepared, search, first, last, indices, 3);
}
