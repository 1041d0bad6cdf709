"""Which prompt is the nearest, and how masks from behind and from the front become one result."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.result import BankStatistics, FrameResult, FrameStatistics, Labels, ObjectStatistics
from pipeline.input.manifest import PromptSource, VideoTask
from pipeline.run.both_ways import Nearest, WayBack, frames_back, has_way_back

PROMPTED = st.dictionaries(
    st.integers(1, 4), st.sets(st.integers(3, 40), min_size=1, max_size=5).map(sorted), min_size=1
)


def comes_from_behind(frames: list[int], frame: int) -> bool:
    """By the words of the rule."""
    before = [frame - f for f in frames if f <= frame]
    behind = [f - frame for f in frames if f >= frame]
    return bool(behind) and (not before or min(behind) < min(before))


class TestNearest:
    @given(prompted=PROMPTED)
    def test_the_nearest_counts_and_the_earlier_of_two(self, prompted: dict[int, list[int]]) -> None:
        near = Nearest(prompted, 3)
        for frame in range(3, 45):
            ids = [i for i in sorted(prompted) if comes_from_behind(prompted[i], frame)]
            assert near.from_behind(frame) == ids
            assert all(near.distance(i, frame) == min(abs(f - frame) for f in prompted[i]) for i in prompted)

    @given(prompted=PROMPTED)
    def test_what_is_needed_reaches_from_the_last_prompt_to_the_first_frame_from_behind(
        self, prompted: dict[int, list[int]]
    ) -> None:
        near = Nearest(prompted, 3)
        behind = [f for f in range(3, 45) if near.from_behind(f)]
        prompts = {f for frames in prompted.values() for f in frames}
        wanted = {*behind, *(f for f in prompts if behind and f > behind[0])}
        assert len(near) == len(wanted) and bool(near) == bool(behind)
        assert not behind or {f for f in range(45) if near.needs(f)} == wanted
        assert not behind or (near.first, near.last) == (min(wanted), max(wanted))

    @pytest.mark.parametrize(
        ("prompts", "start", "frames"),
        [((0,), 0, 0), ((5,), 5, 0), ((4,), 0, 5), ((0, 10), 0, 5), ((0, 1, 2), 0, 0), ((2, 10), 0, 7)],
    )
    def test_frames_of_a_row(self, prompts: tuple[int, ...], start: int, frames: int) -> None:
        sources = tuple(PromptSource(frame_index=f, mask_uri="file:///m.png") for f in prompts)
        task = VideoTask(video_id="v", video_uri="file:///v.mp4", prompts=sources, start_frame=start, row=1)
        assert frames_back(task) == frames
        assert has_way_back(task) == (max(prompts) > start)


def labelled(text: str) -> Labels:
    return np.array([[int(c) for c in text]], np.int32)


def result(text: str, *objects: int, mean: float = 0.25, size: int = 1) -> FrameResult:
    statistics = FrameStatistics(**dict.fromkeys(FrameStatistics.__dataclass_fields__, mean))
    return FrameResult(
        labels=labelled(text),
        objects=tuple(ObjectStatistics(object_id=i, score=mean, uncertainty=0.1 * i) for i in objects),
        statistics=statistics,
        bank=BankStatistics(size=size, merged=2),
        prompted=False,
        shot_cut=False,
    )


class TestMerged:
    @pytest.fixture(autouse=True)
    def scratch(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
        monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
        yield
        assert list(tmp_path.iterdir()) == []

    def merged(
        self, prompted: dict[int, list[int]], frame: int, behind: FrameResult, front: FrameResult
    ) -> FrameResult:
        with WayBack(Nearest(prompted, 0)) as way:
            way.add(frame, behind)
            found, backward = way.merged(frame, front)
        known = {statistics.object_id for statistics in behind.objects}
        assert set(backward) == known & {i for i in prompted if comes_from_behind(prompted[i], frame)}
        return found

    def test_before_every_prompt_all_is_from_behind(self) -> None:
        nothing = FrameResult(
            labels=labelled("000000"), objects=(), statistics=None, bank=BankStatistics(), prompted=False
        )
        behind = result("110022", 1, 2, mean=0.123456789, size=9)
        found = self.merged({1: [8], 2: [9]}, 3, behind, nothing)
        assert found.labels.tolist() == behind.labels.tolist() and found.labels.dtype == np.int32
        assert (found.objects, found.statistics, found.bank) == (behind.objects, behind.statistics, behind.bank)
        assert (found.prompted, found.shot_cut) == (False, None)

    def test_each_object_is_of_its_nearest_prompt(self) -> None:
        front, behind = result("110022", 1, 2, mean=0.5, size=5), result("011202", 1, 2, mean=0.75, size=7)
        found = self.merged({1: [0, 10], 2: [0]}, 8, behind, front)
        assert found.labels.tolist() == [[0, 1, 1, 0, 2, 2]]
        assert [(s.object_id, s.score) for s in found.objects] == [(1, 0.75), (2, 0.5)]
        assert (found.statistics, found.bank) == (front.statistics, front.bank)

    @pytest.mark.parametrize(("frame", "text"), [(3, "222"), (5, "222"), (6, "112")])
    def test_a_claimed_pixel_goes_to_the_nearer_prompt(self, frame: int, text: str) -> None:
        """Object 1 comes from behind (frame 10), object 2 from the front (frame 0)."""
        found = self.merged({1: [10], 2: [0]}, frame, result("110", 1), result("222", 2))
        assert found.labels.tolist() == labelled(text).tolist()

    def test_a_given_mask_stands_beside_what_comes_from_behind(self) -> None:
        found = self.merged({1: [6], 2: [5]}, 5, result("1111", 1), result("0220", 2))
        assert found.labels.tolist() == [[1, 2, 2, 1]]

    def test_a_frame_without_anything_from_behind_is_the_same_value(self) -> None:
        front = result("110022", 1, 2)
        assert self.merged({1: [0, 10], 2: [0]}, 5, result("222222", 1, 2), front) is front
        assert self.merged({1: [0, 10], 2: [0, 20]}, 12, result("222222"), front) is front

    @given(
        behind=st.lists(st.integers(0, 3), min_size=12, max_size=12),
        front=st.lists(st.integers(0, 3), min_size=12, max_size=12),
        frame=st.integers(0, 9),
        prompted=st.fixed_dictionaries({i: st.sets(st.integers(0, 9), min_size=1).map(sorted) for i in (1, 2, 3)}),
    )
    def test_pixels_come_from_one_of_the_two(
        self, behind: list[int], front: list[int], frame: int, prompted: dict[int, list[int]]
    ) -> None:
        texts = ["".join(map(str, values)) for values in (behind, front)]
        found = self.merged(prompted, frame, *(result(text, 1, 2, 3) for text in texts)).labels[0].tolist()
        near = Nearest(prompted, 0)
        for pixel, one, other in zip(found, behind, front, strict=True):
            claims = [i for i in (one,) if i in near.from_behind(frame)]
            claims += [i for i in (other,) if i and i not in near.from_behind(frame)]
            assert pixel == (min(reversed(claims), key=lambda i: near.distance(i, frame)) if claims else 0)
