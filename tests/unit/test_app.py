import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from svmv_cli.errors import OutputError
from tests.fakes import Blend
from tests.media import cut, make_clip
from tests.reading import read_numbers

Call = Callable[..., object]
HELP = "import sys; from svmv_cli.app import main\ntry: main()\nexcept SystemExit: pass\n"
LIGHT = HELP + "heavy = {'torch', 'av', 'numpy'} & set(sys.modules)\nassert not heavy, heavy"


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["upsample", "--help"], ["info", "--help"]])
def test_help_imports_nothing_heavy_and_is_quick(arguments: list[str]) -> None:
    def call() -> float:
        began = cpu_seconds()
        subprocess.run([sys.executable, "-c", LIGHT, *arguments], check=True, capture_output=True, timeout=30)
        return cpu_seconds() - began

    # The best of a few, in CPU time: other work on the machine is not the command's fault. To read the arguments of a
    # subcommand typer loads pydantic, half as much again.
    assert min(call() for _ in range(4)) <= (0.3 if len(arguments) == 1 else 0.45)


def cpu_seconds() -> float:
    """Of all children that have ended."""
    times = os.times()
    return times.children_user + times.children_system


@pytest.mark.parametrize("said", [{}, {"GOMP_SPINCOUNT": "5"}, {"OMP_WAIT_POLICY": "active"}])
def test_threads_wait_politely_unless_the_user_says_how(said: dict[str, str]) -> None:
    mine = {key: value for key, value in os.environ.items() if key not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    code = HELP + "import os; print(os.environ.get('GOMP_SPINCOUNT'), 'torch' in sys.modules)"
    command = [sys.executable, "-c", code, "--version"]
    told = subprocess.run(command, env=mine | said, capture_output=True, text=True, check=True, timeout=60)
    expected = said.get("GOMP_SPINCOUNT", "None" if said else "1000")
    assert told.stdout.splitlines()[-1] == f"{expected} False"


def test_the_version_is_one_line(svmv: Call) -> None:
    result = svmv("--version")
    assert result.code == 0
    assert result.stdout.startswith("svmv ")
    assert len(result.stdout.splitlines()) == 1


def test_a_video_is_upsampled(svmv: Call, clip: Path) -> None:
    result = svmv("upsample", clip, "--factor", "3")
    assert result.code == 0, result.stderr
    assert read_numbers(clip.with_name("in_3x.mp4"))[::3] == list(range(24))
    assert not result.stdout
    assert "24 frames became 72 (72 fps)" in result.stderr
    assert "\r" not in result.stderr


def test_quiet_says_nothing(svmv: Call, clip: Path, tmp_path: Path) -> None:
    result = svmv("upsample", clip, tmp_path / "out.mkv", "-q")
    assert (result.code, result.stdout, result.stderr) == (0, "", "")
    assert (tmp_path / "out.mkv").exists()


def test_without_progress_notes_are_told_all_the_same(svmv: Call, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mkv", frames=4, codec="ffv1", pix_fmt="yuva420p").path
    for extra, told in (([], True), (["-q"], False)):
        result = svmv("upsample", clip, "-o", tmp_path / "out.mp4", "-y", "--progress", "none", *extra)
        assert (result.code, "transparency is lost" in result.stderr) == (0, told)


def test_json_is_one_object(svmv: Call, clip: Path) -> None:
    result = svmv("upsample", clip, "--json", "--progress", "json")
    data = json.loads(result.stdout)
    assert (data["status"], data["frames_in"], data["frames_out"], data["exit_code"]) == ("ok", 24, 48, 0)
    assert data["streams"][0]["action"] == "copy"
    events = [json.loads(line) for line in result.stderr.splitlines()]
    assert events[-1]["event"] == "stop"


def test_a_dry_run_creates_nothing(svmv: Call, network: Blend, clip: Path, tmp_path: Path) -> None:
    before = sorted(tmp_path.rglob("*"))
    result = svmv("upsample", clip, "--fps", "60", "--dry-run", "--json", "--output-dir", tmp_path / "new")
    assert result.code == 0
    assert sorted(tmp_path.rglob("*")) == before
    data = json.loads(result.stdout)
    assert (data["status"], data["frames_out"]) == ("planned", 60)
    for word in ("60 fps out", "24 in, 60 out", "audio aac: kept", "disk"):
        assert word in result.stderr
    assert not network.calls


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--factor", "2", "--fps", "60"], "--factor excludes"),
        (["--factor", "1"], "2 or more"),
        (["--fps", "fast"], "not a frame rate"),
        (["--start", "soon"], "not a time"),
        (["--start", "9"], "no frame of"),
        (["--dedup", "99"], "--dedup"),
        (["--cut-threshold", "3"], "between 0 and 1"),
        (["--batch", "0"], "1 or more"),
        (["--crf", "99"], "crf"),
        (["--encoder", "gpu"], "gpu"),
        (["--no-such-option"], "no-such-option"),
        (["-o", "a.mp4", "--output-dir", "b"], "exclude each other"),
    ],
)
def test_usage_errors_are_2(svmv: Call, clip: Path, arguments: list[str], words: str) -> None:
    result = svmv("upsample", clip, *arguments)
    assert result.code == 2
    assert words.lower() in result.stderr.lower()
    assert "Traceback" not in result.stderr
    assert list(clip.parent.iterdir()) == [clip]


def bad_inputs(folder: Path) -> dict[str, Path]:
    paths = {name: folder / f"{name}.mp4" for name in ("missing", "empty", "text", "noise")}
    paths["empty"].touch()
    paths["text"].write_text("these are words, not pictures\n" * 50)
    paths["noise"].write_bytes(bytes(range(256)) * 40)
    whole = make_clip(folder / "whole.mp4", frames=12).path
    paths["headless"] = cut(whole, folder / "headless.mp4", 0.5)
    paths["sound"] = folder / "sound.m4a"
    import av
    import numpy as np

    with av.open(paths["sound"], "w") as out:
        stream = out.add_stream("aac", rate=48000)
        for i in range(10):
            block = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            block.sample_rate, block.pts = 48000, 1024 * i
            out.mux(stream.encode(block))
        out.mux(stream.encode(None))
    return paths


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "noise", "headless", "sound"])
def test_bad_inputs_are_3_in_one_sentence(svmv: Call, tmp_path: Path, kind: str) -> None:
    path = bad_inputs(tmp_path)[kind]
    result = svmv("upsample", path)
    assert result.code == 3
    assert result.stderr.startswith("svmv: ")
    assert 1 <= len(result.stderr.splitlines()) <= 2
    assert "Traceback" not in result.stderr


def test_an_empty_folder_is_3(svmv: Call, tmp_path: Path) -> None:
    assert svmv("upsample", tmp_path).code == 3


def test_existing_outputs_are_4_and_unchanged(svmv: Call, clip: Path) -> None:
    target = clip.with_name("in_2x.mp4")
    target.write_bytes(b"precious")
    result = svmv("upsample", clip)
    assert result.code == 4
    assert "-y" in result.stderr
    assert target.read_bytes() == b"precious"
    assert svmv("upsample", clip, "-o", target).code == 4
    assert svmv("upsample", clip, "-y").code == 0
    assert read_numbers(target)[::2] == list(range(24))


def test_a_batch_goes_on_where_outputs_are_missing(svmv: Call, clip: Path, tmp_path: Path) -> None:
    second = make_clip(tmp_path / "second.mp4", frames=4).path
    done = clip.with_name("in_2x.mp4")
    done.write_bytes(b"precious")
    files = (clip, second, "--output-dir", tmp_path, "--skip-existing")
    assert svmv("upsample", *files, "--dry-run").code == 0
    result = svmv("upsample", *files, "--json")
    assert (result.code, "skipped" in result.stderr) == (0, True)
    assert [one["status"] for one in json.loads(result.stdout)["files"]] == ["skipped", "ok"]
    assert done.read_bytes() == b"precious"
    assert (tmp_path / "second_2x.mp4").exists()
    assert svmv("upsample", *files, "-y").code == 2


def test_the_input_is_never_written_to(svmv: Call, clip: Path) -> None:
    content = clip.read_bytes()
    link = clip.with_name("link.mp4")
    link.symlink_to(clip)
    for target in (clip, link):
        for extra in ([], ["-y"]):
            assert svmv("upsample", clip, target, *extra).code == 4
            assert svmv("upsample", clip, "-o", target, *extra).code == 4
    assert clip.read_bytes() == content


def test_two_existing_files_are_asked_about(svmv: Call, clip: Path, tmp_path: Path) -> None:
    second = make_clip(tmp_path / "second.mp4", frames=4).path
    content = second.read_bytes()
    for extra in ([], ["-y"]):  # `*.mp4` may have matched two films
        result = svmv("upsample", clip, second, *extra)
        assert result.code == 2
        assert "--output-dir" in result.stderr
        assert second.read_bytes() == content
    assert svmv("upsample", clip, second, "--output-dir", tmp_path / "out").code == 0


def test_out_of_memory_is_6(svmv: Call, network: Blend, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "_fail_after", 2)
    result = svmv("upsample", clip)
    assert result.code == 6
    assert "out of memory" in result.stderr
    assert not clip.with_name("in_2x.mp4").exists()


def test_a_full_disk_is_4(svmv: Call, network: Blend, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_args: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(network, "between", full)
    result = svmv("upsample", clip)
    assert result.code == 4
    assert "disk is full" in result.stderr


def test_the_unforeseen_is_1_and_debug_shows_it(
    svmv: Call, network: Blend, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object) -> None:
        raise ZeroDivisionError("surprise")

    monkeypatch.setattr(network, "between", broken)
    result = svmv("upsample", clip)
    assert result.code == 1
    assert "ZeroDivisionError: surprise" in result.stderr
    assert "--debug" in result.stderr
    assert "Traceback" not in result.stderr
    with pytest.raises(ZeroDivisionError):
        svmv("upsample", clip, "--debug")


def test_a_batch_goes_on_after_a_failure(svmv: Call, tmp_path: Path) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    for number in (1, 2, 10):
        make_clip(folder / f"f{number}.mp4", frames=4, audio=1)
    (folder / "f3.mp4").write_text("no film")
    result = svmv("upsample", folder, "--output-dir", tmp_path / "out", "--json")
    assert result.code == 1
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["f10_2x.mp4", "f1_2x.mp4", "f2_2x.mp4"]
    data = json.loads(result.stdout)
    assert [Path(f["source"]).name for f in data["files"]] == ["f1.mp4", "f2.mp4", "f3.mp4", "f10.mp4"]
    assert [f["exit_code"] for f in data["files"]] == [0, 0, 3, 0]
    assert (data["status"], data["exit_code"]) == ("failed", 1)
    table = result.stderr.splitlines()[-4:]
    assert [line.split()[1] for line in table] == ["ok", "ok", "failed", "ok"]


def test_a_batch_where_all_goes_well_is_0(svmv: Call, tmp_path: Path) -> None:
    for number in (1, 2):
        make_clip(tmp_path / f"f{number}.mp4", frames=3)
    assert svmv("upsample", tmp_path).code == 0
    # The outputs beside the inputs are not taken for inputs.
    assert len(json.loads(svmv("upsample", tmp_path, "--factor", "3", "--json", "-q").stdout)["files"]) == 2


def test_info_tells_of_a_file(svmv: Call, tmp_path: Path) -> None:
    path = make_clip(tmp_path / "in.mkv", audio=2, subtitles=True, chapters=True).path
    result = svmv("info", path)
    assert result.code == 0
    for word in ("h264 96x64 yuv420p", "24 frames", "24 fps", "audio aac: kept", "subtitle", "chapters"):
        assert word in result.stdout
    data = json.loads(svmv("info", path, "--json").stdout)
    assert (data["frames"], data["rate"], data["chapters"]) == (24, "24", 2)
    assert svmv("info", tmp_path / "none.mp4").code == 3


def test_info_needs_no_place_for_an_output(svmv: Call, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, **_options: object) -> None:
        raise OutputError(f"the folder {path.parent} cannot be written to")

    monkeypatch.setattr("svmv_cli.pipeline.naming.check_output", refuse)
    assert svmv("upsample", clip, "-y").code == 4
    assert svmv("info", clip).code == 0
