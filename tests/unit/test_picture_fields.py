"""Interlaced pictures: found, made whole at exact times, counted to the last, or refused."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from svmv_cli.app import app
from svmv_cli.errors import InputError
from svmv_cli.media.fields import by_field
from svmv_cli.media.frame import Frame, Plane
from svmv_cli.media.info import FieldInfo
from svmv_cli.media.probe import probe
from svmv_cli.media.reader import VideoReader
from svmv_cli.pipeline.interlaced import deinterlace_for
from svmv_cli.pipeline.plan import make_plan
from svmv_cli.pipeline.report import Silent
from svmv_cli.pipeline.request import Moment, Request
from svmv_cli.pipeline.run import run
from tests.fakes import Blend
from tests.media import make_clip
from tests.pictures import BFF, FIELD_STEP, woven, write_clip
from tests.reading import read_planes, read_times


def place(plane: Plane) -> float:
    """Where the bar's middle is, px."""
    bright = (plane.astype(float) - plane.min()).mean(axis=0)
    return float((bright * np.arange(plane.shape[1])).sum() / bright.sum())


def combed(plane: Plane) -> float:
    """How much neighbouring lines differ, against lines of one field."""
    lines = plane.astype(float)
    return float(np.abs(lines[1:-1] - (lines[:-2] + lines[2:]) / 2).mean())


def interlaced(path: Path, frames: int = 10, **changes: object) -> Path:
    settings = {"pix_fmt": "yuv420p", "codec": "libx264", "options": BFF, "rate": Fraction(25), **changes}
    size = settings.pop("size", (96, 64))
    bottom_first = settings["codec"] == "libx264"
    pictures = woven(frames, pix_fmt=str(settings["pix_fmt"]), size=size, bottom_first=bottom_first)  # type: ignore[arg-type]
    return write_clip(path, pictures, **settings)  # type: ignore[arg-type]


def upsampled(path: Path, **options: object) -> tuple[Path, int]:
    info = probe(path)
    plan = make_plan(Request(path, codec="ffv1", output=path.with_name("out.mkv"), **options), info)  # type: ignore[arg-type]
    report = run(plan, info=info, interpolator=Blend(), progress=Silent())
    assert report.frames_out == plan.frames_out
    return report.output, report.frames_in


def test_flags_of_pictures_are_seen(tmp_path: Path) -> None:
    assert probe(interlaced(tmp_path / "a.mp4")).video.fields == FieldInfo(True, True)
    assert probe(make_clip(tmp_path / "b.mp4", frames=20).path).video.fields == FieldInfo()


def test_flags_are_looked_for_beyond_the_first_pictures(tmp_path: Path) -> None:
    """A progressive title in front of an interlaced film: two streams of one transport stream, one behind the other."""
    title = make_clip(tmp_path / "title.ts", frames=25, rate=Fraction(25)).path
    film = interlaced(tmp_path / "film.ts", options={**BFF, "g": "5"})
    whole = tmp_path / "whole.ts"
    import av

    with av.open(whole, "w", format="mpegts") as out, av.open(title) as first, av.open(film) as second:
        stream = out.add_stream_from_template(first.streams.video[0], opaque=True)
        for source, offset in ((first, 0), (second, 90_000)):
            for packet in source.demux(source.streams.video[0]):
                if packet.size:
                    packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
                    packet.stream = stream
                    out.mux(packet)
    with av.open(whole) as container:
        assert not next(container.decode(video=0)).interlaced_frame
    assert probe(whole).video.fields == FieldInfo(True, True)


def test_a_header_is_believed_where_pictures_cannot_speak(tmp_path: Path) -> None:
    for order, bottom in (("tt", False), ("bb", True)):
        clip = interlaced(tmp_path / f"{order}.mkv", codec="ffv1", options={"field_order": order})
        assert probe(clip).video.fields == FieldInfo(True, False, bottom)


@pytest.mark.parametrize("size", [(96, 64), (95, 63), (97, 65)])
@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p10le", "yuv444p"])
def test_each_frame_is_made_whole_at_its_own_time(tmp_path: Path, pix_fmt: str, size: tuple[int, int]) -> None:
    source = interlaced(tmp_path / "in.mkv", codec="ffv1", options={"field_order": "tt"}, pix_fmt=pix_fmt, size=size)
    output, frames = upsampled(source)
    pictures, times = read_planes(output), read_times(output)
    assert (frames, len(pictures)) == (10, 20)
    assert times == [Fraction(j, 50) for j in range(20)]
    before = read_planes(source)
    for number in range(1, 9):
        assert combed(pictures[2 * number][0]) < combed(before[number][0]) / 4
        assert abs(place(pictures[2 * number][0]) - (8 + 2 * FIELD_STEP * number + 7.5)) < 1


def test_by_field_both_moments_are_kept(tmp_path: Path) -> None:
    source = interlaced(tmp_path / "in.mp4")
    output, frames = upsampled(source, deinterlace="fields")
    pictures, times = read_planes(output), read_times(output)
    assert (frames, len(pictures)) == (20, 40)
    assert times == [Fraction(j, 100) for j in range(40)]
    for field in range(2, 18):
        assert abs(place(pictures[2 * field][0]) - (8 + FIELD_STEP * field + 7.5)) < 1


def test_by_field_a_clip_begins_where_it_should(tmp_path: Path) -> None:
    source = interlaced(tmp_path / "in.mp4", options={**BFF, "g": "4"})
    info = probe(source)
    whole = list(_read(source, "fields"))
    part = list(_read(source, "fields", start=Fraction(9, 50), stop=Fraction(15, 50)))
    assert [frame.time - info.video.start for frame in part] == [Fraction(n, 50) for n in range(9, 15)]
    for a, b in zip(whole[9:15], part, strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a.planes, b.planes, strict=True))
    plan = make_plan(Request(source, start=Moment(frame=3), end=Moment(frame=5), deinterlace="fields"), info)
    assert plan.frames_in == 4


def _read(path: Path, how: str, **span: Fraction) -> list[Frame]:
    with VideoReader(probe(path), pix_fmt="yuv420p", deinterlace=how, **span) as reader:  # type: ignore[arg-type]
        return list(reader)


def test_progressive_pictures_pass_untouched(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", frames=6, codec="ffv1").path
    plain = read_planes(clip)
    for how in ("off", "flagged"):
        got = _read(clip, how)
        assert all(
            np.array_equal(a, b) for x, y in zip(plain, got, strict=True) for a, b in zip(x, y.planes, strict=True)
        )


def test_variable_rates_keep_their_times(tmp_path: Path) -> None:
    times = [Fraction(n, 1000) for n in (0, 40, 75, 120, 160, 230)]
    clip = make_clip(tmp_path / "a.mkv", times=times, codec="ffv1").path
    assert [frame.time for frame in _read(clip, "frames")] == times
    halves = [frame.time for frame in _read(clip, "fields")]
    assert halves[::2] == times
    assert halves[1::2] == [Fraction(n, 2000) for n in (40, 115, 195, 280, 390, 530)]
    doubled = by_field(probe(clip).video)
    assert [int(tick) * doubled.time_base for tick in doubled.packet_times] == halves
    assert (doubled.packet_times[:3] == [0, 40, 80]).all()


def test_files_without_timestamps_too(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.avi", frames=7, rate=Fraction(25), codec="mpeg4").path
    assert [frame.time for frame in _read(clip, "fields")] == [Fraction(n, 50) for n in range(14)]


@pytest.mark.parametrize(
    ("choice", "fields", "how"),
    [
        ("auto", FieldInfo(), "off"),
        ("auto", FieldInfo(True, True), "flagged"),
        ("auto", FieldInfo(True, False), "frames"),
        ("frames", FieldInfo(), "frames"),
        ("fields", FieldInfo(True, True), "fields"),
        ("off", FieldInfo(True, True), "off"),
    ],
)
def test_choices(tmp_path: Path, choice: str, fields: FieldInfo, how: str) -> None:
    from dataclasses import replace

    info = probe(make_clip(tmp_path / "a.mp4", frames=2).path)
    info = replace(info, video=replace(info.video, fields=fields))
    assert deinterlace_for(choice, info, binding=True) == how  # type: ignore[arg-type]
    tiny = replace(info, video=replace(info.video, width=4, height=4))
    assert deinterlace_for(choice, tiny, binding=True) == "off"  # type: ignore[arg-type]


def test_refusing_is_a_word(tmp_path: Path) -> None:
    source = interlaced(tmp_path / "in.mp4")
    with pytest.raises(InputError, match="is interlaced") as caught:
        make_plan(Request(source, deinterlace="refuse"), probe(source))
    assert "--deinterlace" in str(caught.value.hint)
    result = CliRunner().invoke(app, ["upsample", str(source), "--deinterlace", "refuse"])
    assert result.exit_code == 3
    assert not (tmp_path / "in_2x.mp4").exists()
    notes = make_plan(Request(source), probe(source)).notes
    assert any("bwdif" in note for note in notes)
    notes = make_plan(Request(source, deinterlace="off"), probe(source)).notes
    assert any("will comb" in note for note in notes)
