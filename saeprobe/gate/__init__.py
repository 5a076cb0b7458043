"""The gate: an article is released when a report supports every claim it cites."""
