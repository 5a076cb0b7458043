"""The published experiment is done twice here, by code of its own and by saeprobe, and both must agree."""
