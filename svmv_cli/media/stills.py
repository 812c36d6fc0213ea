"""Still pictures: size and kind from their headers, and the picture itself. Knows no rows and no time."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import av

from svmv_cli.errors import InputError
from svmv_cli.media.opening import reason

_JPEG_SIZES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # start of frame, for each way of coding
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length
_TIFF_TYPES = {3: "H", 4: "L"}
_TIFF_WIDTH, _TIFF_HEIGHT, _TIFF_SIGNATURE = 256, 257, frozenset({258, 262, 277, 338, 339})
_TORN = "it is cut short"


@dataclass(frozen=True, slots=True)
class StillHeader:
    """What the beginning of a picture file says."""

    codec: str  # FFmpeg decoder
    width: int  # px
    height: int  # px
    kind: bytes  # equal in pictures that are decoded to the same pixel format
    transparent: bool = False  # of colours that are looked up: some may be


def read_header(path: Path) -> StillHeader:
    """Size and kind of a PNG, JPEG, TIFF, BMP or WebP file, by its content; nothing is decoded.

    Raises:
        InputError: it is none of these, is torn, or is an animation that this build cannot decode.
    """
    try:
        with path.open("rb") as file:
            header = _header_of(file)
    except (struct.error, KeyError, ValueError) as error:
        raise InputError(f"{path} is no picture that can be read (its header is damaged)") from error
    except OSError as error:
        raise InputError(f"{path} cannot be read ({reason(error)})") from error
    if header is None:
        raise InputError(f"{path} is no picture that can be read", hint="PNG, JPEG, TIFF, BMP and WebP can.")
    return header


def is_animated_webp(path: Path) -> bool:
    """Whether a file is a WebP of several frames, which FFmpeg does not decode."""
    with path.open("rb") as file:
        head = file.read(21)
    return head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and bool(head[20] & 2)


class StillDecoder:
    """Decodes picture files one by one; what it needs for a kind of file is kept for the next."""

    def __init__(self) -> None:
        self._decoders: dict[str, av.VideoCodecContext] = {}

    def decode(self, path: Path, codec: str) -> av.VideoFrame:
        """The picture in a file.

        Args:
            path: of the file.
            codec: as its header tells.

        Raises:
            InputError: it cannot be read, or holds no whole picture.
        """
        try:
            data = path.read_bytes()
        except OSError as error:
            raise InputError(f"{path} cannot be read ({reason(error)})") from error
        packet = av.Packet(data)
        packet.is_keyframe = True  # else the PNG decoder adds the picture before to it
        try:
            pictures = self._decoder(codec).decode(packet)
        except av.FFmpegError as error:
            self._decoders.pop(codec, None)
            raise InputError(f"{path} cannot be decoded ({reason(error)})") from error
        # These decoders fill what is missing with grey and say nothing.
        if not pictures or not _ends(data, codec):
            raise InputError(f"{path} cannot be decoded ({_TORN})")
        return pictures[0]

    def _decoder(self, codec: str) -> av.VideoCodecContext:
        if codec not in self._decoders:
            context = av.CodecContext.create(codec, "r")
            if not isinstance(context, av.VideoCodecContext):
                raise ValueError(f"not a video decoder: {codec!r}")
            context.thread_count = 1  # with several, a picture comes out only after later ones went in
            self._decoders[codec] = context
        return self._decoders[codec]


def _ends(data: bytes, codec: str) -> bool:
    if codec == "png":
        return b"IEND" in data[-64:]
    if codec == "mjpeg":
        return b"\xff\xd9" in data[-4096:]  # cameras append things of their own
    return True


def _header_of(file: BinaryIO) -> StillHeader | None:
    head = file.read(32)
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png(file, head)
    if head.startswith(b"\xff\xd8\xff"):
        return _jpeg(file)
    if head.startswith(b"BM"):
        width, height = struct.unpack_from("<ii", head, 18)
        return StillHeader("bmp", width, abs(height), head[28:30])
    if head[:4] in (b"II*\0", b"MM\0*"):
        return _tiff(file, head)
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return _webp(head)
    return None


def _png(file: BinaryIO, head: bytes) -> StillHeader:
    width, height = struct.unpack_from(">II", head, 16)
    transparent = False
    file.seek(8)
    while len(chunk := file.read(8)) == 8 and chunk[4:] != b"IDAT":
        transparent |= chunk[4:] == b"tRNS"
        file.seek(int.from_bytes(chunk[:4], "big") + 4, 1)
    return StillHeader("png", width, height, head[24:26] + bytes([transparent]), transparent)


def _jpeg(file: BinaryIO) -> StillHeader | None:
    file.seek(2)
    while len(marker := file.read(2)) == 2 and marker[0] == 0xFF:
        if marker[1] == 0xFF:
            file.seek(-1, 1)  # filling
        elif marker[1] not in _JPEG_BARE:
            length = int.from_bytes(file.read(2), "big")
            if marker[1] in _JPEG_SIZES:
                depth, height, width = struct.unpack(">BHH", file.read(5))
                return StillHeader("mjpeg", width, height, bytes([depth]) + file.read(length - 7))
            file.seek(length - 2, 1)
    return None


def _tiff(file: BinaryIO, head: bytes) -> StillHeader:
    order = "<" if head[:2] == b"II" else ">"
    file.seek(struct.unpack_from(order + "L", head, 4)[0])
    (entries,) = struct.unpack(order + "H", file.read(2))
    fields: dict[int, int] = {}
    kind = b""
    for _ in range(entries):
        tag, field_type, count, value = struct.unpack(order + "HHL4s", file.read(12))
        if tag in (_TIFF_WIDTH, _TIFF_HEIGHT):
            fields[tag] = struct.unpack_from(order + _TIFF_TYPES[field_type], value)[0]
        elif tag in _TIFF_SIGNATURE:
            kind += struct.pack("<HL", tag, count) + (value if count <= 2 else b"")
    return StillHeader("tiff", fields[_TIFF_WIDTH], fields[_TIFF_HEIGHT], kind)


def _webp(head: bytes) -> StillHeader | None:
    chunk = head[12:16]
    if chunk == b"VP8 ":
        width, height = struct.unpack_from("<HH", head, 26)
        return StillHeader("webp", width & 0x3FFF, height & 0x3FFF, chunk)
    if chunk == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return StillHeader("webp", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1, chunk)
    if chunk == b"VP8X":
        width, height = (int.from_bytes(head[at : at + 3], "little") + 1 for at in (24, 27))
        return StillHeader("webp", width, height, chunk + head[20:21])
    return None
