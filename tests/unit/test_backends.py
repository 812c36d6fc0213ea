"""Which twin of a kernel runs where, and what is told where the fast one does not."""

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from types import ModuleType

import pytest
import torch
from torch import Tensor

from svmv import backends
from svmv.backends import fastest, triton_failure
from svmv_cli.pipeline import devices

CUDA = torch.device("cuda")


@pytest.fixture(autouse=True)
def unasked() -> Iterator[None]:
    triton_failure.cache_clear()
    yield
    triton_failure.cache_clear()


def pretend(monkeypatch: pytest.MonkeyPatch, splat: object) -> None:
    """Triton is installed, its splat is this one, and what is sent to a GPU stays here."""
    module = ModuleType("svmv.splat_triton")
    monkeypatch.setattr(module, "splat_triton", splat, raising=False)
    monkeypatch.setitem(sys.modules, "svmv.splat_triton", module)
    monkeypatch.setattr(backends, "find_spec", lambda name: name)
    ones = torch.ones
    monkeypatch.setattr(torch, "ones", lambda *size, **_: ones(*size))


def test_other_devices_need_no_asking() -> None:
    assert fastest(torch.device("cpu")) == "numba"
    assert fastest(torch.device("mps")) == "torch"
    assert devices.slow_kernels(torch.device("cpu")) is None


def test_triton_is_taken_where_it_computes_and_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def splat(values: Tensor, _offsets: Tensor, _weights: Tensor) -> tuple[Tensor, Tensor]:
        asked.append(1)
        return values, values

    pretend(monkeypatch, splat)
    assert [fastest(CUDA), fastest(CUDA)] == ["triton", "triton"]
    assert len(asked) == 1
    assert devices.slow_kernels(CUDA) is None


def test_where_it_does_not_the_definition_is_and_the_reason_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def splat(*_: Tensor) -> tuple[Tensor, Tensor]:
        raise RuntimeError("Failed to find C compiler.\nAnd more.")

    pretend(monkeypatch, splat)
    assert fastest(CUDA) == "torch"
    told = devices.slow_kernels(CUDA)
    assert told is not None and "(Failed to find C compiler.)" in told and "Python.h" in told
    monkeypatch.setattr(devices.sys, "platform", "win32")
    told = devices.slow_kernels(CUDA)
    assert told is not None and "triton-windows" in told and "Python.h" not in told


def test_wrong_sums_are_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend(monkeypatch, lambda values, *_: (2 * values, values))
    assert triton_failure(CUDA) == "what it computes is wrong"


def test_a_full_device_says_nothing_about_triton(monkeypatch: pytest.MonkeyPatch) -> None:
    def splat(*_: Tensor) -> tuple[Tensor, Tensor]:
        raise torch.OutOfMemoryError("full")

    pretend(monkeypatch, splat)
    with pytest.raises(torch.OutOfMemoryError):
        triton_failure(CUDA)
    pretend(monkeypatch, lambda values, *_: (values, values))
    assert triton_failure(CUDA) is None


def test_it_may_not_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "find_spec", lambda _: None)
    assert triton_failure(CUDA) == "it is not installed"


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.skipif(find_spec("triton") is None, reason="Triton is not installed")
def test_a_machine_without_a_gpu_gives_a_reason_too() -> None:
    assert triton_failure(CUDA)
    assert fastest(CUDA) == "torch"
