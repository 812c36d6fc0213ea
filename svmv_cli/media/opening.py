"""Opening a source, with every way it can fail told as one sentence. Knows no streams and no frames."""

import os
from pathlib import Path

import av
from av.container import InputContainer

from svmv_cli.errors import InputError

# A playlist or a crafted file must not make the demuxer reach for the network.
_SOURCE_OPTIONS = {"protocol_whitelist": "file,crypto,data"}

# FFmpeg takes any text for one of these by its extension alone; nobody means to upsample them.
_TEXT_DEMUXERS = frozenset({"tty", "srt", "webvtt", "ass", "lrc", "ffmetadata", "concat"})


def open_source(path: Path) -> InputContainer:
    """Open a file for demuxing; the caller closes it, in the thread that reads it.

    Raises:
        InputError: the path is missing, a directory, empty, not readable, or not a media file.
    """
    _check_file(path)
    try:
        # The prefix keeps a name such as "a:b.mp4" from being read as a protocol.
        container = av.open(f"file:{path}", mode="r", options=_SOURCE_OPTIONS, metadata_errors="replace")
    except (av.FFmpegError, ValueError) as error:
        raise InputError(
            f"{path} is not a video file that can be read ({reason(error)})",
            hint="If it plays elsewhere, it may be cut short: try to copy or download it again.",
        ) from error
    if container.format.name in _TEXT_DEMUXERS:
        container.close()
        raise InputError(f"{path} is text, not video", hint="Give a video file, for example an .mp4 or .mkv.")
    return container


def reason(error: BaseException) -> str:
    """FFmpeg's own words for an error, without its call and number, in lower case."""
    words = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return words[0].lower() + words[1:]


def _check_file(path: Path) -> None:
    if not path.exists():
        raise InputError(f"{path} does not exist", hint="Check the spelling and the folder.")
    if path.is_dir():
        raise InputError(f"{path} is a folder, not a video file", hint="Give the file inside it.")
    if not path.is_file():
        raise InputError(f"{path} is not a regular file", hint="Pipes and devices cannot be searched in.")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path} may not be read", hint="Check its permissions.")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty (0 bytes)", hint="The copy or recording that made it has failed.")
