"""Does a review pay: the same driver and network as `segment`, on small clips whose truth is known."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from jobs import cli
from jobs.evaluation.matching import Truth
from jobs.reviewing.choices import Way
from jobs.reviewing.same_run import same_config
from jobs.reviewing.simulate import Point, Settings, Simulation, frames_for, simulate
from jobs.reviewing.trials import NOTHING, J_and_F, Trials
from pipeline.errors import InvalidInput, InvalidOutput
from pipeline.input.manifest import PromptSource, VideoTask, read_manifest, write_manifest
from pipeline.output.labels import committed_video
from pipeline.output.layout import RUNS
from pipeline.run.config import WorkerConfig
from pipeline.run.driver import RunSummary, run
from pipeline.run.pool import LocalPool
from pipeline.storage.store import Store
from tests.pipeline.corpus import config_for, png, square_mask
from tests.pipeline.media import moving_square, write_frames

FRAMES = 6
NAMES = ("bad", "good")


@dataclass(frozen=True)
class Planted:
    """Expects little of one video, whatever its masks are like."""

    bad: str = "bad"

    def expected_j(self, statistics: pa.Table) -> NDArray[np.float32]:
        bad = np.array([name == self.bad for name in statistics["video_id"].to_pylist()], np.bool_)
        prompted = statistics["prompted"].to_numpy()
        return np.where(prompted, 1.0, np.where(bad, 0.2, 0.99)).astype(np.float32)


@dataclass
class Site:
    """Two clips that are segmented, and what is segmented of them later."""

    folder: Path
    segmented: list[VideoTask] = field(default_factory=list)

    @property
    def manifest(self) -> str:
        return str(self.folder / "manifest.jsonl")

    @property
    def output(self) -> str:
        return str(self.folder / "out")

    @property
    def truth(self) -> Truth:
        return Truth(str(self.folder))

    def segment(self, tasks: Sequence[VideoTask], config: WorkerConfig) -> RunSummary:
        self.segmented += tasks
        return run(tasks, config, LocalPool(config))

    def trials(self, to: Path | None = None) -> Trials:
        config = config_for(self.output)
        return Trials(read_manifest(self.manifest), config, self.truth, str(to or self.folder / "to"), self.segment)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Site:
    folder = tmp_path_factory.mktemp("site")
    rows = []
    for name in NAMES:
        frames = moving_square(FRAMES, 32, 48)
        (folder / "Annotations" / name).mkdir(parents=True)
        write_frames(folder / name, frames, ".png")
        for t, path in enumerate(sorted((folder / name).iterdir())):
            (folder / "Annotations" / name / f"{path.stem}.png").write_bytes(png(square_mask(frames[t])))
        first = min((folder / "Annotations" / name).iterdir())
        source = PromptSource(frame_index=0, mask_uri=f"file://{first}", object_ids=(1,))
        rows.append(VideoTask(video_id=name, video_uri=f"file://{folder / name}", prompts=(source,)))
    site = Site(folder)
    write_manifest(site.manifest, rows)
    config = config_for(site.output)
    run(read_manifest(site.manifest), config, LocalPool(config))
    return site


@pytest.fixture
def site(made: Site) -> Iterator[Site]:
    made.segmented.clear()
    yield made


def simulated(site: Site, tmp_path: Path, **settings: object) -> Simulation:
    return simulate(site.trials(tmp_path), Planted(), Settings(**settings))  # type: ignore[arg-type]


def test_with_every_frame_corrected_nothing_is_missing(site: Site, tmp_path: Path) -> None:
    found = simulated(site, tmp_path, ways=[Way.UNIFORM], steps=[1, 1_000], all_steps=True)
    start, one, every = found.curves[Way.UNIFORM]
    assert found.candidates == every.corrected == 2 * (FRAMES - 1)
    assert start.J_and_F < one.J_and_F < every.J_and_F == every.by_frames == 1.0


def test_a_corrected_frame_counts_with_the_mask_that_is_stored(site: Site, tmp_path: Path) -> None:
    trials = site.trials(tmp_path)
    before, after = trials.of(NOTHING, ""), trials.of({"bad": frozenset({4})}, "one")
    (was,), (now,) = before["bad"].objects, after["bad"].objects
    assert was.num_frames == now.num_frames == FRAMES - 1, "the scored frames stay the same"
    assert now.J_by_frame[3] == 1.0
    assert now.J_by_frame[:3] == was.J_by_frame[:3], "a correction mends nothing before it"
    assert after["good"] is before["good"]


def test_only_changed_videos_are_segmented_again_and_each_once(site: Site, tmp_path: Path) -> None:
    trials = site.trials(tmp_path)
    trials.of({"bad": frozenset({4})}, "one")
    trials.of({"bad": frozenset({4}), "good": frozenset({2, 5})}, "two")
    trials.of({"good": frozenset({2, 5})}, "three")
    assert [(task.video_id, [one.frame_index for one in task.prompts]) for task in site.segmented] == [
        ("bad", [0, 4]),
        ("good", [0, 2, 5]),
    ]
    assert J_and_F(trials.of(NOTHING, "")) < 1.0


def test_the_queue_corrects_where_little_is_expected(site: Site, tmp_path: Path) -> None:
    simulated(site, tmp_path, ways=[Way.QUEUE], steps=[1])
    (task,) = site.segmented
    assert task.video_id == "bad"
    assert len(task.prompts) == 2
    video = committed_video(f"{tmp_path}/queue-1", "bad")
    prompted = [row["frame_index"] for row in video.frames().to_pylist() if row["prompted"]]
    assert prompted == [prompt.frame_index for prompt in task.prompts]


def test_in_rounds_what_was_corrected_stays_and_is_not_asked_about_again(site: Site, tmp_path: Path) -> None:
    found = simulated(site, tmp_path, ways=[Way.QUEUE], steps=[1, 2, 3], rounds=True, all_steps=True)
    assert [point.corrected for point in found.curves[Way.QUEUE]] == [0, 1, 2, 3]
    prompts = [{one.frame_index for one in task.prompts} for task in site.segmented]
    assert prompts[0] < prompts[1] < prompts[2]


def test_the_oracle_knows_what_masks_are_worth(site: Site, tmp_path: Path) -> None:
    trials = site.trials(tmp_path)
    simulate(trials, Planted("good"), Settings(ways=[Way.ORACLE], steps=[1]))
    (task,) = site.segmented
    trial = trials.of(NOTHING, "")[task.video_id]
    J = dict(zip(range(1, FRAMES), trial.objects[0].J_by_frame, strict=True))
    assert J[task.prompts[1].frame_index] < 0.9


def test_random_frames_are_the_mean_of_their_draws(site: Site, tmp_path: Path) -> None:
    found = simulated(site, tmp_path, ways=[Way.RANDOM], steps=[2], draws=2, seed=5)
    assert {path.name for path in tmp_path.iterdir()} == {"random-5-2", "random-6-2"}
    assert found.curves[Way.RANDOM][1].corrected == 2


def test_what_was_segmented_is_gone_on_from(site: Site, tmp_path: Path) -> None:
    first = simulated(site, tmp_path, ways=[Way.UNIFORM], steps=[2])
    runs = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("_commits/*")}
    assert runs
    assert simulated(site, tmp_path, ways=[Way.UNIFORM], steps=[2]) == first
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("_commits/*")} == runs


def points(*values: tuple[float, float]) -> list[Point]:
    return [Point(corrected=corrected, J_and_F=J, by_frames=J) for corrected, J in values]


def test_frames_for_half_lie_between_two_steps_in_proportion() -> None:
    curve = points((0, 0.6), (4, 0.7), (8, 0.9))
    found = Simulation(candidates=9, curves={Way.QUEUE: curve, Way.UNIFORM: points((0, 0.6), (8, 0.7))}, notes=())
    assert found.target == pytest.approx(0.8)
    assert found.frames_for_half(Way.QUEUE) == pytest.approx(6)
    assert found.frames_for_half(Way.UNIFORM) is None
    assert frames_for(points((0, 1.0)), 1.0) == 0


@pytest.mark.parametrize("settings", [{"steps": []}, {"steps": [2, 1]}, {"steps": [0, 1]}, {"ways": []}])
def test_settings_that_try_nothing_are_refused(site: Site, tmp_path: Path, settings: dict[str, list[int]]) -> None:
    with pytest.raises(InvalidInput, match="--steps: give numbers of frames that ascend"):
        simulated(site, tmp_path, **settings)


def test_a_manifest_with_other_prompts_is_refused(site: Site, tmp_path: Path) -> None:
    tasks = read_manifest(site.manifest)
    moved = [replace(task, prompts=(replace(task.prompts[0], frame_index=2),)) for task in tasks]
    with pytest.raises(InvalidInput, match=r"'bad'.*prompts on other frames than the manifest has: segment it again"):
        Trials(moved, config_for(site.output), site.truth, str(tmp_path), site.segment)


def test_a_truth_of_other_videos_is_refused(site: Site, tmp_path: Path) -> None:
    (tmp_path / "Annotations" / "other").mkdir(parents=True)
    with pytest.raises(InvalidInput, match="no video has a row in the manifest and a truth in"):
        Trials(read_manifest(site.manifest), config_for(site.output), Truth(str(tmp_path)), "to", site.segment)


def test_a_video_without_a_truth_is_left_out_and_told(site: Site, tmp_path: Path) -> None:
    tasks = [*read_manifest(site.manifest), replace(read_manifest(site.manifest)[0], video_id="new", row=3)]
    trials = Trials(tasks, config_for(site.output), site.truth, str(tmp_path), site.segment)
    assert trials.notes == [f"left out: video 'new' (row 3): no result in {site.output}"]
    assert list(trials.candidates) == list(NAMES)


def test_a_video_that_cannot_be_segmented_is_named(site: Site, tmp_path: Path) -> None:
    trials = site.trials(tmp_path)
    mask = (
        min((site.folder / "Annotations" / "bad").iterdir()).parent
        / sorted(path.name for path in (site.folder / "Annotations" / "bad").iterdir())[4]
    )
    whole = mask.read_bytes()
    mask.write_bytes(b"no picture")
    try:
        with pytest.raises(InvalidInput, match="'bad' cannot be segmented with corrections"):
            trials.of({"bad": frozenset({4})}, "broken")
    finally:
        mask.write_bytes(whole)


def test_settings_are_those_of_the_run_that_made_the_output(site: Site) -> None:
    config = config_for(site.output)
    found = same_config(site.output, device="cpu")
    assert found.settings() == config.settings()
    assert (found.checkpoint, found.checkpoint_fingerprint) == (config.checkpoint, config.checkpoint_fingerprint)


def test_other_weights_are_refused(site: Site) -> None:
    with pytest.raises(InvalidInput, match=r"was made with weights .*, lite0-open holds .*: name the file"):
        same_config(site.output, checkpoint="lite0-open")


def test_an_output_without_a_record_of_its_run_says_so(output: str) -> None:
    Store(output).put("x", b"")
    with pytest.raises(InvalidInput, match="records no run"):
        same_config(output)


def test_a_record_of_another_version_is_named(output: str) -> None:
    record = b'{"run_id": "1", "started_at": "2026-01-01T00:00:00+00:00", "videos": 1, "config": {"segmenter": 7}}'
    Store(output).put(f"{RUNS}/1.json", record)
    with pytest.raises(InvalidOutput, match="run was recorded by another version"):
        same_config(output)


def call(site: Site, *options: str) -> Result:
    given = ["review", "simulate", site.manifest, site.output, "--truth", str(site.folder), "--device", "cpu", *options]
    return CliRunner().invoke(cli.app, given, env={"COLUMNS": "120"})


def test_the_command_tells_the_curves_and_the_frames_for_half(site: Site, tmp_path: Path) -> None:
    shown = call(site, "--steps", "2,1000", "--ways", "queue,uniform", "--rounds", "--to", str(tmp_path))
    assert shown.exit_code == 0, shown.output
    assert "nothing corrected: J&F 0." in shown.output
    rows = [line.split() for line in shown.output.splitlines()]
    assert ["uniform", "10", "1.000", "1.000"] in rows
    assert "frames to correct for half of the missing J&F, uniform:" in shown.output
    assert "queue / uniform: " in shown.output


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--steps", "1,two"], "--steps is '1,two': give numbers of frames"),
        (["--ways", "queue,best"], "--ways is 'queue,best': give some of queue,oracle,uniform,random"),
        (["--checkpoint", "lite0-open"], "name the file of those with --checkpoint"),
    ],
)
def test_a_wrong_call_exits_with_2(site: Site, options: list[str], said: str) -> None:
    shown = call(site, *options)
    assert shown.exit_code == 2
    assert said in shown.output
    assert not site.segmented
