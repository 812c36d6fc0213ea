"""At which instants an output has frames, within what its container can tell apart. Pure."""

import math
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from svmv_cli.errors import OutputError
from svmv_cli.media.bare import BareChoice
from svmv_cli.media.containers import CONTAINERS
from svmv_cli.media.info import MediaInfo
from svmv_cli.pipeline.extent import Extent
from svmv_cli.pipeline.request import Request
from svmv_cli.timeline import Grid, Phases

_DEFAULT_FACTOR = 2


@dataclass(frozen=True, slots=True)
class Timing:
    """The rule that places frames, and what it costs."""

    rule: Grid | Phases
    stretch: int  # output seconds per source second
    notes: tuple[str, ...] = ()  # what the way out does not allow, in sentences for the user

    @property
    def rate(self) -> Fraction | None:
        """Frames per second of the output; None for a variable rate."""
        return self.rule.rate / self.stretch if isinstance(self.rule, Grid) else None


def choose_timing(request: Request, info: MediaInfo, extent: Extent, way: BareChoice | None) -> Timing:
    """Place the frames of the output.

    Args:
        request: what was asked for.
        info: the source.
        extent: the part of it that is used.
        way: the way out, where it holds pictures alone; those know fewer times than containers do.
    """
    asked = _asked(request, extent)
    if way is not None and way.timeless and isinstance(asked.rule, Phases):
        rate = _mean_rate(info) * asked.rule.factor
        note = f"{way.noun} has no times: the variable rate becomes {_words(rate / asked.stretch)}"
        return Timing(Grid(extent.first, rate), asked.stretch, (note,))
    if way is not None and way.fastest is not None and _fastest(asked, info, extent) > way.fastest:
        note = f"{way.noun} shows no more than {_words(way.fastest)}: that many are made"
        return Timing(Grid(extent.first, way.fastest * asked.stretch), asked.stretch, (note,))
    return asked


def notes_on_closeness(timing: Timing, info: MediaInfo, extent: Extent, path: Path) -> tuple[str, ...]:
    """What there is to say of pictures that the output's container cannot tell apart: at a variable rate, places.

    Args:
        timing: of the output.
        info: the source.
        extent: the part of it that is used.
        path: of the output; its extension names the container.

    Raises:
        OutputError: most are so close.
    """
    container = CONTAINERS.get(path.suffix.lower())
    if not isinstance(timing.rule, Phases) or container is None or container.max_rate is None:
        return ()
    gaps = _gaps(info, extent)
    least = timing.rule.factor / (timing.stretch * container.max_rate * info.video.time_base)
    close = int(np.count_nonzero(gaps < math.ceil(least)))
    if 2 * close > len(gaps):
        raise OutputError(
            f"{path.suffix} cannot tell most of the pictures apart: they lie closer than its timestamps",
            hint="Those are whole milliseconds: write .mp4 or .mov.",
        )
    if not close:
        return ()
    return (
        f"{path.suffix} counts whole milliseconds and shows some pictures at one time, their gaps ({close}) being "
        "shorter: .mp4 and .mov tell them apart",
    )


def _asked(request: Request, extent: Extent) -> Timing:
    stretch = request.slow or 1
    if request.fps is not None:
        return Timing(Grid(extent.first, request.fps * stretch), stretch)
    factor = request.slow or request.factor or _DEFAULT_FACTOR
    return Timing(Grid(extent.first, extent.rate * factor) if extent.rate else Phases(factor), stretch)


def _fastest(timing: Timing, info: MediaInfo, extent: Extent) -> Fraction:
    """Frames per second of the output where it runs fastest."""
    if isinstance(timing.rule, Grid):
        return timing.rule.rate / timing.stretch
    gap = int(_gaps(info, extent).min(initial=np.iinfo(np.int64).max)) * info.video.time_base
    return timing.rule.factor / gap / timing.stretch


def _gaps(info: MediaInfo, extent: Extent) -> npt.NDArray[np.int64]:
    """From each picture of the used part to the next, ticks; of a file with a variable rate."""
    ticks, base = info.video.packet_times, info.video.time_base
    used = ticks[ticks >= math.floor(extent.first / base)]
    return np.diff(used if extent.last is None else used[used <= math.ceil(extent.last / base)])


def _mean_rate(info: MediaInfo) -> Fraction:
    """Frames per second of a source whose rate varies."""
    if info.video.rate_claimed is not None:
        return info.video.rate_claimed.limit_denominator(1001)
    ticks = info.video.packet_times
    span = int(ticks[-1] - ticks[0]) * info.video.time_base
    return ((len(ticks) - 1) / span).limit_denominator(1001) if span else Fraction(25)


def _words(rate: Fraction) -> str:
    return f"{float(rate):.3f}".rstrip("0").rstrip(".") + " frames per second"
