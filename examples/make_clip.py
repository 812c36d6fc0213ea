"""Draws the demo: a short clip with texture, a moving camera, layers that hide one another, and sound in step.

    python examples/make_clip.py demo/in.mp4 [--frames 36] [--fps 12] [--size 640x360]

Everything is procedural and seeded: the same numbers give the same pictures on every machine.
"""

import argparse
import math
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
_RATE = 48_000  # Hz


def noise(rng: np.random.Generator, height: int, width: int, octaves: tuple[int, ...]) -> Floats:
    """(height, width) smooth random texture in [0, 1], cells of the given sizes in px, coarse ones strongest."""
    total, weight = np.zeros((height, width)), 0.0
    for strength, cell in zip(range(len(octaves), 0, -1), octaves, strict=True):
        grid = rng.random((height // cell + 3, width // cell + 3))
        y, x = np.arange(height) / cell, np.arange(width) / cell
        iy, ix = y.astype(int), x.astype(int)
        fy, fx = (y - iy)[:, None], (x - ix)[None]
        fy, fx = fy * fy * (3 - 2 * fy), fx * fx * (3 - 2 * fx)
        top = grid[iy][:, ix] * (1 - fx) + grid[iy][:, ix + 1] * fx
        low = grid[iy + 1][:, ix] * (1 - fx) + grid[iy + 1][:, ix + 1] * fx
        total += strength * (top * (1 - fy) + low * fy)
        weight += strength
    return (total / weight).astype(np.float32)


def sample(texture: Floats, x: Floats, y: Floats) -> Floats:
    """Bilinear lookup with wrap-around; texture (h, w, 3)."""
    h, w = texture.shape[:2]
    x0, y0 = np.floor(x).astype(int), np.floor(y).astype(int)
    fx, fy = (x - x0)[..., None], (y - y0)[..., None]
    x0, x1, y0, y1 = x0 % w, (x0 + 1) % w, y0 % h, (y0 + 1) % h
    top = texture[y0, x0] * (1 - fx) + texture[y0, x1] * fx
    low = texture[y1, x0] * (1 - fx) + texture[y1, x1] * fx
    return (top * (1 - fy) + low * fy).astype(np.float32)


class Scene:
    """Hills behind, a rolling wheel and a bouncing ball, posts that pass in front; the camera pans and breathes."""

    def __init__(self, width: int, height: int, seed: int = 7) -> None:
        rng = np.random.default_rng(seed)
        self.width, self.height = width, height
        self.unit = height / 360
        self.hills = self._tint(noise(rng, 512, 1024, (96, 32, 12, 5)), (0.25, 0.45, 0.35), (0.85, 0.8, 0.6))
        self.clay = self._tint(noise(rng, 256, 256, (40, 12, 4)), (0.5, 0.15, 0.1), (1.0, 0.65, 0.35))
        self.bark = self._tint(noise(rng, 512, 128, (24, 8, 3)), (0.12, 0.1, 0.12), (0.5, 0.42, 0.38))
        self.x, self.y = np.meshgrid(
            np.arange(width, dtype=np.float32) + 0.5, np.arange(height, dtype=np.float32) + 0.5
        )

    @staticmethod
    def _tint(grey: Floats, dark: tuple[float, ...], light: tuple[float, ...]) -> Floats:
        grey = np.clip((grey - 0.2) / 0.6, 0, 1)[..., None]
        return (np.asarray(dark) * (1 - grey) + np.asarray(light) * grey).astype(np.float32)

    def draw(self, t: float) -> npt.NDArray[np.uint8]:
        """(height, width, 3) RGB at time t, s."""
        u = self.unit
        pan, zoom = 90 * u * t + 12 * u * math.sin(2 * t), 1 + 0.06 * math.sin(1.3 * t)
        x = (self.x - self.width / 2) / zoom + self.width / 2 + pan
        y = (self.y - self.height / 2) / zoom + self.height / 2
        picture = sample(self.hills, x / u, y / u)
        picture = self._over(picture, *self._wheel(x, y, t))
        picture = self._over(picture, *self._ball(x, y, t))
        picture = self._over(picture, *self._posts(t))
        return (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)

    @staticmethod
    def _over(below: Floats, colour: Floats, alpha: Floats) -> Floats:
        return (below + np.clip(alpha, 0, 1)[..., None] * (colour - below)).astype(np.float32)

    def _wheel(self, x: Floats, y: Floats, t: float) -> tuple[Floats, Floats]:
        u = self.unit
        cx, cy, radius = 220 * u + 150 * u * t, 235 * u, 80 * u
        dx, dy = x - cx, y - cy
        reach, angle = np.hypot(dx, dy), np.arctan2(dy, dx) - 150 * u * t / radius
        spoke = np.clip((np.abs(np.sin(4 * angle)) - 0.25) * reach / (3 * u), 0, 1)
        rim = np.clip(np.abs(reach - 0.88 * radius) / u - 4, 0, 1)
        colour = (
            sample(self.clay, reach * np.cos(angle) / u, reach * np.sin(angle) / u)
            * (0.4 + 0.6 * spoke * rim)[..., None]
        )
        return colour, radius - reach

    def _ball(self, x: Floats, y: Floats, t: float) -> tuple[Floats, Floats]:
        u = self.unit
        cx, cy = 470 * u - 60 * u * t, 290 * u - 180 * u * abs(math.sin(math.pi * t))
        dx, dy = (x - cx) / (34 * u), (y - cy) / (34 * u)
        shade = 1.1 - 0.5 * np.clip(np.hypot(dx + 0.3, dy + 0.4), 0, 1)
        stripes = 0.5 + 0.5 * np.sign(np.sin(9 * (dx * math.cos(2 * t) + dy * math.sin(2 * t))))
        colour = np.stack([0.2 + 0.7 * stripes, 0.3 + 0.4 * stripes, 0.95 - 0.5 * stripes], -1) * shade[..., None]
        return colour.astype(np.float32), (1 - np.hypot(dx, dy)) * 34 * u

    def _posts(self, t: float) -> tuple[Floats, Floats]:
        u = self.unit
        x = self.x / u + 260 * t
        local = x % 240 - 120
        lean = local + (self.y / u - 180) * 0.08
        return sample(self.bark, local * 2 + 64, self.y / u), (13 - np.abs(lean)) * u


def tone(seconds: float) -> npt.NDArray[np.int16]:
    """(1, 2·N) stereo samples: a soft chord, and a knock whenever the ball lands (once a second)."""
    t = np.arange(int(seconds * _RATE)) / _RATE
    chord = sum(np.sin(2 * np.pi * f * t) for f in (220.0, 277.18, 329.63)) * 0.06
    knock = np.sin(2 * np.pi * 90 * (t % 1)) * np.exp(-30 * (t % 1)) * 0.6
    left, right = chord + knock, chord * (1 + 0.3 * np.sin(2 * t)) + knock
    return (np.stack([left, right], -1).reshape(1, -1) * 32767).clip(-32767, 32767).astype(np.int16)


def write(path: Path, *, frames: int, fps: Fraction, width: int, height: int) -> None:
    """Encode the scene and its sound to `path` (mp4)."""
    scene = Scene(width, height)
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=fps, options={"crf": "16"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        audio = out.add_stream("aac", rate=_RATE)
        audio.layout = "stereo"
        for index in range(frames):
            frame = av.VideoFrame.from_ndarray(scene.draw(index / float(fps)), format="rgb24")
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        samples = tone(frames / float(fps))
        for start in range(0, samples.shape[1], 2048):
            block = av.AudioFrame.from_ndarray(samples[:, start : start + 2048], format="s16", layout="stereo")
            block.sample_rate, block.pts, block.time_base = _RATE, start // 2, Fraction(1, _RATE)
            out.mux(audio.encode(block))
        out.mux(audio.encode(None))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--frames", type=int, default=36)
    parser.add_argument("--fps", type=Fraction, default=Fraction(12))
    parser.add_argument("--size", default="640x360")
    options = parser.parse_args()
    width, height = map(int, options.size.split("x"))
    options.path.parent.mkdir(parents=True, exist_ok=True)
    write(options.path, frames=options.frames, fps=options.fps, width=width, height=height)


if __name__ == "__main__":
    main()
