"""An open output container: the picture's stream, added by whoever fills it, and all else the source carried."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer
from av.stream import Stream

from svmv_cli.media.containers import container_for
from svmv_cli.media.ebml import PADDING, write_display_size
from svmv_cli.media.info import MediaInfo
from svmv_cli.media.labels import has_free_keys, lost_tags
from svmv_cli.media.opening import file_url
from svmv_cli.media.passthrough import Passthrough
from svmv_cli.media.target import Target

_NULL_PACKET = b"\x47\x1f\xff\x10".ljust(188, b"\xff")
_SHORTEST_TS = 20 * len(_NULL_PACKET)  # bytes; M2TS files are longer from the start


@dataclass(frozen=True, slots=True)
class Carried:
    """How the source's other streams and its tags fared."""

    damaged: int  # packets of other streams that are broken
    lost_tags: tuple[str, ...]  # words and flags that the finished file does not have


class OutFile:
    """A container being written, with the source's other streams beside the picture.

    Args:
        part: the file to write.
        target: what it is to be.
        info: the source.
        add_picture: adds the stream of the picture, which is the first.
    """

    def __init__(
        self, part: Path, target: Target, info: MediaInfo, *, add_picture: Callable[[OutputContainer], av.VideoStream]
    ) -> None:
        self._part, self._target = part, target
        self._shaped = target.container in {"matroska", "webm"} and target.sample_aspect_ratio != 1
        options = dict(container_for(target.path).options)
        if "movflags" in options and has_free_keys(key for key, _ in info.tags):
            options["movflags"] += "+use_metadata_tags"
        if target.container in {"matroska", "webm"}:
            options["fflags"] = "+bitexact"  # else tracks and the segment get random numbers: no two runs alike
        self._source = info.path
        self._out = av.open(file_url(part), "w", format=target.container, container_options=options)
        try:
            picture = add_picture(self._out)
            self._others = self._join(target, info)
            self._others.dress(picture, info.video.index)
            if self._shaped:
                picture.metadata["title"] = picture.metadata.get("title", "") + PADDING
            self._picture = info.video.index
            if target.timecode is not None:
                picture.metadata["timecode"] = target.timecode
        except BaseException:
            self._close_out()
            raise

    def _join(self, target: Target, info: MediaInfo) -> Passthrough | _Nothing:
        """What else the source carries; rows of pictures and pipes carry nothing."""
        if not info.is_file:
            return _Nothing()
        return Passthrough(self._out, info, decisions=target.streams, clock=target.clock, clip=target.clip)

    def pump(self, until: Fraction) -> None:
        """Mux what the other streams have up to `until`, s on the output's clock."""
        self._others.pump(until)

    def finish(self) -> None:
        """Mux the rest of the other streams and complete the file."""
        self._others.finish()
        self._others.close()
        self._out.close()
        if self._target.container == "mpegts":
            _pad(self._part)
        if self._shaped:
            target = self._target
            shape = target.sample_aspect_ratio
            write_display_size(self._part, width=target.width, height=target.height, shape=shape)

    @property
    def carried(self) -> Carried:
        """How the rest of the source fared; to be asked when the file is finished."""
        if isinstance(self._others, _Nothing):
            return Carried(0, ())
        pairs = {self._picture: 0, **self._others.pairs}
        return Carried(self._others.damaged, lost_tags(self._source, self._part, pairs=pairs))

    def abandon(self) -> None:
        """Close what is open; the file is thrown away."""
        try:
            self._others.close()
        finally:
            self._close_out()

    def _close_out(self) -> None:
        # That it cannot be completed is no matter.
        with suppress(OSError, av.FFmpegError):
            self._out.close()


def _pad(part: Path) -> None:
    """Fill up a TS too short to be recognised as one, as two small pictures are, with packets that say nothing."""
    with part.open("ab") as file:
        while 0 < file.tell() < _SHORTEST_TS:
            file.write(_NULL_PACKET)


class _Nothing:
    """In place of a `Passthrough`, where there is only the picture."""

    def dress(self, stream: Stream, index: int) -> None:
        """Nothing to tell."""

    def pump(self, until: Fraction) -> None:
        """Nothing to mux."""

    def finish(self) -> None:
        """Nothing is left."""

    def close(self) -> None:
        """Nothing is open."""
