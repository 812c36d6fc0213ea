"""What is done to frames that did not come out of a video decoder: their fields made whole. Knows no files."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from fractions import Fraction

from svmv_cli.media.fields import Deinterlace, deinterlaced
from svmv_cli.media.frame import Frame
from svmv_cli.media.info import VideoInfo
from svmv_cli.media.pictures import picture_of, planes_of, working_format


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
