"""The command as a process of its own, with a fake network: signals, pipes and what is left behind."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.media import make_clip
from tests.reading import read_numbers

FAKES = Path(__file__).parents[1] / "fakes.py"
posix = pytest.mark.skipif(os.name == "nt", reason="signals of another kind")


def start(*arguments: object, delay: float = 0.0) -> subprocess.Popen[str]:
    words = [str(argument) for argument in arguments]
    return subprocess.Popen(
        [sys.executable, str(FAKES), str(delay), *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "in.mp4", frames=120, audio=1).path


def wait_for_frames(process: subprocess.Popen[str]) -> None:
    """Until the run has told that it is under way."""
    assert process.stderr is not None
    for line in process.stderr:
        if json.loads(line)["event"] == "progress":
            return


@posix
@pytest.mark.parametrize(("signum", "code"), [(1, 129), (signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_in_the_middle_leaves_nothing(film: Path, signum: int, code: int) -> None:
    process = start("upsample", film, "--progress", "json", delay=0.05)
    wait_for_frames(process)
    process.send_signal(signum)
    out, err = process.communicate(timeout=20)
    assert process.returncode == code
    assert not out
    assert "Traceback" not in err
    said = [line for line in err.splitlines() if line.startswith("svmv: stopped by")]
    assert [line.partition("; ")[2] for line in said] == ["the unfinished output was removed"]
    assert list(film.parent.iterdir()) == [film]


@posix
def test_an_old_output_survives_a_signal(film: Path) -> None:
    old = film.with_name("in_2x.mp4")
    old.write_bytes(b"precious")
    process = start("upsample", film, "-y", "--progress", "json", delay=0.05)
    wait_for_frames(process)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=20)
    assert old.read_bytes() == b"precious"
    assert sorted(film.parent.iterdir()) == sorted([film, old])


@posix
def test_a_second_signal_stops_at_once(film: Path) -> None:
    # One call of the network takes longer than anybody waits, so the clean way out is blocked by it.
    process = start("upsample", film, "--progress", "json", delay=30)
    assert process.stderr is not None
    process.stderr.readline()
    time.sleep(0.5)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=10)
    assert process.returncode == 130
    assert time.monotonic() - began < 5


@posix
def test_a_killed_run_leaves_no_output_under_its_name(film: Path) -> None:
    process = start("upsample", film, "--progress", "json", delay=0.05)
    wait_for_frames(process)
    process.kill()
    process.communicate(timeout=20)
    assert not film.with_name("in_2x.mp4").exists()
    for part in film.parent.glob(".*"):
        part.unlink()
    process = start("upsample", film, "-q")
    assert process.communicate(timeout=60) == ("", "")
    assert read_numbers(film.with_name("in_2x.mp4"))[::2] == list(range(120))


@posix
def test_a_reader_that_goes_away_is_no_drama(film: Path) -> None:
    process = start("upsample", film, "--json")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(timeout=60) == 141
    assert "Traceback" not in err
    assert "Exception ignored" not in err


def test_piped_progress_is_lines(film: Path) -> None:
    process = start("upsample", film, "--json")
    out, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert json.loads(out)["frames_out"] == 240
    assert "\r" not in err
    assert "\x1b" not in err
    assert "240/240 frames (100%)" in err


def test_two_at_once_do_not_mix(film: Path) -> None:
    first = start("upsample", film, "--factor", "2", "-q")
    second = start("upsample", film, "--factor", "3", "-q")
    for process in (first, second):
        assert process.communicate(timeout=60) == ("", "")
        assert process.returncode == 0
    assert read_numbers(film.with_name("in_2x.mp4"))[::2] == list(range(120))
    assert read_numbers(film.with_name("in_3x.mp4"))[::3] == list(range(120))


@posix
def test_completion_is_offered() -> None:
    script = "from svmv_cli.app import main; main()"
    environment = {**os.environ, "_SVMV_COMPLETE": "source_bash"}
    command = [sys.executable, "-c", f"import sys; sys.argv[0] = 'svmv'; {script}"]
    made = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=False)
    assert "svmv" in made.stdout


@posix
@pytest.mark.parametrize("closed", [2, None])
def test_talk_that_nobody_can_take_does_not_end_the_work(film: Path, closed: int | None) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    words = [sys.executable, str(FAKES), "0", "upsample", str(film)]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            words, stderr=full, preexec_fn=None if closed is None else lambda: os.close(closed), check=False
        )
    assert done.returncode == 0
    assert len(read_numbers(film.with_name("in_2x.mp4"))) == 240


@posix
@pytest.mark.parametrize(
    ("words", "code"), [(("upsample", "--json", "-q", "-y"), 4), (("info",), 4), (("info", "--json"), 4), (("-h",), 4)]
)
def test_a_summary_that_cannot_be_written_is_told_of(film: Path, words: tuple[str, ...], code: int) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    command = [sys.executable, str(FAKES), "0", *words, *([] if words == ("-h",) else [str(film)])]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert done.returncode == code
    assert done.stderr.startswith("svmv: stdout cannot be written to: No space left on device\n")
    assert "removed" not in done.stderr
    assert film.with_name("in_2x.mp4").exists() == (words[0] == "upsample")


@posix
def test_pictures_do_not_go_to_a_closed_stdout(film: Path) -> None:
    words = [sys.executable, str(FAKES), "0", "upsample", str(film), "-o", "-"]
    done = subprocess.run(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, preexec_fn=lambda: os.close(1), text=True, check=False
    )
    assert done.returncode == 4
    assert "stdout cannot be written to: it is closed" in done.stderr
