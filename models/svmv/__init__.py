"""SVMV: any frame between two, from four.

Tensor conventions, said once: NCHW, RGB, float in [0, 1]; offsets in pixels, x then y; t in [0, 1] between the
window's two middle frames. Knows no files, no terminal.
"""

from svmv.checkpoint import available, load, save
from svmv.config import SVMVConfig
from svmv.features import Features
from svmv.inference import Network, ready, triton_failure
from svmv.jit import when_compiling
from svmv.model import SVMV, pick, stack
from svmv.motion import Motion
from svmv.tiling import Box, coarse, encode_smaller, enlarged, refine, smaller

__all__ = [
    "SVMV",
    "Box",
    "Features",
    "Motion",
    "Network",
    "SVMVConfig",
    "available",
    "coarse",
    "encode_smaller",
    "enlarged",
    "load",
    "pick",
    "ready",
    "refine",
    "save",
    "smaller",
    "stack",
    "triton_failure",
    "when_compiling",
]
