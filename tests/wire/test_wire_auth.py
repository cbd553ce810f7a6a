"""The cluster's secret: where it is found, how it is made, and what is refused."""

from __future__ import annotations

import os
import stat
import subprocess
import sys

import pytest

from quiver_proto import auth
from quiver_proto.errors import BadSetting
from quiver_proto.ids import ApplicationId

GOOD, OTHER = "g" * 20, "o" * 20


def write(path, secret, mode=0o600):
    path.write_text(secret + "\n")
    path.chmod(mode)
    return str(path)


def test_the_file_given_wins_over_the_variable_over_the_other_file_over_the_default(tmp_path):
    given, named = write(tmp_path / "given", "1" * 20), write(tmp_path / "named", "3" * 20)
    write(tmp_path / "secret", "4" * 20)
    environ = {"QUIVER_SECRET": "2" * 20, "QUIVER_SECRET_FILE": named, "QUIVER_HOME": str(tmp_path)}
    assert auth.find_secret(given, environ=environ) == "1" * 20
    assert auth.find_secret(environ=environ) == "2" * 20
    del environ["QUIVER_SECRET"]
    assert auth.find_secret(environ=environ) == "3" * 20
    del environ["QUIVER_SECRET_FILE"]
    assert auth.find_secret(environ=environ) == "4" * 20


def test_the_manager_makes_a_secret_once_that_only_its_owner_reads(tmp_path):
    environ = {"QUIVER_HOME": str(tmp_path / "state")}
    first = auth.find_secret(create=True, environ=environ)
    assert len(first) >= 40
    assert stat.S_IMODE(os.stat(tmp_path / "state" / "secret").st_mode) == 0o600
    assert auth.find_secret(create=True, environ=environ) == first
    assert os.listdir(tmp_path / "state") == ["secret"]


def test_managers_that_start_at_once_agree_on_one_secret(tmp_path):
    code = "from quiver_proto.auth import find_secret; print(find_secret(create=True))"
    environ = {**os.environ, "QUIVER_HOME": str(tmp_path)}
    environ.pop("QUIVER_SECRET", None)
    environ.pop("QUIVER_SECRET_FILE", None)
    started = [subprocess.Popen([sys.executable, "-c", code], env=environ, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    secrets = {process.communicate()[0] for process in started}
    assert len(secrets) == 1
    assert secrets != {""}


def test_without_a_secret_the_error_says_where_it_looked_and_what_to_do(tmp_path):
    with pytest.raises(BadSetting, match=f"{tmp_path}/secret.*The manager makes one.*QUIVER_SECRET"):
        auth.find_secret(environ={"QUIVER_HOME": str(tmp_path)})


def test_a_secret_that_others_may_read_is_refused(tmp_path):
    with pytest.raises(BadSetting, match=r"mode 0644.*chmod 600"):
        auth.find_secret(write(tmp_path / "open", GOOD, 0o644), environ={})


@pytest.mark.parametrize("secret", ["", "short", "with a space in it", "with-a-ünicode-letter"])
def test_a_secret_that_is_none_is_refused_and_not_shown(tmp_path, secret):
    with pytest.raises(BadSetting) as caught:
        auth.find_secret(write(tmp_path / "secret", secret), environ={})
    assert not secret or secret not in str(caught.value)


def test_tokens_differ_by_application_and_by_secret_and_do_not_hold_the_secret():
    a, b = ApplicationId("app-a"), ApplicationId("app-b")
    tokens = {auth.application_token(secret, application) for secret in (GOOD, OTHER) for application in (a, b)}
    assert len(tokens) == 4
    assert auth.application_token(GOOD, a) == auth.application_token(GOOD, a)
    assert not any(GOOD in token for token in tokens)


def test_an_empty_token_matches_nothing():
    assert auth.same(GOOD, GOOD)
    assert not auth.same(OTHER, GOOD)
    assert not auth.same("", "")


def test_the_state_directory():
    assert str(auth.state_dir({"QUIVER_HOME": "/q", "XDG_STATE_HOME": "/x"})) == "/q"
    assert str(auth.state_dir({"XDG_STATE_HOME": "/x"})) == "/x/quiver"
    assert auth.state_dir({}).name == ".quiver"


def test_tls_files_that_can_not_be_used_are_named(tmp_path):
    junk = write(tmp_path / "junk.pem", "not a certificate")
    with pytest.raises(BadSetting, match=r"--tls-key.*missing.pem.*can't be read"):
        auth.TlsFiles(junk, str(tmp_path / "missing.pem"), junk).server_credentials()
    with pytest.raises(BadSetting, match=r"--tls-ca.*junk.pem.*not a PEM file"):
        auth.TlsFiles(junk, junk, junk).channel_credentials()
