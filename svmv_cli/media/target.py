"""What will be written: every decision about the output file, made before any work. Knows no frames."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Literal

from svmv_cli.media.info import ColorInfo
from svmv_cli.timeline import Clock


@dataclass(frozen=True, slots=True)
class StreamDecision:
    """What happens to one of the source's other streams."""

    index: int  # stream index in the source
    kind: str  # "audio", "subtitle", "data", "attachment", "video"
    codec: str  # as it is in the source
    action: Literal["copy", "encode", "drop"]
    encoder: str | None = None  # FFmpeg encoder, when encoded
    reason: str | None = None  # why it is encoded or dropped, for the user


@dataclass(frozen=True, slots=True)
class Target:
    """The output file as decided: container, encoder, picture, clock, and the fate of every other stream."""

    path: Path
    container: str  # FFmpeg muxer, e.g. "mp4"
    codec: str  # the user's name, e.g. "hevc"
    encoder: str  # FFmpeg encoder, e.g. "libx265"
    pix_fmt: str  # what the encoder is given
    width: int  # px
    height: int  # px
    sample_aspect_ratio: Fraction
    rotation: int  # degrees counter-clockwise
    color: ColorInfo
    rate: Fraction | None  # frames/s; None means a variable rate
    options: tuple[tuple[str, str], ...]  # encoder options
    clock: Clock  # source seconds → output seconds
    clip: tuple[Fraction | None, Fraction | None]  # s on the source's clock, half-open; what is kept
    slow_audio: Literal["stretch", "drop"]
    streams: tuple[StreamDecision, ...]
    notes: tuple[str, ...] = ()  # what the picture loses, in sentences for the user
