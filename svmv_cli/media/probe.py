"""What a file is: opened, read through once without decoding, closed. Knows not what will be made of it."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition, Stream

from svmv_cli.errors import InputError, UnsupportedError
from svmv_cli.media.decoders import Decoder, decoder_of
from svmv_cli.media.fields import fields_of
from svmv_cli.media.glimpses import Glimpse, glimpses_of
from svmv_cli.media.hdr import hdr_of
from svmv_cli.media.info import MediaInfo, StreamInfo, VideoInfo
from svmv_cli.media.joins import Join, JoinFinder, is_torn
from svmv_cli.media.opening import open_source, packets_of
from svmv_cli.media.rising import LEAP
from svmv_cli.media.stamps import Scan, Stamp, claimed_rate, first_shown, scan_of, snap_rate
from svmv_cli.media.survey import Survey
from svmv_cli.media.tags import HeaderTags, beside_of, color_of, display_matrix_of, header_tags

_MICROSECOND = Fraction(1, 1_000_000)


def probe(path: Path) -> MediaInfo:
    """Read what a file is and carries.

    Every packet of the video stream is read once for its timestamp; some pictures are decoded.

    Raises:
        InputError: the path is no video file, has no picture, or none that can be decoded.
        UnsupportedError: the picture is in a codec this build has no decoder for.
    """
    info = _probe(path, joins=())
    return _probe(path, joins=info.joins) if info.joins else info


def _probe(path: Path, *, joins: tuple[Join, ...]) -> MediaInfo:
    """What a file is, the clocks set behind `joins`; without any, those that were found are told of."""
    with open_source(path) as container:
        stream = _choose_video(container, path)
        tags = header_tags(stream)
        finder = JoinFinder(container.format.name, picture=stream.index)
        scan, first = _read_through(container, stream, path, finder=finder, joins=joins)
        begin = scan.times[0] * scan.time_base
        video = _video_info(stream, first, scan, glimpses_of(container, stream, scan.times), tags)
        return MediaInfo(
            path=path,
            format=container.format.name,
            size=path.stat().st_size,
            duration_claimed=None if joins else _container_duration(container),
            start_claimed=_start(container, begin),
            video=replace(video, duration_claimed=None) if joins else video,
            others=tuple(
                _stream_info(other)
                for other in container.streams
                if other.index != stream.index and not _is_chapter_track(container, other)
            ),
            chapters=len(container.chapters()),
            others_end=scan.others_end,
            tags=tuple(sorted(container.metadata.items())),
            joins=joins or finder.joins,
        )


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


def _read_through(
    container: InputContainer, stream: av.VideoStream, path: Path, *, finder: JoinFinder, joins: tuple[Join, ...]
) -> tuple[Scan, av.VideoFrame]:
    """All timestamps and the first picture."""
    decoder = decoder_of(stream, threads=1)
    stamps: list[Stamp] = []
    first: av.VideoFrame | None = None
    survey = Survey(container.format.name, picture=stream.index)
    for packet in packets_of(container, container.streams.get(), damaged=survey.count, joins=joins):
        survey.see(packet)
        finder.see(packet)
        if packet.stream.index != stream.index:
            continue
        if first is None:
            first = _first_picture(decoder, packet)
        # Packets an edit list cuts off are decoded for the sake of others, but never shown.
        if not packet.is_discard:
            stamps.append(Stamp.of(packet, torn=is_torn(packet, joins)))
    first = first or _first_picture(decoder, None)
    if first is None or not stamps:
        raise InputError(
            f"{path} claims to be video, but no picture in it can be decoded",
            hint="The file is damaged or cut off near its beginning: try to copy or download it again.",
        )
    scan = scan_of(stamps, stream, container.format.name)
    torn = survey.torn + sum(stamp.torn for stamp in stamps)
    if not scan.made_up:
        scan = scan.beginning_at(first_shown(stamps, first))
        if torn or (not joins and _ends_late(scan, container)):
            whole, scan = scan, scan.without_strays()
            torn += len(whole.times) - len(scan.times)
    return replace(scan, torn=torn, others_end=survey.others_end), first


def _ends_late(scan: Scan, container: InputContainer) -> bool:
    """Whether the pictures go on far behind the end that the container claims."""
    claimed = _container_duration(container)
    begin = _start(container, scan.times[0] * scan.time_base)
    return claimed is not None and int(scan.times[-1]) * scan.time_base > begin + claimed + LEAP


def _first_picture(decoder: Decoder, packet: av.Packet[Stream] | None) -> av.VideoFrame | None:
    try:
        pictures = decoder.decode(packet)
    except av.FFmpegError:
        return None
    return next(iter(pictures), None)


def _rate_of(stream: av.VideoStream, scan: Scan) -> Fraction | None:
    """The header's rate; without one, the mean of the timestamps."""
    claimed = claimed_rate(stream)
    span = int(scan.times[-1] - scan.times[0]) * scan.time_base
    if claimed or not span:
        return claimed
    return snap_rate((len(scan.times) - 1) / span)


def _video_info(
    stream: av.VideoStream, first: av.VideoFrame, scan: Scan, glimpses: tuple[Glimpse, ...], tags: HeaderTags
) -> VideoInfo:
    duration = stream.duration * stream.time_base if stream.duration and stream.time_base else None
    return VideoInfo(
        index=stream.index,
        codec=stream.codec_context.codec.canonical_name,
        width=first.width,
        height=first.height,
        pix_fmt=first.format.name,
        time_base=scan.time_base,
        color=color_of(stream, first, tags),
        sample_aspect_ratio=stream.sample_aspect_ratio or Fraction(1),
        rotation=first.rotation,
        display_matrix=display_matrix_of(first),
        fields=fields_of(stream, glimpses),
        rate_claimed=_rate_of(stream, scan),
        frames_claimed=stream.frames or None,
        duration_claimed=duration,
        bit_rate=stream.bit_rate or None,
        packet_times=scan.times,
        last_duration=scan.tail,
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
