"""Backward warping: sample a picture where each pixel's motion points."""

import torch
import torch.nn.functional as F
from torch import Tensor


def pixel_grid(height: int, width: int, device: torch.device) -> Tensor:
    """(1, 2, H, W) float32 pixel coordinates, x then y."""
    ys, xs = torch.meshgrid(
        torch.arange(height, device=device, dtype=torch.float32),
        torch.arange(width, device=device, dtype=torch.float32),
        indexing="ij",
    )
    return torch.stack([xs, ys])[None]


def warp(picture: Tensor, flow: Tensor) -> Tensor:
    """Bilinear `picture` at p + flow(p), the border repeated outside.

    Args:
        picture: (B, C, H, W).
        flow: (B, 2, H, W), px, x then y.
    """
    H, W = picture.shape[2:]
    x, y = (pixel_grid(H, W, flow.device) + flow.float()).unbind(dim=1)
    # Not by a tensor of both sizes: a GPU stops for what is copied to it.
    grid = torch.stack([x * (2 / max(W - 1, 1)) - 1, y * (2 / max(H - 1, 1)) - 1], dim=-1)
    return F.grid_sample(picture, grid.to(picture.dtype), mode="bilinear", padding_mode="border", align_corners=True)
