"""The door: caching, phases, choices and refusals. The network is real, small and untrained."""

import itertools
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import svmv
from svmv_cli.errors import DeviceError, ModelError, UsageError
from svmv_cli.media.frame import Frame, PixelFormat
from svmv_cli.media.info import ColorInfo
from svmv_cli.pipeline import interpolate, memory
from svmv_cli.pipeline.color import Converter
from svmv_cli.pipeline.devices import choose_precision, open_device
from svmv_cli.pipeline.interpolate import NetworkInterpolator, make_interpolator
from svmv_cli.pipeline.still import Still
from svmv_cli.pipeline.windows import Window

SMALL = svmv.SVMVConfig(feature_channels=16, match_channels=8, hidden_channels=16, half_channels=8, head_channels=8)


def frames(count: int) -> list[Frame]:
    rng = np.random.default_rng(0)
    pixel_format = PixelFormat.parse("yuv420p")
    shapes = [pixel_format.plane_shape(k, 48, 40) for k in range(3)]
    return [
        Frame(Fraction(k, 10), Fraction(1, 10), pixel_format, tuple(rng.integers(16, 235, s, np.uint8) for s in shapes))
        for k in range(count)
    ]


def windows(film: list[Frame]) -> list[Window]:
    last = len(film) - 1
    return [Window(film[max(k - 1, 0)], film[k], film[k + 1], film[min(k + 2, last)]) for k in range(last)]


@pytest.fixture
def small(tmp_path: Path) -> NetworkInterpolator:
    torch.manual_seed(0)
    svmv.save(svmv.SVMV(SMALL), tmp_path / "w.safetensors", dtype=torch.float32)
    made = make_interpolator(
        model=str(tmp_path / "w.safetensors"),
        device="cpu",
        precision="fp32",
        color=ColorInfo(),
        width=48,
        height=40,
        pix_fmt="yuv420p",
    )
    assert isinstance(made.inner, NetworkInterpolator)
    return made.inner


@pytest.fixture
def film_of(tmp_path: Path) -> Callable[..., tuple[NetworkInterpolator, list[Window]]]:
    """A small network and the windows of smooth moving pictures of any format and size."""
    torch.manual_seed(0)
    svmv.save(svmv.SVMV(SMALL), tmp_path / "w.safetensors", dtype=torch.float32)

    def make(pix_fmt: str, *, width: int, height: int, **rest: Any) -> tuple[NetworkInterpolator, list[Window]]:
        model = make_interpolator(
            model=rest.pop("model", str(tmp_path / "w.safetensors")),
            device="cpu",
            precision="fp32",
            color=ColorInfo(),
            width=width,
            height=height,
            pix_fmt=pix_fmt,
            **rest,
        ).inner
        assert isinstance(model, NetworkInterpolator)
        pixel_format = PixelFormat.parse(pix_fmt)
        film = []
        for k in range(4):
            planes = []
            for index in range(pixel_format.planes):
                rows, columns = pixel_format.plane_shape(index, width, height)
                y, x = np.mgrid[0 : height : rows * 1j, 0 : width : columns * 1j]
                wave = 0.5 + 0.2 * np.sin((x + 2 * k) / 5 + index) + 0.2 * np.cos((y - k) / 7)
                planes.append((wave * (2**pixel_format.depth - 1)).astype(pixel_format.dtype))
            film.append(Frame(Fraction(k, 10), Fraction(1, 10), pixel_format, tuple(planes)))
        return model, windows(film)

    return make


def test_each_frame_is_encoded_once(small: NetworkInterpolator, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[int] = []
    encode = small._network.encode
    monkeypatch.setattr(small._network, "encode", lambda x: encoded.append(1) or encode(x))
    for window in windows(frames(7)):
        small.between([window], [(Fraction(1, 2),)])
    assert len(encoded) == 7


def test_windows_may_want_different_numbers_of_pictures(small: NetworkInterpolator) -> None:
    pair = windows(frames(4))[:2]
    wanted = [(Fraction(1, 4), Fraction(1, 2)), (Fraction(3, 4),)]
    together = small.between(pair, wanted)
    assert [len(row) for row in together] == [2, 1]
    for window, phases, row in zip(pair, wanted, together, strict=True):
        for one, other in zip(small.between([window], [phases])[0], row, strict=True):
            for a, b in zip(one, other, strict=True):
                assert a.dtype == np.uint8
                assert int(np.abs(a.astype(int) - b.astype(int)).max()) <= 1


def test_memory_running_out_halves_the_batch_and_then_says_so(
    small: NetworkInterpolator, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode, sizes = small._network.decode, []

    def decode_at_most(limit: int) -> None:
        def fake(window: tuple[svmv.Features, ...], **rest: object) -> svmv.Motion:
            sizes.append(window[0].picture.shape[0])
            if sizes[-1] > limit:
                raise torch.OutOfMemoryError("full")
            return decode(window, **rest)  # type: ignore[arg-type]

        monkeypatch.setattr(small._network, "decode", fake)

    four, phases = windows(frames(5)), [(Fraction(1, 2),)] * 4
    decode_at_most(2)
    assert len(small.between(four, phases)) == 4
    assert sizes == [4, 2, 2]
    assert len(small.between(four, phases)) == 4
    assert sizes == [4, 2, 2, 2, 2]  # what is too much is not tried again
    decode_at_most(0)
    with pytest.raises(DeviceError, match="out of memory"):
        small.between(four, phases)


def test_tiles_give_what_the_whole_gives(
    film_of: Callable[..., tuple[NetworkInterpolator, list[Window]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    phases = [(Fraction(1, 4), Fraction(1, 2))]
    for pix_fmt, scale, width in (("yuv420p", 1, 301), ("yuva444p10le", 1, 301), ("yuv420p10le", 0.5, 603)):
        whole, (window, *_) = film_of(pix_fmt, width=width, height=65, scale=scale)
        expected = whole.between([window], phases)[0]
        monkeypatch.setattr(memory, "tile_side", lambda *_args, **_rest: 256)
        told: list[str] = []
        tiled, _ = film_of(pix_fmt, width=width, height=65, scale=scale, tell=told.append)
        monkeypatch.undo()
        assert len(told) == 1 and f"tiles of {round(256 / scale)} px" in told[0]
        for one, other in zip(tiled.between([window], phases)[0], expected, strict=True):
            for a, b in zip(one, other, strict=True):
                assert a.shape == b.shape and a.dtype == b.dtype
                off = np.abs(a.astype(int) - b.astype(int)) > 2 ** (whole.converter.format.depth - 8)
                assert float(off.mean()) < 0.02  # untrained, it moves things further than tiles reach


def test_pictures_of_one_level_are_worked_on_in_tiles_too(
    film_of: Callable[..., tuple[NetworkInterpolator, list[Window]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory, "tile_side", lambda *_args, **_rest: 256)
    model, (window, *_) = film_of("gray", width=1203, height=65, scale=0.25)
    (plane,) = model.between([window], [(Fraction(1, 2),)])[0][0]
    assert plane.shape == (65, 1203)


def test_memory_running_out_goes_on_in_tiles_and_says_so_once(
    film_of: Callable[..., tuple[NetworkInterpolator, list[Window]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    model, film = film_of("gray", width=270, height=50, tell=told.append)
    phases = [(Fraction(1, 2),)] * 2
    expected = model.between(film[:2], phases)
    full = "[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"

    def out_of_memory(*_args: object, **_rest: object) -> svmv.Motion:
        raise RuntimeError(full)

    monkeypatch.setattr(model._network, "decode", out_of_memory)
    monkeypatch.setattr(memory, "smaller", lambda side, **_: 256 if side is None else None)
    for got, wanted in zip(model.between(film[:2], phases), expected, strict=True):
        assert float((np.abs(got[0][0].astype(int) - wanted[0][0].astype(int)) > 1).mean()) < 0.02
    assert len([note for note in told if "out of memory" in note]) == 1
    monkeypatch.setattr(model._network, "decode_coarse", out_of_memory)
    with pytest.raises(DeviceError, match="out of memory"):
        model.between(film[:1], phases[:1])
    full = "something else"
    with pytest.raises(RuntimeError, match="something else"):
        model.between(film[:1], phases[:1])


@pytest.mark.parametrize("scale", [0.5, 0.25])
def test_motion_may_be_estimated_in_smaller_pictures(
    film_of: Callable[..., tuple[NetworkInterpolator, list[Window]]], scale: float
) -> None:
    model, film = film_of("yuv420p", width=257, height=194, scale=scale, model="base")
    # Waves look alike wherever they are moved to by their length; noise of several sizes does not.
    rng = np.random.default_rng(1)
    planes = []
    for plane in film[0].left.planes:
        coarse = sum(np.kron(rng.random((60, 70)), np.ones((n, n)))[:194, :257] for n in (4, 8, 16)) / 3
        planes.append((16 + 219 * coarse[: plane.shape[0], : plane.shape[1]]).astype(np.uint8))
    picture = replace(film[0].left, planes=tuple(planes))
    still = Window(*(replace(picture, time=Fraction(k, 10)) for k in range(4)))
    (made,) = model.between([still], [(Fraction(1, 2),)])[0]
    for new, old in zip(made, picture.planes, strict=True):
        assert new.shape == old.shape
        assert float((np.abs(new.astype(int) - old.astype(int)) > 1).mean()) < 0.02


def test_edges_of_a_shot_have_no_outer_frame() -> None:
    first, middle, last = windows(frames(4))
    assert interpolate._spacing(first) == (float("inf"), 1.0)
    assert interpolate._spacing(middle) == (1.0, 1.0)
    assert interpolate._spacing(last) == (1.0, float("inf"))


@pytest.mark.parametrize(("amx", "chosen"), [(True, "bf16"), (False, "fp32")])
def test_the_cpu_computes_in_what_is_fastest_there(monkeypatch: pytest.MonkeyPatch, amx: bool, chosen: str) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    assert choose_precision("auto", torch.device("cpu")) == chosen


def test_choices_and_refusals() -> None:
    cpu = torch.device("cpu")
    assert open_device("cpu") == cpu
    assert choose_precision("auto", torch.device("cuda")) == "fp16"
    with pytest.raises(DeviceError, match="no device"):
        open_device("cuda:99")
    with pytest.raises(DeviceError, match="no device"):
        open_device("toaster")
    with pytest.raises(UsageError, match="fp16"):
        choose_precision("fp16", cpu)
    with pytest.raises(ModelError, match="no network"):
        make_interpolator(
            model="x", device="cpu", precision="fp32", color=ColorInfo(), width=8, height=8, pix_fmt="gray"
        )


@pytest.mark.parametrize("fused", [False, True])
def test_still_places_are_kept_and_what_passes_is_not(fused: bool) -> None:
    left = torch.rand(1, 3, 12, 12, generator=torch.Generator().manual_seed(0))
    right = left.clone()
    right[..., 8:] = 1 - right[..., 8:]  # there something moves
    pair = torch.nn.functional.pad(torch.cat([left, right]), (0, 4, 0, 4))
    made = left + 0.02
    made[..., 2, 2] = left[..., 2, 2] + 0.3  # there something passes
    kept = Still(pair, (12, 12), fused=fused).kept(made.clone(), torch.tensor([0.5]))
    torch.testing.assert_close(kept[..., :2, :6], left[..., :2, :6])
    assert torch.equal(kept[..., 2, 2], made[..., 2, 2])
    assert torch.equal(kept[..., 8:], made[..., 8:])


@pytest.mark.parametrize("tiles", [False, True])
def test_what_overflows_in_float16_is_made_in_float32(monkeypatch: pytest.MonkeyPatch, tiles: bool) -> None:
    """As where a GPU has no units for it; here by the CPU, whose own form of the network has no float16."""
    monkeypatch.setattr(svmv.inference.CpuNetwork, "serves", lambda _config: False)
    if tiles:
        monkeypatch.setattr(memory, "tile_side", lambda *_args, **_rest: 64)
    torch.manual_seed(0)
    network = svmv.SVMV(SMALL)
    with torch.no_grad():
        network.encoder.stem[0][0].weight.mul_(1e6)  # type: ignore[index]
    film = frames(4)
    converter = Converter(film[0].format, ColorInfo(), 40, 48, torch.device("cpu"))
    told: list[str] = []
    narrow = NetworkInterpolator(network, converter, name="small", precision="fp16", tell=told.append)
    wide = NetworkInterpolator(network, converter, name="small", precision="fp32")
    some, phases = windows(film)[:2], [(Fraction(1, 2),), (Fraction(1, 4), Fraction(3, 4))]
    made, right = narrow.between(some, phases), wide.between(some, phases)
    assert [len(window) for window in made] == [1, 2]
    for a, b in zip(itertools.chain(*made), itertools.chain(*right), strict=True):
        assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
    assert narrow.precision == "fp32" and len([note for note in told if "float16" in note]) == 1
    narrow.between(some, phases)
    assert len([note for note in told if "float16" in note]) == 1
