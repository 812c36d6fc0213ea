"""What outputs are called, which paths are inputs, and which are refused. Opens no file."""

import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from svmv_cli.errors import InputError, OutputError, UsageError
from svmv_cli.media.containers import CONTAINERS, VIDEO_SUFFIXES
from svmv_cli.pipeline.request import Request

FALLBACK_SUFFIX = ".mkv"  # holds any stream
_OWN = re.compile(r"(?P<source>.+)_(?:slow\d+x|\d+x|\d+(?:\.\d+)?fps)$")
_DIGITS = re.compile(r"(\d+)")


@dataclass(frozen=True, slots=True)
class Job:
    """The files of one command."""

    sources: tuple[Path, ...]
    output: Path | None  # only ever with a single source


def sort_out(paths: Sequence[Path], *, output: Path | None, output_dir: Path | None, overwrite: bool) -> Job:
    """Tell inputs from the output.

    With `-o` or `--output-dir` every positional path is an input. Otherwise, of exactly two paths that are no
    folders, the second is the OUTPUT: a new name with a video extension, or an existing file when `overwrite`
    says it may be replaced. One path, three or more, or a folder among them: all are inputs.

    Raises:
        UsageError: it cannot be told which is meant.
        InputError: a folder has no video in it.
    """
    if output is None and output_dir is None and len(paths) == 2 and not any(p.is_dir() for p in paths):
        source, output = paths
        _check_second(source, output, overwrite=overwrite)
        paths = [source]
    sources = tuple(_expand(paths))
    if output is not None and (len(paths) > 1 or paths[0].is_dir()):
        raise UsageError("-o/--output names one file, but there are several inputs", hint="Use --output-dir.")
    if len(set(sources)) < len(sources):
        raise UsageError("an input is given twice")
    return Job(sources, output)


def _check_second(source: Path, second: Path, *, overwrite: bool) -> None:
    # A path that is the input itself goes on and is refused by that name.
    if second.exists() and not overwrite and not _same_file(source, second):
        raise UsageError(
            f"{second} exists already: output or second input?",
            hint=f"To replace it, add -y or say -o {second} -y. To upsample both, give --output-dir.",
        )
    if not second.exists() and second.suffix.lower() not in VIDEO_SUFFIXES:
        raise UsageError(
            f"{second} is neither an input that exists nor the name of a video",
            hint="Give the output an extension such as .mp4 or .mkv.",
        )


def _expand(paths: Iterable[Path]) -> Iterable[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = videos_in(path)
        if not found:
            raise InputError(f"there is no video in the folder {path}")
        yield from found


def videos_in(folder: Path) -> list[Path]:
    """The videos directly in a folder, in natural order, without those this program made from them."""
    videos = [p for p in folder.iterdir() if p.suffix.lower() in VIDEO_SUFFIXES and not p.name.startswith(".")]
    stems = {p.stem for p in videos}
    own = {p for p in videos if (m := _OWN.match(p.stem)) and m["source"] in stems}
    return sorted((p for p in videos if p not in own and p.is_file()), key=_natural)


def _natural(path: Path) -> list[tuple[int, int, str]]:
    parts = _DIGITS.split(path.name.casefold())
    return [(1, int(part), part) if part.isdecimal() else (0, 0, part) for part in parts]


def output_path(request: Request, *, suffix: str | None = None) -> Path:
    """Where the result goes: as asked, else `in_4x.mp4`, `in_60fps.mp4` or `in_slow4x.mp4` beside the input.

    Args:
        request: what was asked for.
        suffix: of the file, with its dot; None: the input's, where it is one that is written.
    """
    if request.output is not None:
        return request.output
    own = request.source.suffix.lower()
    suffix = suffix or (own if own in CONTAINERS else FALLBACK_SUFFIX)
    folder = request.output_dir or request.source.parent
    return folder / f"{request.source.stem}_{_label(request)}{suffix}"


def _label(request: Request) -> str:
    if request.fps is not None:
        return f"{_short(request.fps)}fps"
    if request.slow is not None:
        return f"slow{request.slow}x"
    return f"{request.factor or 2}x"


def _short(rate: Fraction) -> str:
    return f"{float(rate):.3f}".rstrip("0").rstrip(".")


def check_output(path: Path, *, source: Path, overwrite: bool, make_folder: bool) -> None:
    """Refuse what must not be written to.

    Args:
        path: of the output.
        source: of the input.
        overwrite: an existing file may be replaced.
        make_folder: the folder will be made if it is not there.

    Raises:
        OutputError: the path is the source itself (by any name or link), exists, or cannot be written.
    """
    if _same_file(source, path):
        raise OutputError(f"the output {path} is the input itself", hint="Give another name with -o, or leave it out.")
    if path.is_dir():
        raise OutputError(f"{path} is a folder", hint="Name the file in it, or use --output-dir.")
    if path.exists() and not overwrite:
        raise OutputError(f"{path} exists already", hint="Replace it with -y, or give another name with -o.")
    folder = path.parent
    while make_folder and not folder.exists() and folder.parent != folder:
        folder = folder.parent
    if not folder.is_dir():
        raise OutputError(f"there is no folder {folder}", hint="Make it first.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"the folder {folder} cannot be written to")


def _same_file(a: Path, b: Path) -> bool:
    try:
        return a.samefile(b)
    except OSError:
        # One of them is not there: then they are the same only if they lead to the same place.
        return a.resolve() == b.resolve()
