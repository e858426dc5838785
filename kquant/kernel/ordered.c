/* Ordered dithering: a mix of two entries for every colour; which of them a pixel gets
is decided by its position. */
#include "level.h"

#include "bits.h"
#include "find.h"
#include "kquant.h"

/* A mix of entries that are far apart looks coarse: this part of its variance counts
like an error of its mean. */
#define COARSE 0.2f
#define FAR 4.0f // beyond this many squared distances of the nearest entry around
#define NO_GAIN -2000000000 // less than any gain

/* around[k][KQ_AROUND] of each of k entries: the nearest others, as many as there are,
the last one repeated. */
static void find_around(const int16_t *palette, size_t k, uint8_t *around)
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
            size_t slot = count < KQ_AROUND ? count++ : count - 1;
            for (; slot > 0 && best[slot - 1] > next; slot--)
                best[slot] = best[slot - 1];
            best[slot] = next;
        }
        for (size_t j = 0; j < KQ_AROUND; j++)
            around[KQ_AROUND * i + j] =
                count ? (uint8_t)best[j < count ? j : count - 1] : (uint8_t)i;
    }
}

/* A loop for vector instructions: GCC would unroll it into scalar code. */
#if defined(__GNUC__) && !defined(__clang__)
#define EACH_AROUND(j) _Pragma("GCC unroll 1") for (int j = 0; j < KQ_AROUND; j++)
#else
#define EACH_AROUND(j) for (int j = 0; j < KQ_AROUND; j++)
#endif

/* An entry and those around it, laid out so that all of these can be tried at once: the
steps to them from the middle, the squared lengths of these and their inverses. */
typedef struct {
    float step[KQ_CHANNELS][KQ_AROUND], length[KQ_AROUND], inverse[KQ_AROUND];
    int32_t least[KQ_AROUND]; /* what a mix must gain */
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

/* Write the share that each entry around has in its best mix for colour i of a batch,
which is `away` from the middle of the star. Returns the rating of the best mix: its
gain, in the lower bits of which stands its number j, counted from the end. Mixes are
only worth it if this is above NONE. */
#define NONE (NO_GAIN + KQ_AROUND)

KQ_INLINE int32_t best_mix(const star *s, const float (*away)[BATCH], size_t i,
                           float *shares, size_t channels)
{
    float dot[KQ_AROUND], gain[KQ_AROUND];
    int32_t rating[KQ_AROUND], most = INT32_MIN;
    EACH_AROUND (j)
        dot[j] = away[0][i] * s->step[0][j];
    for (size_t c = 1; c < channels; c++)
        EACH_AROUND (j)
            dot[j] += away[c][i] * s->step[c][j];
    EACH_AROUND (j) {
        shares[j] = dot[j] * s->inverse[j];
        /* How much the squared error of the mean falls, less what is coarse. */
        gain[j] = shares[j] * (dot[j] - COARSE * (1 - shares[j]) * s->length[j]);
    }
    EACH_AROUND (j) {
        /* Whole numbers, whose lower bits j replaces: of equal ones, the first wins. A
        far entry must gain something: a small share of one makes specks. */
        const int32_t whole = (int32_t)gain[j];
        const int32_t mask = -(dot[j] > 0) & -(whole > s->least[j]);
        rating[j] = (whole & mask) | (NO_GAIN & ~mask);
        rating[j] = (rating[j] & ~(KQ_AROUND - 1)) | (KQ_AROUND - 1 - j);
    }
    EACH_AROUND (j)
        most = rating[j] > most ? rating[j] : most;
    return most;
}

/* Works on batches, so that all but the choice among the entries around is done for
many colours at once; and without branches, since no predictor can foresee what a colour
needs. */
KQ_INLINE void mix(const kq_picture *picture, size_t first, size_t last,
                   uint32_t *mixes, size_t channels)
{
    const int16_t *palette = picture->palette;
    const size_t k = picture->k;
    const size_t stride = picture->points.stride;
    uint8_t around[KQ_MAX_COLORS * KQ_AROUND];
    star stars[KQ_MAX_COLORS];
    int32_t entries[KQ_CHANNELS][KQ_MAX_COLORS];
    find_around(palette, k, around);
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
            float all[KQ_AROUND];
            best[j] = best_mix(&stars[labels[j]], away, j, all, channels);
            const size_t which = KQ_AROUND - 1 - (best[j] & (KQ_AROUND - 1));
            shares[j] = all[which];
            others[j] = around[KQ_AROUND * labels[j] + which];
        }
        for (size_t j = 0; j < count; j++) {
            const uint32_t label = labels[j], other = others[j];
            const float share = shares[j] * (float)picture->strength + 0.5f;
            const uint32_t dithered =
                -(uint32_t)(best[j] > NONE) & -(uint32_t)(distance[j] > KQ_OWN_ENTRY);
            const uint32_t of_other = dithered & (uint32_t)(int32_t)share;
            /* The lower index first: so a pair has one pattern all over the image. */
            const uint32_t swap = -(uint32_t)(other < label);
            const uint32_t both = label ^ other, one = label ^ (both & swap);
            mixes[i + j] = one | (one ^ both) << 8
                           | (of_other + (swap & (KQ_STRENGTH - 2 * of_other))) << 16;
        }
    }
}

void kq_mix(const kq_picture *picture, size_t first, size_t last, uint32_t *mixes)
{
    if (picture->points.channels == 4)
        mix(picture, first, last, mixes, 4);
    else
        mix(picture, first, last, mixes, 3);
}

void kq_ordered(const kq_picture *picture, const uint32_t *mixes, size_t first,
                size_t last, const uint8_t *thresholds, uint32_t *found,
                uint8_t *indices)
{
    const size_t width = picture->image.width;
    for (size_t y = first; y < last; y++) {
        const uint8_t *row = thresholds + y % KQ_TILE * KQ_TILE;
        uint8_t *out = indices + y * width;
        find_colors(&picture->image, y, &picture->color_index, found);
        for (size_t x = 0; x < width; x += KQ_TILE) {
            const size_t count = width - x < KQ_TILE ? width - x : KQ_TILE;
            for (size_t j = 0; j < count; j++) {
                /* A shift and no branch, since no predictor can foresee blue noise. */
                const uint32_t mixed = mixes[found[x + j]];
                const uint32_t other = row[j] < mixed >> 16;
                out[x + j] = (uint8_t)(mixed >> 8 * other);
            }
        }
    }
}
