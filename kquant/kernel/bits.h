/* What hot loops share; and instructions that C has no word for, where the compiler has
one. */
#ifndef KQUANT_BITS_H
#define KQUANT_BITS_H

#include <stdint.h>

/* For functions that are called with constants: compiled once for each, as if the
constant stood in the code. Most take `channels`, 3 or 4, so that three coordinates cost
nothing for the fourth. */
#if defined(__GNUC__)
#define KQ_INLINE static inline __attribute__((always_inline))
#else
#define KQ_INLINE static inline
#endif

/* How many pixels or colours a loop works on at once, where that needs memory. */
#define BATCH 64

/* Zeros below the lowest one bit; bits is not 0. */
static inline int kq_zeros_below(uint64_t bits)
{
#if defined(__GNUC__)
    return __builtin_ctzll(bits);
#else
    int zeros = 0;
    for (; !(bits & 1); bits >>= 1)
        zeros++;
    return zeros;
#endif
}

/* Zeros above the highest one bit, of 32; bits is not 0. */
static inline int kq_zeros_above(uint32_t bits)
{
#if defined(__GNUC__)
    return __builtin_clz(bits);
#else
    int zeros = 32;
    for (; bits; bits >>= 1)
        zeros--;
    return zeros;
#endif
}

/* How many bits are set. */
static inline int kq_ones(uint32_t bits)
{
#if defined(__POPCNT__) || defined(__aarch64__)
    return __builtin_popcount(bits);
#else
    bits -= bits >> 1 & 0x55555555u;
    bits = (bits & 0x33333333u) + (bits >> 2 & 0x33333333u);
    bits = (bits + (bits >> 4)) & 0x0f0f0f0fu;
    return (int)(bits * 0x01010101u >> 24);
#endif
}

/* Ask for memory that will be read soon. */
static inline void kq_prefetch(const void *address)
{
#if defined(__GNUC__)
    __builtin_prefetch(address);
#else
    (void)address;
#endif
}

#endif
