"""Sound and picture before and after the command: clicks are heard when the pictures of their time are shown."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from tests.conftest import Result
from tests.media import make_clip
from tests.reading import clicks, read_numbers, read_times

Call = Callable[..., Result]
NEAR = 0.1  # s: a click and the picture it belongs to


def offsets(path: Path, *, factor: int = 1) -> dict[int, float]:
    """Click minus picture, s, by the number of the picture: every sixth, four a second, has a click."""
    times = [float(time) for time in read_times(path)]
    shown = dict(zip(read_numbers(path)[::factor], times[::factor], strict=True))
    found = {}
    for click in clicks(path):
        number = min((n for n in shown if n % 6 == 0), key=lambda n: abs(shown[n] - click))
        if abs(click - shown[number]) < NEAR:
            found[number] = click - shown[number]
    return found


def film(path: Path, *, picture: Fraction, sound: Fraction) -> Path:
    """60 pictures with B-frames at 24 fps from `picture` s on, with AAC, which has to be primed, from `sound` s on."""
    options = {"g": "20", "bf": "3", "preset": "veryfast"}
    clip = make_clip(path, frames=60, size=(64, 48), start_offset=picture, audio=1, audio_start=sound, options=options)
    return clip.path


QUARTER = Fraction(1, 4)
OFFSETS = [
    (Fraction(0), Fraction(0)),
    (Fraction(0), Fraction(3, 10)),  # sound later
    (Fraction(1, 2), Fraction(0)),  # sound earlier
    (Fraction(5), Fraction(51, 10)),  # a start that is not 0: an edit list in MP4 and MOV, start_time elsewhere
    (-QUARTER, -QUARTER),  # in MP4 and MOV cut off by an edit list
]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".ts"])
@pytest.mark.parametrize(("picture", "sound"), OFFSETS)
def test_clicks_stay_with_their_pictures(
    svmv: Call, tmp_path: Path, suffix: str, picture: Fraction, sound: Fraction
) -> None:
    source = film(tmp_path / f"in{suffix}", picture=picture, sound=sound)
    before = offsets(source)
    assert len(before) >= 7
    for name, options in (("whole", ()), ("part", ("--start", "0.6", "--end", "2.1"))):
        made = tmp_path / f"{name}{suffix}"
        result = svmv("upsample", source, "-o", made, *options)
        assert result.code == 0, result.stderr
        after = offsets(made, factor=2)
        if name == "whole":
            assert {min(before), max(before)} <= set(after)  # at the start and at the end
        assert len(after) >= len(before) // 2
        half_a_frame = 1 / 48 / 2
        assert max(abs(after[number] - before[number]) for number in after if number in before) <= half_a_frame


@pytest.mark.parametrize("target", [".mp4", ".mkv", ".mov", ".ts", ".webm"])
def test_and_in_another_container(svmv: Call, tmp_path: Path, target: str) -> None:
    source = film(tmp_path / "in.mp4", picture=QUARTER, sound=Fraction(3, 8))
    made = tmp_path / f"out{target}"
    options = ("--preset", "8") if target == ".webm" else ()
    assert svmv("upsample", source, "-o", made, *options).code == 0
    before, after = offsets(source), offsets(made, factor=2)
    assert len(after) >= len(before) - 1
    assert max(abs(after[number] - before[number]) for number in after) <= 1 / 48 / 2


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov", ".ts"])
@pytest.mark.parametrize("sound", [Fraction(0), Fraction(3, 10)])
def test_slow_motion_does_not_drift(svmv: Call, tmp_path: Path, suffix: str, sound: Fraction) -> None:
    """Stretching blends windows of sound, which moves a click by up to half of one, but no more at the end."""
    source = film(tmp_path / f"in{suffix}", picture=Fraction(0), sound=sound)
    made = tmp_path / f"out{suffix}"
    assert svmv("upsample", source, "-o", made, "--slow", "4").code == 0
    before, after = offsets(source), offsets(made, factor=4)
    assert len(after) >= len(before) - 1
    off = {number: after[number] - 4 * before[number] for number in after}
    assert max(abs(value) for value in off.values()) <= 0.09
    half = len(off) // 2
    first, last = list(off.values())[:half], list(off.values())[half:]
    assert abs(sum(first) / len(first) - sum(last) / len(last)) <= 0.03
