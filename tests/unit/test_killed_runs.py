"""What runs that were killed in the middle of their last steps leave, and what the next ones make of it."""

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from svmv_cli.errors import OutputError
from svmv_cli.media.partfile import create_part, part_of, publish
from svmv_cli.media.sequence_writer import _move_all
from svmv_cli.pipeline.prefetch import prefetch
from svmv_cli.pipeline.workfolder import Identity, WorkFolder, folder_of

IDENTITY = Identity("f", "p", "s", "o", "n")


def test_an_output_that_still_has_its_other_name_is_not_written_into(tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    output.write_bytes(b"whole")
    part_of(output).hardlink_to(output)  # killed between giving the name and taking the other away
    part, claim = create_part(output)
    part.write_bytes(b"new")
    assert output.read_bytes() == b"whole"
    publish(part, output, overwrite=True)
    claim.release()
    assert output.read_bytes() == b"new"
    assert [path.name for path in tmp_path.iterdir()] == ["out.mkv"]


def test_a_part_that_was_put_in_its_place_meanwhile_is_not_claimed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fcntl = pytest.importorskip("fcntl")
    output = tmp_path / "out.mkv"
    part_of(output).write_bytes(b"almost whole")
    real = fcntl.flock

    def late(descriptor: int, how: int) -> None:
        part_of(output).replace(output)
        real(descriptor, how)

    monkeypatch.setattr(fcntl, "flock", late)
    with pytest.raises(OutputError, match="another run is at work"):
        create_part(output)
    assert output.read_bytes() == b"almost whole"


@pytest.mark.parametrize("gone", range(6))
def test_a_folder_that_was_being_removed_is_known_for_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, gone: int
) -> None:
    output = tmp_path / "out.mkv"
    work = WorkFolder(output, IDENTITY, resume=True)
    for name in ("00000.mkv", "00000.json", "00001.mkv.part"):
        (work.path / name).write_bytes(b"x")
    unlink, calls = Path.unlink, 0

    def killed(path: Path, missing_ok: bool = False) -> None:
        nonlocal calls
        calls += 1
        if calls > gone:
            raise OSError("killed")
        unlink(path, missing_ok=missing_ok)

    monkeypatch.setattr(Path, "unlink", killed)
    work.discard()
    monkeypatch.undo()
    after = WorkFolder(output, IDENTITY, resume=True)
    assert after.marks == []
    after.discard()
    assert list(tmp_path.iterdir()) == []


def test_what_was_let_go_is_not_removed_under_another_run(tmp_path: Path) -> None:
    output = tmp_path / "out.mkv"
    first = WorkFolder(output, IDENTITY, resume=True)
    first.discard()
    second = WorkFolder(output, IDENTITY, resume=True)
    first.discard()
    assert (folder_of(output) / "plan.json").exists()
    second.discard()


def test_a_signal_while_pictures_move_leaves_one_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    part, folder, names = tmp_path / "part", tmp_path / "row", [f"{n}.png" for n in range(5)]
    for each, content in ((part, "new"), (folder, "old")):
        each.mkdir()
        for name in names:
            (each / name).write_text(content)
    replace, calls = Path.replace, 0

    def interrupted(path: Path, target: Path) -> Path:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return replace(path, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        _move_all(names, part, folder)
    assert [(folder / name).read_text() for name in names] == ["new"] * 5


def test_a_signal_while_a_thread_is_ended_does_not_leave_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow() -> Iterator[int]:
        for n in range(3):
            yield n
            time.sleep(0.05)

    join, calls = threading.Thread.join, 0

    def interrupted(thread: threading.Thread, timeout: float | None = None) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise KeyboardInterrupt
        join(thread, timeout)

    monkeypatch.setattr(threading.Thread, "join", interrupted)
    with pytest.raises(KeyboardInterrupt), prefetch(slow(), 1, name="interrupted") as items:
        next(items)
    assert not [thread for thread in threading.enumerate() if thread.name == "svmv-interrupted"]
