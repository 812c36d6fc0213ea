"""Weights on disk: safetensors that carry their own configuration."""

import json
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save as serialized
from torch import Tensor, nn

from svmv.config import SVMVConfig
from svmv.model import SVMV

WEIGHTS = Path(__file__).parent / "weights"
_NEVER = -25.0  # bias of a gate that stays shut: e^-30 with what `motion` takes off


def load(name: str | Path = "base") -> SVMV:
    """Load a shipped network by name, or any by its path; on the CPU, float32, in eval mode.

    Raises:
        ValueError: no such network (the known names are listed), or the file is not one of ours.
    """
    path = WEIGHTS / f"{name}.safetensors"
    if not path.is_file():
        path = Path(name)
    if not path.is_file():
        raise ValueError(f"no network {str(name)!r}: neither a file nor one of {', '.join(available())}")
    try:
        with safe_open(path, framework="pt") as stored:
            config = SVMVConfig(**json.loads((stored.metadata() or {})["config"]))
            weights = {key: stored.get_tensor(key).float() for key in stored.keys()}  # noqa: SIM118
        model = SVMV(config)
        _grow(weights, model)
        model.load_state_dict(weights)
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError, RuntimeError) as error:
        raise ValueError(f"{path} is not an SVMV checkpoint: {error}") from error
    return model.eval()


def _grow(weights: dict[str, Tensor], model: SVMV) -> None:
    """Weights from before something could stand still: no weight for what says so, nothing does."""
    weights.setdefault("ensemble.calm", torch.zeros(()))  # nor more of it where nothing moves, which came last
    ensemble, first, head = model.ensemble, "ensemble.body.0.0.weight", "ensemble.head"
    if weights[f"{head}.bias"].shape[0] + 1 != ensemble.head.out_channels:
        return
    weights["ensemble.evidence"] = torch.zeros(())
    at, place = 6 * model.config.members + 4, 16 + 2 * model.config.detail_channels + 7
    for key, value in ((f"{head}.weight", 0.0), (f"{head}.bias", _NEVER)):
        old = weights[key]
        weights[key] = torch.cat([old[:at], old.new_full((1, *old.shape[1:]), value), old[at:]])
    old = weights[first]
    weights[first] = torch.cat([old[:, :place], torch.zeros_like(old[:, :1]), old[:, place:]], dim=1)


def available() -> list[str]:
    """Names of the networks shipped in the package."""
    return sorted(path.stem for path in WEIGHTS.glob("*.safetensors"))


def save(model: nn.Module, path: Path, *, dtype: torch.dtype = torch.float16, **notes: str) -> None:
    """Write weights, configuration and notes (any strings) in one go: the file appears whole or not at all."""
    weights = {key: value.detach().to("cpu", dtype).contiguous() for key, value in model.state_dict().items()}
    part = path.with_name(path.name + ".part")
    config = model.config
    assert isinstance(config, SVMVConfig)
    part.write_bytes(serialized(weights, metadata={"config": json.dumps(asdict(config)), **notes}))
    part.replace(path)
