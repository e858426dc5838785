/* The arithmetic of error diffusion on the four coordinates of a pixel at once: with
SSE2, which every x86-64 has, and the same in plain C. */
#ifndef KQUANT_FOUR_H
#define KQUANT_FOUR_H

#include "bits.h"
#include "kquant.h"

#include <string.h>

#if defined(__SSE2__) && !defined(KQ_PLAIN)
#include <emmintrin.h>

typedef __m128i four;   // 32 bits each
typedef __m128i short4; // 16 bits each, in both halves

KQ_INLINE four zeros(void)
{
    return _mm_setzero_si128();
}

KQ_INLINE four load_four(const int32_t *from)
{
    return _mm_loadu_si128((const __m128i *)from);
}

KQ_INLINE void store_four(four v, int32_t *to)
{
    _mm_storeu_si128((__m128i *)to, v);
}

KQ_INLINE void store_short4(short4 v, int16_t *to)
{
    _mm_storel_epi64((__m128i *)to, v);
}

KQ_INLINE four times_four(four v)
{
    return _mm_slli_epi32(v, 2);
}

KQ_INLINE four add_seven(four a, four b)
{
    return _mm_sub_epi32(_mm_add_epi32(a, _mm_slli_epi32(b, 3)), b);
}

KQ_INLINE four three_five_one(four a, four b, four c)
{
    const four three = _mm_sub_epi32(times_four(a), a);
    const four five = _mm_add_epi32(times_four(b), b);
    return _mm_add_epi32(_mm_add_epi32(three, five), c);
}

KQ_INLINE short4 moved(const int16_t *from, four sum)
{
    const __m128i at = _mm_loadl_epi64((const __m128i *)from);
    const __m128i wide = _mm_unpacklo_epi16(at, zeros()); /* at is not negative */
    sum = _mm_srai_epi32(_mm_add_epi32(sum, _mm_set1_epi32(8)), 4);
    sum = _mm_add_epi32(wide, sum);
    sum = _mm_packs_epi32(sum, sum);
    sum = _mm_max_epi16(sum, zeros());
    return _mm_min_epi16(sum, _mm_set1_epi16(255 * KQ_ONE));
}

KQ_INLINE four part_of(short4 place, const int16_t *entry, int strength)
{
    const __m128i to = _mm_loadl_epi64((const __m128i *)entry);
    const __m128i away = _mm_unpacklo_epi16(_mm_sub_epi16(place, to), zeros());
    const four parts = _mm_madd_epi16(away, _mm_set1_epi32(strength));
    return _mm_srai_epi32(_mm_add_epi32(parts, _mm_set1_epi32(128)), 8);
}

/* The number of the cell that a place is in, `bits` of it from each axis. */
KQ_INLINE size_t cell_of(short4 place, int bits, size_t channels)
{
    const int low = channels == 4 ? bits : 0;
    const __m128i shares =
        _mm_setr_epi16((short)(1 << (2 * bits + low)), (short)(1 << (bits + low)),
                       (short)(1 << low), channels == 4, 0, 0, 0, 0);
    const __m128i sums = _mm_madd_epi16(_mm_srli_epi16(place, 14 - bits), shares);
    return (uint32_t)_mm_cvtsi128_si32(_mm_or_si128(sums, _mm_srli_epi64(sums, 32)));
}

/* Which of a group's entries is nearest, the first one of several, and how near. */
#if defined(__AVX2__)
#include <immintrin.h>

KQ_INLINE int nearest_in_group(const int16_t *group, short4 place, int32_t *least)
{
    const __m256i *from = (const __m256i *)group;
    __m256i a = _mm256_loadu_si256(from), b = _mm256_loadu_si256(from + 1);
    a = _mm256_sub_epi16(a, _mm256_broadcastd_epi32(place));
    b = _mm256_sub_epi16(b, _mm256_broadcastd_epi32(_mm_srli_epi64(place, 32)));
    a = _mm256_add_epi32(_mm256_madd_epi16(a, a), _mm256_madd_epi16(b, b));
    __m128i min =
        _mm_min_epi32(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
    min = _mm_min_epi32(min, _mm_shuffle_epi32(min, 0x4e));
    min = _mm_min_epi32(min, _mm_shuffle_epi32(min, 0xb1));
    *least = _mm_cvtsi128_si32(min);
    a = _mm256_cmpeq_epi32(a, _mm256_broadcastd_epi32(min));
    return kq_zeros_below((unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(a)));
}

#else

KQ_INLINE __m128i four_squares(const int16_t *xy, short4 place)
{
    const __m128i *from = (const __m128i *)xy, *other = from + 2;
    __m128i a = _mm_loadu_si128(from), b = _mm_loadu_si128(other);
    a = _mm_sub_epi16(a, _mm_shuffle_epi32(place, 0x00));
    b = _mm_sub_epi16(b, _mm_shuffle_epi32(place, 0x55));
    return _mm_add_epi32(_mm_madd_epi16(a, a), _mm_madd_epi16(b, b));
}

KQ_INLINE __m128i lesser(__m128i a, __m128i b)
{
    const __m128i more = _mm_cmpgt_epi32(a, b);
    return _mm_or_si128(_mm_and_si128(more, b), _mm_andnot_si128(more, a));
}

KQ_INLINE int nearest_in_group(const int16_t *group, short4 place, int32_t *least)
{
    const __m128i a = four_squares(group, place), b = four_squares(group + 8, place);
    __m128i min = lesser(a, b);
    min = lesser(min, _mm_shuffle_epi32(min, 0x4e));
    min = lesser(min, _mm_shuffle_epi32(min, 0xb1));
    *least = _mm_cvtsi128_si32(min);
    const __m128i equal =
        _mm_packs_epi32(_mm_cmpeq_epi32(a, min), _mm_cmpeq_epi32(b, min));
    return kq_zeros_below((unsigned)_mm_movemask_epi8(equal)) / 2;
}

#endif

#else

typedef struct {
    int32_t v[KQ_CHANNELS];
} four;

typedef struct {
    int16_t v[KQ_CHANNELS];
} short4;

KQ_INLINE four zeros(void)
{
    return (four){{0}};
}

KQ_INLINE four load_four(const int32_t *from)
{
    four v;
    memcpy(v.v, from, sizeof v.v);
    return v;
}

KQ_INLINE void store_four(four v, int32_t *to)
{
    memcpy(to, v.v, sizeof v.v);
}

KQ_INLINE void store_short4(short4 v, int16_t *to)
{
    memcpy(to, v.v, sizeof v.v);
}

KQ_INLINE four add_seven(four a, four b)
{
    for (int c = 0; c < KQ_CHANNELS; c++)
        a.v[c] += 7 * b.v[c];
    return a;
}

KQ_INLINE four three_five_one(four a, four b, four c)
{
    for (int i = 0; i < KQ_CHANNELS; i++)
        c.v[i] += 3 * a.v[i] + 5 * b.v[i];
    return c;
}

KQ_INLINE short4 moved(const int16_t *from, four sum)
{
    short4 place;
    for (int c = 0; c < KQ_CHANNELS; c++) {
        int32_t at = from[c] + ((sum.v[c] + 8) >> 4);
        at = at > 0 ? at : 0;
        place.v[c] = (int16_t)(at < 255 * KQ_ONE ? at : 255 * KQ_ONE);
    }
    return place;
}

KQ_INLINE four part_of(short4 place, const int16_t *entry, int strength)
{
    four parts;
    for (int c = 0; c < KQ_CHANNELS; c++)
        parts.v[c] = ((place.v[c] - entry[c]) * strength + 128) >> 8;
    return parts;
}

KQ_INLINE size_t cell_of(short4 place, int bits, size_t channels)
{
    size_t cell = 0;
    for (size_t c = 0; c < channels; c++)
        cell = cell << bits | (size_t)(place.v[c] >> (14 - bits));
    return cell;
}

KQ_INLINE int nearest_in_group(const int16_t *group, short4 place, int32_t *least)
{
    int best = 0;
    *least = INT32_MAX;
    for (int j = 0; j < KQ_GROUP; j++) {
        int32_t next = 0;
        for (int c = 0; c < KQ_CHANNELS; c++) {
            const int d = group[KQ_GROUP * (c & 2) + 2 * j + (c & 1)] - place.v[c];
            next += d * d;
        }
        best = next < *least ? j : best;
        *least = next < *least ? next : *least;
    }
    return best;
}

#endif

#endif
