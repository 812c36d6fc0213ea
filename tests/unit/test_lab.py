"""`svmv evaluate` and `svmv train` on small clips, and what they are measured with."""

import csv
import json
import shlex
import sys
from dataclasses import replace
from math import isnan, nan
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from svmv.metrics import psnr, sharpness, similarity
from svmv.training.data import ClipStore
from svmv.training.evaluation import Figures, Prediction, evaluate_clip, split
from svmv.training.rivals import Linear, Repeat
from svmv_cli.app import app
from svmv_cli.lab_check import hold_out
from svmv_cli.lab_report import WorstFrames
from svmv_cli.pipeline.footage import LONGEST, training_clips
from tests.media import make_clip


def run(*arguments: object) -> tuple[int, str, str]:
    made = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return made.exit_code, made.stdout, made.stderr


def test_gaps_of_a_clip() -> None:
    gaps = split(9, 4)
    assert [gap.window for gap in gaps] == [(0, 0, 1, 2), (0, 1, 2, 2)]
    assert [gap.dropped for gap in gaps] == [(1, 2, 3), (5, 6, 7)]
    assert gaps[0].times == (0.25, 0.5, 0.75)


def test_figures_of_known_pictures() -> None:
    grey = torch.full((1, 3, 32, 32), 100 / 255)
    assert float(psnr(grey, grey + 5 / 255)) == pytest.approx(10 * np.log10(255**2 / 25), abs=1e-3)
    noise = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    assert float(similarity(noise, noise).planar) == pytest.approx(1, abs=1e-5)
    assert float(sharpness(noise, noise)) == pytest.approx(1)
    assert float(sharpness(torch.nn.functional.avg_pool2d(noise, 3, 1, 1), noise)) < 0.5


def test_blending_is_exact_for_a_linear_fade() -> None:
    fade = np.stack([np.full((3, 16, 16), 10 * k, np.uint8) for k in range(9)])
    scores = evaluate_clip("fade", fade, [Repeat(), Linear()], step=2)
    assert scores.mean("linear").psnr == pytest.approx(80)  # where it is capped
    assert scores.mean("repeat").psnr == pytest.approx(10 * np.log10(255**2 / 100), abs=1e-3)


def test_evaluate_tells_every_method_and_keeps_its_records(tmp_path: Path) -> None:
    make_clip(tmp_path / "c.mkv", frames=9, codec="ffv1")
    table = tmp_path / "t.csv"
    code, out, err = run("evaluate", tmp_path, "--against", "repeat,linear,minterpolate", "--json", "--csv", table)
    assert code == 0, err
    told = json.loads(out)["groups"]["all"]
    assert told["clips"] == 1
    assert {"svmv", "repeat", "linear", "minterpolate"} <= set(told)
    with table.open() as rows:
        assert [row["method"] for row in csv.DictReader(rows)] == ["svmv", "repeat", "linear", "minterpolate"]


def test_what_every_nth_gap_does_not_give_is_left_out(tmp_path: Path) -> None:
    """Changes between predicted frames: no NaN in the table, the CSV or the JSON, which has no word for it."""
    make_clip(tmp_path / "c.mkv", frames=11, codec="ffv1")
    table = tmp_path / "t.csv"
    code, out, err = run("evaluate", tmp_path, "--every", 2, "--against", "linear", "--json", "--csv", table)
    assert code == 0, err
    told = json.loads(out, parse_constant=pytest.fail)
    assert told["groups"]["all"]["linear"]["temporal"] is None
    assert "nan" not in err.lower() and "–" in err
    with table.open() as rows:
        assert [row["temporal"] for row in csv.DictReader(rows)] == ["", ""]


def test_evaluate_saves_its_worst_frames_and_plots(tmp_path: Path) -> None:
    make_clip(tmp_path / "c.mkv", frames=9, codec="ffv1", size=(64, 48))
    code, _, err = run("evaluate", tmp_path / "c.mkv", "--against", "none", "--save-worst", tmp_path / "worst")
    assert code == 0, err
    sheets = sorted((tmp_path / "worst").glob("[0-9]*.png"))
    assert [sheet.name[:3] for sheet in sheets] == ["01_", "02_", "03_", "04_"]
    with av.open(sheets[0]) as sheet:
        assert next(sheet.decode(video=0)).width == 2 * 64
    assert (tmp_path / "worst" / "psnr_c.png").stat().st_size > 1000


def test_worst_frames_are_those_of_lowest_psnr_worst_first(tmp_path: Path) -> None:
    worst = WorstFrames(2)
    for frame, (ours, blend) in enumerate([(30.0, 20.0), (25.0, 26.0), (40.0, 35.0), (28.0, 20.0)]):
        picture = torch.full((1, 3, 16, 16), frame / 10)
        figures = {n: Figures(p, 1.0, 1.0, 1.0, 1.0) for n, p in (("svmv", ours), ("linear", blend))}
        worst.show(Prediction("a.mp4", frame, picture, dict.fromkeys(figures, picture), figures))
    assert [path.name for path in worst.save(tmp_path)] == ["01_a_00001.png", "02_a_00003.png"]


def test_evaluate_refuses_what_it_does_not_know(tmp_path: Path) -> None:
    assert run("evaluate", tmp_path / "none.mp4")[0] == 3
    make_clip(tmp_path / "c.mkv", frames=3, codec="ffv1")
    assert run("evaluate", tmp_path, "--against", "magic")[0] == 2
    assert run("evaluate", tmp_path, "--protocol", "3x")[0] == 2
    assert run("evaluate", tmp_path, "--model", "no-such")[0] == 2


BLEND = """
import sys
from pathlib import Path
import numpy as np
from svmv_cli.media.clips import read_picture, write_pictures

source, target, count = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
pictures = np.stack([read_picture(path) for path in sorted(source.iterdir())]).astype(float)
where = np.minimum(np.arange(count) / (count // len(pictures)), len(pictures) - 1)
left, t = where.astype(int), (where % 1)[:, None, None, None]
right = np.minimum(left + 1, len(pictures) - 1)
blended = (1 - t) * pictures[left] + t * pictures[right]
write_pictures(target, np.rint(blended).astype(np.uint8)[: count - int(sys.argv[4])])
"""


@pytest.fixture
def blend(tmp_path: Path) -> str:
    """The command line of a program that blends linearly; what is added to it is how many pictures it leaves out."""
    script = tmp_path / "blend it.py"
    script.write_text(BLEND)
    return f"{shlex.quote(sys.executable)} {shlex.quote(str(script))} {{in}} {{out}} {{count}} "


@pytest.mark.parametrize(("protocol", "left_out"), [("2x", 0), ("2x", 1), ("4x", 3)])
def test_programs_of_the_user_are_measured_like_other_rivals(
    tmp_path: Path, blend: str, protocol: str, left_out: int
) -> None:
    make_clip(tmp_path / "c.mkv", frames=9, codec="ffv1")
    rival = f"mine = {blend}{left_out}"
    code, out, err = run(
        "evaluate", tmp_path, "--against", "linear", "--protocol", protocol, "--rival", rival, "--json"
    )
    assert code == 0, err
    told = json.loads(out)["groups"]["all"]
    for figure in ("psnr", "ssim", "temporal"):
        assert told["mine"][figure] == pytest.approx(told["linear"][figure], rel=2e-3)


def test_programs_that_do_not_do_as_they_are_asked_end_it(tmp_path: Path, blend: str) -> None:
    make_clip(tmp_path / "c.mkv", frames=5, codec="ffv1")
    fails = f"{shlex.quote(sys.executable)} -c \"raise SystemExit('no GPU')\" {{in}} {{out}}"
    for rival, reason in [
        (f"mine={blend}4", "2 pictures where 6 or 5"),
        (f"mine={fails}", "mine ended with 1: no GPU"),
        ("mine=no-such-program {in} {out}", "no-such-program cannot be run"),
        ("mine=program {in}", "is no rival"),
        ("program {in} {out}", "is no rival"),
        ("mine='program {in} {out}", "cannot be read"),
        (f"linear={blend}0", "another method is called linear"),
    ]:
        code, _, err = run("evaluate", tmp_path, "--rival", rival)
        assert code == 2 and reason in err, err


def test_train_makes_weights_that_evaluate_takes(tmp_path: Path) -> None:
    make_clip(tmp_path / "c.mkv", frames=12, size=(96, 64), codec="ffv1")
    folder = tmp_path / "run"
    code, _, err = run("train", "--data", tmp_path / "c.mkv", "-o", folder, "--steps", 2, "--crop", 64, "--batch", 1)
    assert code == 0, err
    assert json.loads((folder / "metrics.jsonl").read_text().splitlines()[-1])["step"] == 2
    weights = folder / "weights.safetensors"
    assert run("evaluate", tmp_path / "c.mkv", "--against", "none", "--model", weights)[0] == 0


def test_train_measures_on_shots_it_does_not_train_on(tmp_path: Path) -> None:
    for number in range(10):
        make_clip(tmp_path / f"{number}.mkv", frames=8, size=(64, 64), codec="ffv1")
    folder = tmp_path / "run"
    arguments = ["--steps", 2, "--crop", 64, "--batch", 1, "--check-every", 1]
    code, _, err = run("train", "--data", tmp_path, "-o", folder, *arguments)
    assert code == 0, err
    records = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    looks = [record for record in records if "held_out_psnr" in record]
    assert [record["step"] for record in looks] == [0, 1, 2, 2]
    assert looks[0]["held_out_psnr"] > looks[0]["held_out_linear"]
    assert (folder / "curve.png").stat().st_size > 1000
    assert len(list((folder / "worst" / "step_0000001").glob("*.png"))) == 3
    index = next((folder / "clips").glob("*/index.json"))
    used, held = hold_out(ClipStore(index.parent))
    assert (len(used), len(held)) == (9, 1) and held[0] not in used


def test_clips_of_one_shot_are_held_out_together(tmp_path: Path) -> None:
    small = np.zeros((7, 96, 64), np.uint8)
    names = [f"film_{shot:04}" for shot in range(10) for _ in range(2)]
    store = ClipStore.build(tmp_path, ((name, "film.mkv", small) for name in names))
    used, held = hold_out(store)
    assert [entry.name for entry in held] == ["film_0009"] * 2
    assert len(used) == 18


def test_a_long_take_is_one_shot(tmp_path: Path) -> None:
    make_clip(tmp_path / "c.mkv", frames=LONGEST + 20, size=(64, 64), codec="ffv1")
    clips = list(training_clips([tmp_path / "c.mkv"], note=print))
    assert [len(frames) for _, _, frames in clips] == [LONGEST, 20]
    assert len({shot for shot, _, _ in clips}) == 1


def test_a_picture_that_is_no_number_is_not_left_out_of_the_mean() -> None:
    good = Figures(psnr=30.0, ssim=0.9, ssim_3d=0.9, temporal=nan, sharpness=1.0)
    mean = Figures.mean([good, replace(good, psnr=nan, temporal=20.0)])
    assert isnan(mean.psnr) and mean.temporal == 20.0 and mean.ssim == 0.9


def test_train_wants_a_length_and_footage_that_moves(tmp_path: Path) -> None:
    make_clip(tmp_path / "c.mkv", frames=4, codec="ffv1")
    assert run("train", "--data", tmp_path, "-o", tmp_path / "r")[0] == 2
    assert run("train", "--data", tmp_path, "-o", tmp_path / "r", "--steps", 1)[0] == 3
