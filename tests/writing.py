"""A target to write to, pictures to write, and what must be left of it when that fails."""

from fractions import Fraction
from pathlib import Path

from svmv_cli.media.frame import Frame, PixelFormat
from svmv_cli.media.info import MediaInfo
from svmv_cli.media.probe import probe
from svmv_cli.media.target import Target, choose_target
from svmv_cli.timeline import Clock
from tests.media import draw, make_clip


def ready(tmp_path: Path, name: str = "out.mp4", **settings: object) -> tuple[Target, MediaInfo]:
    info = probe(make_clip(tmp_path / "source.mp4", frames=3).path)
    given = {"rate": Fraction(24), "clock": Clock(Fraction(0)), "encoder": "cpu", **settings}
    return choose_target(info, path=tmp_path / name, **given), info  # type: ignore[arg-type]


def frame(number: int, rate: Fraction = Fraction(24), size: tuple[int, int] = (96, 64)) -> Frame:
    planes = draw(number, size=size, pix_fmt="yuv420p")
    return Frame(number / rate, 1 / rate, PixelFormat.parse("yuv420p"), planes)


def only_source(tmp_path: Path) -> bool:
    return [path.name for path in tmp_path.iterdir()] == ["source.mp4"]
