"""Machine code kept on disk does not outlive its sources, and making it is told of."""

import os
from pathlib import Path

from svmv.jit import forget_older, part, when_compiling


def dated(path: Path, when: float) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.touch()
    os.utime(path, (when, when))
    return path


def test_machine_code_older_than_any_source_goes(tmp_path: Path) -> None:
    dated(tmp_path / "a_numba.py", 100)
    dated(tmp_path / "b_numba.py", 200)
    dated(tmp_path / "other.py", 900)
    old = dated(tmp_path / "__pycache__" / "a_numba.add-3.py311.nbi", 150)
    new = dated(tmp_path / "__pycache__" / "b_numba.mul-9.py311.nbi", 250)
    forget_older(tmp_path)
    assert not old.exists()
    assert new.exists()


def test_a_source_from_the_future_removes_nothing(tmp_path: Path) -> None:
    dated(tmp_path / "a_numba.py", 1e12)
    kept = dated(tmp_path / "__pycache__" / "a_numba.add-3.py311.nbi", 150)
    forget_older(tmp_path)
    assert kept.exists()
    forget_older(tmp_path / "missing")


def test_compiling_is_told_of_once() -> None:
    told: list[str] = []
    twice, thrice = part(lambda x: 2 * x), part(lambda x: 3 * x)
    when_compiling(lambda: told.append("now"))
    assert (twice(2), thrice(2)) == (4, 6)
    assert told == ["now"]
    when_compiling(lambda: told.append("again"))
    assert twice(3) == 6  # nothing is compiled
    assert told == ["now"]
    when_compiling(lambda: None)
