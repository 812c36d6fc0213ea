"""A stopped run taken up again gives the same pictures where their neighbours count: fields and cadences."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from svmv_cli.media.probe import probe
from svmv_cli.pipeline.plan import make_plan
from svmv_cli.pipeline.report import Report, Silent
from svmv_cli.pipeline.request import Request, parse_shots
from svmv_cli.pipeline.run import run
from tests.fakes import Blend
from tests.pictures import BFF, pan, woven, write_clip
from tests.reading import read_planes, read_times

EVEN = parse_shots(cuts="auto", threshold=None, dedup="even")
CASES: dict[str, dict[str, Any]] = {
    "each frame made whole": {"deinterlace": "auto"},
    "by field": {"deinterlace": "fields"},
    "even times": {"fps": Fraction(120), "shots": EVEN},
}


def make(source: Path, output: Path, blend: Blend, **options: Any) -> Report:
    info = probe(source)
    plan = make_plan(Request(source, output=output, codec="ffv1", **options), info)
    return run(plan, info=info, interpolator=blend, progress=Silent())


@pytest.mark.parametrize("case", CASES)
def test_taken_up_again_it_is_the_same(tmp_path: Path, case: str) -> None:
    options = CASES[case]
    if "fps" in options:
        source = write_clip(tmp_path / "in.mkv", pan(20, (2, 3)) * 2, pix_fmt="yuv420p", rate=Fraction(60))
    else:
        film = woven(12, pix_fmt="yuv420p", size=(96, 64), bottom_first=True) * 3
        settings = {"codec": "libx264", "options": {**BFF, "g": "9"}, "rate": Fraction(25)}
        source = write_clip(tmp_path / "in.mp4", film, pix_fmt="yuv420p", **settings)  # type: ignore[arg-type]
    whole, again = tmp_path / "whole.mkv", tmp_path / "again.mkv"
    make(source, whole, Blend(), segment=Fraction(0), **options)
    with pytest.raises(MemoryError):
        make(source, again, Blend(fail_after=23), segment=Fraction(1, 5), **options)
    report = make(source, again, Blend(), segment=Fraction(1, 5), **options)
    assert 0 < report.segments_resumed < report.segments
    assert read_times(again) == read_times(whole)
    for a, b in zip(read_planes(whole), read_planes(again), strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
