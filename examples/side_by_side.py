"""Puts one gap of the source beside what was made of it: two source frames around the new ones between them.

python examples/side_by_side.py demo/in.mp4 demo/out.mp4 demo/side-by-side.png
"""

import argparse
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import numpy.typing as npt

_GUTTER = 8  # px


def frames(path: Path, start: Fraction, stop: Fraction) -> list[npt.NDArray[np.uint8]]:
    """RGB pictures with start ≤ time ≤ stop, s from the first one."""
    found: list[npt.NDArray[np.uint8]] = []
    with av.open(str(path)) as source:
        stream = source.streams.video[0]
        first: Fraction | None = None
        for frame in source.decode(stream):
            assert frame.pts is not None and stream.time_base is not None
            time = frame.pts * stream.time_base
            first = time if first is None else first
            if time - first > stop:
                break
            if time - first >= start:
                found.append(frame.to_ndarray(format="rgb24"))
    return found


def sheet(source: list[npt.NDArray[np.uint8]], made: list[npt.NDArray[np.uint8]]) -> npt.NDArray[np.uint8]:
    """Upper row: the two source frames and their plain average between; lower row: the frames made, all of them."""
    first, last = source[0], source[-1]
    blend = ((first.astype(np.uint16) + last) // 2).astype(np.uint8)
    blank = np.full_like(first, 255)
    side = (len(made) - 3) // 2
    upper = [first, *[blank] * side, blend, *[blank] * side, last]
    rows = [
        np.concatenate([np.pad(p, ((0, _GUTTER), (0, _GUTTER), (0, 0)), constant_values=255) for p in row], axis=1)
        for row in (upper, made)
    ]
    return np.concatenate(rows)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("made", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--gap", type=int, default=14, help="which gap of the source to show")
    options = parser.parse_args()
    with av.open(str(options.source)) as source:
        rate = source.streams.video[0].average_rate
        assert rate is not None
    start, tick = options.gap / rate, Fraction(1, 1000)
    stop = start + 1 / rate
    original = frames(options.source, start - tick, stop + tick)
    picture = sheet(original, frames(options.made, start - tick, stop + tick))
    with av.open(str(options.picture), "w", format="image2") as out:
        stream = out.add_stream("png", rate=1)
        stream.height, stream.width = picture.shape[:2]
        stream.pix_fmt = "rgb24"
        out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    print(
        f"result:       {options.made}\nside by side: {options.picture}  (above: the source's two frames and their "
        "average; below: every frame of the result from one to the other)"
    )


if __name__ == "__main__":
    main()
