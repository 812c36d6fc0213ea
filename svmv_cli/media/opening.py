"""Opening a source and reading its packets, every failure told as one sentence. Knows no frames."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Stream

from svmv_cli.errors import InputError
from svmv_cli.media.joins import Join, set_clock

# A playlist or a crafted file must not make the demuxer reach for the network.
_SOURCE_OPTIONS = {"protocol_whitelist": "file,crypto,data"}

_MAX_ERRORS_IN_A_ROW = 64  # a demuxer that fails this often without yielding a packet has nothing more to give

# FFmpeg takes any text for one of these by its extension alone; nobody means to upsample them.
_TEXT_DEMUXERS = frozenset({"tty", "srt", "webvtt", "ass", "lrc", "ffmetadata", "concat"})


def file_url(path: Path) -> str:
    """A path as FFmpeg is to be given it, read or written: a name such as "a:b.mp4" it would take for a protocol."""
    return f"file:{path}"


def open_source(path: Path) -> InputContainer:
    """Open a file for demuxing; the caller closes it, in the thread that reads it.

    Raises:
        InputError: the path is missing, a directory, empty, not readable, or not a media file.
    """
    _check_file(path)
    try:
        container = av.open(file_url(path), mode="r", options=_SOURCE_OPTIONS, metadata_errors="replace")
    except (av.FFmpegError, ValueError) as error:
        raise InputError(
            f"{path} is not a video file that can be read ({reason(error)})",
            hint="If it plays elsewhere, it may be cut short: try to copy or download it again.",
        ) from error
    if container.format.name in _TEXT_DEMUXERS:
        container.close()
        raise InputError(f"{path} is text, not video", hint="Give a video file, for example an .mp4 or .mkv.")
    return container


def packets_of(
    container: InputContainer, streams: Sequence[Stream], *, damaged: Callable[[], None], joins: Sequence[Join] = ()
) -> Iterator[av.Packet[Stream]]:
    """Packets with content to the end of the file, reading on past damage in the container.

    Args:
        container: the source, open.
        streams: those wanted; packets of others are passed over.
        damaged: called once for every stretch that could not be read.
        joins: set the clock of packets behind them.
    """
    packets = container.demux(list(streams))
    errors = 0
    while errors < _MAX_ERRORS_IN_A_ROW:
        try:
            packet = next(packets)
        except StopIteration:
            return
        except av.FFmpegError:
            # The generator is dead after an error; a new one reads on from where it stopped.
            packets = container.demux(list(streams))
            if not errors:
                damaged()
            errors += 1
        else:
            errors = 0
            if packet.size:
                set_clock(packet, joins)
                yield packet


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
        raise InputError(f"{path} is not a regular file", hint="y4m can be piped in: `… | svmv upsample -`.")
    if not os.access(path, os.R_OK):
        raise InputError(f"{path} may not be read", hint="Check its permissions.")
    if path.stat().st_size == 0:
        raise InputError(f"{path} is empty (0 bytes)", hint="The copy or recording that made it has failed.")
