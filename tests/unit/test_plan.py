import json
import os
import shutil
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svmv_cli.errors import DamagedError, InputError, OutputError, UsageError
from svmv_cli.media.probe import probe
from svmv_cli.pipeline.arguments import sort_out, videos_in
from svmv_cli.pipeline.plan import Plan, check_request, make_plan
from svmv_cli.pipeline.records import from_json, to_json
from svmv_cli.pipeline.request import Moment, Request, parse_fps, parse_moment, parse_shots
from svmv_cli.timeline import Grid, Phases
from tests.media import cut, make_clip


def plan(path: Path, **options: object) -> Plan:
    return make_plan(Request(path, **options), probe(path))  # type: ignore[arg-type]


# -- words of the command line


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("75.4", "75.4"), ("1:15.4", "75.4"), ("0:01:15.400", "75.4"), ("90", "90"), ("90:00", "5400"), (".5", "1/2")],
)
def test_moments_are_read(text: str, seconds: str) -> None:
    assert parse_moment(text) == Moment(seconds=Fraction(seconds))


def test_frames_are_moments() -> None:
    assert parse_moment("120f") == Moment(frame=120)


@pytest.mark.parametrize("text", ["", "-1", "abc", "1:2:3:4", "0:61:00", "0:00:75", "12x", "f"])
def test_what_is_no_moment_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not a time"):
        parse_moment(text)


@given(st.integers(0, 10**5), st.integers(0, 999))
def test_clock_times_and_seconds_agree(whole: int, millis: int) -> None:
    clock = f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}.{millis:03}"
    assert parse_moment(clock) == parse_moment(f"{whole}.{millis:03}")


def test_rates_are_read_exactly() -> None:
    assert parse_fps("60000/1001") == Fraction(60000, 1001)
    assert parse_fps("59.94") == Fraction(60000, 1001)
    assert parse_fps("23.976") == parse_fps("23.98") == Fraction(24000, 1001)
    assert parse_fps("12.5") == Fraction(25, 2) and parse_fps("59.9") == Fraction(599, 10)
    for text in ("0", "-5", "x", "1/0", "5000", "nan"):
        with pytest.raises(UsageError, match="not a frame rate"):
            parse_fps(text)


def test_shot_options_are_checked() -> None:
    assert parse_shots(cuts="off", threshold=None, dedup="off").cut_threshold is None
    assert parse_shots(cuts="auto", threshold=0.3, dedup="7").longest_run == 7
    for options in ({"threshold": 2.0}, {"cuts": "off", "threshold": 0.2}, {"dedup": "99"}, {"dedup": "x"}):
        with pytest.raises(UsageError):
            parse_shots(**{"cuts": "auto", "threshold": None, "dedup": "auto", **options})  # type: ignore[arg-type]


def test_modes_exclude_each_other() -> None:
    with pytest.raises(UsageError, match="exclude"):
        Request(Path("a.mp4"), factor=2, slow=3)
    with pytest.raises(UsageError, match="exclude"):
        Request(Path("a.mp4"), factor=2, fps=Fraction(60))
    with pytest.raises(UsageError, match="2 or more"):
        Request(Path("a.mp4"), factor=1)


# -- which path is what


def test_the_second_of_two_is_the_output(tmp_path: Path) -> None:
    a, b = tmp_path / "a.mp4", tmp_path / "b.mp4"
    a.touch()
    assert sort_out([a, b], output=None, output_dir=None).output == b
    b.touch()
    assert sort_out([a, b], output=None, output_dir=tmp_path / "out").sources == (a, b)
    with pytest.raises(UsageError, match="output or second input") as caught:
        sort_out([a, b], output=None, output_dir=None)
    assert "--output-dir" in str(caught.value.hint)
    with pytest.raises(UsageError, match="neither an input"):
        sort_out([a, tmp_path / "folder"], output=None, output_dir=None)


def test_several_inputs_take_no_single_output(tmp_path: Path) -> None:
    paths = [tmp_path / name for name in ("a.mp4", "b.mp4", "c.mp4")]
    assert sort_out(paths, output=None, output_dir=None).sources == tuple(paths)
    with pytest.raises(UsageError, match="several inputs"):
        sort_out(paths, output=tmp_path / "x.mp4", output_dir=None)
    with pytest.raises(UsageError, match="twice"):
        sort_out([paths[0]] * 3, output=None, output_dir=None)


def test_a_folder_gives_its_videos_in_natural_order(tmp_path: Path) -> None:
    for name in ("b10.mp4", "b9.mkv", "A1.mov", "b9_4x.mkv", "b9_slow2x.mkv", "x_2x.mp4", "notes.txt", ".h.mp4"):
        (tmp_path / name).touch()
    (tmp_path / "b9_59.94fps.mkv").touch()
    (tmp_path / "b9_slow2x_60fps.mkv").touch()
    assert [p.name for p in videos_in(tmp_path)] == ["A1.mov", "b9.mkv", "b10.mp4", "x_2x.mp4"]
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(InputError, match="no video in the folder"):
        sort_out([empty], output=None, output_dir=None)


# -- plans


def test_the_default_doubles(clip: Path) -> None:
    made = plan(clip)
    assert (made.frames_in, made.frames_out, made.duration) == (24, 48, 1)
    assert made.target.path == clip.with_name("in_2x.mp4")
    assert made.target.rate == 48
    assert [s.action for s in made.target.streams] == ["copy"]


@pytest.mark.parametrize(
    ("options", "name", "frames", "seconds", "rate"),
    [
        ({"factor": 5}, "in_5x.mp4", 120, 1, 120),
        ({"fps": Fraction(60)}, "in_60fps.mp4", 60, 1, 60),
        ({"fps": Fraction(60000, 1001)}, "in_59.94fps.mp4", 60, 1, Fraction(60000, 1001)),
        ({"slow": 4}, "in_slow4x.mp4", 96, 4, 24),
        ({"slow": 4, "fps": Fraction(60)}, "in_slow4x_60fps.mp4", 240, 4, 60),
        ({"slow": 2, "fps": Fraction(6)}, "in_slow2x_6fps.mp4", 12, 2, 6),
    ],
)
def test_modes(clip: Path, options: dict[str, object], name: str, frames: int, seconds: int, rate: Fraction) -> None:
    made = plan(clip, **options)
    assert made.target.path.name == name
    assert (made.frames_out, made.duration, made.target.rate) == (frames, seconds, rate)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_ntsc_film_is_exact(tmp_path: Path, suffix: str) -> None:
    rate = Fraction(24000, 1001)
    path = make_clip(tmp_path / f"in{suffix}", rate=rate, frames=48).path
    made = plan(path, factor=8)
    assert made.source_rate == rate
    assert isinstance(made.timing, Grid)
    assert (made.frames_out, made.target.rate) == (384, rate * 8)


def test_a_variable_rate_keeps_its_timeline(tmp_path: Path) -> None:
    times = [Fraction(t, 1000) for t in (0, 40, 55, 120, 160, 300)]
    path = make_clip(tmp_path / "in.mkv", times=times).path
    made = plan(path, factor=3)
    assert made.source_rate is None
    assert made.target.rate is None
    assert made.timing == Phases(3)
    assert made.frames_out == 18
    assert plan(path, fps=Fraction(50)).target.rate == 50


@pytest.mark.parametrize(("suffix", "told"), [(".mkv", True), (".webm", True), (".mp4", False)])
def test_places_too_close_for_a_container_are_told(tmp_path: Path, suffix: str, told: bool) -> None:
    times = [Fraction(n, 1000) for n in (0, 40, 41, 80, 150)]
    request = Request(make_clip(tmp_path / "in.mp4", times=times).path, output=tmp_path / f"out{suffix}")
    notes = make_plan(request, probe(request.source)).notes
    assert any("their gaps (1) being shorter" in note for note in notes) == told


def test_a_variable_rate_too_fast_for_a_container_is_refused(tmp_path: Path) -> None:
    times = [Fraction(n, 1000) for n in (0, 6, 11, 15, 22, 80)]
    request = Request(make_clip(tmp_path / "in.mp4", times=times).path, output=tmp_path / "out.mkv", factor=12)
    with pytest.raises(OutputError, match="cannot tell most of the pictures apart"):
        make_plan(request, probe(request.source))
    last = Moment(frame=4)
    assert make_plan(replace(request, start=last), probe(request.source)).notes == ()


def test_a_variable_rate_ends_where_it_should(tmp_path: Path) -> None:
    times = [Fraction(t, 1000) for t in (0, 40, 80, 5000)]
    made = plan(make_clip(tmp_path / "in.mkv", times=times).path, end=Moment(seconds=Fraction(1)))
    assert (made.frames_in, made.duration) == (3, 1)


def test_a_clip_is_half_open(clip: Path) -> None:
    made = plan(clip, start=Moment(seconds=Fraction(1, 4)), end=Moment(frame=18))
    assert made.frames_in == 12
    assert made.first == Fraction(1, 4)
    assert made.target.clock.to_output(made.first) == 0
    assert plan(clip, end=Moment(frame=999)).frames_in == 24
    for wrong in ({"start": Moment(seconds=Fraction(5))}, {"start": Moment(frame=99)}):
        with pytest.raises(UsageError, match=r"no frame|behind the last"):
            plan(clip, **wrong)


def test_a_container_that_cannot_hold_it_becomes_mkv_aloud(tmp_path: Path) -> None:
    path = make_clip(tmp_path / "in.mp4").path
    made = plan(path, codec="ffv1")
    assert made.target.path.name == "in_2x.mkv"
    assert "in_2x" not in made.notes[0]
    assert ".mkv" in made.notes[0]
    with pytest.raises(OutputError, match="cannot hold ffv1"):
        plan(path, codec="ffv1", output=tmp_path / "x.mp4")


def test_plans_survive_json(clip: Path) -> None:
    for made in (plan(clip, fps=Fraction(60000, 1001)), plan(clip, slow=2, start=Moment(frame=3))):
        assert from_json(Plan, json.loads(json.dumps(to_json(made)))) == made


def test_json_that_does_not_fit_is_refused(clip: Path) -> None:
    data = to_json(plan(clip))
    assert isinstance(data, dict)
    for wrong in ({**data, "extra": 1}, {**data, "frames_in": "24"}, {**data, "mode": "fast"}, [], None):
        with pytest.raises(ValueError, match=r"expected|fits none"):
            from_json(Plan, wrong)  # type: ignore[arg-type]


# -- refusals


def test_the_input_is_never_the_output(clip: Path) -> None:
    symlink, hardlink = clip.with_name("s.mp4"), clip.with_name("h.mp4")
    symlink.symlink_to(clip)
    hardlink.hardlink_to(clip)
    for path in (clip, symlink, hardlink, clip.parent / "." / "in.mp4"):
        with pytest.raises(OutputError, match="is the input itself"):
            check_request(Request(clip, output=path, overwrite=True))
        with pytest.raises(OutputError, match="is the input itself"):
            check_request(Request(path, output=clip, overwrite=True))


def test_existing_outputs_and_bad_folders_are_refused(clip: Path, tmp_path: Path) -> None:
    taken = tmp_path / "taken.mp4"
    taken.touch()
    for path, words in ((taken, "exists already"), (tmp_path / "no" / "x.mp4", "no folder"), (tmp_path, "folder")):
        with pytest.raises(OutputError, match=words):
            check_request(Request(clip, output=path))
    check_request(Request(clip, output=taken, overwrite=True))
    check_request(Request(clip, output_dir=tmp_path / "new" / "deep"))
    with pytest.raises(InputError, match="does not exist"):
        check_request(Request(tmp_path / "none.mp4"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_write_permission_is_refused(clip: Path, tmp_path: Path) -> None:
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o555)
    with pytest.raises(OutputError, match="cannot be written"):
        check_request(Request(clip, output=locked / "x.mp4"))


def test_a_full_disk_is_foreseen(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = type(shutil.disk_usage(clip.parent))
    monkeypatch.setattr(shutil, "disk_usage", lambda _path: usage(10**9, 10**9 - 100, 100))
    with pytest.raises(OutputError, match="no room"):
        plan(clip)


def test_a_source_cut_short_is_noticed_before_any_work(tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "in.mkv", frames=120).path
    broken = cut(whole, tmp_path / "cut.mkv", 0.6)
    with pytest.raises(DamagedError, match=r"holds \d+ of 120 frames"):
        plan(broken, strict=True)
    kept = plan(broken)
    assert kept.missing == 120 - kept.frames_in > 20
    assert kept.source_rate == 24
    assert plan(broken, end=Moment(frame=10)).frames_in == 10


def test_sound_longer_than_the_picture_is_no_damage(tmp_path: Path) -> None:
    import av
    import numpy as np

    path = tmp_path / "long.mkv"
    with av.open(path, "w") as out:
        video, sound = out.add_stream("libx264", rate=24), out.add_stream("aac", rate=48000)
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        for _ in range(24):
            out.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((72, 64), np.uint8), format="yuv420p")))
        out.mux(video.encode(None))
        for i in range(150):
            block = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            block.sample_rate, block.pts = 48000, 1024 * i
            out.mux(sound.encode(block))
        out.mux(sound.encode(None))
    assert float(probe(path).duration_claimed or 0) > 3
    assert plan(path).missing == 0
