"""Subjects: a language model, its SAE and the hook point where it reads; what computes here imports torch."""
