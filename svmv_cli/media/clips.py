"""A whole clip as one array of RGB pictures, for measuring. Knows nothing of what is measured."""

from itertools import islice
from pathlib import Path

import numpy as np
import numpy.typing as npt

from svmv_cli.errors import InputError
from svmv_cli.media.containers import VIDEO_SUFFIXES
from svmv_cli.media.probe import probe
from svmv_cli.media.reader import VideoReader

Pictures = npt.NDArray[np.uint8]


def find_clips(paths: list[Path]) -> list[Path]:
    """The files named, and those with a video's suffix in the folders named, subfolders included, in order.

    Raises:
        InputError: a path does not exist, or a folder holds no video.
    """
    found: dict[Path, None] = {}
    for path in paths:
        if not path.exists():
            raise InputError(f"{path} does not exist", hint="Check the spelling and the folder.")
        inside = _videos(path) if path.is_dir() else [path]
        if not inside:
            raise InputError(f"no video in the folder {path}")
        found.update(dict.fromkeys(inside))
    return list(found)


def read_clip(path: Path, *, limit: int | None = None) -> Pictures:
    """Decode a clip from its beginning.

    Args:
        path: any file `probe` takes.
        limit: pictures at most; all when None.

    Returns:
        (N, 3, H, W), RGB, 8 bits, by the matrix and range the file is tagged with.

    Raises:
        InputError: no video, or none that can be decoded.
    """
    info = probe(path)
    with VideoReader(info, pix_fmt="gbrp") as reader:
        frames = [np.stack([frame.planes[k] for k in (2, 0, 1)]) for frame in islice(iter(reader), limit)]
    if not frames:
        raise InputError(f"no picture of {path} can be decoded")
    return np.stack(frames).astype(np.uint8, copy=False)


def _videos(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file())
