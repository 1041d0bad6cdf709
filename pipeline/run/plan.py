"""What is missing: the manifest held against what is committed. Nothing is changed by looking."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pipeline.errors import InvalidInput, PipelineError
from pipeline.input.box_masks import BoxMasks
from pipeline.input.manifest import PromptSource, VideoTask
from pipeline.input.objects import fingerprint
from pipeline.run.attempt import Work
from pipeline.run.both_ways import frames_back, has_way_back
from pipeline.run.config import WorkerConfig
from pipeline.run.failure import Failure
from pipeline.run.identity import video_identity
from pipeline.storage.fingerprints import Fingerprints

_PIXELS_PER_BYTE = 16
"""Rough: what a byte of a compressed video stands for, where the manifest gives no frame count and size."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a run has to do."""

    work: tuple[Work, ...]
    """In the order of the manifest."""
    skipped: tuple[VideoTask, ...]
    """What is complete."""
    failed: tuple[tuple[VideoTask, Failure], ...]
    """What cannot even be begun."""
    identities: Mapping[str, str]
    """By video_id, of all that could be looked at: the result that is wanted."""


def plan(
    tasks: Sequence[VideoTask],
    config: WorkerConfig,
    is_committed: Callable[[str, str], bool],
    fingerprints: Fingerprints,
) -> Plan:
    """Sort the tasks; `is_committed` is asked by video_id and identity."""
    settings = config.settings()
    work, skipped, failed, identities = [], [], [], {}
    for task in tasks:
        try:
            identity = _identity(task, fingerprints, config, settings)
        except PipelineError as error:
            failed.append((task, Failure.of(error.about(task.name))))
            continue
        except Exception as error:  # whatever one row brings, it is its own failure
            failed.append((task, Failure.unforeseen(error, f"{task.name}: cannot be planned")))
            continue
        identities[task.video_id] = identity
        if is_committed(task.video_id, identity):
            skipped.append(task)
        else:
            size_bytes = fingerprints.size_of(task.video_uri)
            work.append(Work(task=task, identity=identity, cost=cost(task, size_bytes, both_ways=config.both_ways)))
    return Plan(work=tuple(work), skipped=tuple(skipped), failed=tuple(failed), identities=identities)


def _identity(task: VideoTask, fingerprints: Fingerprints, config: WorkerConfig, settings: Mapping[str, object]) -> str:
    return video_identity(
        task,
        video_fingerprint=_fingerprint(fingerprints, task.video_uri, "video"),
        mask_fingerprints=[_of_prompt(prompt, fingerprints, config.box_masks) for prompt in task.prompts],
        checkpoint_fingerprint=config.checkpoint_fingerprint,
        settings={**settings, "both_ways": True} if config.both_ways and has_way_back(task) else settings,
    )


def _of_prompt(prompt: PromptSource, fingerprints: Fingerprints, box_masks: BoxMasks) -> str:
    """What boxes become is of no concern to a prompt that has none."""
    if prompt.mask_uri is not None:
        return _fingerprint(fingerprints, prompt.mask_uri, "mask")
    way = [box_masks] if prompt.has_boxes else []
    return " ".join([fingerprint(prompt.objects), *way])


def _fingerprint(fingerprints: Fingerprints, url: str, what: str) -> str:
    try:
        return fingerprints.of(url)
    except FileNotFoundError as error:
        raise InvalidInput(f"the {what} {url} does not exist; correct the manifest or put the file there") from error


def cost(task: VideoTask, size_bytes: int, *, both_ways: bool = False) -> float:
    """Frames x pixels x channels, from the manifest where it says, else from the size of the source.

    `both_ways`: the frames of the way back count, too.
    """
    channels = 1 + max(1, len({i for prompt in task.prompts for i in prompt.known_ids or ()}))
    frames, back = task.frames_in_span, frames_back(task) if both_ways else 0
    if frames is None or not task.height or not task.width:
        return float(size_bytes * _PIXELS_PER_BYTE * channels * (2 if back else 1))
    return float((frames + back) * task.height * task.width * channels)
