"""What shells and manuals want to know of the command line, from its one table."""

from .options import ABOUT, EXIT_CODES, GROUPS, MORE, OPTIONS, PROG, Option


def completion(shell: str) -> str:
    """Make the script that completes options, their words and files, for one shell."""
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell]()


def _words(option: Option) -> tuple[str, ...]:
    if option.dest == "dither" and option.metavar == "HOW":
        return ("floyd-steinberg", "blue-noise", "bayer")
    return getattr(option.convert, "words", ())


def _takes_value(option: Option) -> bool:
    """Whether the next word is the value of an option."""
    return bool(option.metavar) and option.usual is None


def _bash() -> str:
    cases = []
    for option in OPTIONS:
        if words := _words(option):
            pattern = "|".join(option.names)
            cases.append(
                f'        {pattern}) COMPREPLY=($(compgen -W "{" ".join(words)}" '
                '-- "$word")); return ;;'
            )
    valued = "|".join(
        name
        for option in OPTIONS
        if _takes_value(option) and not _words(option)
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
            words = _words(option)
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
        if words := _words(option):
            exclusive = "-x" if _takes_value(option) else "-f"
            parts.append(f"{exclusive} -a '{' '.join(words)}'")
        elif _takes_value(option):
            parts.append("-r")
        text = option.help.replace("\\", "\\\\").replace("'", r"\'")
        lines.append(" ".join([*parts, f"-d '{text}'"]))
    return "\n".join(lines) + "\n"


def man_page(version: str) -> str:
    """Make the manual page, as roff, which is installed as man1/kquant.1."""
    lines = [
        f'.TH KQUANT 1 "" "kquant {version}" "User Commands"',
        ".SH NAME",
        r"kquant \- reduce images to palettes of at most 256 colours",
        ".SH SYNOPSIS",
        ".B kquant",
        r"[\fIOPTION\fR ...] [\fICOLORS\fR] [\-\-] \fIFILE\fR ...",
        ".br",
        r".B kquant bench",
        r"[\fIOPTION\fR ...] [\fIFILE\fR ...]",
        ".SH DESCRIPTION",
        _roff(ABOUT),
        _roff(MORE.splitlines()[0]),
        "The result of in.jpg is in\\-kq.png beside it, unless another name is asked "
        "for. A file that exists changes only when that was asked for and the new one "
        "is complete on the disk.",
    ]
    for title, group in GROUPS:
        lines.append(f".SH OPTIONS: {title.upper()}")
        for option in group:
            lines += [".TP", rf"\fB{_roff(option.shown)}\fR", _roff(option.help)]
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


def _roff(text: str) -> str:
    text = text.replace("\\", r"\e").replace("-", r"\-")
    return "\\&" + text if text.startswith((".", "'")) else text
