"""The timecode of a film's first picture, counted anew at another rate. Knows no files."""

from __future__ import annotations

import re
from fractions import Fraction

from svmv_cli.media.info import MediaInfo

_TIMECODE = re.compile(r"(?P<clock>\d{2,}:\d{2}:\d{2})(?P<mark>[:;.])(?P<frames>\d+)$")


def timecode_after(info: MediaInfo, *, rate: Fraction | None, start: Fraction | None) -> str | None:
    """What the first picture of the output is labelled with; None where there is no label, or none that fits.

    Args:
        info: the source.
        rate: frames per second of the output; None when it varies, and pictures cannot be counted.
        start: of the part that is used, s on the source's clock; None: the beginning.

    Returns:
        `HH:MM:SS:FF`, its last number as large as it comes out: writers carry over. With `;` frame numbers are
        dropped to keep up with the clock, which is defined for 30000/1001 and its multiples alone.
    """
    label = next((other.timecode for other in info.others if other.timecode), None)
    matched = _TIMECODE.match(label) if label else None
    before = info.video.rate_claimed
    if matched is None or before is None or rate is None:
        return None
    if matched["mark"] == ";" and (rate.denominator != 1001 or round(rate) % 30):
        return None
    passed = 0 if start is None else max(0, round((start - info.video.start) * before))
    frames = (int(matched["frames"]) + passed) * round(rate) // round(before)
    return f"{matched['clock']}{matched['mark']}{frames:02}"
