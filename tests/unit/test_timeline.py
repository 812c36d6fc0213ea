from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from svmv_cli.timeline import Clock, Grid, Phases, joined, measured_rate

NTSC_FILM = Fraction(24000, 1001)
MS = Fraction(1, 1000)
rates = st.one_of(
    st.sampled_from([Fraction(24), NTSC_FILM, Fraction(25), Fraction(30000, 1001), Fraction(60), Fraction(15, 2)]),
    st.fractions(min_value=1, max_value=240, max_denominator=1001),
)
gap_lengths = st.lists(st.integers(1, 5000), min_size=1, max_size=40)


def rising(gaps: list[int], base: Fraction = Fraction(1, 90000)) -> list[Fraction]:
    times = [Fraction(11)]
    for gap in gaps:
        times.append(times[-1] + gap * base)
    return times


@given(rates, st.integers(2, 16), st.integers(1, 60), st.fractions(-5, 5, max_denominator=90000))
@settings(deadline=None)
def test_a_constant_rate_gives_exactly_n_times_factor(rate: Fraction, factor: int, n: int, start: Fraction) -> None:
    grid = Grid(start, rate * factor)
    times = [start + Fraction(i) / rate for i in range(n + 1)]
    made = [instant for a, b in pairwise(times) for instant in grid.instants(a, b)]
    assert len(made) == n * factor
    assert [i.phase for i in made] == [Fraction(k, factor) for k in range(factor)] * n
    assert sum(i.duration for i in made) == times[-1] - times[0]


@given(gap_lengths, st.integers(2, 12))
def test_a_variable_rate_keeps_every_source_time(gaps: list[int], factor: int) -> None:
    times = rising(gaps)
    made = [instant for a, b in pairwise(times) for instant in Phases(factor).instants(a, b)]
    assert len(made) == len(gaps) * factor
    assert [i.time for i in made if i.phase == 0] == times[:-1]
    assert all(a.time + a.duration == b.time for a, b in pairwise(made))


@given(gap_lengths, rates)
def test_a_grid_covers_any_timeline_once(gaps: list[int], rate: Fraction) -> None:
    times = rising(gaps)
    grid = Grid(times[0], rate)
    per_gap = [grid.instants(a, b) for a, b in pairwise(times)]
    made = [instant for gap in per_gap for instant in gap]
    assert len(made) == grid.count(times[0], times[-1]) == sum(grid.count(a, b) for a, b in pairwise(times))
    assert [i.time for i in made] == [times[0] + Fraction(j) / rate for j in range(len(made))]
    assert made[-1].time < times[-1] <= made[-1].time + 1 / rate
    assert all(0 <= i.phase < 1 for i in made)
    for (a, b), gap in zip(pairwise(times), per_gap, strict=True):
        assert all(a + (b - a) * i.phase == i.time for i in gap)


@given(gap_lengths, st.one_of(rates.map(lambda r: Grid(Fraction(11), r)), st.integers(2, 8).map(Phases)))
def test_joining_gaps_changes_phases_only(gaps: list[int], timing: Grid | Phases) -> None:
    times = rising(gaps)
    apart = [i for a, b in pairwise(times) for i in timing.instants(a, b)]
    whole = joined(timing, times)
    assert [(i.time, i.duration) for i in whole] == [(i.time, i.duration) for i in apart]
    assert all(times[0] + (times[-1] - times[0]) * i.phase == i.time for i in whole)


def test_two_hours_of_film_to_sixty_do_not_drift() -> None:
    frames = 2 * 3600 * 24000 // 1001
    end = frames / NTSC_FILM
    grid = Grid(Fraction(0), Fraction(60))
    count = sum(grid.count(i / NTSC_FILM, (i + 1) / NTSC_FILM) for i in range(frames))
    assert count == grid.count(Fraction(0), end) == -(-frames * 1001 * 60 // 24000)
    last = grid.instants((frames - 1) / NTSC_FILM, end)[-1]
    assert last.time == Fraction(count - 1, 60)
    assert 0 < end - last.time <= Fraction(1, 60)


def test_two_hours_at_eight_times_do_not_drift() -> None:
    frames = 2 * 3600 * 24000 // 1001
    grid = Grid(Fraction(0), NTSC_FILM * 8)
    assert grid.count(Fraction(0), frames / NTSC_FILM) == frames * 8
    last = grid.instants((frames - 1) / NTSC_FILM, frames / NTSC_FILM)
    assert [i.phase for i in last] == [Fraction(k, 8) for k in range(8)]
    assert last[-1].time + last[-1].duration == frames / NTSC_FILM


def test_two_hours_of_a_variable_rate_do_not_drift() -> None:
    """A phone's clip: gaps around 1/30 s in ticks of 1/90000, with a pause now and then; every source time stays."""
    base = Fraction(1, 90_000)
    ticks, at = [], 0
    while at < 7200 * 90_000:
        ticks.append(at)
        at += 3000 + (len(ticks) * 7919) % 601 - 300 + (45_000 if len(ticks) % 997 == 0 else 0)
    sampled = [*zip(ticks[:-1:997], ticks[1::997], strict=True), (ticks[-2], ticks[-1])]
    for a, b in sampled:
        for factor in (2, 8):
            made = Phases(factor).instants(a * base, b * base)
            assert [i.time for i in made] == [(a + Fraction(k * (b - a), factor)) * base for k in range(factor)]
            assert made[-1].time + made[-1].duration == b * base
    grid, end = Grid(Fraction(0), Fraction(60)), ticks[-1] * base
    for a, b in sampled:
        parts = ((Fraction(0), a * base), (a * base, b * base), (b * base, end))
        assert sum(grid.count(*part) for part in parts) == grid.count(Fraction(0), end)
    last = grid.instants(ticks[-2] * base, end)[-1]
    assert 0 < end - last.time <= Fraction(1, 60)


def test_a_lost_picture_is_filled_by_more_in_betweens() -> None:
    grid = Grid(Fraction(0), Fraction(100))
    instants = grid.instants(Fraction(1, 25), Fraction(3, 25))
    assert [i.phase for i in instants] == [Fraction(k, 8) for k in range(8)]


@given(rates, st.integers(2, 300), st.integers(0, 10**6))
@settings(deadline=None)
def test_matroska_rounding_is_seen_through(rate: Fraction, n: int, start: int) -> None:
    times = [round((start * MS + i / rate) / MS) for i in range(n)]
    assert measured_rate(times, MS, rate) == rate


@pytest.mark.parametrize("rate", [Fraction(24), NTSC_FILM, Fraction(60000, 1001), Fraction(50), Fraction(120)])
def test_a_rate_is_found_without_a_claim(rate: Fraction) -> None:
    base = Fraction(1, 90000)
    times = [round(i / rate / base) + 126000 for i in range(2000)]
    assert measured_rate(times, base, None) == rate
    assert measured_rate(times, base, Fraction(17)) == rate


def test_a_variable_rate_is_not_taken_for_a_constant_one() -> None:
    base = Fraction(1, 90000)
    phone = [i * 3000 + (i % 3) * 400 for i in range(60)]
    assert measured_rate(phone, base, Fraction(30)) is None
    assert measured_rate([0, 3000, 6000, 12000, 15000], base, Fraction(30)) is None
    assert measured_rate([5, 5, 5], base, Fraction(30)) is None


def test_odd_but_equal_gaps_are_a_rate() -> None:
    assert measured_rate([0, 700, 1400, 2100], MS, None) == Fraction(10, 7)


def test_one_frame_has_the_claimed_rate() -> None:
    assert measured_rate([7], MS, Fraction(25)) == 25
    assert measured_rate([7], MS, None) is None


@given(st.fractions(), st.fractions(), st.integers(1, 16))
def test_a_clock_begins_at_its_origin_and_stretches(origin: Fraction, time: Fraction, stretch: int) -> None:
    clock = Clock(origin, Fraction(stretch))
    assert clock.to_output(origin) == 0
    assert clock.to_output(origin + time) == stretch * time
