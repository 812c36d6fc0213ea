"""An open output container: the picture's stream, added by whoever fills it, and all else the source carried."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer

from svmv_cli.media.containers import container_for
from svmv_cli.media.ebml import PADDING, write_display_size
from svmv_cli.media.info import MediaInfo
from svmv_cli.media.passthrough import Passthrough
from svmv_cli.media.target import Target


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
        self._out = av.open(part, "w", format=target.container, container_options=options)
        try:
            picture = add_picture(self._out)
            self._others = Passthrough(self._out, info, decisions=target.streams, clock=target.clock, clip=target.clip)
            self._others.dress(picture, info.video.index)
            if self._shaped:
                picture.metadata["title"] = picture.metadata.get("title", "") + PADDING
        except BaseException:
            self._close_out()
            raise

    @property
    def damaged_others(self) -> int:
        """Broken packets met so far in the source's other streams."""
        return self._others.damaged

    def pump(self, until: Fraction) -> None:
        """Mux what the other streams have up to `until`, s on the output's clock."""
        self._others.pump(until)

    def finish(self) -> None:
        """Mux the rest of the other streams and complete the file."""
        self._others.finish()
        self._others.close()
        self._out.close()
        if self._shaped:
            target = self._target
            shape = target.sample_aspect_ratio
            write_display_size(self._part, width=target.width, height=target.height, shape=shape)

    def abandon(self) -> None:
        """Close what is open; the file is thrown away."""
        self._others.close()
        self._close_out()

    def _close_out(self) -> None:
        # That it cannot be completed is no matter.
        with suppress(OSError, av.FFmpegError):
            self._out.close()
