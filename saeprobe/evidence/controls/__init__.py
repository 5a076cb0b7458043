"""A control says what is left of an effect once a rival explanation is taken out, or what the rival alone makes."""
