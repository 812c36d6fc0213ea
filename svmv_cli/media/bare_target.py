"""Decisions about an output that holds pictures alone. Knows no frames."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

from svmv_cli.errors import UnsupportedError, UsageError
from svmv_cli.media.bare import BareChoice
from svmv_cli.media.decision import StreamDecision
from svmv_cli.media.finishing import lies_on_its_side
from svmv_cli.media.frame import PixelFormat
from svmv_cli.media.info import ColorInfo, MediaInfo, Span
from svmv_cli.media.losses import sample_losses
from svmv_cli.media.pictures import color_after, matrix_of, nearest_format, working_format
from svmv_cli.media.target import Target
from svmv_cli.timeline import Clock

_HDR = frozenset({16, 18})  # transfer: PQ, HLG
_LAMBDA = 118  # FFmpeg's lambda for one step of an MPEG quantiser
_MATRICES = {1: "BT.709", 5: "BT.601", 6: "BT.601", 9: "BT.2020"}


def choose_bare_target(
    info: MediaInfo,
    choice: BareChoice,
    *,
    path: Path,
    clock: Clock,
    rate: Fraction | None,
    codec: str | None = None,
    quality: int | None = None,
    preset: str | None = None,
    pix_fmt: str | None = None,
    clip: Span = (None, None),
) -> Target:
    """Decide everything about the output.

    Args:
        info: the source.
        choice: the way out that `path` asks for.
        path: the output: a file, a row's pattern, or `bare.PIPE`.
        clock: source to output seconds.
        rate: frames per second of the output; None for a variable rate.
        codec: must be None or the way's own.
        quality: of JPEG, lower is better; None for the default.
        preset: must be None.
        pix_fmt: one of the way's formats; None for the nearest to the source's.
        clip: what is kept, s on the source's clock.

    Raises:
        UsageError: a setting that the way does not have.
        UnsupportedError: the source's pixel format has no planar form.
    """
    if codec not in (None, choice.codec):
        raise UsageError(f"{choice.noun} is never {codec}", hint="Leave --codec out.")
    if preset is not None:
        raise UsageError(f"{choice.noun} has no --preset", hint="Leave it out.")
    try:
        source = working_format(info.video.pix_fmt)
    except ValueError as error:
        raise UnsupportedError(f"pictures in {info.video.pix_fmt} are beyond this build") from error
    format_name = _format(choice, source, asked=pix_fmt)
    kept = working_format(format_name)
    color = color_after(info.video.color, source=source, target=kept)
    return Target(
        path=path,
        container=choice.muxer,
        codec=choice.codec,
        encoder=choice.encoder,
        pix_fmt=format_name,
        width=info.video.width,
        height=info.video.height,
        sample_aspect_ratio=info.video.sample_aspect_ratio,
        display_matrix=info.video.display_matrix if _can_turn(info, kept) else (),
        color=color,
        rate=rate,
        options=choice.options + _quality(choice, quality),
        clock=clock,
        clip=clip,
        slow_audio="drop",
        timecode=None,
        streams=tuple(
            StreamDecision(other.index, other.kind, other.codec, "drop", None, f"{choice.noun} holds pictures only")
            for other in info.others
        ),
        notes=_losses(info, color, choice, source=source, kept=kept),
    )


def _can_turn(info: MediaInfo, layout: PixelFormat) -> bool:
    """Whether pictures can be shown upright in the same format: chroma that is halved one way would be so the other."""
    return layout.shift_x == layout.shift_y or not lies_on_its_side(info.video.display_matrix)


def _format(choice: BareChoice, source: PixelFormat, *, asked: str | None) -> str:
    if asked is not None:
        if asked not in choice.formats:
            hint = f"It takes: {', '.join(choice.formats)}."
            raise UsageError(f"{choice.noun} does not take {asked!r}", hint=hint)
        return asked
    planar = {working_format(name): name for name in reversed(choice.formats)}
    best = nearest_format(source, list(planar))
    if best is None:
        raise UnsupportedError(f"{choice.noun} does not take {source.name}")
    return planar[best]


def _quality(choice: BareChoice, asked: int | None) -> tuple[tuple[str, str], ...]:
    if choice.quality is None:
        if asked is not None:
            raise UsageError(f"{choice.noun} has no --crf", hint="Leave it out.")
        return ()
    default, best, worst = choice.quality
    quality = default if asked is None else asked
    if not best <= quality <= worst:
        raise UsageError(f"--crf {quality} is not between {best} and {worst}, the range of {choice.codec}")
    return (("flags", "+qscale"), ("global_quality", str(quality * _LAMBDA)))


def _losses(
    info: MediaInfo, color: ColorInfo, choice: BareChoice, *, source: PixelFormat, kept: PixelFormat
) -> tuple[str, ...]:
    losses = list(sample_losses(source, kept, codec=choice.codec))
    if info.chapters:
        losses.append(f"{info.chapters} chapters are lost: {choice.noun} has no place for them")
    height = info.video.height
    if choice.codec == "gif":
        losses.append("a GIF shows 256 colours, at whole hundredths of a second")
    if choice.codec == "y4m" and source.kind == "yuv" and matrix_of(color, height) != matrix_of(ColorInfo(), height):
        name = _MATRICES.get(color.matrix, f"matrix {color.matrix}")
        losses.append(f"y4m does not say that its colours are {name}: tell the program that reads it")
    if color.transfer in _HDR and choice.codec != "png":
        losses.append(f"{choice.noun} is not marked as HDR")
    if info.video.sample_aspect_ratio != 1 and choice.codec != "y4m":
        losses.append(
            f"the pixel shape {info.video.sample_aspect_ratio} is lost: pictures are stored as they are coded"
        )
    if not _can_turn(info, kept):
        losses.append(f"the rotation of {info.video.rotation} degrees is lost")
    return tuple(losses)
