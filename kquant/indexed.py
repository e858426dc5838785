"""The result: an index map with its palette, and how far it is from the image."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from .color.ground import Ground
from .color.pixels import is_pillow, taken, warn
from .compare.regions import Region, worst_region
from .errors import InvalidValueError, NamingMemory
from .files.beside import NOTHING, Beside, beside_of
from .files.content import (
    Content,
    WriteOptions,
    as_depth,
    as_pillow,
    check_optimize,
)
from .files.disk import check_link, check_target, lost_attributes, write_file
from .files.encode import FORMATS, encode
from .fit.quality import psnr_at, quality_of
from .parallel import Workers

if TYPE_CHECKING:
    import numpy.typing as npt
    from PIL import Image

    from ._palette import Palette
    from ._typing import U8, ImageLike
    from .files.disk import PathLike
    from .files.metadata import Metadata


@dataclass(frozen=True, eq=False, repr=False)
class IndexedImage:
    """An image of at most 256 colours: an index map and a palette.

    Attributes
    ----------
    indices : (H, W) uint8 array, read-only
        Index of each pixel's palette entry, always below ``len(palette)``.
    palette : Palette
        The colours; its `counts` are the pixels that use each.
    mse : float
        Mean over the pixels of the squared Euclidean distance to the original, in
        sRGB code values 0..255, summed over the three channels. With alpha: the mean
        of that when both are shown over black and over white. It does not depend on
        `space`, so results compare.
    max_error_srgb : float
        The largest distance of a pixel to its entry, in sRGB code values: the root of
        the squared distance that `mse` is the mean of.
    distinct : int
        Distinct colours of the original.
    iterations : int
        Rounds of k-means on all colours; 0 if there was nothing to optimize.
    converged : bool
        Whether k-means ended because the error had stopped falling.
    dither : str
        The dithering, as ``"floyd-steinberg"`` or ``"blue-noise:0.5"``; ``"none"`` if
        every pixel has its nearest entry.
    max_error_in_space : float, optional
        What became of the argument `max_error`, in its unit: the largest distance of
        a protected colour to its nearest entry, in `space`. None if `max_error` was
        not given.
    """

    indices: U8
    palette: Palette
    mse: float
    max_error_srgb: float
    distinct: int
    iterations: int
    converged: bool
    dither: str = "none"
    max_error_in_space: float | None = None
    _fixed: bool = field(default=False, kw_only=True)  # the palette must stay as it is
    _exact: bool = field(default=True, kw_only=True)  # the original had no finer values
    _ground: Ground = field(default=Ground(), kw_only=True)  # of the original
    _beside: Beside | None = field(default=None, kw_only=True)  # what else it said

    @property
    def max_error(self) -> float:
        """The same as `max_error_srgb`; the argument `max_error` has another unit."""
        return self.max_error_srgb

    @property
    def psnr(self) -> float:
        """Peak signal-to-noise ratio, ``10 log10(3 * 255**2 / mse)`` dB."""
        return psnr_at(self.mse)

    @property
    def quality(self) -> int:
        """On pngquant's scale, 0..100 (lossless): the guide has the table."""
        return quality_of(self.psnr)

    @property
    def lossless(self) -> bool:
        """Whether every pixel has exactly its original colour.

        What had finer values than 8 bits hold, and lost them, is not lossless, nor is
        what lost its transparency.
        """
        return self.max_error_srgb == 0 and self._exact and self._ground.same

    def _of(self, image: object, *, exact: bool) -> IndexedImage:
        """Return the result for an original of which the pixels may be a part."""
        beside = beside_of(image) if is_pillow(image) else None
        if exact and beside is None:
            return self
        return replace(self, _exact=exact, _beside=beside)

    def to_array(self) -> U8:
        """Return the image as a new uint8 array, (H, W, 3) or with alpha (H, W, 4)."""
        colors: U8 = np.asarray(self.palette)
        return taken(colors, self.indices)

    def __array__(
        self, dtype: npt.DTypeLike | None = None, copy: bool | None = None
    ) -> npt.NDArray[Any]:
        """Let NumPy see the picture: ``np.asarray(q)`` is `to_array()`."""
        if copy is False:
            raise ValueError("a picture of indices cannot be seen without a copy")
        array = self.to_array()
        return array if dtype is None else array.astype(dtype)

    def worst(self, image: ImageLike | None = None) -> Region:
        """Find the region whose mean colour is farthest from that of the original.

        A colour that few pixels have can be lost without a trace in `mse`: a red
        patch on a map, a lamp in the dark. Means are those of 8 x 8 pixels, so
        dithering does not count as an error.

        Parameters
        ----------
        image : PIL.Image.Image or array_like
            The original, as `quantize` got it: a result is small, and does not keep
            its image.

        Returns
        -------
        Region

        Raises
        ------
        TypeError, ValueError
            If there is no `image`, or one of another size.
        """
        if image is None:
            raise InvalidValueError(
                "worst() needs the original, which a result does not keep: "
                "give it, as q.worst(image)"
            )
        with NamingMemory():
            return worst_region(image, self)

    def to_pillow(self) -> Image.Image:
        """Return the image as a Pillow image of mode P."""
        return as_pillow(self.indices, np.asarray(self.palette))

    def save(
        self,
        path: PathLike,
        *,
        force: bool = False,
        strip: bool = False,
        optimize: int | None = None,
        depth: int | None = None,
        palette_png: bool = False,
        threads: int | None = None,
    ) -> int:
        """Write the image as an indexed file, of the format that the name ends in.

        Parameters
        ----------
        path : str or path-like
            Ends in ``.png`` (of 1, 2, 4 or 8 bits, as few as the palette needs; grey
            without a palette where that is smaller),
            ``.gif``, ``.webp`` (lossless), ``.tif``, ``.tiff`` or ``.bmp``.
        force : bool, default False
            Whether an existing file may be replaced. It is off because an existing
            file may be all that somebody has. One that another program changes
            meanwhile is kept.
        strip, optimize, depth, palette_png, threads
            As for `quantize_file`.

        Returns
        -------
        int
            The size of the file in bytes.

        Raises
        ------
        FileExistsError
            If the file exists and `force` is not set.
        OSError
            If it cannot be written, or the format cannot hold its transparency. No
            incomplete file is left.

        Warns
        -----
        KquantWarning
            Of what the image said beside its pixels, as a copyright: the resolution
            alone is written, where the format can hold it. `quantize_file` can keep
            the rest.
        """
        options = WriteOptions(
            strip,
            check_optimize(optimize),
            None if depth is None else as_depth("depth", depth),
            palette_png,
        )
        target = check_target(path, force=force)
        check_link(path, target, FORMATS)
        if self.indices.max(initial=0) >= len(self.palette):
            raise InvalidValueError(
                f"indices must be below the palette's {len(self.palette)} entries, got "
                f"{self.indices.max()}: they have been changed"
            )
        beside = NOTHING if self._beside is None else self._beside
        with Workers(threads) as workers:
            encoded = encode(path, content_of(self, None, beside.dpi), options, workers)
        lost = write_file(path, encoded, force=force, seen=target.before)
        if lost:
            warn(lost_attributes(path, lost))
        if not strip:
            for note in beside.notes(path):
                warn(note)
        return len(encoded)

    def __setstate__(self, state: dict[str, object]) -> None:
        """Take what a pickle or a copy holds, read-only as it was."""
        self.__dict__.update(state)
        self.indices.flags.writeable = False

    def __repr__(self) -> str:
        height, width = self.indices.shape
        quality = "lossless" if self.lossless else f"mse {self.mse:.2f}"
        return (
            f"IndexedImage({width} x {height}, {len(self.palette)} colors, {quality})"
        )


def content_of(
    image: IndexedImage,
    icc: bytes | None = None,
    dpi: tuple[float, float] | None = None,
    metadata: Metadata | None = None,
) -> Content:
    """Say what a file of an image is to show."""
    return Content(
        image.indices, np.asarray(image.palette), image._fixed, icc, dpi, metadata
    )
