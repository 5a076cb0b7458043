"""Features are what a capture and a steering experiment give: sparse rows, and continuations."""
