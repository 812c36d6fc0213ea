"""The network as a function: symmetry, identities, caching, sizes, budget."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from svmv import SVMV, Motion, SVMVConfig, load, pick, stack
from svmv.motion import acceleration, agreed, steadiness
from svmv.training.captions import _draw

SMALL = SVMVConfig(feature_channels=16, match_channels=8, hidden_channels=16, half_channels=8, head_channels=8)


@pytest.fixture(scope="module")
def network() -> SVMV:
    """Small and untrained: what is tested here holds for any weights."""
    torch.manual_seed(1)
    return SVMV(SMALL).eval()


@pytest.fixture(scope="module")
def base() -> SVMV:
    return load("base")


def window(seed: int, *, height: int = 64, width: int = 96, batch: int = 1, channels: int = 3) -> Tensor:
    return torch.rand(batch, 4, channels, height, width, generator=torch.Generator().manual_seed(seed))


def texture(seed: int, height: int, width: int) -> Tensor:
    """(3, H, W), noise of several sizes."""
    total = torch.zeros(3, height, width)
    generator = torch.Generator().manual_seed(seed)
    for cell in (4, 12, 40):
        noise = torch.rand(1, 3, height // cell + 2, width // cell + 2, generator=generator)
        total += torch.nn.functional.interpolate(noise, size=(height, width), mode="bicubic")[0] / 3
    return total.clamp(0, 1)


def psnr(a: Tensor, b: Tensor) -> float:
    return float(-10 * (a - b).square().mean().log10())


@torch.no_grad()
def test_reversed_time_gives_the_same_picture(network: SVMV) -> None:
    frames = window(0)
    forward = network(frames, torch.tensor([[0.25, 0.7]]))
    backward = network(frames.flip(1), torch.tensor([[0.75, 0.3]]))
    torch.testing.assert_close(forward, backward, atol=1e-4, rtol=0)


@torch.no_grad()
def test_refinements_end_in_one_more_finest_level_each(network: SVMV) -> None:
    frames = window(3)
    plain, refined = network.analyze(frames), network.analyze(frames, refinements=2)
    assert len(refined.levels) == len(plain.levels) + 2
    finest = plain.levels[-1].near.shape
    assert [level.near.shape for level in refined.levels[-3:]] == [finest] * 3
    for a, b in zip(plain.levels, refined.levels, strict=False):
        torch.testing.assert_close(a.near, b.near)
    assert not torch.equal(refined.levels[-1].near, plain.levels[-1].near)


@torch.no_grad()
def test_reversed_time_turns_uneven_spacing_round(network: SVMV) -> None:
    frames, spacing = window(7), torch.tensor([[2.0, torch.inf]])
    forward = network.synthesize(network.analyze(frames, spacing), torch.tensor([[0.25]]))
    backward = network.synthesize(network.analyze(frames.flip(1), spacing.flip(1)), torch.tensor([[0.75]]))
    torch.testing.assert_close(forward, backward, atol=1e-4, rtol=0)


@torch.no_grad()
def test_ends_of_the_interval_are_the_frames_themselves(network: SVMV) -> None:
    frames = window(1)
    made = network(frames, torch.tensor([[0.0, 1.0]]))
    # The hole filler's weight is all that separates them: 1e-4 over the lightest possible weight, e^-7.
    torch.testing.assert_close(made[:, 0], frames[:, 1], atol=0.12, rtol=0)
    assert psnr(made[:, 0], frames[:, 1]) > 50
    assert psnr(made[:, 1], frames[:, 2]) > 50


@torch.no_grad()
def test_pixels_that_agree_can_stand_still_among_others_that_move() -> None:
    torch.manual_seed(1)
    standing, frames = SVMV(SMALL).eval(), window(2)
    letters = torch.zeros(frames.shape[-2:], dtype=torch.bool)
    letters[::3, 1::2] = True
    frames[..., letters] = frames[:, :1, :, letters]
    loose = standing(frames, torch.tensor([[0.5]]))[:, 0]
    standing.ensemble.evidence.zero_()
    standing.ensemble.calm.zero_()
    standing.ensemble.head.bias[6 * SMALL.members + 4] = 13.0
    made = standing(frames, torch.tensor([[0.5]]))[:, 0]
    assert psnr(made[..., letters][..., None], frames[:, 1, :, letters][..., None]) > 35
    assert psnr(loose[..., letters][..., None], frames[:, 1, :, letters][..., None]) < 20
    assert psnr(made[..., ~letters][..., None], frames[:, 1, :, ~letters][..., None]) < 20


def test_an_edge_that_does_not_change_is_steady_unless_it_cannot_move_so() -> None:
    edge = torch.zeros(1, 3, 8, 16)
    edge[..., 8:] = 0.8
    both = torch.cat([edge, edge])
    slow, fast = torch.zeros(2, 2, 4, 8), torch.zeros(2, 2, 4, 8)
    slow[:, 0], fast[:, 0] = 0.5, 3.0
    steady = steadiness(both, slow)
    expected = 0.5 * 0.5 * 0.8 * 0.5 * (1 - (0.5 / 3) ** 2)  # u·∇I on one column of two, near
    torch.testing.assert_close(steady[..., 3:5], torch.full((2, 1, 4, 2), expected))
    assert float(steady[..., :3].abs().max()) == 0 == float(steady[..., 5:].abs().max())  # even places say nothing
    assert float(steadiness(both, fast).max()) == 0
    assert float(steadiness(both, slow.flip(1)).max()) == 0  # along itself an edge moves without a change
    moved = 0.5 * edge + 0.5 * edge.roll(1, 3)
    assert float(steadiness(torch.cat([edge, moved]), slow)[..., 4].max()) == 0  # it changes as it should


@torch.no_grad()
def test_a_static_window_stays_as_it_is(base: SVMV) -> None:
    still = texture(3, 128, 160).expand(1, 4, -1, -1, -1)
    made = base(still, torch.tensor([[0.25, 0.5, 0.75]]))
    for k in range(3):
        assert psnr(made[0, k], still[0, 0]) > 42


def captioned(seed: int, step: int) -> tuple[Tensor, Tensor]:
    """A line of letters that stands still over a texture that moves by `step` pixels a frame.

    Returns:
        frames: (7, 3, 96, 256).
        ink: (96, 256), by how much the letters change the picture at most.
    """
    height, width = 96, 256
    scene = texture(seed, height, width + 6 * step)
    views = torch.stack([scene[..., k * step : k * step + width] for k in range(7)])
    rng = np.random.default_rng(seed)
    writing = replace(
        _draw(rng, 96, torch.device("cpu")),
        text=torch.from_numpy(rng.integers(1, 24, (1, 14))),
        origin=(40.0, 30.0),
        velocity=(0.0, 0.0),
        height=18.0,
        cell=(13.0, 24.0),
        pen=(2.0, 1.0),
        colours=(torch.full((3, 1, 1), 0.95), torch.full((3, 1, 1), 0.05), torch.zeros(3, 1, 1)),
        opacity=(1.0, 0.0),
        noise=0.0,
    )
    frames = writing.over(views, torch.zeros(7), rng)
    return frames, (frames - views).abs().amax(dim=(0, 1))


@torch.no_grad()
@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(("name", "least"), [("base", 21), ("fast", 18)])
def test_letters_stay_where_they_are_over_what_moves(seed: int, name: str, least: float) -> None:
    frames, ink = captioned(seed, 3)
    near = torch.nn.functional.max_pool2d((ink > 0.02)[None].float(), 5, 1, 2)[0] > 0
    made = load(name)(frames[[0, 2, 4, 6]][None], torch.tensor([[0.5]]))[0, 0]
    assert psnr(made[:, near], frames[3][:, near]) > least  # 18 and 14 when the letters went along


@torch.no_grad()
@pytest.mark.parametrize("seed", [1, 2])
def test_letters_stay_sharp_over_what_creeps(base: SVMV, seed: int) -> None:
    frames, ink = captioned(seed, 1)
    made = base(frames[[0, 2, 4, 6]][None], torch.tensor([[0.5]]))[0, 0]
    assert psnr(made[:, ink > 0.3], frames[3][:, ink > 0.3]) > 44  # 39 before `steadiness`


@torch.no_grad()
@pytest.mark.parametrize("shift", [(4, 0), (6, -4), (40, 8)])
def test_a_global_translation_is_recovered(base: SVMV, shift: tuple[int, int]) -> None:
    dx, dy = shift
    height, width, edge = 160, 224, 48
    scene = texture(5, height + 400, width + 400)

    def view(time: float) -> Tensor:
        x, y = 200 + round(dx * time), 200 + round(dy * time)
        return scene[:, y : y + height, x : x + width]

    frames = torch.stack([view(t) for t in (-1, 0, 1, 2)])[None]
    motion = base.analyze(frames)
    made = base.synthesize(motion, torch.tensor([[0.5]]))[0, 0]
    inside = (slice(None), slice(edge, -edge), slice(edge, -edge))
    assert psnr(made[inside], view(0.5)[inside]) > 34
    weights = motion.logit.exp().unsqueeze(2)
    velocity = (motion.velocity * weights).sum(dim=1) / weights.sum(dim=1)
    found = velocity[0, :, edge // 2 : -edge // 2, edge // 2 : -edge // 2].flatten(1).median(dim=1)[0]
    torch.testing.assert_close(
        found, -torch.tensor([dx, dy]).float(), atol=0.5, rtol=0
    )  # px; the view moves, not the scene


@torch.no_grad()
def test_cached_features_give_the_same_picture(network: SVMV) -> None:
    frames = window(2)
    cached = [network.encode(frames[:, k]) for k in range(4)]
    motion = network.decode((cached[0], cached[1], cached[2], cached[3]), size=(64, 96))
    t = torch.tensor([[0.4]])
    torch.testing.assert_close(network.synthesize(motion, t), network(frames, t), atol=1e-4, rtol=0)


@torch.no_grad()
def test_a_batch_is_its_windows_one_by_one(network: SVMV) -> None:
    frames, t = window(3, batch=3), torch.tensor([[0.2], [0.5], [0.9]])
    together = network(frames, t)
    for k in range(3):
        torch.testing.assert_close(together[k : k + 1], network(frames[k : k + 1], t[k : k + 1]), atol=1e-4, rtol=0)


@torch.no_grad()
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (33, 64), (97, 131), (270, 30)])
def test_any_size_goes_in_and_comes_out(network: SVMV, size: tuple[int, int]) -> None:
    made = network(window(4, height=size[0], width=size[1]), torch.tensor([[0.5]]))
    assert made.shape == (1, 1, 3, *size)
    assert bool(torch.isfinite(made).all())


@torch.no_grad()
def test_alpha_moves_with_the_picture_and_has_no_say(network: SVMV) -> None:
    frames, t = window(5, channels=4), torch.tensor([[0.5]])
    made = network(frames, t)
    torch.testing.assert_close(made[:, :, :3], network(frames[:, :, :3], t))
    opaque = frames.clone()
    opaque[:, :, 3] = 1
    torch.testing.assert_close(network(opaque, t)[:, :, 3], torch.ones(1, 1, 64, 96), atol=2e-4, rtol=0)


@torch.no_grad()
def test_stack_and_pick_are_inverse(network: SVMV) -> None:
    frames = window(6, batch=2)
    both = network.encode(frames[:, 0])
    again = stack([pick(both, slice(0, 1)), pick(both, slice(1, 2))])
    for a, b in zip([both.picture, both.half, *both.match], [again.picture, again.half, *again.match], strict=True):
        torch.testing.assert_close(a, b)


@torch.no_grad()
def test_budget_and_cost_per_time() -> None:
    network = SVMV().eval()
    assert sum(p.numel() for p in network.parameters()) <= 4.8e6
    frame = torch.rand(1, 3, 480, 864)
    with FlopCounterMode(display=False) as encode:
        features = network.encode(frame)
    with FlopCounterMode(display=False) as decode:
        motion = network.decode((features, features, features, features), size=(480, 864))
    assert (encode.get_total_flops() + decode.get_total_flops()) / 2 <= 40e9
    with FlopCounterMode(display=False) as synthesis:
        network.synthesize(motion, torch.tensor([[0.5]]))
    assert synthesis.get_total_flops() == 0  # no layer of the network depends on t


@torch.no_grad()
def test_bf16_is_close_to_fp32(base: SVMV) -> None:
    scene = texture(8, 128, 220)
    frames = torch.stack([scene[:, :, 10 * k : 10 * k + 160] for k in range(4)])[None]
    t = torch.tensor([[0.5]])
    exact = base(frames, t)
    with torch.autocast("cpu", torch.bfloat16):
        motion: Motion = base.analyze(frames)
    assert psnr(base.synthesize(motion, t), exact) > 40


def test_acceleration_is_the_parabola_through_the_outer_frame() -> None:
    velocity, curve = 3.0, 0.7
    for distance in (1.0, 2.0, 0.5):
        far = torch.full((1, 2, 1, 1), -distance * velocity + distance * distance * curve)
        near = torch.full((1, 2, 1, 1), velocity + curve)
        # u(t) = near·t + a(t²−t) with u = v·t + c·t² means a = c.
        found = acceleration(near, far, torch.tensor([1 / distance]))
        torch.testing.assert_close(found, torch.full((1, 2, 1, 1), curve))
    none = acceleration(torch.ones(1, 2, 1, 1), torch.zeros(1, 2, 1, 1), torch.zeros(1))
    assert float(none.abs().max()) == 0


def test_both_anchors_take_the_same_acceleration() -> None:
    ramp = torch.arange(8.0).expand(1, 2, 6, 8)
    curve = torch.cat([ramp, 3 - ramp])  # I₁ sees at x + 2 what I₀ sees at x
    near = torch.zeros(2, 2, 6, 8)
    near[0, 0], near[1, 0] = 2.0, -2.0
    left, right = agreed(curve, near, torch.ones(2))
    torch.testing.assert_close(left[..., :6], torch.full((2, 6, 6), 0.5))  # (x + 3 − (x + 2)) / 2
    torch.testing.assert_close(right[..., 2:], left[..., :6])
    # Where a shot begins I₀ has measured nothing.
    left, right = agreed(torch.cat([0 * ramp, ramp]), near, torch.tensor([0.0, 1.0]))
    torch.testing.assert_close(left[..., :6], ramp[0, ..., 2:])
    torch.testing.assert_close(right, ramp[0])
