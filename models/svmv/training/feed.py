"""Batches cut ahead of the device, in threads. A seed, a step and how much is done give a batch, ahead or not."""

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np

from svmv.training.config import Schedule
from svmv.training.data import Bytes, Cuttings, RealSource
from svmv.training.synthetic import LAYERS


@dataclass(frozen=True, slots=True)
class Draft:
    """What one step needs from memory, and where its other choices go on."""

    rng: np.random.Generator
    crop: int  # px
    real: Cuttings | None  # None: the batch is synthetic
    textures: tuple[Bytes, ...]  # of a synthetic batch's layers, (B, crop·3/2, crop); none without footage


class Feeder:
    """Drafts by step number; a context manager whose threads end with it.

    Cutting a batch of 32 out of mapped memory takes longer than a large GPU needs to learn from it, so there the next
    few are cut meanwhile. On a CPU that would only take cores from the network: no threads, nothing ahead.
    """

    def __init__(self, schedule: Schedule, real: RealSource | None, *, threads: int) -> None:
        """`threads`: how many cut, each two batches ahead; 0: a batch is cut when it is asked for."""
        self._schedule, self._real = schedule, real
        self._ahead = 2 * threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="cut") if threads else None
        self._waiting: dict[int, Future[Draft]] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the threads; drafts are cut on demand from now on."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
        self._pool = None
        self._waiting.clear()

    def draft(self, step: int, done: Callable[[int], float]) -> Draft:
        """The draft of a step.

        Args:
            step: its number.
            done: how much of the run is over at a step, as far as can be told now.

        Raises:
            ValueError: no clip is large enough for the crop that is due.
        """
        if self._pool is None:
            return self._cut(step, done(step))
        for number in range(step, step + self._ahead + 1):
            if number not in self._waiting:
                self._waiting[number] = self._pool.submit(self._cut, number, done(number))
        return self._waiting.pop(step).result()

    def _cut(self, step: int, done: float) -> Draft:
        schedule, real = self._schedule, self._real
        rng = np.random.default_rng((schedule.seed, step))
        crop = schedule.crop(done)
        if real is None:
            return Draft(rng, crop, None, ())
        if rng.random() < schedule.at(schedule.synthetic, done):
            textures = (real.stills(rng, batch=schedule.batch, crop=crop) for _ in range(LAYERS))
            return Draft(rng, crop, None, tuple(textures))
        return Draft(rng, crop, real.cut(rng, batch=schedule.batch, crop=crop), ())
