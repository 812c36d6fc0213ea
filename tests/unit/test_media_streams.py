from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.stream import Disposition

from svmv_cli.media.containers import container_for
from svmv_cli.media.decision import StreamDecision
from svmv_cli.media.probe import probe
from svmv_cli.media.sound import tempos
from svmv_cli.media.streams import SlowAudio, decide_streams
from svmv_cli.media.verify import measure
from tests.media import make_clip, repeated
from tests.reading import clicks, offsets, pitch, read_numbers, read_times, words
from tests.sound import CLICK_EVERY
from tests.tracks import with_cover, with_second_picture

SLACK = Fraction(2, 1000)  # s: a millisecond of rounding at either end


def packets(path: Path) -> list[bytes]:
    with av.open(path) as container:
        return [bytes(packet) for packet in container.demux(container.streams.audio[0]) if packet.size]


def decided(path: Path, name: str, *, stretch: int = 1, slow_audio: SlowAudio = "stretch") -> list[StreamDecision]:
    container = container_for(Path(name))
    return list(decide_streams(probe(path), container=container, stretch=Fraction(stretch), slow_audio=slow_audio))


# -- decisions --


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("o.mkv", ["copy", "copy", "copy"]),
        ("o.mp4", ["copy", "encode mov_text", "drop"]),
        ("o.mov", ["copy", "encode mov_text", "drop"]),
        ("o.webm", ["encode libopus", "encode webvtt", "drop"]),
        ("o.ts", ["copy", "drop", "drop"]),
    ],
)
def test_copied_where_held_else_encoded_else_dropped(tmp_path: Path, name: str, expected: list[str]) -> None:
    clip = make_clip(tmp_path / "a.mkv", frames=24, audio=1, subtitles=True, attachment=b"font")
    found = decided(clip.path, name)
    assert [f"{d.action} {d.encoder or ''}".strip() for d in found] == expected
    assert all((d.reason is None) == (d.action == "copy") for d in found)


@pytest.mark.parametrize(("codec", "name"), [("flac", "o.mkv"), ("libmp3lame", "o.mp4"), ("pcm_s16le", "o.mov")])
def test_other_sound_is_copied_too(tmp_path: Path, codec: str, name: str) -> None:
    clip = make_clip(tmp_path / "a.mkv", audio=1, audio_codec=codec)
    assert decided(clip.path, name)[0].action == "copy"


def test_slow_sound_is_encoded_or_dropped(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", audio=1)
    slowed = decided(clip.path, "o.mp4", stretch=4)[0]
    assert (slowed.action, slowed.encoder, slowed.reason) == ("encode", "aac", "slowed by 4")
    assert decided(clip.path, "o.mp4", stretch=4, slow_audio="drop")[0].action == "drop"


# -- sound and picture together --


@pytest.mark.parametrize("rate", [Fraction(24000, 1001), Fraction(25), Fraction(30)])
@pytest.mark.parametrize("target", [".mp4", ".mkv", ".mov", ".webm", ".ts"])
@pytest.mark.parametrize("source", [".mp4", ".mkv"])
def test_offset_is_kept_at_both_ends(tmp_path: Path, source: str, target: str, rate: Fraction) -> None:
    clip = make_clip(tmp_path / f"a{source}", frames=30, rate=rate, size=(64, 48), audio=1)
    made = tmp_path / f"o{target}"
    repeated(clip.path, made, factor=4, preset="8" if target == ".webm" else "veryfast")
    half_a_frame = 1 / (4 * rate) / 2
    for before, after in zip(offsets(clip.path), offsets(made), strict=True):
        # TS stores no length: the last picture's is missing. Opus ends where its block does.
        missing = 1 / (4 * rate) if target == ".ts" else Fraction(0)
        padding = Fraction(21, 1000) if target in {".webm", ".ts", ".mkv"} else Fraction(0)
        assert abs(after - before) <= half_a_frame + missing + padding
    assert abs(offsets(made)[0] - offsets(clip.path)[0]) <= half_a_frame + Fraction(7, 1000) * (target == ".webm")


@pytest.mark.parametrize("target", [".mp4", ".mkv", ".mov"])
@pytest.mark.parametrize(
    ("picture", "sound"),
    [(Fraction(1, 2), Fraction(1, 4)), (Fraction(1, 8), Fraction(1, 2)), (Fraction(0), Fraction(1))],
)
def test_offsets_between_streams_survive(tmp_path: Path, target: str, picture: Fraction, sound: Fraction) -> None:
    clip = make_clip(tmp_path / "a.mkv", frames=48, start_offset=picture, audio=1, audio_start=sound, size=(64, 48))
    made = tmp_path / f"o{target}"
    repeated(clip.path, made, factor=2)
    earliest = min(picture, sound)
    assert abs(read_times(made)[0] - (picture - earliest)) <= SLACK
    for before, after in zip(clicks(clip.path), clicks(made), strict=True):
        assert abs(after - (before - float(earliest))) < 0.004


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_copied_sound_is_the_same_to_the_byte(tmp_path: Path, suffix: str) -> None:
    clip = make_clip(tmp_path / f"a{suffix}", audio=1)
    made = tmp_path / f"o{suffix}"
    repeated(clip.path, made, factor=4)
    assert packets(made) == packets(clip.path)


def test_all_tracks_keep_language_flags_and_order(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", audio=3, title="A title")
    for suffix in (".mkv", ".mp4", ".mov", ".webm"):
        made = tmp_path / f"o{suffix}"
        repeated(clip.path, made)
        info = probe(made)
        expected = ["eng", "ger" if suffix == ".mov" else "deu", "jpn"]
        assert [other.language for other in info.others] == expected
        with av.open(made) as container:
            flags = [bool(s.disposition & Disposition.default) for s in container.streams.audio]
            assert flags == [True, False, False]
            assert container.metadata["title"] == "A title"


# -- cuts --


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_a_cut_cuts_everything_alike(tmp_path: Path, suffix: str) -> None:
    clip = make_clip(tmp_path / "a.mkv", frames=72, audio=1, subtitles=True, chapters=True, size=(64, 48))
    made = tmp_path / f"o{suffix}"
    repeated(clip.path, made, factor=2, clip=(Fraction(1, 2), Fraction(2)))
    assert read_numbers(made) == [n for n in range(12, 48) for _ in range(2)]
    found = measure(made)
    assert abs(found.duration - Fraction(3, 2)) <= SLACK
    # A copied block begins where it does; in Matroska the first one counts as priming.
    assert -SLACK <= found.sound[0].first <= Fraction(45, 1000)
    assert abs(found.sound[0].end - Fraction(3, 2)) <= Fraction(22, 1000)
    near = [round(click * 4) / 4 for click in clicks(made) if 0.1 < click < 1.49]
    assert near == [float(CLICK_EVERY * n) for n in range(1, 6)]
    assert all(abs(click - round(click * 4) / 4) < 0.004 for click in clicks(made) if 0.1 < click < 1.49)
    # "first line" ended before the cut, "second line" begins with it
    assert [(begin, length) for begin, length, _ in words(made)] == [(0.0, 0.3)]
    with av.open(made) as container:
        found_spans = [(c["start"] * base, c["end"] * base) for c in container.chapters() if (base := c["time_base"])]
    assert found_spans == [(Fraction(0), Fraction(1)), (Fraction(1), Fraction(3, 2))]


def test_a_subtitle_across_the_cut_is_shortened(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", frames=48, subtitles=True)
    repeated(clip.path, tmp_path / "o.mkv", clip=(Fraction(1, 4), Fraction(6, 10)))
    found = [(round(begin, 3), round(length, 3)) for begin, length, _ in words(tmp_path / "o.mkv")]
    assert found == [(0.0, 0.15), (0.25, 0.1)]


# -- slow motion --


@pytest.mark.parametrize(
    ("stretch", "factors"),
    [(1, ()), (2, (0.5,)), (4, (0.5, 0.5)), (3, (0.5, pytest.approx(2 / 3))), (Fraction(1, 4), (2.0, 2.0))],
)
def test_tempos_multiply_to_the_stretch(stretch: Fraction, factors: tuple[float, ...]) -> None:
    assert tempos(Fraction(stretch)) == factors


@pytest.mark.parametrize("stretch", [2, 4])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".webm"])
def test_slow_sound_keeps_pitch_and_meets_the_picture(tmp_path: Path, suffix: str, stretch: int) -> None:
    clip = make_clip(tmp_path / "a.mkv", frames=48, audio=1, subtitles=True, chapters=True, size=(64, 48))
    made = tmp_path / f"o{suffix}"
    repeated(clip.path, made, factor=stretch, stretch=Fraction(stretch))
    found = measure(made)
    assert abs(found.duration - 2 * stretch) <= SLACK
    # Opus in Matroska ends some milliseconds before its last sample.
    assert abs(found.sound[0].end - measure(clip.path).sound[0].end * stretch) <= Fraction(1, 100)
    assert abs(found.sound[0].first) <= SLACK
    assert abs(pitch(made) - 440) < 6
    found_clicks = clicks(made)
    # atempo moves what it stretches within one window (43 ms), by half of it on the way of each doubling
    loose = 0.03 * (stretch - 1)
    for number in range(1, 8):
        expected = float(number * CLICK_EVERY * stretch)
        assert min(abs(click - expected) for click in found_clicks) < loose
    lines = [(round(begin, 2), round(length, 2)) for begin, length, _ in words(made)]
    assert lines == [(0.1 * stretch, 0.3 * stretch), (0.5 * stretch, 0.3 * stretch)]
    with av.open(made) as container:
        starts = [c["start"] * (c["time_base"] or 0) for c in container.chapters()]
    assert starts == [0, stretch]


def test_slow_motion_without_sound(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mp4", audio=1)
    repeated(clip.path, tmp_path / "o.mp4", factor=2, stretch=Fraction(2), slow_audio="drop")
    assert measure(tmp_path / "o.mp4").sound == ()


def test_slow_sound_with_a_late_start_and_a_hole(tmp_path: Path) -> None:
    """Silence that the file leaves out is filled in, so that what follows keeps its time."""
    clip = make_clip(tmp_path / "a.mkv", frames=72, audio=1, audio_codec="pcm_s16le", audio_start=Fraction(1, 2))
    holed = tmp_path / "b.mkv"
    with av.open(clip.path) as source, av.open(holed, "w") as out:
        streams = {s.index: out.add_stream_from_template(s, opaque=True) for s in source.streams}
        for packet in source.demux():
            time = float(packet.pts or 0) * float(packet.time_base or 0)
            if packet.size and not (packet.stream.type == "audio" and 1.1 < time < 1.9):
                packet.stream = streams[packet.stream.index]
                out.mux(packet)
    repeated(holed, tmp_path / "o.mp4", factor=2, stretch=Fraction(2))
    found = clicks(tmp_path / "o.mp4")
    for expected in (2.0, 4.0, 4.5, 5.0, 5.5):
        assert min(abs(click - expected) for click in found) < 0.03, (expected, found)
    assert not [click for click in found if 2.3 < click < 3.7]


# -- subtitles, attachments, covers --


@pytest.mark.parametrize("suffix", [".mkv", ".mp4", ".mov", ".webm"])
def test_subtitles_keep_words_times_and_language(tmp_path: Path, suffix: str) -> None:
    clip = make_clip(tmp_path / "a.mkv", frames=24, subtitles=True)
    made = tmp_path / f"o{suffix}"
    repeated(clip.path, made)
    found = words(made)
    assert [(round(begin, 3), round(length, 3)) for begin, length, _ in found] == [(0.1, 0.3), (0.5, 0.3)]
    assert b"first line" in found[0][2]
    assert [other.language for other in probe(made).others] == ["eng"]


def test_attachment_survives_in_mkv(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", frames=6, attachment=b"a font, to the byte")
    repeated(clip.path, tmp_path / "o.mkv")
    with av.open(tmp_path / "o.mkv") as container:
        font = container.streams.attachments[0]
        assert (font.data, font.metadata["filename"]) == (b"a font, to the byte", "font.ttf")


@pytest.mark.parametrize("source", [".mp4", ".mkv"])
@pytest.mark.parametrize("target", [".mp4", ".mkv"])
def test_cover_art_survives_and_is_never_upsampled(tmp_path: Path, source: str, target: str) -> None:
    path = with_cover(tmp_path, source)
    repeated(path, tmp_path / f"o{target}")
    info = probe(tmp_path / f"o{target}")
    assert [(o.codec, o.attached_picture) for o in info.others if o.kind == "video"] == [("mjpeg", True)]
    assert measure(tmp_path / f"o{target}").frames == 12 * (2 if source == ".mkv" else 1)


def test_second_moving_picture_is_copied(tmp_path: Path) -> None:
    first = make_clip(tmp_path / "a.mp4", frames=12, size=(64, 48)).path
    second = make_clip(tmp_path / "b.mp4", frames=12, size=(32, 32), bframes=False).path
    both = with_second_picture(tmp_path / "c.mkv", first, second)
    repeated(both, tmp_path / "o.mkv", factor=2)
    with av.open(tmp_path / "o.mkv") as made:
        assert len(made.streams.video) == 2
        packets_of = [packet.stream.index for packet in made.demux() if packet.size]
    assert [packets_of.count(index) for index in range(2)] == [24, 12]


def test_stale_tags_do_not_travel(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", frames=6, audio=1)
    repeated(clip.path, tmp_path / "o.mkv", factor=2, stretch=Fraction(2))
    with av.open(tmp_path / "o.mkv") as container:
        assert container.streams.video[0].metadata["DURATION"].startswith("00:00:00.5")


def test_sound_is_interleaved_not_heaped(tmp_path: Path) -> None:
    """Sound goes in beside the picture of its time: a player that streams meets both."""
    clip = make_clip(tmp_path / "a.mp4", frames=120, audio=1, size=(64, 48))
    repeated(clip.path, tmp_path / "o.mkv")
    latest = {"video": 0.0, "audio": 0.0}
    with av.open(tmp_path / "o.mkv") as container:
        for packet in container.demux():
            if packet.size and packet.dts is not None:
                latest[packet.stream.type] = float(packet.dts * packet.time_base)
                assert abs(latest["video"] - latest["audio"]) < 1.0
