import pytest

from kquant import _kernel

LEVELS = [name for name in ("base", "v3", "v4") if _kernel.use_level(name)]
BEST = LEVELS[-1]


@pytest.fixture(params=LEVELS)
def level(request):
    """Run a test once for each instruction-set level that this machine has."""
    assert _kernel.use_level(request.param)
    yield request.param
    _kernel.use_level(BEST)
