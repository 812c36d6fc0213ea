"""Transparency: read by the right decoder, interpolated without colours bleeding in, written, read back."""

from __future__ import annotations

import json
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from svmv_cli.app import app
from svmv_cli.media.frame import Frame, PixelFormat, Plane
from svmv_cli.media.info import ColorInfo
from svmv_cli.media.pictures import working_format
from svmv_cli.media.probe import probe
from svmv_cli.media.reader import VideoReader
from svmv_cli.pipeline.color import premultiplied, straight
from svmv_cli.pipeline.report import Tally
from svmv_cli.pipeline.shots import ShotSettings, look
from tests.pictures import from_rgb, write_clip

SIZE = (96, 64)
COLOR = ColorInfo(1, 1, 1)
RGB = ColorInfo(1, 1, 0, full_range=True)


def disc(number: int, pix_fmt: str, color: ColorInfo = COLOR) -> tuple[Plane, ...]:
    """An orange disc that moves 6 px a frame over nothing; what nobody sees is a loud green."""
    width, height = SIZE
    y, x = np.mgrid[0:height, 0:width]
    distance = np.hypot(x - (24 + 6 * number), y - 32)
    alpha = np.clip(16.5 - distance, 0, 1)
    rgb = np.where(distance < 18.5, np.array([1.0, 0.5, 0.0])[:, None, None], np.array([0.0, 1.0, 0.0])[:, None, None])
    layout = PixelFormat.parse(pix_fmt)
    planes = from_rgb(rgb, layout, color)
    return (*planes, (alpha * (2**layout.depth - 1)).round().astype(layout.dtype))


def centre(alpha: Plane) -> tuple[float, float]:
    weight = alpha.astype(float)
    y, x = np.mgrid[0 : weight.shape[0], 0 : weight.shape[1]]
    return float((weight * x).sum() / weight.sum()), float((weight * y).sum() / weight.sum())


def rgba_of(path: Path) -> list[np.ndarray]:
    """(4, H, W) in [0, 1], as stored: straight."""
    from svmv_cli.pipeline.color import Converter

    info = probe(path)
    layout = working_format(info.video.pix_fmt)
    assert layout.alpha
    convert = Converter(layout, info.video.color, *reversed(SIZE), torch.device("cpu"))
    with VideoReader(info, pix_fmt=layout.name) as reader:
        return [convert.to_rgb(frame)[0].numpy() for frame in reader]


CASES = {
    "vp9 in webm": ("in.webm", "libvpx-vp9", "yuva420p", None, "out.webm", {"crf": "4", "b": "0"}, ("vp9", "yuva420p")),
    "vp9 in mkv": ("in.mkv", "libvpx-vp9", "yuva420p", None, "out.mkv", {"crf": "4", "b": "0"}, ("vp9", "yuva420p")),
    "ffv1": ("in.mkv", "ffv1", "yuva444p10le", None, "out.mkv", {}, ("ffv1", "yuva444p10le")),
    "prores": ("in.mov", "prores_ks", "yuva444p10le", None, "out.mov", {"profile": "4444"}, ("prores", "yuva444p10le")),
    "qtrle": ("in.mov", "qtrle", "gbrap", "argb", "out.mov", {}, ("prores", "yuva444p10le")),
    "png": ("in.mov", "png", "gbrap", "rgba", "out.webm", {}, ("vp9", "yuva420p")),
}


@pytest.mark.parametrize("case", CASES)
def test_alpha_is_interpolated_and_comes_back(tmp_path: Path, case: str) -> None:
    name, encoder, pix_fmt, stored, output, options, kept = CASES[case]
    color = RGB if pix_fmt == "gbrap" else COLOR
    pictures = [disc(number, pix_fmt, color) for number in range(5)]
    source = write_clip(
        tmp_path / name, pictures, pix_fmt=pix_fmt, color=color, codec=encoder, options=options, stored=stored
    )
    made = tmp_path / f"made_{output}"
    given = ["upsample", str(source), str(made), "--device", "cpu", "--json", "-q"]
    result = CliRunner().invoke(app, [*given, *(["--crf", "4"] if kept[0] == "vp9" else [])])
    assert result.exit_code == 0, result.output
    assert "transparency" not in result.output
    video = probe(made).video
    assert (video.codec, video.pix_fmt.replace("12le", "10le")) == kept
    with av.open(made) as container:
        assert "ALPHA_MODE" not in container.streams.video[0].metadata  # the container's own word, not a tag
    pictures_made = rgba_of(made)
    assert len(pictures_made) == 10
    for j, picture in enumerate(pictures_made[:9]):
        alpha = picture[3]
        across, down = centre(alpha)
        assert abs(across - (24 + 3 * j)) < 0.7, j
        assert abs(down - 32) < 0.5
        assert abs(alpha.sum() - np.pi * 16**2) < 0.05 * np.pi * 16**2
        inside = alpha > 0.9
        colour = np.median(picture[:3, inside], axis=1)
        assert np.abs(colour - [1, 0.5, 0]).max() < 0.08
        # What is seen is orange up to the rim, though chroma of half the size mixes in what nobody sees.
        stain = np.abs((picture[:3] - np.array([1, 0.5, 0])[:, None, None]) * alpha).max()
        assert stain < 0.15, j


def test_alpha_is_premultiplied_for_the_network_and_taken_back() -> None:
    picture = torch.rand(2, 4, 6, 6, generator=torch.Generator().manual_seed(0))
    picture[:, 3, :3] = 0
    carried = premultiplied(picture)
    assert carried.shape == (2, 7, 6, 6)
    assert float(carried[:, :3, :3].abs().max()) == 0  # colour that nobody sees is not matched
    torch.testing.assert_close(straight(carried), picture)


def test_what_fades_in_by_its_alpha_is_no_repeat() -> None:
    layout = PixelFormat.parse("yuva444p")
    flat = [np.full((64, 96), value, np.uint8) for value in (81, 90, 240)]
    frames = [
        Frame(Fraction(i, 24), Fraction(1, 24), layout, (*flat, np.full((64, 96), 20 * i, np.uint8))) for i in range(9)
    ]
    tally = Tally()
    roles = [seen.role for seen in look(frames, settings=ShotSettings())]
    assert roles == ["picture"] * 9
    assert tally.duplicates == 0


def test_a_plan_names_lost_transparency(tmp_path: Path) -> None:
    pictures = [disc(number, "yuva420p") for number in range(2)]
    source = write_clip(tmp_path / "in.mkv", pictures, pix_fmt="yuva420p", color=COLOR)
    result = CliRunner().invoke(app, ["upsample", str(source), str(tmp_path / "out.mp4"), "--dry-run", "--json", "-q"])
    assert result.exit_code == 0
    assert any("transparency is lost" in note for note in json.loads(result.stdout)["notes"])
