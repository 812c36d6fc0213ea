"""Which twin of a kernel runs where, and what is told where the fast one does not."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec

import pytest
import torch
from torch import Tensor

from svmv import backends, correlation, inference, splat, synthesis
from svmv.backends import Trial, failure, fastest
from svmv_cli.pipeline import devices

CUDA = torch.device("cuda")


@pytest.fixture(autouse=True)
def unasked() -> Iterator[None]:
    failure.cache_clear()
    yield
    failure.cache_clear()


@pytest.fixture(autouse=True)
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "find_spec", lambda name: name)


def kernel(made: Callable[[], float], definition: float = 1.0) -> Trial:
    """A kernel whose Triton twin makes this, and what it should have made."""
    return lambda _device, backend: torch.full((3,), made() if backend == "triton" else definition)


def broken() -> float:
    raise RuntimeError("Failed to find C compiler.\nAnd more.")


def test_other_devices_need_no_asking() -> None:
    assert fastest(torch.device("cpu"), kernel(broken)) == "numba"
    assert fastest(torch.device("mps"), kernel(broken)) == "torch"
    assert devices.slow_kernels(torch.device("cpu")) is None


def test_triton_is_taken_where_it_computes_and_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    good = kernel(lambda: asked.append(1) or 1.0001)
    monkeypatch.setattr(correlation, "trial", good)
    monkeypatch.setattr(synthesis, "trial", good)
    assert [fastest(CUDA, good), fastest(CUDA, good)] == ["triton", "triton"]
    assert devices.slow_kernels(CUDA) is None
    assert len(asked) == 1


def test_where_one_does_not_its_definition_is_and_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = kernel(lambda: 1.0), kernel(broken)
    monkeypatch.setattr(correlation, "trial", good)
    monkeypatch.setattr(synthesis, "trial", bad)
    assert [fastest(CUDA, good), fastest(CUDA, bad)] == ["triton", "torch"]
    told = devices.slow_kernels(CUDA)
    assert told is not None and "(Failed to find C compiler.)" in told and "Python.h" in told
    monkeypatch.setattr(devices.sys, "platform", "win32")
    told = devices.slow_kernels(CUDA)
    assert told is not None and "triton-windows" in told and "Python.h" not in told


def test_training_asks_for_the_backward_kernels_too(monkeypatch: pytest.MonkeyPatch) -> None:
    good, bad = kernel(lambda: 1.0), kernel(broken)
    for module in (correlation, synthesis):
        monkeypatch.setattr(module, "trial", good)
    monkeypatch.setattr(correlation, "training_trial", good)
    monkeypatch.setattr(splat, "training_trial", bad)
    assert devices.slow_kernels(CUDA) is None
    told = devices.slow_kernels(CUDA, training=True)
    assert told is not None and "Failed to find C compiler." in told


@pytest.mark.parametrize("wrong", [1.01, float("nan")])
def test_wrong_numbers_are_no_success(wrong: float) -> None:
    assert failure(kernel(lambda: wrong), CUDA) == "what it computes is wrong"


def test_a_full_device_says_nothing_about_triton() -> None:
    full = [True]

    def at_first() -> float:
        if full.pop():
            raise torch.OutOfMemoryError("full")
        return 1.0

    trial = kernel(at_first)
    with pytest.raises(torch.OutOfMemoryError):
        failure(trial, CUDA)
    full.append(False)
    assert failure(trial, CUDA) is None


def test_it_may_not_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "find_spec", lambda _: None)
    assert failure(kernel(lambda: 1.0), CUDA) == "it is not installed"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
def test_a_machine_without_a_gpu_gives_a_reason_too() -> None:
    assert inference.triton_failure(CUDA)
    assert fastest(CUDA, synthesis.trial) == "torch"


def test_trials_tell_a_kernel_from_a_wrong_one() -> None:
    """Their numbers are large enough, and no two places the same."""
    for trial in (correlation.trial, correlation.training_trial, splat.training_trial, synthesis.trial):
        made: Tensor = trial(torch.device("cpu"), "torch")
        assert float(made.std()) > 0.05
        assert not torch.allclose(made, made.roll(1, -1), rtol=1e-2, atol=1e-2)


@pytest.mark.parametrize("trial", [correlation.training_trial, splat.training_trial])
def test_trials_of_training_hold_gradients_which_twins_have_alike(trial: Trial) -> None:
    device = torch.device("cpu")
    with torch.no_grad():  # as `failure` asks
        right, made = trial(device, "torch"), trial(device, "numba")
    assert torch.allclose(made, right, rtol=1e-3, atol=1e-3)
    assert len(right) > trial.__globals__["trial"](device, "torch").numel()
