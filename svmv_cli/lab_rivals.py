"""The methods that `svmv evaluate` sets SVMV beside, the user's own programs among them. Knows no metrics."""

import os
import shlex
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from svmv_cli.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

    from svmv.training.evaluation import Gap, Method, MotionMeter

RIVALS = ("repeat", "linear", "dis", "dis-splat", "minterpolate")
_EXAMPLE = "rife=rife-ncnn-vulkan -i {in} -o {out} -n {count}"


def named(text: str) -> list[str]:
    """The methods that `--against` asks for.

    Raises:
        UsageError: there is none of that name.
    """
    names = {"all": list(RIVALS), "none": []}.get(text, [name.strip() for name in text.split(",")])
    unknown = sorted(set(names) - set(RIVALS))
    if unknown:
        raise UsageError(f"no method {', '.join(unknown)}", hint=f"--against takes {', '.join(RIVALS)}, all or none.")
    return names


def programs_of(texts: Sequence[str]) -> list["Program"]:
    """The programs that `--rival` names.

    Raises:
        UsageError: one has no name or no command line, or a name is taken.
    """
    made = [Program(text) for text in texts]
    names = [program.name for program in made]
    taken = {name for name in names if names.count(name) > 1 or name in ("svmv", *RIVALS)}
    if taken:
        raise UsageError(f"another method is called {', '.join(sorted(taken))}", hint="Give --rival another name.")
    return made


def rival_methods(names: list[str]) -> "tuple[list[Method], MotionMeter | None]":
    """The rivals asked for, and OpenCV's flow as the measure of motion where OpenCV is installed."""
    from svmv.training.rivals import DisFlow, DisSplat, DisWarp, Linear, Repeat

    try:
        flow = DisFlow()
    except ImportError as error:
        if {"dis", "dis-splat"} & set(names):
            raise UsageError("DIS flow needs OpenCV", hint="Install it with: pip install '.[lab]'") from error
        flow = None
    made: dict[str, Method] = {"repeat": Repeat(), "linear": Linear(), "minterpolate": _Minterpolate()}
    if flow is not None:
        made |= {"dis": DisWarp(flow), "dis-splat": DisSplat(flow)}
    return [made[name] for name in names], flow


class _Minterpolate:
    """FFmpeg's filter as a method: it sees the kept pictures as a clip and fills each gap."""

    name = "minterpolate"

    def predict(self, kept: "npt.NDArray[np.uint8]", gaps: "Sequence[Gap]") -> "Iterator[torch.Tensor]":
        """See `svmv.training.evaluation.Method`."""
        import numpy as np
        import torch

        from svmv_cli.media.filters import minterpolate

        factor = len(gaps[0].times) + 1
        wanted = {gap.left: gap for gap in gaps}
        made: list[npt.NDArray[np.uint8]] = []
        for number, picture in enumerate(minterpolate(iter(kept), factor=factor)):
            left, phase = divmod(number, factor)
            if phase == 0:
                made = []
            elif left in wanted:
                made.append(picture)
                if len(made) == factor - 1:
                    yield torch.from_numpy(np.stack(made)).float() / 255


class Program:
    """A program that makes many pictures of few, such as rife-ncnn-vulkan, as a method.

    Its command line is given the places {in}, a folder of numbered PNGs, and {out}, an empty one, and the numbers
    {factor} and {count}: that many pictures are expected, at equal steps from the first one on, `factor` to a gap.
    Where the end is not held, `factor - 1` fewer.
    """

    def __init__(self, text: str) -> None:
        """`text`: NAME=COMMAND LINE.

        Raises:
            UsageError: it has another form.
        """
        self.name, _, command = (part.strip() for part in text.partition("="))
        try:
            self._command = shlex.split(command, posix=os.name != "nt")
        except ValueError as error:
            raise UsageError(f"--rival {text!r} cannot be read ({error})") from error
        if not self.name or not self._command or not all(place in command for place in ("{in}", "{out}")):
            raise UsageError(f"--rival {text!r} is no rival", hint=f'Write it like this: --rival "{_EXAMPLE}"')

    def predict(self, kept: "npt.NDArray[np.uint8]", gaps: "Sequence[Gap]") -> "Iterator[torch.Tensor]":
        """See `svmv.training.evaluation.Method`.

        Raises:
            UsageError: the program is not there, fails, or gives other pictures than were asked for.
        """
        import numpy as np
        import torch

        from svmv_cli.media.clips import read_picture, write_pictures

        factor = len(gaps[0].times) + 1
        with TemporaryDirectory(prefix="svmv-") as folder:
            source, target = Path(folder, "in"), Path(folder, "out")
            source.mkdir()
            target.mkdir()
            write_pictures(source, kept)
            self._run({"in": source, "out": target, "count": factor * len(kept), "factor": factor})
            made = sorted(target.iterdir(), key=lambda path: (len(path.name), path.name))
            self._check(len(made), most=factor * len(kept), least=factor * (len(kept) - 1) + 1)
            for gap in gaps:
                pictures = [read_picture(made[gap.left * factor + k]) for k in range(1, factor)]
                if pictures[0].shape != kept.shape[1:]:
                    raise UsageError(f"{self.name} makes pictures of another size")
                yield torch.from_numpy(np.stack(pictures)).float() / 255

    def _run(self, places: dict[str, object]) -> None:
        command = list(self._command)
        for name, value in places.items():
            command = [part.replace(f"{{{name}}}", str(value)) for part in command]
        try:
            ended = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        except OSError as error:
            raise UsageError(f"{self.name}: {command[0]} cannot be run ({error.strerror})") from error
        if ended.returncode:
            last = (ended.stderr.strip() or ended.stdout.strip() or "it says nothing").splitlines()[-1]
            raise UsageError(f"{self.name} ended with {ended.returncode}: {last}")

    def _check(self, count: int, *, most: int, least: int) -> None:
        if count not in (most, least):
            raise UsageError(f"{self.name} made {count} pictures where {most} or {least} were expected")
