"""Evidence is what a comparison of measurements shows, one file a kind of sentence."""
