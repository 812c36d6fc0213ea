"""Copied streams and chapters on the output's clock: what begins before time 0, and decoding times that are missing."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import pytest
from av.stream import Stream

from svmv_cli.media.decoding_times import DecodingTimes
from svmv_cli.media.probe import probe
from svmv_cli.media.retiming import place
from svmv_cli.timeline import Clock
from tests.media import make_clip, repeated
from tests.reading import read_times, words
from tests.tracks import with_second_picture

LATE = Fraction(1, 5)  # s, where the picture begins
Times = tuple[int | None, int]  # ticks: dts, pts


# -- before time 0 --


@pytest.mark.parametrize("stretch", [1, 2])
@pytest.mark.parametrize("audio", [0, 1])
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_chapter_before_the_first_picture_begins_with_it(
    tmp_path: Path, suffix: str, audio: int, stretch: int
) -> None:
    source = tmp_path / "in.mkv"
    make_clip(source, start_offset=LATE, audio=audio, audio_start=LATE + Fraction(1, 50), chapters=True)
    made = tmp_path / f"out{suffix}"
    repeated(source, made, stretch=Fraction(stretch))
    origin = probe(source).start_claimed
    with av.open(source) as before, av.open(made) as after:
        wanted = [max(0, (c["start"] * (c["time_base"] or 0) - origin) * stretch) for c in before.chapters()]
        found = [c["start"] * (c["time_base"] or 0) for c in after.chapters()]
    assert len(wanted) == 2
    assert found == pytest.approx(wanted, abs=0.001)


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".webm"])
@pytest.mark.parametrize(
    ("late", "expected"),
    [
        (Fraction(1, 5), [(0.0, 0.2), (0.3, 0.3)]),  # the first line lasts from 0.1 s to 0.4 s
        (Fraction(2, 5), [(0.1, 0.3)]),
    ],
)
def test_a_subtitle_before_the_first_picture_begins_with_it(
    tmp_path: Path, suffix: str, late: Fraction, expected: list[tuple[float, float]]
) -> None:
    make_clip(tmp_path / "in.mkv", start_offset=late, subtitles=True)
    made = tmp_path / f"out{suffix}"
    repeated(tmp_path / "in.mkv", made)
    begin = float(read_times(made)[0])
    found = [(round(at - begin, 3), round(length, 3)) for at, length, _ in words(made)]
    assert [time for time, _ in found] == pytest.approx([time for time, _ in expected], abs=0.002)
    assert [length for _, length in found] == pytest.approx([length for _, length in expected], abs=0.002)


# -- decoding times --


def timed(packets: Sequence[Times], *, reordered: bool = True) -> list[Times]:
    times = DecodingTimes(reordered=reordered)
    given: list[av.Packet[Stream]] = []
    for dts, pts in packets:
        packet: av.Packet[Stream] = av.Packet(b"content")
        packet.dts, packet.pts, packet.duration = dts, pts, 40
        given.append(packet)
    passed = [passed for packet in given for passed in times.push(packet)] + list(times.flush())
    assert [id(packet) for packet in passed] == [id(packet) for packet in given]
    return [(packet.dts, packet.pts or 0) for packet in passed]


def test_missing_dts_are_counted_back_from_the_first_known() -> None:
    assert timed([(None, 0), (None, 80), (0, 40), (40, 120)]) == [(-80, 0), (-40, 80), (0, 40), (40, 120)]


def test_no_dts_found_is_later_than_its_picture() -> None:
    assert timed([(None, 0), (None, 160), (None, 80), (200, 200)]) == [(0, 0), (40, 160), (80, 80), (200, 200)]


def test_without_any_dts_they_rise_below_every_pts() -> None:
    given = [pts for n in range(0, 2000, 80) for pts in (n + 40, n)]
    found = timed([(None, pts) for pts in given])
    assert [pts for _, pts in found] == given
    assert all(before[0] < after[0] <= after[1] for before, after in pairwise(found) if before[0] and after[0])
    assert timed([(None, 0), (None, 40)]) == [(-39, 0), (1, 40)]


def test_what_is_never_reordered_has_its_pts_for_dts() -> None:
    assert timed([(None, 5), (None, 45)], reordered=False) == [(5, 5), (45, 45)]


def test_dts_that_stand_still_rise_by_a_tick() -> None:
    assert timed([(5, 5), (5, 5), (6, 50)]) == [(5, 5), (6, 6), (7, 50)]


@pytest.mark.parametrize("stretch", [Fraction(1), Fraction(2), Fraction(5, 2)])
def test_decoding_runs_ahead_by_as_much_longer_as_time_is_stretched(stretch: Fraction) -> None:
    packet: av.Packet[Stream] = av.Packet(b"content")
    packet.time_base, packet.dts, packet.pts, packet.duration = Fraction(1, 1000), 1060, 1100, 20
    assert place(packet, clock=Clock(Fraction(1), stretch), clip=(None, None), cut=False)
    assert [packet.dts, packet.pts, packet.duration] == [ticks * stretch for ticks in (60, 100, 20)]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
def test_a_second_picture_with_b_frames_keeps_its_times(tmp_path: Path, suffix: str) -> None:
    first = make_clip(tmp_path / "a.mp4", frames=12, rate=Fraction(25), size=(64, 48)).path
    second = make_clip(tmp_path / "b.mp4", frames=12, rate=Fraction(25), size=(32, 32)).path
    both, made = with_second_picture(tmp_path / "in.mkv", first, second), tmp_path / f"out{suffix}"
    repeated(both, made)
    with av.open(both) as container:
        assert next(container.demux(container.streams.video[1])).dts is None, "the case is no longer met"
    assert shown(made, 1) == pytest.approx(shown(both, 1), abs=0.001)


def shown(path: Path, track: int) -> list[float]:
    """Times of the packets of a picture track from the file's first picture on, s, in decoding order."""
    with av.open(path) as container:
        stream = container.streams.video[track]
        base = stream.time_base or Fraction(1)
        times = [float((packet.pts or 0) * base) for packet in container.demux(stream) if packet.size]
    return [time - float(read_times(path)[0]) for time in times]
