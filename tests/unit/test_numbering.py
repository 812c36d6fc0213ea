from collections.abc import Iterable
from pathlib import Path

import pytest

from svmv_cli.errors import InputError, UsageError
from svmv_cli.media.numbering import find_row, find_row_in, is_pattern, parse_pattern


def touch(folder: Path, names: Iterable[str]) -> Path:
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / name).write_bytes(b"x")
    return folder


@pytest.mark.parametrize(
    ("text", "name"), [("a_%05d.png", "a_00007.png"), ("%d.jpg", "7.jpg"), ("100%%_%3d_x.tif", "100%_007_x.tif")]
)
def test_a_pattern_makes_names_and_knows_them_again(text: str, name: str) -> None:
    names = parse_pattern(Path("frames", text))
    assert names.name(7) == name
    assert names.number_of(name) == 7
    assert parse_pattern(names.pattern) == names
    assert names.number_of("a_7.png") is None


@pytest.mark.parametrize("text", ["a.png", "%d_%d.png"])
def test_a_pattern_has_one_place(text: str) -> None:
    with pytest.raises(UsageError, match="places for a number"):
        parse_pattern(Path(text))


def test_a_file_that_is_called_like_a_pattern_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "50%d.png"
    assert is_pattern(path)
    path.write_bytes(b"x")
    assert not is_pattern(path)


def test_numbers_begin_anywhere_and_order_is_natural(tmp_path: Path) -> None:
    folder = touch(tmp_path / "f", [f"shot2_{n}.png" for n in (9, 10, 11, 12)] + ["notes.txt", ".hidden_1.png"])
    row = find_row_in(folder)
    assert row is not None
    assert (row.first, row.count, row.pattern) == (9, 4, folder / "shot2_%d.png")
    assert [row.path(i).name for i in range(4)] == ["shot2_9.png", "shot2_10.png", "shot2_11.png", "shot2_12.png"]
    assert find_row(folder / "shot2_%d.png") == row


def test_zeros_run_over(tmp_path: Path) -> None:
    row = find_row_in(touch(tmp_path / "f", ["999.JPG", "1000.JPG"]))
    assert row is not None
    assert (row.width, row.suffix, row.last) == (3, ".jpg", 1000)


def test_a_gap_is_named(tmp_path: Path) -> None:
    folder = touch(tmp_path / "f", [f"{n:03d}.png" for n in (1, 2, 4, 5)])
    with pytest.raises(InputError, match=r"003\.png is missing: the pictures go from 1 to 5"):
        find_row_in(folder)
    (folder / "004.png").unlink()
    with pytest.raises(InputError, match=r"003\.png and 1 more are missing"):
        find_row(folder / "%03d.png")


@pytest.mark.parametrize(
    "names",
    [
        ["a1.png", "a2.png", "b1.png", "b2.png"],
        ["1.png", "2.png", "3.jpg"],
        ["1.png", "2.png", "cover.png"],
        ["1_2.png", "2_1.png"],
    ],
)
def test_what_is_no_single_row_is_refused_and_rows_are_offered(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(InputError, match="no single numbered row") as told:
        find_row_in(touch(tmp_path / "f", names))
    assert told.value.hint is not None
    assert "%d" in told.value.hint


def test_two_ways_of_numbering_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="numbered in another way"):
        find_row_in(touch(tmp_path / "f", ["01.png", "2.png", "003.png"]))


def test_a_folder_without_pictures_has_no_row(tmp_path: Path) -> None:
    assert find_row_in(touch(tmp_path / "f", ["a.txt"])) is None


def test_a_pattern_without_pictures_tells_what_is_there(tmp_path: Path) -> None:
    folder = touch(tmp_path / "f", ["x_01.png", "x_02.png"])
    with pytest.raises(InputError, match="no picture is called") as told:
        find_row(folder / "y_%02d.png")
    assert told.value.hint is not None
    assert "x_%02d.png" in told.value.hint
    with pytest.raises(InputError, match="there is no folder"):
        find_row(tmp_path / "g" / "%d.png")
