"""What a run tells: while it works (`Progress`) and when it is done (`Report`). Knows no terminal."""

from dataclasses import dataclass, field, fields
from fractions import Fraction
from pathlib import Path
from typing import Literal, Protocol

from svmv_cli.media.target import StreamDecision


class Progress(Protocol):
    """Who watches a run. `note` may come from the thread that makes pictures, all else from the main thread."""

    def start(self, *, name: str, frames: int | None, seconds: Fraction | None) -> None:
        """A file begins: its name, and how many frames and seconds of output it will make; None: not known."""
        ...

    def advance(self, frames: int) -> None:
        """So many more output frames are written."""
        ...

    def skip(self, frames: int) -> None:
        """So many output frames were there before this run began."""
        ...

    def note(self, text: str) -> None:
        """One sentence the user should read."""
        ...

    def stop(self) -> None:
        """The file is done or given up. May be called more than once."""
        ...


class Silent:
    """Progress that nobody watches."""

    def start(self, *, name: str, frames: int | None, seconds: Fraction | None) -> None:
        """Nothing."""

    def advance(self, frames: int) -> None:
        """Nothing."""

    def skip(self, frames: int) -> None:
        """Nothing."""

    def note(self, text: str) -> None:
        """Nothing."""

    def stop(self) -> None:
        """Nothing."""


@dataclass(slots=True)
class Tally:
    """What a stretch of the film came to."""

    frames: int = 0  # of the source, that were used
    cuts: list[Fraction] = field(default_factory=list)  # s, source clock: first frame of each new shot
    duplicates: int = 0  # source frames found to repeat the one before
    late: int = 0  # source frames left out because their time had passed
    damaged: int = 0  # faults in the source
    held: int = 0  # output frames that repeat their left neighbour instead of an in-between
    made: int = 0  # output frames the network made

    def add(self, other: "Tally") -> None:
        """Count what another stretch came to as well."""
        for each in fields(self):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))


@dataclass(frozen=True, slots=True)
class Report:
    """What one run did."""

    status: Literal["ok", "damaged"]  # damaged: more is lost than can be forgiven; what came is kept
    source: Path
    output: Path
    frames_in: int
    frames_out: int
    frames_made: int  # by the network
    frames_held: int  # repeated: behind cuts, in stills, at the end
    duplicates: int  # source frames that repeat the one before
    late: int  # source frames left out because their time had passed
    damaged: int  # broken packets of the picture
    damaged_others: int  # broken packets of sound and other streams
    lost: int  # pictures that should have come and did not
    cuts: tuple[Fraction, ...]  # s, output clock
    duration: Fraction  # s, of the output's picture
    rate: Fraction | None  # frames/s; None means a variable rate
    segments: int
    segments_resumed: int  # of them, finished by earlier runs
    seconds: float  # s, wall time
    fps: float  # output frames made in this run, per second of wall time
    bytes: int
    model: str
    device: str
    precision: str
    encoder: str
    pix_fmt: str
    streams: tuple[StreamDecision, ...]
    lost_tags: tuple[str, ...]  # words and flags of the source that the output does not have
    notes: tuple[str, ...]
