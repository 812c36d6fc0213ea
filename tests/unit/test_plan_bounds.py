"""What a plan refuses as no film that anybody means, and when it leaves the source's container."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from svmv_cli.errors import InputError
from svmv_cli.media.decision import StreamDecision
from svmv_cli.media.info import MediaInfo
from svmv_cli.media.outputs import choose_output
from svmv_cli.media.probe import probe
from svmv_cli.media.target import Target
from svmv_cli.pipeline import plan as planning
from svmv_cli.pipeline.plan import Plan, make_plan
from svmv_cli.pipeline.request import Request
from tests.media import make_clip


def plan(path: Path, **options: object) -> Plan:
    return make_plan(Request(path, **options), probe(path))  # type: ignore[arg-type]


def leaping(path: Path, to: int) -> Path:
    """Twelve pictures, and one at so many seconds."""
    times = [Fraction(n, 24) for n in range(12)]
    return make_clip(path, times=[*times, Fraction(to)], last_duration=Fraction(1, 24), bframes=False).path


def test_a_leap_of_hours_is_not_filled_with_pictures(tmp_path: Path) -> None:
    film = leaping(tmp_path / "in.mkv", 20_000)
    with pytest.raises(InputError, match="timestamps leap: 13 pictures would be spread over 20000 s"):
        plan(film, fps=Fraction(60))
    assert plan(film, factor=2).frames_out == 26  # each gap is divided, however long


def test_a_long_pause_is(tmp_path: Path) -> None:
    made = plan(leaping(tmp_path / "in.mkv", 1500), fps=Fraction(60))
    assert made.frames_out == pytest.approx(1500 * 60, abs=5)


@pytest.mark.parametrize(
    ("own", "wider", "suffix"), [(0, 0, ".mp4"), (1, 1, ".mp4"), (1, 2, ".mp4"), (2, 1, ".mkv"), (1, 0, ".mkv")]
)
def test_another_container_is_taken_only_where_it_holds_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own: int, wider: int, suffix: str
) -> None:
    dropped = {".mp4": own, ".mkv": wider}

    def choose(info: MediaInfo, *, path: Path, **rest: Any) -> Target:
        streams = (StreamDecision(1, "data", "bin_data", "drop"),) * dropped[path.suffix]
        return replace(choose_output(info, path=path, **rest), streams=streams)

    monkeypatch.setattr(planning, "choose_output", choose)
    made = plan(make_clip(tmp_path / "in.mp4", frames=3).path)
    assert made.target.path.suffix == suffix
    assert any("cannot hold all of it" in note for note in made.notes) == (suffix == ".mkv")
