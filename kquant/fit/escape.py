"""Out of a local optimum: clusters that are cheap to lose move where they gain most."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from .. import _kernel

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from .._typing import F64, I16, I32
    from .lloyd import Lloyd
    from .problem import Effort

# How much chance weighs in the choice of cuts, so that every try is another one.
NOISE = 0.2


def escape(
    lloyd: Lloyd,
    effort: Effort,
    chance: random.Random,
    report: Callable[[float], None] = lambda fraction: None,
) -> None:
    """Move clusters to where they are worth more, while that lowers the error.

    Many centroids move at once, half as many after a round that failed; once it is
    only one, the next-best move is tried instead. `report` gets the part of the
    rounds that are done.
    """
    k = len(lloyd.centroids)
    best, error = lloyd.state(), lloyd.error()
    most, failures = max(1, k // 8), 0
    for done in range(effort.rounds):
        report(done / effort.rounds)
        gains, halves = lloyd.points.tree.splits(lloyd.labels, k)
        costs, partners = _kernel.merges(lloyd.sums, lloyd.centroids)
        costs[: lloyd.locked] = np.inf
        gains *= [1 - NOISE + 2 * NOISE * chance.random() for _ in range(k)]
        moves = _choose_moves(gains, effort.gain * costs, partners, most, failures)
        if not moves:
            break
        for given_up, cut in moves:
            _move(lloyd, given_up, cut, halves[cut])
        lloyd.assign()
        lloyd.iterate(effort.settle)
        if lloyd.error() < error:
            best, error, failures = lloyd.state(), lloyd.error(), 0
            continue
        lloyd.restore(best)
        if len(moves) == 1:
            failures += 1
        if failures > effort.failures:
            break
        most = max(1, len(moves) // 2)
    lloyd.restore(best)


def _move(lloyd: Lloyd, given_up: int, cut: int, halves: I16) -> None:
    """Let two centroids share what one of them had; a locked one stays."""
    if cut >= lloyd.locked:
        lloyd.centroids[given_up], lloyd.centroids[cut] = halves
        return
    away = ((halves.astype(np.int64) - lloyd.centroids[cut]) ** 2).sum(axis=1)
    lloyd.centroids[given_up] = halves[away.argmax()]


def _choose_moves(
    gains: F64, costs: F64, partners: I32, most: int, skip: int
) -> list[tuple[int, int]]:
    """Pair the cheapest merges with the best cuts, no cluster in two moves."""
    moves: list[tuple[int, int]] = []
    touched: set[int] = set()
    cuts = iter(np.argsort(-gains, kind="stable").tolist())
    cut = next(cuts)
    for given_up in np.argsort(costs, kind="stable").tolist():
        partner = int(partners[given_up])
        if given_up in touched or partner in touched:
            continue
        while cut in touched:
            cut = next(cuts, -1)
        if cut < 0 or gains[cut] <= costs[given_up]:
            break
        if cut in (given_up, partner):
            continue
        if skip:
            skip -= 1
            continue
        moves.append((given_up, cut))
        touched |= {given_up, partner, cut}
        if len(moves) == most:
            break
    return moves
