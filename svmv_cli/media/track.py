"""The picture track of a file while frames go in: timed in ticks, tagged, encoded, muxed. Knows no other tracks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from math import lcm
from typing import Self

import av
from av.container import OutputContainer
from av.stream import Stream

from svmv_cli.media.encoders import add_video
from svmv_cli.media.frame import Frame, PixelFormat
from svmv_cli.media.info import MediaInfo
from svmv_cli.media.pictures import Converter, color_after, picture_of, range_of, working_format
from svmv_cli.media.target import Target, picture_of_target

_FINE = 90_000  # ticks/s below which a time base is multiplied up: offsets between streams are kept to it
_FINEST = 10_000_000  # ticks/s; beyond it players' arithmetic overflows
_MAX_NOMINAL = Fraction(240)  # frames/s; encoders that plan by the rate refuse more
_FEW = 3  # frames; in a film of fewer nothing is reordered, and x265 leaves decoding times to chance
_VFR_PARTS = 24  # ticks per tick of the source: exact for 2, 3, 4, 6, 8, 12 and 24 frames per gap


@dataclass(frozen=True, slots=True)
class Pace:
    """How a picture track counts time. Tracks that are to be joined must have the same."""

    time_base: Fraction  # s per tick
    rate: Fraction  # frames/s; the nominal one, where it varies

    @classmethod
    def of(cls, target: Target, info: MediaInfo, *, first: Fraction, step: Fraction) -> Self:
        """The pace of a target's picture.

        Args:
            target: the output.
            info: the source.
            first: time of the first frame, s on the output's clock.
            step: from one frame to the next, s; counts where the rate varies.
        """
        rate = target.rate or min(1 / (step or Fraction(1, 30)), _MAX_NOMINAL)
        return cls(_time_base(target.rate, info.video.time_base, first), rate.limit_denominator(1001))


class PictureTrack:
    """Encodes frames into a container that is being set up.

    Args:
        out: the container, header not yet written.
        target: what to write.
        info: the source.
        pace: how time is counted.
        given: the format frames come in.

    Attributes:
        stream: in the container.
        end: ticks, where the last frame ends.
    """

    def __init__(
        self, out: OutputContainer, target: Target, info: MediaInfo, *, pace: Pace, given: PixelFormat
    ) -> None:
        self.end = 0
        self._count = 0  # frames
        self._out = out
        self._time_base = pace.time_base
        self._durations: dict[int, int] = {}  # ticks, by pts
        self._first: int | None = None  # ticks, pts
        self._last: int | None = None
        self._color = target.stored_color
        self._converts = given.name != target.pix_fmt or target.color != target.stored_color
        self._converter = _converter(target, info, given=given)
        picture = picture_of_target(target, rate=pace.rate, time_base=pace.time_base)
        self.stream = add_video(out, target.encoder, picture=picture, options=target.options)

    @property
    def duration(self) -> Fraction:
        """From the first frame's beginning to the last one's end, s."""
        return (self.end - (self._first or 0)) * self._time_base

    def write(self, frame: Frame) -> list[int]:
        """Encode a frame and mux what comes of it.

        Returns:
            Presentation times of the packets muxed, ticks, in decoding order.

        Raises:
            ValueError: its time is not later than that of the frame before.
        """
        pts = round(frame.time / self._time_base)
        if self._last is not None and pts <= self._last:
            raise ValueError(f"frame times must rise; got {frame.time} after {self._last * self._time_base}")
        if self._first is None:
            self._first = pts
        self._last = pts
        self._count += 1
        self.end = max(round((frame.time + frame.duration) / self._time_base), pts + 1)
        self._durations[pts] = self.end - pts
        picture = picture_of(frame)
        if self._converts:
            picture = self._converter(picture)
        self._tag(picture)
        picture.pts, picture.time_base = pts, self._time_base
        return self._mux(self.stream.encode(picture))

    def flush(self) -> list[int]:
        """Mux what the encoder still holds; returns as `write`."""
        packets = self.stream.encode(None)
        if self._count < _FEW:
            for packet in packets:
                packet.dts = packet.pts
        return self._mux(packets)

    def _tag(self, picture: av.VideoFrame) -> None:
        """Some encoders take the tags of the stream, others those of each picture."""
        picture.color_primaries, picture.color_trc = self._color.primaries, self._color.transfer
        picture.colorspace, picture.color_range = self._color.matrix, range_of(self._color)

    def _mux(self, packets: Sequence[av.Packet[Stream]]) -> list[int]:
        stamps: list[int] = []
        for packet in packets:
            if packet.pts is not None:
                stamps.append(packet.pts)
                # Encoders leave the duration out; without it the last picture has no length.
                packet.duration = self._durations.pop(packet.pts, packet.duration or 0)
            self._out.mux(packet)
        return stamps


def _time_base(rate: Fraction | None, source: Fraction, first: Fraction) -> Fraction:
    """Seconds per tick in which the frames of a rate, or parts of the source's ticks, and the start are whole."""
    ticks = rate.numerator if rate is not None else source.denominator * _VFR_PARTS
    if ticks > _FINEST:
        ticks = min(source.denominator, _FINEST)
    exact = lcm(ticks, first.denominator)
    ticks = exact if exact <= _FINEST else ticks
    return Fraction(1, ticks * max(1, -(-_FINE // ticks)))


def _converter(target: Target, info: MediaInfo, *, given: PixelFormat) -> Converter:
    decoded = working_format(info.video.pix_fmt)
    color = color_after(info.video.color, source=decoded, target=given)
    return Converter(source=color, target=target.stored_color, pixel_format=target.pix_fmt)
