from fractions import Fraction
from pathlib import Path

import pytest

from svmv_cli.errors import DamagedError, DeviceError, OutputError, SvmvError
from svmv_cli.media.probe import probe
from svmv_cli.media.target import Target
from svmv_cli.pipeline import run as running
from svmv_cli.pipeline.batch import exit_code, run_all
from svmv_cli.pipeline.failures import InternalError, explain
from svmv_cli.pipeline.plan import make_plan
from svmv_cli.pipeline.report import Report, Silent
from svmv_cli.pipeline.request import Moment, Request
from tests.fakes import Blend
from tests.media import draw, make_clip
from tests.reading import number_of, read_numbers, read_planes, read_times


class Counting(Silent):
    def __init__(self) -> None:
        self.frames = 0

    def advance(self, frames: int) -> None:
        self.frames += frames


def run(path: Path, *, interpolator: Blend | None = None, **options: object) -> Report:
    info = probe(path)
    plan = make_plan(Request(path, **options), info)  # type: ignore[arg-type]
    return running.run(plan, info=info, interpolator=interpolator or Blend(), progress=Silent())


@pytest.fixture
def lossless(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "in.mkv", codec="ffv1").path


def test_source_frames_are_bit_exact_and_counts_are_exact(lossless: Path) -> None:
    report = run(lossless, factor=4, codec="ffv1")
    assert (report.status, report.frames_in, report.frames_out) == ("ok", 24, 96)
    assert (report.frames_made, report.frames_held) == (23 * 3, 3)
    before, after = read_planes(lossless), read_planes(report.output)
    assert len(after) == 96
    for a, b in zip(before, after[::4], strict=True):
        assert all((x == y).all() for x, y in zip(a, b, strict=True))
    assert all((x == y).all() for x, y in zip(after[92], after[95], strict=True))
    assert report.duration == 1


def test_in_betweens_lie_between_their_neighbours(lossless: Path) -> None:
    made = read_planes(run(lossless, factor=2, codec="ffv1").output)
    source = read_planes(lossless)
    middle = (source[3][0].astype(int) + source[4][0] + 1) // 2
    assert abs(made[7][0].astype(int) - middle).max() <= 1


def test_times_are_a_grid(lossless: Path) -> None:
    report = run(lossless, fps=Fraction(60), codec="ffv1")
    times = read_times(report.output)
    assert len(times) == 60
    assert max(abs(t - Fraction(j, 60)) for j, t in enumerate(times)) <= Fraction(1, 1000)


def test_a_clip_begins_and_ends_exactly(lossless: Path) -> None:
    report = run(lossless, factor=2, codec="ffv1", start=Moment(frame=5), end=Moment(seconds=Fraction(1, 2)))
    numbers = read_numbers(report.output)[::2]
    assert numbers == list(range(5, 12))
    assert read_times(report.output)[0] == 0


def test_slow_motion_keeps_the_rate(clip: Path) -> None:
    report = run(clip, slow=3)
    assert (report.frames_out, report.duration, report.rate) == (72, 3, 24)


def test_a_variable_rate_keeps_its_own_times(tmp_path: Path) -> None:
    times = [Fraction(t, 1000) for t in (0, 40, 55, 120, 160, 300)]
    path = make_clip(tmp_path / "in.mkv", times=times, codec="ffv1").path
    report = run(path, factor=2, codec="ffv1")
    assert report.rate is None
    assert read_times(report.output)[::2] == times
    assert read_numbers(report.output)[::2] == list(range(6))


def test_a_cut_is_held_and_reported_on_the_outputs_clock(tmp_path: Path) -> None:
    import av
    import numpy as np

    path = tmp_path / "in.mkv"
    with av.open(path, "w") as out:
        stream = out.add_stream("ffv1", rate=24)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for i in range(24):
            planes = list(draw(i, size=(96, 64), pix_fmt="yuv420p", seed=0))
            if i >= 12:
                planes[0] = 255 - planes[0][::-1] // 3
            picture = np.concatenate([plane.ravel() for plane in planes]).reshape(96, 96)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="yuv420p")))
        out.mux(stream.encode(None))
    report = run(path, factor=4, codec="ffv1", slow=None)
    assert report.cuts == (Fraction(1, 2),)
    made = read_planes(report.output)
    assert all((made[44][0] == frame[0]).all() for frame in made[45:48])
    assert not (made[48][0] == made[47][0]).all()
    assert report.frames_held == 6


def test_one_frame_and_odd_sizes(tmp_path: Path) -> None:
    one = make_clip(tmp_path / "one.mkv", frames=1, codec="ffv1").path
    assert run(one, factor=4).frames_out == 4
    odd = make_clip(tmp_path / "odd.mkv", frames=5, size=(97, 63), codec="ffv1", pix_fmt="yuv444p").path
    assert run(odd, factor=2, codec="ffv1").frames_out == 10


def test_a_device_that_fails_leaves_nothing(clip: Path) -> None:
    with pytest.raises(MemoryError):
        run(clip, interpolator=Blend(fail_after=3))
    assert not clip.with_name("in_2x.mp4").exists()


def test_an_old_output_survives_a_failed_run(clip: Path) -> None:
    old = clip.with_name("in_2x.mp4")
    old.write_bytes(b"precious")
    with pytest.raises(MemoryError):
        run(clip, interpolator=Blend(fail_after=3), overwrite=True)
    assert old.read_bytes() == b"precious"


def test_an_output_that_is_not_what_was_planned_is_set_aside(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = running.measure_output

    def short(target: Target, path: Path) -> object:
        from dataclasses import replace

        return replace(real(target, path), frames=7)

    monkeypatch.setattr(running, "measure_output", short)
    with pytest.raises(OutputError, match="holds 7 frames"):
        run(clip)
    assert not clip.with_name("in_2x.mp4").exists()
    assert clip.with_name("in_2x.mp4.unverified").exists()


def test_batches_make_no_difference(lossless: Path, tmp_path: Path) -> None:
    outputs = []
    for batch in (1, 3, 16):
        blend = Blend()
        run(lossless, interpolator=blend, batch=batch, codec="ffv1", output=tmp_path / f"{batch}.mkv")
        outputs.append(read_planes(tmp_path / f"{batch}.mkv"))
        assert max(len(call) for call in blend.calls) <= batch
    for made in outputs[1:]:
        assert all((a[0] == b[0]).all() for a, b in zip(outputs[0], made, strict=True))


def test_every_window_sees_consecutive_source_frames(lossless: Path) -> None:
    blend = Blend()
    run(lossless, interpolator=blend, factor=2, codec="ffv1")
    windows = [window for call in blend.calls for window, _ in call]
    seen = [[number_of(f.planes[0]) for f in w.frames] for w in windows]
    expected = [[max(0, i - 1), i, i + 1, min(23, i + 2)] for i in range(23)]
    assert seen == expected


def test_the_interpolator_is_made_once_for_like_pictures(tmp_path: Path) -> None:
    like = [make_clip(tmp_path / f"{n}.mp4", frames=4).path for n in range(3)]
    other = make_clip(tmp_path / "other.mp4", frames=4, size=(64, 48)).path
    made: list[Blend] = []

    def make(**_kwargs: object) -> Blend:
        made.append(Blend())
        return made[-1]

    requests = [Request(path) for path in (*like, other)]
    outcomes = list(run_all(requests, make=make, progress=Silent()))
    assert [one.exit_code for one in outcomes] == [0, 0, 0, 0]
    assert len(made) == 2
    assert all(blend.closed for blend in made)


def test_two_inputs_never_share_an_output(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    paths = [make_clip(folder / "in.mp4", frames=3).path for folder in (tmp_path, tmp_path / "b")]
    requests = [Request(path, output_dir=tmp_path / "out", overwrite=True) for path in paths]
    outcomes = list(run_all(requests, make=lambda **_: Blend(), progress=Silent()))
    assert [one.exit_code for one in outcomes] == [0, 4]
    assert exit_code(outcomes) == 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (OSError(28, "No space left on device"), OutputError),
        (PermissionError(13, "Permission denied", "x.mp4"), OutputError),
        (MemoryError(), DeviceError),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"), DeviceError),
        (RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"), DeviceError),
        (RuntimeError("cuFFT error: CUFFT_ALLOC_FAILED"), DeviceError),
        (type("OutOfMemoryError", (RuntimeError,), {"__module__": "torch.cuda"})("CUDA"), DeviceError),
        (KeyError("surprise"), InternalError),
        (DamagedError("as it is"), DamagedError),
    ],
)
def test_foreign_errors_are_explained(error: Exception, kind: type[SvmvError]) -> None:
    assert type(explain(error)) is kind
