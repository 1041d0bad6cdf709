"""What a run reads: manifests, prompt masks, frames of videos, weights."""
