"""Fixtures of the whole-program tests."""
import os
import pathlib
import shutil
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))

from harness.ca import CA  # noqa: E402
from harness.daemon import Daemon  # noqa: E402
from harness.dns import Names  # noqa: E402
from harness.sink import Sink  # noqa: E402
from harness.socks import Proxy  # noqa: E402


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when == "call":
        item.failed = report.failed


@pytest.fixture
def daemon(request):
    """daemon(text, ...) makes and starts one; all are ended, and their logs shown when the test failed (KEEP=1:
    their directories stay)."""
    made = []

    def make(text="", start=True, **kw):
        d = Daemon(text, **kw)
        made.append(d)
        return d.start() if start else d
    yield make
    failed = getattr(request.node, "failed", True)
    problem = None
    for d in made:
        try:
            if not failed and d.proc is not None and d.proc.poll() is None:
                status = d.stop()
                if status != 0:
                    problem = f"exit status {status}"
        except Exception as e:          # the log is wanted all the more then
            problem = repr(e)
        if failed or problem:
            print(f"--- log of {d.dir}\n" + d.log[-20000:])
        d.remove(keep=failed and "KEEP" in os.environ)
    assert not problem, problem


@pytest.fixture
def sink():
    """sink(script=None, ...) makes scripted SMTP servers."""
    made = []

    def make(*args, **kw):
        s = Sink(*args, **kw)
        made.append(s)
        return s
    yield make
    errors = [e for s in made for e in s.errors]
    for s in made:
        s.stop()
    assert not errors, errors


@pytest.fixture
def proxy():
    """proxy(script=None, ...) makes scripted SOCKS proxies."""
    made = []

    def make(*args, **kw):
        made.append(Proxy(*args, **kw))
        return made[-1]
    yield make
    for p in made:
        p.stop()


@pytest.fixture(scope="module")
def ca():
    """A certification authority for the tests of a file."""
    made = CA()
    yield made
    shutil.rmtree(made.dir)


@pytest.fixture
def names():
    """A scripted name server."""
    n = Names()
    yield n
    n.stop()
