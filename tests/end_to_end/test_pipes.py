"""y4m through real pipes, with a fake network."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from svmv_cli.media.verify import measure
from tests.media import make_clip
from tests.reading import read_numbers

FAKES = Path(__file__).parents[1] / "fakes.py"
posix = pytest.mark.skipif(os.name == "nt", reason="pipes of another kind")


def start(*arguments: object, stdin: object = None) -> subprocess.Popen[bytes]:
    words = [sys.executable, str(FAKES), "0", *(str(argument) for argument in arguments)]
    return subprocess.Popen(words, stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # type: ignore[call-overload,no-any-return]


@pytest.fixture
def film(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "in.mkv", frames=30, codec="ffv1").path


@pytest.fixture
def stream(film: Path) -> bytes:
    """The film as y4m, at its own rate times two."""
    data, err = start("upsample", film, "-").communicate(timeout=60)
    assert data.startswith(b"YUV4MPEG2 W96 H64 F48:1 Ip A1:1 C420mpeg2 "), err
    return data


def test_two_commands_in_a_row(film: Path, tmp_path: Path) -> None:
    first = start("upsample", film, "-", "-q")
    second = start("upsample", "-", tmp_path / "out.mkv", "--codec", "ffv1", "--factor", "3", stdin=first.stdout)
    assert first.stdout is not None
    assert first.stderr is not None
    first.stdout.close()
    out, err = second.communicate(timeout=60)
    assert (first.wait(timeout=60), second.returncode, out) == (0, 0, b""), err
    assert first.stderr.read() == b""
    first.stderr.close()
    assert read_numbers(tmp_path / "out.mkv")[::6] == list(range(30))
    assert measure(tmp_path / "out.mkv").duration == pytest.approx(30 / 24, abs=0.002)
    assert b"180 frames, " in err  # progress has no total


def test_a_torn_stream_ends_in_code_5_with_what_it_holds(stream: bytes, tmp_path: Path) -> None:
    process = start("upsample", "-", tmp_path / "out.mkv", "-q", stdin=subprocess.PIPE)
    _, err = process.communicate(stream[: len(stream) // 2], timeout=60)
    assert (process.returncode, measure(tmp_path / "out.mkv").frames) == (5, 58)
    assert b"damaged" in err
    process = start("upsample", "-", "-", "--strict", stdin=subprocess.PIPE)
    _, err = process.communicate(stream[: len(stream) // 2], timeout=60)
    assert (process.returncode, b"Traceback" in err) == (5, False)


@posix
def test_a_reader_that_has_seen_enough(film: Path) -> None:
    process = start("upsample", film, "-", "--factor", "24", "-q")
    assert process.stdout is not None
    assert process.stderr is not None
    assert process.stdout.read(100).startswith(b"YUV4MPEG2")
    process.stdout.close()
    assert process.wait(timeout=60) == 141
    assert process.stderr.read() == b""
    process.stderr.close()


def test_what_is_no_y4m_is_refused(tmp_path: Path) -> None:
    for data in (b"", b"hello\n"):
        process = start("upsample", "-", tmp_path / "out.mp4", stdin=subprocess.PIPE)
        out, err = process.communicate(data, timeout=60)
        assert (process.returncode, out, len(err.splitlines())) == (3, b"", 2)
    assert not list(tmp_path.iterdir())
