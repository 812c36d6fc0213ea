"""Reading frames that come one by one at a constant rate, and not out of a video decoder. Knows no files."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from fractions import Fraction
from types import TracebackType
from typing import Self

from svmv_cli.media.fields import Deinterlace, deinterlaced
from svmv_cli.media.frame import Frame, PixelFormat
from svmv_cli.media.info import MediaInfo, VideoInfo
from svmv_cli.media.pictures import Converter, color_after, picture_of, planes_of, working_format

_NEIGHBOURS = 2  # pictures on one side that the deinterlacer looks at


class FramewiseReader:
    """Gives the frames of a source in order; see `inputs.Reader`. Nothing is open between two frames.

    Args:
        info: the source.
        come: gives frames from the one of a number on, or earlier ones too, and None for one that is lost.
        pix_fmt: planar format the frames are to have; planes are bit-exact where they come in it already.
        start: s; the first frame is the one at or after it. None: from the beginning.
        stop: s; frames at or after it are not given. None: to the end.
        deinterlace: which pictures are made whole of their fields.

    Attributes:
        decoded: frames given so far.
        damaged: frames that were lost.
        dropped: always 0.
    """

    def __init__(
        self,
        info: MediaInfo,
        come: Callable[[int], Iterator[Frame | None]],
        *,
        pix_fmt: str,
        start: Fraction | None,
        stop: Fraction | None,
        deinterlace: Deinterlace,
    ) -> None:
        self.decoded = self.damaged = self.dropped = 0
        self._told = 0  # what the frames given so far carry of `damaged`
        self._video = info.video
        self._come = come
        self._format = PixelFormat.parse(pix_fmt)
        self._start, self._stop = start, stop
        self._deinterlace: Deinterlace = deinterlace
        color = info.video.color
        after = color_after(color, source=working_format(info.video.pix_fmt), target=self._format)
        self._converter = Converter(source=color, target=after, pixel_format=pix_fmt)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Nothing is open."""

    @property
    def untold(self) -> tuple[int, int]:
        """Of `damaged` and `dropped` what no frame given so far carries."""
        return self.damaged - self._told, 0

    def __iter__(self) -> Iterator[Frame]:
        """Frames in order, each with its place at the constant rate."""
        before = 0 if self._deinterlace == "off" else _NEIGHBOURS
        first = 0 if self._start is None else max(0, math.ceil(self._start / self._video.time_base) - before)
        frames = whole(self._sound(first), how=self._deinterlace, video=self._video)
        for frame in between(frames, self._start, self._stop):
            self.decoded += 1
            faults, self._told = self.untold[0], self.damaged
            yield replace(self._converted(frame), damaged=faults)

    def _sound(self, first: int) -> Iterator[Frame]:
        for frame in self._come(first):
            if frame is None:
                self.damaged += 1
            else:
                yield frame

    def _converted(self, frame: Frame) -> Frame:
        if frame.format.name == self._format.name:
            return frame
        planes = planes_of(self._converter(picture_of(frame)), self._format)
        return replace(frame, format=self._format, planes=planes)


def whole(frames: Iterable[Frame], *, how: Deinterlace, video: VideoInfo) -> Iterator[Frame]:
    """Frames made whole of their fields; see `fields.deinterlaced`.

    Args:
        frames: of one format, in rising time, at the stream's constant rate.
        how: which are treated; by field, twice as many come.
        video: the stream they come from.
    """
    if how == "off":
        yield from frames
        return
    step = video.time_base / 2 if how == "fields" else video.time_base
    for picture, time in deinterlaced(((picture_of(f), f.time) for f in frames), how=how, video=video):
        layout = working_format(picture.format.name)
        yield Frame(time, step, layout, planes_of(picture, layout))


def between(frames: Iterable[Frame], start: Fraction | None, stop: Fraction | None) -> Iterator[Frame]:
    """Frames at or after `start` and before `stop`, s; none is asked for behind the last of them."""
    for frame in frames:
        if start is not None and frame.time < start:
            continue
        if stop is not None and frame.time >= stop:
            return
        yield frame
        if stop is not None and frame.time + frame.duration >= stop:
            return
