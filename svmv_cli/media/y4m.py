"""YUV4MPEG2 streams: read from a pipe, written to a pipe or a file. Knows no plans."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from fractions import Fraction
from types import TracebackType
from typing import BinaryIO, Self, cast

import numpy as np

from svmv_cli.errors import InputError, OutputError, UsageError
from svmv_cli.media.bare import PIPE
from svmv_cli.media.finishing import upright, upright_size
from svmv_cli.media.frame import Frame, PixelFormat, Plane
from svmv_cli.media.info import ColorInfo, FieldInfo, MediaInfo, VideoInfo
from svmv_cli.media.outfile import Carried
from svmv_cli.media.pictures import Converter, matrix_of, picture_of, planes_of, working_format
from svmv_cli.media.target import Target
from svmv_cli.media.writer import Check, WrittenInfo
from svmv_cli.media.y4m_header import LONGEST, Y4mHeader, parse_header

_FRAME = b"FRAME"


def probe_pipe() -> MediaInfo:
    """What is piped in, by its first line; the frames behind it are left in the pipe.

    Raises:
        UsageError: nothing is piped in.
        InputError: it is no y4m.
        UnsupportedError: a colourspace beyond this build.
    """
    source = _standard_input()
    line = source.readline(LONGEST)
    if not line:
        raise InputError("nothing came through the pipe", hint="The program in front of it may have failed.")
    header = parse_header(line)
    video = VideoInfo(
        index=0,
        codec="rawvideo",
        width=header.width,
        height=header.height,
        pix_fmt=header.pix_fmt,
        time_base=1 / header.rate,
        color=ColorInfo(full_range=header.full_range, chroma_location=header.chroma_location),
        sample_aspect_ratio=header.sample_aspect_ratio,
        rotation=0,
        fields=FieldInfo(interlaced=header.interlaced, bottom_first=header.bottom_first),
        rate_claimed=header.rate,
        frames_claimed=None,
        duration_claimed=None,
        bit_rate=None,
        packet_times=np.zeros(0, np.int64),
        last_duration=1 / header.rate,
    )
    return MediaInfo(PIPE, "yuv4mpegpipe", 0, None, Fraction(0), video, stream=header)


def pipe_frames(info: MediaInfo) -> Iterator[Frame | None]:
    """The frames left in the pipe, as they come, once; None, and then no more, where the stream is torn.

    Args:
        info: what `probe_pipe` found.
    """
    if info.stream is None:
        raise ValueError(f"{info.path} is no pipe")
    source, layout, step = _standard_input(), PixelFormat.parse(info.stream.pix_fmt), info.video.time_base
    number = 0
    while line := source.readline(LONGEST):
        sound = line.startswith(_FRAME) and line.endswith(b"\n")
        planes = _read_planes(source, layout, info.stream) if sound else None
        if planes is None:
            yield None
            return
        yield Frame(number * step, step, layout, planes)
        number += 1


class Y4mFile:
    """Writes frames as y4m; see `writer.OpenFile`. The planes of YUV and grey sources go out as they are.

    Args:
        sink: takes the bytes; it is closed at the end.
        target: what was decided; its rate is constant and its format one of `y4m_header.FORMATS`.
        info: the source.
    """

    carried = Carried(0, ())  # nothing is joined

    def __init__(self, sink: BinaryIO, target: Target, info: MediaInfo) -> None:
        if target.rate is None:
            raise ValueError("y4m has a constant rate")
        self._sink = sink
        self._rate = target.rate
        self._format = PixelFormat.parse(target.pix_fmt)
        self._frames = 0
        self.bytes = 0
        # Nothing in the stream names the matrix: what was RGB takes the one that its reader will assume.
        assumed = matrix_of(ColorInfo(), target.height)
        color = ColorInfo(matrix=assumed, full_range=target.color.full_range)
        made_of_rgb = working_format(info.video.pix_fmt).kind == "gbr" and self._format.kind == "yuv"
        convert = made_of_rgb and matrix_of(target.color, target.height) != assumed
        self._converter = Converter(source=target.color, target=color, pixel_format=target.pix_fmt) if convert else None
        self._matrix = target.display_matrix
        width, height = upright_size(target)
        turned = width != target.width
        header = Y4mHeader(
            width=width,
            height=height,
            pix_fmt=target.pix_fmt,
            rate=target.rate,
            sample_aspect_ratio=1 / target.sample_aspect_ratio if turned else target.sample_aspect_ratio,
            full_range=target.color.full_range,
            chroma_location=target.color.chroma_location,
        )
        self._put(header.line())

    def write(self, frame: Frame) -> None:
        """Append a frame; it is in the target's format."""
        frame = upright(frame, self._matrix)
        planes = frame.planes
        if self._converter is not None:
            planes = planes_of(self._converter(picture_of(frame)), self._format)
        order = "<u2" if self._format.depth > 8 else "u1"
        self._put(_FRAME + b"\n" + b"".join(plane.astype(order, copy=False).tobytes() for plane in planes))
        self._frames += 1

    def finish(self) -> Fraction:
        """Close, and tell how long the picture lasts, s."""
        self._sink.close()
        return self._frames / self._rate

    def abandon(self) -> None:
        """Close what is open."""
        self._sink.close()

    def _put(self, data: bytes) -> None:
        # A pipe without a buffer takes what it can at a time.
        rest = memoryview(data)
        while rest:
            count = self._sink.write(rest)
            self.bytes += count
            rest = rest[count:]


class PipeWriter:
    """Writes frames to stdout as they come; a context manager. What was written is out, whatever happens then.

    Args:
        target: what to write.
        info: the source.
    """

    def __init__(self, target: Target, info: MediaInfo) -> None:
        self._target = target
        self._info = info
        self._file: Y4mFile | None = None
        self.frames = 0

    def __enter__(self) -> Self:
        # Without a buffer, and past Python's own: there is nothing left to fail when the process ends.
        self._file = Y4mFile(open_standard_output(), self._target, self._info)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.abort()

    def abort(self) -> None:
        """Send no more."""
        if self._file is not None:
            self._file.abandon()

    def write(self, frame: Frame) -> None:
        """Send a frame.

        Raises:
            BrokenPipeError: nobody reads any more.
            OSError: stdout is a file, and its disk is full.
        """
        if self._file is None:
            raise ValueError("a PipeWriter is written to inside its `with`")
        self._file.write(frame)
        self.frames += 1

    def finish(self, check: Check | None = None) -> WrittenInfo:  # noqa: ARG002 (a pipe cannot be read back)
        """Tell what was sent."""
        if self._file is None or not self.frames:
            raise OutputError("there was no frame to write")
        return WrittenInfo(self.frames, self._file.bytes, self._file.finish())


def open_standard_output() -> BinaryIO:
    """Stdout for bytes, without a buffer; closing it leaves the process its own.

    Raises:
        UsageError: it is a terminal.
    """
    refuse_terminal()
    return open(sys.stdout.fileno(), "wb", buffering=0, closefd=False)


def refuse_terminal() -> None:
    """Keep pictures away from a screen.

    Raises:
        UsageError: stdout is a terminal.
    """
    if sys.stdout.isatty():
        raise UsageError("stdout is a terminal", hint="Pipe it on, as in `… | mpv -`, or name an output file.")


def _standard_input() -> BinaryIO:
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError(
            "nothing is piped in", hint="Use it like `ffmpeg -i in.mp4 -f yuv4mpegpipe - | svmv upsample - …`."
        )
    return sys.stdin.buffer


def _read_planes(source: BinaryIO, layout: PixelFormat, header: Y4mHeader) -> tuple[Plane, ...] | None:
    """The planes of one frame; None if the stream ends in it."""
    planes: list[Plane] = []
    for index in range(layout.planes):
        shape = layout.plane_shape(index, header.width, header.height)
        size = shape[0] * shape[1] * layout.dtype().itemsize
        data = source.read(size)
        if len(data) < size:
            return None
        samples = np.frombuffer(data, "<u2" if layout.depth > 8 else "u1")
        planes.append(cast(Plane, samples.reshape(shape).astype(layout.dtype)))  # a copy, that owns its memory
    return tuple(planes)
