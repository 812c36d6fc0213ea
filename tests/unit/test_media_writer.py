from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import accumulate, pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from svmv_cli.errors import OutputError
from svmv_cli.media.info import ColorInfo
from svmv_cli.media.probe import probe
from svmv_cli.media.verify import measure
from svmv_cli.media.writer import VideoWriter
from tests.media import make_clip, repeated
from tests.reading import read_numbers, read_planes, read_times
from tests.writing import frame, only_source, ready

MILLISECOND = Fraction(1, 1000)
EXACT = {".mp4", ".mov"}  # the others round to milliseconds


# -- time --


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(25), Fraction(30)])
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_constant_rate_has_exact_count_times_and_length(tmp_path: Path, suffix: str, rate: Fraction) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=20, rate=rate, size=(64, 48))
    made = tmp_path / f"o{suffix}"
    _, written = repeated(clip.path, made, factor=4, preset="8" if suffix == ".webm" else "veryfast")
    slack = Fraction(0) if suffix in EXACT else MILLISECOND
    assert written.frames == 80
    assert written.duration == 20 / rate
    assert written.bytes == made.stat().st_size
    found = measure(made)
    assert found.frames == 80
    assert abs(found.duration - 20 / rate) <= slack
    assert all(abs(time - n / (4 * rate)) <= slack for n, time in enumerate(read_times(made)))
    assert read_numbers(made) == [n for n in range(20) for _ in range(4)]
    assert probe(made).video.rate_claimed == 4 * rate


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm"])
def test_variable_rate_keeps_its_own_times(tmp_path: Path, suffix: str) -> None:
    gaps = [Fraction(int(gap), 90_000) for gap in np.random.default_rng(1).integers(1000, 9000, 20)]
    times = list(accumulate([Fraction(0), *gaps]))
    clip = make_clip(
        tmp_path / "a.mp4", times=times, last_duration=Fraction(7777, 90_000), bframes=False, size=(64, 48)
    )
    made = tmp_path / f"o{suffix}"
    repeated(clip.path, made, factor=3, rate=None, preset="8" if suffix == ".webm" else None)
    wanted = [a + (b - a) * k / 3 for a, b in pairwise([*clip.times, clip.end]) for k in range(3)]
    slack = Fraction(0) if suffix in EXACT else MILLISECOND
    found = read_times(made)
    assert len(found) == len(wanted)
    assert max(abs(a - b) for a, b in zip(found, wanted, strict=True)) <= slack
    assert abs(measure(made).duration - clip.end) <= 2 * slack
    assert read_numbers(made) == [n for n in range(21) for _ in range(3)]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".webm"])
def test_one_picture_lasts_its_time(tmp_path: Path, suffix: str) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=1, rate=Fraction(10))
    made = tmp_path / f"o{suffix}"
    repeated(clip.path, made, factor=4)
    found = measure(made)
    assert found.frames == 4
    assert abs(found.duration - Fraction(1, 10)) <= MILLISECOND


def test_last_duration_is_that_of_the_frame(tmp_path: Path) -> None:
    target, info = ready(tmp_path, rate=None)
    with VideoWriter(target, info) as writer:
        writer.write(frame(0))
        writer.write(frame(1))
        writer.write(replace(frame(2), duration=Fraction(1, 3)))
        assert writer.finish().duration == Fraction(2, 24) + Fraction(1, 3)
    assert measure(target.path).duration == Fraction(2, 24) + Fraction(1, 3)


def test_slow_motion_is_as_long_as_it_says(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=12)
    repeated(clip.path, tmp_path / "o.mp4", factor=4, stretch=Fraction(4))
    found = measure(tmp_path / "o.mp4")
    assert (found.frames, found.duration) == (48, Fraction(2))
    assert probe(tmp_path / "o.mp4").video.rate_claimed == 24


def test_times_must_rise(tmp_path: Path) -> None:
    target, info = ready(tmp_path)
    with VideoWriter(target, info) as writer:
        writer.write(frame(1))
        with pytest.raises(ValueError, match="must rise"):
            writer.write(frame(1))
    assert only_source(tmp_path)


# -- picture --


def test_ffv1_is_bit_exact(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", frames=5, codec="ffv1", pix_fmt="yuv422p10le", size=(95, 63))
    repeated(clip.path, tmp_path / "o.mkv", factor=2, codec="ffv1")
    source, made = read_planes(clip.path), read_planes(tmp_path / "o.mkv")
    for number, planes in enumerate(made):
        assert all(np.array_equal(a, b) for a, b in zip(planes, source[number // 2], strict=True))


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [(".mp4", "h264"), (".mp4", "hevc"), (".mp4", "av1"), (".mkv", "h264"), (".mkv", "hevc"), (".mkv", "av1")],
)
def test_tags_aspect_and_rotation_are_kept(tmp_path: Path, suffix: str, codec: str) -> None:
    color = ColorInfo(9, 16, 9, chroma_location=1)
    clip = make_clip(
        tmp_path / "a.mp4",
        frames=3,
        color=color,
        sample_aspect_ratio=Fraction(32, 27),
        rotation=90,
        pix_fmt="yuv420p10le",
    )
    made = tmp_path / f"o{suffix}"
    target, _ = repeated(clip.path, made, codec=codec, preset="13" if codec == "av1" else "ultrafast")
    video = probe(made).video
    assert video.color == color
    assert video.pix_fmt == "yuv420p10le"
    assert video.rotation == 90
    assert video.sample_aspect_ratio == Fraction(32, 27)
    assert target.notes == ()


def test_prores_keeps_tags_of_its_own(tmp_path: Path) -> None:
    color = ColorInfo(9, 16, 9, chroma_location=1)
    clip = make_clip(tmp_path / "a.mp4", frames=2, color=color, pix_fmt="yuv420p10le")
    repeated(clip.path, tmp_path / "o.mov", codec="prores")
    assert probe(tmp_path / "o.mov").video.color == ColorInfo(9, 16, 9)


def test_rotation_that_ts_cannot_hold_is_told(tmp_path: Path) -> None:
    target, _ = repeated(make_clip(tmp_path / "a.mp4", frames=2, rotation=90).path, tmp_path / "o.ts")
    assert any("rotation of 90 degrees is lost" in note for note in target.notes)


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_full_range_is_kept(tmp_path: Path, codec: str) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=2, color=ColorInfo(1, 1, 1, full_range=True))
    repeated(clip.path, tmp_path / "o.mp4", codec=codec, preset="13" if codec == "av1" else "ultrafast")
    assert probe(tmp_path / "o.mp4").video.color == ColorInfo(1, 1, 1, full_range=True, chroma_location=1)


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "h264"), (".mkv", "hevc"), (".webm", None), (".mov", "prores")])
def test_odd_sizes(tmp_path: Path, suffix: str, codec: str | None) -> None:
    clip = make_clip(tmp_path / "a.mkv", frames=6, size=(95, 63), codec="ffv1")
    made = tmp_path / f"o{suffix}"
    repeated(clip.path, made, codec=codec)
    video = probe(made).video
    assert (video.width, video.height) == (95, 63)
    assert read_numbers(made) == [n for n in range(6) for _ in range(2)]


def test_one_by_one(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", frames=3, size=(1, 1), codec="ffv1")
    repeated(clip.path, tmp_path / "o.mp4")
    assert measure(tmp_path / "o.mp4").frames == 6


def test_hevc_in_mp4_is_tagged_for_apple(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=2)
    repeated(clip.path, tmp_path / "o.mp4", codec="hevc", preset="ultrafast")
    with av.open(tmp_path / "o.mp4") as container:
        assert container.streams.video[0].codec_context.codec_tag == "hvc1"


def test_the_index_stands_in_front(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=2)
    repeated(clip.path, tmp_path / "o.mp4")
    content = (tmp_path / "o.mp4").read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")


def test_measure_refuses_a_file_without_picture(tmp_path: Path) -> None:
    with av.open(tmp_path / "a.mka", "w", format="matroska") as out:
        track = out.add_stream("pcm_s16le", rate=48_000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 960), np.int16), format="s16", layout="mono")
        sound.sample_rate = 48_000
        track.codec_context.layout = "mono"
        out.mux(track.encode(sound))
    with pytest.raises(OutputError, match="holds no picture"):
        measure(tmp_path / "a.mka")
