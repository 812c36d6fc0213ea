"""How much memory there is, and how much of it pictures of a size need. Knows no tensors."""

import ctypes
import math
import os
import sys
from pathlib import Path

# Peak bytes per pixel of a window, estimated from resident sizes on the CPU and rounded up. Of the pictures that motion
# is estimated in: features that are kept, the decoder at 1/4, the ensemble at 1/2; the plain form holds more at a time.
# Of the pictures that are made: six that are kept, the volume, the splat's grid.
_FUSED, _PLAIN = 650, 1350
_MADE = 450
_SHARE = 0.6  # of what is free; the rest is for what others take meanwhile
_SMALLEST = 512  # px, side of a tile with all it needs around it: below, nearly all of it would be margin
# Settings in <malloc.h>, and their values. One arena, since those of threads give back what is large whatever is set.
_MALLOC = {"M_TRIM_THRESHOLD": (-1, -1), "M_MMAP_MAX": (-4, 0), "M_ARENA_MAX": (-8, 1)}


def free_host() -> int | None:
    """Bytes of main memory that can be taken without pushing others out; None where the system does not tell.

    The smaller of what the machine has and what a control group leaves this process.
    """
    found = [size for size in (_available(), _group_limit()) if size is not None]
    return min(found) if found else None


def keep_freed() -> bool:
    """Let this process keep freed memory for the next tensors, where its allocator is glibc's; says whether it is.

    It holds for threads that begin later. Left alone, glibc gives every large tensor back to the system, which clears
    each page anew: at 1080p that was a sixth of the network's time.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    return mallopt is not None and all([mallopt(*setting) for setting in _MALLOC.values()])


def tile_side(free: int | None, *, width: int, height: int, batch: int, fused: bool, shrink: int = 1) -> int | None:
    """Side of the tiles to work in, px; None when the whole picture fits.

    Args:
        free: bytes of the device; None: unknown, and taken for enough.
        width: of the picture that motion is estimated in, px.
        height: of that picture, px.
        batch: windows at a time.
        fused: whether the network runs in its fused form.
        shrink: how many times as wide the picture itself is.
    """
    each = (_FUSED if fused else _PLAIN) + _MADE * shrink**2
    if free is None or batch * width * height * each <= free * _SHARE:
        return None
    fitting = math.isqrt(int(free * _SHARE / 2 / each))  # the other half is for what is not tiled
    return max(min(fitting, max(width, height)) // 64 * 64, _SMALLEST)


def smaller(side: int | None, *, width: int, height: int) -> int | None:
    """The next tile side to try after memory ran out; None when there is none."""
    wanted = (max(width, height) if side is None else side) // 2 // 64 * 64
    return wanted if wanted >= _SMALLEST else None


def _available() -> int | None:
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, ValueError, OSError):
        return None


def _group_limit() -> int | None:
    """What the control group (a container) leaves."""
    folder = Path("/sys/fs/cgroup")
    try:
        limit, used = (folder / "memory.max").read_text().strip(), (folder / "memory.current").read_text()
        return None if limit == "max" else max(int(limit) - int(used), 0)
    except (OSError, ValueError):
        return None
