"""A look at some pictures here and there in a film: what they say of themselves. Knows not what for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.sidedata.sidedata import Type

from svmv_cli.media.hdr import side_data_of
from svmv_cli.media.opening import packets_of

_PLACES = (0.0, 0.3, 0.7)  # of the film: titles differ from what follows
_LOOKED_AT = 6  # pictures at each place
_TRIED = 100  # packets for them: where none can be decoded, others will not either


@dataclass(frozen=True, slots=True)
class Glimpse:
    """What one picture says."""

    interlaced: bool
    carries: frozenset[Type]  # kinds of data beside its samples


def glimpses_of(container: InputContainer, stream: av.VideoStream, times: npt.NDArray[np.int64]) -> tuple[Glimpse, ...]:
    """Some pictures from the beginning, the middle and further on; none of a file that cannot be searched in.

    Args:
        container: open; it is left at another place.
        stream: the video in it.
        times: of its pictures, rising, ticks.
    """
    ticks = (int(times[int(place * len(times))]) for place in _PLACES)
    return tuple(glimpse for tick in ticks for glimpse in _seen_at(container, stream, tick))


def _seen_at(container: InputContainer, stream: av.VideoStream, tick: int) -> Iterator[Glimpse]:
    try:
        container.seek(tick, stream=stream, backward=True)
    except av.FFmpegError:
        return
    packets = islice(packets_of(container, [stream], damaged=lambda: None), _TRIED)
    for picture in islice(_decoded(stream, packets), _LOOKED_AT):
        yield Glimpse(picture.interlaced_frame, frozenset(data.type for data in side_data_of(picture)))


def _decoded(stream: av.VideoStream, packets: Iterable[av.Packet[av.stream.Stream]]) -> Iterator[av.VideoFrame]:
    for packet in packets:
        try:
            yield from stream.decode(packet)
        except av.FFmpegError:
            continue
