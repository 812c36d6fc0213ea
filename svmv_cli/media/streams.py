"""What becomes of the streams beside the picture, proven by muxing each on trial. Knows no picture."""

from __future__ import annotations

from fractions import Fraction
from io import BytesIO
from itertools import islice
from typing import Literal

import av
from av.container import InputContainer, OutputContainer
from av.stream import Stream
from av.subtitles.stream import SubtitleStream

from svmv_cli.media.containers import ContainerChoice
from svmv_cli.media.decision import TIMECODE, StreamDecision
from svmv_cli.media.info import MediaInfo, StreamInfo
from svmv_cli.media.opening import open_source, packets_of
from svmv_cli.media.sound import SoundRoute, lacks_header
from svmv_cli.media.subtitles import SubtitleRoute
from svmv_cli.timeline import Clock

SlowAudio = Literal["stretch", "drop"]

_TRIES = 8  # packets of sound
_TRIAL_PACKETS = 4000  # enough to meet a first packet of every stream that is spread through the file
TIMECODE_MUXERS = frozenset({"mp4", "mov"})
_GOPRO = "GoPro MET"  # handler of the one private track that is written under its own name
_PLAIN_CLOCK = Clock(Fraction(0))


def decide_streams(
    info: MediaInfo, *, container: ContainerChoice, stretch: Fraction, slow_audio: SlowAudio, timecode: bool = False
) -> tuple[StreamDecision, ...]:
    """Decide for every stream but the picture: copied if the container holds it, else encoded, else dropped.

    Args:
        info: the source.
        container: the output's.
        stretch: output seconds per source second; sound cannot be copied unless it is 1.
        slow_audio: what to do with sound then.
        timecode: whether the output's first picture has one.
    """
    if not info.others:
        return ()
    with open_source(info.path) as source:
        first = _first_packets(source, {other.index for other in info.others})
        trial = _Trial(source, container, first)
        return tuple(
            _timecode(other, container, kept=timecode)
            if other.timecode
            else _decide(other, trial=trial, stretch=stretch, slow_audio=slow_audio)
            for other in info.others
        )


def _timecode(other: StreamInfo, container: ContainerChoice, *, kept: bool) -> StreamDecision:
    if container.muxer not in TIMECODE_MUXERS:
        return _dropped(other, "only .mov and .mp4 hold a timecode track")
    if not kept:
        return _dropped(other, "a timecode cannot be counted at this rate")
    return StreamDecision(other.index, other.kind, other.codec, "encode", TIMECODE, "counted at the new rate")


def _decide(other: StreamInfo, *, trial: _Trial, stretch: Fraction, slow_audio: SlowAudio) -> StreamDecision:
    if other.kind == "audio" and stretch != 1:
        if slow_audio == "drop":
            return _dropped(other, "slow motion without sound was asked for")
        return _encoded(other, trial, f"slowed by {float(stretch):g}") or _dropped(
            other, "its sound cannot be converted"
        )
    if why := _never_copied(other, trial.container):
        return _dropped(other, why)
    if trial.copies(other):
        return StreamDecision(other.index, other.kind, other.codec, "copy")
    cannot = f"{trial.container.muxer} cannot hold {other.codec}"
    return _encoded(other, trial, cannot) or _dropped(other, cannot)


def _never_copied(other: StreamInfo, container: ContainerChoice) -> str | None:
    """What a muxer would take without complaint, and then not write or write wrongly."""
    if other.kind == "attachment" and container.muxer != "matroska":
        return "only .mkv holds attachments"
    if other.kind == "subtitle" and container.muxer == "mpegts" and other.codec not in {"dvb_subtitle", "dvb_teletext"}:
        return ".ts holds no text subtitles that players find"
    if other.attached_picture and container.muxer not in {"mp4", "matroska"}:
        return "only .mp4 and .mkv hold cover art"
    if other.kind != "data":
        return None
    if other.codec in {"bin_data", "unknown", "text"} and not (other.handler == _GOPRO and container.muxer == "mp4"):
        return "a track only its own container understands"
    return None


def _encoded(other: StreamInfo, trial: _Trial, why: str) -> StreamDecision | None:
    encoder = {"audio": trial.container.audio, "subtitle": trial.container.subtitle}.get(other.kind)
    if encoder is None or not trial.encodes(other, encoder):
        return None
    return StreamDecision(other.index, other.kind, other.codec, "encode", encoder, why)


def _dropped(other: StreamInfo, why: str) -> StreamDecision:
    return StreamDecision(other.index, other.kind, other.codec, "drop", None, why)


class _Trial:
    """Writes one stream at a time into memory, to learn what the muxer says."""

    def __init__(
        self, source: InputContainer, container: ContainerChoice, first: dict[int, list[av.Packet[Stream]]]
    ) -> None:
        self.container = container
        self._source = source
        self._first = first

    def copies(self, other: StreamInfo) -> bool:
        """Whether the container takes the stream as it is, and says what it is."""
        named = self.container.copied_audio
        if other.kind == "audio" and named is not None and other.codec not in named:
            return False
        template = self._source.streams[other.index]
        try:
            with av.open(BytesIO(), "w", format=self.container.muxer) as out:
                copy = out.add_stream_from_template(template, opaque=True)
                copy.disposition = template.disposition
                out.start_encoding()
                packets = self._first.get(other.index, [])
                # The first may be torn: one that is taken shows that others will be.
                return not packets or any(_takes(out, copy, packet) for packet in packets)
        except (av.FFmpegError, ValueError):
            return False

    def encodes(self, other: StreamInfo, encoder: str) -> bool:
        """Whether the stream can be decoded and encoded anew for the container."""
        template = self._source.streams[other.index]
        if template.codec_context is None:
            return False
        try:
            with av.open(BytesIO(), "w", format=self.container.muxer) as out:
                if isinstance(template, av.AudioStream):
                    SoundRoute(out, template, encoder=encoder, clock=_PLAIN_CLOCK, clip=(None, None))
                elif isinstance(template, SubtitleStream) and template.codec_context.codec.text_sub:
                    SubtitleRoute(out, template, encoder=encoder)
                else:
                    return False
                out.start_encoding()
        except (av.FFmpegError, ValueError):
            return False
        return True


def _takes(out: OutputContainer, stream: Stream, packet: av.Packet[Stream]) -> bool:
    packet.stream = stream
    if packet.dts is None:
        packet.dts = packet.pts
    try:
        out.mux(packet)
    except av.FFmpegError:
        return False
    return True


def _first_packets(source: InputContainer, wanted: set[int]) -> dict[int, list[av.Packet[Stream]]]:
    """The first packet of each wanted stream, and some more of sound, as far as they come early."""
    found: dict[int, list[av.Packet[Stream]]] = {}
    lacking = {index: _TRIES if source.streams[index].type == "audio" else 1 for index in wanted}
    packets = packets_of(source, [source.streams[index] for index in sorted(wanted)], damaged=lambda: None)
    for packet in islice(packets, _TRIAL_PACKETS):
        index = packet.stream.index
        if index in lacking and not lacks_header(packet):
            found.setdefault(index, []).append(packet)
            if len(found[index]) == lacking[index]:
                del lacking[index]
        if not lacking:
            break
    return found
