"""Training of the specimens from a seed: ``python -m saeprobe.specimens.train sparrow`` or ``finch``."""
