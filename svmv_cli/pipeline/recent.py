"""What was made of the latest frames, while a window slides over them. Knows no pixels."""

from collections import OrderedDict
from collections.abc import Callable
from typing import Generic, TypeVar

from svmv_cli.media.frame import Frame

_KEPT = 6  # frames: a window's four, and two that shot ends make it look back on

Made = TypeVar("Made")


class Recent(Generic[Made]):
    """Something made of each of the latest frames, once."""

    def __init__(self) -> None:
        # Keyed by the frame object itself, which the entry keeps alive, so an id is never met twice.
        self._known: OrderedDict[int, tuple[Frame, Made]] = OrderedDict()

    def __contains__(self, frame: Frame) -> bool:
        return id(frame) in self._known

    def of(self, frame: Frame, make: Callable[[Frame], Made]) -> Made:
        """What was made of a frame; made now, where it was not or long ago."""
        known = self._known.get(id(frame))
        if known is None:
            self._known[id(frame)] = known = (frame, make(frame))
            while len(self._known) > _KEPT:
                self._known.popitem(last=False)
        else:
            self._known.move_to_end(id(frame))
        return known[1]

    def clear(self) -> None:
        """Forget all of it."""
        self._known.clear()
