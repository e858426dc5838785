/*
Which instruction-set level runs. The only file that knows processors; it holds no
arithmetic.

To compile one more function for every level, add it to

- kquant.h: its declaration, as of any other function;
- level.h: its name;
- here, in five places: its type, a member of `functions`, the declarations of its
  levels, FUNCTIONS, and the function that calls the chosen one;
- meson.build: its file, in leveled_sources (and not in sources), if it is a new one;
- _kernel.pyx: its declaration.
*/
#include "kquant.h"

#if defined(__AVX__) && !defined(KQ_NATIVE)
#error "dispatch.c must run everywhere: build without -march (or with -DKQ_NATIVE)"
#endif

/* The functions of one level. */
typedef size_t assign_function(const kq_tree *, size_t, size_t, const int16_t *, size_t,
                               uint8_t *, int64_t *);
typedef size_t assign_alpha_function(const kq_tree *, size_t, size_t, const int16_t *,
                                     const kq_alpha *, size_t, uint8_t *, int64_t *);
typedef double measure_function(const kq_image *, const int64_t *, const uint8_t *,
                                const uint8_t *, size_t, int64_t *, double *);
typedef void prepare_function(const kq_picture *, size_t, size_t, int16_t *);
typedef void diffuse_function(const kq_picture *, const int16_t *, kq_nearest *, size_t,
                              size_t, uint8_t *);
typedef void mix_function(const kq_picture *, size_t, size_t, uint32_t *);
typedef void ordered_function(const kq_picture *, const uint32_t *, size_t, size_t,
                              const uint8_t *, uint32_t *, uint8_t *);

typedef struct {
    assign_function *assign;
    assign_alpha_function *assign_alpha;
    measure_function *measure;
    prepare_function *prepare;
    diffuse_function *diffuse;
    mix_function *mix;
    ordered_function *ordered;
} functions;

assign_function kq_assign_base, kq_assign_v3, kq_assign_v4;
assign_alpha_function kq_assign_alpha_base, kq_assign_alpha_v3, kq_assign_alpha_v4;
measure_function kq_measure_base, kq_measure_v3, kq_measure_v4;
prepare_function kq_prepare_base, kq_prepare_v3, kq_prepare_v4;
diffuse_function kq_diffuse_base, kq_diffuse_v3, kq_diffuse_v4;
mix_function kq_mix_base, kq_mix_v3, kq_mix_v4;
ordered_function kq_ordered_base, kq_ordered_v3, kq_ordered_v4;

#define FUNCTIONS(level)                                              \
    {kq_assign_##level,  kq_assign_alpha_##level, kq_measure_##level, \
     kq_prepare_##level, kq_diffuse_##level,      kq_mix_##level,     \
     kq_ordered_##level}

#if defined(KQ_HAVE_V3) && defined(_MSC_VER) && !defined(__clang__)
#include <immintrin.h>
#include <intrin.h>

/* Does the processor report bit `bit` of register `reg` (eax, ebx, ecx, edx)
of leaf `leaf`? */
static int cpu_bit(int leaf, int reg, int bit)
{
    int registers[4];
    __cpuid(registers, 0);
    if (registers[0] < leaf)
        return 0;
    __cpuidex(registers, leaf, 0);
    return registers[reg] >> bit & 1;
}

/* Does the operating system keep these parts of the register file? */
static int os_saves(unsigned long long parts)
{
    return cpu_bit(1, 2, 27) && (_xgetbv(0) & parts) == parts;
}

static int cpu_has_v3(void)
{
    return os_saves(0x06) && cpu_bit(1, 2, 12) && cpu_bit(7, 1, 5) && cpu_bit(7, 1, 8);
}

static int cpu_has_v4(void)
{
    return os_saves(0xe6) && cpu_has_v3() && cpu_bit(7, 1, 16) && cpu_bit(7, 1, 17)
           && cpu_bit(7, 1, 28) && cpu_bit(7, 1, 30) && cpu_bit(7, 1, 31);
}
#elif defined(KQ_HAVE_V3)
static int cpu_has_v3(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
           && __builtin_cpu_supports("bmi2");
}

static int cpu_has_v4(void)
{
    return cpu_has_v3() && __builtin_cpu_supports("avx512f")
           && __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512cd")
           && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
}
#endif

static const functions base = FUNCTIONS(base);
#ifdef KQ_HAVE_V3
static const functions v3 = FUNCTIONS(v3);
#endif
#ifdef KQ_HAVE_V4
static const functions v4 = FUNCTIONS(v4);
#endif

static const functions *now = &base;

int kq_use_level(int level)
{
    const functions *chosen = NULL;
    if (level == 1)
        chosen = &base;
#ifdef KQ_HAVE_V3
    if (level == 3 && cpu_has_v3())
        chosen = &v3;
#endif
#ifdef KQ_HAVE_V4
    if (level == 4 && cpu_has_v4())
        chosen = &v4;
#endif
    if (chosen)
        now = chosen;
    return chosen != NULL;
}

size_t kq_assign(const kq_tree *tree, size_t first, size_t last,
                 const int16_t *centroids, size_t k, uint8_t *labels, int64_t *sums)
{
    return now->assign(tree, first, last, centroids, k, labels, sums);
}

size_t kq_assign_alpha(const kq_tree *tree, size_t first, size_t last,
                       const int16_t *centroids, const kq_alpha *alpha, size_t k,
                       uint8_t *labels, int64_t *sums)
{
    return now->assign_alpha(tree, first, last, centroids, alpha, k, labels, sums);
}

double kq_measure(const kq_image *image, const int64_t *weights, const uint8_t *labels,
                  const uint8_t *palette, size_t k, int64_t *counts, double *largest)
{
    return now->measure(image, weights, labels, palette, k, counts, largest);
}

void kq_prepare(const kq_picture *picture, size_t first, size_t last, int16_t *prepared)
{
    now->prepare(picture, first, last, prepared);
}

void kq_diffuse(const kq_picture *picture, const int16_t *prepared, kq_nearest *search,
                size_t first, size_t last, uint8_t *indices)
{
    now->diffuse(picture, prepared, search, first, last, indices);
}

void kq_mix(const kq_picture *picture, size_t first, size_t last, uint32_t *mixes)
{
    now->mix(picture, first, last, mixes);
}

void kq_ordered(const kq_picture *picture, const uint32_t *mixes, size_t first,
                size_t last, const uint8_t *thresholds, uint32_t *found,
                uint8_t *indices)
{
    now->ordered(picture, mixes, first, last, thresholds, found, indices);
}
