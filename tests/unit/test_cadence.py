"""Film in a faster rate gets its own even times back; the measured motion of a pan tells."""

from dataclasses import replace
from fractions import Fraction
from itertools import accumulate, cycle, islice, pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from svmv_cli.app import app
from svmv_cli.errors import UsageError
from svmv_cli.media.probe import probe
from svmv_cli.pipeline.cadence import evenly
from svmv_cli.pipeline.plan import make_plan
from svmv_cli.pipeline.report import Silent
from svmv_cli.pipeline.request import Request, parse_shots
from svmv_cli.pipeline.run import run
from svmv_cli.pipeline.shots import Seen
from tests.fakes import Blend, gray_frames
from tests.pictures import pan, write_clip
from tests.reading import read_planes

STEP = Fraction(1, 60)
CADENCES = {
    "24 in 60": (2, 3),
    "24 in 30": (1, 1, 1, 2),
    "25 in 60": (2, 2, 3, 2, 3),
    "20 in 30": (1, 2),
}


def seen(gaps: list[int], *, cuts: tuple[int, ...] = (), stills: tuple[int, ...] = ()) -> list[Seen]:
    """Pictures that stay for so many frames each; repeats between them."""
    frames = gray_frames([np.zeros((2, 2), np.uint8)] * sum(gaps), rate=1 / STEP)
    starts = [0, *accumulate(gaps)][:-1]
    roles = [Seen(frame, role="repeat", since=frame.time) for frame in frames]
    for number, start in enumerate(starts):
        role = "still" if number in stills else "picture"
        roles[start] = replace(roles[start], role=role, cut=number in cuts)
    return roles


def moved(frames: list[Seen], *, first: Fraction = Fraction(0)) -> list[Fraction]:
    """New times of the pictures, frames."""
    return [one.frame.time / STEP for one in evenly(frames, first=first, step=STEP) if one.role != "repeat"]


@pytest.mark.parametrize("name", CADENCES)
def test_a_cadence_becomes_even(name: str) -> None:
    gaps = list(islice(cycle(CADENCES[name]), 40))
    period = Fraction(sum(CADENCES[name]), len(CADENCES[name]))
    times = moved(seen(gaps))
    assert {b - a for a, b in pairwise(times[1:-1])} == {period}
    shown = [0, *accumulate(gaps)][:-1]
    assert all(0 <= new - old < 1 for new, old in zip(times, shown, strict=True))
    assert times[0] == 0 and times[-1] == shown[-1]


@pytest.mark.parametrize("gaps", [[1] * 30, [2] * 30, [3] * 12, [1, 3] * 10, [2, 2, 3, 3, 1, 2, 4, 2, 1, 1, 3, 5]])
def test_what_is_even_or_meant_stays(gaps: list[int]) -> None:
    assert moved(seen(gaps)) == [0, *accumulate(gaps)][:-1]


def test_a_cut_begins_a_cadence_of_its_own() -> None:
    gaps = [2, 3] * 8 + [3, 2] * 8
    times = moved(seen(gaps, cuts=(16,)))
    assert {b - a for a, b in pairwise(times[1:16])} == {b - a for a, b in pairwise(times[16:-1])} == {Fraction(5, 2)}
    still = moved(seen(gaps, stills=(15, 16)))
    assert still[15:17] == [37, 40]


def test_a_broken_cadence_is_taken_up_again() -> None:
    times = moved(seen([2, 3] * 8 + [3] + [2, 3] * 8))
    assert {b - a for a, b in pairwise(times[2:15])} == {Fraction(5, 2)}
    assert {b - a for a, b in pairwise(times[18:-1])} == {Fraction(5, 2)}
    assert all(a < b for a, b in pairwise(times))


@given(
    st.lists(st.integers(1, 4), min_size=2, max_size=60), st.integers(0, 59), st.sets(st.integers(1, 59), max_size=3)
)
@settings(deadline=None)
def test_wherever_a_film_is_taken_up_the_rest_is_the_same(gaps: list[int], at: int, cuts: set[int]) -> None:
    frames = seen(gaps + [2, 3] * 6, cuts=tuple(cuts))
    whole = list(evenly(frames, first=Fraction(0), step=STEP))
    assert [one.frame.time for one in whole] == sorted({one.frame.time for one in whole})
    left = [one for one in whole if one.role != "repeat"][min(at, len(gaps) - 1)]
    assert left.since is not None
    again = evenly([one for one in frames if one.frame.time >= left.since], first=Fraction(0), step=STEP)
    rest = [one.frame.time for one in again if one.frame.time >= left.frame.time]
    assert rest == [one.frame.time for one in whole if one.frame.time >= left.frame.time]


def places(path: Path) -> list[float]:
    """Where the bar is in each picture, px."""
    found = []
    for planes in read_planes(path):
        light = planes[0].astype(float).mean(axis=0) - 40
        found.append(float((light * np.arange(light.size)).sum() / light.sum()))
    return found


@pytest.mark.parametrize(("dedup", "even"), [("auto", False), ("even", True)])
def test_the_motion_of_film_in_sixty_is_even(tmp_path: Path, dedup: str, even: bool) -> None:
    source = write_clip(tmp_path / "in.mkv", pan(22, (2, 3)), pix_fmt="yuv420p", rate=Fraction(60))
    info = probe(source)
    shots = parse_shots(cuts="auto", threshold=None, dedup=dedup)
    plan = make_plan(Request(source, fps=Fraction(120), shots=shots, codec="ffv1"), info)
    report = run(plan, info=info, interpolator=Blend(), progress=Silent())
    assert report.frames_out == 110
    steps = np.diff(places(report.output))[8:90]  # 5 px every 2.5 frames of 60: 1 px in each of 120
    assert bool(np.ptp(steps) < 0.06) is even
    assert abs(steps.mean() - 1) < 0.02


def test_through_the_command_and_the_network(tmp_path: Path) -> None:
    source = write_clip(tmp_path / "in.mkv", pan(8, (2, 3)), pix_fmt="yuv420p", rate=Fraction(60))
    made = tmp_path / "out.mkv"
    options = ["--factor", "2", "--codec", "ffv1", "--dedup", "even", "--device", "cpu", "-q"]
    result = CliRunner().invoke(app, ["upsample", str(source), str(made), *options])
    assert result.exit_code == 0, result.output
    steps = np.diff(places(made))[6:30]
    assert abs(steps.mean() - 1) < 0.05
    assert float(np.std(steps)) < 0.15


def test_even_is_a_word_for_dedup() -> None:
    settings = parse_shots(cuts="auto", threshold=None, dedup="even")
    assert settings.even and settings.longest_run == 5
    assert not parse_shots(cuts="auto", threshold=None, dedup="auto").even
    with pytest.raises(UsageError, match="even"):
        parse_shots(cuts="auto", threshold=None, dedup="odd")


def test_a_variable_rate_has_no_cadence(tmp_path: Path) -> None:
    from tests.media import make_clip

    times = [Fraction(n, 1000) for n in (0, 40, 55, 120, 160, 300)]
    clip = make_clip(tmp_path / "in.mkv", times=times, codec="ffv1").path
    shots = parse_shots(cuts="auto", threshold=None, dedup="even")
    plan = make_plan(Request(clip, shots=shots), probe(clip))
    assert any("--dedup even" in note for note in plan.notes)
