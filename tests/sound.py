"""Sound for clips made here: every track has its own pitch, and bursts at known times."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.container import OutputContainer
from av.stream import Disposition

SOUND_RATE = 48_000  # Hz
CLICK_EVERY = Fraction(1, 4)  # s


def sound_codec(path: Path) -> str:
    return "libopus" if path.suffix == ".webm" else "aac"


def add_sound(out: OutputContainer, codec: str, language: str) -> av.AudioStream:
    track = out.add_stream(codec, rate=SOUND_RATE)
    assert isinstance(track, av.AudioStream)
    track.codec_context.layout = "mono"
    track.metadata["language"] = language
    if len([s for s in out.streams if s.type == "audio"]) == 1:
        track.disposition = Disposition.default
    return track


def write_noise(out: OutputContainer, track: av.AudioStream, *, samples: int) -> None:
    """Noise, another on every channel, as loud at the end as at the beginning."""
    layout = track.codec_context.layout
    noise = np.random.default_rng(0)
    for at in range(0, samples, 1024):
        block = noise.uniform(-0.3, 0.3, (1, layout.nb_channels * min(1024, samples - at))).astype(np.float32)
        frame = av.AudioFrame.from_ndarray(block, format="flt", layout=layout.name)
        frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, at, Fraction(1, SOUND_RATE)
        out.mux(track.encode(frame))
    out.mux(track.encode(None))


def write_sound(out: OutputContainer, track: av.AudioStream, *, number: int, start: Fraction, end: Fraction) -> None:
    begin, stop = round(start * SOUND_RATE), round(end * SOUND_RATE)
    samples = sound(number, begin=begin, stop=stop)
    for at in range(0, len(samples), 1024):
        block = np.ascontiguousarray(samples[None, at : at + 1024])
        frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, begin + at, Fraction(1, SOUND_RATE)
        out.mux(track.encode(frame))
    out.mux(track.encode(None))


def sound(number: int, *, begin: int, stop: int) -> npt.NDArray[np.float32]:
    """Track `number` between two samples: a tone, and a loud burst at every multiple of `CLICK_EVERY`."""
    index = np.arange(begin, stop)
    pitch = 440 * (number + 1)
    tone = 0.1 * np.sin(2 * np.pi * pitch * index / SOUND_RATE)
    burst = 0.8 * (index % int(CLICK_EVERY * SOUND_RATE) < 240) * np.sin(2 * np.pi * 3000 * index / SOUND_RATE)
    return np.asarray(tone + burst, dtype=np.float32)
