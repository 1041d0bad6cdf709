"""What property tests share; imported by them alone, when the profile is chosen (conftest.py)."""

from hypothesis import settings

costly = settings(max_examples=settings().max_examples // 5)
"""For a property whose examples cost much: a fifth of the profile's."""
