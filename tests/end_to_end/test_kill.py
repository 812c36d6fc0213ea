"""`kill -9` at random moments, then the same command again: the same file, and nothing finished is done twice."""

import json
import random
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from tests.conftest import Result
from tests.end_to_end.test_process import posix, start
from tests.media import make_clip
from tests.reading import read_numbers

pytestmark = posix
FRAMES = 96
SEGMENTS = 8


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "in.mp4", frames=FRAMES, audio=1).path


def command(film: Path, output: Path, *more: object) -> tuple[object, ...]:
    return ("upsample", film, "-o", output, "--preset", "ultrafast", "--segment", "0.5", "--json", *more)


def marks(work: Path) -> dict[str, tuple[int, bytes]]:
    """When each finished segment was finished, and what its mark says."""
    return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in work.glob("0*.json")}


def wait_for_marks(process: subprocess.Popen[str], work: Path, count: int) -> None:
    """Until so many segments are finished, or the run is."""
    while process.poll() is None:
        with suppress(FileNotFoundError):  # the run ends, and takes its folder away, while we look into it
            if len(list(work.glob("0*.json"))) >= count:
                return
        time.sleep(0.005)


@pytest.mark.parametrize("kind", ["mp4", "mkv"])
def test_killed_at_random_moments_it_ends_the_same(kind: str, film: Path, svmv: Callable[..., Result]) -> None:
    chance = random.Random(4)
    unbroken, output = film.with_name(f"unbroken.{kind}"), film.with_name(f"out.{kind}")
    expected = json.loads(svmv(*command(film, unbroken)).stdout)
    work = film.with_name(f".out.{kind}.svmv-work")
    known: dict[str, tuple[int, bytes]] = {}
    kills = 0
    while len(known) < SEGMENTS and not output.exists():
        process = start(*command(film, output), delay=0.02)
        wait_for_marks(process, work, len(known) + chance.randint(2, 3))
        time.sleep(chance.uniform(0, 0.1))
        process.kill()
        process.communicate(timeout=20)
        kills += 1
        now = marks(work)
        assert output.exists() or {name: now.get(name) for name in known} == known
        known = now
    done = svmv(*command(film, output, "-y"))
    assert done.code == 0
    assert kills >= 2
    assert output.read_bytes() == unbroken.read_bytes()
    assert read_numbers(output)[::2] == list(range(FRAMES))
    report = json.loads(done.stdout)
    assert report["segments_resumed"] == len(known)
    for name in ("frames_in", "frames_out", "frames_made", "frames_held", "cuts", "damaged", "segments", "status"):
        assert report[name] == expected[name]
    assert sorted(path.name for path in film.parent.iterdir()) == ["in.mp4", output.name, unbroken.name]


def test_a_signal_keeps_what_is_finished_and_says_so(film: Path, svmv: Callable[..., Result]) -> None:
    output = film.with_name("out.mkv")
    process = start(*command(film, output), delay=0.05)
    wait_for_marks(process, film.with_name(".out.mkv.svmv-work"), 2)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (143, "")
    last = err.splitlines()[-1]
    assert last.startswith("svmv: stopped by SIGTERM; ")
    assert last.endswith("of 8 segments are finished and kept: the same command goes on there")
    assert "Traceback" not in err
    assert sorted(path.name for path in film.parent.iterdir()) == [".out.mkv.svmv-work", "in.mp4"]
    assert not list(film.parent.glob(".out.mkv.svmv-work/*.part"))
    done = svmv(*command(film, output))
    assert json.loads(done.stdout)["segments_resumed"] >= 2
    assert "going on at segment" in done.stderr
    assert read_numbers(output)[::2] == list(range(FRAMES))
    assert sorted(path.name for path in film.parent.iterdir()) == ["in.mp4", "out.mkv"]


def test_a_dry_run_tells_the_segments(film: Path, svmv: Callable[..., Result]) -> None:
    told = svmv(*command(film, film.with_name("out.mkv"), "--dry-run"))
    assert json.loads(told.stdout)["segments"] == SEGMENTS
    assert list(film.parent.iterdir()) == [film]
