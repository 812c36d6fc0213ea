"""Video encoders by the names users know: options, formats and limits. Knows no files and no frames."""

import os
from dataclasses import dataclass, field
from fractions import Fraction
from io import BytesIO
from typing import Literal

import av
from av.container import OutputContainer

from svmv_cli.errors import DeviceError, OutputError, UsageError
from svmv_cli.media.frame import PixelFormat
from svmv_cli.media.info import ColorInfo
from svmv_cli.media.opening import reason
from svmv_cli.media.pictures import nearest_format, working_format
from svmv_cli.media.repeatable import repeatable_options
from svmv_cli.media.tags import siting_options

Device = Literal["auto", "cpu", "nvenc"]

_X264_PRESETS = (
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
    "placebo",
)


@dataclass(frozen=True, slots=True)
class CodecChoice:
    """One codec a user may ask for, on the CPU."""

    name: str
    encoder: str  # FFmpeg encoder
    nvenc: str | None = None  # its twin on an NVIDIA encoder
    crf: int | None = None  # default constant quality; None: the codec has no such setting
    crf_range: tuple[int, int] = (0, 51)
    preset_option: str | None = None  # FFmpeg option that --preset sets
    presets: tuple[str, ...] = ()
    preset: str | None = None  # default
    options: tuple[tuple[str, str], ...] = ()  # always set
    even_only: bool = False  # refuses sizes its chroma subsampling does not divide
    refused: frozenset[str] = frozenset()  # formats the encoder lists and does not open with
    kinds: frozenset[str] = field(default=frozenset({"yuv"}))  # kinds of picture players expect in it


CODECS = {
    choice.name: choice
    for choice in (
        CodecChoice("h264", "libx264", "h264_nvenc", 17, (0, 51), "preset", _X264_PRESETS, "medium", even_only=True),
        CodecChoice(
            "hevc",
            "libx265",
            "hevc_nvenc",
            18,
            (0, 51),
            "preset",
            _X264_PRESETS,
            "medium",
            options=(("x265-params", "log-level=none"),),
            even_only=True,
            refused=frozenset({"yuva420p", "yuva420p10le"}),
        ),
        CodecChoice("av1", "libsvtav1", "av1_nvenc", 24, (1, 63), "preset", tuple(str(n) for n in range(14)), "8"),
        CodecChoice(
            "vp9",
            "libvpx-vp9",
            None,
            24,
            (0, 63),
            "cpu-used",
            tuple(str(n) for n in range(9)),
            "3",
            options=(("deadline", "good"), ("row-mt", "1"), ("b", "0")),
            refused=frozenset({"yuva422p", "yuva444p", "gbrap"}),
        ),
        CodecChoice(
            "ffv1",
            "ffv1",
            options=(("level", "3"), ("slicecrc", "1"), ("g", "1")),
            kinds=frozenset({"yuv", "gbr", "gray"}),
        ),
        CodecChoice(
            "prores",
            "prores_ks",
            preset_option="profile",
            presets=("proxy", "lt", "standard", "hq", "4444", "4444xq"),
            options=(("vendor", "apl0"),),
        ),
    )
}

_NVENC_CRF = {"h264": 19, "hevc": 20, "av1": 26}
_NVENC_PRESETS = ("p1", "p2", "p3", "p4", "p5", "p6", "p7")


@dataclass(frozen=True, slots=True)
class Picture:
    """What an encoder is told of the pictures it will get."""

    width: int  # px
    height: int  # px
    pix_fmt: str
    rate: Fraction  # frames/s; the mean one, when the rate varies
    time_base: Fraction  # s per tick
    color: ColorInfo = field(default_factory=ColorInfo)
    sample_aspect_ratio: Fraction = Fraction(1)
    display_matrix: tuple[int, ...] = ()  # nine numbers in FFmpeg's layout, or none


_NVENC_TRIAL = Picture(256, 256, "yuv420p", Fraction(30), Fraction(1, 30))


def choose_encoder(codec: CodecChoice, *, device: Device) -> str:
    """The FFmpeg encoder for a codec; "auto" takes NVENC only where one really opens.

    Raises:
        UsageError: the codec has no NVENC twin.
        DeviceError: NVENC was asked for by name and does not open here.
    """
    if device == "cpu" or (device == "auto" and codec.nvenc is None):
        return codec.encoder
    if codec.nvenc is None:
        raise UsageError(f"NVENC cannot encode {codec.name}", hint="Use --encoder cpu, or --codec h264 or hevc.")
    # An encoder that is compiled in proves nothing: some GPUs, large ones too, have no NVENC at all.
    failure = opening_failure(codec.nvenc, picture=_NVENC_TRIAL, options=())
    if failure is None:
        return codec.nvenc
    if device == "auto":
        return codec.encoder
    raise DeviceError(
        f"NVENC does not open on this machine ({failure})",
        hint="Use --encoder cpu, or check that the GPU has an encoder and its driver is loaded.",
    )


def encoder_options(
    codec: CodecChoice, *, encoder: str, crf: int | None, preset: str | None
) -> tuple[tuple[str, str], ...]:
    """Options for the encoder, checked.

    Raises:
        UsageError: the codec has no such setting, or the value is not one of its values.
    """
    if encoder == codec.nvenc:
        quality = _checked_crf(codec, crf, _NVENC_CRF[codec.name])
        speed = _checked_preset(codec, preset, _NVENC_PRESETS, "p5")
        return (("preset", str(speed)), ("rc", "vbr"), ("cq", str(quality)), ("b", "0"))
    chosen = list(codec.options)
    quality = _checked_crf(codec, crf, codec.crf)
    if quality is not None:
        chosen.append(("crf", str(quality)))
    speed = _checked_preset(codec, preset, codec.presets, codec.preset)
    if speed is not None and codec.preset_option:
        chosen.append((codec.preset_option, speed))
    return tuple(chosen)


def joined_options(*groups: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    """Groups of encoder options as one; lists of an encoder's own parameters are put end to end."""
    joined: dict[str, str] = {}
    for key, value in (pair for group in groups for pair in group):
        joined[key] = f"{joined[key]}:{value}" if key.endswith("-params") and key in joined else value
    return tuple(joined.items())


def _checked_crf(codec: CodecChoice, crf: int | None, default: int | None) -> int | None:
    if crf is None:
        return default
    if default is None:
        raise UsageError(f"{codec.name} has no --crf", hint="Leave it out, or choose another --codec.")
    low, high = codec.crf_range
    if not low <= crf <= high:
        raise UsageError(f"--crf {crf} is not between {low} and {high}, the range of {codec.name}")
    return crf


def _checked_preset(codec: CodecChoice, preset: str | None, known: tuple[str, ...], default: str | None) -> str | None:
    if preset is None:
        return default
    if not known:
        raise UsageError(f"{codec.name} has no --preset", hint="Leave it out, or choose another --codec.")
    if preset not in known:
        raise UsageError(f"{preset!r} is not a preset of {codec.name}", hint=f"Presets: {', '.join(known)}.")
    return preset


def choose_format(
    codec: CodecChoice, *, encoder: str, wanted: PixelFormat, asked: str | None, size: tuple[int, int]
) -> str:
    """The encoder's input format: the one asked for, else the one that keeps most of `wanted` at this size.

    Raises:
        UsageError: the encoder does not know the format that was asked for.
        OutputError: no format of the encoder takes pictures of this size.
    """
    offered = _formats_of(codec, encoder)
    if asked is not None:
        if asked not in offered:
            raise UsageError(f"{encoder} does not take {asked!r}", hint=f"It takes: {', '.join(sorted(offered))}.")
        if not _fits(offered[asked], codec, size):
            raise OutputError(
                f"{codec.name} cannot store {size[0]}x{size[1]} as {asked}: its chroma needs even sizes",
                hint="Leave --pix-fmt out, or use yuv444p.",
            )
        return asked
    usable = {name: kept for name, kept in offered.items() if kept.kind in codec.kinds and _fits(kept, codec, size)}
    best = nearest_format(wanted, list(usable.values()))
    if best is None:
        raise OutputError(
            f"{codec.name} cannot store pictures of {size[0]}x{size[1]}", hint="Use --codec h264 or ffv1."
        )
    # The planar name first: some encoders list packed twins of it.
    return best.name if best.name in usable else next(name for name in usable if usable[name] == best)


def formats_of(codec: CodecChoice, encoder: str) -> list[PixelFormat]:
    """The planar formats that hold what the encoder takes."""
    return list(_formats_of(codec, encoder).values())


def _formats_of(codec: CodecChoice, encoder: str) -> dict[str, PixelFormat]:
    """What the encoder takes, by FFmpeg name, with the planar format of the same content."""
    found: dict[str, PixelFormat] = {}
    for offered in av.Codec(encoder, "w").video_formats or []:
        try:
            kept = working_format(offered.name)
        except ValueError:
            continue  # hardware surfaces and floats, which frames here never are
        if not offered.name.startswith("yuvj") and offered.name not in codec.refused:
            found[offered.name] = kept
    return found


def _fits(pixel_format: PixelFormat, codec: CodecChoice, size: tuple[int, int]) -> bool:
    if not codec.even_only:
        return True
    return size[0] % (1 << pixel_format.shift_x) == 0 and size[1] % (1 << pixel_format.shift_y) == 0


def add_video(
    out: OutputContainer, encoder: str, *, picture: Picture, options: tuple[tuple[str, str], ...]
) -> av.VideoStream:
    """Add a video stream to a container that is being set up; the encoder opens with the header."""
    # SVT-AV1 writes a page to stderr on opening and listens to nothing but this variable.
    os.environ.setdefault("SVT_LOG", "1")
    siting = siting_options(picture.color.chroma_location)
    every = joined_options(siting, options, repeatable_options(encoder))
    stream = out.add_stream(encoder, rate=picture.rate, options=dict(every))
    if not isinstance(stream, av.VideoStream):
        raise ValueError(f"not a video encoder: {encoder!r}")
    stream.codec_context.time_base = picture.time_base
    describe_video(stream, picture, encoder=encoder, muxer=out.format.name)
    return stream


def describe_video(stream: av.VideoStream, picture: Picture, *, encoder: str, muxer: str) -> None:
    """Tell an output stream, whose header is not yet written, what its pictures are like.

    Args:
        stream: of an encoder, or the copy of a stream that `encoder` made.
        picture: what they are like.
        encoder: FFmpeg's name.
        muxer: FFmpeg's name of the container.
    """
    context = stream.codec_context
    context.framerate = picture.rate
    context.width, context.height = picture.width, picture.height
    context.pix_fmt = picture.pix_fmt
    context.sample_aspect_ratio = picture.sample_aspect_ratio
    context.color_primaries = picture.color.primaries
    context.color_trc = picture.color.transfer
    context.colorspace = picture.color.matrix
    context.color_range = 2 if picture.color.full_range else 1
    if encoder in {"libx265", "hevc_nvenc"} and muxer in {"mp4", "mov"}:
        context.codec_tag = "hvc1"  # Apple's players take no other
    if picture.display_matrix:
        stream.set_display_matrix(picture.display_matrix)


def opening_failure(encoder: str, *, picture: Picture, options: tuple[tuple[str, str], ...]) -> str | None:
    """Why the encoder does not open with these pictures and options; None when it opens."""
    try:
        with av.open(BytesIO(), "w", format="matroska") as out:
            context = add_video(out, encoder, picture=picture, options=options).codec_context
            context.open()
            left = sorted(context.options)
    except (av.FFmpegError, ValueError) as error:
        return reason(error)
    # FFmpeg leaves options it does not know in place and says nothing.
    return f"unknown option {left[0]!r}" if left else None
