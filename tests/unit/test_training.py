"""Losses by hand-made cases; the training run's promises: same batches, exact resume, bad steps skipped."""

import json
import threading
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from svmv import SVMV, SVMVConfig, load, save
from svmv.training.config import Schedule
from svmv.training.data import ClipStore, RealSource, to_rgb
from svmv.training.feed import Feeder
from svmv.training.loop import DivergedError, Trainer
from svmv.training.losses import laplacian, reprojection, spatial_variance, temporal_variance
from svmv.training.synthetic import SyntheticSource
from svmv.warp import warp

SMALL = SVMVConfig(feature_channels=16, match_channels=8, hidden_channels=16, half_channels=8, head_channels=8)
CPU = torch.device("cpu")


def small() -> SVMV:
    torch.manual_seed(3)
    return SVMV(SMALL)


def clips() -> list[tuple[str, str, np.ndarray]]:
    """Two clips of smooth noise that slides, the faster the lower it is, planar 4:2:0, 96×96."""
    rng = np.random.default_rng(0)
    made = []
    for name in ("a", "b"):
        noise = torch.from_numpy(rng.random((1, 1, 20, 40), np.float32))
        wide = torch.nn.functional.interpolate(noise, size=(96, 192), mode="bicubic")[0, 0].clamp(0, 1).numpy()
        frames = [np.full((144, 96), 128, np.uint8) for _ in range(12)]
        for k, frame in enumerate(frames):
            for y, row in enumerate(wide):
                seen = np.interp(np.arange(96) + k * (1 + y / 16), np.arange(192), row)
                frame[y] = (16 + 219 * seen).astype(np.uint8)
        made.append((name, name, np.stack(frames)))
    return made


@pytest.fixture
def real(tmp_path: Path) -> RealSource:
    return RealSource(ClipStore.build(tmp_path / "clips", clips()), spans=(2, 3))


def schedule(**changes: object) -> Schedule:
    settings = {"steps": 40, "batch": 2, "crops": ((0.0, 64),), "warm_up": 2, "seed": 5, **changes}
    return Schedule(**settings)  # type: ignore[arg-type]


def test_clip_store_returns_what_was_put_in(tmp_path: Path) -> None:
    ClipStore.build(tmp_path / "s", clips())
    store = ClipStore(tmp_path / "s")
    for entry, (name, _, clip) in zip(store.entries, clips(), strict=True):
        assert entry.name == name
        assert (entry.frames, entry.height, entry.width) == (12, 96, 96)
        np.testing.assert_array_equal(store.clip(entry), clip)


def test_grey_and_colour_of_packed_frames() -> None:
    packed = torch.full((1, 6, 4), 128, dtype=torch.uint8)
    packed[:, :4] = 235
    torch.testing.assert_close(to_rgb(packed), torch.ones(1, 3, 4, 4))


def test_spatial_variance_of_agreeing_constant_offsets_is_one() -> None:
    assert float(spatial_variance(torch.full((1, 4, 2, 8, 8), 2.5), 0.25)) == pytest.approx(1)


def test_spatial_variance_rewards_diversity_and_punishes_roughness() -> None:
    level = torch.zeros(1, 4, 2, 8, 8)
    diverse = level + torch.tensor([-1.0, -0.5, 0.5, 1.0]).view(1, 4, 1, 1, 1)
    rough = level + torch.randn(1, 1, 2, 8, 8, generator=torch.Generator().manual_seed(0))
    assert float(spatial_variance(diverse, 0.25)) < 1 < float(spatial_variance(rough, 0.25))


def test_temporal_variance_forgives_what_one_frame_hides() -> None:
    anchor = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    hidden, still = torch.zeros_like(anchor), torch.zeros(1, 2, 16, 16)
    assert float(temporal_variance(anchor, hidden, anchor, still, still)) == pytest.approx(0, abs=1e-6)
    assert float(temporal_variance(anchor, anchor, hidden, still, still)) == pytest.approx(0, abs=1e-6)
    assert float(temporal_variance(anchor, hidden, hidden, still, still)) > 0.1


def test_reprojection_and_laplacian_are_zero_only_for_equal_pictures() -> None:
    a = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(2))
    assert float(reprojection(a, a).abs().max()) == 0
    assert float(laplacian(a, a)) == 0
    assert float(laplacian(a, 1 - a)) > 0.1


def test_synthetic_motion_is_true() -> None:
    sample, truth = SyntheticSource().draw(np.random.default_rng(4), batch=2, crop=96, device=CPU)
    left, right = sample.window[:, 1], sample.window[:, 2]
    error = (warp(right, truth.near[:2]) - left).abs().mean(dim=1)
    plain = (right - left).abs().mean(dim=1)
    # Fine noise suffers from being sampled twice; what neither frame hides still matches several times better.
    assert float(error.median()) < 0.3 * float(plain.median())
    assert float(error.mean()) < 0.5 * float(plain.mean())


def test_the_same_seed_draws_the_same_batches(real: RealSource) -> None:
    one, two = (real.draw(np.random.default_rng((5, 7)), batch=2, crop=64, device=CPU) for _ in range(2))
    assert torch.equal(one.window, two.window)
    assert torch.equal(one.t, two.t)


def test_batches_cut_ahead_are_those_cut_on_demand(real: RealSource) -> None:
    plan = schedule(synthetic=(0.5, 0.5))
    with Feeder(plan, real, threads=2) as ahead, Feeder(plan, real, threads=0) as inline:
        for step in range(8):
            one, two = (feeder.draft(step, lambda n: n / 40) for feeder in (ahead, inline))
            assert one.rng.random() == two.rng.random()
            assert (one.real is None) == (two.real is None)
            for a, b in zip(one.textures, two.textures, strict=True):
                np.testing.assert_array_equal(a, b)
            if one.real is not None and two.real is not None:
                np.testing.assert_array_equal(one.real.packed, two.real.packed)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("cut")]


def test_synthetic_scenes_wear_the_footage(real: RealSource) -> None:
    textures = [real.stills(np.random.default_rng(k), batch=2, crop=64) for k in range(3)]
    sample, _ = SyntheticSource().draw(np.random.default_rng(1), batch=2, crop=64, device=CPU, textures=textures)
    # The footage is grey, noise textures are not.
    assert float((sample.target[:, 0] - sample.target[:, 2]).abs().max()) < 0.01


def test_the_encoder_stays_as_it_came_while_it_is_frozen(real: RealSource, tmp_path: Path) -> None:
    trainer = Trainer(small(), schedule(steps=4, frozen_encoder=0.5), tmp_path, real=real, device=CPU)
    before = [p.detach().clone() for p in trainer.model.encoder.parameters()]
    for _ in range(2):
        trainer.advance()
    assert all(torch.equal(a, b) for a, b in zip(before, trainer.model.encoder.parameters(), strict=True))
    trainer.advance()
    assert not all(torch.equal(a, b) for a, b in zip(before, trainer.model.encoder.parameters(), strict=True))


def test_resuming_gives_the_step_an_unbroken_run_gives(real: RealSource, tmp_path: Path) -> None:
    unbroken = Trainer(small(), schedule(), tmp_path / "a", real=real, device=CPU)
    for _ in range(4):
        unbroken.advance()
    broken = Trainer(small(), schedule(), tmp_path / "b", real=real, device=CPU)
    for _ in range(3):
        broken.advance()
    broken.save()
    resumed = Trainer(small(), schedule(), tmp_path / "b", real=real, device=CPU)
    assert resumed.resume()
    resumed.advance()
    assert resumed.step == unbroken.step == 4
    for a, b in zip(unbroken.model.parameters(), resumed.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=0)  # parallel sums leave the last bit open


def test_training_learns_and_leaves_its_records(real: RealSource, tmp_path: Path) -> None:
    plan = schedule(steps=80, synthetic=(0.0, 0.0), learning_rate=2e-3, bv_weight=0.0, refined=0.0)
    trainer = Trainer(small(), plan, tmp_path / "run", real=real, device=CPU)
    sample = real.draw(np.random.default_rng(0), batch=16, crop=64, device=CPU)

    def loss() -> float:
        with torch.no_grad():
            return float(laplacian(trainer.model(sample.window, sample.t[:, None])[:, 0], sample.target))

    first = loss()
    trainer.run()
    assert loss() < 0.8 * first
    records = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert records[-1]["step"] == 80
    assert load(tmp_path / "run" / "weights.safetensors").config == SMALL


def test_steps_without_a_finite_gradient_are_skipped_then_stop_the_run(real: RealSource, tmp_path: Path) -> None:
    network = small()
    trainer = Trainer(network, schedule(), tmp_path, real=real, device=CPU)
    before = [p.detach().clone() for p in network.encoder.parameters()]
    with torch.no_grad():
        network.ensemble.doubt.fill_(torch.nan)
    trainer.advance()
    assert trainer.skipped == 1
    assert all(torch.equal(a, b) for a, b in zip(before, network.encoder.parameters(), strict=True))
    with pytest.raises(DivergedError, match="ten steps"):
        trainer.run()
    assert trainer.skipped == 10


def test_weights_from_before_a_place_could_stand_still_give_what_they_gave(tmp_path: Path) -> None:
    torch.manual_seed(3)
    network = SVMV(replace(SMALL, detail_radius=1)).eval()
    ensemble, M = network.ensemble, SMALL.members
    place = 16 + 2 * SMALL.detail_channels + 7
    with torch.no_grad():
        ensemble.evidence.zero_()
        ensemble.calm.zero_()
        ensemble.head.bias[6 * M + 4] = -25
        ensemble.head.weight[6 * M + 4] = 0
        ensemble.body[0][0].weight[:, place] = 0
    rows = [k for k in range(ensemble.head.out_channels) if k != 6 * M + 4]
    columns = [k for k in range(ensemble.body[0][0].in_channels) if k != place]
    old = network.state_dict()
    del old["ensemble.evidence"], old["ensemble.calm"]
    for key in ("ensemble.head.weight", "ensemble.head.bias"):
        old[key] = old[key][rows]
    old["ensemble.body.0.0.weight"] = old["ensemble.body.0.0.weight"][:, columns]
    path = tmp_path / "old.safetensors"
    save_file(old, path, metadata={"config": json.dumps(asdict(network.config))})
    frames, t = torch.rand(1, 4, 3, 64, 64), torch.tensor([[0.3]])
    with torch.no_grad():
        torch.testing.assert_close(load(path)(frames, t), network(frames, t))


def test_checkpoints_carry_their_config_and_reject_strangers(tmp_path: Path) -> None:
    network = small().eval()
    save(network, tmp_path / "w.safetensors", dtype=torch.float32)
    again = load(tmp_path / "w.safetensors")
    assert again.config == SMALL
    for a, b in zip(network.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    (tmp_path / "text.safetensors").write_text("no weights")
    with pytest.raises(ValueError, match="not an SVMV checkpoint"):
        load(tmp_path / "text.safetensors")
    with pytest.raises(ValueError, match="base"):
        load("no-such-network")
