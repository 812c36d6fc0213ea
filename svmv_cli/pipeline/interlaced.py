"""What becomes of interlaced pictures: the user's word and the file's facts, decided. Decodes nothing."""

from dataclasses import replace
from typing import Literal

from svmv_cli.errors import InputError
from svmv_cli.media.fields import Deinterlace, by_field, can_deinterlace
from svmv_cli.media.info import MediaInfo
from svmv_cli.pipeline.request import Moment, Request

Choice = Literal["auto", "frames", "fields", "off", "refuse"]


def deinterlace_for(choice: Choice, info: MediaInfo, *, binding: bool) -> Deinterlace:
    """How the reader is to treat the pictures.

    Raises:
        InputError: they are interlaced, that is to be refused, and `binding` says that it matters.
    """
    fields = info.video.fields
    if choice == "refuse" and fields.interlaced and binding:
        raise InputError(
            f"{info.path} is interlaced",
            hint="Leave --deinterlace refuse out to make whole pictures of its fields.",
        )
    if not can_deinterlace(info.video):
        return "off"
    if choice == "frames" or choice == "fields":
        return choice
    if choice != "auto" or not fields.interlaced:
        return "off"
    return "flagged" if fields.flagged else "frames"


def as_read(request: Request, info: MediaInfo, how: Deinterlace) -> tuple[Request, MediaInfo]:
    """Request and source in terms of the pictures the reader gives: by field, each of the file's is two."""
    if how != "fields":
        return request, info
    start, end = _by_field(request.start), _by_field(request.end)
    return replace(request, start=start, end=end), replace(info, video=by_field(info.video))


def interlaced_notes(info: MediaInfo, how: Deinterlace) -> tuple[str, ...]:
    """What the user should know about the fields."""
    if not info.video.fields.interlaced or how == "fields":
        return ()
    if how == "off":
        return ("the source is interlaced: its fields will comb; --deinterlace auto makes whole pictures of them",)
    return (
        "the source is interlaced: each frame is made whole by bwdif; --deinterlace fields makes two of it, "
        "one per field, and keeps all of its motion",
    )


def _by_field(moment: Moment | None) -> Moment | None:
    return moment if moment is None or moment.frame is None else Moment(frame=2 * moment.frame)
