from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.bank import BankConfig
from model.effect import omit_at
from model.segmenter import SegmenterConfig
from pipeline.input.manifest import PromptSource, VideoTask
from pipeline.run import identity as identities
from pipeline.run.config import WorkerConfig
from pipeline.run.ending import EndingConfig
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


# --- digests that must not move ------------------------------------------------------------------------------------

SHORT = VideoTask(
    video_id="a", video_uri="s3://b/a.mp4", prompts=(PromptSource(frame_index=0, mask_uri="s3://b/a.png"),)
)
PART = VideoTask(
    video_id="b",
    video_uri="s3://b/b.mp4",
    prompts=(
        PromptSource(frame_index=3, mask_uri="s3://b/a.png", object_ids=(1, 3)),
        PromptSource(frame_index=9, mask_uri="s3://b/c.png"),
    ),
    start_frame=2,
    end_frame=50,
)
CHANGED_BANK = BankConfig(
    policy="first_last",
    budget=9000,
    merge_threshold=0.8,
    update_rate=0.05,
    keep_norm=False,
    protection=0.25,
    valid_weight=1e-4,
)


def digest_of(task: VideoTask, segmenter: SegmenterConfig, **changes: Any) -> str:
    config = WorkerConfig(output="o", checkpoint="c", checkpoint_fingerprint="f", segmenter=segmenter, **changes)
    return identity_of(
        task,
        video_fingerprint="v",
        mask_fingerprints=["m"] * len(task.prompts),
        checkpoint_fingerprint="f",
        settings=config.settings(),
    )


@pytest.fixture
def first_results(monkeypatch: pytest.MonkeyPatch) -> None:
    """Digests are of a result version; what is held here is all the rest."""
    monkeypatch.setattr(identities, "RESULT_VERSION", 1)


@pytest.mark.usefixtures("first_results")
@pytest.mark.parametrize(
    ("segmenter", "digest"),
    [
        (SegmenterConfig(), "3f0d80a6133040cfdfc0517373e23ab2"),
        (SegmenterConfig(precision="bf16"), "61410228dc01e8c99e7fe7aaf1450e66"),
        (SegmenterConfig(max_side=432, min_side=0), "8db51a139f33fa62a8515afc03a953a6"),
        (SegmenterConfig(memory_every=5, refine=False), "31dafc5a959c88d23f856319ba34078e"),
        (SegmenterConfig(bank=BankConfig.published()), "ffa101dcf9530212a35fb964962f12ad"),
        (SegmenterConfig(bank=CHANGED_BANK), "5f140a9d7d83724e2159e4127f563895"),
    ],
)
def test_identities_of_finished_results_stay(segmenter: SegmenterConfig, digest: str) -> None:
    """Another digest here segments every existing OUTPUT again."""
    assert digest_of(SHORT, segmenter) == digest


@pytest.mark.usefixtures("first_results")
def test_identities_of_parts_and_binary_masks_stay() -> None:
    assert digest_of(PART, SegmenterConfig()) == "fee7dfb1e1b304e956c940035fe646f3"
    assert digest_of(PART, SegmenterConfig(), binary_masks=True) == "edab26c36df51c42f49a7842204fc035"


@pytest.mark.parametrize("ending", [EndingConfig(at_cuts="stop"), EndingConfig(stop_when_lost=9)])
def test_what_ends_a_video_early_is_another_result(ending: EndingConfig) -> None:
    before = digest_of(SHORT, SegmenterConfig())
    assert digest_of(SHORT, SegmenterConfig(), ending=ending) != before
    assert digest_of(SHORT, SegmenterConfig(), ending=EndingConfig()) == before


@dataclass(frozen=True, kw_only=True)
class LaterBank(BankConfig):
    """A bank's settings with one that came later."""

    sharpness: float = field(default=0.0, metadata=omit_at(0.0))


@dataclass(frozen=True, kw_only=True)
class LaterSegmenter(SegmenterConfig):
    """A segmenter's settings with one that came later."""

    bank: BankConfig = field(default_factory=LaterBank)
    look_back: int | None = field(default=None, metadata=omit_at(None))


def test_a_new_setting_at_the_value_of_before_leaves_the_identity() -> None:
    assert digest_of(SHORT, LaterSegmenter()) == digest_of(SHORT, SegmenterConfig())


@pytest.mark.parametrize("segmenter", [LaterSegmenter(look_back=0), LaterSegmenter(bank=LaterBank(sharpness=0.5))])
def test_a_new_setting_at_another_value_changes_it(segmenter: SegmenterConfig) -> None:
    assert digest_of(SHORT, segmenter) != digest_of(SHORT, SegmenterConfig())
