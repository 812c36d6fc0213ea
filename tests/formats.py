"""Makes docs/formats.md (`python -m tests.formats > docs/formats.md`), every mark of a file made, run and read back."""

from __future__ import annotations

import contextlib
import io
import sys
import tempfile
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from svmv_cli.media.info import ColorInfo
from tests.kept import LOST, NONE, compared, read
from tests.media import make_clip
from tests.rows import make_row
from tests.tracks import with_cover, with_timecode, with_track

Run = Callable[..., tuple[int, str]]  # the command: arguments → exit code, what it said
_HDR = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400"


@dataclass(frozen=True)
class Row:
    """One kind of input and one way through the command."""

    name: str
    make: Callable[[Path], Path]
    outputs: tuple[str, ...]  # suffixes
    arguments: tuple[str, ...] = ()
    factor: int = 2
    stretch: int = 1
    start: Fraction = Fraction(0)  # s

    @property
    def way(self) -> str:
        """The options as typed."""
        return " ".join(self.arguments)


def clip(suffix: str, **settings: object) -> Callable[[Path], Path]:
    """A maker of 36 numbered pictures at 24 fps in a file of its own."""
    options: dict[str, object] = {"frames": 36, "size": (64, 48), **settings}
    return lambda folder: make_clip(folder / f"in{suffix}", **options).path  # type: ignore[arg-type]


def rich(suffix: str) -> Callable[[Path], Path]:
    """Two or three sound tracks, subtitles, chapters, a font and a title, as far as the container holds them."""
    if suffix == ".mkv":
        return clip(suffix, audio=3, subtitles=True, chapters=True, attachment=b"a font", title="A title")
    return clip(suffix, audio=2, chapters=suffix in {".mp4", ".mov"}, title="A title" if suffix != ".ts" else None)


def gopro(folder: Path) -> Path:
    """A file with the one private track that is known by its handler."""
    return with_track(folder / "in.mp4", "bin_data", handler="GoPro MET")


def row(pix_fmt: str) -> Callable[[Path], Path]:
    """A maker of numbered pictures in files of their own."""
    return lambda folder: make_row(folder / "in", pix_fmt=pix_fmt, size=(64, 48)) / "%05d.png"


def y4m(folder: Path) -> Path:
    """Raw pictures with a header."""
    return make_clip(folder / "in.y4m", frames=12, size=(64, 48), codec="wrapped_avframe").path


PRORES = clip(".mov", codec="prores_ks", pix_fmt="yuva444p10le")
_X265 = {"preset": "ultrafast", "x265-params": "log-level=none:pools=1"}
_VP9 = {"cpu-used": "8", "deadline": "realtime"}
_VFR = [Fraction(t, 1000) for t in (0, 40, 55, 120, 160, 300, 333, 400, 480, 500)]

_PRESETS = {".webm": "8", **dict.fromkeys((".mp4", ".mkv", ".mov", ".ts"), "ultrafast")}

ROWS = (
    Row("MKV: 3 × AAC, SRT, chapters, font", rich(".mkv"), (".mkv", ".mp4", ".mov", ".webm", ".ts")),
    Row("MKV, the same", rich(".mkv"), (".mkv", ".mp4"), ("--slow", "4"), factor=4, stretch=4),
    Row("MKV, the same", rich(".mkv"), (".mkv", ".mp4"), ("--start", "0.5"), start=Fraction(1, 2)),
    Row("MP4: 2 × AAC, chapters", rich(".mp4"), (".mp4", ".mkv", ".mov", ".webm")),
    Row("MP4 with cover art", lambda folder: with_cover(folder, ".mp4"), (".mp4", ".mkv", ".mov")),
    Row("MP4, picture from 0.5 s", clip(".mp4", audio=1, start_offset=Fraction(1, 2)), (".mp4", ".mkv")),
    Row("MP4, sound from 0.3 s", clip(".mp4", audio=1, audio_start=Fraction(3, 10)), (".mp4", ".ts")),
    Row(
        "MP4 with a GoPro track", lambda f: with_track(f / "in.mp4", "bin_data", handler="GoPro MET"), (".mp4", ".mkv")
    ),
    Row("MP4 with DVD subtitles", lambda f: with_track(f / "in.mp4", "dvd_subtitle"), (".mp4", ".mkv", ".webm")),
    Row("MOV: 2 × PCM, chapters", clip(".mov", audio=2, audio_codec="pcm_s16le", chapters=True), (".mov", ".mp4")),
    Row("MOV with timecode", lambda f: with_timecode(f / "in.mov", "01:00:00:10", rate=Fraction(24)), (".mov", ".mkv")),
    Row("TS: 2 × AAC", rich(".ts"), (".ts", ".mp4", ".mkv")),
    Row("TS with KLV", lambda folder: with_track(folder / "in.ts", "klv"), (".ts", ".mp4")),
    Row("WebM: VP9, Opus", clip(".webm", codec="libvpx-vp9", options=_VP9, audio=1), (".webm", ".mp4")),
    Row("AVI: MPEG-4, MP2", clip(".avi", codec="mpeg4", audio=1, audio_codec="mp2", bframes=False), (".mkv", ".mp4")),
    Row("23.976 fps", clip(".mp4", rate=Fraction(24000, 1001), audio=1), (".mp4", ".mkv")),
    Row("Variable rate", clip(".mkv", times=_VFR, audio=1), (".mkv", ".mp4", ".webm")),
    Row("H.264, full range", clip(".mp4", color=ColorInfo(1, 1, 1, full_range=True)), (".mp4", ".mkv", ".webm")),
    Row("H.264, BT.601", clip(".mp4", color=ColorInfo(5, 6, 5)), (".mp4", ".mkv", ".ts", ".webm")),
    Row("H.264, 4:2:2, 10 bits", clip(".mp4", pix_fmt="yuv422p10le"), (".mp4", ".mkv", ".webm")),
    Row("H.264, 4:4:4", clip(".mp4", pix_fmt="yuv444p"), (".mp4", ".mkv")),
    Row(
        "HEVC, HDR10",
        clip(
            ".mp4",
            codec="libx265",
            pix_fmt="yuv420p10le",
            color=ColorInfo(9, 16, 9),
            options={**_X265, "x265-params": f"log-level=none:pools=1:{_HDR}"},
        ),
        (".mp4", ".mkv", ".mov", ".ts", ".webm"),
    ),
    Row(
        "HEVC, HLG",
        clip(".mp4", codec="libx265", pix_fmt="yuv420p10le", color=ColorInfo(9, 18, 9), options=_X265),
        (".mp4", ".mkv"),
    ),
    Row("ProRes 4:2:2", clip(".mov", codec="prores_ks", pix_fmt="yuv422p10le"), (".mov",), ("--codec", "prores")),
    Row("ProRes 4:4:4:4, alpha", PRORES, (".mov",), ("--codec", "prores")),
    Row("ProRes 4:4:4:4, alpha", PRORES, (".mp4",)),
    Row("VP9, alpha", clip(".webm", codec="libvpx-vp9", pix_fmt="yuva420p", options=_VP9), (".webm", ".mp4")),
    Row("FFV1, RGB", clip(".mkv", codec="ffv1", pix_fmt="gbrp10le"), (".mkv",), ("--codec", "ffv1")),
    Row("Pixels 32:27", clip(".mp4", sample_aspect_ratio=Fraction(32, 27)), (".mp4", ".mkv", ".webm", ".ts")),
    Row("Rotated by 90°", clip(".mp4", rotation=90), (".mp4", ".mkv", ".mov", ".webm", ".ts")),
    Row("PNG, 8 bits", row("rgb24"), ("%05d.png", ".mp4", ".mkv")),
    Row("PNG, 16 bits, alpha", row("rgba64be"), ("%05d.png",)),
    Row("Y4M", y4m, (".y4m", ".mp4")),
    Row("MP4 to pictures", clip(".mp4", audio=1), ("%05d.png", ".gif", ".apng")),
    Row("Odd size, 65 × 47", clip(".mkv", codec="ffv1", size=(65, 47)), (".mp4", ".webm")),
)

HEAD = """\
# What is kept

Made by `make formats`: each line is a file made for it, upsampled by the command and read back; nothing is typed in.
The first column is the input, the second the options and the output's extension.

✓ kept · converted: in another form · **lost** · empty: the input has none of it. *Frames*: as many as planned, none
lost. *Times*: every source picture at its own time, within 2 ms. *A/V sync*: clicks against the pictures of their time,
at the start and at the end, within half an output frame; in slow motion within 30 ms more for each time the length is
added once more, which is what stretching sound at its pitch moves a click by.
"""


def table(rows: Iterable[Row], run: Run, folder: Path) -> str:
    """The document.

    Args:
        rows: what is tried.
        run: the command.
        folder: an empty one to work in.
    """
    lines: list[str] = []
    told: list[str] = []
    names: list[str] = []
    for number, row in enumerate(rows):
        place = folder / str(number)
        place.mkdir()
        source = row.make(place)
        before = read(source)
        for suffix in row.outputs:
            made = place / (f"out/{suffix}" if suffix[0] == "%" else f"out{suffix}")
            plain = "--codec" in row.arguments or suffix not in _PRESETS
            quick = () if plain else ("--preset", _PRESETS[suffix])
            code, said = run("upsample", source, "-o", made, *row.arguments, *quick)
            way = f"{row.way} {suffix}".strip()
            if code:
                raise RuntimeError(f"{row.name}, {way}: exit code {code}\n{said}")
            marks = compared(before, read(made), factor=row.factor, stretch=row.stretch, start=row.start)
            if suffix[0] == "%":  # pictures alone have no time
                marks |= dict.fromkeys(("duration", "times"), NONE)
            names = list(marks)
            lines.append(f"| {row.name} | {way} | {' | '.join(marks.values())} |")
            lost = [name for name, mark in marks.items() if mark == LOST]
            if lost:
                told.append(f"- {row.name}, {way}: {', '.join(lost)}. {_reasons(said)}")
    head = ["input", "output", *names]
    parts = [HEAD, _line(head), _line(["---"] * 2 + [":-:"] * len(names)), *lines, "", "## What is lost, and why", ""]
    parts += ["The second half of a line is what the command says, before the work or after.", "", *told]
    return "\n".join(parts) + "\n"


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _reasons(said: str) -> str:
    notes = [line.removeprefix("note: ") for line in said.splitlines() if line.startswith("note: ")]
    wanted = [note for note in notes if not note.startswith("converted")]
    return f"“{'; '.join(wanted)}”" if wanted else "Not told."


def command(*words: object) -> tuple[int, str]:
    """The command in this process."""
    from svmv_cli.app import app

    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        try:
            app([str(word) for word in words], standalone_mode=True)
        except SystemExit as end:
            return int(end.code or 0), said.getvalue()
    return 0, said.getvalue()


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        sys.stdout.write(table(ROWS, command, Path(place)))
