"""Make kquant/mapping/blue_noise.bin: 64 x 64 thresholds 0..255 by void and cluster.

R. Ulichney, "The void-and-cluster method for dither array generation", Proc. SPIE 1913,
1993. Usage: python docs/blue_noise.py FILE
"""

import sys

import numpy as np

SIZE = 64
SIGMA = 1.5


def falloff() -> np.ndarray:
    """Tell what one dot adds to the density at each distance, around the edges."""
    d = np.minimum(np.arange(SIZE), SIZE - np.arange(SIZE))
    return np.exp(-(d[:, None] ** 2 + d**2) / (2 * SIGMA**2))


def around(place: int, kernel: np.ndarray) -> np.ndarray:
    """Tell what a dot at this place adds to the density."""
    return np.roll(kernel, divmod(place, SIZE), (0, 1))


def tightest(dots: np.ndarray, density: np.ndarray) -> int:
    """Find the dot where dots are densest."""
    return int(np.where(dots, density, -np.inf).argmax())


def emptiest(dots: np.ndarray, density: np.ndarray) -> int:
    """Find the place without a dot where dots are rarest."""
    return int(np.where(dots, np.inf, density).argmin())


def void_and_cluster() -> np.ndarray:
    """Ranks 0..SIZE**2 - 1: the first n are as far apart as n dots can be."""
    kernel, chance = falloff(), np.random.default_rng(1)
    dots = np.zeros(SIZE * SIZE, bool)
    dots[chance.permutation(SIZE * SIZE)[: SIZE * SIZE // 10]] = True
    dots = dots.reshape(SIZE, SIZE)
    density = sum(around(int(i), kernel) for i in np.flatnonzero(dots))
    while True:  # spread the first dots out
        moved = tightest(dots, density)
        dots.flat[moved] = False
        density = density - around(moved, kernel)
        place = emptiest(dots, density)
        dots.flat[place] = True
        density = density + around(place, kernel)
        if place == moved:
            break
    ranks = np.zeros((SIZE, SIZE), int)
    first, rest = dots.copy(), density.copy()
    for rank in range(int(dots.sum()) - 1, -1, -1):
        place = tightest(first, rest)
        ranks.flat[place] = rank
        first.flat[place] = False
        rest = rest - around(place, kernel)
    for rank in range(int(dots.sum()), SIZE * SIZE):
        place = emptiest(dots, density)
        ranks.flat[place] = rank
        dots.flat[place] = True
        density = density + around(place, kernel)
    return ranks


if __name__ == "__main__":
    thresholds = void_and_cluster() * 256 // SIZE**2
    with open(sys.argv[1], "wb") as file:
        file.write(thresholds.astype(np.uint8).tobytes())
