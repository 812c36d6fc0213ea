"""Cover art on its way between containers that keep it differently. Knows no time."""

from pathlib import Path

from av.container import OutputContainer

from svmv_cli.media.opening import open_source, packets_of

_IMAGES = {
    "mjpeg": ("cover.jpg", "image/jpeg"),
    "png": ("cover.png", "image/png"),
    "webp": ("cover.webp", "image/webp"),
}


def attach_cover(out: OutputContainer, source: Path, *, index: int, codec: str) -> None:
    """Attach the picture of a cover stream as a file, as Matroska keeps it.

    Args:
        out: the output, header not yet written.
        source: the file the cover is in.
        index: of its stream there.
        codec: of the picture, FFmpeg's name.
    """
    name, kind = _IMAGES.get(codec, (f"cover.{codec}", f"image/{codec}"))
    with open_source(source) as container:
        stream = container.streams[index]
        picture = next(packets_of(container, [stream], damaged=lambda: None), None)
        if picture is not None:
            out.add_attachment(
                stream.metadata.get("filename", name), stream.metadata.get("mimetype", kind), bytes(picture)
            )
