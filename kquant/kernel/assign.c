/*
The assignment step of k-means: the one hot loop, compiled once per
instruction-set level. It is plain C that compilers turn into vectors: inner
loops of KQ_LANES rounds over 32-bit integers, selects instead of branches.
*/
#include "bits.h"
#include "kquant.h"
#include "level.h"

#include <string.h>

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
    int32_t w[KQ_MAX_COLORS + KQ_LANES]; /* only used if points have it */
} candidates;

/* Three coordinates or four: `has_w` is a constant wherever these functions are
inlined, so that three cost nothing for the fourth. */

/* Fill the lanes past the last candidate, of which there is at least one, with
something to compute on that cannot overflow. */
KQ_INLINE void pad(candidates *c, int has_w)
{
    FOR_LANES (j) {
        c->x[c->count + j] = c->x[0];
        c->y[c->count + j] = c->y[0];
        c->z[c->count + j] = c->z[0];
        if (has_w)
            c->w[c->count + j] = c->w[0];
    }
}

typedef struct {
    const kq_tree *tree;
    uint8_t *labels;
    int64_t *sums;
    size_t changed;
} state;

KQ_INLINE void move(state *s, size_t point, uint8_t label, int has_w)
{
    const kq_points *points = &s->tree->points;
    const int64_t weight = points->weights[point];
    int64_t *from = s->sums + KQ_SUMS * (size_t)s->labels[point];
    int64_t *to = s->sums + KQ_SUMS * (size_t)label;
    from[0] -= weight;
    to[0] += weight;
    for (size_t c = 0; c < (has_w ? 4 : 3); c++) {
        const int64_t product = weight * points->coords[c * points->stride + point];
        from[c + 1] -= product;
        to[c + 1] += product;
    }
    s->labels[point] = label;
    s->changed++;
}

/* All points of a block get the same label; at once, if they had the same. */
KQ_INLINE void assign_whole(state *s, const kq_level *level, size_t block,
                            uint8_t label, int has_w)
{
    const size_t first = level->start[block], last = level->start[block + 1];
    const uint8_t old = s->labels[first];
    uint8_t changes = 0, differ = 0;
    for (size_t i = first; i < last; i++) {
        changes |= s->labels[i] ^ label;
        differ |= s->labels[i] ^ old;
    }
    if (!changes)
        return;
    if (differ) {
        for (size_t i = first; i < last; i++)
            if (s->labels[i] != label)
                move(s, i, label, has_w);
        return;
    }
    for (size_t c = 0; c < KQ_SUMS; c++) {
        s->sums[KQ_SUMS * (size_t)old + c] -= level->sums[KQ_SUMS * block + c];
        s->sums[KQ_SUMS * (size_t)label + c] += level->sums[KQ_SUMS * block + c];
    }
    memset(s->labels + first, label, last - first);
    s->changed += last - first;
}

/* Every point of a run gets the nearest of the candidates. */
KQ_INLINE void assign_each(state *s, size_t first, size_t last, const candidates *near,
                           int has_w)
{
    const kq_points *points = &s->tree->points;
    const int16_t *xs = points->coords, *ys = xs + points->stride,
                  *zs = ys + points->stride, *ws = has_w ? zs + points->stride : zs;
    for (size_t i = first; i < last; i += KQ_LANES) {
        int32_t least[KQ_LANES], label[KQ_LANES];
        const int16_t *x = xs + i, *y = ys + i, *z = zs + i, *w = ws + i;
        FOR_LANES (j) {
            least[j] = INT32_MAX;
            label[j] = 0;
        }
        for (int k = 0; k < near->count; k++) {
            const int32_t cx = near->x[k], cy = near->y[k], cz = near->z[k];
            const int32_t cw = near->w[k], index = near->index[k];
            FOR_LANES (j) {
                const int32_t dx = x[j] - cx, dy = y[j] - cy, dz = z[j] - cz;
                const int32_t dw = has_w ? w[j] - cw : 0;
                const int32_t distance = dx * dx + dy * dy + dz * dz + dw * dw;
                label[j] = distance < least[j] ? index : label[j];
                least[j] = distance < least[j] ? distance : least[j];
            }
        }
        const size_t lanes = last - i < KQ_LANES ? last - i : KQ_LANES;
        uint8_t found[KQ_LANES], before[KQ_LANES];
        FOR_LANES (j)
            found[j] = (uint8_t)label[j];
        /* Most points keep their label, so compare all lanes at once; those past
        the end compare equal, since other threads may be writing there. */
        memcpy(before, found, KQ_LANES);
        if (lanes == KQ_LANES)
            memcpy(before, s->labels + i, KQ_LANES); /* of known length: fast */
        else
            memcpy(before, s->labels + i, lanes);
        if (memcmp(found, before, KQ_LANES) != 0)
            for (size_t j = 0; j < lanes; j++)
                if (found[j] != before[j])
                    move(s, i + j, found[j], has_w);
    }
}

/* The place, among the candidates, of one near the middle of the box. The
lower bits of the distance carry the place, so that one minimum finds both. */
KQ_INLINE int find_reference(const candidates *from, const int16_t *low,
                             const int16_t *high, int has_w)
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
            const int32_t dw = has_w ? from->w[k + j] - w : 0;
            int32_t key = dx * dx + dy * dy + dz * dz + dw * dw;
            key = (key & ~(KQ_MAX_COLORS - 1)) | (k + j);
            key = k + j < from->count ? key : INT32_MAX;
            least[j] = key < least[j] ? key : least[j];
        }
    for (int j = 0; j < KQ_LANES; j++)
        best = least[j] < best ? least[j] : best;
    return best & (KQ_MAX_COLORS - 1);
}

/* Keep the candidates that are nearest, or as near as another, somewhere in
the box.

A candidate a is out if the reference r is strictly nearer at every corner. The
corner v that decides is the extreme one in the direction from r to a, and
|v - a|^2 - |v - r|^2 = (a - r)(a + r - 2 v), at most 4 * 16320 * 32640 < 2^31.
Any reference gives a correct answer; a near one excludes more. */
KQ_INLINE void filter(const candidates *from, const int16_t *low, const int16_t *high,
                      candidates *to, int has_w)
{
    const int r = find_reference(from, low, high, has_w);
    const int32_t rx = from->x[r], ry = from->y[r], rz = from->z[r], rw = from->w[r];
    const int32_t lx = 2 * low[0], ly = 2 * low[1], lz = 2 * low[2], lw = 2 * low[3];
    const int32_t hx = 2 * high[0], hy = 2 * high[1], hz = 2 * high[2],
                  hw = 2 * high[3];
    int32_t excess[KQ_MAX_COLORS + KQ_LANES];
    for (int k = 0; k < from->count; k += KQ_LANES)
        FOR_LANES (j) {
            const int32_t x = from->x[k + j], y = from->y[k + j], z = from->z[k + j];
            excess[k + j] = (x - rx) * (x + rx - (x > rx ? hx : lx))
                            + (y - ry) * (y + ry - (y > ry ? hy : ly))
                            + (z - rz) * (z + rz - (z > rz ? hz : lz));
            if (has_w) {
                const int32_t w = from->w[k + j];
                excess[k + j] += (w - rw) * (w + rw - (w > rw ? hw : lw));
            }
        }
    int kept = 0;
    int32_t places[KQ_MAX_COLORS + 1];
    for (int k = 0; k < from->count; k++) {
        places[kept] = k;
        kept += excess[k] <= 0;
    }
    for (int k = 0; k < kept; k++) {
        to->index[k] = from->index[places[k]];
        to->x[k] = from->x[places[k]];
        to->y[k] = from->y[places[k]];
        to->z[k] = from->z[places[k]];
        if (has_w)
            to->w[k] = from->w[places[k]];
    }
    to->count = kept;
    pad(to, has_w);
}

KQ_INLINE void visit(state *s, size_t depth, size_t block, const candidates *from,
                     int has_w);

static void visit_three(state *s, size_t depth, size_t block, const candidates *from)
{
    visit(s, depth, block, from, 0);
}

static void visit_four(state *s, size_t depth, size_t block, const candidates *from)
{
    visit(s, depth, block, from, 1);
}

KQ_INLINE void visit(state *s, size_t depth, size_t block, const candidates *from,
                     int has_w)
{
    const kq_level *level = &s->tree->level[depth];
    candidates near;
    filter(from, level->low + KQ_CHANNELS * block, level->high + KQ_CHANNELS * block,
           &near, has_w);
    if (near.count == 1)
        assign_whole(s, level, block, (uint8_t)near.index[0], has_w);
    else if (depth == KQ_DEPTH - 1)
        assign_each(s, level->start[block], level->start[block + 1], &near, has_w);
    else
        for (size_t b = level->child[block]; b < level->child[block + 1]; b++)
            (has_w ? visit_four : visit_three)(s, depth + 1, b, &near);
}

size_t KQ_LEVEL_NAME(kq_assign)(const kq_tree *tree, size_t first, size_t last,
                                const int16_t *centroids, size_t k, uint8_t *labels,
                                int64_t *sums)
{
    state s = {tree, labels, sums, 0};
    candidates all;
    all.count = (int)k;
    for (size_t i = 0; i < k; i++) {
        all.index[i] = (int32_t)i;
        all.x[i] = centroids[KQ_CHANNELS * i];
        all.y[i] = centroids[KQ_CHANNELS * i + 1];
        all.z[i] = centroids[KQ_CHANNELS * i + 2];
        all.w[i] = centroids[KQ_CHANNELS * i + 3];
    }
    pad(&all, 1);
    for (size_t block = first; block < last; block++)
        (tree->points.channels == 4 ? visit_four : visit_three)(&s, 0, block, &all);
    return s.changed;
}
