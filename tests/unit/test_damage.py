"""Damaged sources: what is concealed, what is told, what the exit code says, and that time stays right."""

import json
import re
from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from svmv_cli.media.probe import probe
from svmv_cli.media.rising import Rising
from tests.conftest import Result
from tests.media import cut, make_clip, spoil
from tests.reading import clicks, read_numbers, read_times

Call = Callable[..., Result]
GOP = {"g": "12", "preset": "veryfast", "crf": "5"}


def film(folder: Path, suffix: str, *, frames: int = 96) -> Path:
    """96 numbered pictures at 24 fps with clicks every quarter of a second."""
    codec, options = ("libvpx-vp9", {"g": "12", "cpu-used": "8", "deadline": "realtime", "crf": "12"})
    if suffix != ".webm":
        codec, options = "libx264", GOP
    name = folder / f"whole{suffix}"
    return make_clip(name, frames=frames, size=(160, 96), codec=codec, options=options, audio=1).path


def spoil_picture(source: Path, target: Path, *, number: int = 50) -> Path:
    """A copy with noise in the middle of one picture's packet, its headers left alone."""
    with av.open(source) as container:
        packet = [packet for packet in container.demux(container.streams.video[0]) if packet.size][number]
        place, size = packet.pos or 0, packet.size
    assert size > 120
    content = bytearray(source.read_bytes())
    content[place + 60 : place + 120] = np.random.default_rng(0).bytes(60)
    target.write_bytes(content)
    return target


def outcome(result: Result) -> dict[str, object]:
    data = json.loads(result.stdout)
    assert isinstance(data, dict)
    return data


def places(path: Path) -> dict[int, Fraction]:
    """When each source picture is shown in a film of twice its rate, s; only those that can be told apart."""
    shown = list(zip(read_times(path), read_numbers(path), strict=True))
    start = shown[0][0]
    return {number: time - start for time, number in shown[::2]}


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
def test_a_corrupted_packet_in_the_middle_is_concealed_and_counted(svmv: Call, tmp_path: Path, suffix: str) -> None:
    broken = spoil_picture(film(tmp_path, suffix), tmp_path / f"in{suffix}")
    result = svmv("upsample", broken, "--json")
    told = outcome(result)
    assert (result.code, told["status"]) == (0, "ok")
    assert told["damaged"]
    assert told["lost"] in (0, 1)
    assert "broken packet" in result.stderr
    assert any("is damaged" in note for note in told["notes"])  # type: ignore[attr-defined]
    made = tmp_path / f"in_2x{suffix}"
    assert len(read_times(made)) == 192
    found = places(made)
    right = [n for n, time in found.items() if n < 96 and abs(time - Fraction(n, 24)) < Fraction(1, 96)]
    assert len(right) >= 80
    start = float(read_times(made)[0])
    assert [round((click - start) * 4) / 4 for click in clicks(made)] == [n / 4 for n in range(16)]


def test_strict_refuses_any_damage(svmv: Call, tmp_path: Path) -> None:
    for suffix in (".mp4", ".ts"):
        whole = film(tmp_path, suffix)
        broken = spoil_picture(whole, tmp_path / f"in{suffix}")
        before = sorted(tmp_path.iterdir())
        result = svmv("upsample", broken, "--strict")
        assert result.code == 5
        assert "is damaged" in result.stderr
        assert "--strict" in result.stderr
        assert sorted(tmp_path.iterdir()) == before
        assert svmv("upsample", whole, "--strict", "-o", tmp_path / f"fine{suffix}").code == 0


@pytest.mark.parametrize("suffix", [".mkv", ".webm", ".ts"])
def test_a_hole_is_bridged_at_the_right_times(svmv: Call, tmp_path: Path, suffix: str) -> None:
    broken = spoil(film(tmp_path, suffix), tmp_path / f"in{suffix}", start=0.4, length=9000)
    result = svmv("upsample", broken, "--json", "-q")
    told = outcome(result)
    made = tmp_path / f"in_2x{suffix}"
    lost = told["lost"]
    assert isinstance(lost, int)
    assert lost == 96 - told["frames_in"]  # type: ignore[operator]
    assert (result.code, told["status"]) == ((5, "damaged") if lost > 2 else (0, "ok"))
    times = read_times(made)
    assert len(times) == 192
    assert all(abs(b - a - Fraction(1, 48)) <= Fraction(1, 500) for a, b in pairwise(times))
    found = places(made)
    right = [n for n in range(96) if n in found and abs(found[n] - Fraction(n, 24)) < Fraction(1, 96)]
    assert right[:30] == list(range(30))
    assert right[-20:] == list(range(76, 96))
    # Sound that was torn away is torn away; what is left is where it was.
    heard = clicks(made)
    assert len(heard) >= 10
    from_start = [click - float(times[0]) for click in heard]
    assert all(abs(click - round(click * 4) / 4) < 0.004 for click in from_start)


@pytest.mark.parametrize("suffix", [".mkv", ".webm", ".avi"])
def test_a_truncated_file_yields_what_it_holds_and_says_so(svmv: Call, tmp_path: Path, suffix: str) -> None:
    broken = cut(film(tmp_path, suffix), tmp_path / f"in{suffix}", 0.6)
    result = svmv("upsample", broken, "-q")
    assert result.code == 5
    assert "of 96 pictures" in result.stderr
    made = next(path for path in tmp_path.iterdir() if "_2x" in path.name)
    numbers = read_numbers(made)[::2]
    assert 40 < len(numbers) < 80
    assert numbers[:40] == list(range(40))
    assert svmv("upsample", broken, "-y", "--strict").code == 5


def test_a_truncated_mp4_with_its_index_in_front(svmv: Call, tmp_path: Path) -> None:
    whole = film(tmp_path, ".mp4")
    assert svmv("upsample", whole, "-q").code == 0  # ours puts it there
    broken = cut(tmp_path / "whole_2x.mp4", tmp_path / "in.mp4", 0.6)
    assert svmv("upsample", broken, "-q").code == 5
    assert 80 < len(read_numbers(tmp_path / "in_2x.mp4")) / 2 < 160


def test_nothing_that_can_be_decoded_is_3_and_leaves_nothing(svmv: Call, tmp_path: Path) -> None:
    with av.open(tmp_path / "in.mkv", "w") as out:
        stream = out.add_mux_stream("vp8", width=96, height=64)
        for number in range(5):
            packet = av.Packet(b"\xff" * 50)
            packet.stream, packet.time_base = stream, Fraction(1, 1000)
            packet.pts = packet.dts = number * 40
            out.mux(packet)
    result = svmv("upsample", tmp_path / "in.mkv")
    assert result.code == 3
    assert "can be decoded" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["in.mkv"]


@pytest.mark.parametrize(
    ("codec", "options"),
    [
        ("libx264", {"g": "12"}),
        ("libx264", {"g": "12", "x264-params": "open-gop=1", "bf": "2"}),
        ("mpeg2video", {"g": "12", "bf": "2"}),
    ],
)
def test_a_recording_that_begins_in_the_middle_is_ordinary(
    svmv: Call, tmp_path: Path, codec: str, options: dict[str, str]
) -> None:
    whole = make_clip(tmp_path / "whole.ts", frames=72, codec=codec, options=options, audio=1).path
    content = whole.read_bytes()
    broken = tmp_path / "in.ts"
    broken.write_bytes(content[188 * (len(content) // 188 // 4) :])
    result = svmv("upsample", broken, "--json")
    told = outcome(result)
    assert (result.code, told["status"], told["damaged"], told["lost"]) == (0, "ok", 0, 0)
    assert "begins in mid-scene" in result.stderr
    first = read_numbers(tmp_path / "in_2x.ts")[0]
    assert first in (12, 24, 36)
    # A click is heard with the picture it was heard with: every sixth.
    shown = dict(zip(read_numbers(tmp_path / "in_2x.ts")[::2], read_times(tmp_path / "in_2x.ts")[::2], strict=True))
    heard = [click for click in clicks(tmp_path / "in_2x.ts") if click > shown[first] + Fraction(1, 10)]
    assert len(heard) > 5
    for click in heard:
        nearest = min(shown, key=lambda number: abs(float(shown[number]) - click))
        assert nearest % 6 == 0
        assert abs(float(shown[nearest]) - click) < 1 / 96


@pytest.mark.parametrize(("where", "codes"), [(0.0, 1), (0.5, 1)])
def test_torn_sound_does_not_stop_the_picture(svmv: Call, tmp_path: Path, where: float, codes: int) -> None:
    """MP4 takes AAC's headers off, and refuses a packet that has none; the first of all decides nothing."""
    content = bytearray(film(tmp_path, ".ts").read_bytes())
    headers = [found.start() for found in re.finditer(b"\xff\xf1\x4c", content)]
    place = headers[int(where * len(headers))]
    content[place : place + 7] = bytes(7)
    broken = tmp_path / "in.ts"
    broken.write_bytes(content)
    for suffix in (".mp4", ".mkv", ".ts"):
        result = svmv("upsample", broken, "-o", tmp_path / f"out{suffix}", "--json")
        told = outcome(result)
        assert (result.code, told["lost"]) == (0, 0), result.stderr
        assert told["streams"][0]["action"] == "copy"  # type: ignore[index]
        assert len(read_times(tmp_path / f"out{suffix}")) == 192
        assert len(clicks(tmp_path / f"out{suffix}")) >= 15 - codes
    assert svmv("upsample", broken, "-o", tmp_path / "strict.mp4", "--strict").code == 5


def restamp(source: Path, target: Path, *, number: int, by: Fraction) -> Path:
    """A copy of a TS in which one picture's presentation time is changed, written into its PES header."""
    with av.open(source) as container:
        packet = [packet for packet in container.demux(container.streams.video[0]) if packet.size][number]
        place, ticks = packet.pos or 0, (packet.pts or 0) + round(by * 90_000)
    content = bytearray(source.read_bytes())
    start = place + 4 + (1 + content[place + 4] if content[place + 3] & 0x20 else 0)  # behind the adaptation field
    assert content[start : start + 4] == b"\0\0\1\xe0"
    # Five bytes: three bits, then twice fifteen, each followed by a marker bit.
    stamp = bytearray(5)
    stamp[0] = content[start + 9] & 0xF0 | ticks >> 29 & 0x0E | 1
    stamp[1:3] = (ticks >> 14 & 0xFFFE | 1).to_bytes(2, "big")
    stamp[3:5] = (ticks << 1 & 0xFFFE | 1).to_bytes(2, "big")
    content[start + 9 : start + 14] = stamp
    target.write_bytes(content)
    return target


@pytest.mark.parametrize("by", [Fraction(1, 3), Fraction(-1, 3), Fraction(60), Fraction(36_000)])
def test_one_wrong_timestamp_costs_one_picture(svmv: Call, tmp_path: Path, by: Fraction) -> None:
    whole = make_clip(tmp_path / "whole.ts", frames=48, bframes=False, audio=1).path
    broken = restamp(whole, tmp_path / "in.ts", number=20, by=by)
    told = outcome(svmv("upsample", broken, "--json", "-q", "-o", tmp_path / "out.mkv"))
    assert told["frames_in"] == 47
    times = read_times(tmp_path / "out.mkv")
    assert abs(times[-1] - times[0] - 2) < Fraction(1, 20)
    shown = dict(
        zip((round((time - times[0]) * 48) for time in times), read_numbers(tmp_path / "out.mkv"), strict=True)
    )
    assert all(shown[2 * n] == n for n in range(48) if n != 20)
    assert [round(click * 4) / 4 for click in clicks(tmp_path / "out.mkv")] == [n / 4 for n in range(8)]


def test_a_last_timestamp_far_away_makes_no_hours_of_film(svmv: Call, tmp_path: Path) -> None:
    whole = make_clip(tmp_path / "whole.ts", frames=48, bframes=False, audio=1).path
    broken = restamp(whole, tmp_path / "in.ts", number=47, by=Fraction(3600))
    torn = spoil_picture(broken, tmp_path / "torn.ts", number=20)
    for source in (broken, torn):
        result = svmv("upsample", source, "-o", tmp_path / f"{source.stem}.mp4", "--fps", "60", "--json", "-q")
        if result.code == 3:  # nothing shows that it is wrong, but nobody means that
            assert source == broken
            assert "timestamps leap" in result.stderr
            continue
        assert result.code == 0
        assert len(read_times(tmp_path / f"{source.stem}.mp4")) in range(117, 121)


def test_a_dropped_picture_in_a_sound_file_is_no_damage(svmv: Call, tmp_path: Path) -> None:
    times = [Fraction(n, 24) for n in range(48) if n not in (20, 33, 34)]
    clip = make_clip(tmp_path / "in.mkv", times=times, last_duration=Fraction(1, 24), bframes=False)
    result = svmv("upsample", clip.path, "--json")
    told = outcome(result)
    assert (result.code, told["status"], told["lost"], told["rate"]) == (0, "ok", 0, "48")
    assert "3 pictures are missing from the source's constant rate" in result.stderr
    found = read_times(tmp_path / "in_2x.mkv")
    assert all(abs(time - Fraction(j, 48)) <= Fraction(1, 1000) for j, time in enumerate(found))
    assert len(found) == 96


def test_rising_leaves_out_the_stray_and_nothing_else() -> None:
    def through(*times: int, slack: int = 0) -> tuple[list[int], int]:
        rising: Rising[int] = Rising(Fraction(slack))
        passed = [item for time in times for item in rising.push(time, Fraction(time))]
        return [*passed, *rising.flush()], rising.strays

    assert through(1, 2, 3) == ([1, 2, 3], 0)
    assert through(1, 2, 90, 3, 4) == ([1, 2, 3, 4], 1)
    assert through(1, 2, 0, 3, 4) == ([1, 2, 3, 4], 1)
    assert through(90, 1, 2) == ([1, 2], 1)
    assert through(1, 2, 2, 3) == ([1, 2, 3], 1)
    assert through(1, 3, 2, 4, slack=2) == ([1, 3, 2, 4], 0)
    assert through() == ([], 0)


def test_what_the_demuxer_passes_over_in_silence_is_noticed(tmp_path: Path) -> None:
    whole = film(tmp_path, ".webm")
    assert probe(whole).video.torn == 0
    assert probe(spoil(whole, tmp_path / "in.webm", start=0.4, length=9000)).video.torn == 1
