"""Videos as training clips: decoded, cut into shots, repeats and stills left out, scaled down. Knows no torch."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from svmv_cli.errors import InputError
from svmv_cli.media.frame import Frame
from svmv_cli.media.probe import probe
from svmv_cli.media.reader import VideoReader
from svmv_cli.pipeline.interlaced import deinterlace_for
from svmv_cli.pipeline.shots import ShotSettings, look

Packed = npt.NDArray[np.uint8]  # (H·3/2, W), planar 4:2:0

SHORTEST = 7  # frames: a window with one frame dropped between neighbours
LONGEST = 96  # frames per clip: a long shot becomes several, so that sampling over clips stays even
_SHORT_SIDE = 320  # px: larger pictures are averaged down to about this, where motion of training size is found
_STILL = 0.4  # mean luma change between neighbours, code values: below it there is nothing to learn


def training_clips(
    videos: list[Path], *, note: Callable[[str], None]
) -> Iterator[tuple[str, str, npt.NDArray[np.uint8]]]:
    """(shot, source, frames (N, H·3/2, W)) of usable clips; a file that cannot be read is noted and skipped.

    A shot that is long, or has repeats in it, is several clips.
    """
    for path in videos:
        try:
            for number, clip in _clips(path):
                yield f"{path.stem}_{number:04}", path.name, clip
        except InputError as error:
            note(f"{path.name} is left out: {error.message}")


def _clips(path: Path) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    """With the number of the shot each is from."""
    info = probe(path)
    shot, taken = 0, list[Packed]()
    with VideoReader(info, pix_fmt="yuv420p", deinterlace=deinterlace_for("auto", info, binding=False)) as reader:
        for seen in look(reader, settings=ShotSettings()):
            repeat = seen.role != "picture"  # it breaks the even spacing that a training window needs
            if seen.cut or repeat or len(taken) == LONGEST:
                yield from _usable(shot, taken)
                taken = []
            shot += seen.cut
            if not repeat:
                taken.append(_packed(seen.frame))
    yield from _usable(shot, taken)


def _usable(shot: int, taken: list[Packed]) -> Iterator[tuple[int, npt.NDArray[np.uint8]]]:
    if len(taken) < SHORTEST:
        return
    clip = np.stack(taken)
    thin = clip[:, : clip.shape[1] * 2 // 3 : 4, ::4].astype(np.int16)
    if np.abs(np.diff(thin, axis=0)).mean() >= _STILL:
        yield shot, clip


def _packed(frame: Frame) -> Packed:
    """A yuv420p frame, averaged down by a whole factor, sides cut to even, planes stacked as FFmpeg lays them out."""
    factor = max(1, min(frame.width, frame.height) // _SHORT_SIDE)
    luma, u, v = (_shrink(plane, factor) for plane in frame.planes)
    height, width = luma.shape[0] // 2 * 2, luma.shape[1] // 2 * 2
    chroma = [plane[: height // 2, : width // 2].ravel() for plane in (u, v)]
    return np.concatenate([luma[:height, :width].ravel(), *chroma]).reshape(height * 3 // 2, width)


def _shrink(plane: npt.NDArray[np.generic], factor: int) -> npt.NDArray[np.uint8]:
    rows, columns = plane.shape[0] // factor, plane.shape[1] // factor
    cells = plane[: rows * factor, : columns * factor].reshape(rows, factor, columns, factor)
    return np.asarray(cells.mean(axis=(1, 3), dtype=np.float32).round(), np.uint8)
