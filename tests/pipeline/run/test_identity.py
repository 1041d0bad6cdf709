from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.input.manifest import PromptSource, VideoTask
from pipeline.run import identity as identities
from pipeline.run.identity import identity, video_identity

TASK = VideoTask(
    video_id="v",
    video_uri="file:///videos/v.mp4",
    prompts=(
        PromptSource(frame_index=0, mask_uri="file:///m/0.png", object_ids=(1,)),
        PromptSource(frame_index=5, mask_uri="file:///m/5.png"),
    ),
    start_frame=0,
    end_frame=50,
    num_frames=60,
    height=6,
    width=8,
    metadata={"classes": {"1": "car"}},
    row=1,
)
INPUTS = {
    "video_fingerprint": "10-99",
    "mask_fingerprints": ["m0", "m5"],
    "checkpoint_fingerprint": "c0",
    "settings": {"max_side": 864, "bank": {"budget": 40_000, "merge_threshold": 0.95}},
}


def identity_of(task: VideoTask = TASK, **changes: object) -> str:
    return video_identity(task, **{**INPUTS, **changes})  # type: ignore[arg-type]


def with_first_prompt(**changes: object) -> VideoTask:
    return replace(TASK, prompts=(replace(TASK.prompts[0], **changes), TASK.prompts[1]))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "other",
    [
        lambda: identity_of(replace(TASK, video_uri="file:///videos/w.mp4")),
        lambda: identity_of(replace(TASK, start_frame=1)),
        lambda: identity_of(replace(TASK, end_frame=None)),
        lambda: identity_of(with_first_prompt(frame_index=1)),
        lambda: identity_of(with_first_prompt(object_ids=(1, 2))),
        lambda: identity_of(with_first_prompt(object_ids=None)),
        lambda: identity_of(replace(TASK, prompts=TASK.prompts[:1]), mask_fingerprints=["m0"]),
        lambda: identity_of(video_fingerprint="11-99"),
        lambda: identity_of(mask_fingerprints=["m0", "other"]),
        lambda: identity_of(checkpoint_fingerprint="c1"),
        lambda: identity_of(settings={"max_side": 480, "bank": {"budget": 40_000, "merge_threshold": 0.95}}),
        lambda: identity_of(settings={"max_side": 864, "bank": {"budget": 40_000, "merge_threshold": 0.9}}),
    ],
)
def test_identity_changes_with_what_can_change_a_mask(other: Callable[[], str]) -> None:
    assert other() != identity_of()


@pytest.mark.parametrize(
    "task",
    [
        replace(TASK, num_frames=None),
        replace(TASK, height=1, width=1),
        replace(TASK, metadata={}),
        replace(TASK, row=9),
        with_first_prompt(mask_uri="s3://moved/0.png"),
    ],
)
def test_identity_stays_with_what_cannot(task: VideoTask) -> None:
    assert identity_of(task) == identity_of()


def test_identity_changes_with_the_result_version(monkeypatch: pytest.MonkeyPatch) -> None:
    before = identity_of()
    monkeypatch.setattr(identities, "RESULT_VERSION", identities.RESULT_VERSION + 1)
    assert identity_of() != before


def test_identity_wants_a_fingerprint_for_every_prompt() -> None:
    with pytest.raises(ValueError, match="shorter"):
        identity_of(mask_fingerprints=["m0"])


@given(st.dictionaries(st.text(max_size=5), st.integers() | st.text(max_size=5), max_size=5))
def test_identity_ignores_the_order_of_keys(inputs: dict[str, object]) -> None:
    backwards = dict(reversed(inputs.items()))
    assert identity(backwards) == identity(inputs)
    assert len(identity(inputs)) == 32 and int(identity(inputs), 16) >= 0
    assert identity({**inputs, "one more": 1}) != identity(inputs)


def test_identity_refuses_nan() -> None:
    with pytest.raises(ValueError, match="JSON"):
        identity({"rate": float("nan")})
