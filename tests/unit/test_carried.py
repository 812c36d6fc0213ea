"""Data tracks, bitmap subtitles, timecodes, titles and flags: made, upsampled by the command, read back."""

from __future__ import annotations

import json
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest
from av.stream import Disposition

from svmv_cli.media.probe import probe
from svmv_cli.media.timecode import timecode_after
from tests.conftest import Result
from tests.media import make_clip
from tests.reading import read_times
from tests.tracks import PIECE, PIECES, with_timecode, with_track

Call = Callable[..., Result]


def pieces_of(path: Path, kind: str) -> list[tuple[Fraction, bytes]]:
    """Time from the first picture on, s, and content of the pieces in the first track of a kind."""
    start = read_times(path)[0]
    with av.open(path) as container:
        track = next(s for s in container.streams if s.type == kind and s.index > 1)
        return [
            ((packet.pts or 0) * packet.time_base - start, bytes(packet)[-len(PIECES[0]) :])
            for packet in container.demux(track)
            if packet.size
        ]


@pytest.mark.parametrize(
    ("suffix", "codec", "kind", "handler"),
    [
        (".ts", "klv", "data", None),
        (".ts", "timed_id3", "data", None),
        (".mp4", "bin_data", "data", "GoPro MET"),
        (".mkv", "dvd_subtitle", "subtitle", None),
        (".mp4", "dvd_subtitle", "subtitle", None),
        (".mkv", "dvb_subtitle", "subtitle", None),
    ],
)
@pytest.mark.parametrize(
    ("options", "stretch", "first"), [((), 1, 0), (("--slow", "2"), 2, 0), (("--start", "1"), 1, 4)]
)
def test_tracks_of_data_and_pictures_of_words_are_carried_at_their_times(
    svmv: Call,
    tmp_path: Path,
    *,
    suffix: str,
    codec: str,
    kind: str,
    handler: str | None,
    options: tuple[str, ...],
    stretch: int,
    first: int,
) -> None:
    source = with_track(tmp_path / f"in{suffix}", codec, handler=handler)
    made = tmp_path / f"out{suffix}"
    result = svmv("upsample", source, "-o", made, *options)
    assert result.code == 0, result.stderr
    before, after = pieces_of(source, kind)[first:], pieces_of(made, kind)
    assert [content for _, content in before] == PIECES[first:]
    shift = first * PIECE
    for (time, content), (new_time, new_content) in zip(before[-len(after) :], after, strict=True):
        assert new_content == content
        assert abs(new_time - (time - shift) * stretch) <= Fraction(1, 96)
    assert len(after) >= len(before) - 1  # a piece that begins a hair before the cut is cut


def test_a_gopro_track_beside_chapters(svmv: Call, tmp_path: Path) -> None:
    source = with_track(tmp_path / "in.mp4", "bin_data", handler="GoPro MET", chapters=True)
    assert svmv("upsample", source, "-o", tmp_path / "out.mp4").code == 0
    info = probe(tmp_path / "out.mp4")
    assert (info.chapters, [other.handler for other in info.others if other.kind == "data"]) == (2, ["GoPro MET"])


def test_what_cannot_be_kept_is_named_in_one_line_and_in_json(svmv: Call, tmp_path: Path) -> None:
    plain = make_clip(tmp_path / "plain.mkv", frames=24, audio=2, subtitles=True, attachment=b"font", title="T").path
    source = tmp_path / "in.mkv"
    with av.open(plain) as before, av.open(source, "w") as out:
        out.metadata.update({"title": "T", "weather": "rain"})
        streams = {s.index: out.add_stream_from_template(s, opaque=True) for s in before.streams}
        streams[1].metadata.update({"language": "eng", "title": "Original"})
        streams[2].metadata["language"] = "deu"
        streams[2].disposition = Disposition.comment
        for packet in before.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                out.mux(packet)
    result = svmv("upsample", source, "-o", tmp_path / "out.mov", "--json")
    data = json.loads(result.stdout)
    lines = [line for line in result.stderr.splitlines() if line.startswith("note: not kept:")]
    assert (
        lines == ["note: not kept: attachment 4, unknown (only .mkv holds attachments)"] or "attachment 4" in lines[0]
    )
    assert len(lines) == 1
    converted = [line for line in result.stderr.splitlines() if line.startswith("note: converted:")]
    assert len(converted) == 1
    assert "subtitle 3, subrip to mov_text" in converted[0]
    assert data["lost_tags"] == ["weather", "of the sound 2 the flag comment"]
    assert any("tags not kept: weather; of the sound 2 the flag comment" in note for note in data["notes"])
    assert [stream["action"] for stream in data["streams"]] == ["copy", "copy", "encode", "drop"]
    with av.open(tmp_path / "out.mov") as after:
        assert after.metadata["title"] == "T"
        assert after.streams.audio[0].metadata["name"] == "Original"


def test_titles_of_tracks_and_keys_of_phones_survive_in_mp4(svmv: Call, tmp_path: Path) -> None:
    plain = make_clip(tmp_path / "plain.mp4", frames=12, audio=1).path
    source = tmp_path / "in.mp4"
    facts = {"com.apple.quicktime.make": "Maker", "com.apple.quicktime.creationdate": "2024-05-06T07:08:09+0200"}
    with av.open(plain) as before, av.open(source, "w", container_options={"movflags": "use_metadata_tags"}) as out:
        out.metadata.update({**facts, "title": "T"})
        streams = {s.index: out.add_stream_from_template(s, opaque=True) for s in before.streams}
        streams[1].metadata["title"] = "Commentary"
        for packet in before.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                out.mux(packet)
    result = svmv("upsample", source, "-o", tmp_path / "out.mp4", "--json")
    assert json.loads(result.stdout)["lost_tags"] == []
    with av.open(tmp_path / "out.mp4") as after:
        assert {key: after.metadata[key] for key in facts} == facts
        assert after.metadata["title"] == "T"
    assert probe(tmp_path / "out.mp4").others[0].title == "Commentary"


# -- timecode --


@pytest.mark.parametrize(
    ("suffix", "rate", "label", "options", "expected"),
    [
        (".mov", Fraction(24), "01:02:03:10", ("--factor", "2"), "01:02:03:20"),
        (".mp4", Fraction(25), "10:00:00:00", ("--factor", "4"), "10:00:00:00"),
        (".mov", Fraction(24), "01:00:00:12", ("--slow", "2"), "01:00:00:12"),
        (".mov", Fraction(24), "01:00:00:20", ("--start", "10f"), "01:00:01:12"),
        (".mov", Fraction(30000, 1001), "00:59:59;10", ("--factor", "2"), "00:59:59;20"),
    ],
)
def test_a_timecode_is_counted_at_the_new_rate(
    svmv: Call, tmp_path: Path, suffix: str, rate: Fraction, label: str, options: tuple[str, ...], expected: str
) -> None:
    source = with_timecode(tmp_path / f"in{suffix}", label, rate=rate)
    made = tmp_path / f"out{suffix}"
    result = svmv("upsample", source, "-o", made, *options)
    assert result.code == 0, result.stderr
    assert [other.timecode for other in probe(made).others] == [expected]
    assert result.stderr.count("converted: data 1") == 1


def test_a_timecode_that_has_no_place_is_named(svmv: Call, tmp_path: Path) -> None:
    source = with_timecode(tmp_path / "in.mov", "01:00:00:00", rate=Fraction(24))
    result = svmv("upsample", source, "-o", tmp_path / "out.mkv")
    assert "not kept: data 1" in result.stderr
    assert "only .mov and .mp4 hold a timecode track" in result.stderr


def test_dropped_numbers_exist_at_some_rates_only(tmp_path: Path) -> None:
    info = probe(with_timecode(tmp_path / "in.mov", "00:00:00;04", rate=Fraction(30000, 1001)))
    assert timecode_after(info, rate=Fraction(60000, 1001), start=None) == "00:00:00;08"
    assert timecode_after(info, rate=Fraction(60), start=None) is None
    assert timecode_after(info, rate=None, start=None) is None
