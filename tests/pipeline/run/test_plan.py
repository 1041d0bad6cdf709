"""Planning looks and changes nothing: what is missing, what is complete, what cannot be begun."""

from dataclasses import replace
from pathlib import Path

import pytest

from model.effect import effective
from model.segmenter import SegmenterConfig
from pipeline.input.manifest import PromptSource, VideoTask
from pipeline.input.objects import PromptObject
from pipeline.run.identity import video_identity
from pipeline.run.plan import Plan, cost, plan
from pipeline.storage.fingerprints import Fingerprints
from pipeline.storage.store import Store
from tests.pipeline.corpus import Corpus, config_for, write_corpus


@pytest.fixture
def corpus(tmp_path: Path) -> Corpus:
    return write_corpus(tmp_path / "corpus")


def planned(corpus: Corpus, *, committed: dict[str, str] | None = None, **settings: object) -> Plan:
    known = committed or {}
    config = config_for("memory://nowhere", **settings)
    tasks = corpus.tasks + corpus.broken_tasks
    return plan(tasks, config, lambda video_id, identity: known.get(video_id) == identity, Fingerprints())


def ids(tasks: "tuple[VideoTask, ...]") -> list[str]:
    return [task.video_id for task in tasks]


def test_everything_is_missing_at_first_but_what_does_not_exist(corpus: Corpus) -> None:
    found = planned(corpus)
    assert [work.task.video_id for work in found.work] == ["walk", "two/objects", "folder", "span", "garbage", "beyond"]
    assert found.skipped == ()
    ((task, failure),) = found.failed
    assert task.video_id == "missing" and failure.cause == "InvalidInput"
    assert (
        failure.message.startswith("video 'missing' (row 1): the video file://") and "does not exist" in failure.message
    )


def test_what_is_committed_is_skipped(corpus: Corpus) -> None:
    identities = planned(corpus).identities
    found = planned(corpus, committed={"walk": identities["walk"], "span": "another result"})
    assert ids(found.skipped) == ["walk"]
    assert "span" in [work.task.video_id for work in found.work]
    assert found.identities == identities


@pytest.mark.parametrize(
    "settings",
    [{"segmenter": SegmenterConfig(max_side=32)}, {"checkpoint_fingerprint": "0" * 16}, {"binary_masks": True}],
)
def test_what_can_change_a_mask_changes_every_identity(corpus: Corpus, settings: dict[str, object]) -> None:
    before, after = planned(corpus).identities, planned(corpus, **settings).identities
    assert before.keys() == after.keys()
    assert all(before[video_id] != after[video_id] for video_id in before)


def test_a_changed_mask_changes_the_identity_of_its_video_alone(corpus: Corpus) -> None:
    before = planned(corpus).identities
    corpus.change_mask("walk-3.png")
    after = planned(corpus).identities
    assert {video_id for video_id in before if before[video_id] != after[video_id]} == {"span"}


def identities_of(corpus: Corpus, *objects: PromptObject, **settings: object) -> str:
    """Of a video with these prompts on frame 0."""
    task = replace(corpus.tasks[0], prompts=(PromptSource(frame_index=0, objects=objects),))
    found = plan([task], config_for("memory://nowhere", **settings), lambda *_: False, Fingerprints())
    return found.identities[task.video_id]


def test_given_objects_are_part_of_the_identity(corpus: Corpus) -> None:
    one, other = PromptObject.of_polygons(1, [[0, 0, 9, 0, 9, 9]]), PromptObject.of_polygons(2, [[5, 5, 9, 5, 9, 9]])
    found = {
        identities_of(corpus, one),
        identities_of(corpus, one, other),
        identities_of(corpus, other, one),
        identities_of(corpus, replace(one, object_id=2)),
        identities_of(corpus, PromptObject.of_polygons(1, [[0, 0, 9, 0, 9, 8]])),
    }
    assert len(found) == 5
    assert identities_of(corpus, one) in found


def test_what_boxes_become_concerns_only_videos_with_boxes(corpus: Corpus) -> None:
    box, polygon = PromptObject.of_box(1, (0, 0, 9, 9)), PromptObject.of_polygons(1, [[0, 0, 9, 0, 9, 9]])
    assert len({identities_of(corpus, box, box_masks=way) for way in ("network", "grabcut", "ellipse", "box")}) == 4
    assert identities_of(corpus, polygon, box_masks="box") == identities_of(corpus, polygon)
    assert planned(corpus, box_masks="box").identities == planned(corpus).identities


def test_looking_writes_nothing(corpus: Corpus) -> None:
    store = Store(corpus.url)
    before = store.list()
    planned(corpus)
    assert store.list() == before


def make_task(*, ids: tuple[int, ...] | None = None, **columns: object) -> VideoTask:
    prompt = PromptSource(frame_index=0, mask_uri="memory://m.png", object_ids=ids)
    return replace(VideoTask(video_id="v", video_uri="memory://v.mp4", prompts=(prompt,)), **columns)  # type: ignore[arg-type]


def test_the_cost_is_frames_times_pixels_times_channels() -> None:
    task = make_task(ids=(4, 9), num_frames=10, height=6, width=8)
    assert cost(task, size_bytes=1) == 10 * 6 * 8 * 3


def test_given_objects_count_as_channels() -> None:
    boxes = tuple(PromptObject.of_box(number, (0, 0, 5, 5)) for number in (4, 9))
    task = make_task(num_frames=10, height=6, width=8)
    assert cost(replace(task, prompts=(PromptSource(frame_index=0, objects=boxes),)), 1) == 10 * 6 * 8 * 3


def test_only_the_frames_of_a_span_cost() -> None:
    assert cost(make_task(num_frames=10, start_frame=7, height=6, width=8), 1) == 3 * 48 * 2
    assert cost(make_task(num_frames=10, start_frame=2, end_frame=5, height=6, width=8), 1) == 3 * 48 * 2
    assert cost(make_task(start_frame=2, end_frame=5, height=6, width=8), 1) == 3 * 48 * 2


@pytest.mark.parametrize("columns", [{}, {"num_frames": 10}, {"height": 6, "width": 8}])
def test_without_counts_the_size_of_the_file_decides(columns: dict[str, object]) -> None:
    task = make_task(**columns)
    assert 0 < cost(task, 1000) < cost(task, 2000)
    assert cost(make_task(ids=(1, 2, 3)), 1000) == 2 * cost(make_task(ids=(1,)), 1000)


class TestBothWays:
    def test_it_is_part_of_the_identity_where_it_can_change_a_mask(self, corpus: Corpus) -> None:
        before, after = planned(corpus).identities, planned(corpus, both_ways=True).identities
        changed = {video_id for video_id in before if before[video_id] != after[video_id]}
        assert changed == {"two/objects", "folder", "beyond"}

    def test_without_it_identities_are_those_of_before_it_was_there(self, corpus: Corpus) -> None:
        task = corpus.tasks[1]
        config = config_for("memory://nowhere")
        fingerprints = Fingerprints()
        wanted = video_identity(
            task,
            video_fingerprint=fingerprints.of(task.video_uri),
            mask_fingerprints=[fingerprints.of(prompt.mask_uri or "") for prompt in task.prompts],
            checkpoint_fingerprint=config.checkpoint_fingerprint,
            settings={**effective(config.segmenter), "binary_masks": False},
        )
        assert planned(corpus).identities[task.video_id] == wanted

    def test_the_way_back_costs_its_frames(self, corpus: Corpus) -> None:
        task = replace(corpus.tasks[1], num_frames=12, height=10, width=10)
        assert cost(task, 0, both_ways=True) == pytest.approx(cost(task, 0) * (12 + 2) / 12)
        unknown = corpus.tasks[1]
        assert cost(unknown, 7, both_ways=True) == 2 * cost(unknown, 7)
        assert cost(corpus.tasks[0], 7, both_ways=True) == cost(corpus.tasks[0], 7)
