"""Memory: what a subject takes, what the machine has, and the plan that follows; without torch."""
