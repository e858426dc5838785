"""What users must be told before they run it: each line is an error of types.

Type checkers are set to complain of a comment that silences nothing.
"""

import numpy as np

import kquant

PIXELS = np.zeros((4, 4, 3), np.uint8)

kquant.quantize(PIXELS, effort="quick")  # type: ignore[arg-type]
kquant.quantize(PIXELS, space="rgb")  # type: ignore[arg-type]
kquant.quantize(PIXELS, "16")  # type: ignore[arg-type]
kquant.quantize(PIXELS, colours=16)  # type: ignore[call-arg]
kquant.quantize(PIXELS, order="darkest")  # type: ignore[arg-type]
kquant.quantize_file("in.png", icc="drop")  # type: ignore[arg-type]
kquant.quantize_file("in.png", space="rgb")  # type: ignore[arg-type]
kquant.quantize_file("in.png", max_bytes="100k")  # type: ignore[arg-type]
kquant.Palette.fit(PIXELS, effort="quick")  # type: ignore[arg-type]
kquant.Palette(["#000"]).map(PIXELS, space="rgb")  # type: ignore[arg-type]
kquant.quantize(PIXELS).palette = None  # type: ignore[misc, assignment]
kquant.no_such_name  # type: ignore[attr-defined]  # noqa: B018
