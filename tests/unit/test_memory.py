"""How much memory there is, and when pictures are too big for it."""

import ctypes
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from svmv_cli.pipeline import memory

GIB = 2**30


def test_the_machine_tells_how_much_is_free() -> None:
    free = memory.free_host()
    assert free is None or 2**20 < free < 2**50


def test_a_control_group_counts_when_it_is_tighter(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {
        "meminfo": "MemTotal: 9 kB\nMemAvailable:    8388608 kB\n",
        "memory.max": f"{GIB}\n",
        "memory.current": "5",
    }
    monkeypatch.setattr(Path, "is_file", lambda self: self.name in texts)
    monkeypatch.setattr(Path, "read_text", lambda self: texts[self.name])
    assert memory.free_host() == GIB - 5
    texts["memory.max"] = "max\n"
    assert memory.free_host() == 8 * GIB


def test_small_pictures_are_whole_and_big_ones_fit_in_tiles() -> None:
    for fused in (False, True):
        assert memory.tile_side(None, width=7680, height=4320, batch=1, fused=fused) is None
        assert memory.tile_side(4 * GIB, width=1280, height=720, batch=1, fused=fused) is None
        side = memory.tile_side(4 * GIB, width=3840, height=2160, batch=1, fused=fused)
        assert side is not None and side % 64 == 0 and 512 <= side < 3840
    half = memory.tile_side(4 * GIB, width=3840, height=2160, batch=1, fused=True, shrink=2)  # of 8K
    assert half is not None and half < 3840
    assert memory.tile_side(4 * GIB, width=960, height=540, batch=1, fused=True, shrink=2) is None
    assert memory.tile_side(1, width=3840, height=2160, batch=1, fused=True) == 512
    assert memory.tile_side(4 * GIB, width=1920, height=1080, batch=4, fused=True) is not None


def test_tiles_shrink_to_an_end() -> None:
    sides: list[int | None] = [None]
    while (side := memory.smaller(sides[-1], width=3840, height=2160)) is not None:
        sides.append(side)
    assert sides == [None, 1920, 960]
    assert memory.smaller(None, width=640, height=360) is None


_TWICE = """
import resource, sys, threading
import numpy as np
from svmv_cli.pipeline import memory
if sys.argv[1] == "keep":
    assert memory.keep_freed()
def fill():
    global before
    for _ in range(4):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        np.empty(2**27, np.uint8).fill(1)
thread = threading.Thread(target=fill)
thread.start()
thread.join()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="the allocator is not glibc's")
def test_freed_memory_is_kept_and_not_cleared_anew() -> None:
    """Faults of a thread that fills 128 MiB for the fourth time: one a page where it was given back, large or small."""

    def faults(how: str) -> int:
        command = [sys.executable, "-c", _TWICE, how]
        return int(subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout)

    assert faults("keep") < 16 < faults("leave")


def test_other_allocators_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    assert not memory.keep_freed()
    monkeypatch.setattr(sys, "platform", "darwin")
    assert not memory.keep_freed()
