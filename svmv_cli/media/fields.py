"""Interlaced pictures: whether a stream holds them, and how they become whole ones. Knows no files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from typing import Literal

import av
import numpy as np
from av.filter import Graph

from svmv_cli.media.glimpses import Glimpse
from svmv_cli.media.info import FieldInfo, VideoInfo

# off: as they are · flagged: those that say they are interlaced · frames: all · fields: all, two pictures of each
Deinterlace = Literal["off", "flagged", "frames", "fields"]
Timed = tuple[av.VideoFrame, Fraction]  # s

_LEAST = 8  # px: the filter needs three lines of every plane
_BOTTOM_FIRST = (3, 4)  # AVFieldOrder: the bottom field is shown first
_INTERLACED = (2, 3, 4, 5)
# In these every picture says what it is, and the header only repeats what the first one said.
_TELLING = frozenset({"h264", "hevc", "vvc", "mpeg1video", "mpeg2video", "mpeg4", "vc1", "dvvideo", "prores"})


def fields_of(stream: av.VideoStream, glimpses: Iterable[Glimpse]) -> FieldInfo:
    """What some pictures of a stream say of their fields, and its header."""
    context = stream.codec_context
    order = context.field_order
    flagged = any(glimpse.interlaced for glimpse in glimpses)
    declared = order in _INTERLACED and context.codec.canonical_name not in _TELLING
    return FieldInfo(flagged or declared, flagged, declared and order in _BOTTOM_FIRST)


def can_deinterlace(video: VideoInfo) -> bool:
    """Whether pictures are large enough for the filter."""
    return min(video.width, video.height) >= _LEAST


def by_field(video: VideoInfo) -> VideoInfo:
    """The stream as it is once each of its pictures has become two: twice as many, at twice the rate."""
    times = video.packet_times
    gaps = np.diff(times, append=times[-1:] + (times[-1:] - times[-2:-1] if len(times) > 1 else _ticks(video)))
    doubled = np.stack([2 * times, 2 * times + gaps], axis=1).ravel()
    return replace(
        video,
        packet_times=doubled,
        time_base=video.time_base / 2,
        last_duration=video.last_duration / 2,
        rate_claimed=video.rate_claimed and 2 * video.rate_claimed,
        frames_claimed=video.frames_claimed and 2 * video.frames_claimed,
    )


def _ticks(video: VideoInfo) -> int:
    return max(1, round(video.last_duration / video.time_base))


def deinterlaced(pictures: Iterable[Timed], *, how: Deinterlace, video: VideoInfo) -> Iterator[Timed]:
    """Whole pictures of interlaced ones, by bwdif. As many come as are given, or, by field, twice as many.

    Each is made of its own fields and the neighbours': the first and last picture of the film have one only.

    Args:
        pictures: in a planar format and of one size, in rising time.
        how: which are treated; the others pass as they are.
        video: the stream they come from.
    """
    if how == "off":
        yield from pictures
        return
    graph: Graph | None = None
    for picture, time in pictures:
        picture.pts, picture.time_base = round(time / video.time_base), video.time_base
        graph = graph or _graph(picture, how, video)
        graph.vpush(picture)
        yield from _ready(graph)
    if graph is not None:
        graph.vpush(None)
        yield from _ready(graph)


def _graph(like: av.VideoFrame, how: Deinterlace, video: VideoInfo) -> Graph:
    mode = "send_field" if how == "fields" else "send_frame"
    parity = "auto" if video.fields.flagged else "bff" if video.fields.bottom_first else "tff"
    which = "interlaced" if how == "flagged" else "all"
    graph = Graph()
    source = graph.add_buffer(width=like.width, height=like.height, format=like.format, time_base=video.time_base)
    graph.link_nodes(source, graph.add("bwdif", f"mode={mode}:parity={parity}:deint={which}"), graph.add("buffersink"))
    graph.configure()
    return graph


def _ready(graph: Graph) -> Iterator[Timed]:
    while True:
        try:
            made = graph.vpull()
        except (av.BlockingIOError, av.EOFError):
            return
        if made.pts is None or made.time_base is None:
            raise RuntimeError("bwdif gave a picture without a time")
        yield made, made.pts * made.time_base
