"""One or many files, one after the other: what fails is reported and does not stop the rest. Prints nothing."""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from svmv_cli.errors import ExistsError, ExitCode, SvmvError
from svmv_cli.media.info import ColorInfo, MediaInfo
from svmv_cli.media.inputs import examine
from svmv_cli.media.outputs import place_of
from svmv_cli.media.pictures import working_format
from svmv_cli.pipeline.failures import explained
from svmv_cli.pipeline.naming import output_path
from svmv_cli.pipeline.places import Places
from svmv_cli.pipeline.plan import Plan, check_request, make_plan
from svmv_cli.pipeline.report import Progress, Report
from svmv_cli.pipeline.request import Request
from svmv_cli.pipeline.run import run
from svmv_cli.pipeline.windows import Interpolator


class MakeInterpolator(Protocol):
    """Makes an interpolator for pictures of one kind; `interpolate.make_interpolator` is one."""

    def __call__(
        self,
        *,
        model: str,
        device: str,
        precision: str,
        color: ColorInfo,
        width: int,
        height: int,
        pix_fmt: str,
        scale: float,
        tell: Callable[[str], None],
    ) -> Interpolator:
        """The interpolator; see `interpolate.make_interpolator`."""
        ...


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one file: a report, an error, in a dry run a plan, or why there was nothing to do."""

    source: Path
    plan: Plan | None = None
    report: Report | None = None
    error: SvmvError | None = None
    skipped: str = ""  # why; empty for what was not

    @property
    def exit_code(self) -> ExitCode:
        """The code this file alone would end the process with."""
        if self.error is not None:
            return self.error.exit_code
        if self.report is not None and self.report.status == "damaged":
            return ExitCode.DAMAGED
        return ExitCode.OK


class Workshop:
    """Keeps the last interpolator for the next file, if that has pictures of the same kind. Closed by `with`."""

    def __init__(self, make: MakeInterpolator, *, tell: Callable[[str], None]) -> None:
        self._make = make
        self._tell = tell
        self._kind: tuple[object, ...] | None = None
        self._interpolator: Interpolator | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give back the device's memory."""
        if self._interpolator is not None:
            self._interpolator.close()
        self._interpolator = self._kind = None

    def interpolator_for(self, plan: Plan) -> Interpolator:
        """The interpolator that fits a plan's pictures."""
        target = plan.target
        pix_fmt = working_format(target.pix_fmt).name
        size = target.width, target.height
        kind = (plan.model, plan.device, plan.precision, plan.scale, target.color, size, pix_fmt)
        if self._interpolator is None or kind != self._kind:
            self.close()
            self._interpolator = self._make(
                model=plan.model,
                device=plan.device,
                precision=plan.precision,
                color=target.color,
                width=target.width,
                height=target.height,
                pix_fmt=pix_fmt,
                scale=plan.scale,
                tell=self._tell,
            )
            self._kind = kind
        return self._interpolator


def load_interpolator(
    *,
    model: str,
    device: str,
    precision: str,
    color: ColorInfo,
    width: int,
    height: int,
    pix_fmt: str,
    scale: float,
    tell: Callable[[str], None],
) -> Interpolator:
    """The real `MakeInterpolator`. Loads torch, seconds long, and so not before a file has been planned."""
    from svmv_cli.pipeline.interpolate import make_interpolator

    return make_interpolator(
        model=model,
        device=device,
        precision=precision,
        color=color,
        width=width,
        height=height,
        pix_fmt=pix_fmt,
        scale=scale,
        tell=tell,
    )


def plan_all(requests: Sequence[Request], *, debug: bool = False) -> list[Outcome]:
    """Plan every file and do nothing.

    Args:
        requests: one per file.
        debug: let unforeseen errors through, with their traceback.
    """
    places = Places(requests)
    return [_attempt(request, None, progress=None, places=places, debug=debug) for request in requests]


def run_all(
    requests: Sequence[Request], *, make: MakeInterpolator, progress: Progress, debug: bool = False
) -> Generator[Outcome]:
    """Upsample every file, in order, and tell of each as it is done.

    Args:
        requests: one per file.
        make: makes the interpolator when the first file has been planned.
        progress: watches each run.
        debug: let unforeseen errors through, with their traceback.
    """
    places = Places(requests)
    with Workshop(make, tell=progress.note) as workshop:
        for request in requests:
            yield _attempt(request, workshop, progress=progress, places=places, debug=debug)


def exit_code(outcomes: Sequence[Outcome]) -> ExitCode:
    """A single file's own code; of several, whether all went well."""
    if len(outcomes) == 1:
        return outcomes[0].exit_code
    return ExitCode.SOME_FAILED if any(one.exit_code for one in outcomes) else ExitCode.OK


def _attempt(
    request: Request, workshop: Workshop | None, *, progress: Progress | None, places: Places, debug: bool
) -> Outcome:
    plan: Plan | None = None
    maker = places.maker_of(request.source)
    if request.skip_existing and maker is not None:
        return Outcome(request.source, skipped=f"it is named as the output of {maker}")
    try:
        with explained(debug=debug):
            places.take(output_path(request), request)
            check_request(request)
            info = examine(request.source, input_rate=request.input_rate)
            plan = make_plan(request, info)
            places.take(plan.target.path, request)
            if workshop is None or progress is None:
                return Outcome(request.source, plan)
            return Outcome(request.source, plan, _run(plan, info, workshop=workshop, progress=progress))
    except ExistsError as error:
        if request.skip_existing:
            return Outcome(request.source, skipped="its output is there already")
        return Outcome(request.source, error=error)
    except SvmvError as error:
        return Outcome(request.source, plan, error=error)


def _run(plan: Plan, info: MediaInfo, *, workshop: Workshop, progress: Progress) -> Report:
    progress.start(name=place_of(plan.target).name, frames=plan.frames_out, seconds=plan.duration)
    try:
        for note in plan.notes:
            progress.note(note)
        return run(plan, info=info, interpolator=workshop.interpolator_for(plan), progress=progress)
    finally:
        progress.stop()
