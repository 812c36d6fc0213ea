"""Files by extension: which are video, which containers are written and what each holds. Knows no streams."""

from dataclasses import dataclass
from pathlib import Path

from svmv_cli.errors import OutputError
from svmv_cli.media.bare import BARE_SUFFIXES


@dataclass(frozen=True, slots=True)
class ContainerChoice:
    """A container this command writes."""

    muxer: str  # FFmpeg's name
    codecs: tuple[str, ...]  # video, by the user's names, the default first
    audio: str  # FFmpeg encoder for sound that cannot be copied
    subtitle: str | None  # FFmpeg encoder for text subtitles that cannot be copied
    alpha: tuple[str, ...] = ()  # those of the codecs whose transparency it keeps
    max_rate: int | None = None  # frames/s that its timestamps can tell apart
    options: tuple[tuple[str, str], ...] = ()
    copied_audio: frozenset[str] | None = None  # FFmpeg codecs; None: whatever the muxer does not refuse


# What a folder is searched for; a file that is named itself may be called anything.
VIDEO_SUFFIXES = frozenset(
    {
        ".3gp",
        ".apng",
        ".avi",
        ".flv",
        ".gif",
        ".m2ts",
        ".m4v",
        ".mkv",
        ".mov",
        ".mp4",
        ".mpeg",
        ".mpg",
        ".mts",
        ".mxf",
        ".nut",
    }
    | {".ogv", ".ts", ".vob", ".webm", ".wmv", ".y4m"}
)
# The muxer takes any other sound as well, as private data that no player finds.
_TS_AUDIO = frozenset({"aac", "aac_latm", "ac3", "dts", "eac3", "mp2", "mp3", "opus", "s302m", "truehd"})
_ISO = (("movflags", "+faststart"),)

CONTAINERS = {
    ".mp4": ContainerChoice("mp4", ("h264", "hevc", "av1", "vp9"), "aac", "mov_text", options=_ISO),
    ".m4v": ContainerChoice("mp4", ("h264", "hevc", "av1", "vp9"), "aac", "mov_text", options=_ISO),
    ".mov": ContainerChoice("mov", ("h264", "hevc", "prores"), "aac", "mov_text", alpha=("prores",), options=_ISO),
    ".mkv": ContainerChoice(
        "matroska",
        ("h264", "hevc", "av1", "vp9", "ffv1", "prores"),
        "aac",
        "srt",
        alpha=("vp9", "ffv1", "prores"),
        max_rate=1000,
    ),
    ".webm": ContainerChoice("webm", ("vp9", "av1"), "libopus", "webvtt", alpha=("vp9",), max_rate=1000),
    ".ts": ContainerChoice("mpegts", ("h264", "hevc"), "aac", None, copied_audio=_TS_AUDIO),
    ".m2ts": ContainerChoice(
        "mpegts",
        ("h264", "hevc"),
        "aac",
        None,
        options=(("mpegts_m2ts_mode", "1"),),
        copied_audio=_TS_AUDIO | {"pcm_bluray"},
    ),
}


def container_for(path: Path) -> ContainerChoice:
    """The container a file name asks for.

    Raises:
        OutputError: the extension is none that this command writes.
    """
    choice = CONTAINERS.get(path.suffix.lower())
    if choice is None:
        named = f"files ending in {path.suffix!r}" if path.suffix else "a file without an extension"
        raise OutputError(
            f"cannot write {named}",
            hint=f"Use one of {', '.join(sorted({*CONTAINERS, *BARE_SUFFIXES}))}, or %06d.png for pictures.",
        )
    return choice


def check_holds(path: Path, codec: str) -> None:
    """Check that the container of `path` holds a codec.

    Raises:
        OutputError: it does not; the hint names the containers that do.
    """
    if codec in container_for(path).codecs:
        return
    able = [extension for extension, choice in CONTAINERS.items() if codec in choice.codecs]
    raise OutputError(f"{path.suffix} cannot hold {codec}", hint=f"{codec} goes into {' or '.join(able)}.")
