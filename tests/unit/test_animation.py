from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import pytest

from svmv_cli.errors import InputError, OutputError, UsageError
from svmv_cli.media.animation_facts import measure_webp, plays_of
from svmv_cli.media.frame import Frame, PixelFormat
from svmv_cli.media.info import MediaInfo
from svmv_cli.media.inputs import examine, open_reader
from svmv_cli.media.outputs import choose_output, measure_output, open_writer
from svmv_cli.pipeline.plan import Plan, make_plan
from svmv_cli.pipeline.request import Request
from svmv_cli.timeline import Clock
from tests.media import draw, make_clip
from tests.reading import number_of
from tests.rows import decode, make_row


def animate(path: Path, info: MediaInfo, *, rate: Fraction, count: int = 12, pix_fmt: str = "gbrp") -> Path:
    target = choose_output(info, path=path, clock=Clock(Fraction(0)), rate=rate)
    assert target.pix_fmt in {pix_fmt, "rgb24", "rgba"}
    layout = PixelFormat.parse(pix_fmt)
    with open_writer(target, info, overwrite=False) as writer:
        for number in range(count):
            planes = draw(number, size=(target.width, target.height), pix_fmt=pix_fmt)
            if layout.alpha:
                alpha = planes[3].copy()
                alpha[:], alpha[:, : number + 1] = 255, 0
                planes = (*planes[:3], alpha)
            writer.write(Frame(7 + number / rate, 1 / rate, layout, planes))
        written = writer.finish(lambda part, _: check(measure_output(target, part).duration))
    assert written.frames == count
    assert abs(written.duration - count / rate) <= Fraction(1, 180)
    return path


def check(duration: Fraction) -> None:
    assert duration > 0


@pytest.fixture
def info(tmp_path: Path) -> MediaInfo:
    return examine(make_clip(tmp_path / "in.mp4").path)


@pytest.fixture
def clear(tmp_path: Path) -> MediaInfo:
    return examine(make_row(tmp_path / "clear", pix_fmt="rgba", numbers=range(2)) / "%05d.png")


def durations(path: Path) -> list[Fraction]:
    with av.open(path) as container:
        times = [p.pts * p.time_base for p in container.demux(video=0) if p.size and p.pts is not None]
    return [b - a for a, b in pairwise(times)]


@pytest.mark.parametrize("rate", [Fraction(30), Fraction(48), Fraction(24000, 1001), Fraction(50)])
def test_hundredths_do_not_add_up(tmp_path: Path, info: MediaInfo, rate: Fraction) -> None:
    gaps = durations(animate(tmp_path / "a.gif", info, rate=rate, count=40))
    assert len(gaps) == 39
    assert {gap - int(100 / rate) * Fraction(1, 100) for gap in gaps} <= {0, Fraction(1, 100)}
    assert abs(sum(gaps) - 39 / rate) <= Fraction(1, 100)


@pytest.mark.parametrize("suffix", [".gif", ".apng"])
def test_pictures_are_seen_again(tmp_path: Path, info: MediaInfo, suffix: str) -> None:
    path = animate(tmp_path / f"a{suffix}", info, rate=Fraction(25))
    assert [number_of(planes[0]) for planes in decode(path, pix_fmt="gbrp")] == list(range(12))
    assert plays_of(path) == 0
    assert [p.name for p in sorted(tmp_path.iterdir())] == [path.name, "in.mp4"]


def test_an_apng_is_exact(tmp_path: Path, info: MediaInfo) -> None:
    path = animate(tmp_path / "a.apng", info, rate=Fraction(48000, 1001))
    for number, planes in enumerate(decode(path)):
        assert all((a == b).all() for a, b in zip(planes, draw(number, size=(96, 64), pix_fmt="gbrp"), strict=True))
    with av.open(path) as container:
        assert container.streams.video[0].average_rate == Fraction(48000, 1001)


def test_a_webp_keeps_time_and_plays_for_ever(tmp_path: Path, info: MediaInfo) -> None:
    path = animate(tmp_path / "a.webp", info, rate=Fraction(30), count=31)
    found = measure_webp(path)
    assert (found.frames, found.duration) == (31, Fraction(1033, 1000))
    data = path.read_bytes()
    assert data[data.index(b"ANIM") + 12 :][:2] == b"\0\0"


def test_the_palette_is_the_clip_s_own(tmp_path: Path, info: MediaInfo) -> None:
    path = animate(tmp_path / "a.gif", info, rate=Fraction(25), count=6)
    errors = [
        np.abs(np.stack(planes).astype(int) - np.stack(draw(number, size=(96, 64), pix_fmt="gbrp"))).mean()
        for number, planes in enumerate(decode(path, pix_fmt="gbrp"))
    ]
    assert max(errors) < 12  # of 255; a fixed palette of 3-3-2 bits is twice as far off


@pytest.mark.parametrize("suffix", [".gif", ".apng"])
def test_alpha_is_kept(tmp_path: Path, clear: MediaInfo, suffix: str) -> None:
    path = animate(tmp_path / f"a{suffix}", clear, rate=Fraction(20), count=6, pix_fmt="gbrap")
    for number, planes in enumerate(decode(path, pix_fmt="gbrap")):
        assert (planes[3][:, : number + 1] == 0).all()
        assert (planes[3][:, number + 1 :] == 255).all()


def test_a_webp_keeps_alpha(tmp_path: Path, clear: MediaInfo) -> None:
    path = animate(tmp_path / "a.webp", clear, rate=Fraction(20), count=3, pix_fmt="gbrap")
    assert path.read_bytes()[20] & 0x10


@pytest.mark.parametrize("suffix", [".gif", ".apng", ".webp"])
def test_an_unfinished_animation_leaves_nothing(tmp_path: Path, info: MediaInfo, suffix: str) -> None:
    target = choose_output(info, path=tmp_path / f"a{suffix}", clock=Clock(Fraction(0)), rate=Fraction(25))
    layout = PixelFormat.parse("gbrp")
    with open_writer(target, info, overwrite=False) as writer:
        writer.write(Frame(Fraction(0), Fraction(1, 25), layout, draw(0, size=(96, 64), pix_fmt="gbrp")))
    assert [p.name for p in tmp_path.iterdir()] == ["in.mp4"]


def test_only_what_is_transparent_has_alpha(tmp_path: Path, info: MediaInfo, clear: MediaInfo) -> None:
    opaque = examine(animate(tmp_path / "a.gif", info, rate=Fraction(25), count=3))
    clear = examine(animate(tmp_path / "b.gif", clear, rate=Fraction(25), count=3, pix_fmt="gbrap"))
    assert (opaque.video.pix_fmt, clear.video.pix_fmt) == ("bgr0", "bgra")
    for source, lost in ((opaque, False), (clear, True)):
        notes = plan(source, tmp_path / "c.mp4").notes
        assert any("transparency is lost" in note for note in notes) == lost
    with open_reader(opaque, pix_fmt="gbrp") as reader:
        assert [number_of(frame.planes[0]) for frame in reader] == [0, 1, 2]


@pytest.mark.parametrize(("count", "plays"), [(None, 1), (0, 0), (2, 3)])
def test_how_often_a_gif_plays_is_kept(tmp_path: Path, info: MediaInfo, count: int | None, plays: int) -> None:
    data = animate(tmp_path / "a.gif", info, rate=Fraction(25), count=3).read_bytes()
    block = b"\x21\xff\x0bNETSCAPE2.0\x03\x01\0\0\0"
    assert block in data
    (tmp_path / "b.gif").write_bytes(data.replace(block, b"" if count is None else block[:-3] + bytes([count, 0, 0])))
    source = examine(tmp_path / "b.gif")
    assert source.plays == plays
    for suffix in (".gif", ".apng"):
        again = animate(tmp_path / f"c{suffix}", source, rate=Fraction(25), count=3)
        assert plays_of(again) == plays


# -- rates


def plan(info: MediaInfo, output: Path, **options: object) -> Plan:
    return make_plan(Request(info.path, output=output, **options), info)  # type: ignore[arg-type]


@pytest.mark.parametrize(("suffix", "rate"), [(".gif", 50), (".webp", 90), (".apng", 90)])
def test_what_players_do_not_show_is_not_made(tmp_path: Path, info: MediaInfo, suffix: str, rate: int) -> None:
    made = plan(info, tmp_path / f"a{suffix}", factor=8)
    assert (made.target.rate, made.frames_out, made.duration) == (rate, rate, 1)
    assert any(f"no more than {rate} frames per second" in note for note in made.notes)
    assert plan(info, tmp_path / f"a{suffix}", factor=2).frames_out == 48
    slow = plan(info, tmp_path / f"a{suffix}", slow=8)
    assert (slow.target.rate, slow.frames_out, slow.duration) == (24, 192, 8)


def test_a_variable_rate_is_kept_or_told(tmp_path: Path) -> None:
    times = [Fraction(t, 100) for t in (0, 10, 15, 30, 40, 44, 60, 70, 83)]
    source = examine(make_clip(tmp_path / "v.mkv", times=times, codec="ffv1").path)
    kept = plan(source, tmp_path / "a.gif", factor=2)
    assert (kept.target.rate, kept.frames_out) == (None, 18)
    fast = plan(source, tmp_path / "a.gif", factor=4)
    assert fast.target.rate == 50
    even = plan(source, tmp_path / "out" / "%d.png", factor=2)
    assert even.target.rate is not None
    assert even.frames_out == pytest.approx(float((even.duration or 0) * even.target.rate), abs=1)
    assert any("has no times" in note for note in even.notes)


# -- what does not go together


def test_settings_that_a_way_does_not_have(tmp_path: Path, info: MediaInfo) -> None:
    for options in ({"codec": "h264"}, {"preset": "slow"}, {"crf": 3}, {"pix_fmt": "yuv420p"}, {"encoder": "nvenc"}):
        with pytest.raises(UsageError, match="GIF"):
            plan(info, tmp_path / "a.gif", **options)
    with pytest.raises(UsageError, match="between 1 and 31"):
        plan(info, tmp_path / "a" / "%d.jpg", crf=40)
    with pytest.raises(OutputError, match="single picture"):
        plan(info, tmp_path / "a.png")
    with pytest.raises(OutputError, match=r"rows of \.bmp"):
        plan(info, tmp_path / "a" / "%d.bmp")
    with pytest.raises(UsageError, match="has its own times"):
        examine(info.path, input_rate=Fraction(24))
    with pytest.raises((InputError, OutputError)):
        measure_webp(info.path)
