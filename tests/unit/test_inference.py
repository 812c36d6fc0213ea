"""The network made ready for the CPU gives what its definition gives, at any size, for any weights."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from numba import njit
from torch import Tensor, nn

from svmv import SVMV, SVMVConfig, available, jit, load, packed
from svmv.bfloat16_numba import stored, value
from svmv.cpu_network import CpuNetwork
from svmv.inference import PlainNetwork, ready
from svmv.motion import steadiness
from svmv.packed import PackedConv
from svmv.synthesis import synthesize

SMALL = SVMVConfig(
    members=3, feature_channels=16, match_channels=8, context_channels=9, hidden_channels=12, radius=2, refinements=1
)
LOOKING = replace(SMALL, radius=3, detail_radius=2)


@pytest.fixture(scope="module")
def networks() -> list[SVMV]:
    torch.manual_seed(0)
    drawn = [SVMV(SMALL).eval(), SVMV(LOOKING).eval()]
    for network in drawn:
        for weight in network.parameters():  # untrained heads are nearly zero, and what is zero agrees with anything
            if weight.ndim == 4:
                nn.init.normal_(weight, std=1.5 / (weight[0].numel() ** 0.5))
        nn.init.constant_(network.ensemble.head.bias[6 * SMALL.members + 4], 5.0)  # half of each place stands still
    return [load("base"), *drawn]


def film(seed: int, *, height: int, width: int, batch: int = 1, channels: int = 3) -> Tensor:
    """(B, 4, C, H, W), a texture that moves by some pixels."""
    coarse = torch.rand(batch, channels, height // 6 + 8, width // 6 + 8, generator=torch.Generator().manual_seed(seed))
    scene = nn.functional.interpolate(coarse, size=(height + 40, width + 40), mode="bicubic").clamp(0, 1)
    views = [scene[..., 3 * k : 3 * k + height, 20 - 5 * k : 20 - 5 * k + width] for k in range(4)]
    return torch.stack(views, dim=1)


@torch.no_grad()
@pytest.mark.parametrize("which", [0, 1, 2])
@pytest.mark.parametrize("size", [(64, 96), (37, 150), (1, 1)])
def test_every_stage_equals_the_definition(networks: list[SVMV], which: int, size: tuple[int, int]) -> None:
    network, quick = networks[which], CpuNetwork(networks[which])
    frames = film(which, height=size[0], width=size[1], batch=2, channels=3 + which % 2)
    window = [network.encode(frames[:, k]) for k in range(4)]
    twin = [quick.encode(frames[:, k]) for k in range(4)]
    for one, other in zip(window, twin, strict=True):
        pairs = [(one.picture, other.picture), (one.half, other.half), (one.detail, other.detail)]
        pairs += [*zip(one.match, other.match, strict=True), *zip(one.context, other.context, strict=True)]
        for expected, got in pairs:
            torch.testing.assert_close(got, expected, atol=1e-4, rtol=1e-4)
    spacing = torch.tensor([[1.0, 2.0], [torch.inf, 0.5]])
    motion = network.decode((window[0], window[1], window[2], window[3]), size=size, spacing=spacing)
    found = quick.decode((twin[0], twin[1], twin[2], twin[3]), size=size, spacing=spacing)
    for name in ("velocity", "acceleration", "logit", "slope", "sharpness", "still", "pictures"):
        expected = getattr(motion, name)
        reach = float(expected.abs().max()) + 1
        torch.testing.assert_close(getattr(found, name), expected, atol=2e-3 * reach, rtol=0)
    assert len(found.levels) == len(motion.levels)
    for expected, got in zip(motion.levels, found.levels, strict=True):
        torch.testing.assert_close(got.near, expected.near, atol=2e-3, rtol=1e-3)
    t = torch.tensor([[0.25, 1.0], [0.5, 0.0]])
    made, wanted = quick.synthesize(found, t), synthesize(motion, t, backend="torch")
    assert made.shape == wanted.shape
    assert float((made - wanted).abs().mean()) < 1e-4
    assert float(((made - wanted).abs() > 1 / 255).float().mean()) < 1e-3


@torch.no_grad()
@pytest.mark.parametrize("channels", [3, 4])
def test_edges_that_stand_are_held_as_in_the_definition(networks: list[SVMV], channels: int) -> None:
    frames = film(3, height=37, width=150, channels=channels)[:, :1].repeat(1, 4, 1, 1, 1)
    frames += 0.01 * torch.rand(frames.shape, generator=torch.Generator().manual_seed(1))
    network, quick = networks[1], CpuNetwork(networks[1])
    motion = network.decode(tuple(network.encode(frames[:, k]) for k in range(4)), size=(37, 150))  # type: ignore[arg-type]
    found = quick.decode(tuple(quick.encode(frames[:, k]) for k in range(4)), size=(37, 150))  # type: ignore[arg-type]
    held = steadiness(motion.pictures, motion.velocity.mean(dim=1))
    assert 0.1 < float((held > 0).float().mean()) < 0.9
    torch.testing.assert_close(found.still, motion.still, atol=0.02, rtol=0)


Make = Callable[[], Tensor | None]


@pytest.mark.parametrize("slope", [None, 0.1])
@pytest.mark.parametrize(("kernel", "stride"), [(3, 1), (3, 2), (1, 1)])
@pytest.mark.parametrize("offered", [True, False])
def test_a_packed_convolution_is_a_convolution(
    kernel: int, stride: int, slope: float | None, offered: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not offered:
        monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    conv = nn.Conv2d(5, 7, kernel, stride, kernel // 2)
    one = PackedConv.of(conv, torch.float32, slope=slope)
    for size in ((8, 12), (3, 5)):
        x = torch.randn(2, 5, *size).contiguous(memory_format=torch.channels_last)
        expected = conv(x) if slope is None else nn.functional.leaky_relu(conv(x), slope)
        with torch.inference_mode():
            torch.testing.assert_close(one(x), expected.detach(), atol=1e-5, rtol=1e-5)


def test_without_the_fused_operation_nothing_is_packed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Nothing:
        def __getattr__(self, name: str) -> object:
            raise AttributeError(name)

    monkeypatch.setattr(torch.ops, "mkldnn", Nothing(), raising=False)
    assert packed._packed(torch.zeros(4, 3, 3, 3), stride=1, padding=1) is None


def test_kernels_compile_where_nothing_can_be_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bool] = []

    def refusing(function: Callable[..., object], *, cache: bool = False, **_: object) -> Callable[..., object]:
        asked.append(cache)
        if cache:
            raise RuntimeError("cannot cache function: no locator available")
        return function

    monkeypatch.setattr(jit, "njit", refusing)
    assert jit.kernel(np.sum) is np.sum
    assert asked == [True, False]


@torch.no_grad()
@pytest.mark.parametrize("form", [CpuNetwork, PlainNetwork])
def test_what_both_pictures_share_does_not_move(
    networks: list[SVMV], form: type[CpuNetwork] | type[PlainNetwork]
) -> None:
    frames = film(0, height=96, width=128)
    generator = torch.Generator().manual_seed(1)
    frames[..., 64:] = torch.randint(0, 2, (3, 96, 64), generator=generator).float()  # hard edges, as of letters
    network = form(networks[0])
    window = tuple(network.encode(frames[:, k]) for k in range(4))
    made = network.synthesize(network.decode(window, size=(96, 128)), torch.tensor([[0.5]]))[:, 0]  # type: ignore[arg-type]
    torch.testing.assert_close(made[..., 80:], frames[:, 1, :, :, 80:], atol=1e-5, rtol=0)
    assert float((made - frames[:, 1])[..., :48].abs().mean()) > 0.005


@torch.no_grad()
@pytest.mark.parametrize("size", [(64, 96), (37, 150), (1, 1)])
def test_in_bfloat16_it_is_the_same_to_rounding(networks: list[SVMV], size: tuple[int, int]) -> None:
    frames, t = film(3, height=size[0], width=size[1], batch=2), torch.tensor([[0.25], [0.5]])
    made = []
    for arithmetic in (torch.float32, torch.bfloat16):
        quick = CpuNetwork(networks[0], arithmetic)
        window = tuple(quick.encode(frames[:, k]) for k in range(4))
        motion = quick.decode(window, size=size)  # type: ignore[arg-type]
        assert motion.velocity.dtype == torch.float32
        made.append(quick.synthesize(motion, t))
    difference = (made[1] - made[0]).abs()
    assert float(difference.mean()) < 0.2 / 255
    assert float((difference > 2 / 255).float().mean()) < 0.01
    assert size == (1, 1) or float(difference.max()) > 0  # it is another arithmetic indeed


@torch.no_grad()
@pytest.mark.parametrize("name", available())
def test_the_shipped_weights_fit_into_float16(name: str) -> None:
    """GPUs compute in it, and it ends at 65 504: here by autocast on the CPU, with pictures beyond the usual range."""
    frames, t = 2 * film(1, height=128, width=192), torch.tensor([[0.5]])
    largest: list[Tensor] = []
    made = []
    for arithmetic in (torch.float32, torch.float16):
        network = load(name)
        for layer in network.modules():
            if isinstance(layer, nn.Conv2d):
                layer.register_forward_hook(lambda _layer, _inputs, output: largest.append(output.abs().max()))
        form = PlainNetwork(network, arithmetic)
        before, left, right, after = (form.encode(frames[:, k]) for k in range(4))
        made.append(form.synthesize(form.decode((before, left, right, after), size=(128, 192)), t))
    assert max(float(x) for x in largest) < 1000
    assert any(x.dtype == torch.float16 for x in largest)
    assert float((made[0] - made[1]).abs().mean()) < 0.1 / 255


def test_numbers_in_bfloat16_are_those_of_torch() -> None:
    @njit
    def copy(source, target):  # type: ignore[no-untyped-def]
        for k in range(len(source)):
            target[k] = stored(value(source[k]), target)

    exact = torch.cat(
        [torch.randn(1000) * 10.0 ** torch.randint(-30, 30, (1000,)), torch.tensor([0.0, -0.0, 1.00390625])]
    )
    bits = np.empty(len(exact), np.uint16)
    copy(exact.numpy(), bits)
    assert np.array_equal(bits, exact.bfloat16().view(torch.int16).numpy().view(np.uint16))
    back = np.empty(len(exact), np.float32)
    copy(bits, back)
    assert np.array_equal(back, exact.bfloat16().float().numpy())


def test_what_is_ready_holds_its_convolutions_in_their_arithmetic(
    networks: list[SVMV], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same pictures as by autocast, which would convert them in every call; the network itself stays as it is."""
    monkeypatch.setattr(CpuNetwork, "serves", lambda _config: False)
    network, frames = networks[1].to(memory_format=torch.channels_last), film(1, height=64, width=64)
    made = []
    for form in (PlainNetwork(network, torch.bfloat16), ready(network, torch.device("cpu"), torch.bfloat16)):
        before, left, right, after = (form.encode(frames[:, k]) for k in range(4))
        made.append(form.synthesize(form.decode((before, left, right, after), size=(64, 64)), torch.tensor([[0.5]])))
    assert torch.equal(*made)
    assert {p.dtype for p in network.parameters()} == {torch.float32}


def test_ready_takes_the_twin_on_the_cpu_only(networks: list[SVMV]) -> None:
    for arithmetic in (torch.float32, torch.bfloat16):
        assert isinstance(ready(networks[1], torch.device("cpu"), arithmetic), CpuNetwork)
    assert isinstance(ready(networks[1], torch.device("meta"), torch.float32), PlainNetwork)


@pytest.mark.parametrize("size", [{"radius": 4}, {"detail_radius": 4}, {"context_channels": 7}])
def test_sizes_that_the_twin_does_not_know_run_as_they_are(size: dict[str, int]) -> None:
    network = SVMV(replace(SMALL, **size))
    assert isinstance(ready(network, torch.device("cpu"), torch.float32), PlainNetwork)
    with pytest.raises(ValueError, match="windows up to 3 px"):
        CpuNetwork(network)
