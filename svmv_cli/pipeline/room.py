"""What a job takes of the disk, and whether it has that. Roughly: it refuses only what is sure to fail."""

import shutil
from pathlib import Path

from svmv_cli.errors import OutputError
from svmv_cli.media.bare import PIPE
from svmv_cli.media.info import MediaInfo
from svmv_cli.media.target import Target
from svmv_cli.pipeline.workfolder import held_bytes

_CHEAPER = 0.4  # an in-between costs about this share of a source frame's bits
# Bits per pixel of a source frame at our default quality.
_BITS = {"h264": 0.14, "hevc": 0.10, "av1": 0.08, "vp9": 0.10, "prores": 2.5, "ffv1": 6.0} | {
    **{"apng": 10, "gif": 12, "jpeg": 2.5, "png": 11, "tiff": 11, "webp": 0.6, "y4m": 12}
}
_NOTHING_SAVED = frozenset({"jpeg", "png", "tiff", "y4m"})  # every picture stands alone


def estimate(
    info: MediaInfo, target: Target, *, frames_in: int | None, frames_out: int | None, segments: int
) -> int | None:
    """Bytes a job may take: the picture by size and codec, the rest as large as the source's; None for a pipe.

    Finished segments lie beside the output until that is complete, so that the picture is there twice.

    Args:
        info: the source.
        target: the output.
        frames_in: of the source; None while that is not known.
        frames_out: of the output; likewise.
        segments: in how many the picture is made; a single one is the output itself.
    """
    if frames_in is None or frames_out is None:
        return None
    bits = _BITS.get(target.codec, max(_BITS.values()))
    share = 1 if target.codec in _NOTHING_SAVED else _CHEAPER
    whole = frames_in + max(0, frames_out - frames_in) * share
    picture = int(target.width * target.height * bits * whole / 8)
    rate = info.video.bit_rate
    length = info.duration_claimed or info.video.duration_claimed
    rest = max(0, info.size - int(rate * length / 8)) if rate and length else info.size // 10
    return picture * (2 if segments > 1 else 1) + rest


def check_room(output: Path, needed: int | None) -> None:
    """Refuse when not even half the estimate fits: it is rough, and a wrong refusal costs the user a run.

    Args:
        output: the file to be made; what finished segments of it take already is not needed again.
        needed: bytes; None when nobody can say.

    Raises:
        OutputError: the disk has no room.
    """
    if needed is None or output == PIPE:
        return
    folder = output.parent
    while not folder.exists() and folder.parent != folder:
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    needed = max(0, needed - held_bytes(output))
    if free < needed // 2:
        raise OutputError(
            f"no room in {folder}: about {needed / 1e9:.1f} GB needed, {free / 1e9:.1f} GB free",
            hint="Make room, write elsewhere with -o, or raise --crf.",
        )
