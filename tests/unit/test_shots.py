import io
from collections.abc import Sequence
from fractions import Fraction

import av
import numpy as np
import pytest

from svmv_cli.media.frame import Frame, PixelFormat, Plane
from svmv_cli.pipeline.shots import Seen, ShotSettings, look
from tests.fakes import gray_frames, texture

MARKS = {"picture": ".", "repeat": "r", "still": "s"}


def see(planes: Sequence[Plane], settings: ShotSettings | None = None) -> tuple[str, list[Seen]]:
    seen = list(look(gray_frames(planes), settings=settings or ShotSettings()))
    return "".join("C" if one.cut else MARKS[one.role] for one in seen), seen


def coded(planes: Sequence[Plane], *, crf: int) -> list[Plane]:
    """What x264 makes of them."""
    file = io.BytesIO()
    rows, columns = planes[0].shape
    with av.open(file, "w", format="matroska") as out:
        stream = out.add_stream("libx264", rate=24, options={"crf": str(crf), "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = columns, rows, "yuv420p"
        for plane in planes:
            gray = np.full((rows // 2, columns), 128, np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(np.vstack([plane, gray]), format="yuv420p")))
        out.mux(stream.encode(None))
    file.seek(0)
    with av.open(file) as container:
        return [np.ascontiguousarray(f.to_ndarray()[:rows]) for f in container.decode(video=0)]


def fade(frames: int, *, to: float = 0.0) -> list[Plane]:
    return [(texture(0) * (1 - (1 - to) * i / (frames - 1))).astype(np.uint8) for i in range(frames)]


def test_a_cut_is_found_and_reported() -> None:
    marks, seen = see([texture(2 * i) for i in range(12)] + [texture(2 * i, seed=1) // 2 for i in range(12)])
    assert marks == "." * 12 + "C" + "." * 11
    assert [one.frame.time for one in seen if one.cut] == [Fraction(12, 24)]


def test_cuts_can_be_switched_off_and_tuned() -> None:
    film = [texture(0)] * 1 + [texture(3)] + [texture(0, seed=1) // 2, texture(3, seed=1) // 2]
    assert "C" not in see(film, ShotSettings(cut_threshold=None))[0]
    assert "C" not in see(film, ShotSettings(cut_threshold=0.99))[0]
    assert "C" in see(film)[0]


def test_two_cuts_close_together_are_both_found() -> None:
    film = [texture(i) for i in range(8)]
    film += [texture(i, seed=1) // 2 for i in range(2)]
    film += [255 - texture(i, seed=2) // 3 for i in range(8)]
    assert see(film)[0] == "." * 8 + "C.C" + "." * 7


@pytest.mark.parametrize("speed", [4, 24, 60])
def test_fast_motion_is_no_cut(speed: int) -> None:
    assert "C" not in see([texture(speed * i) for i in range(20)])[0]


def test_fast_motion_on_twos_is_no_cut() -> None:
    marks, _ = see([texture(60 * (i // 2)) for i in range(20)])
    assert marks == ".r" * 10


@pytest.mark.parametrize("length", [1, 2])
def test_a_flash_is_no_cut(length: int) -> None:
    film = [texture(2 * i).astype(int) for i in range(20)]
    for i in range(8, 8 + length):
        film[i] = film[i] + 120
    assert "C" not in see([np.clip(plane, 0, 255).astype(np.uint8) for plane in film])[0]


@pytest.mark.parametrize("frames", [24, 72])
def test_a_fade_is_neither_cut_nor_eaten(frames: int) -> None:
    marks, _ = see(fade(frames))
    assert set(marks[:-4]) == {"."}  # near black the last few differ by less than one code value
    marks, _ = see(coded(fade(frames), crf=23))
    assert marks.count(".") >= frames - 4


def test_a_dissolve_is_no_cut() -> None:
    a, b = texture(0).astype(float), texture(0, seed=1) / 2
    film = [(a + (b - a) * t).astype(np.uint8) for t in np.linspace(0, 1, 16)]
    assert see(film)[0] == "." * 16


@pytest.mark.parametrize("crf", [0, 18, 23])
def test_animation_on_twos_is_seen_through_coding_noise(crf: int) -> None:
    marks, seen = see(coded([texture(4 * (i // 2)) for i in range(24)], crf=crf))
    assert marks == ".r" * 12
    assert sum(one.repeats for one in seen) == 12


@pytest.mark.parametrize("crf", [0, 18, 23])
def test_a_still_stays_a_still(crf: int) -> None:
    assert see(coded([texture(0)] * 20, crf=crf))[0] == "." + "s" * 19


def test_slow_and_small_motion_is_no_repeat() -> None:
    assert set(see([texture(i) for i in range(12)])[0]) == {"."}
    film = [texture(0).copy() for _ in range(12)]
    for i, plane in enumerate(film):
        plane[20:26, 30 + 2 * i : 36 + 2 * i] = 255
    assert set(see(film)[0]) == {"."}
    assert set(see(coded(film, crf=23))[0]) == {"."}


def test_the_longest_run_is_the_users() -> None:
    film = [texture(4 * (i // 3)) for i in range(12)]
    assert see(film, ShotSettings(longest_run=2))[0] == ".rr" * 4
    assert see(film, ShotSettings(longest_run=1))[0] == ".ss" * 4
    assert see(film, ShotSettings(longest_run=0))[0] == "." * 12


def test_ten_bits_are_seen_like_eight() -> None:
    ten = PixelFormat.parse("gray10le")
    planes = [texture(4 * (i // 2)).astype(np.uint16) * 4 for i in range(8)]
    planes += [(texture(4 * i, seed=1) // 2).astype(np.uint16) * 4 for i in range(6)]
    frames = [Frame(Fraction(i, 24), Fraction(1, 24), ten, (plane,)) for i, plane in enumerate(planes)]
    seen = list(look(frames, settings=ShotSettings()))
    assert [one.role for one in seen[:8]] == ["picture", "repeat"] * 4
    assert [one.cut for one in seen] == [False] * 8 + [True] + [False] * 5


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 3), (17, 33)])
def test_tiny_and_odd_pictures_are_looked_at(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    film = [rng.integers(0, 255, size).astype(np.uint8) for _ in range(9)]
    assert len(see(film)[0]) == 9


def test_few_frames_are_held_at_once() -> None:
    pulled = 0

    def counting() -> object:
        nonlocal pulled
        for frame in gray_frames([texture(i % 50) for i in range(60)]):
            pulled += 1
            yield frame

    for given, one in enumerate(look(counting(), settings=ShotSettings())):  # type: ignore[arg-type]
        assert isinstance(one, Seen)
        assert pulled - given <= 9
