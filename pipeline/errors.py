"""Everything that can go wrong with a video or a run, as one tree.

    PipelineError
    ├── InvalidInput            the user's data or call is wrong: trying again cannot help
    │   ├── InvalidManifest     names the manifest and the row
    │   ├── InvalidPrompt       names the video and the mask file
    │   ├── UnreadableVideo     names the video: missing, empty, garbage, no video stream
    │   ├── InvalidCheckpoint   names the file and what does not fit
    │   └── InputDenied         ELSEWHERE: names what may not be read; the credentials may be one worker's
    ├── InvalidOutput           OUTPUT is not ours, or cannot be written
    │   ├── DamagedOutput       names a file in it that is not what it was written as
    │   ├── OutputInUse         another driver writes to it
    │   └── OutputDenied        ELSEWHERE: may not be written; the credentials may be one worker's
    ├── SegmentationFailed      the network gave up on a frame: names the video and the frame
    │   └── OutOfMemory         SMALLER: once more, in smaller blocks
    ├── Stalled                 ELSEWHERE: an attempt that showed no new frame for too long was stopped
    ├── Interrupted             LATER: the run is being ended; the video is begun again by the next one
    ├── StoreUnavailable        LATER: the object store or the network failed
    ├── WorkerUnfit             ELSEWHERE: its disk is full, its GPU is broken: names the machine
    ├── WorkerLost              LATER: the process or the node is gone
    │   ├── MachineOutOfMemory  ROOM: ended because all on its machine together took too much memory
    │   └── Preempted           ANEW: its machine was taken away
    └── MostAttemptsFail        the run was stopped: names the commonest failure

In capitals the `Remedy`, where there is one; the scheduler decides how often. No message repeats a secret of a URL.

Who works on files and frames names these; the video is named where an attempt or the plan for it ends
(`PipelineError.about`), and nowhere below.
"""

from enum import Enum
from typing import ClassVar, Self

from pipeline.credentials import without_credentials


class Remedy(Enum):
    """What may help a video whose attempt came to nothing (design 10)."""

    NONE = "none"
    """The input is wrong."""
    LATER = "later"
    """The store failed, the worker was lost: again after a pause."""
    ELSEWHERE = "elsewhere"
    """It may be the worker's fault, and nobody knows: once more on another worker."""
    ROOM = "room"
    """The machine's memory was taken, perhaps by a neighbour: again, and the second time in smaller blocks."""
    SMALLER = "smaller"
    """The memory did not suffice: once more in smaller blocks."""
    ANEW = "anew"
    """The machine was taken away: again, and nobody's fault."""


class PipelineError(Exception):
    remedy: ClassVar[Remedy] = Remedy.NONE

    def __init__(self, *args: object) -> None:
        super().__init__(*(without_credentials(arg) if isinstance(arg, str) else arg for arg in args))

    def about(self, name: str) -> Self:
        """The same error, its message beginning with what it is about."""
        return type(self)(f"{name}: {self}", *self.args[1:])


class InvalidInput(PipelineError):
    """The user's data or call is wrong."""


class InvalidManifest(InvalidInput):
    """A row of the manifest cannot be used."""


class InvalidPrompt(InvalidInput):
    """A prompt mask cannot be used."""


class UnreadableVideo(InvalidInput):
    """A video cannot be opened or has no frame."""


class InvalidCheckpoint(InvalidInput):
    """A checkpoint cannot be read or does not fit the network."""


class InputDenied(InvalidInput):
    """The store refuses to let it be read."""

    remedy = Remedy.ELSEWHERE


class InvalidOutput(PipelineError):
    """The output folder belongs to something else or cannot be written."""


class DamagedOutput(InvalidOutput):
    """A file in the output folder is not what it was written as."""


class OutputInUse(InvalidOutput):
    """Another driver holds the output folder."""


class OutputDenied(InvalidOutput):
    """The store refuses to let it be written."""

    remedy = Remedy.ELSEWHERE


class SegmentationFailed(PipelineError):
    """The network could not go on at some frame of a video."""

    def __init__(self, message: str, frame_index: int | None = None) -> None:
        super().__init__(message, frame_index)
        self.frame_index = frame_index

    def __str__(self) -> str:
        return str(self.args[0])


class OutOfMemory(SegmentationFailed):
    """The device's memory did not suffice."""

    remedy = Remedy.SMALLER


class Stalled(PipelineError):
    """An attempt got stuck."""

    remedy = Remedy.ELSEWHERE


class Interrupted(PipelineError):
    """The worker was told to stop."""

    remedy = Remedy.LATER


class StoreUnavailable(PipelineError):
    """The object store did not answer as it should."""

    remedy = Remedy.LATER


class WorkerUnfit(PipelineError):
    """A worker cannot work as its machine is."""

    remedy = Remedy.ELSEWHERE


class WorkerLost(PipelineError):
    """A worker's process or node died."""

    remedy = Remedy.LATER


class MachineOutOfMemory(WorkerLost):
    """A worker was ended for the memory of its machine."""

    remedy = Remedy.ROOM


class Preempted(WorkerLost):
    """A worker's machine was taken away."""

    remedy = Remedy.ANEW


class MostAttemptsFail(PipelineError):
    """Going on with the run makes no sense as things are."""
