"""What outputs are called, and which are refused. Opens no file."""

import os
from fractions import Fraction
from pathlib import Path

from svmv_cli.errors import ExistsError, OutputError
from svmv_cli.media.bare import BARE_SUFFIXES, PIPE, ROW_SUFFIXES, is_row
from svmv_cli.media.containers import CONTAINERS
from svmv_cli.media.numbering import parse_pattern
from svmv_cli.media.y4m import refuse_terminal
from svmv_cli.pipeline.request import Request

FALLBACK_SUFFIX = ".mkv"  # holds any stream
_DIGITS = 6  # of the numbers in a row of pictures, at least
_PICTURES = ".png"  # of a row whose source is of a kind that is not written


def output_path(request: Request, *, suffix: str | None = None) -> Path:
    """Where the result goes.

    As asked; a folder that is asked for a row of pictures means pictures in it. Else `in_4x.mp4`, `in_60fps.mp4`,
    `in_slow4x.mp4` or `in_slow4x_30fps.mp4` beside the input, a folder of pictures beside that of a row, and stdout for
    a pipe.

    Args:
        request: what was asked for.
        suffix: of the file, with its dot; None: the input's, where it is one that is written.
    """
    asked = request.output
    if asked is not None and is_row(request.source) and asked != PIPE and (asked.is_dir() or not asked.suffix):
        return asked / _picture_name(request.source)
    if asked is not None:
        return asked
    if request.source == PIPE:
        return PIPE
    if is_row(request.source):
        folder = request.source.parent
        beside = folder.parent if folder.name not in {"", ".."} else folder / ".."
        name = f"{folder.resolve().name}_{_label(request)}"
        return (request.output_dir or beside) / name / _picture_name(request.source)
    own = request.source.suffix.lower()
    suffix = suffix or (own if own in CONTAINERS or own in BARE_SUFFIXES else FALLBACK_SUFFIX)
    folder = request.output_dir or request.source.parent
    return folder / f"{request.source.stem}_{_label(request)}{suffix}"


def _picture_name(source: Path) -> str:
    """The pattern of an output's pictures, named as the source's."""
    names = parse_pattern(source)
    after = names.after if names.suffix in ROW_SUFFIXES else names.after[: -len(names.suffix)] + _PICTURES
    wider = f"%0{max(names.width, _DIGITS)}d"
    return f"{names.before.replace('%', '%%')}{wider}{after.replace('%', '%%')}"


def _label(request: Request) -> str:
    slow = f"slow{request.slow}x" if request.slow is not None else None
    rate = f"{_short(request.fps)}fps" if request.fps is not None else None
    return "_".join(filter(None, (slow, rate))) or f"{request.factor or 2}x"


def _short(rate: Fraction) -> str:
    return f"{float(rate):.3f}".rstrip("0").rstrip(".")


def check_output(path: Path, *, source: Path, overwrite: bool, make_folder: bool) -> None:
    """Refuse what must not be written to.

    Args:
        path: of the output: a file, the pattern of a row of pictures, or `bare.PIPE`.
        source: of the input, likewise.
        overwrite: an existing file may be replaced, a folder that is not empty written into.
        make_folder: the folder will be made if it is not there.

    Raises:
        UsageError: stdout is a terminal.
        ExistsError: it is there already.
        OutputError: it is the source itself (by any name or link), or cannot be written.
    """
    if path == PIPE:
        refuse_terminal()
        return
    if is_row(path):
        _check_row(path.parent, source=source, overwrite=overwrite)
    else:
        _check_file(path, source=source, overwrite=overwrite)
    folder = path.parent.parent if is_row(path) else path.parent
    while make_folder and not folder.exists() and folder.parent != folder:
        folder = folder.parent
    if not folder.is_dir():
        raise OutputError(f"there is no folder {folder}", hint="Make it first.")
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OutputError(f"the folder {folder} cannot be written to")


def _check_file(path: Path, *, source: Path, overwrite: bool) -> None:
    if same_file(source, path):
        raise OutputError(f"the output {path} is the input itself", hint="Give another name with -o, or leave it out.")
    if path.is_dir():
        raise OutputError(
            f"{path} is a folder",
            hint=f"Name the file in it, use --output-dir, or write pictures as {path / '%06d.png'}.",
        )
    if path.exists() and not overwrite:
        raise ExistsError(f"{path} exists already", hint="Replace it with -y, or give another name with -o.")


def _check_row(folder: Path, *, source: Path, overwrite: bool) -> None:
    if is_row(source) and same_file(source.parent, folder):
        raise OutputError(f"the pictures in {folder} are the input itself", hint="Give another folder with -o.")
    if folder.exists() and not folder.is_dir():
        raise OutputError(f"{folder} is a file", hint="Name a folder for the pictures.")
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise ExistsError(
            f"the folder {folder} is not empty",
            hint="Write pictures into it with -y, or name a new folder. For a video in it, use --output-dir.",
        )


def check_leftovers(path: Path, *, frames: int | None) -> None:
    """Refuse to lay a row of pictures over a longer one, whose rest would follow it.

    Args:
        path: of the output; nothing is looked for unless it is the pattern of a row.
        frames: how many pictures there will be; None when that is not known.

    Raises:
        OutputError: there are pictures of these names that would not be replaced.
    """
    if not is_row(path) or not path.parent.is_dir():
        return
    names = parse_pattern(path)
    numbers = [number for each in path.parent.iterdir() if (number := names.number_of(each.name)) is not None]
    beyond = [number for number in numbers if frames is None or not names.first <= number < names.first + frames]
    if beyond:
        raise OutputError(
            f"{path.parent / names.name(min(beyond))} is there already and would follow the new pictures",
            hint="Name another folder, or remove the old pictures.",
        )


def same_file(a: Path, b: Path) -> bool:
    """Whether two paths lead to the same place, by whatever name or link."""
    try:
        return a.samefile(b)
    except OSError:
        # One of them is not there: then they are the same only if they lead to the same place.
        return a.resolve() == b.resolve()
