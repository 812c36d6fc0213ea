"""A stream's parameters as FFmpeg's Matroska muxer writes them down: what PyAV copies of them and does not show."""

from __future__ import annotations

from io import BytesIO

import av
from av.stream import Stream


def header_of(stream: Stream) -> bytes | None:
    """The header of a Matroska file with a copy of one stream; None where Matroska does not hold its codec."""
    file = BytesIO()
    try:
        with av.open(file, "w", format="matroska") as out:
            out.add_stream_from_template(stream, opaque=True)
            out.start_encoding()
            return file.getvalue()
    except (av.FFmpegError, ValueError):
        return None
