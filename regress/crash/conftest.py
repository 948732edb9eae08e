"""Fixtures of the crash suite: those of all whole-program tests, and its own."""
import importlib.util
import pathlib

import pytest

HERE = pathlib.Path(__file__).resolve().parent
_spec = importlib.util.spec_from_file_location("regress_fixtures", HERE.parent / "conftest.py")
_parent = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(_parent)
pytest_runtest_makereport = _parent.pytest_runtest_makereport
daemon, sink, names = _parent.daemon, _parent.sink, _parent.names

from programs import Look, compiled  # noqa: E402


@pytest.fixture(scope="session")
def look():
    return Look(compiled("look", rooms=("store", "mail", "base"), libs=("lmdb", "idn2")))


@pytest.fixture
def say(request):
    """The suite's figures: shown at its end, whichever process ran the test."""
    return lambda text: request.node.user_properties.append(("figures", text))


def pytest_terminal_summary(terminalreporter):
    for outcome in ("passed", "failed"):
        for report in terminalreporter.stats.get(outcome, ()):
            for name, text in report.user_properties:
                if name == "figures":
                    terminalreporter.write_line(text)
