"""What is wrong with an OUTPUT, as values: one finding a file, commit or row (`verify`)."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Of findings; the first six are damage to results, the others are out of line and lose nothing."""

    MISSING = "missing"
    """A file that a commit lists is not there."""
    SHORT = "short"
    """A file has another size than its commit says."""
    ALTERED = "altered"
    """A file of the right size holds other bytes."""
    WRONG_ROWS = "wrong_rows"
    """A file is what its worker wrote, but holds other rows than its commit says."""
    UNREADABLE_COMMIT = "unreadable_commit"
    UNREADABLE_TABLE = "unreadable_table"
    """A file of `videos` or `failures` cannot be read."""
    ORPHANED = "orphaned"
    """No commit lists a file that an attempt wrote."""
    WITHOUT_ROW = "without_row"
    """A commit has no row in `videos`."""
    STRAY_ROW = "stray_row"
    """A row of `videos` stands for no commit, for a replaced one, or a second time."""
    WRONG_ROW = "wrong_row"
    """A row of `videos` says otherwise than its commit."""


LOST = frozenset({Kind.MISSING, Kind.SHORT, Kind.ALTERED, Kind.WRONG_ROWS, Kind.UNREADABLE_COMMIT})
"""Kinds for which a video has to be segmented again, unless it has an earlier result."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong."""

    kind: Kind
    path: str
    """Of the file below OUTPUT."""
    what: str
    """In words."""
    video_id: str | None = None
    """None: nobody can tell."""
    commit: str | None = None
    """Path of the commit that lists the file, or whose row it is."""


@dataclass(frozen=True, kw_only=True)
class Report:
    """What `verify` found."""

    videos: int
    """That have a commit."""
    whole: int
    """Of them, whose newest commit and all of its files are as they were written."""
    bytes: int
    """Read."""
    found: tuple[Finding, ...]
    driven: bool
    """Whether a driver may be at work: what it is about to put in line was left out."""

    def by_kind(self) -> Mapping[Kind, tuple[Finding, ...]]:
        """The findings of each kind that there is."""
        kinds = {kind: tuple(one for one in self.found if one.kind is kind) for kind in Kind}
        return {kind: found for kind, found in kinds.items() if found}
