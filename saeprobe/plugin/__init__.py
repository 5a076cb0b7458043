"""The pytest plugin plans captures at collection, runs them in one pass, judges probes and writes the report.

Nothing here imports torch; a run whose evidence is stored never does.
"""

from __future__ import annotations

import pytest

from saeprobe.plugin.options import add_options, settings_of


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the options."""
    add_options(parser)


def pytest_configure(config: pytest.Config) -> None:
    """Set up the parts of the run and register a marker for each subject."""
    from saeprobe.plugin.hooks import Hooks
    from saeprobe.plugin.judging import Judge
    from saeprobe.plugin.laboratory import Laboratory
    from saeprobe.subject.specification import SubjectError
    from saeprobe.verdicts.baseline_files import BaselineError

    settings = settings_of(config)
    config.addinivalue_line("markers", "saeprobe_subjects(*names): run a probe once on each of these subjects")
    try:
        laboratory = Laboratory(settings)
        known = {
            name: laboratory.subject(name)
            for name in (*laboratory.names, *laboratory.default_names, *settings.neutral)  # a wrong name raises here
        }
    except SubjectError as error:
        raise pytest.UsageError(str(error)) from None
    for name, subject in known.items():
        for marker in subject.markers:
            config.addinivalue_line("markers", f"{marker}: probes on the subject {name}")
    try:
        judge = Judge(settings, laboratory)
    except BaselineError as error:
        raise pytest.UsageError(str(error)) from None
    config.pluginmanager.register(Hooks(config, settings, laboratory), "saeprobe-hooks")
    config.pluginmanager.register(judge, "saeprobe-judge")


@pytest.fixture(scope="session")
def subject(request: pytest.FixtureRequest) -> str:
    """Return the name of the subject that this variant of a probe runs on."""
    return request.param
