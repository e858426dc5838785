/* Which instruction-set level runs. The only file that knows processors; it
holds no arithmetic. */
#include "kquant.h"
#include "level.h"

#if defined(__AVX__) && !defined(KQ_NATIVE)
#error "dispatch.c must run everywhere: build without -march (or with -DKQ_NATIVE)"
#endif

typedef size_t assign_function(const kq_tree *, size_t, size_t, const int16_t *, size_t,
                               uint8_t *, int64_t *);

assign_function kq_assign_base, kq_assign_v3, kq_assign_v4;

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

static assign_function *assign = kq_assign_base;

int kq_use_level(int level)
{
    assign_function *chosen = 0;
    if (level == 1)
        chosen = kq_assign_base;
#ifdef KQ_HAVE_V3
    if (level == 3 && cpu_has_v3())
        chosen = kq_assign_v3;
#endif
#ifdef KQ_HAVE_V4
    if (level == 4 && cpu_has_v4())
        chosen = kq_assign_v4;
#endif
    if (chosen)
        assign = chosen;
    return chosen != 0;
}

size_t kq_assign(const kq_tree *tree, size_t first, size_t last,
                 const int16_t *centroids, size_t k, uint8_t *labels, int64_t *sums)
{
    return assign(tree, first, last, centroids, k, labels, sums);
}
