"""Names of types; imported by type checkers only, as numpy.typing takes 5 ms."""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image

U8: TypeAlias = npt.NDArray[np.uint8]
U16: TypeAlias = npt.NDArray[np.uint16]
U32: TypeAlias = npt.NDArray[np.uint32]
U64: TypeAlias = npt.NDArray[np.uint64]
I16: TypeAlias = npt.NDArray[np.int16]
I32: TypeAlias = npt.NDArray[np.int32]
I64: TypeAlias = npt.NDArray[np.int64]
F32: TypeAlias = npt.NDArray[np.float32]
F64: TypeAlias = npt.NDArray[np.float64]
Bool: TypeAlias = npt.NDArray[np.bool_]
Index: TypeAlias = npt.NDArray[np.intp]
Size: TypeAlias = npt.NDArray[np.uintp]
AnyFloat: TypeAlias = npt.NDArray[np.floating]
AnyArray: TypeAlias = npt.NDArray[np.generic]

ImageLike: TypeAlias = Image.Image | npt.ArrayLike
Color: TypeAlias = tuple[int, ...]
Colors: TypeAlias = Image.Image | Sequence[str | Sequence[int]] | npt.ArrayLike
