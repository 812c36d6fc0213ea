"""docs/formats.md is what `make formats` writes: some of its lines are made again. All of them take a minute."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Result
from tests.formats import ROWS, table

Call = Callable[..., Result]
DOCUMENT = Path(__file__).parents[2] / "docs" / "formats.md"


@pytest.mark.parametrize("number", [0, 2, 6, 9, 13, 16, 27])
def test_the_document_is_the_scripts(svmv: Call, tmp_path: Path, number: int) -> None:
    def run(*words: object) -> tuple[int, str]:
        result = svmv(*words)
        return result.code, result.stderr

    made = table(ROWS[number : number + 1], run, tmp_path).splitlines()
    committed = DOCUMENT.read_text(encoding="utf-8").splitlines()
    lines = [line for line in made if line.startswith((f"| {ROWS[number].name} |", "- "))]
    assert len(lines) >= len(ROWS[number].outputs)
    assert [line for line in lines if line not in committed] == []


def test_every_row_is_in_the_document() -> None:
    committed = DOCUMENT.read_text(encoding="utf-8")
    for row in ROWS:
        for suffix in row.outputs:
            assert f"| {row.name} | {f'{row.way} {suffix}'.strip()} |" in committed
