"""Colour through the real command and the real network: bars and ramps come back, new pictures agree with old ones."""

from dataclasses import replace
from itertools import product
from pathlib import Path

import av
import numpy as np
import pytest
from typer.testing import CliRunner

from svmv_cli.app import app
from svmv_cli.media.containers import container_for
from svmv_cli.media.info import ColorInfo
from svmv_cli.media.probe import probe
from svmv_cli.media.tags import chroma_location
from tests.media import make_clip, repeated
from tests.pictures import bars_and_ramp, write_clip
from tests.reading import read_planes

# crf 1 of x264 and x265 is the finest that is not another, lossless mode; ffv1 and AV1's crf 1 lose next to nothing.
FINEST = {"h264": ["--crf", "1"], "hevc": ["--crf", "1"], "ffv1": []}
FINEST["av1"] = ["--crf", "1", "--preset", "10"]
FORMATS = {"h264": "yuv420p", "hevc": "yuv422p10le", "av1": "yuv420p10le", "ffv1": "yuv444p"}


def upsampled(source: Path, *options: str, suffix: str = ".mkv") -> Path:
    output = source.with_name(f"out{suffix}")
    given = ["upsample", str(source), str(output), "--dedup", "off", "--device", "cpu", "-q", *options]
    result = CliRunner().invoke(app, given)
    assert result.exit_code == 0, result.output
    return output


@pytest.mark.parametrize("codec", FORMATS)
@pytest.mark.parametrize(("matrix", "full_range"), [*product([1, 6, 9], [False, True])])
def test_bars_and_ramp_come_back_within_one_code(tmp_path: Path, codec: str, matrix: int, full_range: bool) -> None:
    """Of eight bits, in source frames and in new ones alike: between them nothing may flicker."""
    pix_fmt = FORMATS[codec]
    color = ColorInfo(matrix, matrix, matrix, full_range=full_range, chroma_location=0 if "444" in pix_fmt else 1)
    planes = bars_and_ramp(pix_fmt, color)
    source = write_clip(tmp_path / "in.mkv", [planes] * 3, pix_fmt=pix_fmt, color=color)
    made = upsampled(source, "--codec", codec, *FINEST[codec])
    video = probe(made).video
    assert (video.pix_fmt.replace("yuvj", "yuv"), video.color) == (pix_fmt, color)
    code = 4 if "10" in pix_fmt else 1
    pictures = read_planes(made)
    assert len(pictures) == 6
    for picture in pictures:
        for given, got in zip(planes, picture, strict=True):
            assert np.abs(given.astype(int) - got).max() <= code


def test_full_range_that_prores_cannot_say_is_converted(tmp_path: Path) -> None:
    full = ColorInfo(1, 1, 1, full_range=True, chroma_location=1)
    limited = ColorInfo(1, 1, 1, chroma_location=1)
    planes = bars_and_ramp("yuv422p10le", full)
    source = write_clip(tmp_path / "in.mkv", [planes] * 3, pix_fmt="yuv422p10le", color=full)
    made = upsampled(source, "--codec", "prores", suffix=".mov")
    assert probe(made).video.color == ColorInfo(1, 1, 1)
    wanted = bars_and_ramp("yuv422p10le", limited)
    for picture in read_planes(made):
        for given, got in zip(wanted, picture, strict=True):
            assert np.abs(given[:, 8:-8].astype(int) - got[:, 8:-8]).mean() < 2  # of ten bits
    result = CliRunner().invoke(
        app, ["upsample", str(source), str(tmp_path / "x.mov"), "--codec", "prores", "--dry-run"]
    )
    assert "full range is converted" in " ".join(result.output.split())


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le"])
def test_every_sampling_and_depth_is_kept(tmp_path: Path, pix_fmt: str) -> None:
    color = ColorInfo(1, 1, 1, chroma_location=0 if "444" in pix_fmt else 1)
    planes = bars_and_ramp(pix_fmt, color, size=(63, 47))
    source = write_clip(tmp_path / "in.mkv", [planes] * 3, pix_fmt=pix_fmt, color=color)
    made = upsampled(source, "--codec", "ffv1", "--factor", "3")
    assert probe(made).video.pix_fmt == pix_fmt
    pictures = read_planes(made)
    assert len(pictures) == 9
    assert all(np.array_equal(a, b) for picture in pictures for a, b in zip(planes, picture, strict=True))


def test_what_does_move_is_made(tmp_path: Path) -> None:
    """The guard of still places must not hold what passes in front of them."""
    color = ColorInfo(1, 1, 1, chroma_location=1)
    still = bars_and_ramp("yuv420p", color, size=(96, 64))
    films = []
    for number in range(4):
        luma = still[0].copy()
        luma[20:36, 10 + 12 * number : 26 + 12 * number] = 220
        films.append((luma, *still[1:]))
    source = write_clip(tmp_path / "in.mkv", films, pix_fmt="yuv420p", color=color)
    made = read_planes(upsampled(source, "--codec", "ffv1"))
    middle = made[3][0]  # between the second and the third: the block 18 further on than at first
    assert np.abs(middle[24:32, 32:40].astype(int) - 220).mean() <= 20
    assert np.abs(middle[:10].astype(int) - still[0][:10]).max() <= 1


TAGGED = [ColorInfo(9, 18, 9), ColorInfo(5, 6, 5), ColorInfo(6, 6, 6), ColorInfo(9, 16, 9, full_range=True)]


@pytest.mark.parametrize("color", TAGGED)
@pytest.mark.parametrize("suffix", [".mp4", ".mov", ".mkv", ".webm", ".ts"])
def test_tags_survive_in_every_container_and_codec(tmp_path: Path, suffix: str, color: ColorInfo) -> None:
    matrix = ColorInfo(matrix=9 if color.matrix == 9 else 6, full_range=color.full_range)
    pictures = [bars_and_ramp("yuv420p10le", matrix)] * 2
    source = write_clip(tmp_path / "in.mkv", pictures, pix_fmt="yuv420p10le", color=color)
    for codec in container_for(Path(suffix[1:] + suffix)).codecs:
        speed = {"av1": "13", "vp9": "8", "ffv1": None, "prores": None}.get(codec, "ultrafast")
        target, _ = repeated(source, tmp_path / f"{codec}{suffix}", codec=codec, preset=speed)
        found = probe(target.path).video.color
        assert replace(found, chroma_location=0) == replace(target.stored_color, chroma_location=0), codec
        assert target.stored_color == color or codec == "prores"


@pytest.mark.parametrize("place", [1, 2, 3])
@pytest.mark.parametrize(("suffix", "codec"), [(".mp4", "h264"), (".mp4", "hevc"), (".mkv", "av1"), (".webm", "vp9")])
def test_chroma_siting_is_read_and_written(tmp_path: Path, suffix: str, codec: str, place: int) -> None:
    color = ColorInfo(1, 1, 1, chroma_location=place)
    planes = bars_and_ramp("yuv420p", color)
    source = write_clip(tmp_path / "in.mkv", [planes] * 2, pix_fmt="yuv420p", color=color)
    assert probe(source).video.color == color
    speed = {"av1": "13", "vp9": "8"}.get(codec, "ultrafast")
    target, _ = repeated(source, tmp_path / f"out{suffix}", codec=codec, preset=speed)
    assert probe(target.path).video.color == color
    assert target.notes == ()


def test_siting_that_has_no_place_is_told(tmp_path: Path) -> None:
    color = ColorInfo(1, 1, 1, chroma_location=2)
    planes = bars_and_ramp("yuv420p", color)
    source = write_clip(tmp_path / "in.mkv", [planes] * 2, pix_fmt="yuv420p", color=color)
    target, _ = repeated(source, tmp_path / "out.mp4", codec="vp9", preset="8")
    assert any("lie centred" in note for note in target.notes)


def test_streams_without_a_siting_have_none(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "a.mkv", frames=2, codec="ffv1").path
    with av.open(clip) as container:
        assert chroma_location(container.streams.video[0]) == 0
    raw = make_clip(tmp_path / "a.avi", frames=2, codec="rawvideo").path
    with av.open(raw) as container:
        assert chroma_location(container.streams.video[0]) in (0, 1)
