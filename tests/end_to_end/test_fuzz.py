"""Some hundred small files broken at random: no traceback, hang, crash, leap in memory, or file that should not be."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

pytest.importorskip("resource", reason="bounds of time and memory are POSIX's")

ROOT = Path(__file__).parents[2]
CASES = 130  # per process; each takes about an eighth of a second
SEEDS = (11, 12)


def test_broken_files_end_in_a_result_or_in_one_sentence(tmp_path: Path) -> None:
    codes: Counter[int] = Counter()
    running = [(seed, start(tmp_path / str(seed), seed, first=0, cases=CASES)) for seed in SEEDS]
    ended = [(seed, process, *process.communicate(timeout=300)) for seed, process in running]
    for seed, process, out, err in ended:
        lines = [json.loads(line) for line in out.splitlines()]
        assert process.returncode == 0, f"died with {process.returncode} in {lines[-1]}: {err[-2000:]}"
        verdicts = [line for line in lines if "code" in line]
        assert len(verdicts) == CASES, seed
        faults = [f"{one['case']}: {one['fault']}: {one['said']}" for one in verdicts if one["fault"]]
        assert not faults, "\n".join(faults)
        codes.update(one["code"] for one in verdicts)
    # Much still comes out of most of them, and some are beyond help.
    assert codes[0] + codes[5] > CASES
    assert codes[5] > CASES // 10
    assert codes[3] > CASES // 10


def test_leaps_in_time_make_no_hours_of_picture_or_silence(tmp_path: Path) -> None:
    """Two cases that hung when they were found: a last picture and a sound packet hours away."""
    for seed, number in ((8, 182), (21, 522)):
        process = start(tmp_path / str(seed), seed, first=number, cases=1)
        out, err = process.communicate(timeout=300)
        assert process.returncode == 0, err
        verdict = json.loads(out.splitlines()[-1])
        assert (verdict["code"], verdict["fault"]) == (0, "")


def start(folder: Path, seed: int, *, first: int, cases: int) -> subprocess.Popen[str]:
    folder.mkdir()
    numbers = ["--first", str(first), "--cases", str(cases), "--seed", str(seed)]
    command = [sys.executable, "-m", "tests.fuzzing", str(folder), *numbers]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
