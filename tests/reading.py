"""What a made file holds, heard and read: clicks, pitch, words, and where sound lies beside the picture."""

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
from av.container import InputContainer

from svmv_cli.media.verify import measure
from tests.media import SOUND_RATE, read_sound


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
