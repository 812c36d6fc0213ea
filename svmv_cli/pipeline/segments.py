"""Where a film is cut into segments: from the packets' times alone, so that every run cuts it alike. Knows no files.

A job is a list of segments; a finished segment is a durable file.
"""

import math
from bisect import bisect_left
from fractions import Fraction

from svmv_cli.media.info import Span, VideoInfo
from svmv_cli.timeline import Grid

_PIXELS = 300_000_000  # of output in a segment: minutes of work on two cores, seconds on a GPU
_KEY_EVERY = 250  # frames; encoders put a key frame about as often, so joints cost no bits
_SPARED = Fraction(3, 2)  # a film that is no longer than so many segments is not cut
_MOST = 99_999


def count_segments(
    *, frames_in: int, frames_out: int, pixels: int, length: Fraction, asked: Fraction | None = None
) -> int:
    """How many segments a film is made in.

    Args:
        frames_in: of the source.
        frames_out: of the output.
        pixels: of a picture.
        length: of the film, s of the source.
        asked: length of a segment, s of the source; 0 for the whole in one; None for a length by the work in it.
    """
    if asked is None:
        usual = max(_KEY_EVERY, _PIXELS // pixels)
        count = round(Fraction(frames_out, usual)) if frames_out > _SPARED * usual else 1
    else:
        count = math.ceil(length / asked) if asked else 1
    return max(1, min(count, frames_in, _MOST))


def joints(video: VideoInfo, *, clip: Span, grid: Grid | None, frames: int, segments: int) -> tuple[Fraction, ...]:
    """Times at which the second and each further segment begins, s on the source's clock, rising.

    Args:
        video: the source's, as it is read.
        clip: what is kept of it.
        grid: the places of its frames, when it keeps a constant rate.
        frames: of the source in the clip.
        segments: how many there are to be.
    """
    start = clip[0]
    first = 0 if start is None else bisect_left(video.packet_times, math.ceil(start / video.time_base))
    numbers = (first + k * frames // segments for k in range(1, segments))
    times = (int(video.packet_times[number]) * video.time_base for number in numbers)
    return tuple(times) if grid is None else tuple(sorted({grid.nearest(time) for time in times}))
