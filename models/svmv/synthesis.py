"""A motion volume and a time → the picture at that time, by splatting. No refinement network."""

import torch
from torch import Tensor

from svmv.motion import Motion
from svmv.splat import Backend, splat
from svmv.volume import double

_HOLE = 1e-4  # weight of the linear blend: decides only where nothing lands (the lightest member has e^-7 = 9e-4)


def synthesize(motion: Motion, t: Tensor, *, backend: Backend = "auto") -> Tensor:
    """Pictures at the times t between I₀ (0) and I₁ (1).

    Each anchor's members are splatted with weight (1−s)·exp(logit), s its local time: near an anchor that anchor
    decides, and at t = 0 and t = 1 its pixels come back in place.

    Args:
        motion: of B windows.
        t: (B, T), in [0, 1].
        backend: of the splat.

    Returns:
        (B, T, C, H, W), float32, not clamped.
    """
    B, T = t.shape
    return torch.stack([_at(motion, t[:, k], backend) for k in range(T)], dim=1)


def _at(motion: Motion, t: Tensor, backend: Backend) -> Tensor:
    B = t.shape[0]
    local = torch.cat([t, 1 - t]).float()
    offsets, logits = motion.trajectory(local)
    N, M, _, h, w = offsets.shape
    up = double(torch.cat([offsets.reshape(N, 2 * M, h, w), logits], dim=1))
    H, W = up.shape[2:]
    weights = up[:, 2 * M :].exp() * (1 - local).view(N, 1, 1, 1)
    total, norm = splat(motion.pictures, up[:, : 2 * M].reshape(N, M, 2, H, W), weights, backend=backend)
    total, norm = total[:B] + total[B:], norm[:B] + norm[B:]
    s = t.float().view(B, 1, 1, 1)
    blend = (1 - s) * motion.pictures[:B] + s * motion.pictures[B:]
    out = (total + _HOLE * blend) / (norm + _HOLE)
    height, width = motion.size
    return out[:, :, :height, :width]
