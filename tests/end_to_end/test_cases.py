"""Every kind of trouble in one table: what comes of it, by exit code, words, and what is there afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from svmv_cli.media.verify import measure
from tests.conftest import Result
from tests.media import cut, make_clip

Call = Callable[..., Result]
FAKES = Path(__file__).parents[1] / "fakes.py"


@dataclass(frozen=True)
class Case:
    """An input, what is asked of it, and what must come of it."""

    name: str
    make: Callable[[Path], Path]
    arguments: tuple[str, ...] = ()
    code: int = 0
    words: str = ""  # on stderr
    frames: int | None = None  # of the output; None: there must be none


def whole(path: Path, **settings: object) -> Path:
    return make_clip(path, frames=12, size=(64, 48), **settings).path  # type: ignore[arg-type]


def truncated(folder: Path) -> Path:
    long = make_clip(folder.parent / "long.mkv", frames=96, options={"crf": "1", "g": "12"}).path
    return cut(long, folder / "in.mkv", 0.5)


def empty(folder: Path) -> Path:
    (folder / "in.mp4").touch()
    return folder / "in.mp4"


def text(folder: Path) -> Path:
    (folder / "in.mp4").write_text("these are words, not pictures\n" * 50)
    return folder / "in.mp4"


def sound_only(folder: Path) -> Path:
    with av.open(folder / "in.mp4", "w") as out:
        track = out.add_stream("aac", rate=48_000)
        for number in range(10):
            block = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            block.sample_rate, block.pts = 48_000, 1024 * number
            out.mux(track.encode(block))
        out.mux(track.encode(None))
    return folder / "in.mp4"


def foreign_codec(folder: Path) -> Path:
    """A picture whose codec has no decoder here: an unknown name in the sample description."""
    path = whole(folder / "in.mp4")
    path.write_bytes(path.read_bytes().replace(b"avc1\0", b"zzzz\0").replace(b"avcC", b"zzzC"))
    return path


def ordinary(folder: Path) -> Path:
    return whole(folder / "in.mp4", audio=1)


def hard_link(folder: Path) -> Path:
    (folder / "link.mp4").hardlink_to(ordinary(folder))
    return folder / "in.mp4"


def symlink(folder: Path) -> Path:
    (folder / "link.mp4").symlink_to(ordinary(folder))
    return folder / "in.mp4"


def changing_size(folder: Path) -> Path:
    parts = [make_clip(folder.parent / f"{w}.ts", frames=10, size=(w, 48)).path.read_bytes() for w in (64, 96)]
    (folder / "in.ts").write_bytes(b"".join(parts))
    return folder / "in.ts"


def variable(folder: Path) -> Path:
    times = [Fraction(t, 1000) for t in (0, 40, 55, 120, 160, 300)]
    return make_clip(folder / "in.mkv", times=times, size=(64, 48)).path


def interlaced(folder: Path) -> Path:
    return whole(folder / "in.mp4", options={"x264-params": "tff=1"})


CASES = [
    Case("missing", lambda folder: folder / "in.mp4", code=3, words="does not exist"),
    Case("zero bytes", empty, code=3, words="is empty"),
    Case("text renamed", text, code=3, words="is not a video file"),
    Case("sound only", sound_only, code=3, words="sound but no picture"),
    Case("a folder without videos", lambda folder: folder, code=3, words="no video in the folder"),
    Case("unknown codec in", foreign_codec, code=3, words="this build cannot decode"),
    Case("a picture that changes size", changing_size, code=3, words="changes from 64x48 to 96x48"),
    Case("unknown codec", ordinary, ("--codec", "h266"), 2, "is not a codec here"),
    Case("a misspelled preset", ordinary, ("--preset", "sloow"), 2, "is not a preset"),
    Case(
        "a codec without such a setting", ordinary, ("-o", "out.mov", "--codec", "prores", "--crf", "9"), 2, "no --crf"
    ),
    Case("an unknown pixel format", ordinary, ("--pix-fmt", "yuv42p"), 2, "does not take"),
    Case("an unknown option", ordinary, ("--crff", "18"), 2, "no such option"),
    Case("an unknown device", ordinary, ("--precision", "fp64"), 2, "fp64"),
    Case("a codec the container cannot hold", ordinary, ("-o", "out.webm", "--codec", "h264"), 4, "cannot hold h264"),
    Case("an unknown container", ordinary, ("-o", "out.xyz"), 4, "cannot write"),
    Case("no such folder", ordinary, ("-o", "none/out.mp4"), 4, "no folder"),
    Case("output is the input", ordinary, ("-o", "in.mp4", "-y"), 4, "is the input itself"),
    Case("output is a symlink to it", symlink, ("-o", "link.mp4", "-y"), 4, "is the input itself"),
    Case("output is a hard link to it", hard_link, ("-o", "link.mp4", "-y"), 4, "is the input itself"),
    Case("an odd size no format fits", lambda f: whole(f / "in.mp4"), ("--pix-fmt", "nv16x"), 2, "does not take"),
    Case("truncated", truncated, ("-o", "out.mkv"), 5, "of 96 pictures could be read", frames=-1),
    Case("truncated, strict", truncated, ("-o", "out.mkv", "--strict"), 5, "is damaged"),
    Case("one frame", lambda f: make_clip(f / "in.mp4", frames=1).path, frames=2),
    Case("odd sizes", lambda f: make_clip(f / "in.mkv", frames=6, size=(65, 47), codec="ffv1").path, frames=12),
    Case("ten bits", lambda f: whole(f / "in.mp4", codec="libx265", pix_fmt="yuv420p10le"), frames=24),
    Case("4:4:4", lambda f: whole(f / "in.mp4", pix_fmt="yuv444p"), frames=24),
    Case("alpha", lambda f: whole(f / "in.mkv", codec="ffv1", pix_fmt="yuva444p"), ("--codec", "ffv1"), frames=24),
    Case("variable rate", variable, frames=12),
    Case("rotated", lambda f: whole(f / "in.mp4", rotation=90), frames=24),
    Case("interlaced, as it is", interlaced, ("--deinterlace", "off"), frames=24),
    Case("interlaced, refused", interlaced, ("--deinterlace", "refuse"), 3, "interlaced"),
]


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_every_case(svmv: Call, tmp_path: Path, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "place"
    folder.mkdir()
    monkeypatch.chdir(folder)
    source = case.make(folder)
    before = {path: path.read_bytes() for path in folder.iterdir()}
    result = svmv("upsample", source, *case.arguments)
    assert result.code == case.code, result.stderr
    assert case.words.lower() in result.stderr.lower()
    assert "Traceback" not in result.stderr
    assert {path: path.read_bytes() for path in before} == before
    made = [path for path in folder.iterdir() if path not in before]
    if case.frames is None:
        assert made == []
        if case.code != 2:  # what is written by the parser of the command line is its own
            assert len([line for line in result.stderr.splitlines() if line.startswith("svmv: ")]) == 1
    else:
        assert len(made) == 1
        assert case.frames in (-1, measure(made[0]).frames)


# -- where nothing can be written: in processes of their own --


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(FAKES), "0", *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


# A first run imports everything, before the powers of root are given up: Python's own folder may be root's alone.
POWERLESS = """
import os, sys, svmv_cli.progress
from tests.fakes import Blend, fake_module
sys.modules["svmv_cli.pipeline.interpolate"] = fake_module(Blend())
from svmv_cli.app import app
app(["upsample", sys.argv[1], "--dry-run"], standalone_mode=False)
os.setgroups([]); os.setgid(65534); os.setuid(65534)
app(["upsample", sys.argv[1]])
"""


@pytest.mark.skipif(os.name == "nt" or os.geteuid() != 0, reason="root may become nobody")
def test_an_unwritable_folder(tmp_path: Path) -> None:
    source = ordinary(tmp_path)
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(0o755)
    command = [sys.executable, "-c", POWERLESS, str(source)]
    root = Path(__file__).parents[2]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=root)
    assert done.returncode == 4, done.stderr
    assert "cannot be written to" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["in.mp4"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 300 kB, where one can be mounted."""
    place = tmp_path / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=300k", "tmpfs", str(place)]
    if not shutil.which("mount") or subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("nothing can be mounted here")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_full_disk(small_disk: Path, tmp_path: Path, suffix: str) -> None:
    """Noise takes more than is estimated of a picture, so that the end of the disk is met on the way."""
    source = tmp_path / "in.mkv"
    rng = np.random.default_rng(0)
    with av.open(source, "w") as out:
        stream = out.add_stream("ffv1", rate=24)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for _ in range(48):
            picture = rng.integers(0, 256, (144, 160), dtype=np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="yuv420p")))
        out.mux(stream.encode(None))
    done = run("upsample", source, "-o", small_disk / f"out{suffix}", "--codec", "h264", "--crf", "4")
    assert done.returncode == 4, done.stderr
    assert "the disk is full" in done.stderr
    assert list(small_disk.iterdir()) == []


def test_a_disk_that_is_sure_to_be_too_small(small_disk: Path, tmp_path: Path) -> None:
    source = make_clip(tmp_path / "in.mkv", frames=24, size=(320, 240), codec="ffv1").path
    done = run("upsample", source, "-o", small_disk / "out.mkv", "--codec", "ffv1")
    assert done.returncode == 4
    assert "no room in" in done.stderr
    assert list(small_disk.iterdir()) == []
