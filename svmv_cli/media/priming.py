"""Sound that only primes a decoder, on its way from an edit list into Matroska. Knows no clock."""

from __future__ import annotations

from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
from av.container import OutputContainer
from av.stream import Stream

from svmv_cli.media import ebml
from svmv_cli.media.described import header_of
from svmv_cli.media.opening import open_source, packets_of
from svmv_cli.media.sound import silenced

_LONGEST = Fraction(1, 2)  # s; more than any decoder needs is sound that was cut off
_NANOSECONDS = 1_000_000_000


def priming_of(path: Path, index: int) -> Fraction:
    """How much at the beginning of a track only primes its decoder, s; 0 where nothing does.

    Args:
        path: the source.
        index: of the track there.
    """
    with open_source(path) as container:
        if not container.format.name.startswith("mov"):
            return Fraction(0)  # others hide it in a way that is copied with the packets
        first = next(packets_of(container, [container.streams[index]], damaged=lambda: None), None)
        hidden = silenced(first)[0] if first is not None else Fraction(0)
    return hidden if hidden <= _LONGEST else Fraction(0)


def add_primed(out: OutputContainer, source: Stream, priming: Fraction) -> Stream | None:
    """A copy of a sound track in a Matroska output that hides its beginning, as an edit list did.

    PyAV does not let a stream's padding be set, but copies it with its parameters: the track is described to a
    demuxer that reads it.

    Args:
        out: the output, header not yet written.
        source: the track.
        priming: s at its beginning that are not to be heard.

    Returns:
        The new track; None where that cannot be said of it.
    """
    header = header_of(source)
    if header is None:
        return None
    try:
        told = ebml.with_codec_delay(header, round(priming * _NANOSECONDS))
        with av.open(BytesIO(told), format="matroska") as padded:
            return out.add_stream_from_template(padded.streams[0], opaque=True)
    except (av.FFmpegError, ValueError):
        return None
