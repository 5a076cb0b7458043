"""Errors that a user can act on, told from bugs."""

from __future__ import annotations


class RefusedError(Exception):
    """A command cannot do what was asked; the message says what was found, what was wanted and the remedy."""


def explain(error: Exception) -> str | None:
    """The error in words for whoever typed the command; None for a bug, which deserves its traceback."""
    # Imported here: numpy and scipy come with them, and a command that ends well needs none of these names.
    from saeprobe.article_files.errors import ArticleFileError
    from saeprobe.claims import NotRun
    from saeprobe.prompts import PromptError
    from saeprobe.subject.protocol import ReadingError
    from saeprobe.subject.specification import SubjectError

    if isinstance(error, RefusedError | ArticleFileError | NotRun | PromptError | SubjectError | ReadingError):
        return str(error)
    if isinstance(error, FileNotFoundError) and error.filename is not None:
        return f"{error.filename}: there is no such file or folder; check the path"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror or error}"
    if isinstance(error, OSError):
        return str(error)
    return None
