"""What names a video's result (design 8): a hash of everything that can change a mask, and of nothing else."""

import hashlib
import json
from collections.abc import Mapping, Sequence

from pipeline.input.manifest import VideoTask

RESULT_VERSION = 3
"""Raised by hand when the same input and settings give other masks than before."""


def identity(task_inputs: Mapping[str, object]) -> str:
    """32 hex digits of the sha256 of the inputs as canonical JSON (sorted keys, UTF-8, no NaN).

    Raises ValueError for NaN or infinity and TypeError for what JSON cannot hold.
    """
    text = json.dumps(task_inputs, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def video_identity(
    task: VideoTask,
    *,
    video_fingerprint: str,
    mask_fingerprints: Sequence[str],
    checkpoint_fingerprint: str,
    settings: Mapping[str, object],
) -> str:
    """The identity of a video's result: everything that can change a mask and nothing else (design 8).

    `mask_fingerprints`, of masks or of objects, belong to `task.prompts` one by one; `settings` holds those settings
    that can change a mask. Raises ValueError when there are not as many fingerprints as prompts.
    """
    prompts = [
        [prompt.frame_index, prompt.object_ids, fingerprint]
        for prompt, fingerprint in zip(task.prompts, mask_fingerprints, strict=True)
    ]
    return identity(
        {
            "result_version": RESULT_VERSION,
            "video": video_fingerprint,
            "video_uri": task.video_uri,
            "start_frame": task.start_frame,
            "end_frame": task.end_frame,
            "prompts": prompts,
            "checkpoint": checkpoint_fingerprint,
            "settings": settings,
        }
    )
