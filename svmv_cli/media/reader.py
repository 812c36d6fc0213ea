"""Pictures of a source in presentation order, between two times. Knows nothing of what they are for."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from fractions import Fraction
from types import TracebackType
from typing import Self

import av
import numpy as np
from av.container import InputContainer
from av.stream import Stream

from svmv_cli.errors import InputError, UnsupportedError
from svmv_cli.media.decoders import Decoder, decoder_of
from svmv_cli.media.fields import Deinterlace, Timed, by_field, deinterlaced
from svmv_cli.media.frame import Frame, PixelFormat
from svmv_cli.media.info import MediaInfo
from svmv_cli.media.joins import is_torn
from svmv_cli.media.opening import open_source, packets_of
from svmv_cli.media.pictures import Converter, color_after, planes_of, working_format
from svmv_cli.media.rising import LEAP, Rising

_MAX_THREADS = 8
_FIELDS_BEFORE = 2  # pictures in front of the first wanted: its second field may begin, its neighbour helps


class VideoReader:
    """Decodes the video stream of a source; a context manager and an iterator of frames.

    Open, read and close it in one thread at a time: closing under a living decoder crashes the interpreter.

    Args:
        info: what `probe` found.
        pix_fmt: planar format the frames are to have; planes are bit-exact where the source has it already.
        start: s on the source's clock; the first frame is the one at or after it. None: from the beginning.
        stop: s on the source's clock; frames at or after it are not given. None: to the end.
        deinterlace: which pictures are made whole of their fields.

    Attributes:
        decoded: frames given so far.
        damaged: packets that are torn or could not be decoded, and frames given though the decoder called them
            corrupt; one fault may count as both. Not counted: pictures in front of the first that can be decoded.
        dropped: frames left out because their time is missing or out of order.
    """

    def __init__(
        self,
        info: MediaInfo,
        *,
        pix_fmt: str,
        start: Fraction | None = None,
        stop: Fraction | None = None,
        deinterlace: Deinterlace = "off",
    ) -> None:
        self.decoded = 0
        self.damaged = 0
        self.dropped = 0
        self._told = (0, 0)  # what the frames given so far carry of `damaged` and of `dropped`
        self._info = info
        self._deinterlace: Deinterlace = deinterlace
        self._given = by_field(info.video) if deinterlace == "fields" else info.video  # the stream as it leaves here
        self._format = PixelFormat.parse(pix_fmt)
        self._start = start
        self._stop = stop
        self._container: InputContainer | None = None
        self._converter = self._make_converter()

    def __enter__(self) -> Self:
        self._container = open_source(self._info.path)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the source; harmless when it is closed already."""
        if self._container is not None:
            self._container.close()
            self._container = None

    @property
    def untold(self) -> tuple[int, int]:
        """Of `damaged` and `dropped` what no frame given so far carries."""
        return self.damaged - self._told[0], self.dropped - self._told[1]

    def __iter__(self) -> Iterator[Frame]:
        """Frames in presentation order.

        Raises:
            UnsupportedError: the picture changes size on the way.
            InputError: the source can no longer be opened or searched.
        """
        first = self._info.video.start if self._start is None else max(self._start, self._info.video.start)
        decoded = self._even(self._in_order(self._sought()))
        for picture, time in deinterlaced(decoded, how=self._deinterlace, video=self._info.video):
            if time < first:
                continue
            if self._stop is not None and time >= self._stop:
                return
            yield self._frame(picture, time)

    def _in_order(self, pictures: Iterator[Timed]) -> Iterator[Timed]:
        """Pictures whose times rise."""
        rising: Rising[Timed] = Rising()
        for timed in pictures:
            strays = rising.strays
            yield from rising.push(timed, timed[1])
            self.dropped += rising.strays - strays
        yield from rising.flush()

    def _even(self, pictures: Iterator[Timed]) -> Iterator[Timed]:
        """Pictures of one size; in front of the filter, of a planar format, too."""
        video = self._info.video
        planar = working_format(video.pix_fmt).name
        repack = Converter(source=video.color, target=video.color, pixel_format=planar)
        for picture, time in pictures:
            if (picture.width, picture.height) != (video.width, video.height):
                raise UnsupportedError(
                    f"the picture changes from {video.width}x{video.height} to {picture.width}x{picture.height} "
                    f"at {float(time):.3f} s",
                    hint="Cut the file there with --start and --end, and upsample the parts one by one.",
                )
            known = self._deinterlace == "off" or picture.format.name.replace("yuvj", "yuv") == planar
            yield picture if known else repack(picture), time

    def _frame(self, picture: av.VideoFrame, time: Fraction) -> Frame:
        self.decoded += 1
        self.damaged += picture.is_corrupt
        if picture.format.name.replace("yuvj", "yuv") != self._format.name:
            picture = self._converter(picture)
        damaged, late = self.untold
        self._told = self.damaged, self.dropped
        planes = planes_of(picture, self._format)
        return Frame(time, self._duration(time), self._format, planes, damaged=damaged, late=late)

    def _duration(self, time: Fraction) -> Fraction:
        """Until the next picture; for the last one what is known of it."""
        video = self._given
        times = video.packet_times
        after = int(np.searchsorted(times, int(time / video.time_base), side="right"))
        if after < len(times):
            return int(times[after]) * video.time_base - time
        return video.last_duration or 1 / (video.rate_claimed or Fraction(25))

    def _sought(self) -> Iterator[Timed]:
        """Timed pictures that begin no later than with the first wanted one.

        Where the key frame before it does not bring that one forth, as in a stream that refreshes bit by bit or is
        torn there, everything is read from the beginning.
        """
        wanted = self._first_wanted()
        if wanted is not None:
            counted = self.damaged, self.dropped
            pictures = self._timed(self._pictures()) if self._seek(wanted) else iter(())
            head = next(pictures, None)
            if head is not None and head[1] <= wanted * self._info.video.time_base:
                yield head
                yield from pictures
                return
            self.damaged, self.dropped = counted
            self.close()
            self._container = open_source(self._info.path)
        yield from self._timed(self._pictures())

    def _timed(self, pictures: Iterator[av.VideoFrame]) -> Iterator[Timed]:
        """Each picture with its time, s; those without a stored one are timed by their number."""
        video = self._info.video
        latest = int(video.packet_times[-1]) * video.time_base + LEAP
        for number, picture in enumerate(pictures):
            if video.times_made_up:
                last = len(video.packet_times) - 1
                over = max(number - last, 0)
                ticks = int(video.packet_times[min(number, last)])
                yield picture, ticks * video.time_base + over * video.last_duration
                continue
            time = None if picture.pts is None else picture.pts * (picture.time_base or video.time_base)
            if time is None or time > latest:
                self.dropped += 1
            else:
                yield picture, time

    def _pictures(self) -> Iterator[av.VideoFrame]:
        """Decoded pictures from the sought position to the end; what fails to decode is counted, not told."""
        stream = self._stream()
        decoder = decoder_of(stream, threads=min(os.cpu_count() or 1, _MAX_THREADS))
        for packet in packets_of(self._opened(), [stream], damaged=self._count_damage, joins=self._info.joins):
            counted = not self._leads(packet)
            # Decoders with several threads do not always tell; what the demuxer saw torn is torn every time.
            self.damaged += is_torn(packet, self._info.joins) and counted
            yield from self._decode(decoder, packet, counted=counted)
        yield from self._decode(decoder, None, counted=True)

    def _decode(self, decoder: Decoder, packet: av.Packet[Stream] | None, *, counted: bool) -> list[av.VideoFrame]:
        try:
            return decoder.decode(packet)
        except av.EOFError:
            return []
        except av.FFmpegError:
            self.damaged += counted
            return []

    def _leads(self, packet: av.Packet[Stream]) -> bool:
        """Whether a packet lies in front of the first picture that can be decoded."""
        video = self._info.video
        return bool(video.leading) and packet.pts is not None and packet.pts < int(video.packet_times[0])

    def _count_damage(self) -> None:
        self.damaged += 1

    def _seek(self, wanted: int) -> bool:
        """Whether the next packet is now a key frame at or before `wanted`, ticks."""
        stream = self._stream()
        try:
            self._opened().seek(wanted, stream=stream, backward=True)
            if self._lands_before(stream, wanted):
                self._opened().seek(wanted, stream=stream, backward=True)
                return True
        except av.FFmpegError:
            pass  # the demuxer cannot search
        return False

    def _first_wanted(self) -> int | None:
        """Timestamp to seek to, ticks; None when the beginning is wanted or the file's own do not lead there."""
        video = self._info.video
        if self._start is None or video.times_made_up or self._info.joins:
            return None
        number = int(np.searchsorted(video.packet_times, math.ceil(self._start / video.time_base)))
        if self._deinterlace != "off":
            number = max(number - _FIELDS_BEFORE, 0)
        return int(video.packet_times[min(number, len(video.packet_times) - 1)]) if number else None

    def _lands_before(self, stream: av.VideoStream, wanted: int) -> bool:
        packet = next(self._opened().demux(stream), None)
        return packet is not None and packet.is_keyframe and packet.pts is not None and packet.pts <= wanted

    def _opened(self) -> InputContainer:
        if self._container is None:
            raise ValueError("a VideoReader is read inside its `with`")
        return self._container

    def _stream(self) -> av.VideoStream:
        stream = self._opened().streams[self._info.video.index]
        if not isinstance(stream, av.VideoStream):
            raise InputError(f"{self._info.path} has changed since it was probed")
        return stream

    def _make_converter(self) -> Converter:
        video = self._info.video
        after = color_after(video.color, source=working_format(video.pix_fmt), target=self._format)
        return Converter(source=video.color, target=after, pixel_format=self._format.name)
