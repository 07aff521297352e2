"""What leaves the process without its secrets, and what is left as it was."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otelbridge.records.redaction import (
    MASK,
    _mask,
    is_secret,
    may_hold_secret,
    redact_also,
    redact_text,
    redact_value,
)

SECRET = "hunter2-correct.horse"


@pytest.fixture
def also():
    yield redact_also
    redact_also()


@pytest.mark.parametrize(
    "name",
    [
        "password", "PASSWORD", "db_password", "userPassword", "passwd", "pwd", "secret",
        "client_secret", "api_key", "apiKey", "X-Api-Key", "AWS_SECRET_ACCESS_KEY", "token",
        "access_token", "csrfToken", "Authorization", "authorisation", "Proxy-Authorization",
        "http.request.header.authorization", "cookie", "Set-Cookie", "session", "sessionid",
        "session_id", "jwt", "credentials", "private_key", "card_number", "cardNumber", "cvv",
        "user[password]", "user%5Bpassword%5D", "auth", "sig", "signature",
    ],
)  # fmt: skip
def test_names_of_secrets(name):
    assert is_secret(name)


@pytest.mark.parametrize(
    "name",
    [
        "user", "author", "authority", "token_count", "total_tokens", "tokens", "passenger",
        "compass", "status", "session_length", "design", "card", "secretary", "keyboard",
        "cookie_policy", "code", "error_code", "resign",
    ],
)  # fmt: skip
def test_names_that_only_look_like_it(name):
    assert not is_secret(name)


@pytest.mark.parametrize(
    "text",
    [
        f"connecting to postgresql://app:{SECRET}@db:5432/shop",
        f"Authorization: Bearer {SECRET}",
        f"Authorization: Basic {SECRET}",
        f"'Authorization': 'Basic {SECRET}'",
        f"sent with bearer {SECRET}",
        f"Cookie: theme=dark; id={SECRET}",
        f"Set-Cookie: id={SECRET}; HttpOnly",
        f"GET /login?user=a&password={SECRET}&next=/",
        f'{{"user": "alice", "password": "{SECRET}"}}',
        f"{{'api_key': '{SECRET}'}}",
        f'"{{\\"token\\": \\"{SECRET}\\"}}"',
        f"password: {SECRET}",
        f"DB_PASSWORD={SECRET} python app.py",
        f"client_secret = {SECRET}",
        f"login(user='alice', password='{SECRET}')",
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
        f"-----BEGIN PRIVATE KEY-----\n{SECRET}",
        f'{{"sig": "{SECRET}"}}',
    ],
)
def test_secrets_in_a_text_are_masked_and_what_is_around_them_stays(text):
    redacted = redact_text(text)

    assert SECRET not in redacted
    assert MASK in redacted
    assert redact_text(redacted) == redacted
    before = text.split(SECRET)[0].split()
    assert before[:1] == redacted.split()[:1] or MASK in redacted.split()[0]


# Pieces that secrets are made of, wholly or nearly.
PIECES = st.one_of(
    st.sampled_from(
        [
            *("password", "PWD", "apiKey", "access-key", "sig", "auth", "jwt", "cvc", "Cookie"),
            *("Authorization", "card_no", "credential", "session", "user", "X-Secret", "keys"),
            *("=", ":", ": ", '": "', "'", '"', " ", "\n", "&", ";", "[", "]", "://", "@", "/"),
            *("Bearer ", "bearer\t", "abcdefgh", "eyJ", "eyJabcdefgh.ijklmnop.q", ".", "-"),
            *("-----BEGIN ", "PRIVATE KEY-----", "-----END PRIVATE KEY-----"),
            *("4111", "4111111111111111", "1795279863123456789", "3"),
            *("c\u0131ok", "cook\u0131e", "COOK\u0130E", "author\u0130\u017fation", "coo\u212aie"),
            *("\\", "\x1f", "\u3000", "passphrase", "SecretKey", "private_key", "card-number", "t"),
            *("4111 1111 1111 1111", "\u0664111-1111", "4\u0661\u0661\u06611111", "1111"),
        ]
    ),
    st.text(max_size=3),
)


@settings(deadline=None, max_examples=500)
@given(st.lists(PIECES, max_size=12).map("".join))
def test_a_text_that_needs_no_closer_look_holds_no_secret(text):
    if not may_hold_secret(text):
        assert _mask(text) == text


@pytest.mark.parametrize("number", [1795279863123456789, 4111111111111112])
def test_a_long_number_that_is_no_cards_needs_no_closer_look(number):
    assert not may_hold_secret(f"order {number} accepted")


def test_json_within_json_stays_json():
    inner = json.dumps({"token": SECRET, "n": 1})

    redacted = redact_text(json.dumps({"body": inner}))

    assert json.loads(json.loads(redacted)["body"]) == {"token": MASK, "n": 1}


def test_a_secret_behind_another_name_is_found():
    assert redact_text(f"ValueError: password={SECRET}") == f"ValueError: password={MASK}"
    assert redact_text(f"a=b:token={SECRET}, c") == f"a=b:token={MASK}, c"


def test_a_signed_token_is_masked_wherever_it_stands():
    token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P"

    assert redact_text(f"refused {token}, expired") == f"refused {MASK}, expired"


@pytest.mark.parametrize(
    "number", ["4111111111111111", "4111 1111 1111 1111", "5500-0000-0000-0004", "340000000000009"]
)
def test_a_cards_number_is_masked(number):
    assert redact_text(f"card {number} declined") == f"card {MASK} declined"


@pytest.mark.parametrize(
    "text",
    [
        "Unexpected token: } at 7",
        "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        "token = None",
        "author=alice design=7 status: success",
        "order 4111111111111112 of 2026-11-21 16:51:03.123456",
        "uid 41111111-1111-1111-8111-111111111111",
        "trace 4bf92f3577b34da6a3ce929d0e0e4736",
        "at 1795279863123456789 ns, 3.14159265358979 rad",
        "basic authentication is off",
        "session 12 of the conference",
        "see https://example.org/a@b and mail to a@b.example",
        "",
    ],
)
def test_what_is_no_secret_stays_as_it_is(text):
    assert redact_text(text) == text


def test_values_are_masked_by_the_name_they_stand_under_however_deep():
    value = {
        "user": "alice",
        "login": {"password": SECRET, "tries": 3, "ok": True, "token": None},
        "headers": [{"Cookie": f"id={SECRET}"}, f"Bearer {SECRET}"],
        "pin": 7,
        "card_number": 4111111111111111,
    }

    redacted = redact_value("request", value)

    assert SECRET not in json.dumps(redacted)
    assert redacted["login"] == {"password": MASK, "tries": 3, "ok": True, "token": None}
    assert redacted["headers"] == [{"Cookie": MASK}, f"Bearer {MASK}"]
    assert (redacted["user"], redacted["pin"], redacted["card_number"]) == ("alice", 7, MASK)
    assert value["login"]["password"] == SECRET


def test_data_without_secrets_is_not_copied():
    value = {"a": [1, "two", {"b": None}]}

    assert redact_value("x", value) is value


def test_more_names_can_be_given(also):
    assert redact_value("iban", "DE89370400440532013000") == "DE89370400440532013000"

    also("iban", "internal_*")

    assert redact_value("IBAN", "DE89370400440532013000") == MASK
    assert redact_text("internal_id=7, id=8") == f"internal_id={MASK}, id=8"
    assert redact_value("user", "alice") == "alice"


def test_names_of_the_environment_are_taken(monkeypatch, also):
    from otelbridge.records import redaction

    monkeypatch.setenv("OTELBRIDGE_REDACT", "iban, passport")
    monkeypatch.setattr(redaction._Names, "read", False)
    is_secret.cache_clear()

    assert is_secret("Passport")
    assert not is_secret("port")


@given(st.text())
def test_any_text_is_redacted_once_and_for_all(text):
    redacted = redact_text(text)

    assert redact_text(redacted) == redacted


json_data = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
)


@given(json_data)
def test_shape_and_keys_of_any_data_stay(value):
    def shape(data, masked):
        if masked == MASK:
            return
        if isinstance(data, dict):
            assert list(data) == list(masked)
            for key in data:
                shape(data[key], masked[key])
        elif isinstance(data, list):
            assert len(data) == len(masked)
            for one, other in zip(data, masked, strict=True):
                shape(one, other)
        elif not isinstance(data, str):
            assert masked == data

    shape(value, redact_value("", value))


@pytest.mark.parametrize(
    "piece",
    [
        "password", "a", "4", "4 ", "://", "://a", "eyJ", "password=", '"secret": "', "Cookie: ",
        "token ", "bearer ", "-----BEGIN PRIVATE KEY-----", "api_key[", "\\\"",
    ],
)  # fmt: skip
def test_a_megabyte_of_anything_takes_no_more_than_linear_time(piece):
    text = (piece * (10**6 // len(piece))) + " token=x"
    begun = time.process_time()

    redact_text(text)

    # Quadratic time would be hours.
    assert time.process_time() - begun < 20
