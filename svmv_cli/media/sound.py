"""Sound that cannot be copied: decoded, cut to the sample, slowed at its pitch, encoded. Knows no files."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction

import av
from av.container import OutputContainer
from av.filter import Graph
from av.stream import Stream

from svmv_cli.media.info import Span
from svmv_cli.timeline import Clock

_SLOWEST = Fraction(1, 2)  # atempo's lower bound; slower needs a chain
_FASTEST = Fraction(2)  # above it atempo skips samples instead of blending them
_BIT_RATE = 96_000  # bit/s per channel: transparent for AAC and Opus alike


class SoundRoute:
    """One sound track on its way through decoder, filters and encoder into the output.

    Args:
        out: the output, header not yet written.
        source: the track.
        encoder: FFmpeg encoder.
        clock: source to output seconds.
        clip: what is kept, s on the source's clock.
    """

    def __init__(self, out: OutputContainer, source: av.AudioStream, *, encoder: str, clock: Clock, clip: Span) -> None:
        self._source = source
        self._clock = clock
        self._clip = clip
        self._graph: Graph | None = None
        self._next: int | None = None  # samples, output time of the next one
        self.stream = _add_sound(out, source, encoder)
        self.lost = 0  # packets that could not be decoded

    def feed(self, packet: av.Packet[Stream]) -> Iterator[av.Packet[Stream]]:
        """Encoded packets that a source packet brings forth."""
        try:
            frames = self._source.decode(packet)
        except av.FFmpegError:
            self.lost += 1  # the filters put silence where it was
            return
        for frame in frames:
            yield from self._filter(frame)

    def flush(self) -> Iterator[av.Packet[Stream]]:
        """What is left in decoder, filters and encoder at the end."""
        for frame in self._drained():
            yield from self._filter(frame)
        if self._graph is not None:
            self._graph.push(None)
            yield from self._pull(self._graph)
        if self._next is not None:
            yield from self.stream.encode(None)

    def _drained(self) -> list[av.AudioFrame]:
        try:
            return self._source.decode(None)
        except av.FFmpegError:
            return []

    def _filter(self, frame: av.AudioFrame) -> Iterator[av.Packet[Stream]]:
        if frame.pts is None or frame.time_base is None:
            return
        if self._graph is None:
            self._graph = _filters(frame, stretch=self._clock.stretch, clip=self._clip)
        frame.pts = round(frame.pts * frame.time_base * frame.sample_rate)
        frame.time_base = Fraction(1, frame.sample_rate)
        self._graph.push(frame)
        yield from self._pull(self._graph)

    def _pull(self, graph: Graph) -> Iterator[av.Packet[Stream]]:
        while True:
            try:
                frame = graph.pull()
            except (av.BlockingIOError, av.EOFError):
                return
            if isinstance(frame, av.AudioFrame):
                yield from self.stream.encode(self._placed(frame))

    def _placed(self, frame: av.AudioFrame) -> av.AudioFrame:
        """The frame at its output time: the first by the clock, the others by counting samples."""
        if self._next is None:
            base = frame.time_base or Fraction(1, frame.sample_rate)
            # atempo gives its first frame the source time it was made from.
            self._next = round(self._clock.to_output((frame.pts or 0) * base) * frame.sample_rate)
        frame.pts = self._next
        frame.time_base = Fraction(1, frame.sample_rate)
        self._next += frame.samples
        return frame


def tempos(stretch: Fraction) -> tuple[float, ...]:
    """Factors of atempo, each within its good range, that together make sound `stretch` times longer."""
    rest = 1 / stretch
    factors: list[float] = []
    while rest < _SLOWEST:
        factors.append(float(_SLOWEST))
        rest /= _SLOWEST
    while rest > _FASTEST:
        factors.append(float(_FASTEST))
        rest /= _FASTEST
    return (*factors, float(rest)) if rest != 1 else tuple(factors)


def _filters(frame: av.AudioFrame, *, stretch: Fraction, clip: Span) -> Graph:
    """Gaps filled with silence, cut to the clip, stretched."""
    graph = Graph()
    rate = frame.sample_rate
    nodes = [
        graph.add_abuffer(
            sample_rate=rate, format=frame.format.name, layout=frame.layout.name, time_base=Fraction(1, rate)
        ),
        graph.add("aresample", "async=1"),
    ]
    bounds = [
        f"{name}={round(time * rate)}"
        for name, time in zip(("start_pts", "end_pts"), clip, strict=True)
        if time is not None
    ]
    if bounds:
        nodes.append(graph.add("atrim", ":".join(bounds)))
    nodes += [graph.add("atempo", f"{factor:.15g}") for factor in tempos(stretch)]
    nodes.append(graph.add("abuffersink"))
    graph.link_nodes(*nodes).configure()
    return graph


def _add_sound(out: OutputContainer, source: av.AudioStream, encoder: str) -> av.AudioStream:
    rates = av.Codec(encoder, "w").audio_rates or [source.sample_rate]
    enough = [rate for rate in rates if rate >= source.sample_rate]
    stream = out.add_stream(encoder, rate=min(enough) if enough else max(rates))
    if not isinstance(stream, av.AudioStream):
        raise ValueError(f"not a sound encoder: {encoder!r}")
    stream.codec_context.layout = source.layout.name
    stream.codec_context.bit_rate = _BIT_RATE * source.channels
    return stream
