"""The Triton kernels on a real device: they equal their definitions, and they compile where no device is."""

import dataclasses
import os
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from torch import Tensor

from svmv import SVMV, Motion, correlation, ready, synthesis
from svmv import splat as splatting
from svmv.backends import Backend, Trial, failure
from svmv.correlation import correlate
from svmv.splat import splat
from svmv.synthesis import synthesize
from tests.unit.test_synthesis import volume

Calculation = Callable[[list[Tensor], Backend], list[Tensor]]


@pytest.fixture
def cuda() -> torch.device:
    if not torch.cuda.is_available():
        # A GPU machine must not pass by skipping.
        assert os.environ.get("SVMV_REQUIRE_GPU") != "1", "SVMV_REQUIRE_GPU=1, but there is no CUDA device"
        pytest.skip("no CUDA device")
    return torch.device("cuda")


@pytest.fixture(autouse=True)
def kernels_may_be_compiled() -> None:
    warnings.filterwarnings("ignore", message="TRITON_DEFAULT_FP_FUSION")


def draw(seed: int, *shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def with_gradients(calculate: Calculation, tensors: list[Tensor], backend: Backend) -> list[Tensor]:
    """Outputs, then the gradients of all tensors for a fixed upstream gradient; on the CPU."""
    leaves = [x.clone().requires_grad_() for x in tensors]
    outputs = calculate(leaves, backend)
    upstream = [draw(90 + k, *x.shape).to(x.device) for k, x in enumerate(outputs)]
    torch.autograd.backward(outputs, upstream)
    return [x.detach().cpu() for x in outputs] + [x.grad.cpu() for x in leaves if x.grad is not None]


def splatted(tensors: list[Tensor], backend: Backend) -> list[Tensor]:
    return list(splat(*tensors, backend=backend))


@pytest.mark.gpu
@pytest.mark.parametrize("trial", [splatting.trial, correlation.trial, synthesis.trial])
def test_triton_is_found_to_run(cuda: torch.device, trial: Trial) -> None:
    assert failure(trial, cuda) is None


@pytest.mark.gpu
@pytest.mark.parametrize("size", [(2, 4, 4, 135, 241), (1, 3, 8, 480, 864), (3, 1, 1, 1, 1), (1, 5, 2, 3, 700)])
def test_splat_equals_its_definition(cuda: torch.device, size: tuple[int, int, int, int, int]) -> None:
    B, C, M, H, W = size
    offsets = draw(1, B, M, 2, H, W) * 6
    offsets[..., ::7] = offsets[..., ::7].round()
    tensors = [draw(0, B, C, H, W).to(cuda), offsets.to(cuda), draw(2, B, M, H, W).abs().to(cuda)]
    expected = with_gradients(splatted, tensors, "torch")
    for got, wanted in zip(with_gradients(splatted, tensors, "triton"), expected, strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.gpu
def test_wild_offsets_are_dropped_on_the_device(cuda: torch.device) -> None:
    offsets = draw(1, 1, 2, 2, 64, 65)
    wild = torch.tensor([float("nan"), float("inf"), -float("inf"), 1e30, -3e9, 2.0**31])
    offsets[:, 0, :, ::3, :60] = wild.repeat(10)
    tensors = [draw(0, 1, 3, 64, 65).to(cuda), offsets.to(cuda), torch.ones(1, 2, 64, 65, device=cuda)]
    expected = with_gradients(splatted, tensors, "torch")
    for got, wanted in zip(with_gradients(splatted, tensors, "triton"), expected, strict=True):
        assert bool(got.isfinite().all())
        torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.gpu
@pytest.mark.parametrize(("shape", "radius"), [((2, 32, 120, 216), 3), ((1, 5, 17, 9), 1), ((3, 48, 1, 1), 4)])
def test_correlation_equals_its_definition(cuda: torch.device, shape: tuple[int, int, int, int], radius: int) -> None:
    B, _, H, W = shape
    flow = (draw(1, B, 2, H, W) * 8).to(cuda)
    flow[:, :, ::5] = float("nan")

    def correlated(tensors: list[Tensor], backend: Backend) -> list[Tensor]:
        a, b = tensors
        return [correlate(a, b, flow, radius=radius, backend=backend)]

    tensors = [draw(2, *shape).to(cuda), draw(3, *shape).to(cuda)]
    expected = with_gradients(correlated, tensors, "torch")
    for got, wanted in zip(with_gradients(correlated, tensors, "triton"), expected, strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.gpu
@torch.no_grad()
@pytest.mark.parametrize(("channels", "reach"), [(3, 0.7), (3, 30.0), (4, 6.0)])
def test_fused_synthesis_equals_its_definition(cuda: torch.device, channels: int, reach: float) -> None:
    drawn = volume(channels, C=channels, h=135, w=240, reach=reach)
    fields = {field.name: getattr(drawn, field.name) for field in dataclasses.fields(drawn)}
    motion = Motion(**{name: x.to(cuda) if isinstance(x, Tensor) else x for name, x in fields.items()})
    t = torch.tensor([[0.0, 0.3, 1.0], [0.5, 0.77, 0.1]], device=cuda)
    torch.testing.assert_close(synthesize(motion, t), synthesize(motion, t, backend="torch"), atol=1e-4, rtol=1e-4)


@pytest.mark.gpu
def test_batches_of_8k_do_not_overflow_the_indices(cuda: torch.device) -> None:
    B, M, H, W = 9, 4, 4320, 7680  # 2.4·10⁹ numbers of offsets
    if torch.cuda.mem_get_info()[0] < 40e9:
        pytest.skip("needs 40 GB of free device memory")
    values = torch.rand(B, 1, H, W, device=cuda)
    offsets, weights = torch.zeros(B, M, 2, H, W, device=cuda), torch.ones(B, M, H, W, device=cuda)
    total, norm = splat(values, offsets, weights, backend="triton")
    assert bool((norm == M).all())
    assert float((total - M * values).abs().max()) < 1e-5


@pytest.mark.gpu
def test_kernels_run_on_the_device_of_their_tensors(cuda: torch.device) -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("one CUDA device")
    other = torch.device(cuda.type, 1)
    tensors = [draw(0, 1, 3, 20, 30).to(other), draw(1, 1, 2, 2, 20, 30).to(other), torch.ones(1, 2, 20, 30).to(other)]
    expected = with_gradients(splatted, tensors, "torch")
    for got, wanted in zip(with_gradients(splatted, tensors, "triton"), expected, strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.gpu
def test_the_network_gives_on_cuda_what_it_gives_on_the_cpu(cuda: torch.device) -> None:
    torch.manual_seed(0)
    network, frames, t = SVMV().eval(), torch.rand(2, 4, 3, 96, 130), torch.tensor([[0.25, 0.5], [0.5, 0.9]])
    with torch.no_grad(), torch.backends.cudnn.flags(allow_tf32=False):
        expected = network(frames, t)
        got = network.to(cuda)(frames.to(cuda), t.to(cuda))
    assert float((got.cpu() - expected).abs().mean()) < 1e-3


@pytest.mark.gpu
def test_a_training_step_reaches_every_weight(cuda: torch.device) -> None:
    torch.manual_seed(0)
    network = SVMV().to(cuda, memory_format=torch.channels_last).train()  # type: ignore[call-overload]
    frames = torch.rand(2, 4, 3, 128, 128, device=cuda)
    with torch.autocast("cuda", torch.bfloat16):
        motion = network.analyze(frames)
    network.synthesize(motion, torch.full((2, 1), 0.5, device=cuda)).square().mean().backward()
    for name, weight in network.named_parameters():
        assert weight.grad is not None, name
        assert bool(weight.grad.isfinite().all()), name


@pytest.mark.gpu
def test_between_upload_and_download_nothing_waits_for_the_device(cuda: torch.device) -> None:
    network = ready(SVMV(), cuda, torch.float16)
    frames = torch.rand(4, 3, 96, 160, device=cuda)
    spacing, times = torch.ones(1, 2, device=cuda), torch.tensor([[0.25, 0.5]], device=cuda)

    def gap() -> Tensor:
        before, left, right, after = (network.encode(frame[None]) for frame in frames)
        motion = network.decode((before, left, right, after), size=(96, 160), spacing=spacing)
        return torch.stack([network.synthesize(motion, times).mean(), motion.finite()])

    with torch.inference_mode():
        gap()  # kernels are compiled
        torch.cuda.set_sync_debug_mode("error")
        try:
            result = gap()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert bool(result.isfinite().all())


@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
@pytest.mark.skipif(os.environ.get("TRITON_INTERPRET") == "1", reason="the interpreter replaces the compiler")
@pytest.mark.parametrize("capability", [75, 90])
def test_kernels_compile_without_a_device(capability: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    import triton
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from svmv import correlation_triton, splat_triton, synthesis_triton

    floats, whole = "*fp32", "*i32"
    jobs = [
        (splat_triton._scatter, [floats] * 4 + ["i32"] * 3, [3, 4, 256]),
        (splat_triton._gather, [floats] * 7 + ["i32"] * 3, [4, 8, 256, True]),
        (correlation_triton._lookup, [floats, floats, whole, whole, floats, "i32", "i32"], [32, 32, 8, 8, 3, 16]),
        (
            correlation_triton._spread,
            [floats, floats, whole, whole, floats, floats, floats, "i32", "i32"],
            [32, 32, 8, 8, 3, 16],
        ),
        (synthesis_triton._scatter, [floats] * 4 + ["i32"] * 5, [3, 4, 7.0, 40.0, -12.0, 7.0, 256]),
        (synthesis_triton._finish, [floats] * 4 + ["fp32"] + ["i32"] * 4, [3, 4, 256]),
    ]
    gathering = splat_triton._gather, correlation_triton._lookup, synthesis_triton._finish
    for kernel, types, constants in jobs:
        signature = dict(zip(kernel.arg_names, types + ["constexpr"] * len(constants), strict=True))
        fixed = {(len(types) + k,): value for k, value in enumerate(constants)}
        made = triton.compile(ASTSource(kernel, signature, fixed), target=GPUTarget("cuda", capability, 32))
        assert "red.global" in made.asm["ptx"] or kernel in gathering
