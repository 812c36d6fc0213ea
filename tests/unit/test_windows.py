from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from svmv_cli.media.frame import Frame
from svmv_cli.pipeline.report import Tally
from svmv_cli.pipeline.shots import Seen
from svmv_cli.pipeline.windows import Gap, gaps, upsample
from svmv_cli.timeline import Clock, Grid, Phases
from tests.fakes import GRAY, Blend

RATE = Fraction(24)


def frame(number: int, time: Fraction | None = None) -> Frame:
    shown = number / RATE if time is None else time
    return Frame(shown, 1 / RATE, GRAY, (np.full((2, 3), number, np.uint8),))


def seen(marks: str) -> list[Seen]:
    roles = {".": "picture", "C": "picture", "r": "repeat", "s": "still"}
    return [Seen(frame(i), mark == "C", roles[mark]) for i, mark in enumerate(marks)]  # type: ignore[arg-type]


def gaps_of(marks: str, factor: int = 2) -> list[Gap]:
    return list(gaps(seen(marks), Grid(Fraction(0), RATE * factor), tail=1 / RATE))


def numbers(gap: Gap) -> tuple[int, ...] | None:
    w = gap.window
    return None if w is None else tuple(int(f.planes[0][0, 0]) for f in w.frames)


def output(marks: str, factor: int, batch: int = 3) -> tuple[list[Frame], Tally, Blend]:
    tally, blend = Tally(), Blend()
    made = upsample(gaps_of(marks, factor), blend, batch=batch, clock=Clock(Fraction(0)), tally=tally)
    return list(made), tally, blend


def test_windows_repeat_the_edges_of_the_film() -> None:
    assert [numbers(g) for g in gaps_of("....")] == [(0, 0, 1, 2), (0, 1, 2, 3), (1, 2, 3, 3), None]


def test_windows_end_at_a_cut() -> None:
    found = [numbers(g) for g in gaps_of("...C...")]
    assert found == [(0, 0, 1, 2), (0, 1, 2, 2), None, (3, 3, 4, 5), (3, 4, 5, 6), (4, 5, 6, 6), None]


def test_a_shot_of_one_frame_is_held() -> None:
    assert [numbers(g) for g in gaps_of(".CC.")] == [None, None, (2, 2, 3, 3), None]


@pytest.mark.parametrize("marks", ["", ".", ".r", ".rrr"])
def test_films_of_one_picture(marks: str) -> None:
    found = gaps_of(marks, 4)
    assert [numbers(g) for g in found] == [None] * min(len(marks), 1)
    assert sum(len(g.instants) for g in found) == 4 * len(marks)


def test_repeats_are_bridged() -> None:
    first, second, *_ = gaps_of(".r.r.", 2)
    assert numbers(first) == (0, 0, 2, 4)
    assert [i.phase for i in first.instants] == [Fraction(k, 4) for k in range(4)]
    assert [i.time for i in second.instants] == [Fraction(k, 48) for k in range(4, 8)]


def test_a_still_is_held_until_it_moves() -> None:
    assert [numbers(g) for g in gaps_of(".sss.")] == [None, None, None, (2, 3, 4, 4), None]


@given(st.text("..Crs", min_size=1, max_size=60), st.integers(2, 5), st.integers(1, 9))
@settings(deadline=None)
def test_count_duration_and_order_never_change(marks: str, factor: int, batch: int) -> None:
    marks = "." + marks
    made, tally, blend = output(marks, factor, batch)
    assert [f.time for f in made] == [Fraction(j) / (RATE * factor) for j in range(len(marks) * factor)]
    assert all(f.duration == 1 / (RATE * factor) for f in made)
    phase_zero = sum(1 for f in marks if f != "r")
    assert tally.made + tally.held + phase_zero == len(made)
    assert tally.made == sum(len(phases) for call in blend.calls for _, phases in call)
    assert all(len(call) <= batch for call in blend.calls)
    assert all(0 < t < 1 for call in blend.calls for _, phases in call for t in phases)


@given(st.text("..Cs", min_size=1, max_size=40))
@settings(deadline=None)
def test_no_window_crosses_a_cut(marks: str) -> None:
    marks = "." + marks
    shot = np.cumsum([mark == "C" for mark in marks])
    for found in map(numbers, gaps_of(marks)):
        assert found is None or len({int(shot[n]) for n in found}) == 1


def test_source_frames_pass_untouched() -> None:
    source = seen("......")
    clock = Clock(Fraction(0))
    made = list(upsample(gaps(source, Phases(3), tail=1 / RATE), Blend(), batch=2, clock=clock, tally=Tally()))
    assert all(out.planes[0] is one.frame.planes[0] for out, one in zip(made[::3], source, strict=True))


def test_motion_on_twos_becomes_even() -> None:
    values = [int(f.planes[0][0, 0]) for f in output(".r.r.r.r.", 4)[0]]
    moving = values[:33]  # to the last picture, which is held
    assert {b - a for a, b in pairwise(moving)} <= {0, 1}
    assert max(moving.count(v) for v in set(moving)) <= 5


def test_a_variable_rate_keeps_its_times() -> None:
    times = [Fraction(t, 1000) for t in (0, 33, 50, 117, 133)]
    source = [Seen(frame(i, t)) for i, t in enumerate(times)]
    found = gaps(source, Phases(4), tail=Fraction(16, 1000))
    made = list(upsample(found, Blend(), batch=4, clock=Clock(times[0]), tally=Tally()))
    assert [f.time for f in made[::4]] == times
    assert made[5].time == times[1] + (times[2] - times[1]) / 4


def test_slow_motion_stretches_the_clock() -> None:
    clock = Clock(Fraction(0), Fraction(4))
    made = list(
        upsample(
            gaps(seen("...."), Grid(Fraction(0), RATE * 4), tail=1 / RATE),
            Blend(),
            batch=1,
            clock=clock,
            tally=Tally(),
        )
    )
    assert [f.time for f in made] == [j / RATE for j in range(16)]
    assert {f.duration for f in made} == {1 / RATE}


def test_memory_does_not_grow_in_a_long_still() -> None:
    pulled = 0

    def still() -> Sequence[Seen]:
        nonlocal pulled
        yield Seen(frame(0))  # type: ignore[misc]
        for i in range(1, 200):
            pulled += 1
            yield Seen(frame(i), role="still")

    made = upsample(gaps(still(), Phases(2), tail=1 / RATE), Blend(), batch=4, clock=Clock(Fraction(0)), tally=Tally())
    for count, _ in enumerate(made):
        assert pulled - count // 2 <= 8
