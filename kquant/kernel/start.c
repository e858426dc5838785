/* Principal-axis splits: the start of k-means and its way out of bad optima. */
#include "kquant.h"

#include <string.h>

/* Places along the axis at which a cluster may be cut. */
#define BINS 256

/* A weighted sum of points. */
typedef struct {
    double weight, at[KQ_CHANNELS];
} mass;

static inline double coordinate(const kq_points *points, size_t c, size_t point)
{
    return points->coords[c * points->stride + point];
}

static inline void add(mass *sum, const kq_points *points, size_t point)
{
    const double weight = (double)points->weights[point];
    sum->weight += weight;
    for (size_t c = 0; c < KQ_CHANNELS; c++)
        sum->at[c] += weight * coordinate(points, c, point);
}

static void to_centroid(const mass *sum, int16_t *centroid)
{
    for (size_t c = 0; c < KQ_CHANNELS; c++)
        centroid[c] = (int16_t)(sum->at[c] / sum->weight + 0.5);
}

/* The direction in which the points spread most, its largest coordinate 1:
power iteration on the covariance matrix. Sixteen steps, since an axis that is
nearly as long as the principal one cuts nearly as well. */
static void principal_axis(const kq_points *points, const uint32_t *order, size_t n,
                           const mass *total, double axis[KQ_CHANNELS])
{
    double m[KQ_CHANNELS][KQ_CHANNELS] = {{0}};
    for (size_t i = 0; i < n; i++) {
        const double weight = (double)points->weights[order[i]];
        double d[KQ_CHANNELS];
        for (size_t c = 0; c < KQ_CHANNELS; c++)
            d[c] = coordinate(points, c, order[i]) - total->at[c] / total->weight;
        for (size_t r = 0; r < KQ_CHANNELS; r++)
            for (size_t c = 0; c <= r; c++)
                m[r][c] += weight * d[r] * d[c];
    }
    size_t widest = 0;
    for (size_t r = 0; r < KQ_CHANNELS; r++) {
        for (size_t c = 0; c < r; c++)
            m[c][r] = m[r][c];
        if (m[r][r] > m[widest][widest])
            widest = r;
    }
    memcpy(axis, m[widest], sizeof m[widest]);
    for (int step = 0; step < 16; step++) {
        double next[KQ_CHANNELS] = {0}, largest = 0;
        for (size_t r = 0; r < KQ_CHANNELS; r++) {
            for (size_t c = 0; c < KQ_CHANNELS; c++)
                next[r] += m[r][c] * axis[c];
            const double size = next[r] < 0 ? -next[r] : next[r];
            largest = size > largest ? size : largest;
        }
        if (!(largest > 0))
            return;
        for (size_t c = 0; c < KQ_CHANNELS; c++)
            axis[c] = next[c] / largest;
    }
}

/* How far a point lies along an axis, in bins. */
typedef struct {
    double axis[KQ_CHANNELS], lowest, scale;
} ruler;

static inline double along(const ruler *r, const kq_points *points, size_t point)
{
    double at = 0;
    for (size_t c = 0; c < KQ_CHANNELS; c++)
        at += r->axis[c] * coordinate(points, c, point);
    return at;
}

static inline int bin_of(const ruler *r, const kq_points *points, size_t point)
{
    return (int)((along(r, points, point) - r->lowest) * r->scale);
}

/* The bin after which a cut lowers the error most: w1 w2 / (w1 + w2) times the
squared distance of the two means. *left is the mass before the cut. */
static int best_cut(const mass *bins, const mass *total, mass *left, double *gain)
{
    mass below = {0};
    int cut = -1;
    *gain = 0;
    for (int b = 0; b < BINS - 1; b++) {
        below.weight += bins[b].weight;
        double distance = 0;
        for (size_t c = 0; c < KQ_CHANNELS; c++) {
            below.at[c] += bins[b].at[c];
            const double d =
                below.at[c] - below.weight * (total->at[c] / total->weight);
            distance += d * d;
        }
        const double above = total->weight - below.weight;
        if (!(below.weight > 0) || !(above > 0))
            continue;
        const double removed = distance * total->weight / (below.weight * above);
        if (removed > *gain) {
            *gain = removed;
            *left = below;
            cut = b;
        }
    }
    return cut;
}

/* Cut the cluster order[0..n-1] in two, the first *left of the reordered list
and the rest, with the means halves[2][3]. Returns the squared error removed:
0 if its points do not differ. */
static double split(const kq_points *points, uint32_t *order, size_t n, int16_t *halves,
                    size_t *left)
{
    mass total = {0}, before = {0}, after, bins[BINS] = {{0}};
    ruler r;
    double highest = 0, gain;
    for (size_t i = 0; i < n; i++)
        add(&total, points, order[i]);
    principal_axis(points, order, n, &total, r.axis);
    for (size_t i = 0; i < n; i++) {
        const double at = along(&r, points, order[i]);
        r.lowest = !i || at < r.lowest ? at : r.lowest;
        highest = !i || at > highest ? at : highest;
    }
    if (!(n && highest > r.lowest))
        return 0;
    r.scale = (BINS - 1) / (highest - r.lowest);
    for (size_t i = 0; i < n; i++)
        add(&bins[bin_of(&r, points, order[i])], points, order[i]);
    const int cut = best_cut(bins, &total, &before, &gain);
    if (cut < 0)
        return 0;
    size_t front = 0, back = n;
    while (front < back) {
        const uint32_t point = order[front];
        if (bin_of(&r, points, point) <= cut) {
            front++;
        } else {
            order[front] = order[--back];
            order[back] = point;
        }
    }
    *left = front;
    after.weight = total.weight - before.weight;
    for (size_t c = 0; c < KQ_CHANNELS; c++)
        after.at[c] = total.at[c] - before.at[c];
    to_centroid(&before, halves);
    to_centroid(&after, halves + KQ_CHANNELS);
    return gain;
}

/* A cluster order[first..first+count-1] and its best cut. */
typedef struct {
    size_t first, count, left;
    double gain;
    int16_t halves[2 * KQ_CHANNELS];
} cluster;

static void consider(const kq_points *points, uint32_t *order, cluster *c)
{
    c->gain = split(points, order + c->first, c->count, c->halves, &c->left);
}

size_t kq_start(const kq_points *points, size_t k, uint32_t *order, int16_t *centroids)
{
    cluster clusters[KQ_MAX_COLORS] = {{.count = points->n}};
    mass total = {0};
    for (size_t i = 0; i < points->n; i++) {
        order[i] = (uint32_t)i;
        add(&total, points, i);
    }
    to_centroid(&total, centroids);
    consider(points, order, &clusters[0]);
    size_t used = 1;
    for (; used < k; used++) {
        size_t best = 0;
        for (size_t i = 1; i < used; i++)
            if (clusters[i].gain > clusters[best].gain)
                best = i;
        cluster *old = &clusters[best], *new = &clusters[used];
        if (!(old->gain > 0))
            break;
        memcpy(centroids + KQ_CHANNELS * best, old->halves, sizeof old->halves / 2);
        memcpy(centroids + KQ_CHANNELS * used, old->halves + KQ_CHANNELS,
               sizeof old->halves / 2);
        new->first = old->first + old->left;
        new->count = old->count - old->left;
        old->count = old->left;
        consider(points, order, old);
        consider(points, order, new);
    }
    return used;
}

void kq_splits(const kq_points *points, const uint8_t *labels, size_t k,
               uint32_t *order, double *gains, int16_t *halves)
{
    size_t end[KQ_MAX_COLORS] = {0};
    for (size_t i = 0; i < points->n; i++)
        end[labels[i]]++;
    for (size_t i = 0, first = 0; i < k; i++) {
        const size_t count = end[i];
        end[i] = first;
        first += count;
    }
    for (size_t i = 0; i < points->n; i++)
        order[end[labels[i]]++] = (uint32_t)i;
    for (size_t i = 0; i < k; i++) {
        const size_t first = i ? end[i - 1] : 0;
        size_t left;
        gains[i] = split(points, order + first, end[i] - first,
                         halves + 2 * KQ_CHANNELS * i, &left);
    }
}
