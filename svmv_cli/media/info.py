"""What a file is: the records `probe` fills. What the header claims stands apart from what was measured."""

from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np
import numpy.typing as npt

from svmv_cli.media.joins import Join
from svmv_cli.media.numbering import Numbering
from svmv_cli.media.y4m_header import Y4mHeader

Span = tuple[Fraction | None, Fraction | None]  # s, half-open; None is the beginning or the end


SITINGS = ("left", "centred", "top left", "top", "bottom left", "bottom")  # AVChromaLocation, from 1 on


@dataclass(frozen=True, slots=True)
class ColorInfo:
    """Colour tags as FFmpeg's integers (ITU-T H.273 code points).

    In primaries, transfer and matrix 2 is "unspecified"; in the chroma location 0 is.
    """

    primaries: int = 2
    transfer: int = 2
    matrix: int = 2
    full_range: bool = False
    chroma_location: int = 0  # AVChromaLocation


Chromaticity = tuple[Fraction, Fraction]  # CIE 1931 x, y


@dataclass(frozen=True, slots=True)
class MasteringDisplay:
    """The display a film was graded on (SMPTE ST 2086)."""

    red: Chromaticity
    green: Chromaticity
    blue: Chromaticity
    white: Chromaticity
    darkest: Fraction  # cd/m²
    brightest: Fraction  # cd/m²


@dataclass(frozen=True, slots=True)
class LightLevel:
    """The brightest there is in a film (CTA-861.3)."""

    pixel: int  # MaxCLL, cd/m²
    frame: int  # MaxFALL, cd/m²


@dataclass(frozen=True, slots=True)
class HdrInfo:
    """What is true of all pictures of an HDR film."""

    mastering: MasteringDisplay | None = None
    light: LightLevel | None = None


@dataclass(frozen=True, slots=True)
class FieldInfo:
    """Whether pictures are woven of two moments, their odd and their even lines."""

    interlaced: bool = False  # some are, at least
    flagged: bool = False  # and say so themselves, each for itself
    bottom_first: bool = False  # the header's word, for pictures that say nothing


@dataclass(frozen=True, slots=True)
class VideoInfo:
    """The video stream that will be interpolated."""

    index: int  # stream index in the container
    codec: str
    width: int  # px, as coded (before rotation)
    height: int  # px
    pix_fmt: str  # as decoded, FFmpeg name
    time_base: Fraction  # s per tick
    color: ColorInfo
    sample_aspect_ratio: Fraction  # 1 when unknown
    rotation: int  # degrees counter-clockwise, as the display matrix asks, mirroring apart
    fields: FieldInfo
    rate_claimed: Fraction | None  # frames/s by the header, snapped to k·1000/1001 where that is meant
    frames_claimed: int | None
    duration_claimed: Fraction | None  # s
    bit_rate: int | None  # bit/s
    # -- measured by reading every packet's timestamp, without decoding --
    packet_times: npt.NDArray[np.int64] = field(repr=False)  # sorted pts, in ticks of time_base
    last_duration: Fraction = Fraction(0)  # s, of the last picture; 0 when unknown
    display_matrix: tuple[int, ...] = ()  # FFmpeg's nine numbers; none for a picture shown as it is stored
    hdr: HdrInfo = HdrInfo()
    beside: tuple[str, ...] = ()  # what pictures carry beside their samples and new ones cannot, by names users know
    times_made_up: bool = False  # the file stores no timestamps: picture i is at packet_times[i], by count alone
    leading: int = 0  # pictures in front of packet_times that need one the file does not hold: it begins mid-GOP
    torn: int = 0  # packets that the demuxer saw damaged, and stretches it could not read

    @property
    def start(self) -> Fraction:
        """Time of the first picture, s; of a pipe 0."""
        if not len(self.packet_times):
            return Fraction(0)
        return int(self.packet_times[0]) * self.time_base


@dataclass(frozen=True, slots=True)
class StreamInfo:
    """Any other stream: sound, subtitles, data, attachment, a second video, cover art."""

    index: int
    kind: str  # "audio", "subtitle", "data", "attachment", "video"
    codec: str
    language: str | None = None
    title: str | None = None
    attached_picture: bool = False  # cover art: a "video" of one still picture
    handler: str | None = None  # what MP4 and MOV call the program for it
    timecode: str | None = None  # of the first picture, where the stream is a timecode track


@dataclass(frozen=True, slots=True)
class MediaInfo:
    """A source file."""

    path: Path
    format: str  # FFmpeg's demuxer name, e.g. "mov,mp4,m4a,3gp,3g2,mj2"
    size: int  # bytes
    duration_claimed: Fraction | None  # s, by the container's header
    start_claimed: Fraction  # s, earliest stream start by the container's header
    video: VideoInfo
    others: tuple[StreamInfo, ...] = ()
    chapters: int = 0
    others_end: Fraction | None = None  # s, where the last of the other streams ends; measured
    tags: tuple[tuple[str, str], ...] = ()
    plays: int | None = None  # of an animation: how often it is shown, 0 is for ever; None: it is no animation
    joins: tuple[Join, ...] = ()  # where other recordings begin, whose clocks are set to follow
    row: Numbering | None = None  # the pictures, when the source is a row of them
    stream: Y4mHeader | None = None  # its header, when the source is a pipe: it can be read once, and has no end yet

    @property
    def is_file(self) -> bool:
        """Whether the source is one file, that can be opened and searched as often as needed."""
        return self.row is None and self.stream is None
