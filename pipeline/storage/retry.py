"""Asking again what failed for the moment: pauses that grow, differ from process to process, and come to an end."""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from pipeline.credentials import without_credentials

T = TypeVar("T")

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Retry:
    """How long to ask again. Many clients that were refused together must not come back together: hence the jitter."""

    first_s: float = 0.5
    """Longest first pause; every later one may be twice as long. A pause is half of that at least."""
    longest_s: float = 8.0
    total_s: float = 20.0
    """No call begins later than this after the first."""
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    jitter: Callable[[float, float], float] = random.uniform

    def call(self, action: Callable[[], T], passes: Callable[[Exception], bool]) -> T:
        """The result of `action`, called again while it fails with what `passes` by itself.

        Raises what the last call raised.
        """
        end_s, longest_s = self.clock() + self.total_s, self.first_s
        while True:
            try:
                return action()
            except Exception as error:
                pause_s = self.jitter(longest_s / 2, longest_s)
                if not passes(error) or self.clock() + pause_s > end_s:
                    raise
                _logger.info("trying again in %.1f s: %s", pause_s, without_credentials(repr(error)))
            self.sleep(pause_s)
            longest_s = min(2 * longest_s, self.longest_s)
