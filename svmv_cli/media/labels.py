"""Words and flags that describe a file and its streams: which of them last, and which were lost. Knows no time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

from av.container import InputContainer
from av.stream import Disposition, Stream

from svmv_cli.media.opening import open_source

# True of the old file only: written by its muxer, or counted in its frames.
_STALE = frozenset(
    {
        "encoder",
        "software",
        "major_brand",
        "minor_version",
        "compatible_brands",
        "duration",
        "timecode",
        "rotate",
        "bps",
        "number_of_frames",
        "number_of_bytes",
        "vendor_id",
        "alpha_mode",  # the muxer knows better whether there is transparency
    }
)
_UNSEEN = frozenset({"handler_name", "creation_time", "alpha_mode"})  # of a stream: nobody misses them
_FLAGS = (
    Disposition.default,
    Disposition.forced,
    Disposition.comment,
    Disposition.original,
    Disposition.dub,
    Disposition.hearing_impaired,
    Disposition.visual_impaired,
)
_UNKNOWN = "und"  # a language
# MP4 and MOV keep these only in a list of free keys, which plays no part in files of other makers.
_FREE_KEYS = ("com.apple.", "com.android.")


def lasting(metadata: Mapping[str, str]) -> dict[str, str]:
    """Tags that stay true of the output."""
    kept = {
        key: value
        for key, value in metadata.items()
        if key.lower() not in _STALE and not key.lower().startswith("_statistics")
    }
    if "name" in kept and "title" not in kept:  # MP4's and MOV's name for a track's title
        kept["title"] = kept.pop("name")
    return kept


def has_free_keys(keys: Iterator[str]) -> bool:
    """Whether tags of phones and cameras are among these, which MP4 and MOV write only if told to."""
    return any(key.startswith(_FREE_KEYS) for key in keys)


def lost_tags(source: Path, output: Path, *, pairs: Mapping[int, int]) -> tuple[str, ...]:
    """Tags and flags of the source that the output does not have, in words.

    Args:
        source: the one file.
        output: the other, complete.
        pairs: stream indices, of the source to the output.
    """
    with open_source(source) as before, open_source(output) as after:
        return tuple(_lost(before, after, pairs))


def _lost(before: InputContainer, after: InputContainer, pairs: Mapping[int, int]) -> Iterator[str]:
    # A language behind a key says in which one the same is told once more.
    yield from sorted(
        key
        for key in _missing(before.metadata, after.metadata)
        if not any(key.startswith(f"{k}-") for k in before.metadata)
    )
    kinds = Counter(stream.type for stream in before.streams)
    for index, counterpart in pairs.items():
        if counterpart >= len(after.streams):
            continue  # a muxer left out a track that got no packets
        one, other = before.streams[index], after.streams[counterpart]
        flags = one.disposition & ~other.disposition
        if kinds[one.type] == 1:  # the only one needs no flag to be chosen
            flags &= ~Disposition.default
        lost = [key for key in _missing(one.metadata, other.metadata) if key not in _UNSEEN]
        lost += [f"the flag {flag.name}" for flag in _FLAGS if flag & flags]
        if lost:
            yield f"of the {_kind(one)} {index} {', '.join(sorted(lost))}"


def _missing(before: Mapping[str, str], after: Mapping[str, str]) -> list[str]:
    there = {key.lower() for key in lasting(after)}
    said = (key.lower() for key, value in lasting(before).items() if value != _UNKNOWN)
    return [key for key in said if key not in there]


def _kind(stream: Stream) -> str:
    return {"video": "picture", "audio": "sound", "subtitle": "subtitles"}.get(stream.type, stream.type)
