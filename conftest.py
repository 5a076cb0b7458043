"""What pytest needs at the root of the repository."""

pytest_plugins = ["pytester"]
