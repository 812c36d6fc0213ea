"""What will be written: every decision about the output file, made before any work. Knows no frames."""

from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from svmv_cli.errors import OutputError, UnsupportedError, UsageError
from svmv_cli.media.containers import ContainerChoice, check_holds, container_for
from svmv_cli.media.decision import StreamDecision
from svmv_cli.media.encoders import (
    CODECS,
    CodecChoice,
    Device,
    Picture,
    choose_encoder,
    choose_format,
    encoder_options,
    formats_of,
    joined_options,
    opening_failure,
)
from svmv_cli.media.frame import PixelFormat
from svmv_cli.media.hdr import hdr_options
from svmv_cli.media.info import ColorInfo, MediaInfo, Span, VideoInfo
from svmv_cli.media.losses import LIMITED_ONLY, hdr_losses, lost_beside, rarely_played, sample_losses, shape_losses
from svmv_cli.media.pictures import color_after, nearest_format, working_format
from svmv_cli.media.streams import TIMECODE_MUXERS, SlowAudio, decide_streams
from svmv_cli.media.timecode import timecode_after
from svmv_cli.timeline import Clock

__all__ = ["StreamDecision", "Target", "choose_target"]


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
    display_matrix: tuple[int, ...]  # how players turn and mirror the picture: FFmpeg's nine numbers, or none
    color: ColorInfo  # of the frames to be written
    rate: Fraction | None  # frames/s; None means a variable rate
    options: tuple[tuple[str, str], ...]  # encoder options
    clock: Clock  # source seconds → output seconds
    clip: Span  # s on the source's clock; what is kept
    slow_audio: SlowAudio
    streams: tuple[StreamDecision, ...]
    timecode: str | None  # of the first picture
    notes: tuple[str, ...] = ()  # what the picture loses, in sentences for the user

    @property
    def stored_color(self) -> ColorInfo:
        """Of the pictures in the file."""
        return replace(self.color, full_range=False) if self.codec in LIMITED_ONLY else self.color


def choose_target(
    info: MediaInfo,
    *,
    path: Path,
    clock: Clock,
    rate: Fraction | None,
    codec: str | None = None,
    encoder: Device = "auto",
    crf: int | None = None,
    preset: str | None = None,
    pix_fmt: str | None = None,
    clip: Span = (None, None),
    slow_audio: SlowAudio = "stretch",
) -> Target:
    """Decide everything about the output; the encoder is opened once to prove that it will open.

    Args:
        info: the source.
        path: the output; its extension names the container.
        clock: source to output seconds; a stretch other than 1 is slow motion.
        rate: frames per second of the output; None for a variable rate.
        codec: a name in `CODECS`; None for the container's default.
        encoder: "nvenc" insists on the GPU's encoder, "auto" takes it where it opens.
        crf: constant quality on the codec's own scale; None for visually lossless.
        preset: one of the codec's presets.
        pix_fmt: FFmpeg pixel format; None for the nearest the encoder has to the source's.
        clip: what is kept, s on the source's clock.
        slow_audio: whether sound is stretched or dropped in slow motion.

    Raises:
        UsageError: a setting the codec does not have, or a value it does not take.
        OutputError: the container is unknown or cannot hold the codec; the encoder cannot take the picture.
        DeviceError: NVENC was asked for and does not open.
        UnsupportedError: the source's pixel format has no planar form.
    """
    container = container_for(path)
    source = _working(info.video)
    choice = _choose_codec(container, path=path, asked=codec, source=source)
    _check_rate(container, path=path, rate=rate)
    name = choose_encoder(choice, device=encoder)
    size = (info.video.width, info.video.height)
    wanted = source if choice.name in container.alpha else source.opaque
    format_name = choose_format(choice, encoder=name, wanted=wanted, asked=pix_fmt, size=size)
    kept = working_format(format_name)
    color = color_after(info.video.color, source=source, target=kept)
    hdr = hdr_options(info.video.hdr, encoder=name)
    timecode = timecode_after(info, rate=rate, start=clip[0])
    target = Target(
        path=path,
        container=container.muxer,
        codec=choice.name,
        encoder=name,
        pix_fmt=format_name,
        width=size[0],
        height=size[1],
        sample_aspect_ratio=info.video.sample_aspect_ratio,
        display_matrix=info.video.display_matrix,
        color=color,
        rate=rate,
        options=joined_options(
            _options(choice, encoder=name, crf=crf, preset=preset, kept=kept),
            hdr,
            _reorder(choice, container, rate),
        ),
        clock=clock,
        clip=clip,
        slow_audio=slow_audio,
        timecode=timecode if container.muxer in TIMECODE_MUXERS else None,
        streams=decide_streams(
            info, container=container, stretch=clock.stretch, slow_audio=slow_audio, timecode=timecode is not None
        ),
        notes=sample_losses(source, kept, codec=choice.name)
        + (() if codec or pix_fmt else rarely_played(info.video, kept, codec=choice.name))
        + shape_losses(info.video, color, muxer=container.muxer, codec=choice.name)
        + hdr_losses(info.video.hdr, codec=choice.name, written=bool(hdr))
        + lost_beside(info.video),
    )
    _prove(target)
    return target


def picture_of_target(target: Target, *, rate: Fraction, time_base: Fraction) -> Picture:
    """What the encoder is told of the pictures.

    Args:
        target: the output.
        rate: frames per second; the mean one when it varies.
        time_base: s per tick of the timestamps.
    """
    return Picture(
        width=target.width,
        height=target.height,
        pix_fmt=target.pix_fmt,
        rate=rate,
        time_base=time_base,
        color=target.stored_color,
        sample_aspect_ratio=target.sample_aspect_ratio,
        display_matrix=target.display_matrix,
    )


def _working(video: VideoInfo) -> PixelFormat:
    try:
        return working_format(video.pix_fmt)
    except ValueError as error:
        raise UnsupportedError(f"pictures in {video.pix_fmt} are beyond this build") from error


def _choose_codec(container: ContainerChoice, *, path: Path, asked: str | None, source: PixelFormat) -> CodecChoice:
    if asked is not None:
        if asked not in CODECS:
            raise UsageError(f"{asked!r} is not a codec here", hint=f"Codecs: {', '.join(CODECS)}.")
        check_holds(path, asked)
        return CODECS[asked]
    default = CODECS[container.codecs[0]]
    if source.alpha and (able := _with_alpha(container, source)):
        return able
    # Ten-bit H.264 plays almost nowhere.
    if default.name == "h264" and source.depth > 8 and "hevc" in container.codecs:
        return CODECS["hevc"]
    # VP9 here has eight bits only: ten-bit video for the web goes to AV1.
    if default.name == "vp9" and source.depth > 8 and "av1" in container.codecs and source.depth <= 10:
        return CODECS["av1"]
    return default


def _with_alpha(container: ContainerChoice, source: PixelFormat) -> CodecChoice | None:
    """The first codec of the container that keeps transparency, at the source's depth if there is one."""
    able = []
    for codec in (CODECS[name] for name in container.alpha):
        kept = nearest_format(source, formats_of(codec, codec.encoder))
        if kept is not None and kept.alpha:
            able.append((max(0, source.depth - kept.depth), codec))
    return min(able, key=lambda one: one[0])[1] if able else None


def _check_rate(container: ContainerChoice, *, path: Path, rate: Fraction | None) -> None:
    if rate is not None and container.max_rate is not None and rate > container.max_rate:
        raise OutputError(
            f"{path.suffix} cannot tell {float(rate):g} frames per second apart",
            hint="Its timestamps are whole milliseconds: write .mp4 or .mov.",
        )


def _options(
    choice: CodecChoice, *, encoder: str, crf: int | None, preset: str | None, kept: PixelFormat
) -> tuple[tuple[str, str], ...]:
    """The user's settings, or for ProRes the profile that fits the picture."""
    if choice.name == "prores" and preset is None:
        preset = "4444" if kept.shift_x == 0 else "hq"
    return encoder_options(choice, encoder=encoder, crf=crf, preset=preset)


def _reorder(choice: CodecChoice, container: ContainerChoice, rate: Fraction | None) -> tuple[tuple[str, str], ...]:
    """No B-frames for a variable rate in MP4 and MOV: they keep durations in decoding order, and end too early."""
    if rate is None and container.muxer in {"mp4", "mov"} and choice.name in {"h264", "hevc"}:
        return (("bf", "0"),)
    return ()


def _prove(target: Target) -> None:
    rate = target.rate or Fraction(30)
    picture = picture_of_target(target, rate=rate, time_base=Fraction(1, rate.numerator))
    failure = opening_failure(target.encoder, picture=picture, options=target.options)
    if failure is None:
        return
    plain = replace(picture, width=256, height=256)
    if opening_failure(target.encoder, picture=plain, options=target.options) is None:
        raise OutputError(
            f"{target.codec} cannot encode pictures of {target.width}x{target.height} ({failure})",
            hint="Use --codec h264, which takes any size.",
        )
    raise OutputError(
        f"the encoder {target.encoder} does not open ({failure})",
        hint="Choose another --codec, or --encoder cpu.",
    )
