"""Changes that leave a sample true: mirroring, turning, time reversal, colour, a lost neighbour."""

import numpy as np
import torch

from svmv.training.data import Sample


def augment(sample: Sample, rng: np.random.Generator) -> Sample:
    """One random set of flips, transposition, time direction, channel order, gamma and gain for the whole batch.

    All pictures of a sample change alike. Time reversal swaps the window and mirrors t.
    """
    window, target, t, spacing = sample.window, sample.target, sample.t, sample.spacing
    if rng.random() < 0.1:  # a shot that begins here
        window = torch.cat([window[:, 1:2], window[:, 1:]], dim=1)
        spacing = torch.stack([torch.full_like(t, torch.inf), spacing[:, 1]], dim=1)
    for axis in (-1, -2):
        if rng.random() < 0.5:
            window, target = window.flip(axis), target.flip(axis)
    if rng.random() < 0.5:
        window, target = window.transpose(-1, -2), target.transpose(-1, -2)
    if rng.random() < 0.5:
        window, t, spacing = window.flip(1), 1 - t, spacing.flip(1)
    if rng.random() < 0.3:
        order = torch.from_numpy(rng.permutation(3)).to(window.device)
        window, target = window[:, :, order], target[:, order]
    if rng.random() < 0.5:
        gamma, gain = float(rng.uniform(0.7, 1.4)), float(rng.uniform(0.7, 1.1))
        window, target = (gain * x.clamp_min(1e-4) ** gamma for x in (window, target))
    return Sample(window.clamp(0, 1).contiguous(), target.clamp(0, 1).contiguous(), t, spacing)
