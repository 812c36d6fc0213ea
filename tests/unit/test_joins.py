"""Recordings put one behind the other with `cat`, each with a clock of its own."""

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from svmv_cli.media.probe import probe
from tests.conftest import Result
from tests.media import make_clip
from tests.reading import clicks, read_numbers, read_times

Call = Callable[..., Result]


def joined(folder: Path, *starts: int, audio: int = 1) -> Path:
    """Parts of a second each, with times from those seconds on."""
    parts = []
    for number, start in enumerate(starts):
        at = Fraction(start)
        parts.append(make_clip(folder / f"{number}.ts", start_offset=at, audio=audio, audio_start=at).path)
    path = folder / "in.ts"
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


@pytest.mark.parametrize("starts", [(1, 1), (10, 2), (10, 500), (5, 5, 100, 1)])
def test_recordings_follow_each_other_with_their_sound(svmv: Call, tmp_path: Path, starts: tuple[int, ...]) -> None:
    source = joined(tmp_path, *starts)
    info = probe(source)
    assert len(info.joins) == len(starts) - 1
    gaps = [float((b - a) * info.video.time_base * 24) for a, b in pairwise(map(int, info.video.packet_times))]
    assert max(gaps) < 2.01 and abs(min(gaps) - 1) < 0.01
    result = svmv("upsample", source, "-o", tmp_path / "out.mkv")
    assert (result.code, f"{len(starts)} recordings" in result.stderr) == (0, True)
    out = tmp_path / "out.mkv"
    shown = [time for number, time in zip(read_numbers(out)[::2], read_times(out)[::2], strict=True) if number == 0]
    begins = [time for before, time in pairwise([Fraction(-1), *shown]) if time - before > Fraction(1, 2)]
    assert len(begins) == len(starts)
    heard = clicks(out)
    for begin in begins:  # where each recording has a click
        assert min(abs(float(begin) - click) for click in heard) < 0.03


def test_a_part_of_what_was_joined(svmv: Call, tmp_path: Path) -> None:
    source = joined(tmp_path, 10, 2)
    assert svmv("upsample", source, "-o", tmp_path / "out.mkv", "--start", "1.1", "--end", "1.9").code == 0
    numbers = read_numbers(tmp_path / "out.mkv")[::2]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert 0 < numbers[0] < 5


def test_a_pause_without_sound_is_no_join(tmp_path: Path) -> None:
    times = [Fraction(n, 24) for n in range(24)] + [Fraction(n, 24) + 30 for n in range(24)]
    assert not probe(make_clip(tmp_path / "in.ts", times=times).path).joins


@pytest.mark.parametrize("slow", [1, 15])
def test_a_rate_however_low_is_no_join(tmp_path: Path, slow: int) -> None:
    times = [Fraction(n * slow) for n in range(12)]
    assert not probe(make_clip(tmp_path / "in.ts", times=times, audio=1).path).joins
