"""The record of what happens to a stream beside the picture. Knows no target."""

from dataclasses import dataclass
from typing import Literal

TIMECODE = "tmcd"  # stands for an encoder: the muxer makes the track itself


@dataclass(frozen=True, slots=True)
class StreamDecision:
    """What happens to one of the source's other streams."""

    index: int  # stream index in the source
    kind: str  # "audio", "subtitle", "data", "attachment", "video"
    codec: str  # as it is in the source
    action: Literal["copy", "encode", "drop"]
    encoder: str | None = None  # FFmpeg encoder, when encoded
    reason: str | None = None  # why it is encoded or dropped, for the user
