"""The last step of a frame that leaves as a picture alone: turned upright, converted, tagged. Knows no files."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from typing import cast

import av
import numpy as np

from svmv_cli.media.frame import Frame, Plane
from svmv_cli.media.info import ColorInfo
from svmv_cli.media.pictures import Converter, picture_of, range_of
from svmv_cli.media.target import Target

# What programs show faithfully. BT.709 is left out: a picture marked with it is shown darker than the same unmarked.
_TELLING = frozenset({13, 16, 18})  # transfer: sRGB, PQ, HLG
_UNSPECIFIED = 2
_JFIF_MATRIX = 5  # BT.601


def upright(frame: Frame, matrix: tuple[int, ...]) -> Frame:
    """The frame as it is to be seen: turned and mirrored as a display matrix asks.

    Args:
        frame: as coded.
        matrix: FFmpeg's nine numbers, or none; turns by other angles than 90 degrees are brought to the nearest.
    """
    if not matrix:
        return frame
    # (x, y) is shown at (a·x + c·y, b·x + d·y).
    a, b, c, d = matrix[0], matrix[1], matrix[3], matrix[4]
    across, down = (c, b) if lies_on_its_side(matrix) else (a, d)
    turned = (plane.T if lies_on_its_side(matrix) else plane for plane in frame.planes)
    mirrored = (plane[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1] for plane in turned)
    return replace(frame, planes=tuple(cast(Plane, np.ascontiguousarray(plane)) for plane in mirrored))


def lies_on_its_side(matrix: tuple[int, ...]) -> bool:
    """Whether rows are shown as columns."""
    return bool(matrix) and abs(matrix[1]) + abs(matrix[3]) > abs(matrix[0]) + abs(matrix[4])


def upright_size(target: Target) -> tuple[int, int]:
    """Width and height of a target's pictures once they are turned, px."""
    turned = lies_on_its_side(target.display_matrix)
    return (target.height, target.width) if turned else (target.width, target.height)


def still_color(target: Target) -> ColorInfo:
    """What a target's frames are to be as pictures: always of full range, and JPEG in the one matrix it has."""
    if target.codec == "jpeg":
        return replace(target.color, matrix=_JFIF_MATRIX, full_range=True)
    return replace(target.color, full_range=True)


class Finisher:
    """Turns frames in a target's format into pictures for an encoder.

    Args:
        target: what was decided.
        pix_fmt: of the pictures.
        color: of the pictures.
    """

    def __init__(self, target: Target, *, pix_fmt: str, color: ColorInfo) -> None:
        self._matrix = target.display_matrix
        self._format = pix_fmt
        self._color = color
        self._converter = Converter(source=target.color, target=color, pixel_format=pix_fmt)
        self._recolor = (target.color.matrix, target.color.full_range) != (color.matrix, color.full_range)

    def __call__(self, frame: Frame, *, pts: int, time_base: Fraction) -> av.VideoFrame:
        """One picture, with its time in ticks of `time_base`, s."""
        picture = picture_of(upright(frame, self._matrix))
        if self._recolor or picture.format.name != self._format:
            picture = self._converter(picture)
        told = self._color.transfer in _TELLING
        picture.color_primaries = self._color.primaries if told else _UNSPECIFIED
        picture.color_trc = self._color.transfer if told else _UNSPECIFIED
        picture.colorspace, picture.color_range = self._color.matrix, range_of(self._color)
        picture.pts, picture.time_base = pts, time_base
        return picture
