"""The shape of pixels and the way a picture is turned and mirrored, in every container."""

from fractions import Fraction
from pathlib import Path

import av
import pytest

from svmv_cli.media import ebml
from svmv_cli.media.probe import probe
from tests.media import make_clip, repeated
from tests.reading import read_numbers

SPEED = {"av1": "13", "vp9": "8", "ffv1": None, "prores": None}
HELD = [
    (".mp4", "h264"),
    (".mp4", "vp9"),
    (".mov", "prores"),
    (".mkv", "h264"),
    (".mkv", "hevc"),
    (".mkv", "av1"),
    (".mkv", "vp9"),
    (".mkv", "ffv1"),
    (".mkv", "prores"),
    (".webm", "vp9"),
    (".webm", "av1"),
]
UNIT = 1 << 16
MATRICES = {
    "quarter": (0, -UNIT, 0, UNIT, 0, 0, 0, 0, 1 << 30),
    "half": (-UNIT, 0, 0, 0, -UNIT, 0, 0, 0, 1 << 30),
    "mirrored": (-UNIT, 0, 0, 0, UNIT, 0, 0, 0, 1 << 30),
    "upside down": (UNIT, 0, 0, 0, -UNIT, 0, 0, 0, 1 << 30),
    "quarter, mirrored": (0, -UNIT, 0, -UNIT, 0, 0, 0, 0, 1 << 30),
    "moved": (0, -UNIT, 0, UNIT, 0, 0, 64 * UNIT, 0, 1 << 30),
}


@pytest.mark.parametrize(("suffix", "codec"), HELD)
@pytest.mark.parametrize("shape", [Fraction(32, 27), Fraction(3, 4)])
def test_the_shape_of_pixels_is_kept(tmp_path: Path, suffix: str, codec: str, shape: Fraction) -> None:
    source = make_clip(tmp_path / "in.mp4", frames=3, sample_aspect_ratio=shape).path
    assert probe(source).video.sample_aspect_ratio == shape
    made = tmp_path / f"out{suffix}"
    target, _ = repeated(source, made, codec=codec, preset=SPEED.get(codec, "ultrafast"))
    assert target.notes == ()
    assert probe(made).video.sample_aspect_ratio == shape
    assert read_numbers(made) == [0, 0, 1, 1, 2, 2]


@pytest.mark.parametrize("title", [None, "Angle one"])
def test_a_mended_header_is_whole(tmp_path: Path, title: str | None) -> None:
    source = make_clip(tmp_path / "in.mkv", frames=3, sample_aspect_ratio=Fraction(64, 45), audio=1, title="Film")
    repeated(source.path, tmp_path / "out.mkv")
    if title:
        with av.open(tmp_path / "out.mkv") as container, av.open(tmp_path / "titled.mkv", "w") as out:
            stream = out.add_stream_from_template(container.streams.video[0], opaque=True)
            stream.metadata["title"] = title
            for packet in container.demux(video=0):
                if packet.size:
                    packet.stream = stream
                    out.mux(packet)
        repeated(tmp_path / "titled.mkv", tmp_path / "out.mkv", overwrite=True)
    data = (tmp_path / "out.mkv").read_bytes()
    tracks = ebml.find(data, ebml.SEGMENT, ebml.TRACKS)
    assert tracks is not None
    inside = list(ebml.elements(data, tracks.content, tracks.end))
    assert inside[-1].end == tracks.end
    if inside[0].id == ebml.CRC:
        import zlib

        stored = data[inside[0].content : inside[0].end]
        assert zlib.crc32(data[inside[0].end : tracks.end]).to_bytes(4, "little") == stored
    with av.open(tmp_path / "out.mkv") as container:
        assert container.streams.video[0].metadata.get("title") == title
        assert container.streams.video[0].sample_aspect_ratio == Fraction(64, 45)
        assert len(container.streams) == (1 if title else 2)


@pytest.mark.parametrize("size", [(720, 576), (96, 64), (95, 60), (1440, 1080)])
@pytest.mark.parametrize("shape", [Fraction(64, 45), Fraction(32, 27), Fraction(4, 3), Fraction(8, 9)])
def test_a_display_size_has_exactly_the_shape(size: tuple[int, int], shape: Fraction) -> None:
    across, down = ebml._display_size(*size, shape)
    assert Fraction(across, down) == Fraction(*size) * shape
    assert across >= size[0] and down >= size[1]
    assert ebml._display_size(720, 576, Fraction(64, 45)) == (1024, 576)
    assert ebml._display_size(1920, 1080, Fraction(4321, 4320)) == (1920, 1080)


@pytest.mark.parametrize("turn", MATRICES)
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv"])
def test_turning_and_mirroring_are_kept(tmp_path: Path, suffix: str, turn: str) -> None:
    matrix = MATRICES[turn]
    with av.open(tmp_path / "in.mp4", "w") as out:
        stream = out.add_stream("libx264", rate=24, options={"preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.set_display_matrix(matrix)
        for number in range(3):
            picture = av.VideoFrame(96, 64, "yuv420p")
            picture.pts, picture.time_base = number, Fraction(1, 24)
            out.mux(stream.encode(picture))
        out.mux(stream.encode(None))
    assert probe(tmp_path / "in.mp4").video.display_matrix == matrix
    target, _ = repeated(tmp_path / "in.mp4", tmp_path / f"out{suffix}", preset="ultrafast")
    found = probe(tmp_path / f"out{suffix}").video.display_matrix
    # Matroska has words for turning and mirroring, none for moving.
    assert found == ((*matrix[:6], 0, *matrix[7:]) if suffix == ".mkv" else matrix)
    assert target.notes == ()


def test_a_picture_as_it_is_stored_has_no_matrix(tmp_path: Path) -> None:
    assert probe(make_clip(tmp_path / "in.mp4", frames=2).path).video.display_matrix == ()
    mirrored = make_clip(tmp_path / "b.mp4", frames=2, rotation=180).path
    target, _ = repeated(mirrored, tmp_path / "out.ts")
    assert any("rotation of -180 degrees is lost" in note for note in target.notes)
