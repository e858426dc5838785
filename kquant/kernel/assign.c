/*
The assignment step of k-means: the one hot loop, compiled once per
instruction-set level. It is plain C that compilers turn into vectors: inner
loops of KQ_LANES rounds over 32-bit integers, selects instead of branches.
*/
#include "level.h"

#include "alpha.h"
#include "bits.h"
#include "candidates.h"
#include "kquant.h"

#include <string.h>

typedef struct {
    const kq_tree *tree;
    uint8_t *labels;
    int64_t *sums;
    size_t changed;
    /* Of kq_assign_alpha(): colours, and entries times their alpha, then 255 times it. */
    const uint8_t *colors;
    const int32_t (*entries)[KQ_CHANNELS];
    int32_t slack;
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

/* The candidate whose colour is nearest to that of a point, of those whose squared
distance on the grid is within a limit. */
static uint8_t nearest_color(const state *s, size_t point, const candidates *kept,
                             int32_t limit)
{
    const kq_points *points = &s->tree->points;
    const int16_t *at = points->coords + point;
    const int32_t x = at[0], y = at[points->stride], z = at[2 * points->stride],
                  w = at[3 * points->stride];
    const uint8_t *color = s->colors + 4 * point;
    const int64_t alpha = color[3];
    int64_t nearest = INT64_MAX;
    int32_t label = 0, distances[KQ_MAX_COLORS + KQ_LANES];
    for (int k = 0; k < kept->count; k += KQ_LANES)
        FOR_LANES (j) {
            const int32_t dx = x - kept->x[k + j], dy = y - kept->y[k + j];
            const int32_t dz = z - kept->z[k + j], dw = w - kept->w[k + j];
            distances[k + j] = dx * dx + dy * dy + dz * dz + dw * dw;
        }
    for (int k = 0; k < kept->count; k++) {
        if (distances[k] > limit)
            continue;
        const int32_t *entry = s->entries[kept->index[k]];
        int64_t d[3];
        for (int c = 0; c < 3; c++)
            d[c] = alpha * color[c] - entry[c];
        const int64_t distance = over_both(d, 255 * alpha - entry[3]);
        label = distance < nearest ? kept->index[k] : label;
        nearest = distance < nearest ? distance : nearest;
    }
    return (uint8_t)label;
}

/* Give every point of a run the label of the nearest candidate; with `exact`, of that
with the nearest colour, if the next one is as near but for the margin. */
KQ_INLINE void assign_each(state *s, size_t first, size_t last, const candidates *kept,
                           size_t channels, int exact, int32_t margin)
{
    const kq_points *points = &s->tree->points;
    const int16_t *xs = points->coords, *ys = xs + points->stride,
                  *zs = ys + points->stride,
                  *ws = channels == 4 ? zs + points->stride : zs;
    for (size_t i = first; i < last; i += KQ_LANES) {
        int32_t least[KQ_LANES], second[KQ_LANES], label[KQ_LANES];
        const int16_t *x = xs + i, *y = ys + i, *z = zs + i, *w = ws + i;
        FOR_LANES (j) {
            least[j] = second[j] = INT32_MAX;
            label[j] = 0;
        }
        for (int k = 0; k < kept->count; k++) {
            const int32_t cx = kept->x[k], cy = kept->y[k], cz = kept->z[k];
            const int32_t cw = kept->w[k], index = kept->index[k];
            FOR_LANES (j) {
                const int32_t dx = x[j] - cx, dy = y[j] - cy, dz = z[j] - cz;
                const int32_t dw = channels == 4 ? w[j] - cw : 0;
                const int32_t distance = dx * dx + dy * dy + dz * dz + dw * dw;
                const int32_t farther = distance < least[j] ? least[j] : distance;
                if (exact)
                    second[j] = farther < second[j] ? farther : second[j];
                label[j] = distance < least[j] ? index : label[j];
                least[j] = distance < least[j] ? distance : least[j];
            }
        }
        const size_t lanes = last - i < KQ_LANES ? last - i : KQ_LANES;
        uint8_t found[KQ_LANES], before[KQ_LANES];
        FOR_LANES (j)
            found[j] = (uint8_t)label[j];
        if (exact) {
            int32_t gap = INT32_MAX;
            FOR_LANES (j)
                gap = second[j] - least[j] < gap ? second[j] - least[j] : gap;
            for (size_t j = 0; gap <= margin && j < lanes; j++)
                if (second[j] - least[j] <= margin)
                    found[j] = nearest_color(s, i + j, kept, least[j] + margin);
        }
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
                     size_t channels, int exact);

static void visit_three(state *s, size_t depth, size_t block, const candidates *from)
{
    visit(s, depth, block, from, 3, 0);
}

static void visit_four(state *s, size_t depth, size_t block, const candidates *from)
{
    visit(s, depth, block, from, 4, 0);
}

static void visit_exactly(state *s, size_t depth, size_t block, const candidates *from)
{
    visit(s, depth, block, from, 4, 1);
}

KQ_INLINE void visit(state *s, size_t depth, size_t block, const candidates *from,
                     size_t channels, int exact)
{
    const kq_level *level = &s->tree->level[depth];
    candidates kept;
    const int32_t margin = filter(from, level->low + KQ_CHANNELS * block,
                                  level->high + KQ_CHANNELS * block, &kept, channels,
                                  exact ? s->slack : 0);
    if (kept.count == 1)
        assign_whole(s, level, block, (uint8_t)kept.index[0], channels);
    else if (depth == KQ_DEPTH - 1)
        assign_each(s, level->start[block], level->start[block + 1], &kept, channels,
                    exact, margin);
    else
        for (size_t b = level->child[block]; b < level->child[block + 1]; b++)
            (exact           ? visit_exactly
             : channels == 4 ? visit_four
                             : visit_three)(s, depth + 1, b, &kept);
}

size_t kq_assign(const kq_tree *tree, size_t first, size_t last,
                 const int16_t *centroids, size_t k, uint8_t *labels, int64_t *sums)
{
    state s = {.tree = tree, .labels = labels, .sums = sums};
    candidates all;
    all_candidates(centroids, k, &all);
    for (size_t block = first; block < last; block++)
        (tree->points.channels == 4 ? visit_four : visit_three)(&s, 0, block, &all);
    return s.changed;
}

size_t kq_assign_alpha(const kq_tree *tree, size_t first, size_t last,
                       const int16_t *centroids, const kq_alpha *alpha, size_t k,
                       uint8_t *labels, int64_t *sums)
{
    int32_t entries[KQ_MAX_COLORS][KQ_CHANNELS];
    for (size_t i = 0; i < k; i++) {
        const uint8_t *entry = alpha->palette + 4 * i;
        for (size_t c = 0; c < 3; c++)
            entries[i][c] = entry[3] * entry[c];
        entries[i][3] = 255 * entry[3];
    }
    state s = {tree, labels, sums, 0, alpha->colors, entries, alpha->slack};
    candidates all;
    all_candidates(centroids, k, &all);
    for (size_t block = first; block < last; block++)
        visit_exactly(&s, 0, block, &all);
    return s.changed;
}
