from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from svmv_cli.errors import UnsupportedError
from svmv_cli.media.frame import Frame
from svmv_cli.media.probe import probe
from svmv_cli.media.reader import VideoReader
from tests.media import cut, draw, make_clip, spoil
from tests.reading import number_of

OPEN_GOP = {"g": "17", "x264-params": "open-gop=1", "preset": "veryfast"}


def read(path: Path, *, start: Fraction | None = None, stop: Fraction | None = None) -> list[Frame]:
    info = probe(path)
    with VideoReader(info, pix_fmt=info.video.pix_fmt.replace("yuvj", "yuv"), start=start, stop=stop) as reader:
        return list(reader)


def numbers(frames: list[Frame]) -> list[int]:
    return [number_of(frame.planes[0], depth=frame.format.depth) for frame in frames]


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le", "yuv444p12le", "gbrp10le", "gray", "yuva444p"])
def test_lossless_pictures_come_bit_by_bit(tmp_path: Path, pix_fmt: str) -> None:
    clip = make_clip(tmp_path / "a.mkv", frames=4, size=(95, 63), codec="ffv1", pix_fmt=pix_fmt)
    for number, frame in enumerate(read(clip.path)):
        made = draw(number, size=(95, 63), pix_fmt=pix_fmt)
        assert all(np.array_equal(a, b) for a, b in zip(frame.planes, made, strict=True))
        assert all(plane.flags.owndata and plane.flags.c_contiguous for plane in frame.planes)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi", ".264"])
def test_presentation_order_with_b_frames(tmp_path: Path, suffix: str) -> None:
    clip = make_clip(tmp_path / f"a{suffix}", frames=30, rate=Fraction(25), options={"bf": "3"})
    frames = read(clip.path)
    assert numbers(frames) == list(range(30))
    assert all(b.time > a.time for a, b in pairwise(frames))
    assert sum(frame.duration for frame in frames) == pytest.approx(30 / 25, abs=0.002)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize(
    ("start", "stop", "expected"),
    [
        (Fraction(50, 24), Fraction(55, 24), range(50, 55)),
        (Fraction(101, 48), Fraction(110, 48), range(51, 55)),  # between two pictures: the one after
        (Fraction(0), Fraction(1, 24), range(0, 1)),
        (Fraction(33, 24), Fraction(36, 24), range(33, 36)),  # beside a key frame of an open GOP
        (None, Fraction(2, 24), range(0, 2)),
        (Fraction(78, 24), None, range(78, 80)),
        (Fraction(5), None, range(0)),
    ],
)
def test_half_open_cut_is_exact(
    tmp_path: Path, suffix: str, start: Fraction | None, stop: Fraction | None, expected: range
) -> None:
    clip = make_clip(tmp_path / f"a{suffix}", frames=80, size=(64, 48), options=OPEN_GOP)
    offset = probe(clip.path).video.start
    slack = Fraction(1, 500)  # MKV and TS round; a cut lies a hair before its picture
    whole = numbers(read(clip.path))
    assert whole == list(range(80))
    found = read(
        clip.path,
        start=None if start is None else offset + start - slack,
        stop=None if stop is None else offset + stop - slack,
    )
    assert numbers(found) == list(expected)


def test_a_cut_decodes_the_same_bits(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", frames=60, options=OPEN_GOP)
    whole = read(clip.path)
    part = read(clip.path, start=clip.times[40], stop=clip.times[45])
    assert [frame.time for frame in part] == clip.times[40:45]
    for frame, same in zip(part, whole[40:45], strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(frame.planes, same.planes, strict=True))


def test_full_range_names_do_not_shift_codes(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.avi", frames=2, codec="mjpeg", pix_fmt="yuv420p", options={"strict": "-1"})
    info = probe(clip.path)
    with VideoReader(info, pix_fmt="yuv420p") as reader:
        planes = next(iter(reader)).planes
    assert abs(int(planes[0].astype(int).min()) - 16) < 12
    assert abs(int(planes[0].astype(int).max()) - 235) < 12


def test_last_duration_is_the_files(tmp_path: Path) -> None:
    times = [Fraction(n, 1000) for n in (0, 16, 50, 66)]
    clip = make_clip(tmp_path / "a.mp4", times=times, last_duration=Fraction(90, 1000), bframes=False)
    assert [f.duration for f in read(clip.path)] == [Fraction(n, 1000) for n in (16, 34, 16, 90)]


@pytest.mark.parametrize("suffix", [".mkv", ".ts"])
def test_truncated_gives_what_it_holds(tmp_path: Path, suffix: str) -> None:
    whole = make_clip(tmp_path / f"a{suffix}", frames=80, audio=1).path
    frames = read(cut(whole, tmp_path / f"b{suffix}", 0.6))
    assert 20 < len(frames) < 80
    assert numbers(frames)[:20] == list(range(20))


def test_damage_in_the_middle_is_passed_over_and_counted(tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "a.mp4", frames=80, size=(192, 108), options={"g": "10", "crf": "5"}).path
    damaged = spoil(whole, tmp_path / "b.mp4", start=0.5, length=2000)
    info = probe(damaged)
    with VideoReader(info, pix_fmt="yuv420p") as reader:
        frames = list(reader)
    assert reader.damaged > 0
    assert reader.decoded == len(frames) >= 60
    assert numbers(frames)[:20] == list(range(20))
    assert numbers(frames)[-10:] == list(range(70, 80))


def test_a_change_of_size_is_refused_with_its_time(tmp_path: Path) -> None:
    small = make_clip(tmp_path / "a.ts", frames=10, size=(96, 64)).path.read_bytes()
    large = make_clip(tmp_path / "b.ts", frames=10, size=(128, 96)).path.read_bytes()
    joined = tmp_path / "c.ts"
    joined.write_bytes(small + large)
    with pytest.raises(UnsupportedError, match=r"changes from 96x64 to 128x96 at") as caught:
        read(joined)
    assert "--start" in (caught.value.hint or "")


def test_left_early_and_closed_twice(tmp_path: Path) -> None:
    info = probe(make_clip(tmp_path / "a.mp4", frames=40).path)
    with VideoReader(info, pix_fmt="yuv420p") as reader:
        next(iter(reader))
        reader.close()
        reader.close()
    with pytest.raises(ValueError, match="inside its `with`"):
        next(iter(reader))


def test_what_a_first_attempt_met_is_not_counted_twice(tmp_path: Path) -> None:
    """The key frame in front of the wanted picture is torn; six last pictures lie where nobody believes them."""
    times = [Fraction(n, 24) for n in range(12)] + [50 + Fraction(n, 24) for n in range(6)]
    whole = make_clip(tmp_path / "a.mkv", times=times, codec="ffv1", options={"g": "6"}).path
    with av.open(whole) as source, av.open(tmp_path / "b.mkv", "w") as out:
        stream = out.add_stream_from_template(source.streams.video[0], opaque=True)
        for number, packet in enumerate(source.demux(source.streams.video[0])):
            if packet.size:
                torn = av.Packet(bytes(packet)[: 3 if number == 6 else None])
                torn.pts, torn.dts, torn.time_base = packet.pts, packet.dts, packet.time_base
                torn.stream, torn.is_keyframe = stream, packet.is_keyframe
                out.mux(torn)
    info = probe(tmp_path / "b.mkv")
    info = replace(info, video=replace(info.video, packet_times=info.video.packet_times[:12]))
    for start, expected in ((None, range(6)), (Fraction(7, 24), range(0))):
        with VideoReader(info, pix_fmt="yuv420p", start=start) as reader:
            assert numbers(list(reader)) == list(expected)
        assert (reader.damaged, reader.dropped) == (6, 6)
