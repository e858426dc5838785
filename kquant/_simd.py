"""Which instructions the kernel runs on: the best, or what KQUANT_SIMD says."""

from __future__ import annotations

import os

from . import _kernel


def _choose_level() -> str | None:
    """Obey KQUANT_SIMD, once, at import; return what is wrong with it.

    To choose later would be a data race between threads, and to raise here would
    make `import kquant` fail, so a wrong name is reported by the first call.
    """
    wanted = os.environ.get("KQUANT_SIMD", "")
    levels = [name for name in _kernel.LEVELS if _kernel.use_level(name)]
    if not wanted or (wanted in levels and _kernel.use_level(wanted)):
        return None  # the last one that could be set is the best there is
    known = f"this machine has {', '.join(levels)}"
    return (
        f"KQUANT_SIMD must be one of {', '.join(_kernel.LEVELS)}; {known}, got {wanted}"
    )


# What is wrong with KQUANT_SIMD, if anything is.
WRONG_LEVEL = _choose_level()
