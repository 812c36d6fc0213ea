"""An interpolator is kept for the next file where that has pictures of the same kind, and for no other."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest

from svmv_cli.media.info import ColorInfo
from svmv_cli.media.probe import probe
from svmv_cli.pipeline.batch import Workshop
from svmv_cli.pipeline.plan import Plan, make_plan
from svmv_cli.pipeline.request import Request
from tests.fakes import Blend
from tests.media import make_clip


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    clip = make_clip(tmp_path / "in.mp4", frames=3).path
    return make_plan(Request(clip), probe(clip))


def other(plan: Plan, what: str) -> Plan:
    """A plan that differs in one respect."""
    target = plan.target
    return {
        "model": replace(plan, model="fast"),
        "device": replace(plan, device="cuda:1"),
        "precision": replace(plan, precision="fp16"),
        "scale": replace(plan, scale=0.5),
        "matrix": replace(plan, target=replace(target, color=ColorInfo(matrix=9))),
        "range": replace(plan, target=replace(target, color=replace(target.color, full_range=True))),
        "width": replace(plan, target=replace(target, width=98)),
        "height": replace(plan, target=replace(target, height=66)),
        "format": replace(plan, target=replace(target, pix_fmt="yuv444p")),
    }[what]


KINDS = ["model", "device", "precision", "scale", "matrix", "range", "width", "height", "format"]


@pytest.mark.parametrize("what", KINDS)
def test_pictures_of_another_kind_take_another_interpolator(plan: Plan, what: str) -> None:
    made: list[tuple[Blend, dict[str, object]]] = []

    def make(**kind: object) -> Blend:
        made.append((Blend(), kind))
        return made[-1][0]

    with Workshop(make, tell=lambda _: None) as workshop:
        first = workshop.interpolator_for(plan)
        assert workshop.interpolator_for(plan) is first
        changed = other(plan, what)
        assert workshop.interpolator_for(changed) is not first
        assert [blend.closed for blend, _ in made] == [True, False]
        assert workshop.interpolator_for(replace(changed, timing=plan.timing, tail=Fraction(1))) is made[1][0]
    assert made[1][0].closed
    wanted = made[1][1]
    assert (wanted["model"], wanted["device"], wanted["precision"], wanted["scale"]) == (
        changed.model,
        changed.device,
        changed.precision,
        changed.scale,
    )
    assert (wanted["color"], wanted["width"], wanted["height"]) == (
        changed.target.color,
        changed.target.width,
        changed.target.height,
    )
    assert wanted["pix_fmt"] == changed.target.pix_fmt
