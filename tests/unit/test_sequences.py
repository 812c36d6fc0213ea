import zlib
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from svmv_cli.errors import InputError, OutputError, SvmvError, UnsupportedError
from svmv_cli.media.frame import Frame, PixelFormat
from svmv_cli.media.info import MediaInfo
from svmv_cli.media.inputs import examine, open_reader
from svmv_cli.media.outputs import choose_output, measure_output, open_writer
from svmv_cli.media.pictures import working_format
from svmv_cli.media.stills import read_header
from svmv_cli.media.target import Target
from svmv_cli.timeline import Clock
from tests.media import draw
from tests.reading import number_of
from tests.rows import decode_row, encode, make_row, same

RATE = Fraction(30)


def frames_of(info: MediaInfo, pix_fmt: str | None = None, **cut: Fraction) -> list[Frame]:
    with open_reader(info, pix_fmt=pix_fmt or working_format(info.video.pix_fmt).name, **cut) as reader:
        return list(reader)


def target_for(info: MediaInfo, path: Path, **options: object) -> Target:
    return choose_output(info, path=path, clock=Clock(Fraction(0)), rate=RATE, **options)  # type: ignore[arg-type]


# -- in


@pytest.mark.parametrize(
    ("suffix", "pix_fmt"),
    [
        (".png", "rgb24"),
        (".png", "rgba"),
        (".png", "gray"),
        (".png", "gray16be"),
        (".png", "rgb48be"),
        (".png", "rgba64be"),
        (".tif", "rgb24"),
        (".tif", "rgb48le"),
        (".bmp", "bgr24"),
        (".webp", "bgra"),
    ],
)
def test_pictures_come_in_bit_by_bit(tmp_path: Path, suffix: str, pix_fmt: str) -> None:
    folder = make_row(tmp_path / "f", name="{:03d}" + suffix, pix_fmt=pix_fmt, numbers=range(5, 9))
    info = examine(folder / f"%03d{suffix}", input_rate=RATE)
    layout = working_format(pix_fmt).name
    assert (info.video.width, info.video.height, info.video.rate_claimed) == (96, 64, 30)
    frames = frames_of(info, layout)
    assert [frame.time for frame in frames] == [Fraction(i, 30) for i in range(4)]
    for number, frame in enumerate(frames, 5):
        assert same(frame.planes, draw(number, size=(96, 64), pix_fmt=layout))


def test_jpegs_have_the_full_range_and_centred_chroma(tmp_path: Path) -> None:
    folder = make_row(tmp_path / "f", name="{}.jpg", pix_fmt="yuvj420p", numbers=range(8, 12))
    info = examine(folder / "%d.jpg")
    assert (info.video.pix_fmt, info.video.rate_claimed) == ("yuv420p", 24)
    assert (info.video.color.full_range, info.video.color.chroma_location) == (True, 2)
    assert [number_of(frame.planes[0]) for frame in frames_of(info)] == [8, 9, 10, 11]


@pytest.mark.parametrize(("orientation", "degrees"), [(1, 0), (6, -90), (8, 90), (3, 180)])
def test_photographs_are_turned_as_the_camera_says(tmp_path: Path, orientation: int, degrees: int) -> None:
    folder = make_row(tmp_path / "f", name="{}.jpg", pix_fmt="yuvj444p", numbers=range(2))
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0" + bytes([orientation, 0, 0, 0, 0, 0, 0, 0])
    for path in folder.iterdir():
        data = path.read_bytes()
        path.write_bytes(data[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + data[2:])
    info = examine(folder / "%d.jpg")
    assert info.video.rotation % 360 == degrees % 360
    assert number_of(frames_of(info)[1].planes[0]) == 1
    target = target_for(info, tmp_path / "out" / "%d.png")
    write_row(target, info, count=2)
    planes = decode_row(tmp_path / "out")[1]
    assert same(planes, [np.rot90(p, degrees // 90) for p in draw(1, size=(96, 64), pix_fmt="gbrp")])


def test_a_part_of_a_row(tmp_path: Path) -> None:
    info = examine(make_row(tmp_path / "f") / "%05d.png", input_rate=Fraction(10))
    part = frames_of(info, start=Fraction(1, 4), stop=Fraction(6, 10))
    assert [number_of(frame.planes[0]) for frame in part] == [3, 4, 5]
    assert part[0].time == Fraction(3, 10)


def test_a_row_that_varies_in_kind_loses_nothing(tmp_path: Path) -> None:
    folder = make_row(tmp_path / "f", pix_fmt="gray", numbers=range(2))
    make_row(folder, pix_fmt="rgb24", numbers=range(2, 4))
    make_row(folder, pix_fmt="rgba64be", numbers=range(4, 5))
    info = examine(folder / "%05d.png")
    assert info.video.pix_fmt == "gbrap16le"
    frames = frames_of(info)
    assert [number_of(frame.planes[0], depth=16) for frame in frames] == [0, 1, 2, 3, 4]
    grey = draw(0, size=(96, 64), pix_fmt="gray")[0]
    assert all((plane == grey.astype(np.uint16) * 257).all() for plane in frames[0].planes[:3])
    assert (frames[0].planes[3] == 65535).all()


def test_a_palette_has_alpha_only_if_it_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "f"
    folder.mkdir()
    for transparent in (False, True):
        chunks = [(b"IHDR", b"\0\0\0\x08\0\0\0\x08\x08\x03\0\0\0"), (b"PLTE", b"\xff\0\0\0\xff\0")]
        chunks += [(b"tRNS", b"\0\xff")] if transparent else []
        chunks += [(b"IDAT", zlib.compress((b"\0" + b"\0\x01" * 4) * 8)), (b"IEND", b"")]
        body = b"".join(
            len(data).to_bytes(4, "big") + name + data + zlib.crc32(name + data).to_bytes(4, "big")
            for name, data in chunks
        )
        (folder / "1.png").write_bytes(b"\x89PNG\r\n\x1a\n" + body)
        info = examine(folder / "%d.png")
        assert info.video.pix_fmt == ("gbrap" if transparent else "gbrp")
        green, blue, red, *alpha = (plane[0, :2].tolist() for plane in frames_of(info)[0].planes)
        assert (green, blue, red) == ([0, 255], [0, 0], [255, 0])
        assert alpha == ([[0, 255]] if transparent else [])


@pytest.mark.parametrize(
    ("suffix", "pix_fmt"),
    [(".png", "rgba"), (".jpg", "yuvj420p"), (".tif", "rgb24"), (".bmp", "bgr24"), (".webp", "bgra")],
)
def test_broken_pictures_end_in_a_sentence_or_in_fewer_frames(tmp_path: Path, suffix: str, pix_fmt: str) -> None:
    folder = make_row(tmp_path, name="{}" + suffix, pix_fmt=pix_fmt, numbers=range(2), size=(48, 32))
    victim = folder / f"1{suffix}"
    whole = victim.read_bytes()
    rng = np.random.default_rng(0)
    for _ in range(25):
        data = np.frombuffer(whole, np.uint8).copy()
        data[rng.integers(0, rng.choice([40, len(data)]), 3)] = rng.integers(0, 256, 3)
        victim.write_bytes(data.tobytes()[: rng.integers(len(data) // 2, 3 * len(data))])
        try:
            frames = frames_of(examine(folder / f"%d{suffix}"))
        except SvmvError:
            continue
        assert 1 <= len(frames) <= 2


def test_sizes_must_agree(tmp_path: Path) -> None:
    folder = make_row(tmp_path / "f", numbers=range(3))
    make_row(folder, numbers=[3], size=(64, 96))
    with pytest.raises(InputError, match=r"00003\.png is 64x96, but 00000\.png is 96x64"):
        examine(folder / "%05d.png")


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    folder = make_row(tmp_path / "f", numbers=range(3))
    (folder / "00001.png").write_text("no picture")
    with pytest.raises(InputError, match=r"00001\.png is no picture"):
        examine(folder / "%05d.png")


@pytest.mark.parametrize(("suffix", "pix_fmt"), [(".png", "rgb24"), (".jpg", "yuvj420p")])
def test_a_torn_picture_is_counted_and_left_out(tmp_path: Path, suffix: str, pix_fmt: str) -> None:
    folder = make_row(tmp_path / "f", name="{}" + suffix, pix_fmt=pix_fmt, numbers=range(6))
    torn = folder / f"2{suffix}"
    torn.write_bytes(torn.read_bytes()[:-200])
    with open_reader(examine(folder / f"%d{suffix}"), pix_fmt=working_format(pix_fmt).name) as reader:
        frames = list(reader)
    assert [frame.time * 24 for frame in frames] == [0, 1, 3, 4, 5]
    assert [frame.damaged for frame in frames] == [0, 0, 1, 0, 0]
    assert (reader.decoded, reader.damaged) == (5, 1)


def test_a_single_picture_is_no_film(tmp_path: Path) -> None:
    path = encode(tmp_path / "a_01.png", draw(0, size=(96, 64), pix_fmt="gbrp"), pix_fmt="rgb24")
    with pytest.raises(InputError, match="single picture") as told:
        examine(path)
    assert "a_%02d.png" in str(told.value.hint)
    path = tmp_path / "a.webp"
    path.write_bytes(b"RIFF\x30\0\0\0WEBPVP8X\x0a\0\0\0\x02" + bytes(20))
    with pytest.raises(UnsupportedError, match="animated WebP"):
        examine(path)


def test_headers_of_both_byte_orders(tmp_path: Path) -> None:
    for order, mark in (("<", b"II*\0"), (">", b"MM\0*")):
        import struct

        entries = [(256, 3, 1, 640), (257, 4, 1, 480), (258, 3, 3, 8)]
        tags = b"".join(
            struct.pack(order + "HHL", tag, kind, count) + struct.pack(order + ("H2x" if kind == 3 else "L"), value)
            for tag, kind, count, value in entries
        )
        path = tmp_path / "a.tif"
        path.write_bytes(mark + struct.pack(order + "L", 8) + struct.pack(order + "H", len(entries)) + tags)
        header = read_header(path)
        assert (header.codec, header.width, header.height) == ("tiff", 640, 480)


# -- out


def write_row(target: Target, info: MediaInfo, *, count: int = 5, overwrite: bool = False) -> int:
    layout = working_format(target.pix_fmt)
    with open_writer(target, info, overwrite=overwrite) as writer:
        for number in range(count):
            planes = draw(number, size=(target.width, target.height), pix_fmt=layout.name)
            writer.write(Frame(number / RATE, 1 / RATE, layout, planes))
        return writer.finish(lambda part, _: _expect(measure_output(target, part).frames, count)).frames


def _expect(found: int, wanted: int) -> None:
    assert found == wanted


@pytest.mark.parametrize(
    ("suffix", "pix_fmt", "stored"),
    [
        (".png", "rgb24", "rgb24"),
        (".png", "rgba", "rgba"),
        (".png", "gray", "gray"),
        (".png", "rgb48be", "rgb48be"),
        (".png", "rgba64be", "rgba64be"),
        (".tif", "rgb24", "rgb24"),
        (".tiff", "rgba64be", "rgba64le"),
    ],
)
def test_pictures_go_out_bit_by_bit(tmp_path: Path, suffix: str, pix_fmt: str, stored: str) -> None:
    info = examine(make_row(tmp_path / "in", pix_fmt=pix_fmt, numbers=range(2)) / "%05d.png")
    target = target_for(info, tmp_path / "out" / f"x_%04d{suffix}")
    assert target.pix_fmt == stored
    assert write_row(target, info) == 5
    assert [p.name for p in sorted((tmp_path / "out").iterdir())] == [f"x_000{n}{suffix}" for n in range(1, 6)]
    layout = working_format(stored).name
    for number, planes in enumerate(decode_row(tmp_path / "out")):
        assert same(planes, draw(number, size=(96, 64), pix_fmt=layout))


def test_an_unfinished_row_leaves_nothing(tmp_path: Path) -> None:
    info = examine(make_row(tmp_path / "in") / "%05d.png")
    target = target_for(info, tmp_path / "out" / "%04d.png")
    layout = PixelFormat.parse("gbrp")
    with open_writer(target, info, overwrite=False) as writer:
        writer.write(Frame(Fraction(0), 1 / RATE, layout, draw(0, size=(96, 64), pix_fmt="gbrp")))
        assert (tmp_path / ".out.svmv-part").is_dir()
        assert not (tmp_path / "out").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


def test_a_folder_in_use_is_not_written_into_unless_asked(tmp_path: Path) -> None:
    info = examine(make_row(tmp_path / "in") / "%05d.png")
    target = target_for(info, tmp_path / "out" / "%04d.png")
    folder = make_row(tmp_path / "out", name="{:04d}.png", numbers=range(1, 3))
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(OutputError, match="is not empty"):
        write_row(target, info)
    assert write_row(target, info, overwrite=True) == 5
    assert (folder / "notes.txt").read_text() == "mine"
    (folder / "notes.txt").unlink()
    assert [number_of(planes[0]) for planes in decode_row(folder)] == [0, 1, 2, 3, 4]


def test_an_empty_folder_is_free_and_a_stale_part_is_replaced(tmp_path: Path) -> None:
    info = examine(make_row(tmp_path / "in") / "%05d.png")
    (tmp_path / "out").mkdir()
    stale = tmp_path / ".out.svmv-part"
    stale.mkdir()
    (stale / "0099.png").write_bytes(b"x")
    assert write_row(target_for(info, tmp_path / "out" / "%04d.png"), info) == 5
    assert len(list((tmp_path / "out").iterdir())) == 5
    assert not stale.exists()


def test_a_link_to_an_empty_folder_stays(tmp_path: Path) -> None:
    info = examine(make_row(tmp_path / "in") / "%05d.png")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "elsewhere")
    assert write_row(target_for(info, tmp_path / "out" / "%04d.png"), info) == 5
    assert (tmp_path / "out").is_symlink()
    assert len(list((tmp_path / "elsewhere").iterdir())) == 5


def test_two_runs_do_not_write_one_row(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    info = examine(make_row(tmp_path / "in") / "%05d.png")
    target = target_for(info, tmp_path / "out" / "%04d.png")
    with open_writer(target, info, overwrite=False):
        with pytest.raises(OutputError, match="another run is at work"):
            write_row(target, info)
        assert (tmp_path / ".out.svmv-part").is_dir()
    assert write_row(target, info) == 5


def test_a_row_that_is_not_whole_is_seen(tmp_path: Path) -> None:
    info = examine(make_row(tmp_path / "in") / "%05d.png")
    target = target_for(info, tmp_path / "out" / "%04d.png")
    folder = make_row(tmp_path / "part", name="{:04d}.png", numbers=(1, 2, 4))
    with pytest.raises(OutputError, match="no whole row"):
        measure_output(target, folder)
    make_row(folder, name="{:04d}.png", numbers=[3])
    found = measure_output(target, folder)
    assert (found.frames, found.duration) == (4, Fraction(4, 30))
    (folder / "0002.png").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot be read back"):
        measure_output(target, folder)


def test_jpegs_go_out_in_the_colours_of_jpeg(tmp_path: Path) -> None:
    info = examine(make_row(tmp_path / "in", pix_fmt="rgb24", size=(1280, 720), numbers=range(1)) / "%05d.png")
    target = target_for(info, tmp_path / "out" / "%04d.jpg", pix_fmt="yuv444p", crf=1)
    assert (target.color.matrix, target.color.full_range) == (1, False)  # in between: BT.709, limited
    green = tuple(np.full((720, 1280), value, np.uint8) for value in (133, 63, 52))
    with open_writer(target, info, overwrite=False) as writer:
        writer.write(Frame(Fraction(0), 1 / RATE, PixelFormat.parse("yuv444p"), green))
        writer.finish()
    (planes,) = decode_row(tmp_path / "out")
    luma, blue, red = 255 / 219 * (133 - 16), 255 / 224 * (63 - 128), 255 / 224 * (52 - 128)
    r, b = luma + 1.5748 * red, luma + 1.8556 * blue
    g = (luma - 0.2126 * r - 0.0722 * b) / 0.7152
    y = 0.299 * r + 0.587 * g + 0.114 * b
    expected = (y, 128 + (b - y) / 1.772, 128 + (r - y) / 1.402)
    assert [round(float(plane.mean())) for plane in planes] == pytest.approx(expected, abs=1.5)
