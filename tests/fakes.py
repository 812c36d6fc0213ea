"""Interpolators for tests: fast, and exact about what they were asked."""

import sys
import time
from collections.abc import Sequence
from fractions import Fraction
from types import ModuleType

import numpy as np

from svmv_cli.media.frame import Frame, PixelFormat, Plane
from svmv_cli.pipeline.windows import Window

GRAY = PixelFormat.parse("gray")


class Blend:
    """Mixes left and right linearly; remembers what it was asked."""

    name, weights, device, precision = "blend", "none", "cpu", "fp32"

    def __init__(self, *, delay: float = 0.0, fail_after: int | None = None) -> None:
        self.calls: list[list[tuple[Window, tuple[Fraction, ...]]]] = []
        self.closed = False
        self._delay = delay  # s per call
        self._fail_after = fail_after  # calls

    def between(
        self, windows: Sequence[Window], phases: Sequence[tuple[Fraction, ...]]
    ) -> list[list[tuple[Plane, ...]]]:
        if self._fail_after is not None and len(self.calls) >= self._fail_after:
            raise MemoryError
        self.calls.append(list(zip(windows, phases, strict=True)))
        time.sleep(self._delay)
        return [[_mix(window, float(t)) for t in ts] for window, ts in self.calls[-1]]

    def begin(self) -> None:
        pass

    def close(self) -> None:
        self.closed = True


def _mix(window: Window, t: float) -> tuple[Plane, ...]:
    pairs = zip(window.left.planes, window.right.planes, strict=True)
    return tuple(((1 - t) * a + t * b + 0.5).astype(a.dtype) for a, b in pairs)


def fake_module(interpolator: Blend) -> ModuleType:
    """Stands in for `svmv_cli.pipeline.interpolate`, without torch."""
    module = ModuleType("svmv_cli.pipeline.interpolate")
    module.make_interpolator = lambda **_kwargs: interpolator  # type: ignore[attr-defined]
    return module


def gray_frames(planes: Sequence[Plane], *, rate: Fraction = Fraction(24)) -> list[Frame]:
    """Frames of one plane at a constant rate from 0 s."""
    return [Frame(i / rate, 1 / rate, GRAY, (plane,)) for i, plane in enumerate(planes)]


def texture(shift: int, *, rows: int = 96, columns: int = 160, seed: int = 0) -> Plane:
    """A busy picture, moved to the left by `shift` px."""
    rng = np.random.default_rng(seed)
    coarse = np.kron(rng.integers(30, 220, (rows // 8, 400)), np.ones((8, 8)))
    fine = rng.integers(-20, 20, (rows, 3200))
    return (coarse + fine)[:, shift : shift + columns].astype(np.uint8)


if __name__ == "__main__":  # the command with a fake network: python fakes.py DELAY ARGUMENTS...
    delay = float(sys.argv.pop(1))
    sys.modules["svmv_cli.pipeline.interpolate"] = fake_module(Blend(delay=delay))
    from svmv_cli.app import main

    main()
