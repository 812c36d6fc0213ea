"""What does not move stays as it is. Knows no files and no network."""

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor

from svmv_cli.pipeline import color_numba

_AGREE = 1.5 / 255  # largest difference, on 5 × 5 pixels, of pictures that show the same
_NEARLY = 12 / 255  # what sub-pixel motion makes of the hardest edge, and no more


class Still:
    """Where the two pictures of each window agree, the network's last fraction of a pixel is taken back.

    Left in, it softens a hard edge by some codes in the new pictures and not in the source's between them: captions
    and logos would flicker. What differs clearly from both is left alone: something may pass in between.

    Args:
        pictures: (2B, C, H, W), the left picture of every window, then the right one; perhaps padded.
        size: (H, W) without the padding.
        fused: whether in one pass over memory, which only the CPU has; None: where it can be.
    """

    def __init__(self, pictures: Tensor, size: tuple[int, int], *, fused: bool | None = None) -> None:
        self._fused = pictures.device.type == "cpu" if fused is None else fused
        if self._fused:
            self._left, self._right = pictures.contiguous(memory_format=torch.channels_last).chunk(2)
            self._agree = np.empty((len(self._left), *size), np.bool_)
            for left, right, agree in zip(self._left, self._right, self._agree, strict=True):
                color_numba.agreement(_last(left), _last(right), np.float32(_AGREE), agree)
            return
        self._left, self._right = pictures[..., : size[0], : size[1]].chunk(2)
        change = (self._left - self._right).abs().amax(dim=1, keepdim=True)
        self._here = F.max_pool2d(change, 5, stride=1, padding=2) <= _AGREE  # (B, 1, H, W)

    def kept(self, pictures: Tensor, t: Tensor) -> Tensor:
        """(B, C, H, W) new pictures at the times t (B,), mended; fused, and where they lie channels-last, in place."""
        if not self._fused:
            between = torch.lerp(self._left, self._right, t.view(-1, 1, 1, 1))
            near = (pictures - between).abs().amax(dim=1, keepdim=True) <= _NEARLY
            return torch.where(self._here & near, between, pictures)
        pictures = pictures.contiguous(memory_format=torch.channels_last)
        limit = np.float32(_NEARLY)
        for k, picture in enumerate(pictures):
            left, right = _last(self._left[k]), _last(self._right[k])
            color_numba.keep_still(left, right, np.float32(t[k]), self._agree[k], limit, _last(picture))
        return pictures


def _last(picture: Tensor) -> npt.NDArray[np.float32]:
    """(C, H, W) → the same numbers as (H, W, C)."""
    last: npt.NDArray[np.float32] = picture.permute(1, 2, 0).numpy()
    return last
