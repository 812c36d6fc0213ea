"""The command from one way in to another way out, with a fake network."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from svmv_cli.media.animation_facts import measure_webp
from svmv_cli.media.info import ColorInfo
from svmv_cli.media.inputs import examine
from svmv_cli.media.probe import probe
from svmv_cli.media.verify import measure
from svmv_cli.pipeline.arguments import sort_out
from svmv_cli.pipeline.naming import output_path
from svmv_cli.pipeline.request import Request
from tests.conftest import Result
from tests.media import draw, make_clip
from tests.reading import number_of
from tests.rows import decode, decode_row, make_row, same

Call = Callable[..., Result]


@pytest.mark.parametrize("pix_fmt", ["rgb24", "rgb48be", "rgba64be", "gray16be"])
def test_a_row_becomes_a_row(svmv: Call, tmp_path: Path, pix_fmt: str) -> None:
    folder = make_row(tmp_path / "shot", pix_fmt=pix_fmt, numbers=range(98, 104), name="a_{}.png")
    result = svmv("upsample", folder, "--factor", "3")
    assert result.code == 0, result.stderr
    made = tmp_path / "shot_3x"
    assert sorted(p.name for p in made.iterdir()) == [f"a_{n:06d}.png" for n in range(1, 19)]
    pictures = decode_row(made)
    layout = {"rgb24": "gbrp", "rgb48be": "gbrp16le", "rgba64be": "gbrap16le", "gray16be": "gray16le"}[pix_fmt]
    for number, planes in zip(range(98, 104), pictures[::3], strict=True):
        assert same(planes, draw(number, size=(96, 64), pix_fmt=layout))
    assert not same(pictures[0], pictures[1])
    assert "24 pictures per second are assumed" in result.stderr
    assert sorted(p.name for p in tmp_path.iterdir()) == ["shot", "shot_3x"]


def test_a_row_becomes_a_video_and_a_video_a_row(svmv: Call, tmp_path: Path) -> None:
    folder = make_row(tmp_path / "f", numbers=range(10))
    film = tmp_path / "film.mkv"
    result = svmv("upsample", folder / "%05d.png", film, "--input-fps", "30000/1001", "--codec", "ffv1")
    assert result.code == 0, result.stderr
    found = measure(film)
    assert (found.frames, probe(film).video.rate_claimed) == (20, Fraction(60000, 1001))
    assert [number_of(planes[0]) for planes in decode(film, pix_fmt="gbrp")][::2] == list(range(10))
    assert svmv("upsample", film, tmp_path / "g" / "%03d.tif").code == 0
    assert len(list((tmp_path / "g").iterdir())) == 40
    assert number_of(decode(tmp_path / "g" / "037.tif", pix_fmt="gbrp")[0][0]) == 9


def test_deep_video_makes_deep_pictures_up_to_white(svmv: Call, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mkv", frames=3, codec="ffv1", pix_fmt="yuv444p10le").path
    assert svmv("upsample", clip, tmp_path / "o" / "%d.png").code == 0
    green = decode(tmp_path / "o" / "3.png")[0][0]
    assert green.dtype == "uint16"
    assert number_of(green, depth=16) == 1


def test_a_part_of_a_row(svmv: Call, tmp_path: Path) -> None:
    folder = make_row(tmp_path / "f", numbers=range(1, 13))
    assert svmv("upsample", folder, "--start", "2f", "--end", "0.25", "-o", tmp_path / "cut").code == 0
    assert [number_of(planes[0]) for planes in decode_row(tmp_path / "cut")][::2] == [3, 4, 5, 6]


def test_a_folder_in_use_needs_a_yes(svmv: Call, tmp_path: Path) -> None:
    folder = make_row(tmp_path / "f", numbers=range(4))
    out = tmp_path / "out"
    assert svmv("upsample", folder, out).code == 0
    result = svmv("upsample", folder, out)
    assert (result.code, "output or second input" in result.stderr) == (2, True)
    result = svmv("upsample", folder, "-o", out)
    assert (result.code, "is not empty" in result.stderr) == (4, True)
    (out / "mine.txt").write_text("mine")
    assert svmv("upsample", folder, "-o", out, "-y").code == 0
    assert len(list(out.iterdir())) == 9
    # A shorter row would leave the rest of the longer one behind it.
    result = svmv("upsample", folder, "-o", out, "-y", "--end", "2f")
    assert (result.code, "000005.png is there already" in result.stderr) == (4, True)
    assert len(list(out.iterdir())) == 9


def test_nothing_is_written_over_the_input(svmv: Call, tmp_path: Path) -> None:
    folder = make_row(tmp_path / "f", numbers=range(4))
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for output in (folder, folder / "%05d.png", folder / "b_%06d.png"):
        result = svmv("upsample", folder, "-o", output, "-y")
        assert (result.code, "the input itself" in result.stderr) == (4, True)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_a_folder_with_videos_is_many_videos(svmv: Call, tmp_path: Path) -> None:
    folder = make_row(tmp_path / "f", numbers=range(4))
    make_clip(folder / "a.mp4", frames=4)
    assert sort_out([folder], output=None, output_dir=None).sources == (folder / "a.mp4",)
    result = svmv("upsample", folder, "-q")
    assert (result.code, (folder / "a_2x.mp4").exists()) == (0, True)


def test_which_of_two_is_the_output(tmp_path: Path) -> None:
    folder = make_row(tmp_path / "f", numbers=range(4))
    clip = make_clip(tmp_path / "a.mp4", frames=4).path
    for second in ("new", "new/%04d.png", "new.gif", "new.webp", "-"):
        path = Path(second) if second == "-" else tmp_path / second
        job = sort_out([folder, path], output=None, output_dir=None)
        assert (job.sources, job.output) == ((folder / "%05d.png",), path)
    videos = tmp_path / "videos"
    videos.mkdir()
    make_clip(videos / "b.mp4", frames=4)
    job = sort_out([clip, videos], output=None, output_dir=None)
    assert (job.sources, job.output) == ((clip, videos / "b.mp4"), None)


@pytest.mark.parametrize(
    ("paths", "words"),
    [
        (["1.png", "2.png", "3.png"], "3 single pictures"),
        (["-", "a.mp4", "b.mp4"], "beside no other input"),
        (["a.mp4", "folder"], "neither an input that exists"),
    ],
)
def test_what_cannot_be_meant(svmv: Call, tmp_path: Path, paths: list[str], words: str) -> None:
    make_row(tmp_path, numbers=range(1, 4), name="{}.png")
    make_clip(tmp_path / "a.mp4", frames=4)
    result = svmv("upsample", *(path if path == "-" else tmp_path / path for path in paths))
    assert (result.code, words in result.stderr) == (2, True), result.stderr


def test_names_beside_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "shots" / "x_%04d.jpg"
    assert output_path(Request(source, factor=4)) == tmp_path / "shots_4x" / "x_%06d.jpg"
    assert output_path(Request(source, output_dir=tmp_path)) == tmp_path / "shots_2x" / "x_%06d.jpg"
    assert output_path(Request(tmp_path / "s" / "%d.bmp")) == tmp_path / "s_2x" / "%06d.png"
    assert output_path(Request(Path("in.gif"))) == Path("in_2x.gif")
    assert output_path(Request(Path("-"))) == Path("-")
    (tmp_path / "shots").mkdir()
    monkeypatch.chdir(tmp_path / "shots")
    assert output_path(Request(Path("x_%04d.jpg"))).resolve() == tmp_path / "shots_2x" / "x_%06d.jpg"


def test_json_and_pictures_do_not_share_stdout(svmv: Call, clip: Path) -> None:
    result = svmv("upsample", clip, "-", "--json")
    assert (result.code, result.stdout) == (2, "")
    planned = svmv("upsample", clip, "-", "--json", "--dry-run")
    assert (planned.code, '"yuv4mpegpipe"' in planned.stdout) == (0, True)


def test_sound_that_is_left_out_is_named_before_the_work(svmv: Call, clip: Path, tmp_path: Path) -> None:
    result = svmv("upsample", clip, tmp_path / "a.gif", "--dry-run")
    assert "not kept: audio 1, aac (a GIF holds pictures only)" in result.stderr
    assert not (tmp_path / "a.gif").exists()


def test_a_rotated_film_gives_upright_pictures(svmv: Call, tmp_path: Path) -> None:
    upright = make_clip(tmp_path / "a.mp4", frames=3, size=(96, 64)).path
    turned = make_clip(tmp_path / "b.mp4", frames=3, size=(96, 64), rotation=90).path
    for path in (upright, turned):
        assert svmv("upsample", path, tmp_path / path.stem / "%d.png").code == 0
        assert svmv("upsample", path, path.with_suffix(".y4m")).code == 0
    a, b = (decode(tmp_path / name / "3.png")[0] for name in "ab")
    assert b[0].shape == (96, 64)
    for plane, other in zip(a, b, strict=True):
        assert (abs(plane.astype(int) - _turned_back(other)) <= 40).mean() > 0.98  # encoded apart
    assert (probe(tmp_path / "b.y4m").video.width, probe(tmp_path / "b.y4m").video.height) == (64, 96)


def _turned_back(plane: object) -> object:
    import numpy as np

    return np.rot90(np.asarray(plane), -1)


def test_hdr_survives_a_row_of_pngs(svmv: Call, tmp_path: Path) -> None:
    pq = ColorInfo(9, 16, 9)
    clip = make_clip(tmp_path / "a.mkv", frames=3, codec="ffv1", pix_fmt="yuv444p10le", color=pq).path
    assert svmv("upsample", clip, tmp_path / "o" / "%d.png").code == 0
    color = examine(tmp_path / "o" / "%d.png").video.color
    assert (color.primaries, color.transfer) == (9, 16)
    assert svmv("upsample", tmp_path / "o", tmp_path / "b.mkv", "--codec", "hevc").code == 0
    color = probe(tmp_path / "b.mkv").video.color
    assert (color.primaries, color.transfer, color.matrix) == (9, 16, 9)


def test_a_film_in_which_nothing_happens(svmv: Call, tmp_path: Path) -> None:
    folder = tmp_path / "f"
    make_row(folder, numbers=[0], name="{}.png")
    for number in range(1, 5):
        (folder / f"{number}.png").write_bytes((folder / "0.png").read_bytes())
    for suffix, frames in ((".webp", 1), (".gif", 10), (".apng", 10)):
        result = svmv("upsample", folder, tmp_path / f"a{suffix}")
        assert result.code == 0, result.stderr
        found = measure_webp(tmp_path / "a.webp") if suffix == ".webp" else measure(tmp_path / f"a{suffix}")
        assert found.frames == frames


def test_info_looks_at_rows(svmv: Call, tmp_path: Path) -> None:
    result = svmv("info", make_row(tmp_path / "f", numbers=range(4)))
    assert (result.code, "4 frames, 0.167 s, 24 fps" in result.stdout) == (0, True), result.stdout
