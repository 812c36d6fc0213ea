"""Several files of one command: no output over another or over an input, and nothing left out in silence."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Result
from tests.media import make_clip
from tests.rows import make_row

Call = Callable[..., Result]


@pytest.mark.parametrize("more", [(), ("-y",), ("--skip-existing",), ("--dry-run",)])
def test_two_inputs_of_one_output_are_not_both_taken(svmv: Call, tmp_path: Path, more: tuple[str, ...]) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        make_clip(tmp_path / name / "in.mp4", frames=3)
    films = [tmp_path / name / "in.mp4" for name in "ab"]
    result = svmv("upsample", *films, "--output-dir", tmp_path, *more)
    assert result.code == 1
    assert "is the output of" in result.stderr
    assert (tmp_path / "in_2x.mp4").exists() == (more != ("--dry-run",))


def test_an_output_never_replaces_another_input(svmv: Call, tmp_path: Path) -> None:
    make_clip(tmp_path / "in.mp4", frames=3)
    other = make_clip(tmp_path / "in_2x.mp4", frames=4).path
    before = other.read_bytes()
    result = svmv("upsample", tmp_path / "in.mp4", other, "--output-dir", tmp_path, "-y")
    assert result.code == 1
    assert "would replace another input" in result.stderr
    assert other.read_bytes() == before


def test_outputs_of_an_earlier_run_are_no_inputs_of_the_next(svmv: Call, tmp_path: Path) -> None:
    films = [make_clip(tmp_path / f"{name}.mp4", frames=3).path for name in "ab"]
    assert svmv("upsample", *films, "--output-dir", tmp_path).code == 0
    again = svmv("upsample", *sorted(tmp_path.glob("*.mp4")), "--skip-existing", "--json")
    assert again.code == 0
    reasons = [one["reason"] for one in json.loads(again.stdout)["files"]]
    assert ["output of" in reason for reason in reasons] == [False, True, False, True]
    assert len(list(tmp_path.iterdir())) == 4


def test_so_are_those_that_went_into_another_container(svmv: Call, tmp_path: Path) -> None:
    film = make_clip(tmp_path / "in.mp4", frames=3).path
    made = make_clip(tmp_path / "in_2x.mkv", frames=6).path
    result = svmv("upsample", film, made, "-n", "--output-dir", tmp_path, "--json")
    assert [one["status"] for one in json.loads(result.stdout)["files"]] == ["ok", "skipped"]


@pytest.mark.parametrize("more", [(), ("-y",), ("-n",)])
def test_two_rows_do_not_share_a_folder(svmv: Call, tmp_path: Path, more: tuple[str, ...]) -> None:
    for name in ("a_{:03d}.png", "b_{:03d}.png"):
        make_row(tmp_path / "in", name=name, numbers=range(2))
    rows = [tmp_path / "in" / f"{name}_%03d.png" for name in "ab"]
    result = svmv("upsample", *rows, "--output-dir", tmp_path, *more)
    assert result.code == 1
    assert "is the output of" in result.stderr


def test_a_row_never_goes_into_the_folder_of_another_input(svmv: Call, tmp_path: Path) -> None:
    make_row(tmp_path / "in", numbers=range(2))
    other = make_row(tmp_path / "in_2x", name="x{:03d}.png", numbers=range(4))
    before = [path.read_bytes() for path in sorted(other.iterdir())]
    result = svmv("upsample", tmp_path / "in", other, "-y", "--output-dir", tmp_path)
    assert "would replace another input" in result.stderr
    assert [path.read_bytes() for path in sorted(other.iterdir())] == before


def test_names_that_differ_in_case_are_one_where_disks_say_so(
    svmv: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_clip(tmp_path / "IN_2x.mp4", frames=3).path
    film = make_clip(tmp_path / "in.mp4", frames=3).path
    monkeypatch.setattr("svmv_cli.pipeline.places.sys.platform", "darwin")
    result = svmv("upsample", film, other, "--output-dir", tmp_path, "-y", "--dry-run")
    assert "would replace another input" in result.stderr


def test_a_link_that_leads_nowhere_is_told_of(svmv: Call, tmp_path: Path) -> None:
    make_clip(tmp_path / "in.mp4", frames=3)
    (tmp_path / "gone.mp4").symlink_to(tmp_path / "nowhere.mp4")
    result = svmv("upsample", tmp_path)
    assert result.code == 1
    assert f"gone.mp4 is a link to {tmp_path / 'nowhere.mp4'}, which does not exist" in result.stderr


@pytest.mark.parametrize(
    "given", [("",), ("%04d.exr",), ("0001.exr",), ("0001.exr", "0002.exr"), ("0001.exr", "o.mp4")]
)
def test_pictures_that_are_not_read_are_told_of(svmv: Call, tmp_path: Path, given: tuple[str, ...]) -> None:
    for number in (1, 2):
        (tmp_path / f"000{number}.exr").write_bytes(b"v/1")
    result = svmv("upsample", *(tmp_path / name for name in given))
    assert result.code == 3
    assert "pictures of the kind .exr are not read" in result.stderr
    assert "can be .bmp, " in result.stderr


def test_a_folder_of_something_else_is_told_what_would_be_read(svmv: Call, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    result = svmv("upsample", tmp_path)
    assert result.code == 3
    assert "no video in the folder" in result.stderr
    assert "can be .bmp, " in result.stderr
