"""Decimal arithmetic, whose results are the same on every machine.

The pow() and log10() of C differ between machines in the last bit. What the caller's
own context says, its precision and traps, does not count here.
"""

from __future__ import annotations

from decimal import ROUND_HALF_EVEN, Context

# For localcontext(), which copies it.
ARITHMETIC = Context(
    prec=28,
    rounding=ROUND_HALF_EVEN,
    Emin=-999999,
    Emax=999999,
    capitals=1,
    clamp=0,
    flags=[],
    traps=[],
)
