"""What FFmpeg does not tell of animations: how often they play, whether they are opaque, what a WebP holds."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from svmv_cli.errors import OutputError
from svmv_cli.media.opening import open_source
from svmv_cli.media.verify import Measured

_MILLISECOND = Fraction(1, 1000)  # s
_HEAD = 1 << 16  # bytes; a GIF's count stands in front of its first picture
_OPAQUE = 255  # alpha
_GIF_COUNT = b"\x21\xff\x0bNETSCAPE2.0\x03\x01"


def plays_of(path: Path) -> int | None:
    """How often a GIF or an APNG is shown; 0 is for ever, None: it is neither.

    Args:
        path: of the file, told by its content.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if head.startswith(b"GIF8"):
        _, found, behind = head.partition(_GIF_COUNT)
        repeats = int.from_bytes(behind[:2], "little")
        return (repeats + 1 if repeats else 0) if found else 1
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        control = head.find(b"acTL")
        return int.from_bytes(head[control + 8 : control + 12], "big") if control > 0 else None
    return None


def is_opaque(path: Path) -> bool:
    """Whether no pixel of an animation is ever transparent: decoded, any GIF has alpha. The whole file is looked at."""
    try:
        with open_source(path) as container:
            return all(_least_alpha(picture) == _OPAQUE for picture in container.decode(video=0))
    except av.FFmpegError:
        return False  # damaged: nothing is known of what follows


def _least_alpha(picture: av.VideoFrame) -> int:
    if picture.format.name != "bgra":
        return 0
    line = picture.planes[0].line_size
    samples = np.frombuffer(memoryview(picture.planes[0]), np.uint8)[: line * picture.height]
    return int(samples.reshape(picture.height, line)[:, 3 : 4 * picture.width : 4].min())


def measure_webp(path: Path) -> Measured:
    """Count the pictures of a WebP, and their time; equal neighbours are stored as one, without time if it is the only.

    Raises:
        OutputError: it is none, or is not whole.
    """
    chunks = list(_chunks(path))
    durations = [int.from_bytes(body[12:15], "little") for name, body in chunks if name == b"ANMF"]
    if not durations and any(name in (b"VP8 ", b"VP8L") for name, _ in chunks):
        durations = [0]
    if not durations:
        raise OutputError(f"{path} is no picture that can be read back")
    whole, last = sum(durations) * _MILLISECOND, durations[-1] * _MILLISECOND
    return Measured(len(durations), whole, first=Fraction(0), last=whole - last, sound=(), merged=True)


def _chunks(path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Names of a RIFF file's chunks, and how each begins."""
    size = path.stat().st_size
    with path.open("rb") as file:
        file.seek(12)
        while len(head := file.read(8)) == 8:
            length = int.from_bytes(head[4:], "little")
            behind = file.tell() + length + length % 2
            if behind > size:
                raise OutputError(f"{path} is cut short")
            yield head[:4], file.read(min(length, 16))
            file.seek(behind)
