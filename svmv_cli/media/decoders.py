"""The decoder for a stream: FFmpeg's own choice, or one that sees more. Knows no files."""

from __future__ import annotations

import av

Decoder = av.VideoStream | av.VideoCodecContext

# FFmpeg's own decoders of these leave transparency out, which Matroska keeps beside each picture.
_WITH_ALPHA = {"vp8": "libvpx", "vp9": "libvpx-vp9"}


def decoder_of(stream: av.VideoStream, *, threads: int) -> Decoder:
    """What decodes the stream's packets. To be made anew after a seek.

    Args:
        stream: of an open container.
        threads: how many the decoder may use.
    """
    stream.thread_type, stream.thread_count = "AUTO", threads
    wrapper = _WITH_ALPHA.get(stream.codec_context.codec.canonical_name)
    # A remux may have kept the word as a tag, and tags are written in capitals.
    transparent = any(key.lower() == "alpha_mode" and value == "1" for key, value in stream.metadata.items())
    if wrapper is None or not transparent:
        return stream
    context = av.CodecContext.create(wrapper, "r")
    if not isinstance(context, av.VideoCodecContext):
        raise TypeError(f"not a video decoder: {wrapper!r}")
    context.thread_count = threads
    return context
