"""Runs the e2e tests in namespaces of their own (lab/isolate.py), with one lab for the whole session.

    /usr/bin/python3 -m pytest tests/e2e [-k ...]      as root

With -n N --dist loadfile (pytest-xdist) in N processes, each of them with namespaces and a lab of its own.
"""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))

from lab import isolate  # noqa: E402
from lab.forcetls import PROGRAMS, Forcetls, find_program  # noqa: E402
from lab.lab import Lab  # noqa: E402


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config):
    """Starts pytest again, isolated, unless this already is the isolated one (or only a look at the tests)."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        config.option.basetemp = None  # Below TMPDIR, which is the run's own, and not the host's.
    if isolate.is_isolated() or config.option.collectonly or config.option.help or config.option.version:
        return None
    if getattr(config.option, "numprocesses", None):
        return None  # The processes that run tests are isolated.
    capture = config.pluginmanager.getplugin("capturemanager")
    if capture:
        capture.suspend_global_capture(in_=True)
    os.chdir(config.invocation_params.dir)
    try:
        return isolate.run_isolated([sys.executable, "-m", "pytest", *map(str, config.invocation_params.args)])
    except isolate.IsolationError as error:
        raise pytest.UsageError(str(error)) from error


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes(config: pytest.Config, specs: list) -> None:
    """Starts each of pytest-xdist's processes isolated."""
    del config
    for spec in specs:
        spec.python = shlex.join([sys.executable, isolate.__file__, sys.executable])


def pytest_report_header() -> str | None:
    """Which Postfix is tested."""
    if shutil.which("postconf") is None:
        return None
    version = subprocess.run(["postconf", "-d", "-h", "mail_version"], capture_output=True, text=True, check=False)
    return f"Postfix {version.stdout.strip()}"


@pytest.fixture(scope="session", name="shared_lab")
def _shared_lab():
    with Lab() as lab:
        yield lab


@pytest.fixture(scope="session", name="shared_forcetls")
def _shared_forcetls(shared_lab: Lab):
    missing = [name for name in PROGRAMS if find_program(name) is None]
    if missing and "FORCETLS_BUILD" not in os.environ and "CI" not in os.environ:
        pytest.skip(f"not built: {', '.join(missing)} (set FORCETLS_BUILD to the build directory)")
    yield shared_lab.start_forcetls()


@pytest.fixture(name="lab")
def _lab(shared_lab: Lab, request: pytest.FixtureRequest):
    """The lab, its queue empty, Postfix in its stock configuration (with forcetls' lines if the test uses that).

    Partners are made by the test; no domain is used twice.
    """
    if "forcetls" in request.fixturenames:
        request.getfixturevalue("shared_forcetls")
        shared_lab.reset("forcetls")
    else:
        shared_lab.reset("stock")
    return shared_lab


@pytest.fixture(name="forcetls")
def _forcetls(lab: Lab, shared_forcetls: Forcetls):
    """forcetls, running, bolted onto the lab's Postfix; settings at their first values."""
    del lab
    shared_forcetls.reset()
    return shared_forcetls


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo):
    """A failed test shows the ends of the logs."""
    del call
    report = (yield).get_result()
    lab = getattr(item, "funcargs", {}).get("shared_lab")
    if report.failed and lab is not None:
        report.sections += list(lab.logs().items())
