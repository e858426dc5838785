/* How far two colours with alpha are from each other, exactly: what the grid rounds,
decides nothing here. */
#ifndef KQUANT_ALPHA_H
#define KQUANT_ALPHA_H

#include "bits.h"

#include <stdint.h>

/* 2 * 255^2 times the mean of two squared distances: of the two colours over black, and
of the two over white. d[c] is the difference of channel c times alpha, e that of 255
times alpha. They differ by d over black and by d - e over white. */
KQ_INLINE int64_t over_both(const int64_t *d, int64_t e)
{
    int64_t distance = 0;
    for (int c = 0; c < 3; c++)
        distance += d[c] * d[c] + (d[c] - e) * (d[c] - e);
    return distance;
}

/* Why KQ_SLACK is enough. Where a coordinate is rounded to the grid, it is wrong by at
most a half, and the difference of two by at most 1. In a plain space that holds for the
first three. The fourth is wrong by a little more, since half the distance between black
and white, 14133.535, was rounded too: the difference of two by at most 1.465. So a
distance on the grid is wrong by at most sqrt(3 + 1.465^2) < 2.27. An entry that is
truly the nearest is on the grid at most twice that, 4.54, farther than the one that is
nearest there. */

#endif
