"""No key and no token in anything that a person or a file can see; credentials and profiles."""

from __future__ import annotations

import asyncio
import logging
import traceback
from collections.abc import Callable

import pytest

from pxresearch.errors import GatewayError, UnknownName, UsageError
from pxresearch.gateway import wire
from pxresearch.gateway.calllog import CallRecord
from pxresearch.gateway.credentials import credentials
from pxresearch.gateway.profiles import PROFILES, profile
from pxresearch.gateway.rest import Rest, RestSettings
from tests.payloads import ANSWERS
from tests.stub_gateway import KEY, served

TOKEN = "eyJh.eyJl.planted-t0ken-4711"


def hidden_in(text: str) -> None:
    for secret in (KEY, TOKEN, "planted"):
        assert secret not in text


@pytest.mark.parametrize("failure", ["none", "torn login", "refused", "torn read", "no token"])
def test_no_secret_in_logs_reprs_tracebacks_and_records(
    failure: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Everything that a person or a file can see, with the variables of every frame."""
    good = ANSWERS["Auth/loginKey"].replace("eyJh.eyJl.c2ln", TOKEN)
    torn = good[: good.index(TOKEN) + len(TOKEN)]
    logins = {
        "torn login": torn, "no token": good.replace(f'"{TOKEN}"', "null"),
        "refused": '{"success":false,"errorCode":3,"errorMessage":null}',
    }  # fmt: skip
    shown: list[str] = []

    def answer(path: str, body: bytes) -> bytes | None:
        if path == "Auth/loginKey":
            assert KEY.encode() in body
            return logins.get(failure, good).encode()
        if path == "Auth/validate":
            return good.replace('"token"', '"newToken"').encode()
        return b'{"accounts":[' if failure == "torn read" else ANSWERS[path].encode()

    async def work(rest: Rest) -> None:
        assert await rest.token() == TOKEN
        shown.append(repr(rest) + repr(vars(rest)) + repr(vars(rest._caller)))
        shown.append(repr(vars(rest._caller.tokens)))
        await rest.accounts()
        await rest.cancel(7001122, 1)
        await rest.fresh_token()

    for name in (None, "httpx", "httpcore"):  # whatever has silenced them before in this process
        caplog.set_level(logging.DEBUG, logger=name)
    quick = RestSettings(attempts=2, backoff_s=0.001)
    log: Callable[[CallRecord], None] = lambda one: shown.append(repr(one))  # noqa: E731
    try:
        asyncio.run(served(answer, work, settings=quick, on_call=log))
        assert failure == "none"
    except GatewayError as error:
        assert failure != "none"
        trace = traceback.TracebackException.from_exception(error, capture_locals=True)
        own = [frame for frame in trace.stack if "pxresearch" in frame.filename]
        assert own
        trace.stack[:] = own  # the test's own frames hold what it planted
        shown.append("".join(trace.format()))
    shown.append(caplog.text)
    assert "httpcore" in caplog.text
    assert all(shown)
    hidden_in("\n".join(shown))


def test_keys_hide_in_reprs_of_wire_records() -> None:
    """A variable that holds a login or its answer shows neither, in rich tracebacks either."""
    login = wire.LoginKey(user_name="trader", api_key=KEY)
    answer = wire.decode(ANSWERS["Auth/loginKey"], wire.TokenAnswer)
    for one in (login, answer):
        assert KEY not in repr(one)
        assert "eyJ" not in repr(one)
        assert list(one.__rich_repr__()) == ["hidden"]
    assert wire.encode(login).count(KEY.encode()) == 1


# ------------------------------------------------------------------ credentials and profiles
@pytest.mark.parametrize(
    ("environ", "said"),
    [
        ({}, "no user name: set PROJECT_X_USERNAME"),
        ({"PROJECT_X_USERNAME": "trader"}, "no API key for 'trader': set PROJECT_X_API_KEY"),
        ({"PROJECT_X_USERNAME": " ", "PROJECT_X_API_KEY": KEY}, "the user name is blank"),
        ({"PROJECT_X_USERNAME": "trader", "PROJECT_X_API_KEY": ""}, "the API key is blank"),
        ({"PROJECT_X_USERNAME": "trader", "PROJECT_X_API_KEY": KEY + "\n"}, "line break"),
        ({"PROJECT_X_USERNAME": "trader\r\n", "PROJECT_X_API_KEY": KEY}, "line break"),
    ],
)
def test_credentials_that_cannot_be_used(
    environ: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Missing, blank, with a stray newline: each its own sentence, and never the key."""
    for name in ("PROJECT_X_USERNAME", "PROJECT_X_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match=said) as caught:
        credentials()
    trace = traceback.TracebackException.from_exception(caught.value, capture_locals=True)
    trace.stack[:] = [frame for frame in trace.stack if "pxresearch" in frame.filename]
    assert len(trace.stack) >= 1
    hidden_in("".join(trace.format()))


def test_credentials_show_no_key() -> None:
    """The key is there to be sent and for nothing else."""
    found = credentials({"PROJECT_X_USERNAME": "trader", "PROJECT_X_API_KEY": KEY})
    assert (found.user_name, found.api_key) == ("trader", KEY)
    assert repr(found) == "Credentials('trader')"


def test_profiles() -> None:
    """Addresses of the reference; one setting changes each; a key never goes out readable."""
    assert len(PROFILES) == 20
    top = profile("TopstepX")
    assert (top.rest, top.user_hub, top.market_hub) == (
        "https://api.topstepx.com", "https://rtc.topstepx.com/hubs/user",
        "https://rtc.topstepx.com/hubs/market",
    )  # fmt: skip
    assert profile("e8").rest == "https://api.e8.projectx.com"
    assert profile("demo").user_hub == "https://gateway-rtc-demo.s2f.projectx.com/hubs/user"
    local = profile("simulator", url="http://127.0.0.1:9001/")
    assert (local.rest, local.is_local) == ("http://127.0.0.1:9001", True)
    split = profile("topstepx", rest_url="https://a.example", hub_url="https://b.example")
    assert (split.rest, split.user_hub) == ("https://a.example", "https://b.example/hubs/user")
    for wrong in ("ftp://x", "api.topstepx.com", "http://api.topstepx.com", "https://"):
        with pytest.raises(UsageError):
            profile("topstepx", url=wrong)
    with pytest.raises(UnknownName, match="topstepx"):
        profile("topstep")
