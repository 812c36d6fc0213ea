"""Everything of the source but its picture, moved onto the output's clock and muxed as time goes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from fractions import Fraction
from typing import Protocol

import av
from av.container import InputContainer, OutputContainer
from av.stream import Disposition, Stream
from av.subtitles.stream import SubtitleStream

from svmv_cli.media.covers import attach_cover
from svmv_cli.media.decision import TIMECODE, StreamDecision
from svmv_cli.media.decoding_times import DecodingTimes
from svmv_cli.media.info import MediaInfo, Span
from svmv_cli.media.joins import is_torn
from svmv_cli.media.labels import lasting
from svmv_cli.media.opening import open_source, packets_of
from svmv_cli.media.priming import add_primed, priming_of
from svmv_cli.media.retiming import moved_chapter, place, source_time
from svmv_cli.media.rising import Rising
from svmv_cli.media.sound import LONGEST_SILENCE, SoundRoute, lacks_header, silenced
from svmv_cli.media.subtitles import SubtitleRoute
from svmv_cli.timeline import Clock

_STRAY = Fraction(10)  # s that packets of one moment may lie apart in the file
_SLACK = Fraction(1, 2)  # s that the times of sound may fall back without one of them being wrong
_MICROSECONDS = 1_000_000
_MATROSKA = frozenset({"matroska", "webm"})
# MOV numbers languages by an old list with spellings of its own.
_MOV_LANGUAGES = {"deu": "ger", "nld": "dut", "ell": "gre", "isl": "ice", "zho": "chi", "swe": "sve"}


class Route(Protocol):
    """The way of one stream's packets to the output."""

    lost: int  # packets that could not be decoded

    def feed(self, packet: av.Packet[Stream]) -> Iterator[av.Packet[Stream]]:
        """Packets for the output that a source packet brings forth."""
        ...

    def flush(self) -> Iterator[av.Packet[Stream]]:
        """What is left at the end."""
        ...


class Passthrough:
    """Reads the source a second time for its other streams; at most a few packets of each are held.

    Args:
        out: the output, header not yet written; streams, chapters and metadata are added to it.
        info: the source.
        decisions: what happens to each other stream.
        clock: source to output seconds.
        clip: what is kept, s on the source's clock.

    """

    def __init__(
        self,
        out: OutputContainer,
        info: MediaInfo,
        *,
        decisions: tuple[StreamDecision, ...],
        clock: Clock,
        clip: Span,
    ) -> None:
        self._torn = 0
        self._rising: dict[int, Rising[av.Packet[Stream]]] = {}  # of the sound tracks
        self._out = out
        self._clock = clock
        self._clip = clip
        self._path = info.path
        self._joins = info.joins
        self._picture_end = int(info.video.packet_times[-1]) * info.video.time_base
        self._source = open_source(info.path)
        self._outputs: dict[int, Stream] = {}
        self._routes: dict[int, Route] = {}
        for decision in decisions:
            if decision.action != "drop":
                self._add(decision)
        _carry_about(self._source, out, clock=clock, clip=clip)
        self._packets = self._read()
        self._next = next(self._packets, None)

    def pump(self, until: Fraction) -> None:
        """Mux everything that belongs before `until`, s on the output's clock."""
        while self._next is not None and self._time(self._next) <= until:
            self._mux(self._next)
            self._next = next(self._packets, None)

    def finish(self) -> None:
        """Mux all that is left."""
        while self._next is not None:
            self._mux(self._next)
            self._next = next(self._packets, None)
        for index, route in self._routes.items():
            for packet in route.flush():
                self._send(packet, index)

    def dress(self, stream: Stream, index: int) -> None:
        """Give an output stream the language, title and flags of the source's stream `index`."""
        source = self._source.streams[index]
        stream.metadata.update(lasting(source.metadata))
        if self._out.format.name == "mov" and (language := source.metadata.get("language")) in _MOV_LANGUAGES:
            stream.metadata["language"] = _MOV_LANGUAGES[language]
        stream.disposition = source.disposition

    @property
    def damaged(self) -> int:
        """Packets so far that are torn, could not be decoded or have a time that cannot be theirs."""
        strays = sum(rising.strays for rising in self._rising.values())
        return self._torn + strays + sum(route.lost for route in self._routes.values())

    @property
    def pairs(self) -> dict[int, int]:
        """Stream indices, of the source to the output."""
        return {index: stream.index for index, stream in self._outputs.items()}

    def close(self) -> None:
        """Close the source; harmless when it is closed already."""
        self._source.close()

    def _add(self, decision: StreamDecision) -> None:
        source = self._source.streams[decision.index]
        if decision.encoder == TIMECODE:  # its muxer makes the track, of a tag of the picture's
            return
        if source.disposition & Disposition.attached_pic and self._out.format.name == "matroska":
            attach_cover(self._out, self._path, index=decision.index, codec=decision.codec)
            return
        if decision.encoder is None:
            primed = self._add_primed(source)
            stream: Stream = primed or self._out.add_stream_from_template(source, opaque=True)
            muxer = self._out.format.name
            route: Route = _CopyRoute(
                source, clock=self._clock, clip=self._clip, muxer=muxer, hides_priming=primed is not None
            )
        elif isinstance(source, av.AudioStream):
            sound = SoundRoute(
                self._out,
                source,
                encoder=decision.encoder,
                clock=self._clock,
                clip=self._clip,
                picture_end=self._picture_end,
            )
            stream, route = sound.stream, sound
        elif isinstance(source, SubtitleStream):
            words = SubtitleRoute(self._out, source, encoder=decision.encoder)
            stream, route = words.stream, _WordsRoute(words, clock=self._clock, clip=self._clip)
        else:
            raise ValueError(f"cannot encode a stream of kind {source.type!r}")
        self.dress(stream, decision.index)
        if source.type != "attachment":  # written with the header; there are no packets
            self._outputs[decision.index] = stream
            self._routes[decision.index] = route
        if source.type == "audio":
            self._rising[decision.index] = Rising(_SLACK)

    def _add_primed(self, source: Stream) -> Stream | None:
        """A track of Matroska that hides what only primes its decoder; None if there is no such sound to be copied."""
        start, _ = self._clip
        if source.type != "audio" or start is not None or self._out.format.name not in _MATROSKA:
            return None  # where the clip begins later, the first packet that is kept is heard
        priming = priming_of(self._path, source.index)
        return add_primed(self._out, source, priming) if priming else None

    def _read(self) -> Iterator[av.Packet[Stream]]:
        """Packets of the routed streams from a little before the clip to a little after it."""
        if not self._routes:
            return
        start, stop = self._clip
        if start is not None and start > _STRAY and not self._joins:
            with suppress(av.FFmpegError):  # what cannot be searched is read from the beginning
                self._source.seek(int((start - _STRAY) * _MICROSECONDS), backward=True)
        streams = [self._source.streams[index] for index in self._routes]
        # Stretches that cannot be read are the reader's to count: it meets the same ones.
        for packet in packets_of(self._source, streams, damaged=lambda: None, joins=self._joins):
            if stop is not None and source_time(packet) > stop + _STRAY:
                break
            if lacks_header(packet):
                self._torn += 1
                continue
            self._torn += is_torn(packet, self._joins)
            rising = self._rising.get(packet.stream.index)
            yield from rising.push(packet, source_time(packet)) if rising else (packet,)
        for rising in self._rising.values():
            yield from rising.finish(leap=LONGEST_SILENCE)

    def _time(self, packet: av.Packet[Stream]) -> Fraction:
        return self._clock.to_output(source_time(packet))

    def _mux(self, packet: av.Packet[Stream]) -> None:
        index = packet.stream.index
        for made in self._routes[index].feed(packet):
            self._send(made, index)

    def _send(self, packet: av.Packet[Stream], index: int) -> None:
        packet.stream = self._outputs[index]
        # Apart from the packet: a refused header is no torn packet, and written once more it crashes FFmpeg.
        self._out.start_encoding()
        try:
            self._out.mux(packet)
        except (av.InvalidDataError, av.ArgumentError):
            # Some muxers look into packets, and refuse one that is torn.
            self._torn += 1


class _CopyRoute:
    """Packets as they are, at their new times."""

    lost = 0

    def __init__(self, source: Stream, *, clock: Clock, clip: Span, muxer: str, hides_priming: bool) -> None:
        self._muxer = muxer
        self._hides_priming = hides_priming
        self._clock = clock
        self._clip = clip
        self._still = bool(source.disposition & Disposition.attached_pic)
        self._words = source.type == "subtitle"
        self._waits_for_key = source.type == "video" and not self._still
        self._times = DecodingTimes(reordered=self._waits_for_key)

    def feed(self, packet: av.Packet[Stream]) -> Iterator[av.Packet[Stream]]:
        if self._still:
            packet.pts = packet.dts = 0
            yield packet
            return
        if not self._hides_priming and _unheard(packet, self._muxer):
            return
        if not place(packet, clock=self._clock, clip=self._clip, cut=self._words):
            return
        if self._waits_for_key and not packet.is_keyframe:
            return
        self._waits_for_key = False
        yield from self._times.push(packet)

    def flush(self) -> Iterator[av.Packet[Stream]]:
        return self._times.flush()


class _WordsRoute:
    """Subtitles in a new form at their new times."""

    lost = 0

    def __init__(self, words: SubtitleRoute, *, clock: Clock, clip: Span) -> None:
        self._words = words
        self._clock = clock
        self._clip = clip

    def feed(self, packet: av.Packet[Stream]) -> Iterator[av.Packet[Stream]]:
        for converted in self._words.convert(packet):
            if place(converted, clock=self._clock, clip=self._clip, cut=True):
                yield converted

    def flush(self) -> Iterator[av.Packet[Stream]]:
        return iter(())


def _unheard(packet: av.Packet[Stream], muxer: str) -> bool:
    """Whether a packet only primes the decoder, and the output could not hide it: it would push the picture back."""
    if muxer in {"mp4", "mov"}:
        return False  # they have edit lists
    if muxer in _MATROSKA:
        return packet.is_discard  # they hide what one of their own kind hid, not what an edit list did
    before, _ = silenced(packet)
    return packet.is_discard or (before > 0 and before >= (packet.duration or 0) * packet.time_base)


def _carry_about(source: InputContainer, out: OutputContainer, *, clock: Clock, clip: Span) -> None:
    """File tags and chapters."""
    out.metadata.update(lasting(source.metadata))
    chapters = [moved for chapter in source.chapters() if (moved := moved_chapter(chapter, clock=clock, clip=clip))]
    if chapters:
        out.set_chapters(chapters)
