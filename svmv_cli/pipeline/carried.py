"""What becomes of all but the picture, in sentences: one for what is converted, one for what is not kept."""

from svmv_cli.media.decision import StreamDecision
from svmv_cli.media.target import Target


def stream_notes(target: Target, *, chapters: int) -> tuple[str, ...]:
    """One sentence for what is encoded anew, one for what is left out.

    Args:
        target: what was decided.
        chapters: how many the source has.
    """
    converted = [_told(stream) for stream in target.streams if stream.action == "encode"]
    dropped = [_told(stream) for stream in target.streams if stream.action == "drop"]
    if chapters and target.container == "mpegts":
        dropped.append(f"{chapters} chapters (.ts has no place for them)")
    told = (("converted", converted), ("not kept", dropped))
    return tuple(f"{what}: {'; '.join(found)}" for what, found in told if found)


def lost_tags_note(lost: tuple[str, ...]) -> tuple[str, ...]:
    """One sentence for tags and flags that the output turned out not to have; none if it has all."""
    return (f"tags not kept: {'; '.join(lost)}",) if lost else ()


def _told(stream: StreamDecision) -> str:
    to = f" to {stream.encoder}" if stream.encoder else ""
    return f"{stream.kind} {stream.index}, {stream.codec}{to} ({stream.reason})"
