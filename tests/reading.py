"""What a made file holds: numbers, planes and times of its pictures, clicks, pitch, words, sound beside the picture."""

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer

from svmv_cli.media.frame import PixelFormat, Plane
from svmv_cli.media.pictures import planes_of
from svmv_cli.media.verify import measure
from tests.media import BITS
from tests.sound import SOUND_RATE


def number_of(plane: Plane, *, depth: int = 8) -> int:
    """The number drawn into a luma plane."""
    height, width = plane.shape
    bar = max(1, height // 4)
    middle = 126 << (depth - 8)
    number = 0
    for bit in range(BITS):
        left, right = bit * width // BITS, (bit + 1) * width // BITS
        block = plane[:bar, left:right]
        number |= int(block.size > 0 and block.mean() > middle) << bit
    return number


def read_numbers(path: Path) -> list[int]:
    """Numbers of all pictures, in presentation order."""
    layout = _layout_of(path)
    return [number_of(planes[0], depth=layout.depth) for planes in read_planes(path)]


def read_planes(path: Path) -> list[tuple[Plane, ...]]:
    """Planes of all pictures of a planar clip, as decoded."""
    layout = _layout_of(path)
    with av.open(path) as container:
        return [planes_of(picture, layout) for picture in container.decode(container.streams.video[0])]


def read_times(path: Path) -> list[Fraction]:
    """Presentation times of all pictures, s, as decoded."""
    with av.open(path) as container:
        return [
            (picture.pts or 0) * (picture.time_base or Fraction(0))
            for picture in container.decode(container.streams.video[0])
        ]


def read_sound(path: Path, track: int = 0) -> tuple[npt.NDArray[np.float32], Fraction]:
    """Samples of the first channel and the time of the first one, s."""
    pieces: list[npt.NDArray[np.float32]] = []
    start: Fraction | None = None
    with av.open(path) as container:
        stream = container.streams.audio[track]
        for frame in container.decode(stream):
            if start is None:
                start = (frame.pts or 0) * (frame.time_base or Fraction(0))
            samples = frame.to_ndarray()
            scale = 1.0 if samples.dtype.kind == "f" else 1 / 32768
            pieces.append((samples[0] * scale).astype(np.float32))
    return np.concatenate(pieces), start or Fraction(0)


def _layout_of(path: Path) -> PixelFormat:
    with av.open(path) as container:
        return PixelFormat.parse((container.streams.video[0].pix_fmt or "").replace("yuvj", "yuv"))


def offsets(path: Path) -> tuple[Fraction, Fraction]:
    """Sound minus picture at the start and at the end, s."""
    found = measure(path)
    return found.sound[0].first - found.first, found.sound[0].end - (found.first + found.duration)


def words(path: Path) -> list[tuple[float, float, bytes]]:
    """Subtitles as (begin s, length s, text without its wrapping)."""
    found = []
    with av.open(path) as container:
        for packet in container.demux(container.streams.subtitles[0]):
            text = bytes(packet)
            if b"line" in text and packet.pts is not None:
                length = (packet.duration or 0) * packet.time_base
                found.append((float(packet.pts * packet.time_base), float(length), text))
    return found


def clicks(path: Path) -> list[float]:
    """Times of the bursts in the first sound track, s."""
    loud: list[float] = []
    with av.open(path) as container:
        for frame in _heard(container):
            begin = float((frame.pts or 0) * (frame.time_base or 0))
            samples = np.abs(frame.to_ndarray()[0].astype(np.float64))
            full = 1.0 if frame.format.name.startswith("flt") else 32768.0
            loud += [begin + index / frame.sample_rate for index in np.flatnonzero(samples > full / 2)]
    return [time for before, time in pairwise([-1.0, *loud]) if time - before > 1 / 20]


def _heard(container: InputContainer) -> Iterator[av.AudioFrame]:
    """The first sound track as a player plays it: what is torn is passed over."""
    stream = container.streams.audio[0]
    for packet in container.demux(stream):
        with suppress(av.InvalidDataError):
            yield from stream.decode(packet)


def pitch(path: Path) -> float:
    """The strongest frequency of the first sound track below the clicks', Hz."""
    samples, _ = read_sound(path)
    spectrum = np.abs(np.fft.rfft(samples))
    frequencies = np.fft.rfftfreq(len(samples), 1 / SOUND_RATE)
    return float(frequencies[np.argmax(spectrum * (frequencies < 2000))])
