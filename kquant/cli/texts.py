"""What people and shells are told of the command line, from its tables."""

from __future__ import annotations

from .options import EXIT_CODES, GROUPS, OPTIONS, Option
from .verbs import PROG, QUANTIZE, VERBS, Verb

TYPE_CHECKING = False  # as in `options`
if TYPE_CHECKING:
    from .options import Values


def text_asked_for(verb: Verb, values: Values) -> str | None:
    """Make the text that the options ask for instead of work; None if they do not."""
    if "help" in values:
        return help_text() if verb is QUANTIZE else verb_help(verb)
    if "help_all" in values:
        return full_help()
    if "version" in values:
        return f"{PROG} {_version()}\n"
    if "print_completion" in values:
        return completion(values["print_completion"])
    if "print_man" in values:
        return man_page(_version())
    return None


def _version() -> str:
    from .. import __version__  # which is slow to look up

    return __version__


# ---- help


def help_text() -> str:
    """Make what --help prints: the common options, on one screen."""
    lines = [f"usage: {QUANTIZE.usage}", QUANTIZE.about]
    lines.append(
        f"All options: {PROG} --help-all. Commands, with a --help of their own: "
        f"{', '.join(VERBS)}."
    )
    lines += [_line(option) for option in OPTIONS if option.common]
    lines.append(
        "exit codes: 0 done, 1 failed, 2 usage, 15 exists, 98 larger, 99 bad quality"
    )
    return "\n".join(lines) + "\n"


def full_help() -> str:
    """Make what --help-all prints."""
    lines = [f"usage: {QUANTIZE.usage}"]
    lines += [f"       {verb.usage}" for verb in VERBS.values()]
    lines += ["", QUANTIZE.about]
    for title, group in GROUPS:
        lines += ["", f"{title}:", *map(_line, group)]
    lines += ["", "Commands:"]
    lines += [f"  {verb.name:26} {verb.summary}" for verb in VERBS.values()]
    lines += ["", "Exit codes:"]
    lines += [f"  {code:3}  {meaning}" for code, meaning in EXIT_CODES]
    return "\n".join(lines) + "\n"


def verb_help(verb: Verb) -> str:
    """Make what --help prints after the name of a command."""
    lines = [f"usage: {verb.usage}", "", verb.about]
    for title, group in verb.groups:
        lines += ["", f"{title}:" if title else "Options:", *map(_line, group)]
    return "\n".join(lines) + "\n"


def _line(option: Option) -> str:
    return f"  {option.shown:26} {option.help}"


# ---- completion


def completion(shell: str) -> str:
    """Make the script that completes options, their words and files, for one shell."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell]()


def _takes_value(option: Option) -> bool:
    """Whether the next word is the value of an option."""
    return bool(option.metavar) and option.usual is None


def _bash() -> str:
    cases = []
    for option in OPTIONS:
        if words := option.words:
            pattern = "|".join(option.names)
            cases.append(
                f'        {pattern}) COMPREPLY=($(compgen -W "{" ".join(words)}" '
                '-- "$word")); return ;;'
            )
    valued = "|".join(
        name
        for option in OPTIONS
        if _takes_value(option) and not option.words
        for name in option.names
    )
    flags = " ".join(name for option in OPTIONS for name in option.names)
    return f"""\
# bash completion for {PROG}: source this file, or put it where bash-completion looks.
_{PROG}() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}}
    COMPREPLY=()
    case $before in
{chr(10).join(cases)}
        {valued}) COMPREPLY=($(compgen -f -- "$word")); return ;;
    esac
    if [[ $word == -* ]]; then
        COMPREPLY=($(compgen -W "{flags}" -- "$word"))
    else
        COMPREPLY=($(compgen -f -- "$word"))
    fi
}}
complete -o filenames -F _{PROG} {PROG}
"""


def _zsh() -> str:
    lines = []
    for option in OPTIONS:
        text = option.help.replace("[", r"\[").replace("]", r"\]").replace(":", r"\:")
        text = text.replace("'", "")
        value = ""
        if option.metavar:
            words = option.words
            action = f"({' '.join(words)})" if words else "_files"
            value = (
                f"{'::' if option.usual is not None else ':'}{option.metavar}:{action}"
            )
        for name in option.names:
            equals = "=" if option.metavar and name.startswith("--") else ""
            equals += "-" if equals and option.usual is not None else ""
            lines.append(f"    '{name}{equals}[{text}]{value}' \\")
    options = "\n".join(lines)
    return f"""\
#compdef {PROG}
# zsh completion for {PROG}: put it as _{PROG} into a directory of $fpath.
_{PROG}() {{
    _arguments -s \\
{options}
    '*:file:_files'
}}
if [ "$funcstack[1]" = "_{PROG}" ]; then
    _{PROG} "$@"
else
    compdef _{PROG} {PROG}
fi
"""


def _fish() -> str:
    lines = [f"# fish completion for {PROG}: put it into ~/.config/fish/completions."]
    for option in OPTIONS:
        parts = [f"complete -c {PROG}"]
        for name in option.names:
            letter = "-l" if name.startswith("--") else "-s"
            parts.append(f"{letter} {name.lstrip('-')}")
        if words := option.words:
            exclusive = "-x" if _takes_value(option) else "-f"
            parts.append(f"{exclusive} -a '{' '.join(words)}'")
        elif _takes_value(option):
            parts.append("-r")
        text = option.help.replace("\\", "\\\\").replace("'", r"\'")
        lines.append(" ".join([*parts, f"-d '{text}'"]))
    return "\n".join(lines) + "\n"


# ---- the manual page


def man_page(version: str) -> str:
    """Make the manual page, as roff, which is installed as man1/kquant.1."""
    lines = [
        f'.TH KQUANT 1 "" "kquant {version}" "User Commands"',
        ".SH NAME",
        rf"{PROG} \- {QUANTIZE.summary}",
        ".SH SYNOPSIS",
        *_synopsis(QUANTIZE),
    ]
    for verb in VERBS.values():
        lines += [".br", *_synopsis(verb)]
    lines += [
        ".SH DESCRIPTION",
        *map(_roff, QUANTIZE.about.splitlines()),
        "The result of in.jpg is in\\-kq.png beside it, unless another name is asked "
        "for. A file that exists changes only when that was asked for and the new one "
        "is complete on the disk.",
    ]
    for title, group in GROUPS:
        lines.append(f".SH OPTIONS: {title.upper()}")
        for option in group:
            lines += [".TP", rf"\fB{_roff(option.shown)}\fR", _roff(option.help)]
    lines.append(".SH COMMANDS")
    for verb in VERBS.values():
        text = f"{verb.summary}; {verb.prog} --help lists its options"
        lines += [".TP", rf"\fB{_roff(verb.name)}\fR", _roff(text)]
    lines.append(".SH EXIT STATUS")
    for code, meaning in EXIT_CODES:
        lines += [".TP", rf"\fB{code}\fR", _roff(meaning)]
    lines += [
        ".SH ENVIRONMENT",
        "KQUANT_THREADS limits the threads, KQUANT_SIMD forces an instruction\\-set "
        "level; NO_COLOR, FORCE_COLOR and TERM decide about colours.",
        ".SH FILES",
        "A process that is killed may leave one file of the name "
        ".kquant\\-unfinished\\-*.tmp beside the output; it can be deleted.",
    ]
    return "\n".join(lines) + "\n"


def _synopsis(verb: Verb) -> list[str]:
    words = []
    for word in _roff(verb.operands).split():
        name = word.strip("[]")
        words.append(word.replace(name, rf"\fI{name}\fR") if name.isupper() else word)
    return [f".B {_roff(verb.prog)}", " ".join(words)]


def _roff(text: str) -> str:
    text = text.replace("\\", r"\e").replace("-", r"\-")
    return "\\&" + text if text.startswith((".", "'")) else text
