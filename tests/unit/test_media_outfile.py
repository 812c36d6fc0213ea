"""A file appears whole or not at all, and replaces nothing unasked."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from svmv_cli.errors import ExitCode, OutputError
from svmv_cli.media import partfile, passthrough
from svmv_cli.media.frame import Frame, PixelFormat
from svmv_cli.media.info import MediaInfo
from svmv_cli.media.outputs import choose_output, measure_output, open_writer
from svmv_cli.media.partfile import part_of, publish
from svmv_cli.media.probe import probe
from svmv_cli.media.segment import SegmentWriter
from svmv_cli.media.target import Target, choose_target
from svmv_cli.media.track import Pace
from svmv_cli.media.verify import measure
from svmv_cli.media.writer import VideoWriter
from svmv_cli.timeline import Clock
from tests.media import draw, make_clip
from tests.writing import frame, only_source, ready


def test_only_the_part_exists_until_it_is_finished(tmp_path: Path) -> None:
    target, info = ready(tmp_path)
    with VideoWriter(target, info) as writer:
        writer.write(frame(0))
        assert part_of(target.path).exists()
        assert part_of(target.path).name == ".out.svmv-part.mp4"
        assert not target.path.exists()
        writer.finish()
        assert target.path.exists()
        assert not part_of(target.path).exists()
    assert measure(target.path).frames == 1


@pytest.mark.parametrize("frames", [0, 1, 60])
def test_an_exception_leaves_nothing(tmp_path: Path, frames: int) -> None:
    target, info = ready(tmp_path)
    with pytest.raises(RuntimeError, match="elsewhere"):
        _broken_off(target, info, frames=frames)
    assert only_source(tmp_path)


def _broken_off(target: Target, info: MediaInfo, *, frames: int) -> None:
    with VideoWriter(target, info) as writer:
        for number in range(frames):
            writer.write(frame(number))
        raise RuntimeError("elsewhere")


def test_leaving_without_finish_leaves_nothing(tmp_path: Path) -> None:
    target, info = ready(tmp_path)
    with VideoWriter(target, info) as writer:
        writer.write(frame(0))
    assert only_source(tmp_path)
    with pytest.raises(ValueError, match="inside its `with`"):
        writer.write(frame(1))


def test_no_frame_is_no_file(tmp_path: Path) -> None:
    target, info = ready(tmp_path)
    with pytest.raises(OutputError, match="no frame"), VideoWriter(target, info) as writer:
        writer.finish()
    assert only_source(tmp_path)


def test_an_existing_file_is_refused(tmp_path: Path) -> None:
    target, info = ready(tmp_path)
    target.path.write_bytes(b"precious")
    with pytest.raises(OutputError, match="exists already") as caught, VideoWriter(target, info):
        pass
    assert caught.value.exit_code == ExitCode.OUTPUT
    assert target.path.read_bytes() == b"precious"
    assert not part_of(target.path).exists()


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_appears_meanwhile_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    if not links:
        monkeypatch.setattr(Path, "hardlink_to", _no_links)
    target, info = ready(tmp_path)
    with VideoWriter(target, info) as writer:
        writer.write(frame(0))
        target.path.write_bytes(b"precious")
        with pytest.raises(OutputError, match="exists already"):
            writer.finish()
    assert target.path.read_bytes() == b"precious"
    assert not part_of(target.path).exists()


def _no_links(*_: object) -> None:
    raise OSError(errno.EPERM, "no links here")


def test_published_without_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Path, "hardlink_to", _no_links)
    (tmp_path / "part").write_bytes(b"whole")
    publish(tmp_path / "part", tmp_path / "final", overwrite=False)
    assert (tmp_path / "final").read_bytes() == b"whole"
    assert not (tmp_path / "part").exists()


def test_overwrite_replaces_at_the_end_only(tmp_path: Path) -> None:
    target, info = ready(tmp_path)
    target.path.write_bytes(b"old")
    with VideoWriter(target, info, overwrite=True) as writer:
        writer.write(frame(0))
        assert target.path.read_bytes() == b"old"
        writer.finish()
    assert measure(target.path).frames == 1


def test_two_runs_do_not_write_one_file(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    target, info = ready(tmp_path)
    part_of(target.path).write_bytes(b"left by a run that was killed")
    with VideoWriter(target, info) as writer:
        writer.write(frame(0))
        with pytest.raises(OutputError, match="another run is at work"), VideoWriter(target, info):
            pass
        writer.finish()
    assert measure(target.path).frames == 1
    with VideoWriter(target, info, overwrite=True) as writer:
        writer.write(frame(0))
    with VideoWriter(target, info, overwrite=True) as writer:
        writer.write(frame(0))
        writer.finish()


@pytest.mark.parametrize("there", [True, False])
def test_a_link_stays_one(tmp_path: Path, there: bool) -> None:
    place = tmp_path / "elsewhere"
    place.mkdir()
    target, info = ready(tmp_path)
    if there:
        (place / "real.mp4").write_bytes(b"old")
    target.path.symlink_to(place / "real.mp4")
    with VideoWriter(target, info, overwrite=there) as writer:
        writer.write(frame(0))
        writer.finish()
    assert target.path.readlink() == place / "real.mp4"
    assert measure(place / "real.mp4").frames == 1


def test_missing_and_read_only_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target, info = ready(tmp_path, "deep/out.mp4")
    with pytest.raises(OutputError, match="does not exist"), VideoWriter(target, info):
        pass

    def refuse(*_: object) -> None:  # root may write anywhere, so it is said to us
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "touch", refuse)
    with pytest.raises(OutputError, match="cannot be written to"), VideoWriter(target, info):
        pass


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("suffix", [".mkv", ".mp4"])
def test_a_full_disk_is_told_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    """The part file is a way to /dev/full, which takes no byte, as a disk without room."""

    def full(path: Path) -> tuple[Path, partfile.Claim]:
        part = partfile.part_of(path)
        part.symlink_to("/dev/full")
        return part, partfile.Claim(tmp_path, output=path)

    monkeypatch.setattr("svmv_cli.media.writer.create_part", full)
    target, info = ready(tmp_path, f"out{suffix}")
    with pytest.raises(OutputError, match="the disk is full") as caught:
        _written_with_noise(target, info, frames=200)
    assert caught.value.hint
    assert only_source(tmp_path)


def _written_with_noise(target: Target, info: MediaInfo, *, frames: int) -> None:
    rng = np.random.default_rng(0)
    with VideoWriter(target, info) as writer:
        for number in range(frames):
            noisy = rng.integers(16, 235, (64, 96), dtype=np.uint8)
            writer.write(replace(frame(number), planes=(noisy, *frame(number).planes[1:])))
        writer.finish()


@pytest.mark.skipif(os.name == "nt", reason="no resource limits on Windows")
def test_a_file_that_may_not_grow_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    """As above with a file that takes some bytes and then no more, in a process of its own."""
    make_clip(tmp_path / "source.mp4", frames=60, size=(192, 108), options={"crf": "1"})
    program = textwrap.dedent("""
        import resource, sys
        from pathlib import Path
        from svmv_cli.errors import OutputError
        from tests.media import repeated
        resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, 60_000))
        try:
            repeated(Path(sys.argv[1]), Path(sys.argv[2]), factor=4)
        except OutputError as error:
            print(error.message)
    """)
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "source.mp4", tmp_path / "out.mkv"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        cwd=Path(__file__).parents[2],
    )
    assert "grew larger than" in done.stdout
    assert done.stderr == ""
    assert only_source(tmp_path)


# -- headers that are refused --


@pytest.mark.parametrize("audio", [0, 1])
def test_a_refused_header_is_told_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, audio: int
) -> None:
    """Sound comes first, as its packets wait for no encoder: its refusal is not to be taken for a torn packet."""
    refused = {"id": 1, "start": -1, "end": 1, "time_base": Fraction(1, 10), "metadata": {}}
    monkeypatch.setattr(passthrough, "moved_chapter", lambda *_, **__: refused)
    info = probe(make_clip(tmp_path / "source.mp4", audio=audio, chapters=True).path)
    target = choose_target(info, path=tmp_path / "out.mkv", clock=Clock(Fraction(0)), rate=Fraction(24), encoder="cpu")
    with pytest.raises(OutputError, match="failed") as caught:
        _written(target, info)
    assert caught.value.exit_code == ExitCode.OUTPUT
    assert only_source(tmp_path)


def _written(target: Target, info: MediaInfo) -> None:
    with VideoWriter(target, info) as writer:
        for number in range(60):
            writer.write(frame(number))
        writer.finish()


# -- names --


@pytest.mark.parametrize(
    "name", ["a: b.mp4", "a: b.mkv", "a:b.ts", "a:b.gif", "a:b.apng", "a:b.webp", "a:b.y4m", "a:b/%02d.png"]
)
def test_a_name_that_looks_like_a_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    info = probe(make_clip(tmp_path / "source.mp4", frames=3).path)
    target = choose_output(info, path=Path(name), clock=Clock(Fraction(0)), rate=Fraction(24))
    given = PixelFormat.parse("gbrp" if target.pix_fmt.startswith(("rgb", "gbr")) else "yuv420p")
    found: list[int] = []
    with open_writer(target, info, overwrite=False) as writer:
        for number in range(3):
            planes = draw(number, size=(96, 64), pix_fmt=given.name)
            writer.write(Frame(Fraction(number, 24), Fraction(1, 24), given, planes))
        writer.finish(lambda part, _: found.append(measure_output(target, part).frames))
    assert found == [3]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([Path(name).parts[0], "source.mp4"])


def test_a_segment_whose_name_looks_like_a_protocol(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    target, info = ready(tmp_path)
    pace = Pace.of(target, info, first=Fraction(0), step=Fraction(1, 24))
    writer = SegmentWriter(Path("a:b.mkv"), target, info, pace=pace)
    writer.write(frame(0))
    assert len(writer.finish().stamps) == 1
