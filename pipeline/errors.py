"""Everything that can go wrong with a video or a run, as one tree.

    PipelineError
    ├── InvalidInput            the user's data or call is wrong: trying again cannot help
    │   ├── InvalidManifest     names the manifest and the row
    │   ├── InvalidPrompt       names the video and the mask file
    │   ├── UnreadableVideo     names the video: missing, empty, garbage, no video stream
    │   └── InvalidCheckpoint   names the file and what does not fit
    ├── InvalidOutput           OUTPUT is not ours, or cannot be written
    │   └── OutputInUse         another driver writes to it
    ├── SegmentationFailed      the network gave up on a frame: names the video and the frame
    │   └── OutOfMemory         retryable: once more, in smaller blocks
    ├── Interrupted             the run is being ended; the video is begun again by the next one
    ├── StoreUnavailable        retryable: the object store or the network failed
    └── WorkerLost              retryable: the process or the node is gone

`retryable` says whether another attempt at the same work can succeed; the scheduler decides how often. No message
repeats a secret of a URL.
"""

from pipeline.credentials import without_credentials


class PipelineError(Exception):
    retryable = False

    def __init__(self, *args: object) -> None:
        super().__init__(*(without_credentials(arg) if isinstance(arg, str) else arg for arg in args))


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


class InvalidOutput(PipelineError):
    """The output folder belongs to something else or cannot be written."""


class OutputInUse(InvalidOutput):
    """Another driver holds the output folder."""


class SegmentationFailed(PipelineError):
    """The network could not go on at some frame of a video."""

    def __init__(self, message: str, frame_index: int | None = None) -> None:
        super().__init__(message, frame_index)
        self.frame_index = frame_index

    def __str__(self) -> str:
        return str(self.args[0])


class OutOfMemory(SegmentationFailed):
    """The device's memory did not suffice."""

    retryable = True


class Interrupted(PipelineError):
    """The worker was told to stop."""

    retryable = True


class StoreUnavailable(PipelineError):
    """The object store did not answer as it should."""

    retryable = True


class WorkerLost(PipelineError):
    """A worker's process or node died."""

    retryable = True
    preempted = False
    """The machine was taken away."""
