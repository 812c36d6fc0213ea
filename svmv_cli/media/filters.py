"""FFmpeg's own frame interpolation, for comparison. Knows no files."""

from collections.abc import Iterable, Iterator
from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt
from av.filter import Graph

from svmv_cli.media.frame import Frame, PixelFormat
from svmv_cli.media.info import ColorInfo
from svmv_cli.media.pictures import Converter, picture_of, planes_of

Picture = npt.NDArray[np.uint8]

_GBR = PixelFormat.parse("gbrp")
_AS_RGB = ColorInfo(matrix=0, full_range=True)
# The filter takes no RGB. BT.601, limited, unsubsampled costs least: noise near 54 dB, and no shift; swscale's
# way to full range shifts every channel by up to one code.
_AS_YUV = ColorInfo(matrix=6, full_range=False)
_YUV = "yuv444p"
_AHEAD = 3  # pictures the filter must see behind a gap before it fills it


def minterpolate(pictures: Iterable[Picture], *, factor: int) -> Iterator[Picture]:
    """A clip at `factor` times its rate, from its first picture to its last.

    Motion-compensated, adaptive overlapped blocks, bidirectional search, no scene detection; behind the end the
    last picture is held, or the filter would leave the last gaps out.

    Args:
        pictures: uint8 (3, H, W), RGB, of one size.
        factor: pictures out for each gap in.

    Yields:
        uint8 (3, H, W); picture number n · factor is the n-th given, but for colour rounding.
    """
    to_yuv = Converter(source=_AS_RGB, target=_AS_YUV, pixel_format=_YUV)
    to_rgb = Converter(source=_AS_YUV, target=_AS_RGB, pixel_format=_GBR.name)
    graph: Graph | None = None
    held: av.VideoFrame | None = None
    given = 0
    shown = _Numbered()
    for picture in pictures:
        held = to_yuv(_frame_of(picture))
        graph = graph or _graph(held, factor)
        _push(graph, held, given, factor)
        given += 1
        yield from shown.up_to((given - 1) * factor, _drain(graph, to_rgb))
    if graph is None or held is None:
        return
    for number in range(given, given + _AHEAD):
        _push(graph, held, number, factor)
    graph.push(None)
    yield from shown.up_to((given - 1) * factor, _drain(graph, to_rgb))


class _Numbered:
    """Checks that pictures come one by one in time."""

    def __init__(self) -> None:
        self._next = 0

    def up_to(self, last: int, made: Iterable[tuple[int, Picture]]) -> Iterator[Picture]:
        """Pictures no later than number `last`."""
        for number, picture in made:
            if number > last:
                continue
            if number != self._next:
                raise RuntimeError(f"minterpolate gave picture {number} where {self._next} was due")
            self._next += 1
            yield picture


def _graph(like: av.VideoFrame, factor: int) -> Graph:
    graph = Graph()
    source = graph.add_buffer(width=like.width, height=like.height, format=like.format, time_base=Fraction(1, factor))
    options = f"fps={factor}:mi_mode=mci:mc_mode=aobmc:me_mode=bidir:scd=none"
    graph.link_nodes(source, graph.add("minterpolate", options), graph.add("buffersink"))
    graph.configure()
    return graph


def _push(graph: Graph, picture: av.VideoFrame, number: int, factor: int) -> None:
    # One second a gap, and ticks of one new picture each: a time is a picture's number.
    picture.pts = number * factor
    picture.time_base = Fraction(1, factor)
    graph.vpush(picture)


def _drain(graph: Graph, to_rgb: Converter) -> Iterator[tuple[int, Picture]]:
    """What the filter has ready: numbers of new pictures, and the pictures."""
    while True:
        try:
            made = graph.vpull()
        except (av.BlockingIOError, av.EOFError):
            return
        if made.pts is None:
            raise RuntimeError("minterpolate gave a picture without a time")
        green, blue, red = planes_of(to_rgb(made), _GBR)
        yield made.pts, np.stack([red, green, blue]).astype(np.uint8, copy=False)


def _frame_of(picture: Picture) -> av.VideoFrame:
    planes = tuple(picture[channel] for channel in (1, 2, 0))
    return picture_of(Frame(Fraction(0), Fraction(1), _GBR, planes))
