"""An iterator run ahead in a thread of its own. Knows nothing of what the items are.

Leaving the `with` block, for whatever reason, means: the thread is told to stop, its queue is drained, the thread is
joined. Only then may its source close.
"""

from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import Empty, Queue
from threading import Event, Thread
from typing import Generic, TypeVar

T = TypeVar("T")
_POLL = 0.2  # s: a wait without a limit could not be interrupted by Ctrl-C on Windows


@dataclass(frozen=True, slots=True)
class _End:
    """The last thing in a queue: the iterator is exhausted, or it raised."""

    error: BaseException | None


class _Stage(Generic[T]):
    def __init__(self, items: Iterable[T], depth: int, *, name: str) -> None:
        self._items = items
        self._queue: Queue[T | _End] = Queue(depth)
        self._stop = Event()
        self._thread = Thread(target=self._produce, name=f"svmv-{name}")

    def start(self) -> None:
        self._thread.start()

    def consume(self) -> Iterator[T]:
        while True:
            try:
                item = self._queue.get(timeout=_POLL)
            except Empty:
                continue
            if not isinstance(item, _End):
                yield item
            elif item.error is not None:
                raise item.error
            else:
                return

    def close(self) -> None:
        self._stop.set()
        stopped: KeyboardInterrupt | None = None
        while self._thread.is_alive():
            try:
                self._drain()
                self._thread.join(0.01)
            except KeyboardInterrupt as error:
                stopped = error
        self._drain()
        if stopped is not None:
            raise stopped

    def _produce(self) -> None:
        error: BaseException | None = None
        try:
            self._pump()
        except BaseException as raised:  # noqa: BLE001 (handed over: the consumer raises it)
            error = raised
        if not self._stop.is_set():
            self._queue.put(_End(error))

    def _pump(self) -> None:
        iterator = iter(self._items)
        try:
            for item in iterator:
                if self._stop.is_set():
                    return
                self._queue.put(item)
        finally:
            # A generator is closed by the thread that ran it, not by the collector at some later time.
            if isinstance(iterator, Generator):
                iterator.close()

    def _drain(self) -> None:
        try:
            while True:
                self._queue.get_nowait()
        except Empty:
            return


@contextmanager
def prefetch(items: Iterable[T], depth: int, *, name: str) -> Iterator[Iterator[T]]:
    """Run `items` in a thread, at most `depth` of them ahead, and hand them over in order.

    Args:
        items: iterated in the thread, from the first item to the last.
        depth: bound of the queue, in items.
        name: of the thread, for debuggers and tests.

    Yields:
        The items. What `items` raises is raised here, with its traceback.
    """
    stage = _Stage(items, depth, name=name)
    try:
        stage.start()
        yield stage.consume()
    finally:
        stage.close()
