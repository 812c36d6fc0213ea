"""Text subtitles turned from one form into another, so that a container can hold them. Knows no time."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
from av.container import OutputContainer
from av.stream import Stream
from av.subtitles.stream import SubtitleStream

_MILLISECOND = Fraction(1, 1000)


class SubtitleRoute:
    """One subtitle track on its way through decoder and encoder.

    Args:
        out: the output, header not yet written.
        source: the track.
        encoder: FFmpeg encoder.
    """

    def __init__(self, out: OutputContainer, source: SubtitleStream, *, encoder: str) -> None:
        self._source = source
        stream = out.add_stream(encoder)
        if not isinstance(stream, SubtitleStream):
            raise ValueError(f"not a subtitle encoder: {encoder!r}")
        # Encoders take their default style from the header the decoder writes when it opens.
        source.codec_context.open(strict=False)
        stream.codec_context.subtitle_header = source.codec_context.subtitle_header
        stream.codec_context.time_base = _MILLISECOND
        stream.time_base = _MILLISECOND
        self.stream = stream

    def convert(self, packet: av.Packet[Stream]) -> Iterator[av.Packet[Stream]]:
        """The same words at the same time in the new form; nothing for a packet without words."""
        try:
            words = self._source.codec_context.decode2(packet)
        except av.FFmpegError:
            return
        if words is None or not len(words):
            return
        converted = self.stream.codec_context.encode_subtitle(words)
        converted.time_base = packet.time_base
        converted.pts = converted.dts = packet.pts
        converted.duration = packet.duration
        yield converted
