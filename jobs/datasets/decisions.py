"""What a person decided on masks that were found, as the review page of a report saves it:

    {"format": "vos-batch-decisions", "version": 1, "output": "output", "decisions": [
      {"video_id": "walk", "identity": "3f0c...", "frame_index": 41, "object_id": 2, "decision": "accept"}]}

`output` names the OUTPUT that was looked at, `identity` is that of the video's result in it. `accept`: the mask is
right. `reject`: the object is not in this frame. `unsure`: neither; who knows better draws it anew.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import attrgetter
from typing import Any, Literal, get_args

from jobs.datasets import listing
from jobs.datasets.annotations.documents import read_json
from jobs.datasets.annotations.shapes import absent_object
from pipeline.errors import InvalidInput
from pipeline.input.manifest import PromptSource
from pipeline.input.manifest_files import shown
from pipeline.input.objects import PromptObject
from pipeline.output.labels import CommittedVideo, committed_videos

FORMAT, VERSION = "vos-batch-decisions", 1
Choice = Literal["accept", "reject", "unsure"]
_WHAT = "the file that the review page saved"
_SAVE_AGAIN = "save it again from the review page"
_KINDS: Mapping[str, type] = {
    "video_id": str,
    "identity": str,
    "frame_index": int,
    "object_id": int,
    "decision": str,
}
_COLUMNS = ["frame_index", "object_id", "height", "width", "rle", "area"]


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What was decided on one object in one frame."""

    video_id: str
    identity: str
    """Of the video's result that was looked at."""
    frame_index: int
    object_id: int
    decision: Choice


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """A whole file of them."""

    output: str
    """Name of the OUTPUT that was looked at; for messages alone."""
    decisions: tuple[Decision, ...]


@dataclass(frozen=True, kw_only=True)
class DecidedVideo:
    """What the decisions on one video say to the network."""

    video_id: str
    prompts: tuple[PromptSource, ...]
    """By frame, each for the objects that were accepted (their mask) or rejected (no pixel) there, and for no other."""
    to_draw: int
    """Object-frames that were decided on and have no prompt: unsure, or rejected where no pixel was found."""


def read_decisions(url: str) -> Decisions:
    """The decisions in a file (path or URL), each object-frame once.

    Raises InvalidInput that names the entry and what to do, StoreUnavailable.
    """
    content = read_json(url, _WHAT)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise InvalidInput(f'{url}: is no file of decisions (its "format" is not {FORMAT}); name {_WHAT}')
    if content.get("version") != VERSION:
        raise InvalidInput(
            f"{url}: has version {shown(content.get('version'))} of the format, this vos-batch reads {VERSION}: "
            "save it from a report of this vos-batch, or install the one that made the report"
        )
    entries = content.get("decisions")
    if not isinstance(entries, list):
        raise InvalidInput(f'{url}: its "decisions" are no list; {_SAVE_AGAIN}')
    found = tuple(_decision(entry, f"{url}: decisions[{place}]") for place, entry in enumerate(entries))
    _refuse_twice(found, url)
    return Decisions(output=str(content.get("output") or "?"), decisions=found)


def decided_videos(url: str, run: str) -> Iterator[DecidedVideo]:
    """What the decisions at `url` on the output `run` (paths or URLs) say, video by video, by id.

    All are checked before the first video comes; in memory is a batch of its rows. Raises InvalidInput for decisions
    on what `run` does not hold, or does not hold any more, and as `read_decisions`; InvalidOutput.
    """
    read, videos = read_decisions(url), committed_videos(run)
    ordered = sorted(read.decisions, key=attrgetter("video_id", "frame_index", "object_id"))
    _refuse_others(ordered, read.output, videos, url, run)
    for video_id, decisions in groupby(ordered, key=attrgetter("video_id")):
        yield _decided(videos[video_id], list(decisions), f"{url}: video {video_id!r}", run)


def _decision(entry: Any, where: str) -> Decision:
    if not isinstance(entry, dict):
        raise InvalidInput(f"{where} is {shown(entry)}, no decision; {_SAVE_AGAIN}")
    for name, kind in _KINDS.items():
        if type(entry.get(name)) is not kind:
            raise InvalidInput(f"{where}: {name} is {shown(entry.get(name))}, expected {kind.__name__}; {_SAVE_AGAIN}")
    if entry["decision"] not in get_args(Choice):
        choices = ", ".join(get_args(Choice))
        raise InvalidInput(f"{where}: decision is {entry['decision']!r}, expected one of {choices}; correct it")
    return Decision(**{name: entry[name] for name in _KINDS})


def _refuse_twice(decisions: Sequence[Decision], url: str) -> None:
    seen = set()
    for one in decisions:
        key = (one.video_id, one.frame_index, one.object_id)
        if key in seen:
            raise InvalidInput(
                f"{url}: decides twice on video {one.video_id!r}, frame {one.frame_index}, object {one.object_id}; "
                "keep one of them"
            )
        seen.add(key)


def _refuse_others(
    decisions: Sequence[Decision], output: str, videos: Mapping[str, CommittedVideo], url: str, run: str
) -> None:
    looked_at = {one.video_id: one.identity for one in reversed(decisions)}
    if looked_at and not any(name in videos and videos[name].identity == looked_at[name] for name in looked_at):
        raise InvalidInput(
            f"{url}: none of its decisions is on a result in {run}; they are on an output named {output!r}: give that "
            "with --run, or, where it was segmented again since, make a new report and decide there"
        )
    if unknown := [name for name in looked_at if name not in videos]:
        raise InvalidInput(
            f"{url}: {run} has no video {listing.few(map(repr, unknown))}; give the output that was looked at with "
            "--run, or take these decisions out"
        )
    stale = dict.fromkeys(one.video_id for one in decisions if one.identity != videos[one.video_id].identity)
    if stale:
        raise InvalidInput(
            f"{url}: video {listing.few(map(repr, stale))} was segmented again after its masks were looked at; make a "
            "new report and decide on those it has now, or take these decisions out"
        )


def _decided(video: CommittedVideo, decisions: Sequence[Decision], where: str, run: str) -> DecidedVideo:
    wanted = {(one.frame_index, one.object_id): one.decision for one in decisions}
    objects: dict[int, list[PromptObject]] = {}
    known: set[int] = set()
    to_draw = 0
    for row in video.rows("masks", _COLUMNS):
        known.add(row["object_id"])
        if (decision := wanted.pop((row["frame_index"], row["object_id"]), None)) is None:
            continue
        if (found := _object(row, decision)) is None:
            to_draw += 1
        else:
            objects.setdefault(row["frame_index"], []).append(found)
    if wanted:
        frame_index, object_id = min(wanted)
        raise InvalidInput(
            f"{where} has no object {object_id} on frame {frame_index} in {run}, where its objects are "
            f"{listing.few(map(str, sorted(known)))}, each from its first prompt on; take this decision out"
        )
    prompts = (
        PromptSource(
            frame_index=frame_index, objects=tuple(found), object_ids=tuple(sorted(one.object_id for one in found))
        )
        for frame_index, found in objects.items()
    )
    return DecidedVideo(video_id=video.video_id, prompts=tuple(prompts), to_draw=to_draw)


def _object(row: Mapping[str, Any], decision: Choice) -> PromptObject | None:
    """What a prompt says of the object; None where the decision does not tell what its mask is."""
    size = (row["height"], row["width"])
    if decision == "accept":
        return PromptObject.of_rle(row["object_id"], {"size": list(size), "counts": row["rle"]})
    # A person who rejects an empty mask says that the object is there, but not where.
    return absent_object(row["object_id"], size) if decision == "reject" and row["area"] else None
