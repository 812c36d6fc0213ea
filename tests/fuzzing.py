"""Small real files broken at random, and the command run on them: python -m tests.fuzzing FOLDER --cases N --seed S.

One process runs many cases, so that a crash of the interpreter, a hang or a run out of memory ends it; whoever
started it sees that by its exit code, and by the last line which case it was. Each line is one case as JSON.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import re
import resource
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random

from tests.fakes import Blend, fake_module
from tests.media import make_clip

SECONDS = 20  # of computing, per case
PATIENCE = 120  # s per case by the clock, on a machine that others use too
MEMORY = 2 << 30  # bytes of address space
KINDS = (".mp4", ".mkv", ".ts", ".avi", ".webm")
# What a size stands in front of (ISO boxes) or behind (RIFF chunks, EBML elements; in a TS, packet headers).
BOXES = (
    b"moov trak mdia minf stbl stts stsz stco stsc ctts stss edts elst mdat mvhd tkhd mdhd hdlr avcC esds udta".split()
)
CHUNKS = b"RIFF LIST hdrl strl strf movi idx1 00dc 01wb G@ GA".split()
ELEMENTS = [bytes.fromhex(name) for name in ("1f43b675", "1654ae6b", "1c53bb6b", "1941a469", "18538067", "63a2", "a3")]
FINE = {0, 2, 3, 4, 5}  # neither 1, the unforeseen, nor 6, out of memory


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one case came to."""

    case: str
    code: int
    seconds: float
    fault: str  # empty: as it should be
    said: str


def base_files(folder: Path) -> dict[str, bytes]:
    """One small file of each kind, with as many kinds of stream as it holds."""
    frames = 14
    size = (64, 48)
    quick = {"preset": "ultrafast", "g": "7"}
    vp9 = {"cpu-used": "8", "deadline": "realtime", "g": "7"}
    make_clip(folder / "a.mp4", frames=frames, size=size, options={"g": "7"}, audio=2, chapters=True, title="Title")
    make_clip(
        folder / "a.mkv", frames=frames, size=size, options={"g": "7"}, audio=1, subtitles=True, attachment=b"f" * 99
    )
    make_clip(folder / "a.ts", frames=frames, size=size, options=quick, audio=1)
    make_clip(folder / "a.avi", frames=frames, size=size, codec="mpeg4", audio=1, audio_codec="mp2", bframes=False)
    make_clip(folder / "a.webm", frames=frames, size=size, codec="libvpx-vp9", options=vp9, audio=1)
    return {kind: (folder / f"a{kind}").read_bytes() for kind in KINDS}


def flipped(content: bytearray, random: Random) -> None:
    """Some bytes changed, often near the front, where the headers are."""
    reach = len(content) if random.random() < 0.6 else min(len(content), 1500)
    for _ in range(random.choice((1, 1, 2, 5, 20, 100))):
        content[random.randrange(reach)] ^= 1 << random.randrange(8)


def flipped_at_the_end(content: bytearray, random: Random) -> None:
    """Some bytes changed where an index often is."""
    reach = min(len(content), 3000)
    for _ in range(random.choice((1, 2, 5, 20))):
        content[-1 - random.randrange(reach)] = random.randrange(256)


def cut(content: bytearray, random: Random) -> None:
    """The end gone."""
    del content[random.randrange(1, len(content)) :]


def torn(content: bytearray, random: Random) -> None:
    """A piece gone from the middle."""
    start = random.randrange(len(content))
    del content[start : start + random.choice((1, 7, 188, 1000, 5000))]


def blotted(content: bytearray, random: Random) -> None:
    """A piece overwritten, with noise or with nothing."""
    start, length = random.randrange(len(content)), random.choice((4, 50, 188, 2000))
    length = min(length, len(content) - start)
    content[start : start + length] = random.randbytes(length) if random.random() < 0.6 else bytes(length)


def doubled(content: bytearray, random: Random) -> None:
    """A piece there twice, or another's place taken."""
    start = random.randrange(len(content))
    piece = content[start : start + random.choice((16, 188, 3000))]
    place = random.randrange(len(content))
    content[place : place + (0 if random.random() < 0.5 else len(piece))] = piece


def resized(content: bytearray, random: Random) -> None:
    """The size of a box, element or chunk changed."""
    there = [mark for mark in (*BOXES, *CHUNKS, *ELEMENTS) if mark in content]
    if not there:
        return
    mark = random.choice(there)
    place = random.choice([found.start() for found in re.finditer(re.escape(mark), content)])
    at = place - 4 if mark in BOXES else place + len(mark)
    if not 0 <= at <= len(content) - 4:
        return
    size = int.from_bytes(content[at : at + 4], "big")
    near, far = (0, 1, size - 1, size + 1, size + 8, size * 2), (0x7FFFFFFF, 0xFFFFFFFF, random.getrandbits(32))
    content[at : at + 4] = (random.choice(near + far) & 0xFFFFFFFF).to_bytes(4, "big")


MUTATIONS: tuple[Callable[[bytearray, Random], None], ...] = (
    flipped, flipped, flipped_at_the_end, cut, torn, blotted, doubled, resized, resized,
)  # fmt: skip
WAYS: tuple[tuple[str, ...], ...] = (
    ("--factor", "2"),
    ("--factor", "3", "-o", "out.mkv"),
    ("--slow", "2", "-o", "out.mp4"),
    ("--fps", "60", "-o", "out.mov"),
    ("--start", "0.2", "--end", "0.5", "-o", "out.ts"),
    ("--factor", "2", "--start", "4f", "-o", "out.mp4"),
)


def run_case(number: int, seed: int, bases: dict[str, bytes], folder: Path) -> Verdict:
    """Break one file, upsample it, look at what is there afterwards."""
    random = Random(seed * 1_000_003 + number)
    kind, way = random.choice(KINDS), random.choice(WAYS)
    content = bytearray(bases[kind])
    mutations = [random.choice(MUTATIONS) for _ in range(random.choice((1, 1, 2, 3)))]
    for mutate in mutations:
        if content:
            mutate(content, random)
    case = f"{seed}/{number} {kind} {'+'.join(mutate.__name__ for mutate in mutations)} {' '.join(way)}"
    place = folder / "case"
    place.mkdir()
    (place / f"in{kind}").write_bytes(content)
    print(json.dumps({"begin": case}), flush=True)
    signal.setitimer(signal.ITIMER_PROF, SECONDS)
    signal.alarm(PATIENCE)
    began = time.monotonic()
    code, said = call("upsample", f"{place}/in{kind}", *(f"{place}/{word}" if "out." in word else word for word in way))
    fault = look(code, said, place=place, source=f"in{kind}")
    signal.alarm(0)
    signal.setitimer(signal.ITIMER_PROF, 0)
    if not fault:
        shutil.rmtree(place)
    else:
        place.rename(folder / f"fault-{number}")
    return Verdict(case, code, round(time.monotonic() - began, 3), fault, said)


def call(*words: str) -> tuple[int, str]:
    """The command in this process: its exit code and what it said."""
    from svmv_cli.app import app

    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(said):
        try:
            app(list(words), standalone_mode=True)
        except SystemExit as end:
            code = int(end.code or 0)
    return code, said.getvalue()


def look(code: int, said: str, *, place: Path, source: str) -> str:
    """What is wrong; nothing, if all is well."""
    from svmv_cli.errors import SvmvError
    from svmv_cli.media.verify import measure

    if code not in FINE or "Traceback" in said:
        return f"exit code {code}"
    if [thread.name for thread in threading.enumerate() if thread.name.startswith("svmv-")]:
        return "a thread is left"
    left = [path for path in place.iterdir() if path.name != source]
    if code in (2, 3, 4):
        return f"left behind: {left}" if left else ""
    if len(left) != 1 or ".svmv" in left[0].name:
        return f"not one output: {left}"
    try:
        return "" if measure(left[0]).frames else "an output without frames"
    except SvmvError as error:
        return f"the output cannot be read back: {error.message}"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--cases", type=int, default=100)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    sys.modules["svmv_cli.pipeline.interpolate"] = fake_module(Blend())
    bases = base_files(options.folder)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for number in range(options.first, options.first + options.cases):
        print(json.dumps(asdict(run_case(number, options.seed, bases, options.folder))), flush=True)


if __name__ == "__main__":
    main()
