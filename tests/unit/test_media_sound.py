"""Sound of every layout: stretched to its last sample, encoded with its speakers named, or said not to be."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
import pytest

from svmv_cli.media.containers import container_for
from svmv_cli.media.decision import StreamDecision
from svmv_cli.media.layouts import layout_for
from svmv_cli.media.probe import probe
from svmv_cli.media.sound import SoundRoute
from svmv_cli.media.streams import decide_streams
from svmv_cli.timeline import Clock
from tests.media import make_clip, repeated
from tests.sound import SOUND_RATE, write_noise


def noisy(path: Path, *, codec: str, layout: str, samples: int = 24_000) -> Path:
    """A clip of half a second with one track of noise."""
    picture = make_clip(path.with_name(f"picture{path.suffix}"), frames=12, size=(64, 48))
    with av.open(picture.path) as source, av.open(path, "w") as out:
        video = out.add_stream_from_template(source.streams.video[0], opaque=True)
        track = out.add_stream(codec, rate=SOUND_RATE)
        assert isinstance(track, av.AudioStream)
        track.codec_context.layout = layout
        for packet in source.demux(source.streams.video[0]):
            if packet.size:
                packet.stream = video
                out.mux(packet)
        write_noise(out, track, samples=samples)
    return path


def decision(path: Path, name: str, *, stretch: int = 1) -> StreamDecision:
    container = container_for(Path(name))
    return decide_streams(probe(path), container=container, stretch=Fraction(stretch), slow_audio="stretch")[0]


def samples_of(path: Path) -> npt.NDArray[np.float32]:
    """One column per channel."""
    with av.open(path) as container:
        track = container.streams.audio[0]
        packed = av.AudioResampler(format="flt", layout=track.layout.name)
        blocks = [made.to_ndarray() for frame in container.decode(track) for made in packed.resample(frame)]
        return np.concatenate(blocks, axis=1).reshape(-1, track.channels)


# -- length --


@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1", "7.1"])
@pytest.mark.parametrize(
    ("samples", "stretch"), [(24_000, Fraction(2)), (12_345, Fraction(4)), (12_347, Fraction(15, 7))]
)
def test_stretched_sound_has_its_full_length(tmp_path: Path, layout: str, samples: int, stretch: Fraction) -> None:
    path, made = noisy(tmp_path / "a.mov", codec="pcm_s16le", layout=layout, samples=samples), tmp_path / "o.mov"
    with av.open(path) as source, av.open(made, "w") as out:
        track = source.streams.audio[0]
        clock = Clock(Fraction(0), stretch)
        route = SoundRoute(out, track, encoder="pcm_f32le", clock=clock, clip=(None, None))
        for packet in source.demux(track):
            if packet.size:
                out.mux(list(route.feed(packet)))
        out.mux(list(route.flush()))
    found = samples_of(made)
    assert len(found) == round(samples * stretch)
    # atempo moves what it stretches within one window, 43 ms, which the factors after it make longer
    loose = round(0.043 * (stretch - 1) * SOUND_RATE)
    assert np.all(np.abs(found[-loose:]).max(axis=0) > 0.01), "the end is silent"


# -- layouts --


@pytest.mark.parametrize(
    ("encoder", "source", "expected"),
    [
        ("aac", "stereo", "stereo"),
        ("aac", "2.1", "2.1"),
        ("aac", "5.1(side)", "5.1"),
        ("aac", "5.0(side)", "5.0"),
        ("aac", "quad(side)", "quad"),
        ("aac", "7.1(wide)", "7.1"),
        ("aac", "6 channels", "5.1"),
        ("aac", "6.1", "6.1"),  # AAC names none of seven
        ("libopus", "5.1(side)", "5.1"),
        ("libopus", "4.0", "quad"),
        ("libopus", "2.1", "3.0"),
        ("libopus", "4 channels", "quad"),
        ("libopus", "5.1.4", "5.1.4"),  # refused: Opus names none of ten
        ("pcm_s16le", "5.1(side)", "5.1(side)"),
    ],
)
def test_the_nearest_named_layout_of_as_many_channels(encoder: str, source: str, expected: str) -> None:
    assert layout_for(encoder, av.AudioLayout(source)) == expected


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm", ".ts"])
def test_slowed_speakers_stay_named(tmp_path: Path, suffix: str) -> None:
    path = noisy(tmp_path / "a.mkv", codec="ac3", layout="5.1(side)")
    made = tmp_path / f"o{suffix}"
    repeated(path, made, factor=2, stretch=Fraction(2))
    with av.open(made) as container:
        assert container.streams.audio[0].layout.name == "5.1"
    assert np.all(np.std(samples_of(made)[:, [0, 1, 2, 4, 5]], axis=0) > 0.05)


def test_opus_takes_what_stands_at_the_sides(tmp_path: Path) -> None:
    path = noisy(tmp_path / "a.mkv", codec="ac3", layout="5.1(side)")
    found = decision(path, "o.webm")
    assert (found.action, found.encoder, found.reason) == ("encode", "libopus", "webm cannot hold ac3")


def test_a_subwoofer_without_a_channel_is_heard_in_front(tmp_path: Path) -> None:
    path = noisy(tmp_path / "a.mov", codec="pcm_s16le", layout="2.1")
    made = tmp_path / "o.webm"
    repeated(path, made)
    assert np.all(np.std(samples_of(made), axis=0) > 0.05)


@pytest.mark.parametrize("stretch", [1, 2])
def test_channels_no_layout_names_are_not_kept(tmp_path: Path, stretch: int) -> None:
    path = noisy(tmp_path / "a.mkv", codec="pcm_s16le", layout="5.1.4")
    assert decision(path, "o.webm", stretch=stretch).action == "drop"


# -- MPEG-TS --


@pytest.mark.parametrize("suffix", [".ts", ".m2ts"])
@pytest.mark.parametrize(
    ("codec", "source"), [("flac", ".mkv"), ("pcm_s16le", ".mov"), ("pcm_s24le", ".mkv"), ("alac", ".mov")]
)
def test_ts_holds_no_private_sound(tmp_path: Path, codec: str, source: str, suffix: str) -> None:
    path = noisy(tmp_path / f"a{source}", codec=codec, layout="stereo")
    found = decision(path, f"o{suffix}")
    assert (found.action, found.encoder, found.reason) == ("encode", "aac", f"mpegts cannot hold {codec}")
    repeated(path, tmp_path / f"o{suffix}")
    assert [(other.kind, other.codec) for other in probe(tmp_path / f"o{suffix}").others] == [("audio", "aac")]


@pytest.mark.parametrize("suffix", [".ts", ".m2ts"])
@pytest.mark.parametrize("codec", ["mp2", "libmp3lame", "aac", "ac3", "eac3", "libopus"])
def test_sound_copied_into_ts_is_found_there(tmp_path: Path, codec: str, suffix: str) -> None:
    path = noisy(tmp_path / "a.mkv", codec=codec, layout="stereo")
    assert decision(path, f"o{suffix}").action == "copy"
    repeated(path, tmp_path / f"o{suffix}")
    assert [other.kind for other in probe(tmp_path / f"o{suffix}").others] == ["audio"]
    assert len(samples_of(tmp_path / f"o{suffix}")) >= 23_000
