from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import pytest

from svmv_cli.errors import DeviceError, OutputError, UsageError
from svmv_cli.media import encoders
from svmv_cli.media.encoders import CODECS, Picture, choose_encoder, opening_failure
from svmv_cli.media.info import ColorInfo, MediaInfo
from svmv_cli.media.probe import probe
from svmv_cli.media.target import Target, choose_target
from svmv_cli.timeline import Clock
from tests.media import make_clip

PLAIN = Clock(Fraction(0))


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> MediaInfo:
    return probe(make_clip(tmp_path_factory.mktemp("source") / "a.mp4", frames=3).path)


def looking_like(info: MediaInfo, **changes: object) -> MediaInfo:
    return replace(info, video=replace(info.video, **changes))  # type: ignore[arg-type]


def choose(info: MediaInfo, name: str, **settings: object) -> Target:
    given = {"rate": Fraction(48), "clock": PLAIN, "encoder": "cpu", **settings}
    return choose_target(info, path=Path(name), **given)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "codec", "encoder", "container"),
    [
        ("o.mp4", "h264", "libx264", "mp4"),
        ("o.MOV", "h264", "libx264", "mov"),
        ("o.mkv", "h264", "libx264", "matroska"),
        ("o.webm", "vp9", "libvpx-vp9", "webm"),
        ("o.ts", "h264", "libx264", "mpegts"),
    ],
)
def test_defaults_by_container(source: MediaInfo, name: str, codec: str, encoder: str, container: str) -> None:
    target = choose(source, name)
    assert (target.codec, target.encoder, target.container) == (codec, encoder, container)
    assert (target.pix_fmt, target.width, target.height, target.notes) == ("yuv420p", 96, 64, ())


@pytest.mark.parametrize(
    ("codec", "pix_fmt", "kept"),
    [
        ("h264", "yuv420p10le", "yuv420p10le"),
        ("h264", "yuv422p", "yuv422p"),
        ("h264", "gbrp", "yuv444p"),
        ("h264", "nv12", "yuv420p"),
        ("h264", "gray", "yuv420p"),
        ("hevc", "yuv444p12le", "yuv444p12le"),
        ("hevc", "p010le", "yuv420p10le"),
        ("av1", "yuv420p10le", "yuv420p10le"),
        ("ffv1", "gbrp16le", "gbrp16le"),
        ("ffv1", "rgb24", "bgr0"),
        ("ffv1", "gray", "gray"),
        ("prores", "yuva444p10le", "yuva444p10le"),
        ("prores", "yuv420p", "yuv422p10le"),
    ],
)
def test_pictures_keep_their_format_where_the_codec_can(source: MediaInfo, codec: str, pix_fmt: str, kept: str) -> None:
    target = choose(looking_like(source, pix_fmt=pix_fmt), "o.mov" if codec == "prores" else "o.mkv", codec=codec)
    assert target.pix_fmt == kept
    assert target.notes == ()


def test_losses_are_told(source: MediaInfo) -> None:
    rich = looking_like(source, pix_fmt="yuva444p12le")
    assert [note.split()[0] for note in choose(rich, "o.mkv", codec="av1").notes] == ["transparency", "12", "colour"]


def test_ten_bits_for_the_web_go_to_av1(source: MediaInfo) -> None:
    target = choose(looking_like(source, pix_fmt="yuv420p10le"), "o.webm")
    assert (target.codec, target.pix_fmt) == ("av1", "yuv420p10le")


def test_rgb_source_is_tagged_for_what_is_written(source: MediaInfo) -> None:
    rgb = looking_like(source, pix_fmt="gbrp", color=ColorInfo(matrix=0, full_range=True))
    assert choose(rgb, "o.mp4").color == ColorInfo(matrix=1)
    assert choose(rgb, "o.mkv", codec="ffv1").color == ColorInfo(matrix=0, full_range=True)


@pytest.mark.parametrize(
    ("codec", "kept"), [("h264", "yuv444p"), ("hevc", "yuv444p"), ("av1", "yuv420p"), ("ffv1", "yuv420p")]
)
def test_odd_sizes_keep_every_pixel(source: MediaInfo, codec: str, kept: str) -> None:
    target = choose(looking_like(source, width=95, height=63), "o.mkv", codec=codec)
    assert (target.pix_fmt, target.width, target.height) == (kept, 95, 63)


def test_prores_profile_follows_the_picture(source: MediaInfo) -> None:
    assert ("profile", "hq") in choose(source, "o.mov", codec="prores").options
    rich = looking_like(source, pix_fmt="yuv444p")
    assert ("profile", "4444") in choose(rich, "o.mov", codec="prores").options


@pytest.mark.parametrize(
    ("name", "settings", "kind", "words"),
    [
        ("o.webm", {"codec": "h264"}, OutputError, r"\.webm cannot hold h264"),
        ("o.mp4", {"codec": "prores"}, OutputError, r"\.mp4 cannot hold prores"),
        ("o.xyz", {}, OutputError, "cannot write files ending in '.xyz'"),
        ("o", {}, OutputError, "without an extension"),
        ("o.mp4", {"codec": "divx"}, UsageError, "'divx' is not a codec"),
        ("o.mp4", {"preset": "warp"}, UsageError, "'warp' is not a preset of h264"),
        ("o.mp4", {"crf": 99}, UsageError, "--crf 99 is not between 0 and 51"),
        ("o.mkv", {"codec": "ffv1", "crf": 3}, UsageError, "ffv1 has no --crf"),
        ("o.mkv", {"codec": "ffv1", "preset": "fast"}, UsageError, "ffv1 has no --preset"),
        ("o.mp4", {"pix_fmt": "yuv411p"}, UsageError, "does not take 'yuv411p'"),
        ("o.mkv", {"rate": Fraction(1920)}, OutputError, "1920 frames per second"),
        ("o.webm", {"encoder": "nvenc"}, UsageError, "NVENC cannot encode vp9"),
    ],
)
def test_refusals(source: MediaInfo, name: str, settings: dict[str, object], kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        choose(source, name, **settings)


def test_the_hint_names_containers_that_can(source: MediaInfo) -> None:
    with pytest.raises(OutputError) as caught:
        choose(source, "o.mp4", codec="ffv1")
    assert caught.value.hint == "ffv1 goes into .mkv."


def test_asked_format_against_an_odd_size(source: MediaInfo) -> None:
    with pytest.raises(OutputError, match="even sizes"):
        choose(looking_like(source, width=95), "o.mp4", pix_fmt="yuv420p")


def test_too_small_for_a_codec(source: MediaInfo) -> None:
    with pytest.raises(OutputError, match="hevc cannot encode pictures of 1x1"):
        choose(looking_like(source, width=1, height=1), "o.mkv", codec="hevc")


def test_nvenc_falls_back_or_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "opening_failure", lambda *_, **__: "operation not permitted")
    assert choose_encoder(CODECS["h264"], device="auto") == "libx264"
    with pytest.raises(DeviceError, match="NVENC does not open") as caught:
        choose_encoder(CODECS["h264"], device="nvenc")
    assert "--encoder cpu" in (caught.value.hint or "")


def test_nvenc_is_taken_where_it_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(encoders, "opening_failure", lambda *_, **__: None)
    assert choose_encoder(CODECS["hevc"], device="auto") == "hevc_nvenc"
    assert choose_encoder(CODECS["ffv1"], device="auto") == "ffv1"


def test_unknown_encoder_options_are_found() -> None:
    picture = Picture(64, 64, "yuv420p", Fraction(24), Fraction(1, 24))
    assert opening_failure("libx264", picture=picture, options=(("crff", "18"),)) == "unknown option 'crff'"
    assert opening_failure("libx264", picture=picture, options=(("crf", "18"),)) is None


@pytest.mark.parametrize("codec", list(CODECS))
def test_every_preset_we_name_opens(codec: str) -> None:
    choice = CODECS[codec]
    pix_fmt = "yuv444p10le" if codec == "prores" else "yuv420p"
    picture = Picture(64, 64, pix_fmt, Fraction(24), Fraction(1, 24))
    for preset in (choice.presets[:1] + choice.presets[-1:]) or (None,):
        options = encoders.encoder_options(choice, encoder=choice.encoder, crf=None, preset=preset)
        assert opening_failure(choice.encoder, picture=picture, options=options) is None, (codec, preset)


def test_all_we_need_is_in_this_ffmpeg() -> None:
    for choice in CODECS.values():
        assert av.Codec(choice.encoder, "w").is_encoder


def test_what_few_players_show_is_named(source: MediaInfo) -> None:
    picture = looking_like(source, codec="png", pix_fmt="rgb24")
    (note,) = choose(picture, "o.mp4").notes
    assert "--pix-fmt yuv420p" in note
    assert choose(looking_like(source, pix_fmt="yuv444p"), "o.mp4").notes == ()  # as the source was
    assert not [n for n in choose(picture, "o.mp4", pix_fmt="yuv444p").notes if "players" in n]
