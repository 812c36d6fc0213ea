"""A whole clip as one array of RGB pictures, for measuring. Knows nothing of what is measured."""

from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

from svmv_cli.errors import InputError
from svmv_cli.media.containers import VIDEO_SUFFIXES
from svmv_cli.media.probe import probe
from svmv_cli.media.reader import VideoReader
from svmv_cli.media.stills import StillDecoder, read_header

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


def write_pictures(folder: Path, pictures: Pictures) -> None:
    """Write pictures, (N, 3, H, W), RGB, 8 bits, as 00000001.png and so on into a folder."""
    encoder = av.CodecContext.create("png", "w")
    assert isinstance(encoder, av.VideoCodecContext)
    encoder.height, encoder.width = pictures.shape[2:]
    encoder.pix_fmt, encoder.time_base = "rgb24", Fraction(1)
    encoder.thread_count = 1  # so that each picture comes out when it has gone in
    for number, picture in enumerate(pictures, 1):
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture.transpose(1, 2, 0)), format="rgb24")
        frame.pts = number
        (packet,) = encoder.encode(frame)
        (folder / f"{number:08}.png").write_bytes(bytes(packet))


def read_picture(path: Path) -> Pictures:
    """(3, H, W), RGB, 8 bits, of a file as `stills.read_header` knows them.

    Raises:
        InputError: it is no such file, or is damaged.
    """
    picture = StillDecoder().decode(path, read_header(path).codec).to_ndarray(format="rgb24")
    return np.ascontiguousarray(picture.transpose(2, 0, 1)).astype(np.uint8, copy=False)


def _videos(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file())
