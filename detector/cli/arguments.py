"""Arguments: a parser with an example and one-line errors, and the flags that several scripts share."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from detector import __version__, as_called
from detector.cli.output import DISCLAIMER
from detector.cli.run import fail

T = TypeVar("T")
N = TypeVar("N", int, float)

# Titles of the help, in its order.
GROUPS = ("input", "data", "selection", "model", "evaluation", "outputs", "computing")
# Suffixes that promise a format.
OTHER_FORMATS = frozenset(
    {".csv", ".tsv", ".xls", ".xlsx", ".ods", ".parquet", ".json", ".yaml", ".yml", ".xml", ".pkl", ".npy", ".npz"}
    | {".html", ".htm", ".pdf", ".doc", ".docx", ".odt", ".md", ".png", ".jpg", ".jpeg", ".svg", ".tif", ".tiff"}
    | {".h5", ".hdf5", ".keras", ".zip"}
)


class _WithDefaults(argparse.ArgumentDefaultsHelpFormatter):
    """Show defaults, where there is a value to show: not of switches, nor of what is empty where it is not given."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return super()._get_help_string(action) if action.default else action.help

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return "\n".join(super(_WithDefaults, self)._fill_text(line, width, indent) for line in text.splitlines())


class Parser(argparse.ArgumentParser):
    """`argparse` with examples in the help, one a line, and an error of a single line."""

    def __init__(self, description: str, example: str) -> None:
        super().__init__(
            description=as_called(f"{description} {DISCLAIMER}"),
            epilog=as_called("\n".join(f"example: {one}" for one in example.splitlines())),
            formatter_class=_WithDefaults,
            allow_abbrev=False,
        )
        # Whatever flag takes a path: a path has lost a slash of the URL.
        self.register("type", Path, local_path)
        self.add_argument("--version", action="version", version=f"%(prog)s {__version__}")

    def error(self, message: str) -> NoReturn:
        """Print the message as one line and exit with status 2."""
        fail(self.prog, f"{message} (see {self.prog} --help)")


def flag(group: str, default: Any, text: str, *names: str, **settings: Any) -> Any:
    """Return a field of a dataclass of options that is a flag as well: its default and its help stand here, once.

    `group` is the title under which the help shows it. A default of False makes a switch, a path a flag of paths.
    `names` are short names, beside ``--`` and the field's own; or that of the field alone, for an argument without a
    flag. `settings` are of `argparse.ArgumentParser.add_argument`; with ``either``, a word, one flag of that word at
    most can be given.
    """
    return field(default=default, metadata={"group": group, "help": text, "names": names, **settings})


def parse(options: type[T], description: str, example: str, arguments: Sequence[str] | None) -> T:
    """Parse the command line of a script whose flags are the fields of a dataclass of options."""
    parser = Parser(description, example)
    groups = {title: parser.add_argument_group(title) for title in GROUPS}
    exclusive: dict[str, argparse._MutuallyExclusiveGroup] = {}
    flags = [one for one in fields(options) if one.metadata]  # type: ignore[arg-type]
    for one in flags:
        settings = dict(one.metadata)
        names, either = settings.pop("names"), settings.pop("either", None)
        group: argparse._ActionsContainer = groups[settings.pop("group")]
        if either:
            group = exclusive.setdefault(either, exclusive.get(either) or group.add_mutually_exclusive_group())
        if one.default is False:
            settings.setdefault("action", "store_true")
        elif isinstance(one.default, Path):
            settings.setdefault("type", Path)
        if one.name not in names:
            names, settings["default"] = (*names, f"--{one.name.replace('_', '-')}"), one.default
        group.add_argument(*names, **settings)
    given = parser.parse_args(arguments)
    return options(**{one.name: getattr(given, one.name) for one in flags})


def local_path(text: str) -> Path:
    """Parse a path that is no URL, for `argparse`: each flag of type `Path` is parsed so."""
    if re.match(r"[a-z][a-z0-9+.-]+://", text, re.IGNORECASE):  # a folder C: is none
        raise argparse.ArgumentTypeError(f"{text} is a URL; download what it names and give its path")
    return Path(text)


def output_of(*suffixes: str) -> Callable[[str], Path]:
    """Return a parser of output files, for `argparse`, that rejects the suffix of a format which is not written.

    `suffixes` are those of the format that is written, the usual one first.
    """

    def parse(text: str) -> Path:
        path = local_path(text)
        if path.suffix.lower() in OTHER_FORMATS - {*suffixes}:
            raise argparse.ArgumentTypeError(
                f"{text} does not name what is written; give a name that ends in {suffixes[0]}"
            )
        return path

    return parse


def whole_number(least: int) -> Callable[[str], int]:
    """Return a parser of whole numbers from `least` up, for `argparse`."""
    return _number(int, lambda value: value >= least, f"an integer ≥ {least}")


def between(low: float, high: float) -> Callable[[str], float]:
    """Return a parser of numbers strictly between `low` and `high`, for `argparse`."""
    return _number(float, lambda value: low < value < high, f"a number between {low:g} and {high:g}")


def _number(kind: Callable[[str], N], fits: Callable[[N], bool], what: str) -> Callable[[str], N]:
    def parse(text: str) -> N:
        with suppress(ValueError):
            if fits(value := kind(text)):
                return value
        raise argparse.ArgumentTypeError(f"{text!r} is not {what}")

    return parse


def column_names(text: str) -> tuple[str, ...]:
    """Parse names of columns, separated by commas, for `argparse`."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


@dataclass(frozen=True, kw_only=True)
class CommonOptions:
    """What every script can be asked for."""

    quiet: bool = flag("computing", False, "print results only: no stages, no progress")
    verbose: bool = flag("computing", False, "TensorFlow's log, and where an internal error arose")


def seed_flag() -> Any:
    """Return the flag of the seed."""
    return flag("computing", 42, "seed of all random numbers", type=whole_number(0), metavar="N")
