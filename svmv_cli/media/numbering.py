"""Rows of numbered pictures: how their names are made, and which row a folder holds. Opens no picture."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from svmv_cli.errors import InputError, UsageError

# Suffixes of still pictures, and what they are called in an output's name.
PICTURE_SUFFIXES = {
    ".bmp": "bmp",
    ".jpeg": "jpeg",
    ".jpg": "jpeg",
    ".png": "png",
    ".tif": "tiff",
    ".tiff": "tiff",
    ".webp": "webp",
}
_PLACE = re.compile(r"%(?:0?(?P<width>\d+))?d")
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class Numbering:
    """Names that differ in one number, and the numbers in use."""

    folder: Path
    before: str  # of the name, in front of the number
    width: int  # digits at least, filled up with zeros; 1 fills nothing up
    after: str  # of the name, behind the number, with its suffix
    first: int = 1
    count: int = 0  # pictures; 0 while none are there

    def path(self, index: int) -> Path:
        """The picture at `index`, counted from 0."""
        return self.folder / self.name(self.first + index)

    @property
    def last(self) -> int:
        """The last picture's number."""
        return self.first + self.count - 1

    @property
    def suffix(self) -> str:
        """With its dot, in lower case."""
        return Path(f"1{self.after}").suffix.lower()

    @property
    def pattern(self) -> Path:
        """The names as a pattern, e.g. `frames/%05d.png`."""
        place = "%d" if self.width == 1 else f"%0{self.width}d"
        return self.folder / f"{self.before.replace('%', '%%')}{place}{self.after.replace('%', '%%')}"

    def number_of(self, name: str) -> int | None:
        """The number that makes `name`; None if no number does."""
        digits = name[len(self.before) : len(name) - len(self.after)]
        if not digits.isdecimal() or not digits.isascii():
            return None
        return int(digits) if self.name(int(digits)) == name else None

    def name(self, number: int) -> str:
        """The picture of that number, without its folder."""
        return f"{self.before}{number:0{self.width}d}{self.after}"


def is_pattern(path: Path) -> bool:
    """Whether a path names a row of pictures, as `%d` or `%05d` does; an existing file of that name is a file."""
    return bool(_PLACE.search(path.name.replace("%%", ""))) and not path.exists()


def parse_pattern(path: Path) -> Numbering:
    """The names that a pattern stands for; numbers begin at 1 until a row is found.

    Raises:
        UsageError: it holds no place for a number, or several.
    """
    parts = path.name.split("%%")
    places = [(index, match) for index, part in enumerate(parts) for match in _PLACE.finditer(part)]
    if len(places) != 1:
        raise UsageError(
            f"{path} has {len(places) or 'no'} places for a number", hint="Write one, for example frames/%05d.png."
        )
    index, match = places[0]
    before = "%".join([*parts[:index], parts[index][: match.start()]])
    after = "%".join([parts[index][match.end() :], *parts[index + 1 :]])
    return Numbering(path.parent, before, max(int(match["width"] or 1), 1), after)


def find_row(pattern: Path) -> Numbering:
    """The row of pictures that a pattern names, wherever its numbers begin.

    Raises:
        UsageError: the pattern is none.
        InputError: there is no such picture, or a number is missing in the row.
    """
    names = parse_pattern(pattern)
    if not names.folder.is_dir():
        raise InputError(f"there is no folder {names.folder}", hint="Check the spelling.")
    numbers = [number for name in _files_in(names.folder) if (number := names.number_of(name)) is not None]
    if not numbers:
        raise InputError(f"no picture is called {pattern}", hint=_what_is_there(names.folder))
    return _row(names, numbers)


def find_row_in(folder: Path) -> Numbering | None:
    """The row of pictures that is all a folder holds of pictures; None if it holds none.

    Hidden files and files that are no pictures are passed over.

    Raises:
        InputError: the pictures are several rows or of several kinds, have no numbers, or one is missing.
    """
    names = [name for name in _files_in(folder) if Path(name).suffix.lower() in PICTURE_SUFFIXES]
    if not names:
        return None
    shape = _common_shape(names)
    if shape is None:
        patterns = _patterns(folder, names)
        which = ", ".join(str(p) for p in patterns[:3]) + (" …" if len(patterns) > 3 else "")
        raise InputError(
            f"the pictures in {folder} are no single numbered row", hint=f"Give one row by its pattern; there: {which}."
        )
    before, place, after = shape
    digits = [_DIGITS.split(name)[place] for name in names]
    row = Numbering(folder, before, min(len(d) for d in digits), after)
    for name in names:
        if row.number_of(name) is None:
            raise InputError(
                f"{folder / name} is numbered in another way than its neighbours",
                hint="Give all numbers the same number of digits, or fill none up with zeros.",
            )
    return _row(row, [int(d) for d in digits])


def pattern_like(path: Path) -> Path:
    """The pattern that a single picture's name would belong to, its last number taken as the one that counts."""
    return _patterns(path.parent, [path.name])[0]


def _files_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if not path.name.startswith(".") and path.is_file()]


def _row(names: Numbering, numbers: list[int]) -> Numbering:
    row = replace(names, first=min(numbers), count=max(numbers) - min(numbers) + 1)
    missing = row.count - len(numbers)
    if missing:
        held = set(numbers)
        gap = next(index for index in range(row.count) if row.first + index not in held)
        others = f" and {missing - 1} more are" if missing > 1 else " is"
        raise InputError(
            f"{row.path(gap)}{others} missing: the pictures go from {row.first} to {row.last}",
            hint="Number them without gaps, or move the part you want into a folder of its own.",
        )
    return row


def _common_shape(names: Sequence[str]) -> tuple[str, int, str] | None:
    """What is in front of the number, the number's place among the split parts, and what is behind it.

    The number is the one run of digits in which the names differ; of a single name it is the last.
    """
    split = [_DIGITS.split(name) for name in names]
    if any(len(parts) != len(split[0]) or parts[::2] != split[0][::2] for parts in split):
        return None
    runs = range(1, len(split[0]), 2)
    differing = [place for place in runs if len({parts[place] for parts in split}) > 1] or list(runs)[-1:]
    if len(differing) != 1:
        return None
    place = differing[0]
    return "".join(split[0][:place]), place, "".join(split[0][place + 1 :])


def _patterns(folder: Path, names: Sequence[str]) -> list[Path]:
    """Patterns for names of all sorts, the last run of digits taken as their number; the longest rows first."""
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name in names:
        parts = _DIGITS.split(name)
        key = ("".join(parts[:-2]), parts[-1]) if len(parts) > 1 else (name, "")
        found[key].append(parts[-2] if len(parts) > 1 else "")
    rows = sorted(found.items(), key=lambda row: (-len(row[1]), row[0]))
    return [
        Numbering(folder, before, min(len(d) for d in digits), after).pattern if digits[0] else folder / before
        for (before, after), digits in rows
    ]


def _what_is_there(folder: Path) -> str:
    names = [name for name in _files_in(folder) if Path(name).suffix.lower() in PICTURE_SUFFIXES]
    rows = _patterns(folder, names)
    if not rows:
        return f"There are no pictures in {folder}."
    return f"There is {', '.join(str(row) for row in rows[:3])}."
