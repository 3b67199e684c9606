"""Keys and passwords that stand in no text."""

from __future__ import annotations

import base64
from urllib.parse import quote

import pytest

from la4vla.construction.vlm.endpoint import Endpoint
from la4vla.construction.vlm.secrets import Scrubber, filled_url, read_key

KEY = "sk-Öf/9+very secret'\\x"


@pytest.mark.parametrize("raw", [KEY, f" {KEY}\r\n"])
@pytest.mark.parametrize(
    "text",
    [
        f"key {KEY}!",
        repr(f"Bearer {KEY}\n"),
        quote(KEY, safe=""),
        quote(KEY),
        base64.b64encode(f"user:{KEY}".encode()).decode(),
        base64.b64encode(f":{KEY}:".encode()).decode(),
        base64.urlsafe_b64encode(f"ab:{KEY}".encode()).decode(),
    ],
)
def test_a_secret_is_hidden_however_it_is_written(raw, text):
    cleaned = Scrubber([raw]).scrub(f"before {text} after")
    assert "[hidden]" in cleaned and cleaned.startswith("before ") and cleaned.endswith(" after")
    assert "very" not in cleaned and text not in cleaned


def test_without_secrets_texts_stay():
    assert Scrubber(["", "  ", "x"]).scrub("fox") == "fox"


def test_a_key_loses_its_line_end_and_no_other_is_shown(monkeypatch):
    monkeypatch.setenv("TINY_KEY", " sk-secret\r\n")
    assert read_key("TINY_KEY", "it") == "sk-secret"
    for bad in ("sk-sec\nret", "sk-sec\tret", "sk-“secret”"):
        monkeypatch.setenv("TINY_KEY", bad)
        with pytest.raises(ValueError, match="TINY_KEY holds a control character or one outside ASCII") as told:
            read_key("TINY_KEY", "it")
        assert "sk-" not in str(told.value)
    monkeypatch.setenv("TINY_KEY", " \n")
    with pytest.raises(ValueError, match="TINY_KEY must hold the key of it"):
        read_key("TINY_KEY", "it")


@pytest.mark.parametrize(
    "url", ["https://anna:hush@host/v1", "https://host/v1?api_key=hush", "https://h/v1?x=1&sig=hush"]
)
def test_a_password_in_an_address_is_refused_and_not_shown(url):
    with pytest.raises(ValueError, match=r"base_url holds a password or key.*\$\{PASSWORD\}") as told:
        Endpoint(url, "m")
    assert "hush" not in str(told.value)


def test_an_address_may_name_where_its_password_is(monkeypatch):
    url = "https://anna:${HUSH}@host/v1?api-version=2"
    assert Endpoint(url, "m").base_url == url
    monkeypatch.setenv("HUSH", "p@ss\n")
    assert filled_url(url) == ("https://anna:p%40ss@host/v1?api-version=2", ["p@ss"])


def test_a_key_in_place_of_its_variables_name_is_refused_and_not_shown():
    with pytest.raises(ValueError, match="must be the name of an environment variable") as told:
        Endpoint("http://h/v1", "m", api_key_env="sk-very-secret")
    assert "very" not in str(told.value)
