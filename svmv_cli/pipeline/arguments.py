"""Which paths of the command line are inputs, and which is the output. Looks into folders, opens no file."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from svmv_cli.errors import InputError, UnsupportedError, UsageError
from svmv_cli.media.bare import BARE_SUFFIXES, PIPE, is_row
from svmv_cli.media.containers import VIDEO_SUFFIXES
from svmv_cli.media.numbering import PICTURE_SUFFIXES, find_row_in, pattern_like
from svmv_cli.pipeline.naming import output_path, same_file
from svmv_cli.pipeline.request import Request

_OWN = re.compile(r"(?P<source>.+)_(?:\d+x|slow\d+x|(?:slow\d+x_)?\d+(?:\.\d+)?fps)$")
_DIGITS = re.compile(r"(\d+)")
_UNREAD_SUFFIXES = frozenset(  # of pictures that rows are made of elsewhere
    {".cin", ".cr2", ".dng", ".dpx", ".exr", ".hdr", ".j2k", ".jp2", ".jxl", ".pgm", ".ppm", ".psd", ".sgi", ".tga"}
)


@dataclass(frozen=True, slots=True)
class Job:
    """The files of one command."""

    sources: tuple[Path, ...]  # files, patterns of rows of pictures, or `bare.PIPE` alone
    output: Path | None  # only ever with a single source


def sort_out(paths: Sequence[Path], *, output: Path | None, output_dir: Path | None) -> Job:
    """Tell inputs from the output.

    With `-o` or `--output-dir` every positional path is an input. Otherwise, of exactly two paths, the second is the
    OUTPUT: `-` or a new name; for a row of pictures it may be a folder as well. What is there already is never taken
    for one: `*.mp4` may have matched two films. One path, three or more, or a folder of videos among them: all are
    inputs. A folder stands for the videos in it; one that holds pictures and no videos is one input, a row of them.

    Raises:
        UsageError: it cannot be told which is meant.
        InputError: a folder has neither videos nor a row of pictures in it.
        UnsupportedError: pictures are of a kind that is not read.
    """
    _refuse_unread(paths[:1] if output is None and output_dir is None and len(paths) == 2 else paths)
    if output is None and output_dir is None and len(paths) == 2 and _is_pair(*paths):
        source, output = paths
        _check_second(source, output)
        paths = [source]
    _refuse_loose_pictures(paths)
    sources = tuple(_expand(paths))
    if output is not None and len(sources) > 1:
        raise UsageError("-o/--output names one file, but there are several inputs", hint="Use --output-dir.")
    if len(set(sources)) < len(sources):
        raise UsageError("an input is given twice")
    if PIPE in sources and (len(sources) > 1 or output_dir is not None):
        raise UsageError("- reads one stream from a pipe, beside no other input and into no folder")
    return Job(sources, output)


def refuse_json_beside_pictures(requests: Iterable[Request]) -> None:
    """Keep stdout to one kind of data.

    Raises:
        UsageError: a result goes to stdout.
    """
    if any(output_path(request) == PIPE for request in requests):
        raise UsageError("--json and pictures cannot both go to stdout", hint="--progress json tells on stderr.")


def _is_pair(source: Path, second: Path) -> bool:
    """Whether two paths can be an input and its output: folders only if they have to do with rows of pictures."""
    pictures = is_row(source) or (source.is_dir() and not videos_in(source))
    return not source.is_dir() | second.is_dir() or (pictures and not (second.is_dir() and videos_in(second)))


def _check_second(source: Path, second: Path) -> None:
    # A path that is the input itself goes on and is refused by that name.
    if same_file(source, second) or second == PIPE or is_row(second):
        return
    occupied = any(second.iterdir()) if second.is_dir() else second.exists()
    if occupied:
        raise UsageError(
            f"{second} exists already: output or second input?",
            hint=f"To replace it, say -o {second} -y. To upsample both, give --output-dir.",
        )
    named = {*VIDEO_SUFFIXES, *BARE_SUFFIXES, *PICTURE_SUFFIXES}
    folder = not second.suffix and (is_row(source) or source.is_dir())
    if not second.exists() and not folder and second.suffix.lower() not in named:
        raise UsageError(
            f"{second} is neither an input that exists nor the name of a video",
            hint="Give the output an extension such as .mp4 or .mkv.",
        )


def _refuse_loose_pictures(paths: Sequence[Path]) -> None:
    """Pictures named one by one, as a shell does with `*.png`, are most likely meant as one row."""
    loose = [path for path in paths if path.suffix.lower() in PICTURE_SUFFIXES and path.is_file()]
    if len(loose) > 1:
        raise UsageError(
            f"{len(loose)} single pictures are given",
            hint=f"For a row of them give its folder {loose[0].parent}, or a pattern: {pattern_like(loose[0])}.",
        )


def _refuse_unread(paths: Iterable[Path]) -> None:
    """Name what is not read before one picture of it is taken for a film, or its pattern for a name."""
    for path in paths:
        if path.suffix.lower() in _UNREAD_SUFFIXES and not path.is_dir():
            raise UnsupportedError(f"{path}: pictures of the kind {path.suffix} are not read", hint=_read())


def _read() -> str:
    return f"Rows of pictures can be {', '.join(sorted(PICTURE_SUFFIXES))}; 16 bits are kept in .png and .tiff."


def _expand(paths: Iterable[Path]) -> Iterable[Path]:
    for path in paths:
        if not path.is_dir():
            yield path
            continue
        found = videos_in(path)
        if found:
            yield from found
            continue
        row = find_row_in(path)
        if row is None:
            _refuse_unread(sorted(path.iterdir()))
            raise InputError(f"there is no video in the folder {path}, and no pictures", hint=_read())
        yield row.pattern


def videos_in(folder: Path) -> list[Path]:
    """The videos directly in a folder, in natural order, without those this program made from them.

    Links that lead nowhere are among them, to be told of.
    """
    videos = [p for p in folder.iterdir() if p.suffix.lower() in VIDEO_SUFFIXES and not p.name.startswith(".")]
    stems = {p.stem for p in videos}
    own = {p for p in videos if (m := _OWN.match(p.stem)) and m["source"] in stems}
    return sorted((p for p in videos if p not in own and (p.is_file() or not p.exists())), key=_natural)


def _natural(path: Path) -> list[tuple[int, int, str]]:
    parts = _DIGITS.split(path.name.casefold())
    return [(1, int(part), part) if part.isdecimal() else (0, 0, part) for part in parts]
