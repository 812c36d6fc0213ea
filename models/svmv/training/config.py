"""What a training run is made of; written beside its results."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schedule:
    """One run. Its length is `steps`, or `minutes` of wall time when that is given."""

    steps: int = 20_000
    minutes: float | None = None
    batch: int = 8
    crops: tuple[tuple[float, int], ...] = (
        (0.0, 128),
        (0.35, 192),
        (0.7, 256),
    )  # (from this part of the run, px)
    synthetic: tuple[float, float] = (0.5, 0.15)  # share of synthetic batches, at the start and at the end
    learning_rate: float = 5e-4
    final_rate: float = 2e-6
    warm_up: int = 200  # steps
    hold: float = 0.55  # part of the run at full rate, before the cosine
    weight_decay: float = 1e-4
    clip: float = 1.0  # gradient norm
    ema: float = 0.999
    decibel_weight: float = 0.05  # of the mean log₁₀ squared error, beside the picture's absolute error
    energy_weight: float = 0.0  # of the gradient energy that the picture lacks
    refined: float = 0.5  # share of steps with one refinement, so that the weights serve both ways
    frozen_encoder: float = 0.0  # part of the run, from its start, that leaves the encoder as it came
    flow_weight: tuple[float, float] = (0.05, 0.005)  # of the end-point error, start and end
    level_weight: tuple[float, float] = (0.5, 0.05)  # of the reprojection error at pyramid levels
    bv_weight: float = 0.02  # λ of L_BV = sv_share · L_sv + L_tv
    sv_share: float = 0.01  # L_sv inside L_BV: a ratio of variances beside an error of a few hundredths
    bv_epsilon: float = 0.25  # ε of L_sv, px²
    seed: int = 0
    save_every: float = 60.0  # s
    check_every: int = 500  # steps
    spans: tuple[int, ...] = (2, 2, 2, 4, 4, 3, 6, 8)
    reach: float = 24.0  # px, of synthetic motion
    captions: float = 0.25  # share of real samples with writing over them
    bars: float = 0.1  # share of real samples with still edges, such as black bars

    def at(self, ramp: tuple[float, float], done: float) -> float:
        """A weight that moves from its start to its end over the first two thirds of the run."""
        part = min(done * 1.5, 1.0)
        return ramp[0] + (ramp[1] - ramp[0]) * part

    def crop(self, done: float) -> int:
        """Crop size, px, after this part of the run."""
        return next(size for start, size in reversed(self.crops) if done >= start)
