"""The training run: draws batches, steps, measures, writes checkpoints one can resume from. Reads no video."""

import json
import math
import time
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from svmv.checkpoint import save
from svmv.model import SVMV
from svmv.training.augment import augment
from svmv.training.bars import barred
from svmv.training.captions import captioned
from svmv.training.config import Schedule
from svmv.training.data import RealSource, Sample
from svmv.training.feed import Feeder
from svmv.training.losses import charbonnier, decibel, dullness, endpoint, laplacian, level_reprojection, variance_aware
from svmv.training.synthetic import SyntheticSource, Truth

_CUTTERS = 4  # threads that cut batches for a GPU
Check = Callable[[SVMV, int], dict[str, float]]  # the averaged network and the step → figures for the records


class DivergedError(RuntimeError):
    """Ten steps in a row gave no finite loss."""


class Trainer:
    """One resumable run in one folder: `state.pt`, `weights.safetensors` (EMA), `metrics.jsonl`."""

    def __init__(
        self,
        model: SVMV,
        schedule: Schedule,
        folder: Path,
        *,
        real: RealSource | None,
        device: torch.device,
        precision: torch.dtype = torch.float32,
        check: Check | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`precision`: arithmetic of the convolutions, by autocast."""
        folder.mkdir(parents=True, exist_ok=True)
        # Without bf16 units a CPU's backward convolutions are faster in the plain layout.
        layout = torch.contiguous_format if (device.type, precision) == ("cpu", torch.float32) else torch.channels_last
        self.model = model.to(device, memory_format=layout).train()  # type: ignore[call-overload]
        self.average = deepcopy(self.model).eval()
        self.schedule, self.folder, self.device = schedule, folder, device
        self._precision = precision
        self._feeder = Feeder(schedule, real, threads=0 if device.type == "cpu" else _CUTTERS)
        self._synthetic = SyntheticSource(reach=schedule.reach)
        self._check, self._say = check, say
        self._optimiser = _optimiser(self.model, schedule)
        self.step = self.skipped = self._failures = 0
        self._elapsed = 0.0  # s, of earlier sittings
        self._began = time.monotonic()

    @property
    def done(self) -> float:
        """How much of the run is over, 0 to 1."""
        return self._done_at(self.step)

    def _done_at(self, step: int) -> float:
        """The same at a step; of a run by the clock that is not known ahead, so it is what is true now."""
        minutes = self.schedule.minutes
        if minutes is not None:
            return min((self._elapsed + time.monotonic() - self._began) / (60 * minutes), 1.0)
        return min(step / self.schedule.steps, 1.0)

    def run(self) -> None:
        """Train to the end of the schedule; state is saved on the way and at the end, also when interrupted.

        Raises:
            DivergedError: ten steps in a row without a finite loss.
        """
        if self.step == 0:
            self._look()
        self._began = time.monotonic()
        try:
            self._work()
        finally:
            self._feeder.close()
            self.save()
        self._look()

    def _work(self) -> None:
        saved = said = time.monotonic()
        sums: dict[str, list[float]] = {}
        said_at = self.step
        while self.done < 1:
            for key, value in self.advance().items():
                sums.setdefault(key, []).append(value)
            now = time.monotonic()
            if now - said > 20 or self.done >= 1:
                speed = {"steps_per_second": (self.step - said_at) / (now - said)}
                self._report({key: float(np.mean(values)) for key, values in sums.items()} | speed)
                sums, said, said_at = {}, now, self.step
            if now - saved > self.schedule.save_every:
                self.save()
                saved = now
            if self.step % self.schedule.check_every == 0:
                self._look()
                self._elapsed -= time.monotonic() - now  # a run by the clock is not shortened by looking at it

    def _look(self) -> None:
        """Record how well the averaged network does."""
        if self._check:
            self._report(self._check(self.average, self.step))

    def advance(self) -> dict[str, float]:
        """One optimiser step. The batch depends on the seed, the step's number and how much of the run is done."""
        schedule, done = self.schedule, self.done
        draft = self._feeder.draft(self.step, self._done_at)
        torch.manual_seed(schedule.seed * 1_000_003 + self.step)
        rng, truth = draft.rng, None
        if draft.real is not None:
            sample = barred(draft.real.to(self.device), rng, share=schedule.bars)
            sample = augment(captioned(sample, rng, share=schedule.captions), rng)
        else:
            sample, truth = self._synthetic.draw(
                rng, batch=schedule.batch, crop=draft.crop, device=self.device, textures=draft.textures
            )
        rate = self._rate(done)
        for group in self._optimiser.param_groups:
            group["lr"] = rate
        self.model.encoder.requires_grad_(done >= schedule.frozen_encoder)
        losses = self._losses(sample, truth, done, refinements=int(rng.random() < schedule.refined))
        self._optimiser.zero_grad(set_to_none=True)
        losses["loss"].backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), schedule.clip)
        self.step += 1
        if not torch.isfinite(norm):
            self._skip()
            return {}
        self._failures = 0
        self._optimiser.step()
        self._blend()
        return {key: float(value.detach()) for key, value in losses.items()} | {
            "grad": float(norm),
            "lr": rate,
        }

    def _losses(self, sample: Sample, truth: Truth | None, done: float, *, refinements: int) -> dict[str, Tensor]:
        schedule = self.schedule
        with torch.autocast(self.device.type, self._precision, enabled=self._precision != torch.float32):
            motion = self.model.analyze(sample.window, sample.spacing, refinements=refinements)
        predicted = self.model.synthesize(motion, sample.t[:, None])[:, 0]
        losses = {"picture": laplacian(predicted, sample.target) + charbonnier(predicted - sample.target).mean()}
        losses["decibel"] = decibel(predicted, sample.target)
        total = losses["picture"] + schedule.decibel_weight * losses["decibel"]
        if schedule.energy_weight:
            losses["dullness"] = dullness(predicted, sample.target)
            total = total + schedule.energy_weight * losses["dullness"]
        if truth is not None:
            losses["flow"] = endpoint(motion.levels, truth)
            total = total + schedule.at(schedule.flow_weight, done) * losses["flow"]
        else:
            losses["levels"] = level_reprojection(motion.levels, sample)
            total = total + schedule.at(schedule.level_weight, done) * losses["levels"]
            losses["psnr"] = -10 * (predicted.clamp(0, 1) - sample.target).square().mean().log10()
        if schedule.bv_weight:
            losses["sv"], losses["tv"] = variance_aware(motion, sample, schedule.bv_epsilon)
            total = total + schedule.bv_weight * (schedule.sv_share * losses["sv"] + losses["tv"])
        losses["loss"] = total
        return losses

    def _rate(self, done: float) -> float:
        schedule = self.schedule
        fade = max(done - schedule.hold, 0) / (1 - schedule.hold)
        rate = schedule.final_rate + (schedule.learning_rate - schedule.final_rate) * (1 + math.cos(math.pi * fade)) / 2
        return rate * min(1.0, (self.step + 1) / schedule.warm_up)

    def _skip(self) -> None:
        self.skipped += 1
        self._failures += 1
        self._say(f"step {self.step}: no finite gradient, skipped ({self.skipped} so far)")
        if self._failures >= 10:
            raise DivergedError(
                "ten steps in a row gave no finite gradient; lower the learning rate or look at the clips"
            )

    @torch.no_grad()
    def _blend(self) -> None:
        keep = min(self.schedule.ema, (1 + self.step) / (10 + self.step))
        for slow, fast in zip(self.average.parameters(), self.model.parameters(), strict=True):
            slow.lerp_(fast, 1 - keep)

    def _report(self, figures: dict[str, float]) -> None:
        seconds = self._elapsed + time.monotonic() - self._began
        record = {
            "step": self.step,
            "seconds": round(seconds, 1),
            "done": round(self.done, 4),
            "skipped": self.skipped,
        }
        record |= {key: float(f"{value:.5g}") for key, value in figures.items()}
        with (self.folder / "metrics.jsonl").open("a") as out:
            out.write(json.dumps(record) + "\n")
        self._say(" ".join(f"{key}={value}" for key, value in record.items()))

    def save(self) -> None:
        """Write the EMA weights and everything needed to go on, each atomically."""
        save(self.average, self.folder / "weights.safetensors", step=str(self.step))
        state: dict[str, Any] = {
            "step": self.step,
            "skipped": self.skipped,
            "elapsed": self._elapsed + time.monotonic() - self._began,
            "model": self.model.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "schedule": asdict(self.schedule),
        }
        part = self.folder / "state.pt.part"
        torch.save(state, part)
        part.replace(self.folder / "state.pt")

    def resume(self) -> bool:
        """Go on from `state.pt` if the folder has one."""
        path = self.folder / "state.pt"
        with suppress(FileNotFoundError):
            state = torch.load(path, map_location=self.device, weights_only=True)
            self.model.load_state_dict(state["model"])
            self.average.load_state_dict(state["average"])
            self._optimiser.load_state_dict(state["optimiser"])
            self.step, self.skipped, self._elapsed = state["step"], state["skipped"], state["elapsed"]
            return True
        return False


def _optimiser(model: nn.Module, schedule: Schedule) -> torch.optim.Optimizer:
    matrices = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups: list[dict[str, Any]] = [{"params": matrices}, {"params": others, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=schedule.learning_rate, weight_decay=schedule.weight_decay)
