"""Running: a subject in memory, from tokens to features; what computes here imports torch."""
