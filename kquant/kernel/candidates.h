/* Candidates: centroids that may be the nearest one somewhere in a box. */
#ifndef KQUANT_CANDIDATES_H
#define KQUANT_CANDIDATES_H

#include "bits.h"
#include "kquant.h"

#include <math.h>

/* A loop that is to become vector operations. Compilers like to unroll a loop
of known length into scalar code first and then do not find the vectors. */
#if defined(__clang__)
#define FOR_LANES(j) \
    _Pragma("clang loop unroll(disable)") for (int j = 0; j < KQ_LANES; j++)
#elif defined(__GNUC__)
#define FOR_LANES(j) _Pragma("GCC unroll 1") for (int j = 0; j < KQ_LANES; j++)
#else
#define FOR_LANES(j) for (int j = 0; j < KQ_LANES; j++)
#endif

/* Centroids that may be the nearest one somewhere in a block, in ascending
order of their index; padded by pad(), since loops go in steps of KQ_LANES. */
typedef struct {
    int count;
    int32_t index[KQ_MAX_COLORS + KQ_LANES];
    int32_t x[KQ_MAX_COLORS + KQ_LANES];
    int32_t y[KQ_MAX_COLORS + KQ_LANES];
    int32_t z[KQ_MAX_COLORS + KQ_LANES];
    int32_t w[KQ_MAX_COLORS + KQ_LANES]; /* with four channels only */
} candidates;

/* Fill the lanes past the last candidate with the first one, of which there always is
one: something to compute with that cannot overflow. */
KQ_INLINE void pad(candidates *c, size_t channels)
{
    FOR_LANES (j) {
        c->x[c->count + j] = c->x[0];
        c->y[c->count + j] = c->y[0];
        c->z[c->count + j] = c->z[0];
        if (channels == 4)
            c->w[c->count + j] = c->w[0];
    }
}

/* The position, among the candidates, of one near the middle of the box. The lower bits
of each distance are replaced by the position, so that one minimum finds both. */
KQ_INLINE int find_reference(const candidates *from, const int16_t *low,
                             const int16_t *high, size_t channels)
{
    const int32_t x = (low[0] + high[0]) / 2, y = (low[1] + high[1]) / 2,
                  z = (low[2] + high[2]) / 2, w = (low[3] + high[3]) / 2;
    int32_t least[KQ_LANES], best = INT32_MAX;
    FOR_LANES (j)
        least[j] = INT32_MAX;
    for (int k = 0; k < from->count; k += KQ_LANES)
        FOR_LANES (j) {
            const int32_t dx = from->x[k + j] - x, dy = from->y[k + j] - y,
                          dz = from->z[k + j] - z;
            const int32_t dw = channels == 4 ? from->w[k + j] - w : 0;
            int32_t key = dx * dx + dy * dy + dz * dz + dw * dw;
            key = (key & ~(KQ_MAX_COLORS - 1)) | (k + j);
            key = k + j < from->count ? key : INT32_MAX;
            least[j] = key < least[j] ? key : least[j];
        }
    for (int j = 0; j < KQ_LANES; j++)
        best = least[j] < best ? least[j] : best;
    return best & (KQ_MAX_COLORS - 1);
}

/* At least the distance of a candidate to the far corner of the box. */
KQ_INLINE int32_t reach(const candidates *from, int r, const int16_t *low,
                        const int16_t *high)
{
    const int32_t at[KQ_CHANNELS] = {from->x[r], from->y[r], from->z[r], from->w[r]};
    double squared = 0;
    for (size_t c = 0; c < KQ_CHANNELS; c++) {
        const int32_t below = at[c] - low[c], above = high[c] - at[c];
        const double far = below > above ? below : above;
        squared += far * far;
    }
    return (int32_t)sqrt(squared) + 1;
}

/* Keep the candidates that are nearest, or as near as another, somewhere in
the box.

A candidate a is out if the reference r is strictly nearer at every corner. The
corner v that decides is the extreme one in the direction from r to a, and
|v - a|^2 - |v - r|^2 = (a - r)(a + r - 2 v), at most 4 * 16320 * 32640 < 2^31.
Any reference gives a correct answer; one near the middle excludes more.

With a slack, also keep those that are at most that much farther than the nearest one
somewhere in the box. If |v - a| <= |v - r| + slack, then the difference above is at
most 2 slack |v - r| + slack^2, where the far corner of the box bounds |v - r|. Returns
this margin: it holds for the squared distances of all points in the box, from any two
candidates of which the first is the nearest, since r is not nearer. */
KQ_INLINE int32_t filter(const candidates *from, const int16_t *low,
                         const int16_t *high, candidates *to, size_t channels,
                         int32_t slack)
{
    const int r = find_reference(from, low, high, channels);
    const int32_t rx = from->x[r], ry = from->y[r], rz = from->z[r], rw = from->w[r];
    const int32_t lx = 2 * low[0], ly = 2 * low[1], lz = 2 * low[2], lw = 2 * low[3];
    const int32_t hx = 2 * high[0], hy = 2 * high[1], hz = 2 * high[2],
                  hw = 2 * high[3];
    const int32_t margin = slack ? slack * (2 * reach(from, r, low, high) + slack) : 0;
    int32_t excess[KQ_MAX_COLORS + KQ_LANES];
    for (int k = 0; k < from->count; k += KQ_LANES)
        FOR_LANES (j) {
            const int32_t x = from->x[k + j], y = from->y[k + j], z = from->z[k + j];
            excess[k + j] = (x - rx) * (x + rx - (x > rx ? hx : lx))
                            + (y - ry) * (y + ry - (y > ry ? hy : ly))
                            + (z - rz) * (z + rz - (z > rz ? hz : lz));
            if (channels == 4) {
                const int32_t w = from->w[k + j];
                excess[k + j] += (w - rw) * (w + rw - (w > rw ? hw : lw));
            }
        }
    int kept = 0;
    int32_t positions[KQ_MAX_COLORS + 1];
    for (int k = 0; k < from->count; k++) {
        positions[kept] = k;
        kept += excess[k] <= margin;
    }
    for (int k = 0; k < kept; k++) {
        to->index[k] = from->index[positions[k]];
        to->x[k] = from->x[positions[k]];
        to->y[k] = from->y[positions[k]];
        to->z[k] = from->z[positions[k]];
        if (channels == 4)
            to->w[k] = from->w[positions[k]];
    }
    to->count = kept;
    pad(to, channels);
    return margin;
}

/* All of a palette[k][KQ_CHANNELS]. */
static inline void all_candidates(const int16_t *palette, size_t k, candidates *all)
{
    all->count = (int)k;
    for (size_t i = 0; i < k; i++) {
        all->index[i] = (int32_t)i;
        all->x[i] = palette[KQ_CHANNELS * i];
        all->y[i] = palette[KQ_CHANNELS * i + 1];
        all->z[i] = palette[KQ_CHANNELS * i + 2];
        all->w[i] = palette[KQ_CHANNELS * i + 3];
    }
    pad(all, 4);
}

#endif
