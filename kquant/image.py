"""Files and Pillow images to arrays and back: all that knows Pillow or the disk."""

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import BinaryIO, TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from .errors import (
    ImageFileError,
    InvalidTypeError,
    InvalidValueError,
    OutputExistsError,
)

ImageLike: TypeAlias = Image.Image | npt.ArrayLike
PathLike: TypeAlias = str | os.PathLike[str]

# What Pillow may decode. EPS starts Ghostscript, PSD, PDF and scientific formats
# are large attack surfaces and nobody quantizes them.
FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "TIFF", "GIF", "BMP", "PPM", "JPEG2000")


# ---- images and arrays


def as_pixels(image: ImageLike) -> np.ndarray:
    """Bring an image into the one form that the rest works on.

    Parameters
    ----------
    image : PIL.Image.Image or array_like
        A Pillow image of any mode, or an array (H, W) or (H, W, 1|2|3|4) of uint8,
        uint16 or float in 0..1, with any strides.

    Returns
    -------
    (H, W, 3) uint8 array, or (H, W, 4) if any pixel is not opaque, H and W at least 1;
    a view where that is possible.

    Raises
    ------
    TypeError
        If it is no image, or an array of another type.
    ValueError
        If it has another shape, no pixels, or floats beyond 0..1.
    """
    if isinstance(image, Image.Image):
        return _array_pixels(_pillow_array(image))
    if isinstance(image, str | bytes | os.PathLike):
        raise InvalidTypeError(
            f"image must be a Pillow image or an array, got {type(image).__name__}; "
            "quantize_file() takes paths"
        )
    try:
        array = np.asarray(image)
    except (ValueError, TypeError) as error:
        raise InvalidTypeError(f"image cannot be made an array: {error}") from None
    return _array_pixels(array)


def _pillow_array(image: Image.Image) -> np.ndarray:
    """Give the samples of any Pillow image in a layout that _array_pixels() takes."""
    if min(image.size) == 0:
        raise InvalidValueError(f"image has no pixels: {image.width} x {image.height}")
    if image.mode == "La":  # premultiplied; Pillow converts it to nothing else
        image = image.convert("LA")
    if image.mode.startswith("I"):  # Pillow would clip these to 8 bits
        return _integer_array(image)
    if image.has_transparency_data and image.mode not in ("RGBA", "LA"):
        image = image.convert("RGBA")
    if image.mode not in ("L", "LA", "RGB", "RGBA", "F"):
        try:
            image = image.convert("L" if image.mode == "1" else "RGB")
        except ValueError:
            raise InvalidValueError(
                f"image has mode {image.mode}, which Pillow cannot convert to RGB"
            ) from None
    return np.asarray(image)


def _integer_array(image: Image.Image) -> np.ndarray:
    """Give 16-bit grey, with alpha where one value is declared to be transparent."""
    samples = np.asarray(image)
    if samples.min() < 0 or samples.max() > 65535:  # mode I is 32 bits wide
        raise InvalidValueError(
            f"image of mode I must hold 0..65535, got {samples.min()}..{samples.max()}"
        )
    opaque = samples != image.info.get("transparency")
    samples = samples.astype(np.uint16, copy=False)  # to this byte order
    if opaque.all():
        return samples
    return np.stack([samples, np.uint16(65535) * opaque], axis=2)


def _array_pixels(array: np.ndarray) -> np.ndarray:
    kind, size = array.dtype.kind, array.dtype.itemsize
    if not (kind in "bf" or (kind == "u" and size <= 2)):
        raise InvalidTypeError(
            f"image must be of uint8, uint16 or float in 0..1, got {array.dtype}"
        )
    if array.ndim not in (2, 3) or (
        array.ndim == 3 and array.shape[2] not in range(1, 5)
    ):
        raise InvalidValueError(
            f"image must be (H, W) or (H, W, 1|2|3|4), got shape {array.shape}"
        )
    if array.size == 0:
        raise InvalidValueError(f"image has no pixels: shape {array.shape}")
    samples = _as_bytes(array)
    if samples.ndim == 2:
        samples = samples[:, :, np.newaxis]
    channels = samples.shape[2]
    if channels in (2, 4):
        if samples[:, :, -1].min() < 255:
            return samples if channels == 4 else samples[:, :, [0, 0, 0, 1]]
        samples = samples[:, :, : channels - 1]
    return np.broadcast_to(samples, (*samples.shape[:2], 3))


def _as_bytes(array: np.ndarray) -> np.ndarray:
    """Bring samples to 0..255: v / 257 of 16 bits, 255 v of floats, rounded."""
    if array.dtype == np.uint8:
        return array
    if array.dtype.kind == "u":
        return ((array.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if array.dtype == bool:
        return array.astype(np.uint8) * np.uint8(255)
    if not (array.min() >= 0 and array.max() <= 1):  # also refuses NaN
        raise InvalidValueError(
            "image of floats must be within 0..1 and without NaN, "
            f"got {array.min():g}..{array.max():g}; divide by its maximum"
        )
    scaled = array.astype(np.float32 if array.itemsize < 8 else np.float64)
    return np.rint(scaled * 255).astype(np.uint8)


def as_pillow(indices: np.ndarray, colors: np.ndarray) -> Image.Image:
    """(H, W) uint8 indices and (K, 3|4) uint8 colours -> Pillow image of mode P."""
    image = Image.fromarray(indices)  # of mode L: same bytes
    image.putpalette(np.ascontiguousarray(colors[:, :3]).tobytes())
    if colors.shape[1] == 4:
        # A table of alpha that ends with the last entry that is not opaque.
        alpha = colors[:, 3].tobytes().rstrip(b"\xff")
        if alpha:
            image.info["transparency"] = alpha
    return image


def is_pillow(image: object) -> bool:
    """Whether this is a Pillow image, of any mode."""
    return isinstance(image, Image.Image)


def image_palette(image: Image.Image) -> np.ndarray:
    """(K, 3|4) uint8 entries of a Pillow image of mode P or PA, used or not."""
    if image.mode not in ("P", "PA") or image.palette is None:
        raise InvalidValueError(
            f"palette image must have mode P, got {image.mode}; quantize it first"
        )
    colors = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)
    if len(colors) == 0:
        raise InvalidValueError("palette image must have colours, got an empty palette")
    transparency = image.info.get("transparency")
    if image.palette.mode == "RGBA":
        return np.array(image.getpalette("RGBA"), np.uint8).reshape(-1, 4)
    if transparency is None:
        return colors
    alpha = np.full(len(colors), 255, np.uint8)
    if isinstance(transparency, int):
        alpha[transparency : transparency + 1] = 0
    else:
        given = np.frombuffer(transparency, np.uint8)[: len(colors)]
        alpha[: len(given)] = given
    return np.column_stack([colors, alpha])


def as_pillow_rgb(pixels: np.ndarray) -> Image.Image:
    """(H, W, 3) uint8 -> Pillow image of mode RGB."""
    return Image.fromarray(np.ascontiguousarray(pixels))


def as_rgb(image: Image.Image | np.ndarray) -> np.ndarray:
    """(..., 3) uint8 of a Pillow image, or the array itself."""
    if isinstance(image, np.ndarray):
        return image
    return np.asarray(image.convert("RGB"))


# ---- reading


@contextlib.contextmanager
def reading(path: PathLike) -> Iterator[None]:
    """Turn what goes wrong with a file, or its content, into an `ImageFileError`."""
    try:
        yield
    except ImageFileError:
        raise
    except FileNotFoundError:
        raise ImageFileError(path, "no such file", "Check the name") from None
    except OSError as error:
        if os.path.isdir(path):  # reported as many things on many systems
            raise ImageFileError(path, "is a directory", "Name a file in it") from None
        raise ImageFileError(
            path, f"cannot be read ({error.strerror or error})", "Check its mode"
        ) from None
    except InvalidValueError as error:
        raise ImageFileError(
            path, str(error), "Convert it to an RGB image first"
        ) from None


def read_pixels(path: PathLike) -> np.ndarray:
    """Decode an image file, upright, to (H, W, 3|4) uint8.

    Raises
    ------
    ImageFileError
        If there is no such file, or it cannot be read as one still image.
    """
    with reading(path), open(path, "rb") as file:
        return as_pixels(_decode(path, file))


def read_mask(path: PathLike) -> np.ndarray:
    """Decode an image file to (H, W) int64, the luma 0..255 of its pixels."""
    pixels = read_pixels(path)[..., :3].astype(np.int64)
    return (pixels @ np.array([299, 587, 114]) + 500) // 1000


def read_palette(path: PathLike) -> np.ndarray:
    """(K, 3|4) uint8 entries of an image file of mode P, used or not."""
    with reading(path), open(path, "rb") as file:
        image = _decode(path, file)
        if image.mode not in ("P", "PA"):
            raise ImageFileError(
                path, "has no palette", "Give an indexed image, or .gpl, .hex or .act"
            )
        return image_palette(image)


def _decode(path: PathLike, file: BinaryIO) -> Image.Image:
    limit = Image.MAX_IMAGE_PIXELS
    try:
        image = Image.open(file, formats=FORMATS)
        if limit is not None and image.width * image.height > limit:
            raise Image.DecompressionBombError
        # The further images of a camera's MPO are previews and second views.
        frames = getattr(image, "n_frames", 1) if image.format != "MPO" else 1
        if frames == 1:
            image.load()
            return ImageOps.exif_transpose(image)
        problem = f"{frames} frames; quantizing one would lose the others"
        advice = "Save the frame you want as an image of its own"
    except UnidentifiedImageError:
        problem = "not an image kquant reads"
        advice = f"It reads {', '.join(FORMATS)}"
    except (Image.DecompressionBombError, Image.DecompressionBombWarning):
        problem = f"more than the limit of {limit:,} pixels"
        advice = "Scale it down first"
    except MemoryError:
        problem, advice = "not enough memory to decode it", "Scale it down first"
    except Exception as error:  # damaged files make Pillow raise nearly any
        problem, advice = f"truncated or damaged ({error})", "Get an undamaged copy"
    raise ImageFileError(path, problem, advice)


# ---- writing


def encode_png(image: Image.Image) -> bytes:
    """PNG file of an image of mode P, with as few bits a pixel as its palette needs."""
    encoded = BytesIO()
    image.save(encoded, "PNG")
    return encoded.getvalue()


def check_format(path: PathLike) -> None:
    """Refuse names that promise another format than `encode_png` makes.

    Raises
    ------
    ImageFileError
        If the name does not end in ``.png``.
    """
    if Path(path).suffix.lower() != ".png":
        raise ImageFileError(path, "cannot write this format", "End the name in .png")


def check_target(path: PathLike, *, force: bool) -> Path:
    """Return where a file may be written: known before any work is done.

    Raises
    ------
    OutputExistsError
        If the file exists and `force` is not set.
    ImageFileError
        If it is no regular file, or its directory cannot take files.
    """
    target = Path(path)
    if os.path.isdir(target):  # Path.is_dir() raises for names that are too long
        raise ImageFileError(path, "is a directory", "Name a file in it")
    if os.path.lexists(target):
        if not force:
            raise OutputExistsError(
                path, "exists", "Choose to overwrite it, or another name"
            )
        target = Path(os.path.realpath(target))  # a link stays, what it names changes
        if os.path.exists(target) and not os.path.isfile(target):
            raise ImageFileError(path, "is not a regular file", "Choose another name")
    folder = target.parent
    if not os.path.isdir(folder):
        raise ImageFileError(path, "its directory does not exist", "Make it first")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ImageFileError(
            path, "no permission to write into its directory", "Choose another place"
        )
    return target


def write_file(path: PathLike, content: bytes, *, force: bool) -> None:
    """Write a file that is complete or not there; an existing one only by force.

    The content goes to a temporary file in the same directory, which is flushed to
    the disk and then takes the name in one step.

    Raises
    ------
    OutputExistsError, ImageFileError
        As for `check_target`, and if the disk is full.
    """
    target = check_target(path, force=force)
    temporary = target.with_name(f".kquant-{secrets.token_hex(8)}.tmp")
    try:
        # Not mkstemp(): its files are private to the user, and to give them the
        # usual mode one must change the umask of the whole process to learn it.
        handle = os.open(
            temporary,
            os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0),
            0o666,
        )
        with open(handle, "wb") as file:
            if force:  # before there is anything to read
                with contextlib.suppress(FileNotFoundError):
                    os.chmod(temporary, stat.S_IMODE(os.stat(target).st_mode))
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if force:
            os.replace(temporary, target)
        else:
            _rename_new(temporary, target)
        _sync_directory(target.parent)
    except FileExistsError:
        raise OutputExistsError(
            path, "exists", "Choose to overwrite it, or another name"
        ) from None
    except OSError as error:
        raise ImageFileError(
            path, f"cannot be written ({error.strerror or error})", "Check the disk"
        ) from None
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)


def _rename_new(temporary: Path, target: Path) -> None:
    """Rename, but fail if the target has come to exist meanwhile."""
    try:
        os.link(temporary, target)
    except FileExistsError:
        raise
    except OSError:
        # No hard links here (FAT, some network disks): take the name, then fill it.
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL))
        try:
            os.replace(temporary, target)
        except BaseException:
            os.unlink(target)
            raise


def _sync_directory(folder: Path) -> None:
    """Make the rename itself survive a power cut, where directories can be opened."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
