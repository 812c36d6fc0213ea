"""What the user asks for, for one file, and how the words of the command line are read. Knows no files."""

import math
import re
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Literal

from svmv_cli.errors import UsageError
from svmv_cli.pipeline.shots import DEFAULT_CUT_THRESHOLD, DEFAULT_LONGEST_RUN, ShotSettings

MOST_BRIDGED = 24  # repeats in a row; that many decoded pictures are held in memory
_CLOCK = re.compile(r"(?:(?:(?P<h>\d+):)?(?P<m>\d{1,2}):)?(?P<s>\d+(?:\.\d*)?|\.\d+)$")
_FRAME = re.compile(r"(?P<n>\d+)f$")
_FASTEST = 1000  # frames/s
_NTSC = {24, 30, 48, 60, 120, 240}  # frames/s, of which the thousandth part is left out
_PULLED_DOWN = Fraction(1000, 1001)
_ROUNDED = Fraction(1, 200)  # frames/s: 23.98 and 23.976 are both written for 24000/1001
SCALES = (0.25, 0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Moment:
    """A place in the source: seconds from its beginning, or a frame's number. Exactly one is set."""

    seconds: Fraction | None = None
    frame: int | None = None  # 0 is the first


@dataclass(frozen=True, slots=True)
class Request:
    """Every option of `svmv upsample`, for one input.

    Raises:
        UsageError: the options contradict each other.
    """

    source: Path  # a file, the pattern of a row of pictures, or `-`
    input_rate: Fraction | None = None  # frames/s of a row of pictures
    output: Path | None = None  # likewise
    output_dir: Path | None = None
    factor: int | None = None
    fps: Fraction | None = None
    slow: int | None = None  # with `fps`: so many times as long, at that rate
    slow_audio: Literal["stretch", "drop"] = "stretch"
    start: Moment | None = None
    end: Moment | None = None
    codec: str | None = None  # None: the container's default
    encoder: Literal["auto", "cpu", "nvenc"] = "auto"
    crf: int | None = None
    preset: str | None = None
    pix_fmt: str | None = None
    device: str = "auto"
    precision: str = "auto"
    batch: int | None = None  # windows per call; None: what suits the device
    model: str = "base"
    scale: float = 1  # of the pictures in which motion is estimated
    deinterlace: Literal["auto", "frames", "fields", "off", "refuse"] = "auto"
    shots: ShotSettings = field(default_factory=ShotSettings)
    overwrite: bool = False
    skip_existing: bool = False  # an output that is there is no failure, and stays as it is
    segment: Fraction | None = None  # s of the source; 0: the whole in one; None: what suits the picture's size
    resume: bool = True  # take over segments that an earlier run finished
    keep_work: bool = False
    strict: bool = False  # any damage is fatal

    def __post_init__(self) -> None:
        if self.factor is not None and (self.fps is not None or self.slow is not None):
            raise UsageError("--factor excludes --fps and --slow", hint="Of the three only those two go together.")
        for name, value in (("--factor", self.factor), ("--slow", self.slow)):
            if value is not None and value < 2:
                raise UsageError(f"{name} must be 2 or more, not {value}")
        if self.output is not None and self.output_dir is not None:
            raise UsageError("-o/--output and --output-dir exclude each other")
        if self.overwrite and self.skip_existing:
            raise UsageError("-y/--overwrite and --skip-existing exclude each other")
        if self.batch is not None and self.batch < 1:
            raise UsageError(f"--batch must be 1 or more, not {self.batch}")
        if self.scale not in SCALES:
            raise UsageError(f"--scale must be {', '.join(map(str, SCALES[:-1]))} or {SCALES[-1]}, not {self.scale}")


def parse_fps(text: str) -> Fraction:
    """A frame rate: `60`, `12.5`, `60000/1001`, or `59.94` for that, frames/s.

    Raises:
        UsageError: it is none.
    """
    try:
        rate = Fraction(text)
    except (ValueError, ZeroDivisionError):
        rate = Fraction(0)
    nominal = math.ceil(rate)
    if nominal in _NTSC and abs(rate - nominal * _PULLED_DOWN) < _ROUNDED:
        rate = nominal * _PULLED_DOWN
    if not 0 < rate <= _FASTEST:
        raise UsageError(f"not a frame rate: {text!r}", hint="Write it like 60, 59.94 or 60000/1001.")
    return rate


def parse_moment(text: str) -> Moment:
    """A place in the source: `75.4`, `1:15.4`, `0:01:15.400` or `1800f`.

    Raises:
        UsageError: it is none.
    """
    if m := _FRAME.match(text):
        return Moment(frame=int(m["n"]))
    m = _CLOCK.match(text)
    if m is None or (m["m"] and (int(m["m"]) >= 60 or Fraction(m["s"]) >= 60) and m["h"]):
        raise UsageError(f"not a time: {text!r}", hint="Write it like 75.4, 1:15.4, 0:01:15.400, or 1800f for a frame.")
    seconds = int(m["h"] or 0) * 3600 + int(m["m"] or 0) * 60 + Fraction(m["s"])
    return Moment(seconds=seconds)


def parse_segment(seconds: float) -> Fraction:
    """Length of a segment, s.

    Raises:
        UsageError: it is negative or no number.
    """
    if not 0 <= seconds < math.inf:
        raise UsageError(f"--segment must be 0 or more seconds, not {seconds}")
    return Fraction(seconds).limit_denominator(1_000_000)


def parse_shots(*, cuts: Literal["auto", "off"], threshold: float | None, dedup: str) -> ShotSettings:
    """Settings of the shot finder from `--cuts`, `--cut-threshold` and `--dedup`.

    Raises:
        UsageError: a value is out of range, or they contradict each other.
    """
    if cuts == "off" and threshold is not None:
        raise UsageError("--cut-threshold has no meaning with --cuts off")
    if threshold is not None and not 0 < threshold < 1:
        raise UsageError(f"--cut-threshold must lie between 0 and 1, not {threshold}")
    chosen = DEFAULT_CUT_THRESHOLD if threshold is None else threshold
    return ShotSettings(
        cut_threshold=None if cuts == "off" else chosen, longest_run=_parse_dedup(dedup), even=dedup == "even"
    )


def _parse_dedup(text: str) -> int:
    if text in ("auto", "even"):
        return DEFAULT_LONGEST_RUN
    if text == "off":
        return 0
    if not text.isdecimal() or not 1 <= int(text) <= MOST_BRIDGED:
        raise UsageError(f"--dedup takes auto, even, off or 1 to {MOST_BRIDGED} repeats in a row, not {text!r}")
    return int(text)
