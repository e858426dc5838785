/* The arithmetic of error diffusion and of the nearest-entry search, one operation for
all coordinates of a pixel. There are three versions of the same functions: AVX2 works
on two pixels at once (SIDE), SSE2, which every x86-64 has, on one, plain C on one. */
#ifndef KQUANT_DIFFUSE_SIMD_H
#define KQUANT_DIFFUSE_SIMD_H

#include "bits.h"
#include "kquant.h"

#include <string.h>

/* How many bits of each coordinate name a cell of the colour space, and how many more a
part of a cell. */
KQ_INLINE int cell_bits(size_t channels)
{
    return channels == 4 ? 4 : 5;
}

KQ_INLINE int part_bits(size_t channels)
{
    return channels == 4 ? 1 : 2;
}

#if defined(__SSE2__) && !defined(KQ_PLAIN)
#include <emmintrin.h>

typedef __m128i point; // a pixel: 16 bits for each coordinate, in the lower half

#if defined(__AVX2__)
#include <immintrin.h>

#define SIDE 2          // pixels at once
typedef __m256i fours;  // 32 bits for each coordinate of SIDE pixels
typedef __m256i points; // 16 bits for each, the pixels in one half each

#define V(name) _mm256_##name
#define V_BITS(name) _mm256_##name##_si256

KQ_INLINE fours same(__m128i v)
{
    return _mm256_broadcastsi128_si256(v);
}

KQ_INLINE fours in_32_bits(const int16_t *from)
{
    return _mm256_cvtepi16_epi32(_mm_loadu_si128((const __m128i *)from));
}

KQ_INLINE point point_of(points all, int i)
{
    return i ? _mm256_extracti128_si256(all, 1) : _mm256_castsi256_si128(all);
}

KQ_INLINE points join(const int16_t *const *from)
{
    return _mm256_inserti128_si256(
        _mm256_castsi128_si256(_mm_loadl_epi64((const __m128i *)from[0])),
        _mm_loadl_epi64((const __m128i *)from[1]), 1);
}

KQ_INLINE fours squares(const kq_group *group, point at)
{
    const __m256i *from = (const __m256i *)group;
    __m256i a = _mm256_loadu_si256(from), b = _mm256_loadu_si256(from + 1);
    a = _mm256_sub_epi16(a, _mm256_broadcastd_epi32(at));
    b = _mm256_sub_epi16(b, _mm256_broadcastd_epi32(_mm_srli_epi64(at, 32)));
    return _mm256_add_epi32(_mm256_madd_epi16(a, a), _mm256_madd_epi16(b, b));
}

/* The squared distances of four of each pixel's entries, or of the other four. */
KQ_INLINE void all_squares(const kq_group *const *groups, points at, fours *low,
                           fours *high)
{
    const __m256i a = squares(groups[0], point_of(at, 0));
    const __m256i b = squares(groups[1], point_of(at, 1));
    *low = _mm256_permute2x128_si256(a, b, 0x20);
    *high = _mm256_permute2x128_si256(a, b, 0x31);
}

KQ_INLINE fours lesser(fours a, fours b)
{
    return _mm256_min_epi32(a, b);
}

#else

#define SIDE 1
typedef __m128i fours;
typedef __m128i points;

#define V(name) _mm_##name
#define V_BITS(name) _mm_##name##_si128

KQ_INLINE fours same(__m128i v)
{
    return v;
}

KQ_INLINE fours in_32_bits(const int16_t *from)
{
    const __m128i v = _mm_loadl_epi64((const __m128i *)from);
    return _mm_srai_epi32(_mm_unpacklo_epi16(v, v), 16);
}

KQ_INLINE point point_of(points all, int i)
{
    (void)i;
    return all;
}

KQ_INLINE points join(const int16_t *const *from)
{
    return _mm_loadl_epi64((const __m128i *)from[0]);
}

KQ_INLINE fours half_squares(const int16_t *xy, const int16_t *zw, point at)
{
    __m128i a = _mm_loadu_si128((const __m128i *)xy);
    __m128i b = _mm_loadu_si128((const __m128i *)zw);
    a = _mm_sub_epi16(a, _mm_shuffle_epi32(at, 0x00));
    b = _mm_sub_epi16(b, _mm_shuffle_epi32(at, 0x55));
    return _mm_add_epi32(_mm_madd_epi16(a, a), _mm_madd_epi16(b, b));
}

KQ_INLINE void all_squares(const kq_group *const *groups, points at, fours *low,
                           fours *high)
{
    *low = half_squares(groups[0]->xy[0], groups[0]->zw[0], at);
    *high = half_squares(groups[0]->xy[4], groups[0]->zw[4], at);
}

KQ_INLINE fours lesser(fours a, fours b)
{
    const __m128i more = _mm_cmpgt_epi32(a, b);
    return _mm_or_si128(_mm_and_si128(more, b), _mm_andnot_si128(more, a));
}

#endif

KQ_INLINE fours zeros(void)
{
    return V_BITS(setzero)();
}

KQ_INLINE fours load_fours(const int32_t *from)
{
    return V_BITS(loadu)((const fours *)from);
}

KQ_INLINE void store_fours(fours v, int32_t *to)
{
    V_BITS(storeu)((fours *)to, v);
}

KQ_INLINE fours times_four(fours v)
{
    return V(slli_epi32)(v, 2);
}

KQ_INLINE fours add_seven(fours a, fours b)
{
    return V(sub_epi32)(V(add_epi32)(a, V(slli_epi32)(b, 3)), b);
}

KQ_INLINE fours three_five_one(fours a, fours b, fours c)
{
    const fours three = V(sub_epi32)(times_four(a), a);
    const fours five = V(add_epi32)(times_four(b), b);
    return V(add_epi32)(V(add_epi32)(three, five), c);
}

/* The points `from`, moved by sixteenths of errors, within the grid. */
KQ_INLINE points moved(const int16_t *from, fours sum)
{
    sum = V(srai_epi32)(V(add_epi32)(sum, V(set1_epi32)(8)), 4);
    sum = V(add_epi32)(in_32_bits(from), sum);
    sum = V(packs_epi32)(sum, sum);
    sum = V(max_epi16)(sum, zeros());
    return V(min_epi16)(sum, V(set1_epi16)(KQ_MOST));
}

/* The part of the errors that is passed on: strength / KQ_STRENGTH of the way from the
entries to the points, rounded. It is 0 for a pixel whose colour has an entry of its
own, which is what a first coordinate below 0 in `from` means. */
KQ_INLINE fours passed_on(points at, const int16_t *const *entries, int strength,
                          const int16_t *from)
{
    const fours away = V(unpacklo_epi16)(V(sub_epi16)(at, join(entries)), zeros());
    const fours parts = V(madd_epi16)(away, V(set1_epi32)(strength));
    const fours none = V(srai_epi32)(V(shuffle_epi32)(in_32_bits(from), 0), 31);
    return V_BITS(andnot)(
        none, V(srai_epi32)(V(add_epi32)(parts, V(set1_epi32)(KQ_STRENGTH / 2)),
                            KQ_STRENGTH_BITS));
}

/* The number of the cell that each point is in, and of the part of that cell. */
KQ_INLINE void find_cells(points at, size_t channels, uint32_t *cells, uint32_t *parts)
{
    const int bits = cell_bits(channels), more = part_bits(channels);
    const int low = channels == 4 ? bits : 0, last = channels == 4 ? more : 0;
    /* A point stands in its vector twice, see moved(): the lower four lanes become the
    bits of the cell, the upper four those of the part. The upper half of a product is a
    shift to the right that can differ from lane to lane. */
    const short whole = (short)(1 << (2 + bits)), cut = (short)(1 << (2 + bits + more));
    const short mask = (short)((1 << more) - 1);
    const fours shifts =
        same(_mm_setr_epi16(whole, whole, whole, whole, cut, cut, cut, cut));
    const fours masks = same(_mm_setr_epi16(-1, -1, -1, -1, mask, mask, mask, mask));
    const fours scales = same(_mm_setr_epi16(
        (short)(1 << (2 * bits + low)), (short)(1 << (bits + low)), (short)(1 << low),
        channels == 4, (short)(1 << (2 * more + last)), (short)(1 << (more + last)),
        (short)(1 << last), channels == 4));
    at = V_BITS (and)(V(mulhi_epu16)(at, shifts), masks);
    const fours pairs = V(madd_epi16)(at, scales);
    const fours sums = V_BITS(or)(pairs, V(srli_epi64)(pairs, 32));
    for (int i = 0; i < SIDE; i++) {
        const __m128i sum = point_of(sums, i);
        cells[i] = (uint32_t)_mm_cvtsi128_si32(sum);
        parts[i] = (uint32_t)_mm_extract_epi16(sum, 4);
    }
}

/* The entry of its group that is nearest to each point; the first one of several. */
KQ_INLINE void nearest_in_groups(const kq_group *const *groups, points at, int *nearest)
{
    fours a, b;
    all_squares(groups, at, &a, &b);
    fours min = lesser(a, b);
    min = lesser(min, V(shuffle_epi32)(min, 0x4e));
    min = lesser(min, V(shuffle_epi32)(min, 0xb1));
    const fours equal = V(packs_epi32)(V(cmpeq_epi32)(a, min), V(cmpeq_epi32)(b, min));
    const uint32_t bits = (uint32_t)V(movemask_epi8)(equal);
    for (int i = 0; i < SIDE; i++)
        nearest[i] = groups[i]->index[kq_zeros_below(bits >> 16 * i) / 2];
}

KQ_INLINE point load_point(const int16_t *from)
{
    return _mm_loadl_epi64((const __m128i *)from);
}

KQ_INLINE void store_point(point v, int16_t *to)
{
    _mm_storel_epi64((__m128i *)to, v);
}

/* A box, and an entry that others are compared to. Each vector has one pair of
coordinates, repeated. */
typedef struct {
    __m128i entry[2], low[2], high[2];
} box;

/* low and high are twice the corners of the box. */
KQ_INLINE box make_box(const int16_t *entry, const int16_t *low, const int16_t *high)
{
    const __m128i e = load_point(entry), l = load_point(low), h = load_point(high);
    return (box){{_mm_shuffle_epi32(e, 0x00), _mm_shuffle_epi32(e, 0x55)},
                 {_mm_shuffle_epi32(l, 0x00), _mm_shuffle_epi32(l, 0x55)},
                 {_mm_shuffle_epi32(h, 0x00), _mm_shuffle_epi32(h, 0x55)}};
}

KQ_INLINE __m128i excess(const int16_t *from, const box *in, int pair)
{
    const __m128i at = _mm_loadu_si128((const __m128i *)from), entry = in->entry[pair];
    const __m128i away = _mm_sub_epi16(at, entry);
    const __m128i more = _mm_cmpgt_epi16(at, entry);
    const __m128i corner = _mm_or_si128(_mm_and_si128(more, in->high[pair]),
                                        _mm_andnot_si128(more, in->low[pair]));
    return _mm_madd_epi16(away, _mm_sub_epi16(_mm_add_epi16(at, entry), corner));
}

/* A bit for each entry of a group that stays: all but those that are farther, at every
corner of the box, than the entry of the box. */
KQ_INLINE unsigned kept_in_group(const kq_group *group, const box *in)
{
    const __m128i none = _mm_setzero_si128();
    __m128i a = excess(group->xy[0], in, 0), b = excess(group->xy[4], in, 0);
    a = _mm_add_epi32(a, excess(group->zw[0], in, 1));
    b = _mm_add_epi32(b, excess(group->zw[4], in, 1));
    a = _mm_packs_epi32(_mm_cmpgt_epi32(a, none), _mm_cmpgt_epi32(b, none));
    return ~(unsigned)_mm_movemask_epi8(_mm_packs_epi16(a, a)) & 0xff;
}

#else

#define SIDE 1

typedef struct {
    int32_t v[KQ_CHANNELS];
} fours;

typedef struct {
    int16_t v[KQ_CHANNELS];
} point;

typedef point points;

KQ_INLINE fours zeros(void)
{
    return (fours){{0}};
}

KQ_INLINE fours load_fours(const int32_t *from)
{
    fours v;
    memcpy(v.v, from, sizeof v.v);
    return v;
}

KQ_INLINE void store_fours(fours v, int32_t *to)
{
    memcpy(to, v.v, sizeof v.v);
}

KQ_INLINE point load_point(const int16_t *from)
{
    point v;
    memcpy(v.v, from, sizeof v.v);
    return v;
}

KQ_INLINE void store_point(point v, int16_t *to)
{
    memcpy(to, v.v, sizeof v.v);
}

KQ_INLINE point point_of(points all, int i)
{
    (void)i;
    return all;
}

KQ_INLINE points join(const int16_t *const *from)
{
    return load_point(from[0]);
}

KQ_INLINE fours add_seven(fours a, fours b)
{
    for (int c = 0; c < KQ_CHANNELS; c++)
        a.v[c] += 7 * b.v[c];
    return a;
}

KQ_INLINE fours three_five_one(fours a, fours b, fours c)
{
    for (int i = 0; i < KQ_CHANNELS; i++)
        c.v[i] += 3 * a.v[i] + 5 * b.v[i];
    return c;
}

KQ_INLINE points moved(const int16_t *from, fours sum)
{
    points to;
    for (int c = 0; c < KQ_CHANNELS; c++) {
        int32_t at = from[c] + ((sum.v[c] + 8) >> 4);
        at = at > 0 ? at : 0;
        to.v[c] = (int16_t)(at < KQ_MOST ? at : KQ_MOST);
    }
    return to;
}

KQ_INLINE fours passed_on(points at, const int16_t *const *entries, int strength,
                          const int16_t *from)
{
    fours parts;
    for (int c = 0; c < KQ_CHANNELS; c++)
        parts.v[c] = from[0] < 0
                         ? 0
                         : ((at.v[c] - entries[0][c]) * strength + KQ_STRENGTH / 2)
                               >> KQ_STRENGTH_BITS;
    return parts;
}

KQ_INLINE void find_cells(points at, size_t channels, uint32_t *cells, uint32_t *parts)
{
    const int bits = cell_bits(channels), more = part_bits(channels);
    cells[0] = parts[0] = 0;
    for (size_t c = 0; c < channels; c++) {
        const uint32_t v = (uint32_t)at.v[c] >> (14 - bits - more);
        cells[0] = cells[0] << bits | v >> more;
        parts[0] = parts[0] << more | (v & ((1u << more) - 1));
    }
}

KQ_INLINE void nearest_in_groups(const kq_group *const *groups, points at, int *nearest)
{
    int32_t least = INT32_MAX;
    *nearest = 0;
    for (int j = 0; j < KQ_GROUP; j++) {
        int32_t next = 0;
        for (int c = 0; c < KQ_CHANNELS; c++) {
            const int d = (c < 2 ? groups[0]->xy : groups[0]->zw)[j][c % 2] - at.v[c];
            next += d * d;
        }
        *nearest = next < least ? groups[0]->index[j] : *nearest;
        least = next < least ? next : least;
    }
}

typedef struct {
    point entry, low, high;
} box;

KQ_INLINE box make_box(const int16_t *entry, const int16_t *low, const int16_t *high)
{
    return (box){load_point(entry), load_point(low), load_point(high)};
}

KQ_INLINE unsigned kept_in_group(const kq_group *group, const box *in)
{
    unsigned kept = 0;
    for (int j = 0; j < KQ_GROUP; j++) {
        int32_t excess = 0;
        for (int c = 0; c < KQ_CHANNELS; c++) {
            const int at = (c < 2 ? group->xy : group->zw)[j][c % 2];
            const int entry = in->entry.v[c];
            const int corner = at > entry ? in->high.v[c] : in->low.v[c];
            excess += (at - entry) * (at + entry - corner);
        }
        kept |= (unsigned)(excess <= 0) << j;
    }
    return kept;
}

#endif

#endif
