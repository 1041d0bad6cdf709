"""What a training follows from, whatever command asks for it."""

from collections.abc import Mapping
from typing import Protocol

from jobs.training.curriculum import Curriculum
from jobs.training.validation import Validation
from model.training import TrainingConfig


class Course(Protocol):
    """All but the weights that the training starts with. Travels to other machines: its URLs are absolute."""

    @property
    def output(self) -> str:
        """Folder of checkpoints, log, events and state."""

    @property
    def config(self) -> TrainingConfig:
        """How the network learns."""

    @property
    def save_every(self) -> int:
        """Steps between saves."""

    @property
    def validate_every(self) -> int:
        """Steps between validations, each of which saves too."""

    @property
    def torch_threads(self) -> int:
        """Of each worker, on the CPU."""

    @property
    def if_not_validated(self) -> str:
        """What is said where there is no validation; nothing if empty."""

    def curriculum(self) -> Curriculum:
        """The clips to learn from. Raises InvalidInput where the material does not suffice."""

    def validation(self) -> Validation | None:
        """What the training is scored on as it goes. Raises InvalidInput."""

    def described(self) -> Mapping[str, str]:
        """What the checkpoints say of it."""
