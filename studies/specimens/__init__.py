"""Here the specimens sparrow and finch are made: their corpus and their training."""
