"""What a file holds, read back from it, and what of one file another has kept. Knows not how it was made."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition

from svmv_cli.media.frame import PixelFormat
from svmv_cli.media.info import ColorInfo, HdrInfo
from svmv_cli.media.inputs import examine, open_reader
from svmv_cli.media.labels import lasting
from svmv_cli.media.pictures import working_format
from svmv_cli.media.probe import probe
from svmv_cli.media.verify import measure
from tests.reading import clicks, read_numbers, read_times

KEPT, CONVERTED, LOST, NONE = "✓", "converted", "**lost**", ""
TICK = Fraction(1, 500)  # s: Matroska and WebM round to milliseconds
_NEAR = 0.1  # s: a click and the picture it belongs to


@dataclass(frozen=True)
class Facts:
    """A file, as far as it can be asked."""

    times: list[Fraction]  # s, of the pictures, from the first on
    duration: Fraction  # s
    clicks: list[float]  # s, from the first picture on
    numbers: list[int]
    streams: dict[str, list[tuple[str, str]]]  # by kind: (codec, language)
    words: list[tuple[float, bytes]]  # s from the first picture on, content
    chapters: list[tuple[str, Fraction]]  # title, s
    attachments: list[bytes]
    tags: set[str]
    color: ColorInfo
    layout: PixelFormat
    shape: Fraction
    matrix: tuple[int, ...]
    hdr: HdrInfo
    timecode: str | None


def read(path: Path) -> Facts:
    """Read a file through; rows of pictures, animations and y4m by the command's own readers."""
    if "%" in path.name or path.suffix in {".gif", ".apng", ".webp", ".y4m"}:
        return _read_pictures(path)
    info = probe(path)
    video = info.video
    times = read_times(path)
    start = times[0]
    layout = working_format(video.pix_fmt)
    sounds = any(other.kind == "audio" for other in info.others)
    with av.open(path) as container:
        return Facts(
            times=[time - start for time in times],
            duration=measure(path).duration,
            clicks=[click - float(start) for click in clicks(path)] if sounds else [],
            numbers=read_numbers(path) if layout.kind == "yuv" and not layout.alpha else [],
            streams=_streams(container),
            words=list(_words(container, float(start))),
            chapters=[
                (c["metadata"].get("title", ""), c["start"] * (c["time_base"] or 0)) for c in container.chapters()
            ],
            attachments=[stream.data or b"" for stream in container.streams.attachments],
            tags=_tags(container),
            color=video.color,
            layout=layout,
            shape=video.sample_aspect_ratio,
            matrix=video.display_matrix,
            hdr=video.hdr,
            timecode=next((other.timecode for other in info.others if other.timecode), None),
        )


def _read_pictures(path: Path) -> Facts:
    info = examine(path)
    video = info.video
    layout = working_format(video.pix_fmt)
    with open_reader(info, pix_fmt=layout.name) as reader:
        frames = list(reader)
    return Facts(
        times=[frame.time - frames[0].time for frame in frames],
        duration=frames[-1].time + frames[-1].duration - frames[0].time,
        clicks=[],
        numbers=[],
        streams={},
        words=[],
        chapters=[],
        attachments=[],
        tags=set(),
        color=video.color,
        layout=layout,
        shape=video.sample_aspect_ratio,
        matrix=video.display_matrix,
        hdr=video.hdr,
        timecode=None,
    )


def _streams(container: InputContainer) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    chapters = len(container.chapters())
    for stream in container.streams:
        cover = bool(stream.disposition & Disposition.attached_pic)
        if stream.metadata.get("timecode") or (stream.type == "data" and stream.frames == chapters > 0):
            continue
        context = stream.codec_context
        codec = context.codec.canonical_name if context is not None else getattr(stream, "name", None) or "?"
        # MOV spells some languages otherwise.
        language = {"ger": "deu"}.get(stream.metadata.get("language", "und"), stream.metadata.get("language", "und"))
        found.setdefault("cover" if cover else stream.type, []).append((codec, language))
    return found


def _words(container: InputContainer, start: float) -> Iterator[tuple[float, bytes]]:
    for stream in container.streams.subtitles:
        container.seek(0)
        for packet in container.demux(stream):
            content = bytes(packet)
            if packet.pts is not None and (b"line" in content or b"piece" in content):
                yield float(packet.pts * packet.time_base) - start, content[-4:]


def _tags(container: InputContainer) -> set[str]:
    tags = {f"{key.lower()}={value}" for key, value in lasting(container.metadata).items()}
    for stream in (*container.streams.video, *container.streams.audio):
        tags |= {f"{stream.index} {value}" for key, value in lasting(stream.metadata).items() if key == "title"}
        alike = [s for s in container.streams if s.type == stream.type and not s.disposition & Disposition.attached_pic]
        several = len(alike) > 1
        tags |= {f"{stream.index} default"} if several and stream.disposition & Disposition.default else set()
    return tags


def compared(before: Facts, after: Facts, *, factor: int, stretch: int, start: Fraction) -> dict[str, str]:
    """A mark for each thing a file may hold.

    Args:
        before: of the source.
        after: of the output.
        factor: frames out for one in.
        stretch: output seconds per source second.
        start: s from the first picture on that was left out in front.
    """
    used = [time for time in before.times if time >= start - TICK]
    step = (before.duration - start) * stretch / (len(used) * factor)

    def moved(time: float) -> float:
        return (time - float(start)) * stretch

    return {
        "frames": _mark(len(after.times) == len(used) * factor),
        "duration": _mark(abs(after.duration - (before.duration - start) * stretch) <= step + TICK),
        "times": _mark(_near([moved(float(t)) for t in used], [float(t) for t in after.times], float(TICK))),
        "A/V sync": _sync(before, after, factor=factor, stretch=stretch, half=float(step) / 2),
        "sound": _tracks(before, after, "audio"),
        "subtitles": _subtitles(before, after, moved=moved, slack=float(step)),
        "chapters": _chapters(before, after, moved=moved),
        "attachments": _attachments(before, after),
        "data": _data(before, after),
        "tags, flags": _mark(before.tags <= after.tags) if before.tags else NONE,
        "colour tags": _colors(before, after),
        "bits": _mark(after.layout.depth >= before.layout.depth),
        "chroma": _mark(_chroma(after.layout) <= _chroma(before.layout)),
        "alpha": _mark(after.layout.alpha) if before.layout.alpha else NONE,
        "pixel shape": _mark(after.shape == before.shape) if before.shape != 1 else NONE,
        "rotation": _mark(after.matrix == before.matrix) if before.matrix else NONE,
        "HDR data": _mark(_same_hdr(before.hdr, after.hdr)) if before.hdr != HdrInfo() else NONE,
    }


def _mark(kept: bool) -> str:
    return KEPT if kept else LOST


def _near(wanted: list[float], found: list[float], slack: float) -> bool:
    """Whether there is something at every wanted place."""
    return all(min((abs(there - place) for there in found), default=slack + 1) <= slack for place in wanted)


def _sync(before: Facts, after: Facts, *, factor: int, stretch: int, half: float) -> str:
    one, other = _offsets(before, 1), _offsets(after, factor)
    common = sorted(set(one) & set(other))
    if not common:
        return NONE
    # Stretching blends windows of sound, which moves a click by up to half of one each time it doubles.
    allowed = half + 0.03 * (stretch - 1)
    return _mark(all(abs(other[number] - one[number] * stretch) <= allowed for number in common))


def _offsets(facts: Facts, factor: int) -> dict[int, float]:
    shown = dict(zip(facts.numbers[::factor], map(float, facts.times[::factor]), strict=False))
    found = {}
    for click in facts.clicks:
        number = min((n for n in shown if n % 6 == 0), key=lambda n: abs(shown[n] - click), default=None)
        if number is not None and abs(shown[number] - click) < _NEAR:
            found[number] = click - shown[number]
    return found


def _tracks(before: Facts, after: Facts, kind: str) -> str:
    one, other = before.streams.get(kind, []), after.streams.get(kind, [])
    if not one:
        return NONE
    if [language for _, language in one] != [language for _, language in other]:
        return LOST
    return KEPT if one == other else CONVERTED


def _subtitles(before: Facts, after: Facts, *, moved: Callable[[float], float], slack: float) -> str:
    mark = _tracks(before, after, "subtitle")
    if mark in (NONE, LOST):
        return mark
    wanted = [max(0.0, moved(time)) for time, _ in before.words if moved(time) > -0.3]
    return mark if _near(wanted, [time for time, _ in after.words], slack) else LOST


def _chapters(before: Facts, after: Facts, *, moved: Callable[[float], float]) -> str:
    if not before.chapters:
        return NONE
    wanted = [(title, max(0.0, moved(float(time)))) for title, time in before.chapters]
    found = [(title, float(time)) for title, time in after.chapters]
    same = [title for title, _ in wanted] == [title for title, _ in found]
    return _mark(same and all(abs(a - b) < 0.1 for (_, a), (_, b) in zip(wanted, found, strict=True)))


def _attachments(before: Facts, after: Facts) -> str:
    covers = bool(before.streams.get("cover"))
    if not before.attachments and not covers:
        return NONE
    fonts = set(before.attachments) <= set(after.attachments)
    return _mark(fonts and (not covers or bool(after.streams.get("cover"))))


def _data(before: Facts, after: Facts) -> str:
    if before.timecode:
        return CONVERTED if after.timecode else LOST
    return _tracks(before, after, "data")


def _colors(before: Facts, after: Facts) -> str:
    """Where chroma is sited is a question of 4:2:0 alone."""
    if before.layout.kind == "gbr":
        return NONE  # its matrix is none, and must become one where it is stored otherwise
    one, other = before.color, after.color
    if _chroma(before.layout) != 2 or _chroma(after.layout) != 2:
        one, other = replace(one, chroma_location=0), replace(other, chroma_location=0)
    return _mark(one == other) if replace(one, chroma_location=0) != ColorInfo() else NONE


def _chroma(layout: PixelFormat) -> int:
    return 2 if layout.kind == "gray" else layout.shift_x + layout.shift_y


def _same_hdr(one: HdrInfo, other: HdrInfo) -> bool:
    if one.light != other.light or one.mastering is None or other.mastering is None:
        return one == other
    return abs(one.mastering.brightest - other.mastering.brightest) < 1
