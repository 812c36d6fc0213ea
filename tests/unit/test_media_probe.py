from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from svmv_cli.errors import ExitCode, InputError
from svmv_cli.media.info import ColorInfo
from svmv_cli.media.probe import probe
from svmv_cli.media.stamps import snap_rate
from tests.media import cut, make_clip

RATES = [Fraction(24000, 1001), Fraction(25), Fraction(30), Fraction(60000, 1001)]


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_counts_and_times_every_picture(tmp_path: Path, rate: Fraction, suffix: str) -> None:
    clip = make_clip(tmp_path / f"a{suffix}", frames=20, rate=rate)
    video = probe(clip.path).video
    assert len(video.packet_times) == 20
    assert video.rate_claimed == rate
    tick = video.time_base
    assert all(abs(int(p) * tick - t) <= tick for p, t in zip(video.packet_times, clip.times, strict=True))
    assert (video.width, video.height, video.codec, video.pix_fmt) == (96, 64, "h264", "yuv420p")


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        (Fraction(7001, 146), Fraction(48000, 1001)),  # what Matroska makes of it
        (Fraction(2997, 100), Fraction(30000, 1001)),
        (Fraction(25), Fraction(25)),
        (Fraction(599994, 10000), Fraction(60)),
        (Fraction(25, 2), Fraction(25, 2)),
        (Fraction(18), Fraction(18)),
    ],
)
def test_rates_snap_to_what_is_meant(given: Fraction, meant: Fraction) -> None:
    assert snap_rate(given) == meant


def test_picture_facts(tmp_path: Path) -> None:
    color = ColorInfo(primaries=9, transfer=16, matrix=9, chroma_location=1)
    clip = make_clip(
        tmp_path / "a.mp4",
        frames=3,
        codec="libx265",
        pix_fmt="yuv420p10le",
        color=color,
        sample_aspect_ratio=Fraction(32, 27),
        rotation=90,
    )
    video = probe(clip.path).video
    assert video.color == color
    assert video.pix_fmt == "yuv420p10le"
    assert video.sample_aspect_ratio == Fraction(32, 27)
    assert video.rotation == 90
    assert not video.fields.interlaced


def test_full_range_and_untagged(tmp_path: Path) -> None:
    full = make_clip(tmp_path / "a.mp4", frames=2, color=ColorInfo(1, 1, 1, full_range=True))
    assert probe(full.path).video.color == ColorInfo(1, 1, 1, full_range=True, chroma_location=1)
    plain = make_clip(tmp_path / "b.mp4", frames=2)
    assert probe(plain.path).video.color == ColorInfo(chroma_location=1)  # MPEG's own, when nothing is said


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_colours_that_only_the_container_knows(tmp_path: Path, suffix: str) -> None:
    color = ColorInfo(primaries=9, transfer=16, matrix=9)
    silent = {"x265-params": "log-level=none:colorprim=undef:transfer=undef:colormatrix=undef"}
    clip = make_clip(tmp_path / f"a{suffix}", codec="libx265", pix_fmt="yuv420p10le", options=silent, color=color)
    found = probe(clip.path).video.color
    assert (found.primaries, found.transfer, found.matrix) == (9, 16, 9)


def test_other_streams_and_chapters(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", audio=2, subtitles=True, chapters=True, attachment=b"font")
    info = probe(clip.path)
    assert [other.kind for other in info.others] == ["audio", "audio", "subtitle", "attachment"]
    assert [other.language for other in info.others[:3]] == ["eng", "deu", "eng"]
    assert info.chapters == 2


def test_an_mp4_chapter_track_is_not_a_stream_of_its_own(tmp_path: Path) -> None:
    info = probe(make_clip(tmp_path / "a.mp4", chapters=True, audio=1).path)
    assert [other.kind for other in info.others] == ["audio"]
    assert info.chapters == 2


def test_variable_rate_keeps_its_stamps(tmp_path: Path) -> None:
    times = [Fraction(n, 1000) for n in (0, 16, 50, 66, 133)]
    clip = make_clip(tmp_path / "a.mp4", times=times, last_duration=Fraction(40, 1000), bframes=False)
    video = probe(clip.path).video
    assert [int(p) * video.time_base for p in video.packet_times] == times
    assert video.last_duration == Fraction(40, 1000)


@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".ts", ".flv"])
def test_a_pause_before_the_end_does_not_lengthen_the_last_picture(tmp_path: Path, suffix: str) -> None:
    times = [Fraction(n, 25) for n in (*range(12), *range(86, 89))]  # 3 s at rest
    video = probe(make_clip(tmp_path / f"a{suffix}", times=times, options={"b-adapt": "0"}).path).video
    assert abs(video.last_duration - Fraction(1, 25)) < Fraction(1, 500)


def test_start_is_where_the_first_stream_starts(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", audio=1, start_offset=Fraction(1, 2), audio_start=Fraction(1, 4))
    info = probe(clip.path)
    assert info.start_claimed == Fraction(1, 4)
    assert info.video.start == Fraction(1, 2)


@pytest.mark.parametrize("suffix", [".avi", ".264"])
def test_files_without_timestamps_get_an_even_count(tmp_path: Path, suffix: str) -> None:
    info = probe(make_clip(tmp_path / f"a{suffix}", frames=20, rate=Fraction(25)).path)
    assert info.video.times_made_up
    gaps = np.diff(info.video.packet_times) * info.video.time_base
    assert list(gaps) == [Fraction(1, 25)] * 19


def test_a_name_that_looks_like_a_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_clip(tmp_path / "b.mp4", frames=2).path.rename(tmp_path / "a:b.mp4")
    monkeypatch.chdir(tmp_path)
    assert probe(Path("a:b.mp4")).video.width == 96


def _nothing(folder: Path) -> Path:
    return folder / "nope.mp4"


def _folder(folder: Path) -> Path:
    return folder


def _empty(folder: Path) -> Path:
    (folder / "a.mp4").touch()
    return folder / "a.mp4"


def _text(folder: Path) -> Path:
    (folder / "a.mp4").write_text("not video at all\n" * 200)
    return folder / "a.mp4"


def _text_by_name(folder: Path) -> Path:
    (folder / "a.txt").write_text("not video at all\n" * 200)
    return folder / "a.txt"


def _noise(folder: Path) -> Path:
    (folder / "a.mkv").write_bytes(np.random.default_rng(0).bytes(20_000))
    return folder / "a.mkv"


def _headless(folder: Path) -> Path:
    """An MP4 whose index, at its end, is cut off."""
    return cut(make_clip(folder / "whole.mp4", options={"crf": "1"}).path, folder / "a.mp4", 0.5)


def _only_sound(folder: Path) -> Path:
    with av.open(folder / "a.mp4", "w") as out:
        track = out.add_stream("aac", rate=48_000)
        track.codec_context.layout = "mono"
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 48_000, 0, Fraction(1, 48_000)
        out.mux(track.encode(frame))
        out.mux(track.encode(None))
    return folder / "a.mp4"


def _no_picture_decodes(folder: Path) -> Path:
    with av.open(folder / "a.mkv", "w") as out:
        stream = out.add_mux_stream("vp8", width=96, height=64)
        for number in range(5):
            packet = av.Packet(b"\xff" * 50)
            packet.stream, packet.time_base = stream, Fraction(1, 1000)
            packet.pts = packet.dts = number * 40
            out.mux(packet)
    return folder / "a.mkv"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (_nothing, "does not exist"),
        (_folder, "is a folder"),
        (_empty, "is empty"),
        (_text, "is not a video file"),
        (_text_by_name, "is text"),
        (_noise, "is not a video file"),
        (_headless, "is not a video file"),
        (_only_sound, "has sound but no picture"),
        (_no_picture_decodes, "no picture in it can be decoded"),
    ],
)
def test_what_is_no_video_is_told_in_one_sentence(tmp_path: Path, make: Callable[[Path], Path], words: str) -> None:
    with pytest.raises(InputError, match=words) as caught:
        probe(make(tmp_path))
    assert caught.value.exit_code == ExitCode.INPUT
    assert caught.value.hint
    assert "\n" not in caught.value.message


def test_unreadable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = make_clip(tmp_path / "a.mp4", frames=2).path
    monkeypatch.setattr("os.access", lambda *_: False)  # root may read anything, so it is said to us
    with pytest.raises(InputError, match="may not be read"):
        probe(path)
