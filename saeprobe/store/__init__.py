"""The store keeps what was captured; the plan says what is still to be captured."""
