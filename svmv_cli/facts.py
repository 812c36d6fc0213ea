"""What `svmv info` tells: of this machine, or of one file. Decides nothing."""

from dataclasses import replace
from pathlib import Path

from svmv_cli import terminal
from svmv_cli.errors import InputError
from svmv_cli.media.info import MediaInfo
from svmv_cli.media.inputs import examine
from svmv_cli.pipeline.arguments import sort_out
from svmv_cli.pipeline.inventory import take_inventory
from svmv_cli.pipeline.plan import Plan, make_plan
from svmv_cli.pipeline.records import Json, to_json
from svmv_cli.pipeline.request import Request


def tell_inventory(*, model: str, svmv_version: str, as_json: bool) -> None:
    """Print what is here.

    Args:
        model: the default one's name.
        svmv_version: this program's own.
        as_json: as one object on stdout.
    """
    inventory = take_inventory(model=model, svmv_version=svmv_version)
    if as_json:
        terminal.print_json(to_json(inventory))
    else:
        terminal.print_inventory(inventory)


def tell_media(path: Path, *, as_json: bool) -> None:
    """Print what a file carries and what would become of it with the default options.

    Raises:
        InputError: it is no video.
    """
    sources = sort_out([path], output=None, output_dir=None).sources
    if len(sources) > 1:
        raise InputError(f"{path} holds {len(sources)} videos", hint="Give one of them.")
    info = examine(sources[0])
    plan = make_plan(Request(sources[0]), info, binding=False)
    if as_json:
        terminal.print_json(_media_json(info, plan))
    else:
        terminal.print_media(plan, info)


def _media_json(info: MediaInfo, plan: Plan) -> Json:
    video = to_json(replace(info.video, packet_times=()))  # type: ignore[arg-type]
    if not isinstance(video, dict):
        raise TypeError("a record becomes an object")
    del video["packet_times"]
    return {
        "path": str(info.path),
        "format": info.format,
        "bytes": info.size,
        "chapters": info.chapters,
        "frames": len(info.video.packet_times),
        "rate": to_json(plan.source_rate),
        "video": video,
        "others": to_json(info.others),
        "streams": to_json(plan.target.streams),
        "container": plan.target.container,
        "missing_frames": plan.missing,
        "notes": to_json(plan.notes),
    }
