"""The ways to watch a run: a bar, plain lines, JSON lines. Knows no video and starts no thread."""

import json
import sys
import time
from dataclasses import dataclass
from fractions import Fraction
from typing import Literal

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from svmv_cli.pipeline import report
from svmv_cli.pipeline.records import Json
from svmv_cli.terminal import clock, say, stderr

ProgressKind = Literal["auto", "bar", "plain", "json", "none"]
_REDRAW = 0.1  # s
_LINE_EVERY = 5.0  # s
_EVENT_EVERY = 1.0  # s


def make_progress(kind: ProgressKind, *, quiet: bool) -> report.Progress:
    """Who watches a run: on a terminal a bar, elsewhere a line now and then, or what was asked for."""
    if quiet and kind in {"none", "auto"}:
        return report.Silent()
    if kind == "none":
        return NotesOnly()
    if kind == "json":
        return JsonProgress()
    if kind == "bar" or (kind == "auto" and stderr().is_terminal):
        return BarProgress()
    return PlainProgress()


@dataclass(slots=True)
class _Pace:
    """How fast a file is coming along."""

    name: str
    frames: int | None  # None: nobody knows yet
    seconds: Fraction | None  # s, of output; likewise
    began: float  # s
    done: int = 0
    skipped: int = 0  # of those done, made by earlier runs

    @property
    def fps(self) -> float:
        """Output frames per second of wall time."""
        return (self.done - self.skipped) / max(time.monotonic() - self.began, 1e-9)

    def skip(self, frames: int) -> None:
        """Count frames that earlier runs made."""
        self.done, self.skipped = self.done + frames, self.skipped + frames

    @property
    def speed(self) -> float | None:
        """Output seconds per second of wall time; None where the whole is not known."""
        if self.frames is None or self.seconds is None:
            return None
        return self.fps * float(self.seconds) / max(self.frames, 1)

    @property
    def left(self) -> float | None:
        """Seconds to go; None before the first frame, and where the whole is not known."""
        return max(0, self.frames - self.done) / self.fps if self.fps and self.frames is not None else None

    def line(self) -> str:
        """Everything in one line."""
        if self.frames is None or self.speed is None:
            return f"{self.done} frames, {self.fps:.1f} fps"
        eta = "--:--" if self.left is None else clock(self.left)
        return (
            f"{self.done}/{self.frames} frames ({100 * self.done // max(self.frames, 1)}%), "
            f"{self.fps:.1f} fps, {self.speed:.2f}x, ETA {eta}"
        )


class NotesOnly(report.Silent):
    """No progress, but what there is to know about the result."""

    def note(self, text: str) -> None:
        """A line of its own."""
        say(f"note: {text}")


class PlainProgress(NotesOnly):
    """A whole line every few seconds, without control characters: for logs."""

    def __init__(self) -> None:
        self._pace: _Pace | None = None
        self._told = 0.0

    def start(self, *, name: str, frames: int | None, seconds: Fraction | None) -> None:
        """Begin a file."""
        self._told = time.monotonic()
        self._pace = _Pace(name, frames, seconds, self._told)

    def advance(self, frames: int) -> None:
        """Count, and now and then print a line."""
        if self._pace is None:
            return
        self._pace.done += frames
        if time.monotonic() - self._told >= _LINE_EVERY:
            self._told = time.monotonic()
            say(f"{self._pace.name}: {self._pace.line()}")

    def skip(self, frames: int) -> None:
        """Count what earlier runs made."""
        if self._pace is not None:
            self._pace.skip(frames)

    def stop(self) -> None:
        """The last line."""
        if self._pace is not None:
            say(f"{self._pace.name}: {self._pace.line()}")
        self._pace = None


class BarProgress:
    """A bar on a terminal. Drawn from `advance`, so that no thread of rich's lives beside the run."""

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._task = TaskID(0)
        self._pace: _Pace | None = None
        self._drawn = 0.0

    def start(self, *, name: str, frames: int | None, seconds: Fraction | None) -> None:
        """Begin a file."""
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[line]}"))
        self._pace = _Pace(name, frames, seconds, time.monotonic())
        self._bar = Progress(*columns, console=Console(stderr=True, highlight=False), auto_refresh=False)
        self._task = self._bar.add_task(escape(name), total=frames, line=self._pace.line())
        self._bar.start()

    def advance(self, frames: int) -> None:
        """Count, and draw when enough time has passed."""
        if self._bar is None or self._pace is None:
            return
        self._pace.done += frames
        if time.monotonic() - self._drawn >= _REDRAW:
            self._draw()

    def skip(self, frames: int) -> None:
        """Count what earlier runs made."""
        if self._pace is not None:
            self._pace.skip(frames)

    def note(self, text: str) -> None:
        """A line above the bar."""
        if self._bar is not None:
            self._bar.console.print(f"note: {escape(text)}")

    def stop(self) -> None:
        """Draw once more and leave the bar where it is."""
        if self._bar is not None:
            self._draw()
            self._bar.stop()
        self._bar = self._pace = None

    def _draw(self) -> None:
        if self._bar is not None and self._pace is not None:
            self._drawn = time.monotonic()
            self._bar.update(self._task, completed=self._pace.done, line=self._pace.line())
            self._bar.refresh()


class JsonProgress:
    """One JSON object per line on stderr: start, progress, note, stop."""

    def __init__(self) -> None:
        self._pace: _Pace | None = None
        self._told = 0.0

    def start(self, *, name: str, frames: int | None, seconds: Fraction | None) -> None:
        """Begin a file."""
        self._told = time.monotonic()
        self._pace = _Pace(name, frames, seconds, self._told)
        length = None if seconds is None else float(seconds)
        self._event({"event": "start", "output": name, "frames": frames, "seconds": length})

    def advance(self, frames: int) -> None:
        """Count, and tell about once a second."""
        if self._pace is None:
            return
        self._pace.done += frames
        if time.monotonic() - self._told >= _EVENT_EVERY:
            self._tell("progress")

    def skip(self, frames: int) -> None:
        """Count what earlier runs made."""
        if self._pace is not None:
            self._pace.skip(frames)

    def note(self, text: str) -> None:
        """An event of its own."""
        self._event({"event": "note", "text": text})

    def stop(self) -> None:
        """The last state."""
        if self._pace is not None:
            self._tell("stop")
        self._pace = None

    def _tell(self, event: str) -> None:
        if self._pace is None:
            return
        self._told = time.monotonic()
        pace = self._pace
        speed = None if pace.speed is None else round(pace.speed, 4)
        left = None if pace.left is None else round(pace.left, 1)
        numbers: dict[str, Json] = {"done": pace.done, "frames": pace.frames, "fps": round(pace.fps, 3)}
        rest: dict[str, Json] = {"speed": speed, "eta": left}
        self._event({"event": event, "output": pace.name, **numbers, **rest})

    def _event(self, data: dict[str, Json]) -> None:
        sys.stderr.write(json.dumps(data) + "\n")
        sys.stderr.flush()
