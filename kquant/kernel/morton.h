/* Morton codes of colours: the bits of the channels interleaved, highest first. */
#ifndef KQUANT_MORTON_H
#define KQUANT_MORTON_H

#include "kquant.h"

/* Bit i of v moved to bit 3 i: a third of a Morton code. */
#define SPREAD(v)                                                     \
    (((v) & 1u) | ((v) & 2u) << 2 | ((v) & 4u) << 4 | ((v) & 8u) << 6 \
     | ((v) & 16u) << 8 | ((v) & 32u) << 10 | ((v) & 64u) << 12 | ((v) & 128u) << 14)
#define SPREAD4(v) SPREAD(v), SPREAD((v) + 1), SPREAD((v) + 2), SPREAD((v) + 3)
#define SPREAD16(v) SPREAD4(v), SPREAD4((v) + 4), SPREAD4((v) + 8), SPREAD4((v) + 12)
#define SPREAD64(v) \
    SPREAD16(v), SPREAD16((v) + 16), SPREAD16((v) + 32), SPREAD16((v) + 48)

static const uint32_t spread[256] = {SPREAD64(0u), SPREAD64(64u), SPREAD64(128u),
                                     SPREAD64(192u)};

static inline uint32_t morton(uint8_t r, uint8_t g, uint8_t b)
{
    return spread[r] << 2 | spread[g] << 1 | spread[b];
}

/* The inverse of `spread`: bit 3 i of the code moved to bit i. */
static inline uint8_t gathered(uint32_t code)
{
    code &= 0x249249;
    code = (code | code >> 2) & 0x0c30c3;
    code = (code | code >> 4) & 0x00f00f;
    return (uint8_t)(code | code >> 8);
}

/* The inverse of morton(). */
static inline void to_color(uint32_t code, uint8_t *color)
{
    color[0] = gathered(code >> 2);
    color[1] = gathered(code >> 1);
    color[2] = gathered(code);
}

/* Bit i of the value moved to bit 4 i: a quarter of a code with alpha. */
static inline uint32_t widened(uint8_t value)
{
    uint32_t v = value;
    v = (v | v << 12) & 0x000f000f;
    v = (v | v << 6) & 0x03030303;
    return (v | v << 3) & 0x11111111;
}

/* The inverse of widened(): bit 4 i of the code moved to bit i. */
static inline uint8_t narrowed(uint32_t code)
{
    code &= 0x11111111;
    code = (code | code >> 3) & 0x03030303;
    code = (code | code >> 6) & 0x000f000f;
    return (uint8_t)(code | code >> 12);
}

static inline uint32_t alpha_code(uint8_t r, uint8_t g, uint8_t b, uint8_t a)
{
    if (!a)
        return 0;
    return widened(r) << 3 | widened(g) << 2 | widened(b) << 1 | widened(a);
}

/* The code of an opaque pixel. */
static inline uint32_t pixel_code(const kq_image *image, const uint8_t *pixel)
{
    return morton(pixel[0], pixel[image->channel], pixel[2 * image->channel]);
}

/* The code of a pixel that may have alpha. */
static inline uint32_t any_code(const kq_image *image, const uint8_t *pixel)
{
    if (image->channels == KQ_RGB)
        return pixel_code(image, pixel);
    return alpha_code(pixel[0], pixel[image->channel], pixel[2 * image->channel],
                      pixel[3 * image->channel]);
}

#endif
