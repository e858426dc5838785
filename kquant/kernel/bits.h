/* Instructions that C has no word for, where the compiler has one. */
#ifndef KQUANT_BITS_H
#define KQUANT_BITS_H

#include <stdint.h>

/* For functions that are called with constants, to be compiled once for each. */
#if defined(__GNUC__)
#define KQ_INLINE static inline __attribute__((always_inline))
#else
#define KQ_INLINE static inline
#endif

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
static inline int kq_ones(uint64_t bits)
{
    bits -= bits >> 1 & 0x5555555555555555u;
    bits = (bits & 0x3333333333333333u) + (bits >> 2 & 0x3333333333333333u);
    bits = (bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0fu;
    return (int)(bits * 0x0101010101010101u >> 56);
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
