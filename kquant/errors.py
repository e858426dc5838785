"""What can go wrong, as types: every error of this package is a `KquantError`."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .indexed import IndexedImage


class KquantError(Exception):
    """Base of all errors that kquant raises on purpose."""


class KquantWarning(UserWarning):
    """Something of an image was ignored or lost, which the message names."""


class InvalidValueError(KquantError, ValueError):
    """An argument has the right type but a value that cannot be used."""


class InvalidTypeError(KquantError, TypeError):
    """An argument has a type that cannot be used."""


class QualityError(KquantError, ValueError):
    """No result reaches what was asked for: a quality, or a size in bytes.

    Parameters
    ----------
    message : str
    best_image : IndexedImage, optional
        The best result, if it was a quality that could not be reached.
    best_bytes : int, optional
        The size of the smallest result, if it was a size.
    """

    def __init__(
        self,
        message: str,
        best_image: IndexedImage | None = None,
        best_bytes: int | None = None,
    ) -> None:
        super().__init__(message)
        self.best_image, self.best_bytes = best_image, best_bytes

    def __reduce__(
        self,
    ) -> tuple[type[QualityError], tuple[str, IndexedImage | None, int | None]]:
        return type(self), (str(self), self.best_image, self.best_bytes)


class ImageFileError(KquantError, OSError):
    """A file cannot be read as an image, or the result cannot be written.

    Parameters
    ----------
    path : str
        The file, as the caller named it.
    problem : str
        What happened.
    advice : str
        What to do about it.
    """

    def __init__(self, path: object, problem: str, advice: str) -> None:
        super().__init__(f"{path}: {problem}. {advice}.")
        self.path, self.problem, self.advice = str(path), problem, advice

    def __reduce__(self) -> tuple[type[ImageFileError], tuple[str, str, str]]:
        return type(self), (self.path, self.problem, self.advice)


class OutputExistsError(ImageFileError, FileExistsError):
    """The output exists and overwriting it was not asked for."""


# What libraries say when they had no memory, without raising MemoryError: the decoders
# of Pillow, zlib, libwebp (1 and 2 of its numbers), and NumPy, which forgets to say it.
_NO_MEMORY = (
    "out of memory", "insufficient memory", "cannot allocate", "error -4 while",
    "encoding error 1:", "encoding error 2:", "without exception set",
    "without setting an exception",
)  # fmt: skip


def is_memory(error: BaseException) -> bool:
    """Whether there was not enough memory, which says nothing about a file."""
    if isinstance(error, MemoryError):
        return True
    text = f"{error}:".lower()
    return any(words in text for words in _NO_MEMORY)


class NamingMemory:
    """A block that raises MemoryError for what is_memory() knows by other types."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, *_: object) -> None:
        if isinstance(error, KquantError | MemoryError) or error is None:
            return
        if isinstance(error, Exception) and is_memory(error):
            raise MemoryError("not enough memory") from error


class IgnoringDamage:
    """A block whose errors, those of a damaged file, are ignored; but not memory's."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, *_: object) -> bool:
        return isinstance(error, Exception) and not is_memory(error)
