"""Takes a command line apart: which options were given, and which files."""

from __future__ import annotations

from .options import UsageError

TYPE_CHECKING = False  # as in `options`
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .options import Option, Values


def parse(
    arguments: Iterable[str],
    options: Iterable[Option],
    exists: Callable[[str], bool],
) -> tuple[Values, list[str]]:
    """Take a command line apart.

    Parameters
    ----------
    arguments : iterable of str
    options : iterable of Option
        Those that may be given.
    exists : callable
        Whether a file has this name: then it is no value of an option that may do
        without one.

    Returns
    -------
    tuple of dict and list
        Values by `dest`, of the options that were given; and the names of files.

    Raises
    ------
    UsageError
    """
    line = _Line(arguments, options, exists)
    while line.rest:
        line.take(line.rest.pop(0))
    line.take_leading()
    return line.values, line.names


class _Line:
    """A command line: words that are still to be taken, and what the others mean."""

    def __init__(
        self,
        arguments: Iterable[str],
        options: Iterable[Option],
        exists: Callable[[str], bool],
    ) -> None:
        self._options = {name: option for option in options for name in option.names}
        self._exists = exists
        self.rest = list(arguments)
        self.values: Values = {}
        self.names: list[str] = []

    def take(self, word: str) -> None:
        """Take a word, and the value that follows it if it is an option with one."""
        if word == "--":
            self.names += self.rest
            self.rest = []
        elif word == "-" or not word.startswith("-"):
            self.names.append(word)
        elif word.startswith("--"):
            name, equals, text = word.partition("=")
            self._set(self._find(name), name, text if equals else None)
        else:
            self._take_letters(word)

    def take_leading(self) -> None:
        """Take a number before the files for the value that may stand there."""
        if len(self.names) < 2 or not _is_count(self.names[0]):
            return
        for option in self._options.values():
            if option.leads and option.dest not in self.values:
                if not self._exists(self.names[0]):
                    self.values[option.dest] = option.convert(self.names.pop(0))
                return

    def _take_letters(self, word: str) -> None:
        """Take the letters of -fq, or of -k16."""
        for i in range(1, len(word)):
            name = f"-{word[i]}"
            option = self._find(name)
            if option.metavar:
                text = word[i + 1 :].removeprefix("=")
                self._set(option, name, text or None)
                return
            self._set(option, name, None)

    def _find(self, name: str) -> Option:
        if name in self._options:
            return self._options[name]
        near = [
            known for known in self._options if len(name) > 3 and known.startswith(name)
        ]
        # Of --palette and --palette-png the shorter one says enough.
        near = [
            known
            for known in near
            if not any(known.startswith(f"{other}-") for other in near)
        ]
        if not near and len(name) > 3:
            from difflib import get_close_matches  # slow to import, and seldom of use

            near = get_close_matches(name, self._options, 2, 0.75)
        hint = f" (did you mean {' or '.join(near)}?)" if near else ""
        raise UsageError(f"unknown option {name}{hint}")

    def _set(self, option: Option, name: str, text: str | None) -> None:
        if not option.metavar:
            if text is not None:
                raise UsageError(f"{name} takes no value, got {text!r}")
            self.values[option.dest] = option.value
            return
        if text is None:
            text = self._following(option, name)
        try:
            self.values[option.dest] = option.convert(text)
        except ValueError as error:
            raise UsageError(f"{name} must be {error}, got {text!r}") from None

    def _following(self, option: Option, name: str) -> str:
        """Give the value of an option: the next word, or the usual one."""
        if option.usual is None:
            if not self.rest:
                raise UsageError(f"{name} needs a value, {option.metavar}")
            return self.rest.pop(0)
        if self.rest and self._is_value(option, self.rest[0]):
            return self.rest.pop(0)
        if self.rest and option.words and self._is_bare(self.rest[0]):
            return self.rest.pop(0)  # a word that no file has: what is wrong with it
        return option.usual

    def _is_bare(self, text: str) -> bool:
        """Whether a word is no file, and does not look like the name of one either."""
        return text.isalpha() and not self._exists(text)

    def _is_value(self, option: Option, text: str) -> bool:
        """Whether what follows is the value that may follow."""
        if option.convert is str or self._exists(text) or text.startswith("-"):
            return False
        try:
            option.convert(text)
        except ValueError:
            return False
        return True


def _is_count(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 3
