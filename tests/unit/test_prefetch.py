import threading
import time
import traceback
from collections.abc import Iterator

import pytest

from svmv_cli.pipeline.prefetch import prefetch


def endless(log: list[str]) -> Iterator[int]:
    n = 0
    try:
        while True:
            yield n
            n += 1
    finally:
        log.append(f"closed in {threading.current_thread().name}")


def test_items_come_in_order_and_end() -> None:
    with prefetch(range(100), 3, name="a") as items:
        assert list(items) == list(range(100))


def test_it_runs_ahead_but_not_too_far() -> None:
    seen: list[int] = []

    def counting() -> Iterator[int]:
        for n in range(50):
            seen.append(n)
            yield n

    with prefetch(counting(), 4, name="a") as items:
        assert next(items) == 0
        time.sleep(0.1)
        assert 4 <= len(seen) <= 6  # the queue, one in hand


def test_an_error_crosses_with_its_traceback() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise OSError("the disk fell off")

    with pytest.raises(OSError, match="fell off") as caught, prefetch(failing(), 2, name="a") as items:
        list(items)
    assert "in failing" in "".join(traceback.format_exception(caught.value))


def test_leaving_early_stops_drains_and_joins() -> None:
    log: list[str] = []
    with prefetch(endless(log), 2, name="early") as items:
        next(items)
    assert log == ["closed in svmv-early"]
    assert not [t for t in threading.enumerate() if t.name == "svmv-early"]


def test_a_consumer_that_raises_in_the_middle_leaves_no_thread() -> None:
    inner: list[str] = []

    def doubled(items: Iterator[int]) -> Iterator[int]:
        for item in items:
            yield 2 * item

    with (  # noqa: PT012
        pytest.raises(ZeroDivisionError),
        prefetch(endless(inner), 2, name="first") as first,
        prefetch(doubled(first), 2, name="second") as second,
    ):
        for item in second:
            if item == 20:
                raise ZeroDivisionError
    assert inner == ["closed in svmv-first"]
    assert not [t for t in threading.enumerate() if t.name.startswith("svmv-")]


def test_a_stage_in_the_middle_that_fails_leaves_no_thread() -> None:
    inner: list[str] = []

    def failing(items: Iterator[int]) -> Iterator[int]:
        for item in items:
            if item == 5:
                raise ValueError("middle")
            yield item

    with (
        pytest.raises(ValueError, match="middle"),
        prefetch(endless(inner), 2, name="first") as first,
        prefetch(failing(first), 2, name="second") as second,
    ):
        list(second)
    assert inner == ["closed in svmv-first"]


def test_an_error_nobody_waits_for_is_dropped_with_its_thread() -> None:
    def failing() -> Iterator[int]:
        yield 1
        raise OSError("late")

    with prefetch(failing(), 1, name="late") as items:
        assert next(items) == 1
