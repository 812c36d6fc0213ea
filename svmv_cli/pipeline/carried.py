"""What becomes of all but the picture, in sentences: one for what is converted, one for what is not kept."""

from svmv_cli.media.decision import StreamDecision


def stream_notes(streams: tuple[StreamDecision, ...]) -> tuple[str, ...]:
    """One sentence for the streams that are encoded anew, one for those that are left out.

    Args:
        streams: what was decided about each.
    """
    return (*_told("converted", streams, "encode"), *_told("not kept", streams, "drop"))


def lost_tags_note(lost: tuple[str, ...]) -> tuple[str, ...]:
    """One sentence for tags and flags that the output turned out not to have; none if it has all."""
    return (f"tags not kept: {'; '.join(lost)}",) if lost else ()


def _told(what: str, streams: tuple[StreamDecision, ...], action: str) -> tuple[str, ...]:
    told = [f"{_name(stream)} ({stream.reason})" for stream in streams if stream.action == action]
    return (f"{what}: {'; '.join(told)}",) if told else ()


def _name(stream: StreamDecision) -> str:
    to = f" to {stream.encoder}" if stream.encoder else ""
    return f"{stream.kind} {stream.index}, {stream.codec}{to}"
