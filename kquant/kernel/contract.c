/* What a caller may ask about values before it hands them on. Loops go on to their end,
as they become vector operations without a branch. */
#include <fenv.h>

#include "kquant.h"

/* The state of the processor is the caller's: it is put back. fegetround() would ask one
of the two units of x86 alone. */
int kq_is_exact(void)
{
    fenv_t callers;
    fegetenv(&callers);
    fesetround(FE_TONEAREST);
    /* Compilers cannot know what a volatile variable holds. */
    volatile double most = 9007199254740992.0, one = 1, near = 1 + DBL_EPSILON;
    volatile double five = 5, three = 3, square = near * near;
    const double a = most, b = one, c = near, d = three;
    const double quotients[] = {five / d, one / d, near / d, most / d};
    /* The sum is not taken apart, the product is rounded before the difference, and no
    division is made a product with the reciprocal. */
    const volatile int exact = (a + b) - a == 0 && c * c - square == 0
                               && quotients[0] == 5.0 / 3.0 && quotients[1] == 1.0 / 3.0
                               && quotients[2] == (1 + DBL_EPSILON) / 3.0
                               && quotients[3] == 9007199254740992.0 / 3.0;
    fesetenv(&callers);
    return exact;
}

int kq_are_labels(const uint8_t *labels, size_t n, size_t k)
{
    uint8_t most = 0;
    for (size_t i = 0; i < n; i++)
        most = labels[i] > most ? labels[i] : most;
    return most < k;
}

int kq_are_on_grid(const int16_t *coords, size_t n)
{
    int16_t least = 0, most = 0;
    for (size_t i = 0; i < n; i++) {
        least = coords[i] < least ? coords[i] : least;
        most = coords[i] > most ? coords[i] : most;
    }
    return least == 0 && most <= KQ_MOST;
}

int kq_are_weights(const int64_t *weights, size_t n, int64_t least)
{
    uint64_t any = 0, total = 0;
    for (size_t i = 0; i < n; i++)
        any |= (uint64_t)weights[i] - (uint64_t)least;
    if (any >= 2 * (uint64_t)KQ_MOST_WEIGHT) /* as a negative number is, too */
        return 0;
    if (any + (uint64_t)least <= (uint64_t)KQ_MOST_WEIGHT / n)
        return 1; /* as those of nearly all pictures */
    for (size_t i = 0; i < n && total <= (uint64_t)KQ_MOST_WEIGHT; i++)
        total += (uint64_t)weights[i];
    return total <= (uint64_t)KQ_MOST_WEIGHT;
}

int kq_are_sums(const int64_t *sums, size_t k)
{
    for (size_t i = 0; i < k; i++, sums += KQ_SUMS) {
        if (sums[0] < 0 || sums[0] > KQ_MOST_WEIGHT)
            return 0;
        for (size_t c = 1; c < KQ_SUMS; c++)
            if (sums[c] < 0 || sums[c] > sums[0] * KQ_MOST)
                return 0;
    }
    return 1;
}
