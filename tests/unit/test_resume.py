"""Jobs in segments, in this process: the same film however often it was stopped, and no foreign work in it."""

import errno
import json
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from svmv_cli.errors import DeviceError, OutputError
from svmv_cli.media.probe import probe
from svmv_cli.pipeline import run as running
from svmv_cli.pipeline.plan import Plan, make_plan
from svmv_cli.pipeline.report import Report, Silent
from svmv_cli.pipeline.request import Moment, Request
from svmv_cli.pipeline.workfolder import folder_of
from tests.fakes import Blend
from tests.media import make_clip, spoil
from tests.reading import read_numbers, read_planes, read_times
from tests.unit.test_picture_fields import BFF, interlaced

TINY = Fraction(1, 8)  # s per segment: 3 frames of 24 per second


class Notes(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []
        self.frames = self.skipped = 0

    def note(self, text: str) -> None:
        self.notes.append(text)

    def advance(self, frames: int) -> None:
        self.frames += frames

    def skip(self, frames: int) -> None:
        self.skipped += frames


def plan_of(path: Path, **options: object) -> Plan:
    return make_plan(Request(path, **options), probe(path))  # type: ignore[arg-type]


def run(path: Path, *, blend: Blend | None = None, watch: Silent | None = None, **options: object) -> Report:
    plan = plan_of(path, **{"segment": TINY, **options})
    return running.run(plan, info=probe(path), interpolator=blend or Blend(), progress=watch or Silent())


def stop(path: Path, calls: int, **options: object) -> None:
    """Run until the network has been called so often, and fail there."""
    with pytest.raises(MemoryError) as failure:
        run(path, blend=Blend(fail_after=calls), **options)
    assert "the same command goes on there" in "".join(getattr(failure.value, "__notes__", []))


def work_of(path: Path, name: str = "in_2x.mkv") -> Path:
    return folder_of(path.with_name(name))


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "in.mkv", frames=24, codec="ffv1", audio=1).path


def same(a: Report, b: Report) -> bool:
    names = ("frames_in", "frames_out", "frames_made", "frames_held", "duplicates", "late", "damaged", "lost", "cuts")
    return all(getattr(a, name) == getattr(b, name) for name in (*names, "duration", "segments", "status"))


@pytest.mark.parametrize("mode", [{"factor": 3}, {"fps": Fraction(10)}, {"fps": Fraction(60)}, {"slow": 2}])
def test_segments_change_nothing(film: Path, mode: dict[str, object]) -> None:
    whole = run(film, segment=Fraction(0), codec="ffv1", output=film.with_name("whole.mkv"), **mode)
    cut = run(film, codec="ffv1", output=film.with_name("cut.mkv"), **mode)
    assert (whole.segments, cut.segments, cut.segments_resumed) == (1, 8, 0)
    assert cut.frames_out == whole.frames_out
    assert read_times(cut.output) == read_times(whole.output)
    for a, b in zip(read_planes(whole.output), read_planes(cut.output), strict=True):
        assert all((x == y).all() for x, y in zip(a, b, strict=True))
    assert not folder_of(cut.output).exists()


@pytest.mark.parametrize("stops", [(4,), (7, 2), (4, 4, 4, 4)])
def test_a_stopped_job_goes_on_and_ends_the_same(tmp_path: Path, stops: tuple[int, ...]) -> None:
    film = make_clip(tmp_path / "in.mp4", frames=24, audio=1).path
    unbroken = run(film, output=tmp_path / "unbroken.mp4", preset="veryfast")
    asked = []
    for calls in stops:
        blend = Blend(fail_after=calls)
        with pytest.raises(MemoryError):
            run(film, blend=blend, preset="veryfast")
        asked.append([window.left.time for call in blend.calls for window, _ in call])
    watch, blend = Notes(), Blend()
    report = run(film, blend=blend, watch=watch, preset="veryfast")
    asked.append([window.left.time for call in blend.calls for window, _ in call])
    assert report.output.read_bytes() == unbroken.output.read_bytes()
    assert same(report, unbroken)
    assert report.segments_resumed > 0
    assert watch.notes[0].startswith(f"going on at segment {report.segments_resumed + 1} of 8")
    assert watch.frames + watch.skipped == 48
    # What is asked again belongs to the segment in which the run was stopped.
    for before, after in pairwise(asked):
        assert len(set(before) & set(after)) <= 3 + 1
    assert not work_of(film, "in_2x.mp4").exists()


def test_a_job_that_was_stopped_before_its_first_segment_leaves_nothing(film: Path) -> None:
    with pytest.raises(MemoryError):
        run(film, blend=Blend(fail_after=1))
    assert list(film.parent.iterdir()) == [film]


def test_an_error_of_the_network_is_told_with_what_is_kept(film: Path) -> None:
    from svmv_cli.pipeline.failures import explained
    from svmv_cli.terminal import remarks

    with pytest.raises(DeviceError) as failure, explained(debug=False):
        run(film, blend=Blend(fail_after=5))
    assert remarks(failure.value)[-1] == "1 of 8 segments are finished and kept: the same command goes on there"


@pytest.mark.parametrize(
    ("change", "words"), [({"factor": 3}, "options"), ({"crf": 30}, "options"), ({"batch": 2}, "options")]
)
def test_work_of_other_options_is_neither_used_nor_lost(film: Path, change: dict[str, object], words: str) -> None:
    output = film.with_name("out.mp4")
    stop(film, 8, output=output)
    kept = sorted(folder_of(output).iterdir())
    with pytest.raises(OutputError, match=f"another kind: other {words}"):
        run(film, output=output, **change)
    assert sorted(folder_of(output).iterdir()) == kept
    report = run(film, output=output, resume=False, **change)
    assert report.segments_resumed == 0
    assert list(film.parent.glob(".*")) == []


def test_a_job_in_one_piece_does_not_pass_over_finished_segments(film: Path) -> None:
    stop(film, 8)
    with pytest.raises(OutputError, match="other options"):
        run(film, segment=Fraction(0))
    assert run(film, segment=Fraction(0), resume=False).segments == 1
    assert not work_of(film).exists()


def test_work_on_another_input_or_with_another_network_is_not_used(film: Path) -> None:
    stop(film, 8)
    other = Blend()
    other.weights = "others"
    with pytest.raises(OutputError, match="another network"):
        run(film, blend=other)
    make_clip(film, frames=24, codec="ffv1", audio=1, seed=5)
    with pytest.raises(OutputError, match="the input has changed"):
        run(film)


def test_a_spoilt_segment_is_made_again(film: Path) -> None:
    unbroken = run(film, output=film.with_name("unbroken.mkv"), codec="ffv1")
    stop(film, 16, codec="ffv1")
    second = work_of(film) / "00001.mkv"
    spoil(second, film.with_name("x"), start=0.5, length=20)
    film.with_name("x").replace(second)
    report = run(film, codec="ffv1")
    assert report.segments_resumed == 1
    assert read_numbers(report.output) == read_numbers(unbroken.output)


def test_a_torn_mark_is_no_mark(film: Path) -> None:
    stop(film, 16)
    mark = work_of(film) / "00002.json"
    mark.write_bytes(mark.read_bytes()[:40])
    assert run(film).segments_resumed == 2


@pytest.mark.parametrize("content", [{"notes.txt": "mine"}, {"plan.json": "{}"}, {"plan.json": "[1, 2"}])
def test_a_foreign_folder_is_never_touched(film: Path, content: dict[str, str]) -> None:
    folder = work_of(film)
    folder.mkdir()
    for name, text in content.items():
        (folder / name).write_text(text)
    for resume in (True, False):
        with pytest.raises(OutputError, match="no work folder of this program"):
            run(film, resume=resume)
    assert {path.name: path.read_text() for path in folder.iterdir()} == content


def test_what_a_run_killed_at_once_leaves_is_no_hindrance(film: Path) -> None:
    work_of(film).mkdir()
    for name in ("lock", "plan.json.part"):
        (work_of(film) / name).write_text("{")
    assert run(film).segments_resumed == 0
    assert not work_of(film).exists()


def test_what_a_user_puts_into_a_work_folder_stays(film: Path) -> None:
    stop(film, 8)
    (work_of(film) / "notes.txt").write_text("mine")
    assert run(film).segments_resumed == 2
    assert [path.name for path in work_of(film).iterdir()] == ["notes.txt"]


def test_a_link_is_not_followed(film: Path) -> None:
    elsewhere = film.parent / "elsewhere"
    elsewhere.mkdir()
    work_of(film).symlink_to(elsewhere)
    with pytest.raises(OutputError, match="no work folder"):
        run(film)
    assert list(elsewhere.iterdir()) == []


def test_a_folder_in_use_is_left_to_its_user(film: Path) -> None:
    fcntl = pytest.importorskip("fcntl")
    stop(film, 8)
    with (work_of(film) / "lock").open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(OutputError, match="another run is at work"):
            run(film)
    assert run(film).segments_resumed == 2


def test_work_can_be_kept_and_used_again(film: Path) -> None:
    first = run(film, keep_work=True)
    content = first.output.read_bytes()
    first.output.unlink()
    blend, watch = Blend(), Notes()
    again = run(film, blend=blend, watch=watch, output=first.output)
    assert watch.notes == ["all segments are finished; they are joined"]
    assert (watch.skipped, watch.frames) == (48, 0)
    assert (again.segments_resumed, blend.calls) == (8, [])
    assert len(again.output.read_bytes()) == len(content)
    assert same(first, again)


def test_a_full_disk_leaves_what_is_finished(film: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from svmv_cli.media.track import PictureTrack

    write, written = PictureTrack.write, []

    def fill(self: PictureTrack, frame: object) -> list[int]:
        written.append(frame)
        if len(written) > 20:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(self, frame)  # type: ignore[arg-type]

    monkeypatch.setattr(PictureTrack, "write", fill)
    with pytest.raises(OutputError, match="the disk is full") as failure:
        run(film)
    assert "3 of 8 segments are finished and kept" in failure.value.__notes__[0]
    assert sorted(path.name for path in work_of(film).glob("*.mkv*")) == ["00000.mkv", "00001.mkv", "00002.mkv"]
    monkeypatch.undo()
    assert run(film).segments_resumed == 3


def test_a_clip_and_a_variable_rate_go_on_too(tmp_path: Path) -> None:
    times = [Fraction(t, 1000) for t in (0, 40, 55, 120, 160, 300, 340, 400, 410, 470, 500, 580)]
    film = make_clip(tmp_path / "in.mkv", times=times, codec="ffv1").path
    clip = {"start": Moment(frame=2), "factor": 2, "codec": "ffv1", "segment": Fraction(1, 10)}
    stop(film, 5, **clip)
    report = run(film, **clip)
    assert report.segments_resumed > 0
    assert read_numbers(report.output)[::2] == list(range(2, 12))
    assert read_times(report.output)[::2] == [time - times[2] for time in times[2:]]


@pytest.mark.parametrize("how", ["frames", "fields"])
def test_interlaced_film_goes_on_with_the_same_pictures(tmp_path: Path, how: str) -> None:
    film = interlaced(tmp_path / "in.mp4", frames=24, size=(192, 64), options={**BFF, "g": "5"})
    options = {"deinterlace": how, "codec": "ffv1", "output": tmp_path / "out.mkv"}
    unbroken = run(film, **{**options, "output": tmp_path / "unbroken.mkv"})
    for calls in (8, 13):
        stop(film, calls, **options)
        report = run(film, **options)
        assert same(report, unbroken)
        assert report.segments == 8
        for a, b in zip(read_planes(unbroken.output), read_planes(report.output), strict=True):
            assert (a[0] == b[0]).all()
        report.output.unlink()


def test_damage_is_counted_once_wherever_a_run_was_stopped(tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "in.ts", frames=72, bframes=False, options={"g": "12"}).path
    film = spoil(whole, tmp_path / "bad.ts", start=0.4, length=900)
    half = {"segment": Fraction(1, 2), "output": tmp_path / "out.mkv", "preset": "ultrafast"}
    unbroken = run(film, **{**half, "output": tmp_path / "unbroken.mkv"})
    assert unbroken.damaged > 0
    for calls in (14, 25, 36, 47):
        stop(film, calls, **half)
        report = run(film, **half)
        assert report.segments_resumed > 0
        assert same(report, unbroken)
        for a, b in zip(read_planes(unbroken.output), read_planes(report.output), strict=True):
            assert (a[0] == b[0]).all()
        report.output.unlink()


def test_the_plan_tells_segments_and_room(film: Path) -> None:
    one, many = plan_of(film), plan_of(film, segment=TINY)
    assert (one.segments, many.segments) == (1, 8)
    assert one.estimated_bytes < many.estimated_bytes < 2 * one.estimated_bytes


def test_what_cannot_be_joined_is_made_in_one_go_and_says_so(film: Path) -> None:
    plan = plan_of(film, segment=TINY, output=film.with_name("out.gif"))
    assert plan.segments == 1
    assert any(note.startswith("--segment has no effect") for note in plan.notes)


def test_marks_are_plain_data(film: Path) -> None:
    stop(film, 8)
    mark = json.loads((work_of(film) / "00001.json").read_text())
    assert mark["tally"]["frames"] == 3
    assert len(mark["info"]["stamps"]) == 6
