"""What `cmake --install` puts where: the README's way to install without a package."""

import re
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from lab.forcetls import build_directory


@pytest.fixture(scope="module", name="prefix")
def _prefix(tmp_path_factory: pytest.TempPathFactory) -> Path:
    prefix = tmp_path_factory.mktemp("prefix")
    if not (build_directory() / "cmake_install.cmake").exists():
        pytest.skip("the programs of the package, which CMake has installed; e2e13 tries the README's way")
    subprocess.run(["cmake", "--install", build_directory(), "--prefix", prefix], check=True, capture_output=True)
    return prefix


def test_the_programs_are_in_bin_and_sbin_and_run_from_there(prefix: Path):
    for program in ("bin/forcetls", "sbin/forcetls-policyd", "sbin/forcetls-milter"):
        result = subprocess.run([prefix / program, "--version"], capture_output=True, text=True, check=True)
        assert result.stdout.startswith(Path(program).name + " ")


def test_a_readable_copy_of_the_schema_and_the_lines_for_postfix_come_with_them(prefix: Path):
    share = prefix / "share" / "forcetls"
    tables = (share / "schema" / "policy" / "001_init.sql").read_text("utf-8")
    assert "CREATE TABLE domain_policy" in tables
    assert "smtp_tls_policy_maps" in (share / "postfix" / "main.cf.forcetls").read_text("utf-8")


def test_nothing_but_what_belongs_there_is_installed(prefix: Path):
    installed = {str(file.relative_to(prefix)) for file in prefix.rglob("*") if file.is_file()}
    strays = {name for name in installed if not name.startswith(("bin/", "sbin/", "share/forcetls/", "share/man/"))}
    assert not strays and len(installed) > 3


def test_the_manual_of_the_policy_names_every_table_view_column_and_setting(prefix: Path, tmp_path: Path):
    made = [prefix / "bin" / "forcetls", "init", "--policy-db", tmp_path / "policy.db"]
    subprocess.run(made, check=True, capture_output=True)
    manual = (prefix / "share/man/man5/forcetls-policy.5").read_text("utf-8")
    with closing(sqlite3.connect(tmp_path / "policy.db")) as database:
        names = {name for (name,) in database.execute(
            "SELECT name FROM sqlite_schema WHERE type IN ('table', 'view') AND name NOT LIKE '%\\_rule' ESCAPE '\\'"
            " AND name NOT LIKE 'sqlite%'")}
        names |= {column for (column,) in database.execute(
            "SELECT c.name FROM sqlite_schema AS t, pragma_table_info(t.name) AS c"
            " WHERE t.name IN ('domain_policy', 'suspension', 'setting', 'policy_change')")}
        names |= {name for (name,) in database.execute("SELECT name FROM setting")}
    assert not {name for name in names if not re.search(rf"\b{name}\b", manual)}
    assert {"domain_policy", "on_failure", "tls_required_header", "effective_policy"} <= names
