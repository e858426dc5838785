/* The arithmetic of error diffusion on the four coordinates of a pixel at once: with
SSE2, which every x86-64 has, and the same in plain C. */
#ifndef KQUANT_FOUR_H
#define KQUANT_FOUR_H

#include "bits.h"
#include "kquant.h"

#include <string.h>

#define GROUP 4 // so many entries of a list are compared at once

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

KQ_INLINE __m128i two_entries(const int16_t *palette, uint8_t a, uint8_t b)
{
    const __m128i low = _mm_loadl_epi64((const __m128i *)(palette + KQ_CHANNELS * a));
    const __m128i high = _mm_loadl_epi64((const __m128i *)(palette + KQ_CHANNELS * b));
    return _mm_unpacklo_epi64(low, high);
}

/* The squared distances of four entries. */
KQ_INLINE void distances(const int16_t *palette, const uint8_t *list, short4 place,
                         uint32_t *to)
{
    __m128i a = _mm_sub_epi16(two_entries(palette, list[0], list[1]), place);
    __m128i b = _mm_sub_epi16(two_entries(palette, list[2], list[3]), place);
    a = _mm_madd_epi16(a, a);
    b = _mm_madd_epi16(b, b);
    const __m128i even = _mm_castps_si128(
        _mm_shuffle_ps(_mm_castsi128_ps(a), _mm_castsi128_ps(b), 0x88));
    const __m128i odd = _mm_castps_si128(
        _mm_shuffle_ps(_mm_castsi128_ps(a), _mm_castsi128_ps(b), 0xdd));
    _mm_storeu_si128((__m128i *)to, _mm_add_epi32(even, odd));
}

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

KQ_INLINE void distances(const int16_t *palette, const uint8_t *list, short4 place,
                         uint32_t *to)
{
    for (int i = 0; i < GROUP; i++) {
        const int16_t *entry = palette + KQ_CHANNELS * list[i];
        to[i] = 0;
        for (int c = 0; c < KQ_CHANNELS; c++)
            to[i] += (uint32_t)((entry[c] - place.v[c]) * (entry[c] - place.v[c]));
    }
}

#endif

/* The nearest of the entries in a list: a number of groups, then the groups. In order,
so ties go to the lowest index; the lower bits of a distance carry it. */
KQ_INLINE uint8_t nearest(const int16_t *palette, const uint8_t *list, short4 place)
{
    uint64_t best = UINT64_MAX;
    for (int groups = *list++; groups > 0; groups--, list += GROUP) {
        uint32_t squares[GROUP];
        distances(palette, list, place, squares);
        for (int i = 0; i < GROUP; i++) {
            const uint64_t next = (uint64_t)squares[i] << 8 | list[i];
            best = next < best ? next : best;
        }
    }
    return (uint8_t)best;
}

#endif
