"""A work folder by itself: what is joined, which network's work is taken over, what room it holds already."""

import json
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from svmv_cli.errors import OutputError
from svmv_cli.media.bare import PIPE
from svmv_cli.media.inputs import open_reader
from svmv_cli.media.segment import SegmentInfo
from svmv_cli.pipeline import room
from svmv_cli.pipeline import run as running
from svmv_cli.pipeline.report import Tally
from svmv_cli.pipeline.windows import Resume
from svmv_cli.pipeline.workfolder import WorkFolder, folder_of, identity_of
from tests.fakes import Blend
from tests.media import make_clip
from tests.reading import read_numbers
from tests.unit.test_resume import plan_of, run, stop

GOING_ON = Resume(since=Fraction(0), left=Fraction(1))


@pytest.fixture
def work(tmp_path: Path) -> Iterator[WorkFolder]:
    source = tmp_path / "in.mkv"
    source.write_bytes(b"film")
    made = WorkFolder(tmp_path / "out.mkv", identity_of(source, settings={}, network="none"), resume=True)
    yield made
    made.release()


def add(work: WorkFolder, header: str, *, resume: Resume | None = GOING_ON) -> None:
    work.part.write_bytes(header.encode())
    work.add(SegmentInfo(np.arange(3), 3, header), tally=Tally(), resume=resume)


def test_a_segment_of_another_header_is_refused_and_not_marked(work: WorkFolder) -> None:
    add(work, "one")
    add(work, "one")
    with pytest.raises(OutputError, match="cannot be joined: it changes its header"):
        add(work, "other")
    assert [mark.info.header for mark in work.marks] == ["one", "one"]
    assert [path.name for path in sorted(work.path.glob("0*.json"))] == ["00000.json", "00001.json"]
    add(work, "one", resume=None)
    assert work.complete


@pytest.mark.parametrize(("what", "value"), [("device", "cuda"), ("precision", "bf16"), ("weights", "others")])
def test_work_of_another_device_or_precision_is_not_taken_over(tmp_path: Path, what: str, value: str) -> None:
    film = make_clip(tmp_path / "in.mkv", frames=9, codec="ffv1").path
    stop(film, 5)
    other = Blend()
    setattr(other, what, value)
    with pytest.raises(OutputError, match="another network, device or precision"):
        run(film, blend=other)
    assert run(film).segments_resumed == 1


@pytest.mark.parametrize(("held", "enough"), [(0, False), (300, False), (700, True), (2000, True)])
def test_room_that_finished_segments_take_is_not_needed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int, enough: bool
) -> None:
    output = tmp_path / "out.mkv"
    folder_of(output).mkdir()
    (folder_of(output) / "inner").mkdir()  # of the user's
    for number in range(2):
        (folder_of(output) / f"{number:05}.mkv").write_bytes(bytes(held // 2))
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=200))
    room.check_room(PIPE, 1000)
    room.check_room(output, None)
    if enough:
        room.check_room(output, 1000)
    else:
        with pytest.raises(OutputError, match="no room in"):
            room.check_room(output, 1000)


# -- where a run that goes on begins to read --


@pytest.fixture
def began(monkeypatch: pytest.MonkeyPatch) -> list[Fraction | None]:
    """From where on sources are read, run by run."""
    starts: list[Fraction | None] = []
    open_any: Callable[..., object] = open_reader

    def watched(*given: object, start: Fraction | None, **rest: object) -> object:
        starts.append(start)
        return open_any(*given, start=start, **rest)

    monkeypatch.setattr(running, "open_reader", watched)
    return starts


def since_of(output: Path) -> Fraction:
    """The first frame that the next run must see, by the last mark, s."""
    mark = max(folder_of(output).glob("0*.json"))
    return Fraction(json.loads(mark.read_text())["resume"]["since"])


def test_a_constant_rate_is_taken_up_a_frame_early(tmp_path: Path, began: list[Fraction | None]) -> None:
    """Whole milliseconds put every third picture of 24/s in front of its place."""
    film, output = make_clip(tmp_path / "in.mkv", frames=12, codec="ffv1").path, tmp_path / "out.mkv"
    options: dict[str, Any] = {"segment": Fraction(1, 12), "codec": "ffv1", "output": output}
    stop(film, 7, **options)
    since = since_of(output)
    assert since * 24 % 3 == 2, "the case is no longer met"
    report = run(film, **options)
    assert report.segments_resumed > 0
    assert read_numbers(report.output)[::2] == list(range(12))
    assert began == [None, since - Fraction(1, 24)]


def test_a_variable_rate_is_taken_up_where_it_was_left(tmp_path: Path, began: list[Fraction | None]) -> None:
    times = [Fraction(t, 1000) for t in (0, 40, 55, 120, 160, 300, 340, 400, 410, 470)]
    film, output = make_clip(tmp_path / "in.mkv", times=times, codec="ffv1").path, tmp_path / "out.mkv"
    options: dict[str, Any] = {"segment": Fraction(1, 10), "factor": 2, "codec": "ffv1", "output": output}
    assert plan_of(film, **options).source_rate is None
    stop(film, 6, **options)
    since = since_of(output)
    assert run(film, **options).segments_resumed > 0
    assert read_numbers(output)[::2] == list(range(10))
    assert since in times[1:]
    assert began == [None, since]
