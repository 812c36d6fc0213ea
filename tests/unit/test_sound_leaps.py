"""A last packet of sound far behind all others: no packet follows to tell whether its time is right."""

from fractions import Fraction
from pathlib import Path

import av
import pytest

from svmv_cli.media.verify import measure
from tests.media import make_clip, repeated


def with_late_end(path: Path, source: Path, *, by: Fraction) -> Path:
    """A copy whose last packet of sound comes later by so many seconds."""
    with av.open(source) as film, av.open(path, "w") as out:
        streams = {stream.index: out.add_stream_from_template(stream, opaque=True) for stream in film.streams}
        packets = [packet for packet in film.demux() if packet.size]
        last = max((packet for packet in packets if packet.stream.type == "audio"), key=lambda packet: packet.pts or 0)
        last.pts = last.dts = (last.pts or 0) + round(by / last.time_base)
        for packet in packets:
            packet.stream = streams[packet.stream.index]
            out.mux(packet)
    return path


@pytest.mark.parametrize(("by", "kept"), [(Fraction(50), True), (Fraction(70), False), (Fraction(3600), False)])
def test_a_last_packet_of_sound_is_believed_for_a_minute(tmp_path: Path, by: Fraction, kept: bool) -> None:
    plain = make_clip(tmp_path / "plain.mkv", frames=12, audio=1).path
    film = with_late_end(tmp_path / "in.mkv", plain, by=by)
    target, written = repeated(film, tmp_path / "out.mkv")
    assert [stream.action for stream in target.streams] == ["copy"]
    end = measure(tmp_path / "out.mkv").sound[0].end
    assert end == pytest.approx(float(Fraction(1, 2) + by * kept), abs=0.1)
    assert written.damaged_others == (0 if kept else 1)
