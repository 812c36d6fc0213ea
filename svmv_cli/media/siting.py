"""Where chroma samples lie, read and written around PyAV, which shows neither. Knows no pictures."""

from __future__ import annotations

from io import BytesIO

import av

from svmv_cli.media import ebml

# AVChromaLocation by FFmpeg's names, in its order from 1 on.
_NAMES = ("left", "center", "topleft", "top", "bottomleft", "bottom")
_BY_PLACE = {(1, 2): 1, (2, 2): 2, (1, 1): 3, (2, 1): 4}  # (across, down), 1 cosited, 2 half-way


def chroma_location(stream: av.VideoStream) -> int:
    """AVChromaLocation of a source's stream; 0 when nobody said, or the place is one Matroska has no word for.

    PyAV 18 does not show it, but copies it with the stream's parameters, and the Matroska muxer writes it down.
    """
    file = BytesIO()
    try:
        with av.open(file, "w", format="matroska") as out:
            out.add_stream_from_template(stream, opaque=True)
            out.start_encoding()
            header = file.getvalue()
    except (av.FFmpegError, ValueError):
        return 0  # not even Matroska holds the codec
    path = (ebml.SEGMENT, ebml.TRACKS, ebml.TRACK, ebml.VIDEO, ebml.COLOR)
    across, down = (ebml.number(header, ebml.find(header, *path, i)) for i in (ebml.CHROMA_ACROSS, ebml.CHROMA_DOWN))
    return _BY_PLACE.get((across, down), 0)


def siting_options(location: int) -> tuple[tuple[str, str], ...]:
    """Encoder options that write an AVChromaLocation into the stream, or at least into its container's header."""
    return (("chroma_sample_location", _NAMES[location - 1]),) if 0 < location <= len(_NAMES) else ()
