"""The command line: options become requests, outcomes an exit code. Knows no video; imports the rest late."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, ParamSpec, TypeVar

import typer

from svmv_cli import lab, lab_train
from svmv_cli.choices import Cuts, Deinterlace, Encoder, Precision, SlowAudio, Watch
from svmv_cli.errors import ExitCode, SvmvError
from svmv_cli.standard_streams import let_go, secure_streams

if TYPE_CHECKING:
    from svmv_cli.pipeline.batch import Outcome
    from svmv_cli.pipeline.request import Request

app = typer.Typer(
    name="svmv",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
DEFAULT_MODEL = "base"
P = ParamSpec("P")
R = TypeVar("R")


def main() -> None:
    """The console script."""
    _wait_politely()
    secure_streams()
    try:
        app()
    except SvmvError as error:  # outside of any command: help that cannot be printed
        typer.echo(f"svmv: {error}", err=True)
        raise SystemExit(error.exit_code) from error


def _wait_politely() -> None:
    """Let threads that wait for each other sleep soon, where the user has not said how they wait.

    GNU's OpenMP, which torch and numba compute with, has them spin for milliseconds unless a process has more of them
    than there are cores, as in `upsample`. Where another program needs the core, spinning keeps from running just what
    is waited for: two evaluations at once on two cores took three times as long. It is read once, as torch is imported.
    """
    if not {"OMP_WAIT_POLICY", "GOMP_SPINCOUNT"} & os.environ.keys():
        os.environ["GOMP_SPINCOUNT"] = "1000"  # turns, of 300 000


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"svmv {own_version()}")
        raise typer.Exit


def own_version() -> str:
    """This program's version, "unknown" when it runs without having been installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("svmv")
    except PackageNotFoundError:
        return "unknown"


@app.callback()
def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """Raise the frame rate of video, or slow it down, and keep everything else it carries."""


@app.command(no_args_is_help=True)
def upsample(
    paths: Annotated[
        list[Path],
        typer.Argument(
            metavar="INPUT... [OUTPUT]",
            help="Videos, folders of them, pictures (frames/%05d.png or their folder), or - for y4m through a pipe. "
            "Of exactly two the second is the OUTPUT if there is nothing of that name yet; to replace a file, -o. "
            "Three or more, or any with -o or --output-dir, are all inputs.",
            show_default=False,
        ),
    ],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The output file.")] = None,
    output_dir: Annotated[Path | None, typer.Option(help="The folder for the outputs.")] = None,
    input_fps: Annotated[str | None, typer.Option(help="Rate of a row of pictures [default: 24].")] = None,
    factor: Annotated[int | None, typer.Option(help="N times as many frames [default: 2].")] = None,
    fps: Annotated[str | None, typer.Option(help="A frame rate: 60, 59.94, 60000/1001.")] = None,
    slow: Annotated[int | None, typer.Option(help="N times as long, at the same rate or at that of --fps.")] = None,
    slow_audio: Annotated[
        SlowAudio, typer.Option(help="With --slow: sound stretched at its pitch, or left out.")
    ] = SlowAudio.stretch,
    start: Annotated[str | None, typer.Option(help="Begin there: 75.4, 1:15.4, or 1800f for a frame.")] = None,
    end: Annotated[str | None, typer.Option(help="End before there.")] = None,
    codec: Annotated[str | None, typer.Option(help="h264, hevc, av1, vp9, ffv1 or prores.")] = None,
    encoder: Annotated[Encoder, typer.Option(help="Where pictures are encoded.")] = Encoder.auto,
    crf: Annotated[int | None, typer.Option(help="Constant quality on the codec's scale; lower is better.")] = None,
    preset: Annotated[str | None, typer.Option(help="The encoder's preset, for speed against size.")] = None,
    pix_fmt: Annotated[str | None, typer.Option(help="Pixel format, by FFmpeg's name.")] = None,
    device: Annotated[str, typer.Option(help="auto, cuda, cuda:N, mps or cpu.")] = "auto",
    precision: Annotated[Precision, typer.Option(help="The network's arithmetic.")] = Precision.auto,
    scale: Annotated[float, typer.Option(help="Estimate motion at 0.5 or 0.25 of the size: fast, for 4K.")] = 1,
    batch: Annotated[int | None, typer.Option(help="Windows per call of the network.")] = None,
    model: Annotated[str, typer.Option(help="A shipped model or a .safetensors file.")] = DEFAULT_MODEL,
    overwrite: Annotated[bool, typer.Option("--overwrite", "-y", help="Replace an existing output.")] = False,
    skip_existing: Annotated[bool, typer.Option("--skip-existing", "-n", help="Leave out what has an output.")] = False,
    cuts: Annotated[Cuts, typer.Option(help="Find scene cuts and never blend across them.")] = Cuts.auto,
    cut_threshold: Annotated[float | None, typer.Option(help="0 to 1; lower finds more cuts [default: 0.3].")] = None,
    deinterlace: Annotated[
        Deinterlace,
        typer.Option(
            help="Interlaced input: auto makes a whole picture of each frame that says it is; frames of every one; "
            "fields two of each, one per field; off leaves it combed; refuse stops."
        ),
    ] = Deinterlace.auto,
    dedup: Annotated[
        str,
        typer.Option(
            help="Bridge repeated frames: auto, off, or up to N repeats in a row; even also gives film in a faster "
            "rate, such as 24 in 60, its even times back."
        ),
    ] = "auto",
    segment: Annotated[
        float | None,
        typer.Option(
            help="Seconds of the input per segment; finished ones outlive a stop; 0 for none [default: by size]."
        ),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume/--no-resume", help="Go on behind the segments that a stopped run finished.")
    ] = True,
    keep_work: Annotated[bool, typer.Option("--keep-work", help="Keep the segments when the output is done.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Refuse a damaged input instead of concealing.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but errors.")] = False,
    progress: Annotated[Watch, typer.Option(help="How progress is shown, on stderr.")] = Watch.auto,
    as_json: Annotated[bool, typer.Option("--json", help="One summary object on stdout.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the plan and write nothing.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Make videos smoother: new frames between the old ones, sound and all the rest kept.

    Exit codes: 0 ok, 1 some file failed, 2 usage, 3 input, 4 output, 5 damaged input and a partial result,
    6 device or memory, 129, 130 and 143 stopped by a signal, 141 when the reader of stdout has gone.
    """
    with _telling(debug=debug):
        from dataclasses import replace

        from svmv_cli.pipeline.arguments import refuse_json_beside_pictures, sort_out
        from svmv_cli.pipeline.request import Request, parse_fps, parse_moment, parse_segment, parse_shots

        common = Request(
            source=Path(),
            input_rate=None if input_fps is None else parse_fps(input_fps),
            factor=factor,
            fps=None if fps is None else parse_fps(fps),
            slow=slow,
            slow_audio=slow_audio.value,
            start=None if start is None else parse_moment(start),
            end=None if end is None else parse_moment(end),
            codec=codec,
            encoder=encoder.value,
            crf=crf,
            preset=preset,
            pix_fmt=pix_fmt,
            device=device,
            precision=precision.value,
            scale=scale,
            batch=batch,
            model=model,
            deinterlace=deinterlace.value,
            shots=parse_shots(cuts=cuts.value, threshold=cut_threshold, dedup=dedup),
            overwrite=overwrite,
            skip_existing=skip_existing,
            segment=None if segment is None else parse_segment(segment),
            resume=resume,
            keep_work=keep_work,
            strict=strict,
        )
        job = sort_out(paths, output=output, output_dir=output_dir)
        requests = [replace(common, source=s, output=job.output, output_dir=output_dir) for s in job.sources]
        if as_json and not dry_run:
            refuse_json_beside_pictures(requests)
        if dry_run:
            code = _plan(requests, quiet=quiet, as_json=as_json, debug=debug)
        else:
            code = _work(requests, progress=progress, quiet=quiet, as_json=as_json, debug=debug)
    raise typer.Exit(code)


@app.command()
def info(
    path: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="A video to look into.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One object on stdout.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks.")] = False,
) -> None:
    """Show what is here (devices, encoders, model), or what FILE carries and what upsampling it would keep."""
    with _telling(debug=debug):
        from svmv_cli import facts

        if path is None:
            facts.tell_inventory(model=DEFAULT_MODEL, svmv_version=own_version(), as_json=as_json)
        else:
            facts.tell_media(path, as_json=as_json)


def _plan(requests: list["Request"], *, quiet: bool, as_json: bool, debug: bool) -> ExitCode:
    from svmv_cli import terminal
    from svmv_cli.pipeline.batch import exit_code, plan_all

    outcomes = plan_all(requests, debug=debug)
    for one in outcomes:
        if one.error is not None:
            terminal.print_error(one.error, source=str(one.source), debug=debug)
        elif not quiet and one.plan is not None:
            terminal.print_plan(one.plan)
        elif not quiet:
            terminal.print_skipped(one)
    return _sum_up(outcomes, exit_code(outcomes), as_json=as_json)


def _work(requests: list["Request"], *, progress: Watch, quiet: bool, as_json: bool, debug: bool) -> ExitCode:
    from svmv_cli import terminal
    from svmv_cli.pipeline.batch import exit_code, load_interpolator, run_all
    from svmv_cli.progress import make_progress

    watch = make_progress(progress.value, quiet=quiet)
    talk = not quiet and progress is not Watch.json  # stderr is for a parser then
    outcomes: list[Outcome] = []
    with closing(run_all(requests, make=load_interpolator, progress=watch, debug=debug)) as done:
        for one in done:
            outcomes.append(one)
            if one.error is not None:
                terminal.print_error(one.error, source=str(one.source), debug=debug)
            elif one.report is not None:
                if talk:
                    terminal.print_report(one.report)
                terminal.print_damage(one.report)
            elif talk:
                terminal.print_skipped(one)
    if len(outcomes) > 1 and talk:
        terminal.print_outcomes(outcomes)
    return _sum_up(outcomes, exit_code(outcomes), as_json=as_json)


def _sum_up(outcomes: list["Outcome"], code: ExitCode, *, as_json: bool) -> ExitCode:
    from svmv_cli import terminal

    if as_json:
        terminal.print_json(terminal.outcomes_json(outcomes, exit_code=code))
    return code


@contextmanager
def _telling(*, debug: bool) -> Iterator[None]:
    """Whatever goes wrong in the block is said in one sentence and becomes the exit code."""
    from svmv_cli.pipeline.failures import explained
    from svmv_cli.pipeline.signals import Interrupted, interruptible

    try:
        with interruptible(), explained(debug=debug):
            yield
    except SvmvError as error:
        from svmv_cli import terminal

        terminal.print_error(error, debug=debug)
        raise typer.Exit(error.exit_code) from error
    except BrokenPipeError as error:
        let_go(sys.stdout)
        raise typer.Exit(ExitCode.PIPE) from error
    except Interrupted as stop:
        from svmv_cli import terminal

        terminal.say("; ".join([f"svmv: stopped by {stop}", *getattr(stop, "__notes__", ())]))
        raise typer.Exit(stop.exit_code) from stop


def _told(command: Callable[P, R]) -> Callable[P, R]:
    """The command, its failures told like those of `upsample`."""

    @wraps(command)
    def told(*args: P.args, **kwargs: P.kwargs) -> R:
        with _telling(debug=False):
            return command(*args, **kwargs)

    return told


for _command in (lab_train.train, lab.evaluate):
    app.command(no_args_is_help=True)(_told(_command))
