"""Clips to learn from, and a training from its settings to its checkpoints."""
