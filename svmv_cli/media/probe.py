"""What a file is: opened, read through once without decoding, closed. Knows not what will be made of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.stream import Disposition, Stream

from svmv_cli.errors import InputError, UnsupportedError
from svmv_cli.media.decoders import Decoder, decoder_of
from svmv_cli.media.fields import fields_of
from svmv_cli.media.glimpses import Glimpse, glimpses_of
from svmv_cli.media.hdr import hdr_of
from svmv_cli.media.info import MediaInfo, StreamInfo, VideoInfo
from svmv_cli.media.opening import open_source, packets_of
from svmv_cli.media.rising import LEAP
from svmv_cli.media.survey import Survey
from svmv_cli.media.tags import beside_of, color_of, display_matrix_of

_NTSC = Fraction(1000, 1001)
_SNAP = Fraction(1, 10_000)  # Matroska reduces 48000/1001 to 7001/146: as near as this, the round rate is meant
_MAX_RATE = 1000  # frames/s; above it a header speaks of ticks, not pictures
_GUESSED_RATE = Fraction(25)  # for files that store neither a rate nor a timestamp
_WITHOUT_PTS = frozenset({"avi"})  # stores decoding order; what comes as presentation time is a guess
_MICROSECOND = Fraction(1, 1_000_000)


def probe(path: Path) -> MediaInfo:
    """Read what a file is and carries.

    Every packet of the video stream is read once for its timestamp; some pictures are decoded.

    Raises:
        InputError: the path is no video file, has no picture, or none that can be decoded.
        UnsupportedError: the picture is in a codec this build has no decoder for.
    """
    with open_source(path) as container:
        stream = _choose_video(container, path)
        scan, first = _read_through(container, stream, path)
        return MediaInfo(
            path=path,
            format=container.format.name,
            size=path.stat().st_size,
            duration_claimed=_container_duration(container),
            start_claimed=_start(container, scan.times[0] * scan.time_base),
            video=_video_info(stream, first, scan, glimpses_of(container, stream, scan.times)),
            others=tuple(
                _stream_info(other)
                for other in container.streams
                if other.index != stream.index and not _is_chapter_track(container, other)
            ),
            chapters=len(container.chapters()),
            others_end=scan.others_end,
            tags=tuple(sorted(container.metadata.items())),
        )


def snap_rate(rate: Fraction) -> Fraction:
    """The whole rate, or k·1000/1001, that `rate` stands for; itself when it is near neither."""
    whole = Fraction(max(1, round(rate)))
    ntsc = Fraction(max(1, round(rate / _NTSC))) * _NTSC
    nearest = min((whole, ntsc), key=lambda candidate: abs(candidate - rate))
    return nearest if abs(nearest - rate) <= nearest * _SNAP else rate


@dataclass(frozen=True, slots=True)
class _Scan:
    """Timestamps of every packet of the video stream."""

    times: npt.NDArray[np.int64]  # rising, ticks
    time_base: Fraction  # s
    last_duration: int | None  # ticks
    made_up: bool
    leading: int = 0  # stamps in front of those
    torn: int = 0
    others_end: Fraction | None = None  # s

    @classmethod
    def of(cls, stamps: Iterable[tuple[int | None, int | None]], time_base: Fraction, *, made_up: bool) -> _Scan | None:
        """From timestamps and durations as they come; None if there is no timestamp among them."""
        known = {stamp: duration for stamp, duration in stamps if stamp is not None}
        if not known:
            return None
        times = np.array(sorted(known), np.int64)
        return cls(times, time_base, known[int(times[-1])] or None, made_up=made_up)

    def without_strays(self) -> _Scan:
        """Without a few stamps at either end that lie a leap away from all others."""
        count = len(self.times)
        few = max(1, count // 100)
        behind = np.flatnonzero(np.diff(self.times) > LEAP / self.time_base) + 1  # stamps behind a leap
        low = max((int(k) for k in behind if k <= few), default=0)
        high = min((int(k) for k in behind if count - k <= few), default=count)
        if high - low in (0, count):
            return self
        return replace(self, times=self.times[low:high], last_duration=self.last_duration if high == count else None)

    def beginning_at(self, tick: int) -> _Scan:
        """Without the stamps in front of `tick`."""
        leading = int(np.searchsorted(self.times, tick))
        return replace(self, times=self.times[leading:], leading=leading) if leading < len(self.times) else self


def _choose_video(container: InputContainer, path: Path) -> av.VideoStream:
    """The first stream that is a moving picture rather than cover art."""
    for stream in container.streams.video:
        if not stream.disposition & Disposition.attached_pic:
            if stream.codec_context is None:
                raise UnsupportedError(f"{path} holds video in a codec this build cannot decode")
            return stream
    if container.streams.video:
        raise InputError(f"{path} has cover art, but no video", hint="Give a file with a video track.")
    if container.streams.audio:
        raise InputError(f"{path} has sound but no picture", hint="Give a file with a video track.")
    raise InputError(f"{path} has no video in it", hint="Give a file with a video track.")


def _read_through(container: InputContainer, stream: av.VideoStream, path: Path) -> tuple[_Scan, av.VideoFrame]:
    """All timestamps and the first picture."""
    decoder = decoder_of(stream, threads=1)
    stamps: list[_Stamp] = []
    first: av.VideoFrame | None = None
    survey = Survey(container.format.name, picture=stream.index)
    for packet in packets_of(container, container.streams.get(), damaged=survey.count):
        survey.see(packet)
        if packet.stream.index != stream.index:
            continue
        if first is None:
            first = _first_picture(decoder, packet)
        # Packets an edit list cuts off are decoded for the sake of others, but never shown.
        if not packet.is_discard:
            stamps.append(_Stamp.of(packet))
    first = first or _first_picture(decoder, None)
    if first is None or not stamps:
        raise InputError(
            f"{path} claims to be video, but no picture in it can be decoded",
            hint="The file is damaged or cut off near its beginning: try to copy or download it again.",
        )
    scan = _scan_of(stamps, stream, container.format.name)
    torn = survey.torn + sum(stamp.torn for stamp in stamps)
    if not scan.made_up:
        scan = scan.beginning_at(_first_shown(stamps, first))
        if torn or _ends_late(scan, container):
            whole, scan = scan, scan.without_strays()
            torn += len(whole.times) - len(scan.times)
    return replace(scan, torn=torn, others_end=survey.others_end), first


@dataclass(frozen=True, slots=True)
class _Stamp:
    pts: int | None
    dts: int | None
    duration: int | None
    key: bool
    torn: bool

    @classmethod
    def of(cls, packet: av.Packet[Stream]) -> _Stamp:
        return cls(packet.pts, packet.dts, packet.duration, packet.is_keyframe, packet.is_corrupt)


def _ends_late(scan: _Scan, container: InputContainer) -> bool:
    """Whether the pictures go on far behind the end that the container claims."""
    claimed = _container_duration(container)
    begin = _start(container, scan.times[0] * scan.time_base)
    return claimed is not None and int(scan.times[-1]) * scan.time_base > begin + claimed + LEAP


def _first_shown(stamps: list[_Stamp], first: av.VideoFrame) -> int:
    """The tick of the first picture that can be decoded.

    Recordings of a broadcast begin anywhere: what comes before their first key frame cannot be shown, and that
    is no damage. A key frame that does not decode is.
    """
    earliest = min(stamp.pts for stamp in stamps if stamp.pts is not None)
    key = next((stamp.pts for stamp in stamps if stamp.key and stamp.pts is not None), earliest)
    return min(key, first.pts if first.pts is not None else earliest)


def _first_picture(decoder: Decoder, packet: av.Packet[Stream] | None) -> av.VideoFrame | None:
    try:
        pictures = decoder.decode(packet)
    except av.FFmpegError:
        return None
    return next(iter(pictures), None)


def _scan_of(stamps: list[_Stamp], stream: av.VideoStream, demuxer: str) -> _Scan:
    """Presentation times: those stored, else the sorted decoding times, else a count at the claimed rate."""
    time_base = stream.time_base or 1 / _GUESSED_RATE
    shown = _Scan.of(((s.pts, s.duration) for s in stamps), time_base, made_up=False)
    if shown is not None and demuxer not in _WITHOUT_PTS and 2 * len(shown.times) > len(stamps):
        return shown
    decoded = _Scan.of(((s.dts, s.duration) for s in stamps), time_base, made_up=True)
    if decoded is not None and len(decoded.times) == len(stamps):
        return decoded
    rate = _claimed_rate(stream) or _GUESSED_RATE
    count = np.arange(len(stamps), dtype=np.int64) * rate.denominator
    return _Scan(count, Fraction(1, rate.numerator), rate.denominator, made_up=True)


def _claimed_rate(stream: av.VideoStream) -> Fraction | None:
    for rate in (stream.average_rate, stream.guessed_rate, stream.base_rate):
        if rate and 0 < rate <= _MAX_RATE:
            return snap_rate(Fraction(rate))
    return None


def _rate_of(stream: av.VideoStream, scan: _Scan) -> Fraction | None:
    """The header's rate; without one, the mean of the timestamps."""
    claimed = _claimed_rate(stream)
    span = int(scan.times[-1] - scan.times[0]) * scan.time_base
    if claimed or not span:
        return claimed
    return snap_rate((len(scan.times) - 1) / span)


def _video_info(stream: av.VideoStream, first: av.VideoFrame, scan: _Scan, glimpses: tuple[Glimpse, ...]) -> VideoInfo:
    duration = stream.duration * stream.time_base if stream.duration and stream.time_base else None
    return VideoInfo(
        index=stream.index,
        codec=stream.codec_context.codec.canonical_name,
        width=first.width,
        height=first.height,
        pix_fmt=first.format.name,
        time_base=scan.time_base,
        color=color_of(stream, first),
        sample_aspect_ratio=stream.sample_aspect_ratio or Fraction(1),
        rotation=first.rotation,
        display_matrix=display_matrix_of(first),
        fields=fields_of(stream, glimpses),
        rate_claimed=_rate_of(stream, scan),
        frames_claimed=stream.frames or None,
        duration_claimed=duration,
        bit_rate=stream.bit_rate or None,
        packet_times=scan.times,
        last_duration=(scan.last_duration or 0) * scan.time_base,
        hdr=hdr_of(first),
        beside=beside_of(first, glimpses),
        times_made_up=scan.made_up,
        leading=scan.leading,
        torn=scan.torn,
    )


def _is_chapter_track(container: InputContainer, stream: Stream) -> bool:
    """MP4 and MOV store chapter titles as a track of their own, which chapters() has read already."""
    chapters = len(container.chapters())
    return stream.type == "data" and stream.name == "bin_data" and 0 < chapters == stream.frames


def _stream_info(stream: Stream) -> StreamInfo:
    context = stream.codec_context
    timecode = stream.metadata.get("timecode") if stream.type == "data" else None
    named = "tmcd" if timecode else getattr(stream, "name", None) or "unknown"
    return StreamInfo(
        index=stream.index,
        kind="data" if stream.type == "unknown" else stream.type,
        codec=context.codec.canonical_name if context is not None else named,
        language=stream.metadata.get("language"),
        title=stream.metadata.get("title", stream.metadata.get("name")),
        attached_picture=bool(stream.disposition & Disposition.attached_pic),
        handler=stream.metadata.get("handler_name"),
        timecode=timecode,
    )


def _container_duration(container: InputContainer) -> Fraction | None:
    return container.duration * _MICROSECOND if container.duration and container.duration > 0 else None


def _start(container: InputContainer, video_start: Fraction) -> Fraction:
    """The earliest start of picture or sound; exact, where the container's own figure is in microseconds."""
    starts = [
        stream.start_time * stream.time_base
        for stream in (*container.streams.video, *container.streams.audio)
        if stream.start_time is not None and stream.time_base and not stream.disposition & Disposition.attached_pic
    ]
    return min(starts, default=video_start)
