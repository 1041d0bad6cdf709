"""Numbers as text formats hold them."""


def rounded(value: float | None) -> float | None:
    """Without the digits that a 32-bit number does not have."""
    return None if value is None else float(f"{value:.7g}")
