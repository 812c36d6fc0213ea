"""Short clips as animated pictures: GIF with a palette of its own, APNG, WebP. Knows no sources."""

from __future__ import annotations

from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer
from av.filter import Graph
from av.filter.context import FilterContext

from svmv_cli.media.finishing import Finisher, still_color, upright_size
from svmv_cli.media.frame import Frame, PixelFormat
from svmv_cli.media.info import MediaInfo
from svmv_cli.media.opening import file_url
from svmv_cli.media.outfile import Carried
from svmv_cli.media.target import Target
from svmv_cli.media.track import Pace

_HUNDREDTH = Fraction(1, 100)  # s: GIF's unit
_MILLISECOND = Fraction(1, 1000)  # s: WebP's
_SEEN_AS_ONE = 128  # alpha from which on a GIF's pixel is opaque
_LOOPS = {"gif": "loop", "apng": "plays", "webp": "loop"}  # the muxers' options


class AnimatedFile:
    """Writes an APNG or an animated WebP; see `writer.OpenFile`."""

    carried = Carried(0, ())  # nothing is joined

    def __init__(self, part: Path, target: Target, info: MediaInfo, *, first: Frame) -> None:
        webp = target.container == "webp"
        base = _MILLISECOND if webp else Pace.of(target, info, first=first.time, step=first.duration).time_base
        self._ticks = _Ticks(base, first.time)
        self._out = _open(part, target, info)
        try:
            pix_fmt = "bgra" if webp else target.pix_fmt
            self._finisher = Finisher(target, pix_fmt=pix_fmt, color=still_color(target))
            self._stream = _add_stream(self._out, target, pix_fmt=pix_fmt, time_base=base)
        except BaseException:
            self._out.close()
            raise

    def write(self, frame: Frame) -> None:
        """Encode a frame."""
        begin, end = self._ticks.of(frame)
        picture = self._finisher(frame, pts=begin, time_base=self._ticks.base)
        picture.duration = end - begin
        for packet in self._stream.encode(picture):
            packet.duration = packet.duration or end - begin
            self._out.mux(packet)

    def finish(self) -> Fraction:
        """Flush, close, and tell how long the picture lasts, s."""
        for packet in self._stream.encode(None):
            self._out.mux(packet)
        self._out.close()
        return self._ticks.end * self._ticks.base

    def abandon(self) -> None:
        """Close what is open."""
        _give_up(self._out)


class GifFile:
    """Writes a GIF in two passes; see `writer.OpenFile`.

    Frames are counted for the palette and kept without loss in a file beside the part, so that memory does not grow;
    when the last has come, each gets its 256 colours.
    """

    carried = Carried(0, ())  # nothing is joined

    def __init__(self, part: Path, target: Target, info: MediaInfo, *, first: Frame) -> None:
        self._ticks = _Ticks(_HUNDREDTH, first.time)
        self._spans: list[tuple[int, int]] = []  # ticks, of every frame
        self._part, self._target, self._info = part, target, info
        self._finisher = Finisher(target, pix_fmt="bgra", color=still_color(target))
        self._size = upright_size(target)
        self._palette = _palette_graph(self._size, alpha=PixelFormat.parse(target.pix_fmt).alpha)
        self._kept = part.with_name(f"{part.name}.mkv")
        self._spool = av.open(file_url(self._kept), "w", format="matroska")
        self._stream = self._spool.add_stream("ffv1", rate=100, options={"g": "1"})
        _shape(self._stream, self._size, "bgra", _HUNDREDTH)

    def write(self, frame: Frame) -> None:
        """Count a frame's colours and keep it."""
        picture = self._finisher(frame, pts=len(self._spans), time_base=_HUNDREDTH)
        self._spans.append(self._ticks.of(frame))
        self._palette.vpush(picture)
        with suppress(av.BlockingIOError):  # there is nothing to be had yet, but only asking makes the filter work
            self._palette.vpull()
        self._spool.mux(self._stream.encode(picture))

    def finish(self) -> Fraction:
        """Choose the colours, write the GIF, and tell how long the picture lasts, s."""
        self._spool.mux(self._stream.encode(None))
        self._spool.close()
        self._palette.vpush(None)
        painter = _Painter(self._size, palette=self._palette.vpull())
        with av.open(file_url(self._kept)) as spool, _open(self._part, self._target, self._info) as out:
            stream = _add_stream(out, self._target, pix_fmt="pal8", time_base=_HUNDREDTH)
            for (begin, end), picture in zip(self._spans, spool.decode(video=0), strict=True):
                painted = painter.paint(picture)
                painted.pts, painted.time_base = begin, _HUNDREDTH
                for packet in stream.encode(painted):
                    packet.duration = end - begin
                    out.mux(packet)
            out.mux(stream.encode(None))
        self._kept.unlink()
        return self._ticks.end * _HUNDREDTH

    def abandon(self) -> None:
        """Close what is open and throw away what was kept."""
        _give_up(self._spool)
        with suppress(OSError):
            self._kept.unlink(missing_ok=True)


class _Ticks:
    """Times as whole ticks since the first frame, each rounded from the exact time, so that nothing adds up."""

    def __init__(self, base: Fraction, origin: Fraction) -> None:
        self.base = base
        self.end = 0
        self._origin = origin

    def of(self, frame: Frame) -> tuple[int, int]:
        """Where a frame begins and ends."""
        begin = round((frame.time - self._origin) / self.base)
        self.end = max(round((frame.time + frame.duration - self._origin) / self.base), begin + 1)
        return begin, self.end


class _Painter:
    """Gives pictures the colours of a palette."""

    def __init__(self, size: tuple[int, int], *, palette: av.VideoFrame) -> None:
        graph = Graph()
        self._pictures = _buffer(graph, size)
        colors = _buffer(graph, (palette.width, palette.height))
        use = graph.add("paletteuse", f"dither=sierra2_4a:diff_mode=rectangle:alpha_threshold={_SEEN_AS_ONE}")
        self._painted = graph.add("buffersink")
        self._pictures.link_to(use, 0, 0)
        colors.link_to(use, 0, 1)
        use.link_to(self._painted)
        graph.configure()
        self._graph = graph  # its nodes do not keep it alive
        palette.pts, palette.time_base = 0, _HUNDREDTH
        colors.push(palette)
        colors.push(None)
        self._count = 0

    def paint(self, picture: av.VideoFrame) -> av.VideoFrame:
        """The picture as the filter gives it back, at once."""
        picture.pts, picture.time_base = self._count, _HUNDREDTH
        self._count += 1
        self._pictures.push(picture)
        painted = self._painted.pull()
        if not isinstance(painted, av.VideoFrame):
            raise ValueError("paletteuse gave no picture")
        return painted


def _palette_graph(size: tuple[int, int], *, alpha: bool) -> Graph:
    graph = Graph()
    nodes = (
        _buffer(graph, size),
        graph.add("palettegen", f"reserve_transparent={int(alpha)}"),
        graph.add("buffersink"),
    )
    graph.link_nodes(*nodes)
    graph.configure()
    return graph


def _buffer(graph: Graph, size: tuple[int, int]) -> FilterContext:
    return graph.add_buffer(width=size[0], height=size[1], format=av.VideoFormat("bgra"), time_base=_HUNDREDTH)


def _open(part: Path, target: Target, info: MediaInfo) -> OutputContainer:
    plays = info.plays or 0
    # GIF counts repeats behind the first showing, and leaves the count out where there are none.
    loops = (plays - 1 or -1) if target.container == "gif" and plays else plays
    return av.open(file_url(part), "w", format=target.container, options={_LOOPS[target.container]: str(loops)})


def _add_stream(out: OutputContainer, target: Target, *, pix_fmt: str, time_base: Fraction) -> av.VideoStream:
    rate = (target.rate or Fraction(25)).limit_denominator(1001)
    stream = out.add_stream(target.encoder, rate=rate, options=dict(target.options))
    if not isinstance(stream, av.VideoStream):
        raise ValueError(f"not a video encoder: {target.encoder!r}")
    _shape(stream, upright_size(target), pix_fmt, time_base)
    return stream


def _shape(stream: av.VideoStream, size: tuple[int, int], pix_fmt: str, time_base: Fraction) -> None:
    context = stream.codec_context
    context.width, context.height = size
    context.pix_fmt, context.time_base = pix_fmt, time_base


def _give_up(out: OutputContainer) -> None:
    # The file is thrown away: that it cannot be completed is no matter.
    with suppress(OSError, av.FFmpegError):
        out.close()
