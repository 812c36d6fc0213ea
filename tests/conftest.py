"""What holds for every test: no thread of ours outlives it, and no unfinished output is left behind."""

import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from svmv_cli.app import app
from tests.fakes import Blend, fake_module
from tests.media import make_clip


@pytest.fixture(autouse=True)
def no_thread_is_left() -> Iterator[None]:
    yield
    left = [thread.name for thread in threading.enumerate() if thread.name.startswith("svmv-")]
    assert not left, f"threads still alive: {left}"


@pytest.fixture(autouse=True)
def no_part_is_left(request: pytest.FixtureRequest) -> Iterator[None]:
    folder = request.getfixturevalue("tmp_path") if "tmp_path" in request.fixturenames else None
    yield
    if folder is not None:
        assert not [path for path in folder.rglob("*") if ".svmv-part" in path.name]


class Result:
    """What one call of the command gave."""

    def __init__(self, code: int, stdout: str, stderr: str) -> None:
        self.code, self.stdout, self.stderr = code, stdout, stderr


@pytest.fixture
def network(monkeypatch: pytest.MonkeyPatch) -> Blend:
    """A fake network in place of the real one."""
    blend = Blend()
    monkeypatch.setitem(sys.modules, "svmv_cli.pipeline.interpolate", fake_module(blend))
    return blend


@pytest.fixture
def svmv(network: Blend) -> Callable[..., Result]:  # noqa: ARG001 (installed by being asked for)
    """The command, called in this process with the fake network."""

    def call(*arguments: object) -> Result:
        made = CliRunner().invoke(app, [str(argument) for argument in arguments])
        if made.exception is not None and not isinstance(made.exception, SystemExit):
            raise made.exception
        return Result(made.exit_code, made.stdout, made.stderr)

    return call


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """24 numbered pictures at 24 fps, with sound."""
    return make_clip(tmp_path / "in.mp4", audio=1).path
