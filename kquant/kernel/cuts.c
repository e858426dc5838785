/* Cuts of clusters, and merges: what seeds k-means and gets it out of bad optima. */
#include "bits.h"
#include "kquant.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* Weighted sums over points: of 1, of the coordinates, and of their products, from
which mean and covariance follow. There are 15; with 16, their address is a shift. */
enum { WEIGHT, AT, PRODUCT = AT + KQ_CHANNELS, MOMENTS = PRODUCT + 11 };

/* The number of the product of two coordinates, counted from PRODUCT. */
static const int product_of[KQ_CHANNELS][KQ_CHANNELS] = {
    {0, 1, 2, 6}, {1, 3, 4, 7}, {2, 4, 5, 8}, {6, 7, 8, 9}};

/* Cuts lie within this many standard deviations of the mean. Farther out, too few
points would be on one side to remove much error. */
#define SPAN 2.5

/* Add a point to sums: to all MOMENTS, or without products if `count` is less. */
KQ_INLINE void add(double *sum, size_t count, const kq_points *points, size_t i,
                   size_t channels)
{
    const double weight = (double)points->weights[i];
    const double x = points->coords[i], y = points->coords[points->stride + i],
                 z = points->coords[2 * points->stride + i];
    sum[WEIGHT] += weight;
    sum[AT] += weight * x;
    sum[AT + 1] += weight * y;
    sum[AT + 2] += weight * z;
    if (count == MOMENTS) {
        sum[PRODUCT] += weight * x * x;
        sum[PRODUCT + 1] += weight * x * y;
        sum[PRODUCT + 2] += weight * x * z;
        sum[PRODUCT + 3] += weight * y * y;
        sum[PRODUCT + 4] += weight * y * z;
        sum[PRODUCT + 5] += weight * z * z;
    }
    if (channels == 4) {
        const double w = points->coords[3 * points->stride + i];
        sum[AT + 3] += weight * w;
        if (count == MOMENTS) {
            sum[PRODUCT + 6] += weight * x * w;
            sum[PRODUCT + 7] += weight * y * w;
            sum[PRODUCT + 8] += weight * z * w;
            sum[PRODUCT + 9] += weight * w * w;
        }
    }
}

/* Kept on the grid: where weights are so unequal that sums are no longer exact, the mean
of what one side has left can be anything. */
static void to_centroid(const double *sum, int16_t *centroid)
{
    for (size_t c = 0; c < KQ_CHANNELS; c++) {
        const double mean = sum[AT + c] / sum[WEIGHT] + 0.5;
        const double least = mean > 0 ? mean : 0;
        centroid[c] = (int16_t)(least < KQ_MOST ? least : KQ_MOST);
    }
}

/* An axis with bins: which of them a point falls into. */
typedef struct {
    double axis[KQ_CHANNELS], zero;
} ruler;

/* The ruler along the axis in which the points spread most, with the mean between its
two middle bins. Points that do not differ all fall into one of these.

The axis is found by power iteration on the covariance matrix. Eight steps are enough:
an axis along which points spread nearly as much cuts nearly as well. */
KQ_INLINE ruler lay_ruler(const double *sum, size_t channels)
{
    double m[KQ_CHANNELS][KQ_CHANNELS] = {{0}}, axis[KQ_CHANNELS], variance = 0;
    ruler r = {{0}, KQ_BINS / 2};
    size_t widest = 0;
    if (!(sum[WEIGHT] > 0))
        return r;
    for (size_t i = 0; i < channels; i++)
        for (size_t j = 0; j < channels; j++)
            m[i][j] = sum[PRODUCT + product_of[i][j]] / sum[WEIGHT]
                      - sum[AT + i] / sum[WEIGHT] * (sum[AT + j] / sum[WEIGHT]);
    for (size_t i = 1; i < channels; i++)
        if (m[i][i] > m[widest][widest])
            widest = i;
    memcpy(axis, m[widest], sizeof axis);
    for (int step = 0; step < 8; step++) {
        double next[KQ_CHANNELS] = {0}, size = 0;
        for (size_t i = 0; i < channels; i++) {
            for (size_t j = 0; j < channels; j++)
                next[i] += m[i][j] * axis[j];
            size = fabs(next[i]) > size ? fabs(next[i]) : size;
        }
        if (!(size > 0))
            return r;
        for (size_t i = 0; i < channels; i++)
            axis[i] = next[i] / size;
    }
    for (size_t i = 0; i < channels; i++)
        for (size_t j = 0; j < channels; j++)
            variance += axis[i] * m[i][j] * axis[j];
    if (!(variance > 0))
        return r;
    const double scale = KQ_BINS / (2 * SPAN) / sqrt(variance);
    for (size_t c = 0; c < channels; c++) {
        r.axis[c] = axis[c] * scale;
        r.zero -= r.axis[c] * (sum[AT + c] / sum[WEIGHT]);
    }
    return r;
}

KQ_INLINE uint8_t bin_of(const ruler *r, const kq_points *points, size_t i,
                         size_t channels)
{
    double at = r->zero;
    for (size_t c = 0; c < channels; c++)
        at += r->axis[c] * points->coords[c * points->stride + i];
    at = at > 0 ? at : 0;
    return (uint8_t)(at < KQ_BINS - 1 ? at : KQ_BINS - 1);
}

/* The bin after which a cut lowers the error most, or -1. `sums` holds `count`
sums of each bin, `total` those of all; *gain is the error that the cut removes:
w1 w2 / (w1 + w2) times the squared distance of the two means. */
KQ_INLINE int best_cut(const double *sums, size_t count, const double *total,
                       double *gain, size_t channels)
{
    double below[AT + KQ_CHANNELS] = {0}, mean[KQ_CHANNELS];
    int cut = -1;
    *gain = 0;
    for (size_t c = 0; c < channels; c++)
        mean[c] = total[WEIGHT] > 0 ? total[AT + c] / total[WEIGHT] : 0;
    for (int b = 0; b < KQ_BINS - 1; b++) {
        const double *bin = sums + count * (size_t)b;
        double distance = 0;
        below[WEIGHT] += bin[WEIGHT];
        for (size_t c = 0; c < channels; c++) {
            below[AT + c] += bin[AT + c];
            const double d = below[AT + c] - below[WEIGHT] * mean[c];
            distance += d * d;
        }
        const double both = below[WEIGHT] * (total[WEIGHT] - below[WEIGHT]);
        const double removed = both > 0 ? distance * total[WEIGHT] / both : 0;
        if (removed > *gain) {
            *gain = removed;
            cut = b;
        }
    }
    return cut;
}

/* The sums of the bins up to the cut, and those of the rest. */
static void divide(const double *sums, size_t count, int cut, const double *total,
                   double *left, double *right)
{
    memcpy(left, sums, count * sizeof *left);
    for (int b = 1; b <= cut; b++)
        for (size_t i = 0; i < count; i++)
            left[i] += sums[count * (size_t)b + i];
    for (size_t i = 0; i < count; i++)
        right[i] = total[i] - left[i];
}

/* A cluster order[first..first+count-1] with its sums. Its best cut and the sums of
the two sides are found when they are needed (`cut` is UNKNOWN before); until then
`gain` is its whole error, which no cut can exceed. */
typedef struct {
    size_t first, count;
    int cut;
    double gain, total[MOMENTS], left[MOMENTS], right[MOMENTS];
} cluster;

enum { UNKNOWN = -2 };

static void set_cluster(cluster *c, size_t first, size_t count, const double *total)
{
    c->first = first;
    c->count = count;
    c->cut = UNKNOWN;
    memcpy(c->total, total, sizeof c->total);
    c->gain = 0;
    for (size_t i = 0; i < KQ_CHANNELS; i++)
        c->gain += total[PRODUCT + product_of[i][i]]
                   - total[AT + i] * (total[AT + i] / total[WEIGHT]);
}

KQ_INLINE void find_cut(const kq_points *points, const uint32_t *order, uint8_t *bins,
                        cluster *c, size_t channels)
{
    double sums[KQ_BINS * MOMENTS] = {0};
    const ruler r = lay_ruler(c->total, channels);
    for (size_t i = c->first; i < c->first + c->count; i++) {
        bins[i] = bin_of(&r, points, order[i], channels);
        add(sums + MOMENTS * bins[i], MOMENTS, points, order[i], channels);
    }
    c->cut = best_cut(sums, MOMENTS, c->total, &c->gain, channels);
    divide(sums, MOMENTS, c->cut, c->total, c->left, c->right);
}

/* Bring the points before the cut to the front; returns how many there are. */
static size_t partition(uint32_t *order, uint8_t *bins, const cluster *c)
{
    size_t front = c->first, back = c->first + c->count;
    while (front < back) {
        if (bins[front] <= c->cut) {
            front++;
        } else {
            const uint32_t point = order[front];
            const uint8_t bin = bins[front];
            order[front] = order[--back];
            bins[front] = bins[back];
            order[back] = point;
            bins[back] = bin;
        }
    }
    return front - c->first;
}

KQ_INLINE size_t seed(const kq_points *points, size_t k, uint32_t *order, uint8_t *bins,
                      int16_t *centroids, size_t channels)
{
    cluster clusters[KQ_MAX_COLORS];
    double total[MOMENTS] = {0};
    for (size_t i = 0; i < points->n; i++) {
        order[i] = (uint32_t)i;
        add(total, MOMENTS, points, i, channels);
    }
    to_centroid(total, centroids);
    set_cluster(&clusters[0], 0, points->n, total);
    size_t used = 1;
    while (used < k) {
        size_t best = 0;
        for (size_t i = 1; i < used; i++)
            if (clusters[i].gain > clusters[best].gain)
                best = i;
        cluster *old = &clusters[best], *new = &clusters[used];
        if (old->cut == UNKNOWN) {
            find_cut(points, order, bins, old, channels);
            continue;
        }
        if (old->cut < 0)
            break;
        to_centroid(old->left, centroids + KQ_CHANNELS * best);
        to_centroid(old->right, centroids + KQ_CHANNELS * used);
        const size_t kept = partition(order, bins, old);
        set_cluster(new, old->first + kept, old->count - kept, old->right);
        set_cluster(old, old->first, kept, old->left);
        used++;
    }
    return used;
}

size_t kq_seed(const kq_points *points, size_t k, uint32_t *order, uint8_t *bins,
               int16_t *centroids)
{
    return points->channels == 4 ? seed(points, k, order, bins, centroids, 4)
                                 : seed(points, k, order, bins, centroids, 3);
}

KQ_INLINE void splits(const kq_points *points, const uint8_t *labels, size_t k,
                      double *sums, double *gains, int16_t *halves, size_t channels)
{
    const size_t count = 1 + channels, size = KQ_BINS * count;
    double totals[KQ_MAX_COLORS][MOMENTS] = {{0}};
    ruler rulers[KQ_MAX_COLORS];
    for (size_t i = 0; i < points->n; i++)
        add(totals[labels[i]], MOMENTS, points, i, channels);
    for (size_t j = 0; j < k; j++)
        rulers[j] = lay_ruler(totals[j], channels);
    memset(sums, 0, k * size * sizeof *sums);
    for (size_t i = 0; i < points->n; i++) {
        const size_t bin = bin_of(&rulers[labels[i]], points, i, channels);
        add(sums + labels[i] * size + bin * count, count, points, i, channels);
    }
    for (size_t j = 0; j < k; j++) {
        const int cut =
            best_cut(sums + j * size, count, totals[j], &gains[j], channels);
        double left[KQ_SUMS] = {0}, right[KQ_SUMS] = {0};
        if (cut < 0)
            continue;
        divide(sums + j * size, count, cut, totals[j], left, right);
        to_centroid(left, halves + 2 * KQ_CHANNELS * j);
        to_centroid(right, halves + 2 * KQ_CHANNELS * j + KQ_CHANNELS);
    }
}

void kq_splits(const kq_points *points, const uint8_t *labels, size_t k, double *sums,
               double *gains, int16_t *halves)
{
    if (points->channels == 4)
        splits(points, labels, k, sums, gains, halves, 4);
    else
        splits(points, labels, k, sums, gains, halves, 3);
}

void kq_merges(const int64_t *sums, const int16_t *centroids, size_t k, double *costs,
               int32_t *partners)
{
    for (size_t i = 0; i < k; i++) {
        const int16_t *a = centroids + KQ_CHANNELS * i;
        const double weight = (double)sums[KQ_SUMS * i];
        costs[i] = DBL_MAX;
        partners[i] = (int32_t)i;
        for (size_t j = 0; j < i; j++) {
            const int16_t *b = centroids + KQ_CHANNELS * j;
            const double other = (double)sums[KQ_SUMS * j], both = weight + other;
            int32_t distance = 0;
            for (size_t c = 0; c < KQ_CHANNELS; c++)
                distance += (a[c] - b[c]) * (a[c] - b[c]);
            const double cost = both > 0 ? distance * (weight * other / both) : 0;
            if (cost < costs[i]) {
                costs[i] = cost;
                partners[i] = (int32_t)j;
            }
            if (cost < costs[j]) {
                costs[j] = cost;
                partners[j] = (int32_t)i;
            }
        }
    }
}
