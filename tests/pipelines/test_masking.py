"""Passwords and keys are masked wherever they stand in a text, and nothing else is."""

import subprocess
import sys

import pytest

from memtriggers.lance.errors import StoreError
from memtriggers.pipelines.core.errors import LakeError, SourceError, store_errors
from memtriggers.pipelines.core.lake import Lake
from memtriggers.pipelines.core.masking import mask, passwords_in
from memtriggers.pipelines.page.answers import shown


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("http://user:hunter2@host/a.png", "http://***@host/a.png"),
        ("https://token@host:8000", "https://***@host:8000"),
        ("s3://key:s3cr+et==@bucket/x?y=1#z", "s3://***@bucket/x?y=1#z"),
        ("tcp://u:p@ss:w@rd@host", "tcp://***@host"),
        ("http://u:pa/ss?w#rd@host/a.png", "http://***@host/a.png"),
        ("http://u:%40:p@[::1]:80/a", "http://***@[::1]:80/a"),
        ("'http://a:b@c/': from http://d:e@f, said", "'http://***@c/': from http://***@f, said"),
        ("http://:onlyapassword@host/", "http://***@host/"),
    ],
)
def test_the_user_of_an_address_is_masked(text: str, masked: str) -> None:
    assert mask(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        *("", "no address, me@example.org", "https://medium.com/@user/x.png", "a:b@c"),
        *("http://host:8080/@user", "http://[::1]/@x", "http://[::1]:80/a@b", "http://host/?q=a@b"),
        *("http://host see me@example.org", "s3://bucket/key:with@sign"),
    ],
)
def test_what_is_no_user_stays(text: str) -> None:
    assert mask(text) == text


def test_secrets_are_masked_wherever_they_stand() -> None:
    said = "401 bad key sk-12345678, not sk-1234567"
    assert mask(said, "sk-1234567", "sk-12345678") == "401 bad key ***, not ***"
    assert mask("a server without a key: EMPTY", "EMPTY", "") == "a server without a key: EMPTY"


def test_the_passwords_of_an_address() -> None:
    assert passwords_in("http://user:p%40ssword@host/") == ("p%40ssword", "p@ssword")
    assert passwords_in("http://token@host/") == ("token", "token")
    assert passwords_in("http://host/a@b") == ()


def test_errors_run_files_logs_and_pages_show_no_password(lake: Lake) -> None:
    address = "http://user:hunter2@host/a.png"
    assert str(SourceError(f"{address}: no")) == "http://***@host/a.png: no"
    with pytest.raises(LakeError, match=r"^http://\*\*\*@host/a\.png$"), store_errors():
        raise StoreError(address)
    assert shown(address) == "http://***@host/a.png"
    with pytest.raises(ValueError, match="hunter2"), lake.run("fetch", "0"):
        raise ValueError(address)
    (run,) = lake.runs.iterdir()
    assert '"error": "http://***@host/a.png"' in run.read_text("utf-8")


def test_the_log_shows_no_password_where_a_traceback_has_one() -> None:
    code = (
        "import logging, click\n"
        "from memtriggers.pipelines.core.command_options import verbose_option\n"
        "@verbose_option\ndef show():\n"
        "    try: raise OSError('http://user:hunter2@host/: gone')\n"
        "    except OSError: logging.info('from %s', 'http://a:hunter2@b', exc_info=True)\n"
        "click.command(show)(['-v'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "INFO: from http://***@b" in done.stderr
    assert "OSError: http://***@host/: gone" in done.stderr
