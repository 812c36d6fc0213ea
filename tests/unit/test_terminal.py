import io
import json
from fractions import Fraction
from typing import cast

import pytest

from svmv_cli import terminal
from svmv_cli.errors import InputError
from svmv_cli.pipeline.report import Progress, Silent
from svmv_cli.progress import BarProgress, JsonProgress, NotesOnly, PlainProgress, make_progress


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def watch(progress: Progress, *, frames: int = 10) -> None:
    progress.start(name="out [1].mp4", frames=frames, seconds=Fraction(2))
    progress.note("a [note]")
    for _ in range(frames):
        progress.advance(1)
    progress.stop()
    progress.stop()


def test_plain_lines_have_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    watch(PlainProgress())
    out, err = capsys.readouterr()
    assert not out
    assert "\r" not in err
    assert "\x1b" not in err
    assert err.splitlines()[0] == "note: a [note]"
    assert err.splitlines()[1].startswith("out [1].mp4: 10/10 frames (100%), ")
    assert "ETA 0:00" in err


def test_plain_lines_come_every_few_seconds(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    progress = PlainProgress()
    progress.start(name="o", frames=100, seconds=Fraction(4))
    for _ in range(30):
        now += 1
        progress.advance(1)
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 6
    assert lines[0] == "o: 5/100 frames (5%), 1.0 fps, 0.04x, ETA 1:35"


def test_a_bar_is_drawn_and_shows_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr("sys.stderr", stream)
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.setenv("TERM", "xterm")
    watch(BarProgress())
    drawn = stream.getvalue()
    for word in ("out [1].mp4", "10/10 frames (100%)", "fps", "x, ETA 0:00", "note: a [note]"):
        assert word in drawn


def test_json_lines_parse(capsys: pytest.CaptureFixture[str]) -> None:
    watch(JsonProgress())
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [event["event"] for event in events] == ["start", "note", "stop"]
    assert events[-1]["done"] == events[-1]["frames"] == 10
    assert events[-1]["eta"] == 0


def test_the_kind_follows_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert isinstance(make_progress("auto", quiet=False), PlainProgress)
    assert isinstance(make_progress("auto", quiet=True), Silent)
    assert isinstance(make_progress("none", quiet=False), NotesOnly)
    assert type(make_progress("none", quiet=True)) is Silent
    assert isinstance(make_progress("json", quiet=True), JsonProgress)
    monkeypatch.setattr("sys.stderr", Terminal())
    monkeypatch.setenv("TERM", "xterm")
    assert isinstance(make_progress("auto", quiet=False), BarProgress)
    assert isinstance(make_progress("plain", quiet=False), PlainProgress)


def test_an_error_is_a_sentence_and_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.print_error(InputError("[x].mp4 is empty", hint="Give [another]."), source="[x].mp4")
    out, err = capsys.readouterr()
    assert not out
    assert err == "svmv: [x].mp4 is empty\n      Give [another].\n"
    terminal.print_error(InputError("no video"), source="y.mp4", debug=True)
    assert "svmv: y.mp4: no video" in capsys.readouterr().err


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00"), (59.9, "0:59"), (61, "1:01"), (3725, "1:02:05")])
def test_durations_read_like_a_clock(seconds: float, text: str) -> None:
    assert terminal.clock(seconds) == text


def test_json_goes_to_stdout_alone(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.print_json({"ö": [1, None]})
    out, err = capsys.readouterr()
    assert cast(object, json.loads(out)) == {"ö": [1, None]}
    assert not err
