"""HDR10 and HLG: ten bits, tags and mastering data, through a file and back."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import pytest
from typer.testing import CliRunner

from svmv_cli.app import app
from svmv_cli.media.info import ColorInfo, HdrInfo, LightLevel, MasteringDisplay
from svmv_cli.media.losses import DOLBY_VISION, hdr_losses, lost_beside
from svmv_cli.media.probe import probe
from svmv_cli.media.target import choose_target
from svmv_cli.timeline import Clock
from tests.media import make_clip, repeated
from tests.reading import read_planes

HDR10 = ColorInfo(9, 16, 9, chroma_location=3)
HLG = ColorInfo(9, 18, 9, chroma_location=3)
DISPLAY = MasteringDisplay(
    red=(Fraction(34000, 50000), Fraction(16000, 50000)),
    green=(Fraction(13250, 50000), Fraction(34500, 50000)),
    blue=(Fraction(7500, 50000), Fraction(3000, 50000)),
    white=(Fraction(15635, 50000), Fraction(16450, 50000)),
    darkest=Fraction(1, 200),
    brightest=Fraction(1000),
)
LEVEL = LightLevel(1000, 400)
PARAMS = "master-display=G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50):max-cll=1000,400"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("hdr") / "in.mp4"
    options = {"preset": "ultrafast", "x265-params": f"log-level=none:pools=1:{PARAMS}"}
    options["chroma_sample_location"] = "topleft"
    make_clip(path, frames=4, codec="libx265", pix_fmt="yuv420p10le", color=HDR10, options=options)
    return path


def test_mastering_data_is_read(source: Path) -> None:
    assert probe(source).video.hdr == HdrInfo(DISPLAY, LEVEL)
    assert probe(source).video.color == HDR10


def test_info_names_the_colours(source: Path) -> None:
    result = CliRunner().invoke(app, ["info", str(source)])
    assert "matrix BT.2020, primaries BT.2020, transfer PQ, limited range, chroma top left, HDR10" in result.stdout


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".mov"])
@pytest.mark.parametrize("codec", [None, "h264", "av1"])
def test_hdr10_comes_back(source: Path, tmp_path: Path, codec: str | None, suffix: str) -> None:
    if (codec, suffix) == ("av1", ".mov"):
        pytest.skip("MOV holds no AV1")
    made = tmp_path / f"out{suffix}"
    target, _ = repeated(source, made, codec=codec, preset="13" if codec == "av1" else "ultrafast")
    video = probe(made).video
    assert (target.codec, target.notes) == (codec or "hevc", ())
    assert (video.pix_fmt, video.color) == ("yuv420p10le", HDR10)
    assert video.hdr.light == LEVEL
    assert video.hdr.mastering is not None
    for name in ("red", "green", "blue", "white"):
        for got, given in zip(getattr(video.hdr.mastering, name), getattr(DISPLAY, name), strict=True):
            assert abs(got - given) <= Fraction(1, 50000)  # AV1 has steps of 2^-16
    assert abs(video.hdr.mastering.darkest - DISPLAY.darkest) <= Fraction(1, 10_000)
    assert video.hdr.mastering.brightest == DISPLAY.brightest
    # Ten bits in truth, not eight in a wide box: levels that are no multiples of four.
    assert any((picture[0] % 4 != 0).any() for picture in read_planes(made))


def test_hlg_stays_hlg(tmp_path: Path) -> None:
    options = {"chroma_sample_location": "topleft"}
    clip = make_clip(tmp_path / "in.mkv", frames=3, codec="libx265", pix_fmt="yuv420p10le", color=HLG, options=options)
    for name in ("out.mp4", "out.mkv"):
        target, _ = repeated(clip.path, tmp_path / name, preset="ultrafast")
        video = probe(tmp_path / name).video
        assert (video.color, video.pix_fmt, video.hdr, target.notes) == (HLG, "yuv420p10le", HdrInfo(), ())


@pytest.mark.parametrize(("suffix", "codec"), [(".webm", "vp9"), (".mkv", "ffv1"), (".mov", "prores")])
def test_what_cannot_carry_mastering_data_says_so(source: Path, suffix: str, codec: str) -> None:
    target = choose_target(
        probe(source), path=Path(f"out{suffix}"), clock=Clock(Fraction(0)), rate=Fraction(48), codec=codec
    )
    assert any("mastering data is lost" in note and codec in note for note in target.notes)


def test_what_pictures_carry_beside_is_named_as_lost(source: Path) -> None:
    info = probe(source)
    assert info.video.beside == ()
    rich = replace(info, video=replace(info.video, beside=(DOLBY_VISION, "closed captions (CEA-608/708)")))
    target = choose_target(rich, path=Path("out.mp4"), clock=Clock(Fraction(0)), rate=Fraction(48), encoder="cpu")
    assert [note.partition(": ")[2] for note in target.notes] == [f"{DOLBY_VISION}, closed captions (CEA-608/708)"]
    below = replace(rich.video, color=ColorInfo(full_range=True))
    assert "colours are likely wrong" in lost_beside(below)[1]
    assert "--encoder cpu" in hdr_losses(HdrInfo(DISPLAY), codec="hevc", written=False)[0]
    assert hdr_losses(HdrInfo(), codec="vp9", written=False) == ()


def hdr10_plus() -> bytes:
    """A message of SMPTE ST 2094-40, bit by bit."""
    fields = [(0xB5, 8), (0x3C, 16), (1, 16), (4, 8), (1, 8), (1, 2), (4000, 27), (0, 1)]
    fields += [(50_000, 17)] * 4 + [(0, 4), (500, 10), (0, 1), (0, 1), (0, 1)]
    bits = "".join(f"{value:0{width}b}" for value, width in fields)
    return int(bits.ljust(-(-len(bits) // 8) * 8, "0"), 2).to_bytes(-(-len(bits) // 8), "big")


def captions() -> bytes:
    """A message of ATSC A/53 with one pair of caption bytes."""
    return b"\xb5\x00\x31GA94\x03" + bytes([0x40 | 1, 0xFF, 0xFC, 0x94, 0x20, 0xFF])


@pytest.mark.parametrize(
    ("message", "name"),
    [(hdr10_plus(), "HDR10+ metadata"), (captions(), "closed captions (CEA-608/708)")],
    ids=["HDR10+", "captions"],
)
def test_they_are_seen_in_real_pictures(tmp_path: Path, message: bytes, name: str) -> None:
    """A registered message (4), its length and content and the stop bit, in front of each picture."""
    clip = make_clip(tmp_path / "in.hevc", frames=5, codec="libx265", pix_fmt="yuv420p10le", color=HDR10)
    unit = b"\0\0\0\1" + _escaped(bytes([0x4E, 1, 4, len(message)]) + message + b"\x80")
    stream = clip.path.read_bytes()
    codes = (at for at in range(len(stream) - 4) if stream[at : at + 3] == b"\0\0\1")
    starts = [at for at in codes if stream[at + 3] >> 1 < 32]  # pictures; settings and messages have higher numbers
    for at in reversed(starts):
        stream = stream[:at] + unit + stream[at:]
    clip.path.write_bytes(stream)
    assert probe(clip.path).video.beside == (name,)


def _escaped(body: bytes) -> bytes:
    """With the byte that keeps two zeros from looking like a start code."""
    out = bytearray()
    for byte in body:
        if byte <= 3 and out[-2:] == b"\0\0":
            out.append(3)
        out.append(byte)
    return bytes(out)
