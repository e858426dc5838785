/* From 8-bit colours to coordinates in a colour space. It uses only +, -, *, / and
integers, which give the same on every machine; C libraries differ in the last bit of
cbrt(). */
#include "bits.h"
#include "kquant.h"

#include <string.h>

/* The cube root of 0..2, to about 45 bits: a guess with the right exponent, then two
steps of Halley's method, each of which triples the number of correct digits. */
static inline double cube_root(double x)
{
    uint64_t bits;
    double y;
    if (!(x > 0))
        return 0;
    memcpy(&bits, &x, sizeof bits);
    bits = (uint64_t)((uint32_t)(bits >> 32) / 3 + 715094163u) << 32;
    memcpy(&y, &bits, sizeof y);
    for (int step = 0; step < 2; step++) {
        const double cube = y * y * y;
        y = y * (cube + 2 * x) / (2 * cube + x);
    }
    return y;
}

/* The nearest coordinate on the grid. */
static inline int16_t on_grid(double coordinate)
{
    const double most = KQ_MOST;
    coordinate = coordinate > 0 ? coordinate : 0;
    return (int16_t)((coordinate < most ? coordinate : most) + 0.5);
}

/* The coordinates of an opaque colour, in a space that is not plain. */
static inline void convert(const kq_space *space, const uint8_t *color, int16_t *at)
{
    double light[3], root[3];
    for (size_t c = 0; c < 3; c++)
        light[c] = space->light[color[c]];
    if (!space->roots) {
        for (size_t c = 0; c < 3; c++)
            at[c] = on_grid(light[c]);
        return;
    }
    for (size_t c = 0; c < 3; c++) {
        const double *row = space->to_cones[c];
        const double cone = row[0] * light[0] + row[1] * light[1] + row[2] * light[2];
        root[c] =
            cone > space->knee ? cube_root(cone) : space->slope * cone + space->foot;
    }
    for (size_t c = 0; c < 3; c++) {
        const double *row = space->from_roots[c];
        at[c] = on_grid(row[0] * root[0] + row[1] * root[1] + row[2] * root[2]
                        + space->offset[c]);
    }
}

/* part * alpha / 255, rounded. */
static inline int16_t scaled(int32_t part, int32_t alpha)
{
    const int32_t twice = 2 * part * alpha;
    return (int16_t)((twice + (twice < 0 ? -255 : 255)) / 510);
}

KQ_INLINE void to_space(const kq_space *space, const uint8_t *colors, size_t n,
                        size_t channels, size_t stride, int16_t *coords)
{
    for (size_t i = 0; i < n; i++) {
        const uint8_t *color = colors + channels * i;
        int16_t at[KQ_CHANNELS];
        if (space->plain)
            for (size_t c = 0; c < 3; c++)
                at[c] = (int16_t)(color[c] * KQ_ONE);
        else
            convert(space, color, at);
        if (channels == 4) {
            for (size_t c = 0; c < 3; c++)
                at[c] = (int16_t)(space->middle[c]
                                  + scaled(at[c] - space->middle[c], color[3]));
            at[3] = scaled(space->opaque, color[3]);
        }
        for (size_t c = 0; c < channels; c++)
            coords[c * stride + i] = at[c];
    }
    for (size_t c = 0; c < channels; c++)
        memset(coords + c * stride + n, 0, (stride - n) * sizeof *coords);
}

void kq_to_space(const kq_space *space, const uint8_t *colors, size_t n,
                 size_t channels, size_t stride, int16_t *coords)
{
    if (channels == 4)
        to_space(space, colors, n, 4, stride, coords);
    else
        to_space(space, colors, n, 3, stride, coords);
}
