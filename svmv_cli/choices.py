"""Options that take one word of several. Knows no video."""

from enum import StrEnum


class SlowAudio(StrEnum):
    """What becomes of sound in slow motion."""

    stretch = "stretch"
    drop = "drop"


class Encoder(StrEnum):
    """Where pictures are encoded."""

    auto = "auto"
    cpu = "cpu"
    nvenc = "nvenc"


class Precision(StrEnum):
    """The network's arithmetic."""

    auto = "auto"
    fp32 = "fp32"
    fp16 = "fp16"
    bf16 = "bf16"


class Watch(StrEnum):
    """How progress is shown."""

    auto = "auto"
    bar = "bar"
    plain = "plain"
    json = "json"
    none = "none"


class Cuts(StrEnum):
    """Whether scene cuts are looked for."""

    auto = "auto"
    off = "off"


class Deinterlace(StrEnum):
    """What becomes of interlaced pictures."""

    auto = "auto"
    frames = "frames"
    fields = "fields"
    off = "off"
    refuse = "refuse"
