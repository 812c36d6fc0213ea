"""What this machine and this installation offer, for `svmv info`. Knows no video."""

import platform
from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import version
from importlib.resources import files

from svmv_cli.media.encoders import CODECS, CodecChoice, Picture, choose_format, opening_failure
from svmv_cli.media.frame import PixelFormat

_COMMON = PixelFormat.parse("yuv420p")
_TRIAL_SIZE = (256, 256)  # px; NVENC refuses much smaller ones


@dataclass(frozen=True, slots=True)
class DeviceEntry:
    """One device the network can run on."""

    name: str  # as --device takes it
    label: str  # as its maker calls it
    memory: int | None  # bytes; None where it is the computer's own
    precisions: tuple[str, ...]  # as --precision takes them, the default first


@dataclass(frozen=True, slots=True)
class CodecEntry:
    """One codec and the encoders that open here."""

    name: str  # as --codec takes it
    encoders: tuple[str, ...]  # FFmpeg's names; empty: none opens


@dataclass(frozen=True, slots=True)
class Inventory:
    """Everything `svmv info` tells without a file."""

    version: str
    python: str
    torch: str
    av: str
    devices: tuple[DeviceEntry, ...]
    codecs: tuple[CodecEntry, ...]
    model: str  # the default one
    models: tuple[str, ...]  # all that are shipped
    model_card: str | None  # text; None when the installation has none


def take_inventory(*, model: str, svmv_version: str) -> Inventory:
    """Look around: devices are asked, encoders are opened, the model card is read.

    Args:
        model: the default one's name.
        svmv_version: this program's own.
    """
    import torch

    import svmv

    return Inventory(
        version=svmv_version,
        python=platform.python_version(),
        torch=torch.__version__,
        av=version("av"),
        devices=_devices(),
        codecs=_codecs(),
        model=model,
        models=tuple(svmv.available()),
        model_card=_card(),
    )


def _devices() -> tuple[DeviceEntry, ...]:
    import torch

    from svmv_cli.pipeline.devices import choose_precision

    found: list[DeviceEntry] = []
    for index in range(torch.cuda.device_count()):
        facts = torch.cuda.get_device_properties(index)
        found.append(DeviceEntry(f"cuda:{index}", facts.name, facts.total_memory, ("fp16", "bf16", "fp32")))
    if torch.backends.mps.is_available():
        found.append(DeviceEntry("mps", "Apple GPU", None, ("fp32", "fp16")))
    default = choose_precision("auto", torch.device("cpu"))
    others = tuple(p for p in ("fp32", "bf16") if p != default)
    found.append(DeviceEntry("cpu", platform.processor() or platform.machine(), None, (default, *others)))
    return tuple(found)


def _codecs() -> tuple[CodecEntry, ...]:
    return tuple(CodecEntry(name, _opening(choice)) for name, choice in CODECS.items())


def _opening(choice: CodecChoice) -> tuple[str, ...]:
    """Those of a codec's encoders that open: one that is compiled in may still lack its hardware."""
    found = []
    for encoder in (choice.nvenc, choice.encoder):
        if encoder is None:
            continue
        pix_fmt = choose_format(choice, encoder=encoder, wanted=_COMMON, asked=None, size=_TRIAL_SIZE)
        trial = Picture(*_TRIAL_SIZE, pix_fmt, Fraction(30), Fraction(1, 30))
        if opening_failure(encoder, picture=trial, options=choice.options) is None:
            found.append(encoder)
    return tuple(found)


def _card() -> str | None:
    card = files("svmv").joinpath("weights", "MODEL_CARD.md")
    return card.read_text(encoding="utf-8") if card.is_file() else None
