"""Planes as decoded ⇄ RGB tensors on the device: matrix, range, chroma siting, depth. Knows no files.

Only new pictures pass through here; source pictures keep their planes. Values are not clamped on the way to RGB, so
a round trip gives the planes back even where YUV lies outside the RGB cube.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from svmv_cli.media.frame import Frame, PixelFormat, Plane
from svmv_cli.media.info import ColorInfo
from svmv_cli.pipeline import color_numba

Matrix = npt.NDArray[np.floating]

# Kr, Kb of ITU-T H.273 matrix coefficients (BT.709, FCC, BT.601 twice, SMPTE 240M, BT.2020 twice).
_WEIGHTS = {
    1: (0.2126, 0.0722),
    4: (0.30, 0.11),
    5: (0.299, 0.114),
    6: (0.299, 0.114),
    7: (0.212, 0.087),
    9: (0.2627, 0.0593),
    10: (0.2627, 0.0593),
}
_FAINT = 0.004  # square of the alpha, 6 %, at which the colour seen and the one given count alike
_LEFT, _CENTER, _TOP_LEFT, _TOP = 1, 2, 3, 4  # AVChromaLocation


@dataclass(frozen=True, slots=True)
class Converter:
    """Converts between the planes of one format and (1, 3 or 4, H, W) float32 tensors in [0, 1], alpha last."""

    format: PixelFormat
    color: ColorInfo
    height: int  # px, of the picture
    width: int  # px
    device: torch.device

    def to_rgb(self, frame: Frame) -> Tensor:
        """(1, 3, H, W), or (1, 4, H, W) with alpha."""
        return self._to_rgb_fused(frame) if self.device.type == "cpu" else self._to_rgb(frame)

    def to_planes(self, picture: Tensor) -> tuple[Plane, ...]:
        """The planes of a (3 or 4, H, W) picture, rounded and clipped to what the depth holds."""
        return self._to_planes_fused(picture) if self.device.type == "cpu" else self._to_planes(picture)

    def part(self, *, height: int, width: int) -> "Converter":
        """The converter of parts of these pictures; what untagged colour means depends on the whole one's size."""
        return replace(self, height=height, width=width, color=replace(self.color, matrix=self._matrix))

    @property
    def black(self) -> tuple[float, ...]:
        """Code value of black in each plane."""
        return tuple(self._from_rgb()[1].tolist())

    def empty_planes(self) -> tuple[Plane, ...]:
        """Planes of a picture, to be filled."""
        return tuple(self._empty_plane(index) for index in range(self.format.planes))

    def _to_rgb(self, frame: Frame) -> Tensor:
        gains, offsets = self._from_rgb()
        planes = [self._upload(plane) for plane in frame.planes]
        if self.format.kind == "yuv":
            planes[1:3] = [self._to_full_size(plane) for plane in planes[1:3]]
        shifted = torch.cat([plane - float(offset) for plane, offset in zip(planes, offsets, strict=True)], dim=1)
        return _mixed(np.linalg.pinv(gains), shifted)

    def _to_planes(self, picture: Tensor) -> tuple[Plane, ...]:
        gains, offsets = self._from_rgb()
        planes = list(_mixed(gains, picture[None]).chunk(len(gains), dim=1))
        if self.format.kind == "yuv":
            planes[1:3] = [self._to_chroma_size(plane) for plane in planes[1:3]]
        top = 2**self.format.depth - 1
        return tuple(self._download(p + float(offset), top) for p, offset in zip(planes, offsets, strict=True))

    def _to_rgb_fused(self, frame: Frame) -> Tensor:
        gains, offsets = self._from_rgb()
        back = np.linalg.pinv(gains).astype(np.float32)
        picture = np.empty((self.height, self.width, len(back)), np.float32)
        taps = [self._taps(index, color_numba.enlarging) for index in range(len(frame.planes))]
        rows, row_shares, columns, column_shares = zip(*((*down, *across) for down, across in taps), strict=True)
        added = -back @ offsets.astype(np.float32)
        color_numba.mix_planes(frame.planes, rows, row_shares, columns, column_shares, back, added, picture)
        return torch.from_numpy(picture).permute(2, 0, 1)[None]

    def _to_planes_fused(self, picture: Tensor) -> tuple[Plane, ...]:
        last = picture.permute(1, 2, 0).contiguous().numpy()
        top = np.float32(2**self.format.depth - 1)
        made: list[Plane] = []
        for index, (row, offset) in enumerate(zip(*self._from_rgb(), strict=True)):
            plane = self._empty_plane(index)
            rows, columns = self._taps(index, color_numba.halving)
            gains = row.astype(np.float32)
            color_numba.take_plane(last, gains, np.float32(offset), *rows, *columns, top, plane)
            made.append(plane)
        return tuple(made)

    def _from_rgb(self) -> tuple[Matrix, Matrix]:
        """Planes are `gains` @ RGB(A) + `offsets`: (planes, channels) and (planes,), in code values."""
        top = 2**self.format.depth - 1
        kr, kb = (1 / 3, 1 / 3) if self.format.kind == "gray" else self._luma_weights
        luma = np.array([kr, 1 - kr - kb, kb])
        red, green, blue = np.eye(3)
        if self.format.kind == "gbr":
            rows, offsets = [green * top, blue * top, red * top], [0.0, 0.0, 0.0]
        elif self.format.kind == "gray":
            rows, offsets = [luma * self._luma_span], [self._black]
        else:
            u, v = (blue - luma) / (2 * (1 - kb)), (red - luma) / (2 * (1 - kr))
            rows = [luma * self._luma_span, u * self._chroma_span, v * self._chroma_span]
            offsets = [self._black, self._grey, self._grey]
        gains = np.array(rows)
        if self.format.alpha:
            gains, offsets = np.pad(gains, (0, 1)), [*offsets, 0.0]
            gains[-1, -1] = top
        return gains, np.array(offsets)

    def _empty_plane(self, index: int) -> Plane:
        shape = self.format.plane_shape(index, self.width, self.height)
        return np.empty(shape, np.uint8) if self.format.depth <= 8 else np.empty(shape, np.uint16)

    def _taps(self, index: int, make: Callable[..., color_numba.Taps]) -> tuple[color_numba.Taps, color_numba.Taps]:
        """Of the rows and of the columns of a plane."""
        down, across = self.format.shifts(index)
        columns, rows = self._cosited()
        return (
            make(self.height, halved=bool(down), cosited=rows),
            make(self.width, halved=bool(across), cosited=columns),
        )

    def _upload(self, plane: Plane) -> Tensor:
        # torch cannot wrap arrays it must not write to, and has no arithmetic on uint16: a copy, in pinned memory
        # where the device can fetch it by itself while the host goes on.
        signed = torch.from_numpy(plane.astype(np.int32 if plane.dtype == np.uint16 else np.uint8))
        if self.device.type == "cuda":
            signed = signed.pin_memory()
        return signed.to(self.device, non_blocking=True).float()[None, None]

    def _download(self, plane: Tensor, top: int) -> Plane:
        whole = plane[0, 0].round().clamp(0, top)
        if self.format.dtype is np.uint8:
            return whole.to(torch.uint8).cpu().numpy()
        return whole.to(torch.int32).cpu().numpy().astype(np.uint16)

    @property
    def _matrix(self) -> int:
        matrix = self.color.matrix
        if matrix in _WEIGHTS:
            return matrix
        return 1 if self.height >= 720 else 6  # untagged: what players assume

    @property
    def _luma_weights(self) -> tuple[float, float]:
        return _WEIGHTS[self._matrix]

    @property
    def _scale(self) -> int:
        return int(2 ** (self.format.depth - 8))

    @property
    def _black(self) -> float:
        return 0 if self.color.full_range else 16 * self._scale

    @property
    def _grey(self) -> float:
        return 128 * self._scale

    @property
    def _luma_span(self) -> float:
        return 2**self.format.depth - 1 if self.color.full_range else 219 * self._scale

    @property
    def _chroma_span(self) -> float:
        return 2**self.format.depth - 1 if self.color.full_range else 224 * self._scale

    def _cosited(self) -> tuple[bool, bool]:
        """Whether chroma samples sit on luma columns and rows (rather than between two)."""
        place = self.color.chroma_location or _LEFT
        return place in (_LEFT, _TOP_LEFT), place in (_TOP_LEFT, _TOP)

    def _to_full_size(self, plane: Tensor) -> Tensor:
        columns, rows = self._cosited()
        if self.format.shift_x:
            plane = _twice(plane, columns)[..., : self.width]
        if self.format.shift_y:
            plane = _twice(plane.transpose(-1, -2), rows)[..., : self.height].transpose(-1, -2)
        return plane

    def _to_chroma_size(self, plane: Tensor) -> Tensor:
        columns, rows = self._cosited()
        if self.format.shift_x:
            plane = _halve(plane, columns)
        if self.format.shift_y:
            plane = _halve(plane.transpose(-1, -2), rows).transpose(-1, -2)
        return plane


def premultiplied(picture: Tensor) -> Tensor:
    """(N, 4, H, W) with straight alpha → (N, 7, H, W): RGB as it is seen, alpha, RGB as it was given.

    Colour where nothing is seen means nothing, yet would be matched, and mixed into what is seen beside it.
    """
    rgb, alpha = picture[:, :3], picture[:, 3:]
    return torch.cat([rgb * alpha, alpha, rgb], dim=1)


def straight(picture: Tensor) -> Tensor:
    """The inverse of `premultiplied`.

    The fainter a place, the more its colour is the one that was given: what is seen there, divided by next to nothing,
    would be noise, and chroma of half the size carries that into the rim.
    """
    seen, alpha, given = picture[:, :3], picture[:, 3:4], picture[:, 4:]
    share = alpha.clamp(min=0)
    return torch.cat([(seen * share + _FAINT * given) / (share.square() + _FAINT), alpha], dim=1)


def _mixed(gains: Matrix, picture: Tensor) -> Tensor:
    """(1, inputs, H, W) → (1, outputs, H, W), one pixel at a time."""
    return torch.einsum("oi,bihw->bohw", _on_device(tuple(map(tuple, gains.tolist())), picture.device), picture)


@cache
def _on_device(gains: tuple[tuple[float, ...], ...], device: torch.device) -> Tensor:
    """A matrix as float32 on a device, which stops for what is copied to it: so once."""
    return torch.tensor(gains, dtype=torch.float32, device=device)


def _twice(x: Tensor, cosited: bool) -> Tensor:
    """(1, 1, h, w) → (1, 1, h, 2w), linear, each sample on the even column or between two."""
    padded = F.pad(x, (1, 1, 0, 0), mode="replicate")
    before, after = padded[..., :-2], padded[..., 2:]
    pair = (x, (x + after) / 2) if cosited else ((before + 3 * x) / 4, (3 * x + after) / 4)
    return torch.stack(pair, dim=-1).flatten(-2)


def _halve(x: Tensor, cosited: bool) -> Tensor:
    """(1, 1, h, w) → (1, 1, h, ⌈w/2⌉), the exact inverse of `_twice`: what did not move comes back as it was.

    Cosited samples are read where they sit. Between two columns that takes the taps (-1 3 3 -1)/4: any smaller
    undershoot leaves chroma edges softer in new pictures than in the source's beside them, which flickers.
    """
    if cosited or x.shape[-1] == 1:
        return x[..., ::2]
    first, last = x[..., :1], x[..., -1:]
    if x.shape[-1] % 2:  # of the last pair the second was cut off: two more on the line through the last two
        slope = last - x[..., -2:-1]
        padded = torch.cat([first, x, last + slope, last + 2 * slope], dim=-1)
    else:
        padded = torch.cat([first, x, last], dim=-1)
    count = x.shape[-1] + x.shape[-1] % 2 - 1
    taps = [padded[..., k : k + count : 2] for k in range(4)]
    return (3 * (taps[1] + taps[2]) - taps[0] - taps[3]) / 4
