/* The update step of k-means, and its error. */
#include "kquant.h"

size_t kq_update(const int64_t *sums, size_t k, int16_t *centroids)
{
    size_t moved = 0;
    for (size_t i = 0; i < k; i++, sums += KQ_SUMS, centroids += KQ_CHANNELS) {
        if (!sums[0])
            continue;
        int differ = 0;
        for (size_t c = 0; c < KQ_CHANNELS; c++) {
            int16_t mean = 0;
            if (sums[c + 1]) /* divisions are slow, and mostly there is no alpha */
                mean = (int16_t)((2 * sums[c + 1] + sums[0]) / (2 * sums[0]));
            differ |= mean != centroids[c];
            centroids[c] = mean;
        }
        moved += (size_t)differ;
    }
    return moved;
}

double kq_energy(const kq_points *points)
{
    /* Four sums in turn, since one would wait for each addition. */
    const int16_t *x = points->coords, *y = x + points->stride, *z = y + points->stride;
    const int16_t *w = points->channels == 4 ? z + points->stride : NULL;
    double energy[4] = {0};
    for (size_t i = 0; i < points->n; i++) {
        int32_t square = x[i] * x[i] + y[i] * y[i] + z[i] * z[i];
        square += w ? w[i] * w[i] : 0;
        energy[i % 4] += (double)points->weights[i] * square;
    }
    return energy[0] + energy[1] + energy[2] + energy[3];
}

double kq_error(const int64_t *sums, const int16_t *centroids, size_t k, double energy)
{
    /* sum w |p - c|^2 = sum w |p|^2 - 2 c . sum w p + |c|^2 sum w */
    for (size_t i = 0; i < k; i++, sums += KQ_SUMS, centroids += KQ_CHANNELS)
        for (size_t c = 0; c < KQ_CHANNELS; c++)
            energy -=
                centroids[c]
                * (2.0 * (double)sums[c + 1] - (double)centroids[c] * (double)sums[0]);
    return energy / (KQ_ONE * KQ_ONE);
}
