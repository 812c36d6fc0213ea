"""Sound that only primes a decoder, hidden in the source by an edit list."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from svmv_cli.media.priming import priming_of
from tests.media import make_clip, repeated
from tests.reading import offsets, read_sound


def packets(path: Path) -> list[bytes]:
    with av.open(path) as container:
        return [bytes(packet) for packet in container.demux(container.streams.audio[0]) if packet.size]


def described(path: Path) -> tuple[str, int, str, bytes | None]:
    with av.open(path) as container:
        stream = container.streams.audio[0]
        return stream.codec.canonical_name, stream.sample_rate, stream.layout.name, stream.codec_context.extradata


@pytest.mark.parametrize(
    ("suffix", "codec"), [(".mp4", "aac"), (".mov", "aac"), (".mp4", "libmp3lame"), (".mp4", "ac3")]
)
@pytest.mark.parametrize("begins", [Fraction(0), Fraction(1, 2)])
def test_matroska_hides_it_too_and_loses_none_of_it(tmp_path: Path, suffix: str, codec: str, begins: Fraction) -> None:
    source = make_clip(tmp_path / f"a{suffix}", audio=1, audio_codec=codec, audio_start=begins).path
    repeated(source, tmp_path / "o.mkv")
    assert packets(tmp_path / "o.mkv") == packets(source)
    assert described(tmp_path / "o.mkv") == described(source)
    (before, first), (after, begin) = read_sound(source), read_sound(tmp_path / "o.mkv")
    assert abs(begin - first) <= Fraction(1, 1000)
    # Without its priming AAC fades in; priming that is heard is late.
    assert np.array_equal(after[: before.shape[-1]], before[: after.shape[-1]])
    assert abs(offsets(tmp_path / "o.mkv")[0] - offsets(source)[0]) <= Fraction(1, 1000)


def test_a_cut_begins_with_sound_that_is_heard(tmp_path: Path) -> None:
    source = make_clip(tmp_path / "a.mp4", frames=48, audio=1).path
    repeated(source, tmp_path / "o.mkv", clip=(Fraction(1), None))
    _, begin = read_sound(tmp_path / "o.mkv")
    assert Fraction(0) <= begin <= Fraction(25, 1000)


def test_other_files_hide_it_in_ways_that_are_copied(tmp_path: Path) -> None:
    assert priming_of(make_clip(tmp_path / "a.mp4", audio=1).path, 1) == Fraction(1024, 48_000)
    assert priming_of(make_clip(tmp_path / "a.mkv", audio=1).path, 1) == 0
