"""Times that must rise and sometimes do not: the one that strays is left out. Knows not what the times are of."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Generic, TypeVar

T = TypeVar("T")
LEAP = Fraction(10)  # s: where damage is known of, a few times that lie further from all others are not believed


class Rising(Generic[T]):
    """Passes items on in the order they come, one behind, so that a stray is known by the one after it.

    Of two whose times fall, the first has strayed ahead if the second fits behind all that came before both; else
    the second has strayed back. Without this, one time too late would make everything after it look out of order.

    Args:
        slack: s by which a time may fall without being a stray; at 0 it must rise.

    Attributes:
        strays: items left out.
    """

    def __init__(self, slack: Fraction = Fraction(0)) -> None:
        self.strays = 0
        self._slack = slack
        self._held: tuple[T, Fraction] | None = None
        self._latest: Fraction | None = None

    def push(self, item: T, time: Fraction) -> Iterator[T]:
        """The item before this one, if it is none that strayed.

        Args:
            item: the next one.
            time: its own, s.
        """
        if self._held is None or time > self._held[1] - self._slack:
            yield from self.flush()
            self._held = item, time
            return
        self.strays += 1
        if self._latest is None or time > self._latest - self._slack:
            self._held = item, time

    def finish(self, *, leap: Fraction) -> Iterator[T]:
        """The last item, unless it lies further than `leap`, s, behind the one before: none follows to confirm it."""
        if self._held is not None and self._latest is not None and self._held[1] - self._latest > leap:
            self.strays += 1
            self._held = None
        yield from self.flush()

    def flush(self) -> Iterator[T]:
        """The last item."""
        if self._held is not None:
            (item, self._latest), self._held = self._held, None
            yield item
