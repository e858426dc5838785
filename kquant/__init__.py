"""K-means colour quantization: images to palettes of at most 256 colours."""

from importlib.metadata import version
from pkgutil import extend_path

# Run from the repository root, this folder shadows the installed package; the
# compiled module lives only in the latter, so search both.
__path__ = extend_path(__path__, __name__)

from .errors import (
    ImageFileError,
    InvalidTypeError,
    InvalidValueError,
    KquantError,
    OutputExistsError,
)
from .histogram import Histogram
from .indexed import IndexedImage, Region
from .palette import Palette
from .pipeline import FileReport, quantize, quantize_file

__version__ = version("kquant")

__all__ = [
    "FileReport",
    "Histogram",
    "ImageFileError",
    "IndexedImage",
    "InvalidTypeError",
    "InvalidValueError",
    "KquantError",
    "OutputExistsError",
    "Palette",
    "Region",
    "quantize",
    "quantize_file",
]
