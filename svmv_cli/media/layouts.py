"""Speaker layouts: which of them a player still finds named in what an encoder made. Knows no streams."""

import av

# AAC takes others too, without a word about where their speakers stand; Opus refuses them.
_NAMED = {
    "aac": ("mono", "stereo", "2.1", "3.0", "3.0(back)", "4.0", "quad", "5.0", "5.1", "7.1"),
    "libopus": ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1"),
}
_NEAR = {"SL": "BL", "SR": "BR"}  # a pair at the sides is as good as one behind: few rooms have both


def layout_for(encoder: str, source: av.AudioLayout) -> str:
    """The layout to encode in: the source's own, or the nearest of as many channels that stays named.

    Args:
        encoder: FFmpeg encoder.
        source: the track's; its own comes back where none is near, for the encoder to take or to refuse.
    """
    # Some files count channels without saying which is which; then the usual order is meant.
    own = av.AudioLayout(f"{source.nb_channels}c") if source.name.endswith("channels") else source
    able = [name for name in _NAMED.get(encoder, ()) if av.AudioLayout(name).nb_channels == own.nb_channels]
    if own.name in able:
        return own.name
    shared = {name: len(_places(av.AudioLayout(name)) & _places(own)) for name in able}
    nearest = max(able, key=shared.__getitem__, default=None)
    return nearest if nearest is not None and shared[nearest] else own.name


def _places(layout: av.AudioLayout) -> set[str]:
    return {_NEAR.get(channel.name, channel.name) for channel in layout.channels}
