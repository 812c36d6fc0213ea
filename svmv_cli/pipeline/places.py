"""Which places the outputs of one command take, and which of its inputs are such outputs. Opens no file."""

import sys
from collections.abc import Sequence
from pathlib import Path

from svmv_cli.errors import OutputError
from svmv_cli.media.bare import PIPE, is_row
from svmv_cli.pipeline.naming import FALLBACK_SUFFIX, output_path
from svmv_cli.pipeline.request import Request


class Places:
    """Where the outputs of one command go: none onto another, nor onto one of its inputs, as -y would allow.

    Args:
        requests: all of the command.
    """

    def __init__(self, requests: Sequence[Request]) -> None:
        self._sources = {_place(request.source): request.source for request in requests}
        self._makers = {
            _place(output_path(request, suffix=suffix)): request.source
            for suffix in (FALLBACK_SUFFIX, None)
            for request in requests
        }
        self._taken: dict[Path, Path] = {}  # by whom

    def maker_of(self, source: Path) -> Path | None:
        """The other input of the command whose output this one is, by its name; None if it is none."""
        maker = self._makers.get(_place(source))
        return None if maker == source else maker

    def take(self, path: Path, request: Request) -> None:
        """Keep a place for the output of an input.

        Raises:
            OutputError: it is kept for another one's, or another input is there.
        """
        if path == PIPE:
            return
        place, source = _place(path), request.source
        other = self._sources.get(place, source)
        if place != _place(source) and other != source and not request.skip_existing:
            raise OutputError(
                f"the output {path} would replace another input", hint="Give another name with -o, or --output-dir."
            )
        if self._taken.setdefault(place, source) != source:
            raise OutputError(
                f"{path} is the output of {self._taken[place]} already", hint="Run the two apart, with -o."
            )


def _place(path: Path) -> Path:
    """What is the same for all names of a place; a row of pictures takes its folder."""
    if path == PIPE:
        return path
    place = (path.parent if is_row(path) else path).resolve()
    if sys.platform in {"darwin", "win32"}:  # their disks, as they come, tell no names apart that differ in case alone
        return Path(str(place).casefold())
    return place
