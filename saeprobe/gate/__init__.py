"""The gate releases an article when a report supports every claim that it cites."""
