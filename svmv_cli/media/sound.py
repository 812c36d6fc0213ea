"""Sound that cannot be copied: decoded, cut to the sample, slowed at its pitch, encoded. Knows no files."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from fractions import Fraction

import av
from av.container import OutputContainer
from av.filter import Graph
from av.stream import Stream

from svmv_cli.media.info import Span
from svmv_cli.media.layouts import layout_for
from svmv_cli.timeline import Clock

_SLOWEST = Fraction(1, 2)  # atempo's lower bound; slower needs a chain
_FASTEST = Fraction(2)  # above it atempo skips samples instead of blending them
LONGEST_SILENCE = Fraction(60)  # s, behind the picture's end; sound further off is not believed
_PAD = 0.25  # s
_BASS = 0.7  # of a subwoofer that the layout written lacks: heard from the front, at equal power
_BIT_RATE = 96_000  # bit/s per channel: transparent for AAC and Opus alike


class SoundRoute:
    """One sound track on its way through decoder, filters and encoder into the output.

    Args:
        out: the output, header not yet written.
        source: the track.
        encoder: FFmpeg encoder.
        clock: source to output seconds.
        clip: what is kept, s on the source's clock.
        picture_end: s on the source's clock; silence is not made far beyond it, to reach a time that leaps.

    Attributes:
        stream: the track in the output.
        lost: packets that could not be decoded; there is silence in their place.
    """

    def __init__(
        self,
        out: OutputContainer,
        source: av.AudioStream,
        *,
        encoder: str,
        clock: Clock,
        clip: Span,
        picture_end: Fraction | None = None,
    ) -> None:
        self.stream = _add_sound(out, source, encoder)
        self.lost = 0
        self._source = source
        self._clock = clock
        self._clip = clip
        self._picture_end = picture_end
        self._reached: Fraction | None = None  # s, source clock: end of the sound so far
        self._evened: Graph | None = None  # gaps filled, cut to the clip
        self._slowed: Graph | None = None
        self._heard = 0  # samples that left the first
        self._made = 0  # samples given to the encoder
        self._start: int | None = None  # samples, output time of the first one

    def feed(self, packet: av.Packet[Stream]) -> Iterator[av.Packet[Stream]]:
        """Encoded packets that a source packet brings forth."""
        try:
            frames = self._source.decode(packet)
        except av.FFmpegError:
            self.lost += 1
            return
        for frame in frames:
            yield from self._take(frame)

    def flush(self) -> Iterator[av.Packet[Stream]]:
        """What is left in decoder, filters and encoder at the end."""
        for frame in self._drained():
            yield from self._take(frame)
        if self._evened is not None:
            self._evened.push(None)
            yield from self._pass_on(self._evened)
        if self._slowed is not None:
            self._slowed.push(None)
            yield from self._encode(self._slowed, until=round(self._heard * self._clock.stretch))
        if self._made:
            yield from self.stream.encode(None)

    def _drained(self) -> list[av.AudioFrame]:
        try:
            return self._source.decode(None)
        except av.FFmpegError:
            return []

    def _take(self, frame: av.AudioFrame) -> Iterator[av.Packet[Stream]]:
        if frame.pts is None or frame.time_base is None:
            return
        begin = frame.pts * frame.time_base
        if self._leaps(begin):
            self.lost += 1
            return
        self._reached = begin + Fraction(frame.samples, frame.sample_rate)
        if self._evened is None:
            self._evened = _evening(frame, layout=self.stream.layout.name, clip=self._clip)
        frame.pts = round(frame.pts * frame.time_base * frame.sample_rate)
        frame.time_base = Fraction(1, frame.sample_rate)
        self._evened.push(frame)
        yield from self._pass_on(self._evened)

    def _leaps(self, begin: Fraction) -> bool:
        """Whether a frame lies far behind both the sound so far and the picture's end: the time must be wrong."""
        if self._reached is None or self._picture_end is None:
            return False
        return begin - max(self._reached, self._picture_end) > LONGEST_SILENCE

    def _pass_on(self, evened: Graph) -> Iterator[av.Packet[Stream]]:
        for frame in _pulled(evened):
            if self._start is None:
                begin = (frame.pts or 0) * (frame.time_base or Fraction(1, frame.sample_rate))
                self._start = round(self._clock.to_output(begin) * frame.sample_rate)
            self._heard += frame.samples
            if self._clock.stretch == 1:
                yield from self._put(frame)
                continue
            if self._slowed is None:
                self._slowed = _slowing(frame, stretch=self._clock.stretch)
            self._slowed.push(frame)
            yield from self._encode(self._slowed)

    def _encode(self, slowed: Graph, *, until: int | None = None) -> Iterator[av.Packet[Stream]]:
        """Encode what the filter gives; not past sample `until`."""
        for frame in _pulled(slowed):
            room = frame.samples if until is None else min(frame.samples, until - self._made)
            if room > 0:
                yield from self._put(frame if room == frame.samples else _shortened(frame, room))

    def _put(self, frame: av.AudioFrame) -> Iterator[av.Packet[Stream]]:
        """Encode a frame at its output time: the first by the clock, the others by counting samples."""
        frame.pts = (self._start or 0) + self._made
        frame.time_base = Fraction(1, frame.sample_rate)
        self._made += frame.samples
        yield from self.stream.encode(frame)


def silenced(packet: av.Packet[Stream]) -> tuple[Fraction, Fraction]:
    """Sound in a packet that is not for playing, at its beginning and its end, s."""
    if not isinstance(packet.stream, av.AudioStream) or not packet.has_sidedata("skip_samples"):
        return Fraction(0), Fraction(0)
    rate = packet.stream.sample_rate
    # Two little-endian 32-bit counts of samples; the reasons that follow them do not matter here.
    before, after = struct.unpack_from("<II", bytes(packet.get_sidedata("skip_samples")))
    return Fraction(before, rate), Fraction(after, rate)


def lacks_header(packet: av.Packet[Stream]) -> bool:
    """Whether a packet of AAC that has to bring its own header (ADTS) has none: torn, and taken for another kind."""
    stream = packet.stream
    context = stream.codec_context  # none where this build does not know the codec
    if stream.type != "audio" or context is None or context.name != "aac" or context.extradata:
        return False
    start = bytes(packet)[:2]
    return len(start) < 2 or int.from_bytes(start, "big") & 0xFFF0 != 0xFFF0


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


def _evening(frame: av.AudioFrame, *, layout: str, clip: Span) -> Graph:
    """Gaps filled with silence, cut to the clip, in planes of floats."""
    rate = frame.sample_rate
    named = {name: time for name, time in zip(("start_pts", "end_pts"), clip, strict=True) if time is not None}
    filters = [
        ("aresample", f"async=1:ochl={layout}:lfe_mix_level={_BASS}"),
        ("aformat", f"sample_fmts=fltp:channel_layouts={layout}"),
        *([("atrim", ":".join(f"{name}={round(time * rate)}" for name, time in named.items()))] if named else []),
    ]
    return _graph(frame, filters)


def _slowing(frame: av.AudioFrame, *, stretch: Fraction) -> Graph:
    """Stretched at its pitch; padded first, because atempo keeps the last of its windows to itself."""
    return _graph(frame, [("apad", f"pad_dur={_PAD}"), *(("atempo", f"{factor:.15g}") for factor in tempos(stretch))])


def _graph(frame: av.AudioFrame, filters: Sequence[tuple[str, str]]) -> Graph:
    graph = Graph()
    rate = frame.sample_rate
    source = graph.add_abuffer(
        sample_rate=rate, format=frame.format.name, layout=frame.layout.name, time_base=Fraction(1, rate)
    )
    nodes = [graph.add(name, arguments) for name, arguments in filters]
    graph.link_nodes(source, *nodes, graph.add("abuffersink")).configure()
    return graph


def _pulled(graph: Graph) -> Iterator[av.AudioFrame]:
    """All the frames a graph has ready."""
    while True:
        try:
            frame = graph.pull()
        except (av.BlockingIOError, av.EOFError):
            return
        if isinstance(frame, av.AudioFrame):
            yield frame


def _shortened(frame: av.AudioFrame, samples: int) -> av.AudioFrame:
    """The frame's first samples; a filter cuts them in whatever format and layout they are."""
    cutting = _graph(frame, [("atrim", f"end_sample={samples}")])
    cutting.push(frame)
    cutting.push(None)
    return next(_pulled(cutting))


def _add_sound(out: OutputContainer, source: av.AudioStream, encoder: str) -> av.AudioStream:
    rates = av.Codec(encoder, "w").audio_rates or [source.sample_rate]
    enough = [rate for rate in rates if rate >= source.sample_rate]
    stream = out.add_stream(encoder, rate=min(enough) if enough else max(rates))
    if not isinstance(stream, av.AudioStream):
        raise ValueError(f"not a sound encoder: {encoder!r}")
    stream.codec_context.layout = layout_for(encoder, source.layout)
    stream.codec_context.bit_rate = _BIT_RATE * source.channels
    return stream
