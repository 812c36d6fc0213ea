"""Streams that cannot be written to, names that are not UTF-8, and messages of what became of the output."""

import io
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from svmv_cli.errors import OutputError
from svmv_cli.media import partfile
from svmv_cli.pipeline.signals import Interrupted, interruptible
from svmv_cli.standard_streams import Forgiving, Telling
from tests.conftest import Result
from tests.media import make_clip
from tests.reading import read_numbers

Call = Callable[..., Result]


class Full(io.TextIOWrapper):
    """A stream on a disk without room."""

    def __init__(self) -> None:
        super().__init__(io.BytesIO(), encoding="utf-8")

    def write(self, _text: str) -> int:
        raise OSError(28, "No space left on device")


def test_json_names_any_file_in_utf8(svmv: Call, tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("names of files are UTF-8 there")
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xc5\xbc\xe9.mp4"))
    make_clip(tmp_path / "in.mp4", frames=3).path.rename(odd)
    result = svmv("upsample", odd, "--json", "--progress", "json")
    assert "\\u017c\\udce9" in result.stdout
    assert json.loads(result.stdout.encode("ascii"))["source"] == str(odd)
    for line in result.stderr.splitlines():
        assert isinstance(json.loads(line.encode("ascii")), dict)


def test_talk_that_cannot_be_written_is_dropped() -> None:
    talk = Forgiving(Full())
    assert talk.write("a line\n") == 7
    talk.flush()
    talk.write("another\n")


@pytest.mark.parametrize("stream", [Full(), None])
def test_data_that_cannot_be_written_is_told_of(stream: io.TextIOWrapper | None) -> None:
    data = Telling(stream)
    for _ in range(2):
        with pytest.raises(OutputError, match="stdout cannot be written to: ") as failure:
            print("data", file=data)
        assert failure.value.hint == "Files are not affected by that."
    data.flush()
    data.close()


def test_data_is_written_whatever_the_locale() -> None:
    real = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    print("ż", file=Telling(real), flush=True)
    assert real.buffer.getvalue() == b"\\u017c\n"  # type: ignore[attr-defined]


@pytest.mark.parametrize("more", [(), ("--segment", "0.3")])
def test_nothing_is_called_removed_once_it_has_its_name(
    svmv: Call, clip: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]
) -> None:
    def stopped(path: Path) -> None:
        if path == clip.parent:
            raise Interrupted(signal.SIGTERM)

    monkeypatch.setattr(partfile, "sync", stopped)
    result = svmv("upsample", clip, *more)
    assert (result.code, result.stderr.splitlines()[-1]) == (143, "svmv: stopped by SIGTERM")
    assert len(read_numbers(clip.with_name("in_2x.mp4"))) == 48


@pytest.mark.skipif(os.name == "nt", reason="signals of another kind")
def test_a_closed_terminal_may_say_so_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    ended: list[int] = []
    monkeypatch.setattr(os, "_exit", ended.append)
    with interruptible():
        with pytest.raises(Interrupted):
            os.kill(os.getpid(), signal.SIGHUP)
        os.kill(os.getpid(), signal.SIGHUP)
        assert not ended
        os.kill(os.getpid(), signal.SIGTERM)
    assert ended == [143]


@pytest.mark.skipif(os.name == "nt", reason="signals of another kind")
def test_nohup_is_heeded() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interruptible():
            os.kill(os.getpid(), signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
