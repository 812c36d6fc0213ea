"""A stretch of the picture in a file of its own, and the joining of such files into the output, packet by packet.

Matroska holds every codec we write, but whole milliseconds: exact times are kept beside the file, in `SegmentInfo`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer, OutputContainer
from av.stream import Stream

from svmv_cli.errors import OutputError
from svmv_cli.media.encoders import describe_video
from svmv_cli.media.frame import Frame
from svmv_cli.media.info import MediaInfo
from svmv_cli.media.opening import file_url, open_source, packets_of
from svmv_cli.media.outfile import Carried, OutFile
from svmv_cli.media.partfile import telling_writes
from svmv_cli.media.target import Target, picture_of_target
from svmv_cli.media.track import Pace, PictureTrack

_FORMAT = "matroska"


@dataclass(frozen=True, slots=True)
class SegmentInfo:
    """What a segment's file holds."""

    stamps: npt.NDArray[np.int64]  # ticks of the pace, presentation times of its packets in decoding order
    end: int  # ticks, where its last frame ends
    header: str  # digest of the decoder's settings; segments that are joined have the same

    @property
    def delay(self) -> int:
        """Ticks by which decoding must run ahead of presentation."""
        return int((np.sort(self.stamps) - self.stamps).max())


class SegmentWriter:
    """Encodes frames into a picture-only file at `path`, beginning with a key frame.

    Args:
        path: the file; it is there from the first frame on.
        target: how pictures are encoded.
        info: the source.
        pace: of the whole output.
    """

    def __init__(self, path: Path, target: Target, info: MediaInfo, *, pace: Pace) -> None:
        self._path = path
        self._target = target
        self._info = info
        self._pace = pace
        self._out: OutputContainer | None = None
        self._track: PictureTrack | None = None
        self._stamps: list[int] = []

    def write(self, frame: Frame) -> None:
        """Encode a frame; its time is on the output's clock.

        Raises:
            OutputError: the disk is full or the encoder fails.
            ValueError: times do not rise.
        """
        with telling_writes(self._path):
            if self._track is None:
                self._out = av.open(file_url(self._path), "w", format=_FORMAT)
                self._track = PictureTrack(self._out, self._target, self._info, pace=self._pace, given=frame.format)
            self._stamps += self._track.write(frame)

    def finish(self) -> SegmentInfo:
        """Complete the file and read it back.

        Raises:
            OutputError: the disk is full, or the file does not hold what was written.
        """
        if self._track is None or self._out is None:
            raise ValueError("a segment has at least one frame")
        with telling_writes(self._path):
            self._stamps += self._track.flush()
            self._out.close()
            self._out = None
        return SegmentInfo(
            np.array(self._stamps, np.int64), self._track.end, _read_back(self._path, packets=len(self._stamps))
        )

    def abandon(self) -> None:
        """Close the file as it is; harmless after `finish`."""
        if self._out is not None:
            with suppress(OSError, av.FFmpegError):
                self._out.close()
            self._out = None


@dataclass(frozen=True, slots=True)
class Segment:
    """A finished segment."""

    path: Path
    info: SegmentInfo


class JoinedFile:
    """The output while finished segments are copied into it.

    Decoding times are the presentation times in order, moved ahead by what the segment that reorders most needs:
    they rise over every joint, as those that encoders count for each segment do not.

    Args:
        part: the file to write.
        target: what it is to be.
        info: the source.
        segments: in order; each begins with a key frame and needs no other.
        pace: they were written at.
    """

    def __init__(self, part: Path, target: Target, info: MediaInfo, *, segments: Sequence[Segment], pace: Pace) -> None:
        self._target = target
        self._segments = segments
        self._pace = pace
        self._delay = max(segment.info.delay for segment in segments)
        self._file = OutFile(part, target, info, add_picture=self._add_picture)

    def copy(self) -> int:
        """Copy all packets of all segments; how many they are.

        Raises:
            OutputError: a segment is not what it was when it was finished.
        """
        starts = [int(segment.info.stamps.min()) for segment in self._segments]
        for segment, until in zip(self._segments, [*starts[1:], self._segments[-1].info.end], strict=True):
            self._copy(segment, until=until)
        return sum(len(segment.info.stamps) for segment in self._segments)

    def finish(self) -> Fraction:
        """Complete and close the file, and tell how long the picture lasts, s."""
        self._file.finish()
        first, last = self._segments[0].info, self._segments[-1].info
        return (last.end - int(first.stamps.min())) * self._pace.time_base

    @property
    def carried(self) -> Carried:
        """How the rest of the source fared."""
        return self._file.carried

    def abandon(self) -> None:
        """Close what is open."""
        self._file.abandon()

    def _copy(self, segment: Segment, *, until: int) -> None:
        """Copy a segment; `until` is when the next one begins, ticks."""
        stamps: list[int] = segment.info.stamps.tolist()
        shown = sorted(stamps)
        durations = {a: b - a for a, b in pairwise([*shown, until])}
        count = 0
        with open_source(segment.path) as source:
            for packet, stamp, due in zip(_packets(source), stamps, shown, strict=False):
                packet.time_base = self._pace.time_base
                packet.pts, packet.dts, packet.duration = stamp, due - self._delay, durations[stamp]
                packet.stream = self._picture
                self._out.mux(packet)
                self._file.pump(due * self._pace.time_base)
                count += 1
        if count != len(shown):
            raise OutputError(f"{segment.path} holds {count} of {len(shown)} frames")

    def _add_picture(self, out: OutputContainer) -> av.VideoStream:
        self._out = out
        with open_source(self._segments[0].path) as source:
            self._picture = out.add_stream_from_template(source.streams.video[0], opaque=True)
        self._picture.time_base = self._pace.time_base
        picture = picture_of_target(self._target, rate=self._pace.rate, time_base=self._pace.time_base)
        describe_video(self._picture, picture, encoder=self._target.encoder, muxer=out.format.name)
        return self._picture


def _packets(source: InputContainer) -> Iterator[av.Packet[Stream]]:
    return packets_of(source, [source.streams.video[0]], damaged=lambda: None)


def _read_back(path: Path, *, packets: int) -> str:
    """Digest of the file's decoder settings, after its packets were counted."""
    with open_source(path) as source:
        found = [packet.is_keyframe for packet in _packets(source)]
        header = source.streams.video[0].codec_context.extradata or b""
    if len(found) != packets or not found[0]:
        raise OutputError(f"{path} holds {len(found)} frames, {packets} were written", hint="Please report this.")
    return hashlib.sha256(header).hexdigest()
