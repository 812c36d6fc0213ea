"""A motion volume and a time → the picture at that time, by splatting. No refinement network."""

import torch
import torch.nn.functional as F
from torch import Tensor

from svmv.backends import Backend, fastest, waves
from svmv.motion import STILL_COST, STILL_RANGE, Motion
from svmv.splat import splat
from svmv.volume import double

# Weight of the linear blend: decides where nothing lands, or only what gave way to something that stands still. What
# moves weighs at least e^-7 / 8 = 1.1e-4 at 8x.
_HOLE = 1e-4


def synthesize(motion: Motion, t: Tensor, *, backend: Backend = "auto") -> Tensor:
    """Pictures at the times t between I₀ (0) and I₁ (1).

    Each anchor's members are splatted with weight (1−s)·exp(logit), s its local time: near an anchor that anchor
    decides, and at t = 0 and t = 1 its pixels come back in place. One more member stands still, see `standing`.

    Args:
        motion: of B windows.
        t: (B, T), in [0, 1].
        backend: of the splat. "auto", where no gradient is wanted, is one fused pass on the CPU and with Triton.

    Returns:
        (B, T, C, H, W), float32, not clamped.
    """
    if backend == "auto" and not torch.is_grad_enabled():
        fused = fastest(motion.pictures.device, trial)
        if fused == "numba":
            from svmv.synthesis_numba import synthesize_numba

            return synthesize_numba(motion, t, hole=_HOLE)
        if fused == "triton":
            from svmv.synthesis_triton import synthesize_triton

            return synthesize_triton(motion, t, hole=_HOLE)
    T = t.shape[1]
    return torch.stack([_at(motion, t[:, k], backend) for k in range(T)], dim=1)


def trial(device: torch.device, backend: Backend) -> Tensor:
    """See `backends.Trial`: the fused form with Triton, or the definition."""
    motion = Motion(
        pictures=0.5 + 0.5 * waves(device, 2, 3, 24, 40, pace=0.7),
        velocity=4 * waves(device, 2, 4, 2, 12, 20, pace=0.9),
        acceleration=waves(device, 2, 4, 2, 12, 20, pace=0.3),
        logit=waves(device, 2, 4, 12, 20, pace=1.1),
        slope=waves(device, 2, 4, 12, 20, pace=0.2),
        sharpness=1 + waves(device, 2, 1, 12, 20, pace=0.5),
        still=12 * waves(device, 2, 1, 12, 20, pace=0.4),
        levels=[],
        size=(23, 39),
    )
    t = torch.tensor([[0.3, 0.75]], device=device)
    if backend == "triton":
        from svmv.synthesis_triton import synthesize_triton

        return synthesize_triton(motion, t, hole=_HOLE)
    return synthesize(motion, t, backend=backend)


def _at(motion: Motion, t: Tensor, backend: Backend) -> Tensor:
    B = t.shape[0]
    local = torch.cat([t, 1 - t]).float()
    offsets, logits = motion.trajectory(local)
    N, M, _, h, w = offsets.shape
    up = double(torch.cat([offsets.reshape(N, 2 * M, h, w), logits, motion.sharpness, motion.still], dim=1))
    flat, logits, sharpness, still = torch.split(up, [2 * M, M, 1, 1], dim=1)
    offsets, weights = flat.reshape(N, M, 2, *up.shape[2:]), logits.exp()
    carried = sharpened(motion.pictures, offsets, weights, sharpness)
    stays = standing(motion.pictures, still)
    share = (1 - local).view(N, 1, 1, 1)
    total, norm = splat(carried, offsets, weights / (1 + stays) * share, backend=backend)
    total, norm = total + stays * share * motion.pictures, norm + stays * share
    total, norm = total[:B] + total[B:], norm[:B] + norm[B:]
    s = t.float().view(B, 1, 1, 1)
    blend = (1 - s) * motion.pictures[:B] + s * motion.pictures[B:]
    out = (total + _HOLE * blend) / (norm + _HOLE)
    height, width = motion.size
    return out[:, :, :height, :width]


def sharpened(pictures: Tensor, offsets: Tensor, weights: Tensor, sharpness: Tensor) -> Tensor:
    """The pictures to splat, with the softening that splatting will do taken back in advance.

    Spreading a sample bilinearly at fraction f between two columns adds ½·f(1−f)·I'' to a smooth picture (the error
    term of linear interpolation); subtracting that from what is carried leaves an error of higher order. Nothing
    happens where offsets are whole pixels. Weights stay positive, unlike those of a cubic kernel, so the
    normalisation cannot vanish.

    Args:
        pictures: (N, C, H, W).
        offsets: (N, M, 2, H, W), px.
        weights: (N, M, H, W), ≥ 0; the fractions of the members are averaged by them.
        sharpness: (N, 1, H, W), 1 for the full correction.
    """
    fraction = offsets - offsets.detach().floor()
    share = (weights / weights.sum(dim=1, keepdim=True)).unsqueeze(2)
    soft = (share * fraction * (1 - fraction)).sum(dim=1) * (0.5 * sharpness)  # (N, 2, H, W)
    padded = F.pad(pictures, (1, 1, 1, 1), mode="replicate")
    across = padded[:, :, 1:-1, :-2] + padded[:, :, 1:-1, 2:] - 2 * pictures
    down = padded[:, :, :-2, 1:-1] + padded[:, :, 2:, 1:-1] - 2 * pictures
    return pictures - soft[:, :1] * across - soft[:, 1:] * down


def standing(pictures: Tensor, still: Tensor) -> Tensor:
    """Weights of the member that stands still: at full size, where one pixel is a letter's and the next is not.

    The volume says at 1/2 size where something may lie still over what moves; of these places it is the pixels that
    both pictures agree on. What weight it has the others lose: a letter is not carried off as well.

    Args:
        pictures: (N, C ≥ 3, H, W), as in `Motion`.
        still: (N, 1, H, W), its log weight where the pictures agree.

    Returns:
        (N, 1, H, W).
    """
    rgb = pictures[:, :3]
    change = (rgb - rgb.roll(len(rgb) // 2, 0)).abs().mean(dim=1, keepdim=True)
    return (still - STILL_COST * change).clamp(*STILL_RANGE).exp()
