"""What a picture loses on its way into a codec and a container, in sentences for the user. Decides nothing."""

from svmv_cli.media.frame import PixelFormat
from svmv_cli.media.info import SITINGS, ColorInfo, HdrInfo, VideoInfo

DOLBY_VISION = "Dolby Vision metadata"
_UNTAGGED = 2  # ITU-T H.273 matrix
LIMITED_ONLY = frozenset({"prores"})  # codecs whose decoders take all levels for limited
_USUAL = (0, 1)  # AVChromaLocation: unsaid, left


def sample_losses(source: PixelFormat, kept: PixelFormat, *, codec: str) -> tuple[str, ...]:
    """What the samples lose.

    Args:
        source: the format that holds everything the source has.
        kept: that of the output.
        codec: the user's name of it.
    """
    losses: list[str] = []
    if source.alpha and not kept.alpha:
        losses.append(f"transparency is lost: {codec} does not hold it here")
    if source.depth > kept.depth:
        losses.append(f"{source.depth} bits per sample become {kept.depth}")
    if source.kind != "gray" and (kept.shift_x, kept.shift_y) > (source.shift_x, source.shift_y):
        losses.append(f"colour is stored at half resolution ({kept.name})")
    return tuple(losses)


def rarely_played(video: VideoInfo, kept: PixelFormat, *, codec: str) -> tuple[str, ...]:
    """That few players show what comes out, where they did show the source.

    Args:
        video: the source's picture.
        kept: the output's format, which nobody asked for.
        codec: the user's name of the codec.
    """
    usual = kept.kind != "yuv" or (kept.shift_x, kept.shift_y) == (1, 1)
    if codec not in {"h264", "hevc"} or usual or video.codec == codec:
        return ()
    common = "yuv420p" if kept.depth == 8 else f"yuv420p{kept.depth}le"
    return (f"colour stays whole ({kept.name}), which many players do not show in {codec}: --pix-fmt {common}",)


def shape_losses(video: VideoInfo, color: ColorInfo, *, muxer: str, codec: str) -> tuple[str, ...]:
    """What the container has no place for, or FFmpeg's muxer, driven from here, does not write.

    Args:
        video: the source's picture.
        color: the output's tags.
        muxer: FFmpeg's name of the container.
        codec: the user's name of the codec.
    """
    losses: list[str] = []
    in_stream = codec in {"h264", "hevc"}
    matroska = muxer in {"matroska", "webm"}
    if video.display_matrix and muxer == "mpegts":
        turn = f"the rotation of {video.rotation} degrees" if video.rotation else "that the picture is mirrored"
        losses.append(f"{turn} is lost: .ts has no place for it")
    if color.full_range and codec in LIMITED_ONLY:
        losses.append(f"full range is converted to limited: {codec} knows no other")
    place = color.chroma_location
    av1_has_word = codec == "av1" and place == 3
    if place not in _USUAL and not (in_stream or matroska or av1_has_word):
        where = SITINGS[place - 1]
        losses.append(f"that chroma samples lie {where} is not written: use .mkv, or --codec h264 or hevc")
    return tuple(losses)


def hdr_losses(hdr: HdrInfo, *, codec: str, written: bool) -> tuple[str, ...]:
    """What is lost of the metadata of the whole film.

    Args:
        hdr: the source's.
        codec: the user's name of the codec.
        written: whether the encoder writes the static part.
    """
    losses: list[str] = []
    if (hdr.mastering or hdr.light) and not written:
        # The codecs that can are those of which only the GPU's encoders cannot.
        remedy = "--encoder cpu" if codec in {"h264", "hevc", "av1"} else "--codec hevc or av1"
        losses.append(f"the HDR10 mastering data is lost: {codec} does not write it here; use {remedy}")
    return tuple(losses)


def lost_beside(video: VideoInfo) -> tuple[str, ...]:
    """What pictures carry beside their samples: it belongs to single ones, new ones have none."""
    if not video.beside:
        return ()
    lost = f"not carried over, since pictures are encoded anew: {', '.join(video.beside)}"
    if DOLBY_VISION in video.beside and video.color.matrix == _UNTAGGED:
        # Profile 5 stores ITP colours, which only its metadata turns into pictures.
        return lost, "the colours are likely wrong: this Dolby Vision has no plain picture below it"
    return (lost,)
