"""Joined segments beside the same frames encoded in one go: nobody can tell where the joints are."""

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from itertools import accumulate, pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from svmv_cli.errors import OutputError
from svmv_cli.media.frame import Frame, PixelFormat
from svmv_cli.media.info import ColorInfo, MediaInfo
from svmv_cli.media.pictures import working_format
from svmv_cli.media.probe import probe
from svmv_cli.media.reader import VideoReader
from svmv_cli.media.segment import Segment, SegmentWriter
from svmv_cli.media.target import Target, choose_target
from svmv_cli.media.track import Pace
from svmv_cli.media.verify import measure
from svmv_cli.media.writer import VideoWriter
from svmv_cli.timeline import Clock
from tests.media import draw, make_clip
from tests.reading import number_of, read_numbers, read_planes, read_times
from tests.unit.test_picture_hdr import HDR10, PARAMS

RATE = Fraction(48000, 1001)
JOINTS = (0, 17, 18, 31, 40)
FAST = {"h264": "veryfast", "hevc": "ultrafast", "av1": "12", "vp9": "8"}
CODECS = {
    ".mp4": ("h264", "hevc", "av1", "vp9"),
    ".mov": ("h264", "hevc", "prores"),
    ".mkv": ("h264", "hevc", "av1", "vp9", "ffv1", "prores"),
    ".webm": ("vp9", "av1"),
    ".ts": ("h264", "hevc"),
    ".m2ts": ("h264",),
}


def targets(
    folder: Path, suffix: str, *, rate: Fraction | None = RATE, pix_fmt: str = "yuv420p", **settings: object
) -> tuple[Target, MediaInfo]:
    source = folder / "source.mkv"
    make_clip(source, frames=20, rate=RATE / 2, audio=1, size=(96, 64), codec="ffv1", pix_fmt=pix_fmt, chapters=True)
    info = probe(source)
    given = {"rate": rate, "clock": Clock(Fraction(0)), "encoder": "cpu", **settings}
    return choose_target(info, path=folder / f"whole{suffix}", **given), info  # type: ignore[arg-type]


def frames_at(times: Sequence[Fraction], target: Target) -> list[Frame]:
    layout = PixelFormat.parse(working_format(target.pix_fmt).name)
    return [
        Frame(a, b - a, layout, draw(i, size=(96, 64), pix_fmt=layout.name)) for i, (a, b) in enumerate(pairwise(times))
    ]


def both(target: Target, info: MediaInfo, frames: Sequence[Frame], joints: Sequence[int] = JOINTS) -> tuple[Path, Path]:
    """The frames written in one go, and in segments."""
    with VideoWriter(target, info) as writer:
        for frame in frames:
            writer.write(frame)
        whole = writer.finish()
    pace = Pace.of(target, info, first=frames[0].time, step=frames[0].duration)
    segments = []
    for a, b in pairwise(joints):
        part = SegmentWriter(target.path.with_name(f"{a}.segment"), target, info, pace=pace)
        for frame in frames[a:b]:
            part.write(frame)
        segments.append(Segment(target.path.with_name(f"{a}.segment"), part.finish()))
    assert len({segment.info.header for segment in segments}) == 1
    named = replace(target, path=target.path.with_name(f"joined{target.path.suffix}"))
    with VideoWriter(named, info) as writer:
        writer.join(segments, pace=pace)
        joined = writer.finish()
    assert (joined.frames, joined.duration) == (whole.frames, whole.duration)
    return target.path, named.path


def packets(path: Path) -> list[tuple[Fraction, Fraction | None, bool]]:
    """Presentation and decoding time, s, of every packet and whether it is a key; Matroska keeps no decoding time."""
    with av.open(path) as container:
        return [
            (p.pts * p.time_base, None if p.dts is None else p.dts * p.time_base, p.is_keyframe)
            for p in container.demux(container.streams.video[0])
            if p.size and p.pts is not None
        ]


@pytest.mark.parametrize(("suffix", "codec"), [(suffix, codec) for suffix in CODECS for codec in CODECS[suffix]])
def test_nobody_can_tell_the_joints(tmp_path: Path, suffix: str, codec: str) -> None:
    target, info = targets(tmp_path, suffix, codec=codec, preset=FAST.get(codec))
    whole, joined = both(target, info, frames_at([i / RATE for i in range(41)], target))
    depth = PixelFormat.parse(working_format(target.pix_fmt).name).depth
    assert [number_of(planes[0], depth=depth) for planes in read_planes(joined)] == list(range(40))
    assert read_times(joined) == read_times(whole)
    assert measure(joined) == measure(whole)
    found = packets(joined)
    known = [(pts, dts) for pts, dts, _ in found if dts is not None]
    assert all(a[1] < b[1] for a, b in pairwise(known))
    assert all(dts <= pts for pts, dts in known)
    times = sorted(pts for pts, _, _ in found)
    assert {times[joint] for joint in JOINTS[:-1]} <= {pts for pts, _, key in found if key}
    before, after = probe(whole).video, probe(joined).video
    assert replace(after, packet_times=before.packet_times, bit_rate=None) == replace(before, bit_rate=None)
    assert probe(joined).chapters == probe(whole).chapters
    for joint in (17, 18, 31):  # as a player does: search, and decode from the key frame found
        with VideoReader(probe(joined), pix_fmt=working_format(target.pix_fmt).name, start=times[joint]) as reader:
            assert number_of(next(iter(reader)).planes[0], depth=depth) == joint


def test_lossless_frames_are_the_same_to_the_bit(tmp_path: Path) -> None:
    target, info = targets(tmp_path, ".mkv", codec="ffv1")
    whole, joined = both(target, info, frames_at([i / RATE for i in range(41)], target))
    for a, b in zip(read_planes(whole), read_planes(joined), strict=True):
        assert all((x == y).all() for x, y in zip(a, b, strict=True))


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_variable_rate_keeps_its_times_over_joints(tmp_path: Path, suffix: str) -> None:
    target, info = targets(tmp_path, suffix, rate=None, preset="veryfast")
    gaps = [Fraction(int(gap), 24_000) for gap in np.random.default_rng(2).integers(100, 3000, 40)]
    whole, joined = both(target, info, frames_at(list(accumulate([Fraction(1, 3), *gaps])), target))
    assert read_times(joined) == read_times(whole)
    assert measure(joined) == measure(whole)


def test_a_late_start_and_long_reordering_keep_their_times(tmp_path: Path) -> None:
    target, info = targets(tmp_path, ".mp4", preset="slow")
    target = replace(target, options=(*target.options, ("bf", "5"), ("b-pyramid", "normal")))
    times = [Fraction(5, 7) + i / RATE for i in range(41)]
    whole, joined = both(target, info, frames_at(times, target), joints=(0, 3, 4, 6, 22, 40))
    assert read_times(joined) == read_times(whole)
    assert read_numbers(joined) == list(range(40))


QUARTER = (0, -65536, 0, 65536, 0, 0, 0, 0, 1 << 30)  # turned by 90 degrees


@pytest.mark.parametrize(("suffix", "codec"), [(".mov", "prores"), (".mp4", "av1"), (".mkv", "hevc"), (".mkv", "av1")])
def test_shape_colours_and_turn_survive_the_joining(tmp_path: Path, suffix: str, codec: str) -> None:
    target, info = targets(tmp_path, suffix, codec=codec, preset=FAST.get(codec))
    target = replace(target, sample_aspect_ratio=Fraction(32, 27), display_matrix=QUARTER, color=ColorInfo(9, 16, 9))
    whole, joined = both(target, info, frames_at([i / RATE for i in range(41)], target))
    before, after = probe(whole).video, probe(joined).video
    assert (after.sample_aspect_ratio, after.rotation, after.color) == (Fraction(32, 27), 90, before.color)
    assert after.color.transfer == 16


@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "hevc"), (".mkv", "hevc"), (".mp4", "av1"), (".mkv", "h264")])
def test_mastering_data_and_siting_survive_the_joining(tmp_path: Path, suffix: str, codec: str) -> None:
    film = tmp_path / "in.mp4"
    options = {"preset": "ultrafast", "chroma_sample_location": "topleft"}
    options["x265-params"] = f"log-level=none:pools=1:{PARAMS}"
    make_clip(film, frames=6, codec="libx265", pix_fmt="yuv420p10le", color=HDR10, options=options)
    info = probe(film)
    path = tmp_path / f"whole{suffix}"
    preset = "13" if codec == "av1" else "ultrafast"
    target = choose_target(info, path=path, clock=Clock(Fraction(0)), rate=RATE, codec=codec, preset=preset)
    whole, joined = both(target, info, frames_at([i / RATE for i in range(13)], target), joints=(0, 5, 12))
    before, after = probe(whole).video, probe(joined).video
    assert (after.hdr, after.color) == (before.hdr, before.color)
    assert after.color == HDR10
    assert after.hdr.light == info.video.hdr.light


def test_transparency_survives_the_joining(tmp_path: Path) -> None:
    target, info = targets(tmp_path, ".webm", pix_fmt="yuva420p", codec="vp9", preset="8")
    assert target.pix_fmt == "yuva420p"
    _, joined = both(target, info, frames_at([i / RATE for i in range(41)], target))
    decoder = av.CodecContext.create("libvpx-vp9", "r")  # the only one that knows transparency
    with av.open(joined) as container:
        pictures = [f for p in container.demux(container.streams.video[0]) for f in decoder.decode(p)]  # type: ignore[attr-defined]
    assert len(pictures) == 40
    assert {picture.format.name for picture in pictures} == {"yuva420p"}


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_shortest_segments_have_times(tmp_path: Path, count: int) -> None:
    """x265 leaves the decoding times of one or two pictures to chance; twelve times it is bound to show."""
    target, info = targets(tmp_path, ".mkv", codec="hevc", preset="ultrafast")
    frames = frames_at([i / RATE for i in range(count + 1)], target)
    pace = Pace.of(target, info, first=frames[0].time, step=frames[0].duration)
    for _ in range(12):
        part = SegmentWriter(tmp_path / "0.segment", target, info, pace=pace)
        for frame in frames:
            part.write(frame)
        assert len(part.finish().stamps) == count


def test_a_segment_that_lost_frames_is_not_joined(tmp_path: Path) -> None:
    target, info = targets(tmp_path, ".mkv", codec="ffv1")
    frames = frames_at([i / RATE for i in range(11)], target)
    pace = Pace.of(target, info, first=frames[0].time, step=frames[0].duration)
    part = SegmentWriter(tmp_path / "0.segment", target, info, pace=pace)
    for frame in frames:
        part.write(frame)
    segment = Segment(tmp_path / "0.segment", part.finish())
    content = segment.path.read_bytes()
    segment.path.write_bytes(content[: len(content) * 2 // 3])
    with VideoWriter(target, info) as writer, pytest.raises(OutputError, match="of 10 frames"):
        writer.join([segment], pace=pace)
    assert not target.path.exists()
