"""K-means colour quantization: images to palettes of at most 256 colours."""

import os
import sys
from _thread import RLock  # threading itself takes longer than --help may

# Run from the repository root, this folder shadows the installed package; the
# compiled module lives only in the latter, so search both. (An editable install has
# no folder, and finds everything by itself.)
_folder = __path__[0]
if os.path.isdir(_folder) and not any(
    name.startswith("_kernel.") and name.endswith((".so", ".pyd"))
    for name in os.listdir(_folder)
):
    _others = (os.path.join(base, __name__) for base in sys.path)
    __path__ += [path for path in _others if os.path.isdir(path)]

# Where the public names are. Modules are imported when a name is first used, so that
# `kquant --help` answers before NumPy has been read from the disk.
_HOMES = {
    "FileReport": "convert",
    "Histogram": "color.histogram",
    "ImageFileError": "errors",
    "IndexedImage": "indexed",
    "InvalidTypeError": "errors",
    "InvalidValueError": "errors",
    "KquantError": "errors",
    "KquantWarning": "errors",
    "OutputExistsError": "errors",
    "Palette": "_palette",
    "QualityError": "errors",
    "Region": "compare.regions",
    "quantize": "pipeline",
    "quantize_file": "convert",
}

__all__ = [
    "FileReport",
    "Histogram",
    "ImageFileError",
    "IndexedImage",
    "InvalidTypeError",
    "InvalidValueError",
    "KquantError",
    "KquantWarning",
    "OutputExistsError",
    "Palette",
    "QualityError",
    "Region",
    "quantize",
    "quantize_file",
]

# A child that is forked while another thread imports would wait for that thread, which
# it has not: so a fork waits for the import.
_importing = RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_importing.acquire,
        after_in_parent=_importing.release,
        after_in_child=_importing.release,
    )

TYPE_CHECKING = False  # type checkers take it for True; typing itself is slow to import
if TYPE_CHECKING:
    from ._palette import Palette
    from .color.histogram import Histogram
    from .compare.regions import Region
    from .convert import FileReport, quantize_file
    from .errors import (
        ImageFileError,
        InvalidTypeError,
        InvalidValueError,
        KquantError,
        KquantWarning,
        OutputExistsError,
        QualityError,
    )
    from .indexed import IndexedImage
    from .pipeline import quantize

    __version__: str


if not TYPE_CHECKING:  # for which any name would exist

    def __getattr__(name: str) -> object:
        if name == "__version__":
            from importlib.metadata import version

            value: object = version("kquant")
        elif name in _HOMES:
            from importlib import import_module

            with _importing:
                value = getattr(import_module(f".{_HOMES[name]}", __name__), name)
        else:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = value  # the next time this function is not asked
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES, "__version__"})
