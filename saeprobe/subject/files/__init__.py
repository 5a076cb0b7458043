"""Files: models and SAEs on disk, what they say of themselves and hash to; nothing here imports torch at the top."""
