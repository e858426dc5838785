"""Quality, PSNR and squared error: one scale."""

import itertools
import math
import os

import numpy as np
import oracle
import pytest

import kquant
from kquant.fit.quality import (
    SCALE,
    mse_of,
    parse_quality,
    psnr_at,
    psnr_of,
    quality_of,
)

PHOTO = oracle.photo(7, 160, 200)


def test_the_scale_is_monotone_and_ends_lossless():
    steps = [psnr_of(quality) for quality in range(101)]
    assert all(a < b for a, b in itertools.pairwise(steps))
    assert steps[0] == 0
    assert steps[100] == math.inf
    assert [quality_of(psnr) for psnr in steps] == list(range(101))
    assert all(psnr_of(quality) == psnr for quality, psnr in SCALE)


def test_mse_and_psnr_are_each_other_s_inverse():
    for psnr in (1.0, 22.7, 40.0, 60.0):
        assert psnr_at(mse_of(psnr)) == pytest.approx(psnr)
    assert mse_of(math.inf) == 0
    assert psnr_at(0) == math.inf
    assert psnr_at(195075) == 0  # 3 * 255 squared


def test_the_guide_has_the_scale():
    path = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "guide.md")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    for quality, psnr in SCALE[1:]:
        assert f"| {quality} | {psnr:g} |" in text


def test_a_result_knows_its_quality():
    q = kquant.quantize(PHOTO, 20)
    assert psnr_of(q.quality) <= q.psnr < psnr_of(q.quality + 1)
    assert kquant.quantize(PHOTO // 128 * 255).quality == 100


@pytest.mark.parametrize(
    ("given", "pair"),
    [
        ("65-80", (65, 80)), ("-80", (0, 80)), ("65-", (65, 100)), ("80", (0, 80)),
        (80, (0, 80)), ((65, 80), (65, 80)), ([0, 100], (0, 100)),
        (np.int64(3), (0, 3)),
    ],
)  # fmt: skip
def test_forms_of_quality(given, pair):
    assert parse_quality(given) == pair


@pytest.mark.parametrize(
    ("given", "error"),
    [
        ("", ValueError), ("-", ValueError), ("a", ValueError), ("80-65", ValueError),
        ("0-101", ValueError), ("1-2-3", ValueError), ((1, 2, 3), TypeError),
        (101, ValueError), (-1, ValueError), (True, TypeError), (1.5, TypeError),
        ((1.5, 2), TypeError), ({}, TypeError), ("6 5", ValueError),
    ],
)  # fmt: skip
def test_other_forms_are_refused(given, error):
    with pytest.raises(error, match="quality must be"):
        kquant.quantize(PHOTO, quality=given)
