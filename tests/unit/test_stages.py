"""Any cut anywhere gives the same frames as the whole film: the law that segments rest on."""

from collections.abc import Sequence
from fractions import Fraction
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from svmv_cli.media.frame import Frame, Plane
from svmv_cli.pipeline.report import Tally
from svmv_cli.pipeline.shots import ShotSettings
from svmv_cli.pipeline.stages import SegmentEnd, _placed, make_frames
from svmv_cli.pipeline.windows import Resume
from svmv_cli.timeline import Clock, Grid, Phases
from tests.fakes import GRAY, Blend, texture

RATE = Fraction(24)
# m: moves on, r: repeats but for noise, f: a faint step of a fade, C: another scene, b: a flash
CADENCE = st.sampled_from(["mmr", "mrmrr", "mmmr", "mrr"]).map(lambda steps: steps * 9)
STEPS = st.one_of(st.text("mmmrrrrrfffCCCCb", max_size=50), CADENCE, CADENCE.map(lambda steps: steps + "Cmmr" * 4))


def film(steps: str) -> list[Plane]:
    """Pictures of which each follows from the one before by its step."""
    planes, shift, scene, light = [texture(0, rows=24, columns=40)], 0, 0, 0.0
    for number, step in enumerate(steps):
        shift += 5 * (step == "m")
        scene += step == "C"
        light += 0.05 * (step == "f")
        plane = texture(shift, rows=24, columns=40, seed=scene).astype(np.float64) * (0.6 + 0.4 * (scene % 2)) + light
        if step == "b":
            plane = plane + 90
        if step == "r":
            plane = plane.copy()
            plane[number % 24, number % 40] += 1
        planes.append(np.clip(plane, 0, 255).astype(np.uint8))
    return planes


def plan(timing: Grid | Phases, *, rate: Fraction | None, batch: int, longest_run: int, even: bool = False) -> Any:
    return SimpleNamespace(
        first=Fraction(0),
        grid=None if rate is None else Grid(Fraction(0), rate),
        timing=timing,
        tail=1 / RATE,
        batch=batch,
        shots=ShotSettings(longest_run=longest_run, even=even),
        target=SimpleNamespace(clock=Clock(Fraction(0))),
    )


def run(
    frames: Sequence[Frame], plan: Any, *, joints: Sequence[Fraction] = (), begin: Resume | None = None
) -> tuple[list[tuple[Fraction, bytes]], list[SegmentEnd], list[list[tuple[tuple[Fraction, ...], ...]]]]:
    """Times and contents of the frames, the ends between them, and what the network was asked call by call."""
    blend = Blend()
    items = list(make_frames(frames, plan, blend, joints=joints, begin=begin))
    made = [(i.time, i.planes[0].tobytes()) for i in items if isinstance(i, Frame)]
    asked = [[(tuple(f.time for f in w.frames), t) for w, t in call] for call in blend.calls]
    return made, [i for i in items if isinstance(i, SegmentEnd)], asked


@given(
    steps=STEPS,
    cuts=st.sets(st.integers(1, 50), max_size=12),
    timing=st.sampled_from([Phases(2), Phases(3), Grid(Fraction(0), RATE * 2), Grid(Fraction(0), Fraction(10))]),
    batch=st.integers(1, 5),
    longest_run=st.sampled_from([0, 2, 5]),
    faults=st.sets(st.integers(0, 50), max_size=4),
    even=st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_any_cut_anywhere_gives_the_frames_of_the_whole(
    steps: str, cuts: set[int], timing: Grid | Phases, batch: int, longest_run: int, faults: set[int], even: bool
) -> None:
    frames = [
        Frame(i / RATE, 1 / RATE, GRAY, (plane,), damaged=i in faults, late=2 * (i in faults))
        for i, plane in enumerate(film(steps))
    ]
    rate = RATE if isinstance(timing, Grid) else None
    job = plan(timing, rate=rate, batch=batch, longest_run=longest_run, even=even)
    joints = sorted(cut / RATE for cut in cuts if cut < len(frames))
    whole, (end,), _ = run(frames, job)
    made, ends, asked = run(frames, job, joints=joints)
    assert made == whole
    assert end.resume is None and ends[-1].resume is None
    total = ends[0].tally
    for one in ends[1:]:
        total.add(one.tally)
    assert total == end.tally
    # Whatever segment one begins at again, the rest comes out the same, down to the calls of the network.
    for number, one in enumerate(ends[:-1]):
        assert one.resume is not None
        begin = one.resume
        read = [frame for frame in frames if frame.time >= begin.since - 1 / RATE]
        rest, rest_ends, rest_asked = run(read, job, joints=joints, begin=begin)
        assert rest == whole[len(whole) - len(rest) :]
        assert rest_ends == ends[number + 1 :]
        assert rest_asked == asked[len(asked) - len(rest_asked) :]
        first = next((time for time, _ in rest), None)
        assert first is None or first >= begin.left


def test_faults_behind_the_last_frame_are_counted() -> None:
    frames = [Frame(i / RATE, 1 / RATE, GRAY, (texture(i, rows=24, columns=40),)) for i in range(4)]
    again = Frame(2 / RATE, 1 / RATE, GRAY, frames[2].planes, damaged=1)
    job = plan(Grid(Fraction(0), RATE * 2), rate=RATE, batch=2, longest_run=5)
    _, (end,), _ = run([*frames, again], job)
    assert (end.tally.frames, end.tally.late, end.tally.damaged) == (4, 1, 1)


def test_faults_behind_the_last_frame_belong_to_the_last_segment_alone() -> None:
    """All frames have been read before the ends of the last segments: the windows look ahead."""
    frames = [Frame(i / RATE, 1 / RATE, GRAY, (texture(5 * i, rows=24, columns=40),)) for i in range(4)]
    again = Frame(3 / RATE, 1 / RATE, GRAY, frames[3].planes, damaged=1)
    job = plan(Grid(Fraction(0), RATE * 2), rate=RATE, batch=1, longest_run=0)
    _, ends, _ = run([*frames, again], job, joints=[i / RATE for i in (1, 2, 3)])
    assert [(end.tally.damaged, end.tally.late) for end in ends] == [(0, 0)] * 3 + [(1, 1)]


TOLD = [(0, 1, 0), (40, 0, 0), (44, 2, 1), (83, 0, 0), (84, 1, 0), (80, 0, 3)]  # ms; damaged and late before it


@pytest.mark.parametrize(
    ("rate", "since", "expected", "behind"),
    [
        (RATE, None, [(0, 1, 0), (1 / RATE, 0, 0), (2 / RATE, 2, 2)], (1, 5)),
        (RATE, 1 / RATE, [(1 / RATE, 0, 0), (2 / RATE, 2, 2)], (1, 5)),
        (RATE, 2 / RATE, [(2 / RATE, 0, 0)], (1, 5)),
        (
            None,
            Fraction(44, 1000),
            [(Fraction(44, 1000), 2, 1), (Fraction(83, 1000), 0, 0), (Fraction(84, 1000), 1, 0)],
            (0, 4),
        ),
    ],
)
def test_faults_of_frames_that_are_left_out_are_carried_by_the_next(
    rate: Fraction | None,
    since: Fraction | None,
    expected: list[tuple[Fraction, int, int]],
    behind: tuple[int, int],
) -> None:
    frames = [
        Frame(Fraction(time, 1000), 1 / RATE, GRAY, (texture(0, rows=8, columns=8),), damaged=damaged, late=late)
        for time, damaged, late in TOLD
    ]
    left = Tally()
    placed = list(_placed(frames, plan(Phases(2), rate=rate, batch=1, longest_run=0), since=since, behind=left))
    assert [(frame.time, frame.damaged, frame.late) for frame in placed] == expected
    assert (left.damaged, left.late) == behind
