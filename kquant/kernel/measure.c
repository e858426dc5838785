/* How far pixels are from their entries, and how many each has. */
#include "level.h"

#include "alpha.h"
#include "bits.h"
#include "kquant.h"

static inline int64_t alpha_distance(const uint8_t *a, ptrdiff_t channel,
                                     const uint8_t *b)
{
    const int64_t alpha = a[3 * channel], other = b[3];
    int64_t d[3];
    for (int c = 0; c < 3; c++)
        d[c] = alpha * a[c * channel] - other * b[c];
    return over_both(d, 255 * (alpha - other));
}

/* A count can only be read some cycles after it was written, so pixels of the same
entry, one after the other, would wait. Pixels take turns at this many counts of each
entry. */
#define TURNS 4

/* A batch of pixels of one row: their errors summed, the largest one, and counts. */
typedef struct {
    double total;
    int64_t most;
    int64_t counts[TURNS][KQ_MAX_COLORS]; /* to be added up */
} measured;

/* The bytes of a colour are put into one number, as are those of an entry: so the loop
over the distances becomes vector operations. The sum of a batch fits 32 bits. */
static void measure_opaque(const kq_image *image, const uint8_t *pixel,
                           const int64_t *weights, const uint8_t *labels,
                           const uint32_t *entries, size_t count, measured *m)
{
    uint32_t colors[BATCH] = {0}, given[BATCH] = {0};
    int32_t distances[BATCH], sum = 0, most = 0;
    for (size_t j = 0; j < count; j++, pixel += image->pixel) {
        colors[j] = pixel[0] | (uint32_t)pixel[image->channel] << 8
                    | (uint32_t)pixel[2 * image->channel] << 16;
        given[j] = entries[labels[j]];
    }
    for (size_t j = 0; j < BATCH; j++) {
        const uint32_t a = colors[j], b = given[j];
        const int32_t x = (int32_t)(a & 255) - (int32_t)(b & 255);
        const int32_t y = (int32_t)(a >> 8 & 255) - (int32_t)(b >> 8 & 255);
        const int32_t z = (int32_t)(a >> 16) - (int32_t)(b >> 16);
        distances[j] = x * x + y * y + z * z;
        sum += distances[j];
        most = distances[j] > most ? distances[j] : most;
    }
    m->most = most > m->most ? most : m->most;
    if (!weights) {
        m->total += sum;
        for (size_t j = 0; j < count; j++)
            m->counts[j % TURNS][labels[j]]++;
        return;
    }
    int64_t wide = 0; /* enough for weights up to 2^45 */
    for (size_t j = 0; j < count; j++) {
        wide += distances[j] * weights[j];
        m->counts[j % TURNS][labels[j]] += weights[j];
    }
    m->total += (double)wide;
}

static void measure_alpha(const kq_image *image, const uint8_t *pixel,
                          const int64_t *weights, const uint8_t *labels,
                          const uint8_t *palette, size_t count, measured *m)
{
    for (size_t j = 0; j < count; j++, pixel += image->pixel) {
        const int64_t weight = weights ? weights[j] : 1;
        const int64_t distance =
            alpha_distance(pixel, image->channel, palette + 4 * labels[j]);
        m->total += (double)distance * (double)weight;
        m->most = distance > m->most ? distance : m->most;
        m->counts[j % TURNS][labels[j]] += weight;
    }
}

double kq_measure(const kq_image *image, const int64_t *weights, const uint8_t *labels,
                  const uint8_t *palette, size_t k, int64_t *counts, double *largest)
{
    const size_t width = image->width;
    const double unit = image->channels == KQ_RGB ? 1 : 2 * 255 * 255;
    measured m = {0, 0, {{0}}};
    uint32_t entries[KQ_MAX_COLORS] = {0};
    for (size_t i = 0; i < k && image->channels == KQ_RGB; i++)
        for (size_t c = 0; c < KQ_RGB; c++)
            entries[i] |= (uint32_t)palette[KQ_RGB * i + c] << 8 * c;
    for (size_t y = 0; y < image->height; y++) {
        const uint8_t *pixel = image->data + (ptrdiff_t)y * image->row;
        for (size_t x = 0, count; x < width; x += count) {
            count = width - x < BATCH ? width - x : BATCH;
            if (image->channels == KQ_RGB)
                measure_opaque(image, pixel, weights, labels, entries, count, &m);
            else
                measure_alpha(image, pixel, weights, labels, palette, count, &m);
            pixel += (ptrdiff_t)count * image->pixel;
            labels += count;
            weights = weights ? weights + count : NULL;
        }
    }
    for (size_t i = 0; i < k; i++)
        counts[i] = m.counts[0][i] + m.counts[1][i] + m.counts[2][i] + m.counts[3][i];
    *largest = (double)m.most / unit;
    return m.total / unit;
}
