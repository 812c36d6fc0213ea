"""Clips in memory, and training samples drawn from them. Decodes nothing: clips arrive as arrays.

A clip is uint8 (N, H·3/2, W): planar 4:2:0 as FFmpeg's yuv420p lays it out, H and W even. Half the bytes of RGB, and
the crop is converted on the device.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class ClipEntry:
    """Where one clip lies in the store."""

    name: str  # of the shot; clips cut from one share it
    source: str  # clips cut from one file share it; sampling is even over sources
    offset: int  # bytes into the store
    frames: int
    height: int
    width: int


class ClipStore:
    """A memory-mapped file of decoded clips and its index: decoded once, shared by runs, paged in as needed."""

    def __init__(self, folder: Path) -> None:
        entries = json.loads((folder / "index.json").read_text())
        self.entries = [ClipEntry(**entry) for entry in entries]
        stored = folder / "clips.bin"  # an empty file cannot be mapped
        self._bytes = np.memmap(stored, np.uint8, mode="r") if stored.stat().st_size else np.empty(0, np.uint8)

    @staticmethod
    def build(folder: Path, clips: Iterable[tuple[str, str, Bytes]]) -> "ClipStore":
        """Write (name, source, array) clips into `folder`; the index is written last, so half a store is none."""
        folder.mkdir(parents=True, exist_ok=True)
        entries: list[ClipEntry] = []
        with (folder / "clips.bin").open("wb") as out:
            for name, source, clip in clips:
                frames, rows, width = clip.shape
                entries.append(ClipEntry(name, source, out.tell(), frames, rows * 2 // 3, width))
                out.write(np.ascontiguousarray(clip).data)
        part = folder / "index.json.part"
        part.write_text(json.dumps([asdict(entry) for entry in entries]))
        part.replace(folder / "index.json")
        return ClipStore(folder)

    def clip(self, entry: ClipEntry) -> Bytes:
        """(N, H·3/2, W) view of a clip."""
        size = entry.frames * entry.height * 3 // 2 * entry.width
        flat = self._bytes[entry.offset : entry.offset + size]
        return flat.reshape(entry.frames, entry.height * 3 // 2, entry.width)


@dataclass(frozen=True, slots=True)
class Sample:
    """A batch of five-picture samples: the window and one picture to predict."""

    window: Tensor  # (B, 4, 3, H, W), RGB in [0, 1]
    target: Tensor  # (B, 3, H, W)
    t: Tensor  # (B,)
    spacing: Tensor  # (B, 2), as in `SVMV.decode`

    def changed(
        self, rng: np.random.Generator, change: Callable[[Tensor, Tensor], Tensor], *, share: float
    ) -> "Sample":
        """The batch with something done to so large a share of its samples, drawn one by one.

        Args:
            rng: draws them.
            change: from a sample's five pictures (5, 3, H, W), the target last, and their times (5,), to new ones.
            share: of the samples.
        """
        pictures = torch.cat([self.window, self.target[:, None]], dim=1)
        for index in np.flatnonzero(rng.random(len(self.t)) < share):
            times = torch.cat([self.t.new_tensor([-1.0, 0.0, 1.0, 2.0]), self.t[index : index + 1]])
            pictures[index] = change(pictures[index], times)
        return Sample(pictures[:, :4], pictures[:, 4], self.t, self.spacing)


@dataclass(frozen=True, slots=True)
class Cuttings:
    """A batch of real samples as it lies in memory: a seventh of what its pictures take as RGB float32."""

    packed: Bytes  # (B, 5, crop·3/2, crop), planar 4:2:0: the window, then the target
    times: tuple[float, ...]

    def to(self, device: torch.device) -> Sample:
        """The batch as pictures on the device."""
        rgb = to_rgb(upload(self.packed, device))
        t = torch.tensor(self.times, dtype=torch.float32, device=device)
        return Sample(rgb[:, :4], rgb[:, 4], t, torch.ones(len(self.times), 2, device=device))


class RealSource:
    """Random crops of real clips: even over sources, then over clips, then over places that move."""

    def __init__(
        self,
        store: ClipStore,
        *,
        entries: Sequence[ClipEntry] | None = None,
        spans: Sequence[int] = (2, 2, 2, 4, 4, 3, 6, 8),
    ) -> None:
        """A source of samples.

        Args:
            store: the clips.
            entries: those to draw from; all when None.
            spans: frames between neighbours of the window, drawn evenly; a span of n has targets at k/n.

        Raises:
            ValueError: none of them is long enough.
        """
        self._store = store
        self._spans = spans
        by_source: dict[str, list[ClipEntry]] = defaultdict(list)
        for entry in store.entries if entries is None else entries:
            if entry.frames > 3 * min(spans):
                by_source[entry.source].append(entry)
        if not by_source:
            raise ValueError("no clip is long enough to train on")
        self._sources = [by_source[key] for key in sorted(by_source)]
        self.largest_crop = max(min(e.height, e.width) for entries in self._sources for e in entries)  # px

    def draw(self, rng: np.random.Generator, *, batch: int, crop: int, device: torch.device) -> Sample:
        """One batch of `crop`-sized squares; `cut`, then `Cuttings.to`."""
        return self.cut(rng, batch=batch, crop=crop).to(device)

    def cut(self, rng: np.random.Generator, *, batch: int, crop: int) -> "Cuttings":
        """What `draw` reads from memory; safe in any thread.

        Raises:
            ValueError: no clip is as large as that.
        """
        self._check(crop)
        packed, times = zip(*(self._one(rng, crop) for _ in range(batch)), strict=True)
        return Cuttings(np.stack(packed), times)

    def stills(self, rng: np.random.Generator, *, batch: int, crop: int) -> Bytes:
        """(B, crop·3/2, crop): single pictures, packed like clips.

        Raises:
            ValueError: no clip is as large as that.
        """
        self._check(crop)
        packed = []
        for _ in range(batch):
            entry = self._pick(rng, crop)[0]
            frame = self._store.clip(entry)[rng.integers(entry.frames)]
            packed.append(_cut(frame, entry, *self._place(rng, entry, crop), crop))
        return np.stack(packed)

    def _check(self, crop: int) -> None:
        if crop > self.largest_crop:
            raise ValueError(f"no clip is large enough for crops of {crop} px, only for {self.largest_crop}")

    def _pick(self, rng: np.random.Generator, crop: int) -> tuple[ClipEntry, int]:
        """A clip, even over sources, and a span it is long enough for."""
        while True:
            source = self._sources[rng.integers(len(self._sources))]
            entry = source[rng.integers(len(source))]
            span = int(rng.choice(self._spans))
            if entry.frames > 3 * span and min(entry.height, entry.width) >= crop:
                return entry, span

    def _one(self, rng: np.random.Generator, crop: int) -> tuple[Bytes, float]:
        entry, span = self._pick(rng, crop)
        first = int(rng.integers(entry.frames - 3 * span))
        k = int(rng.integers(1, span))
        indices = [first, first + span, first + 2 * span, first + 3 * span, first + span + k]
        clip = self._store.clip(entry)
        # Of three places the one that changes most: flat and still crops teach little.
        places = [self._place(rng, entry, crop) for _ in range(3)]
        y, x = max(places, key=lambda p: _change(clip, indices[1], indices[2], p, crop))
        return np.stack([_cut(clip[i], entry, y, x, crop) for i in indices]), k / span

    @staticmethod
    def _place(rng: np.random.Generator, entry: ClipEntry, crop: int) -> tuple[int, int]:
        y = 2 * int(rng.integers((entry.height - crop) // 2 + 1))
        x = 2 * int(rng.integers((entry.width - crop) // 2 + 1))
        return y, x


def upload(packed: Bytes, device: torch.device) -> Tensor:
    """Bytes to the device; on CUDA from pinned memory, so that the host does not wait for the copy."""
    tensor = torch.from_numpy(packed)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor.to(device)


def _change(clip: Bytes, i: int, j: int, place: tuple[int, int], crop: int) -> float:
    y, x = place
    a = clip[i, y : y + crop : 4, x : x + crop : 4].astype(np.int16)
    return float(np.abs(a - clip[j, y : y + crop : 4, x : x + crop : 4]).mean())


def _cut(frame: Bytes, entry: ClipEntry, y: int, x: int, crop: int) -> Bytes:
    """A square of a packed 4:2:0 frame, packed the same way."""
    H, W, half = entry.height, entry.width, crop // 2
    chroma = frame[H:].reshape(2, H // 2, W // 2)[:, y // 2 : y // 2 + half, x // 2 : x // 2 + half]
    return np.concatenate([frame[y : y + crop, x : x + crop].ravel(), chroma.ravel()]).reshape(crop * 3 // 2, crop)


def to_rgb(packed: Tensor) -> Tensor:
    """uint8 (…, H·3/2, W) planar 4:2:0, BT.601 limited range → float32 (…, 3, H, W) in [0, 1]."""
    lead, (rows, W) = packed.shape[:-2], packed.shape[-2:]
    H = rows * 2 // 3
    flat = packed.reshape(-1, rows, W).float()
    luma = (flat[:, :H] - 16) / 219
    chroma = ((flat[:, H:] - 128) / 224).reshape(-1, 2, H // 2, W // 2)
    chroma = torch.nn.functional.interpolate(chroma, size=(H, W), mode="bilinear", align_corners=False)
    u, v = chroma[:, 0], chroma[:, 1]
    rgb = torch.stack([luma + 1.402 * v, luma - 0.344136 * u - 0.714136 * v, luma + 1.772 * u], dim=1)
    return rgb.clamp(0, 1).reshape(*lead, 3, H, W)
