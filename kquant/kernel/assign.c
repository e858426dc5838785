/*
The assignment step of k-means: the one hot loop, compiled once per
instruction-set level. It is plain C that compilers turn into vectors: inner
loops of KQ_LANES rounds over 32-bit integers, selects instead of branches.
*/
#include "level.h"

#include "bits.h"
#include "candidates.h"
#include "kquant.h"

#include <string.h>

typedef struct {
    const kq_tree *tree;
    uint8_t *labels;
    int64_t *sums;
    size_t changed;
} state;

/* Give a point another label, and move its sums there. */
KQ_INLINE void move(state *s, size_t point, uint8_t label, size_t channels)
{
    const kq_points *points = &s->tree->points;
    const int64_t weight = points->weights[point];
    int64_t *from = s->sums + KQ_SUMS * (size_t)s->labels[point];
    int64_t *to = s->sums + KQ_SUMS * (size_t)label;
    from[0] -= weight;
    to[0] += weight;
    for (size_t c = 0; c < channels; c++) {
        const int64_t product = weight * points->coords[c * points->stride + point];
        from[c + 1] -= product;
        to[c + 1] += product;
    }
    s->labels[point] = label;
    s->changed++;
}

/* Give all points of a block the same label; in one go, if they had the same before. */
KQ_INLINE void assign_whole(state *s, const kq_level *level, size_t block,
                            uint8_t label, size_t channels)
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
                move(s, i, label, channels);
        return;
    }
    for (size_t c = 0; c < KQ_SUMS; c++) {
        s->sums[KQ_SUMS * (size_t)old + c] -= level->sums[KQ_SUMS * block + c];
        s->sums[KQ_SUMS * (size_t)label + c] += level->sums[KQ_SUMS * block + c];
    }
    memset(s->labels + first, label, last - first);
    s->changed += last - first;
}

/* Give every point of a run the label of the nearest candidate. */
KQ_INLINE void assign_each(state *s, size_t first, size_t last, const candidates *kept,
                           size_t channels)
{
    const kq_points *points = &s->tree->points;
    const int16_t *xs = points->coords, *ys = xs + points->stride,
                  *zs = ys + points->stride,
                  *ws = channels == 4 ? zs + points->stride : zs;
    for (size_t i = first; i < last; i += KQ_LANES) {
        int32_t least[KQ_LANES], label[KQ_LANES];
        const int16_t *x = xs + i, *y = ys + i, *z = zs + i, *w = ws + i;
        FOR_LANES (j) {
            least[j] = INT32_MAX;
            label[j] = 0;
        }
        for (int k = 0; k < kept->count; k++) {
            const int32_t cx = kept->x[k], cy = kept->y[k], cz = kept->z[k];
            const int32_t cw = kept->w[k], index = kept->index[k];
            FOR_LANES (j) {
                const int32_t dx = x[j] - cx, dy = y[j] - cy, dz = z[j] - cz;
                const int32_t dw = channels == 4 ? w[j] - cw : 0;
                const int32_t distance = dx * dx + dy * dy + dz * dz + dw * dw;
                label[j] = distance < least[j] ? index : label[j];
                least[j] = distance < least[j] ? distance : least[j];
            }
        }
        const size_t lanes = last - i < KQ_LANES ? last - i : KQ_LANES;
        uint8_t found[KQ_LANES], before[KQ_LANES];
        FOR_LANES (j)
            found[j] = (uint8_t)label[j];
        /* Most points keep their label, so compare all lanes at once. Lanes past the
        end are compared with themselves: other threads may be writing labels there. */
        memcpy(before, found, KQ_LANES);
        if (lanes == KQ_LANES)
            memcpy(before, s->labels + i, KQ_LANES); /* of known length: fast */
        else
            memcpy(before, s->labels + i, lanes);
        if (memcmp(found, before, KQ_LANES) != 0)
            for (size_t j = 0; j < lanes; j++)
                if (found[j] != before[j])
                    move(s, i + j, found[j], channels);
    }
}

KQ_INLINE void visit(state *s, size_t depth, size_t block, const candidates *from,
                     size_t channels);

static void visit_three(state *s, size_t depth, size_t block, const candidates *from)
{
    visit(s, depth, block, from, 3);
}

static void visit_four(state *s, size_t depth, size_t block, const candidates *from)
{
    visit(s, depth, block, from, 4);
}

KQ_INLINE void visit(state *s, size_t depth, size_t block, const candidates *from,
                     size_t channels)
{
    const kq_level *level = &s->tree->level[depth];
    candidates kept;
    filter(from, level->low + KQ_CHANNELS * block, level->high + KQ_CHANNELS * block,
           &kept, channels);
    if (kept.count == 1)
        assign_whole(s, level, block, (uint8_t)kept.index[0], channels);
    else if (depth == KQ_DEPTH - 1)
        assign_each(s, level->start[block], level->start[block + 1], &kept, channels);
    else
        for (size_t b = level->child[block]; b < level->child[block + 1]; b++)
            (channels == 4 ? visit_four : visit_three)(s, depth + 1, b, &kept);
}

size_t kq_assign(const kq_tree *tree, size_t first, size_t last,
                 const int16_t *centroids, size_t k, uint8_t *labels, int64_t *sums)
{
    state s = {tree, labels, sums, 0};
    candidates all;
    all_candidates(centroids, k, &all);
    for (size_t block = first; block < last; block++)
        (tree->points.channels == 4 ? visit_four : visit_three)(&s, 0, block, &all);
    return s.changed;
}
