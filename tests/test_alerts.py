"""Delivery of alerts: in order, off the trading path, tried again, failures and no secret shown."""

from __future__ import annotations

import json
import logging
import sys
import threading
import time
import types
from collections.abc import Iterator
from email import message_from_bytes
from importlib.machinery import ModuleSpec

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from pxresearch.alerts import Alert, Alerts, Attempt, Channel, Heartbeat, channels, heartbeat
from pxresearch.clock import NS, VirtualClock, WallClock
from pxresearch.errors import UsageError
from pxresearch.monitor import Thresholds, Watch
from tests.alert_kit import GOOD, PATIENCE_S, Server, alert, mailbox, server

TOKEN = "PLANTED-TOKEN-of-a-channel"


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    for name in ("PXRESEARCH_ALERTS", "PXRESEARCH_HEARTBEAT"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def net() -> Iterator[Server]:
    with server() as one:
        yield one


class Scripted(Channel):
    """A channel without network: takes what a script says, try by try, then everything."""

    def __init__(self, script: list[bool], gate: threading.Event | None = None) -> None:
        self.name, self.script, self.gate = "scripted", list(script), gate
        self.tried: list[str] = []
        self.taken: list[str] = []
        self.began = threading.Event()

    def deliver(self, alert: Alert) -> str:
        self.began.set()
        if self.gate is not None:
            self.gate.wait(PATIENCE_S)
        self.tried.append(alert.text)
        if self.script and not self.script.pop(0):
            return "HTTP 503"
        self.taken.append(alert.text)
        return ""


def test_an_alert_arrives_whole(net: Server) -> None:
    """Title, text and level reach the service; the delivery is told with its time."""
    told: list[Attempt] = []
    clock = VirtualClock(7 * NS)
    alerts = Alerts(net.channels("a"), clock=clock, on_result=told.append)
    for level in ("info", "warning", "critical"):
        alerts.send(alert(f"<b> {level} & more\nsecond line", level, ts=5 * NS))
    assert alerts.close(PATIENCE_S) == 0
    assert [b["type"] for b in net.bodies] == ["info", "warning", "failure"]
    assert net.bodies[0]["title"] == "about <b> info & more\nsecond line"
    assert net.texts[0] == "<b> info & more\nsecond line"
    assert [(a.number, a.error, a.last, a.seconds) for a in told] == [(1, "", True, 2.0)] * 3
    assert {a.channel for a in told} == {"JSON (URL 1)"}


def test_a_letter_is_plain_text() -> None:
    """By e-mail as well, where apprise's own default is HTML: nothing of a text is lost."""
    with mailbox() as (port, letters):
        url = f"mailto://127.0.0.1:{port}?from=bot@example.com&to=me@example.com&mode=insecure"
        alerts = Alerts(channels({"PXRESEARCH_ALERTS": url}), clock=WallClock())
        alerts.send(alert("2 < 3 & more\nsecond line"))
        assert alerts.close(PATIENCE_S) == 0
    letter = message_from_bytes(letters[0])
    (body,) = [part for part in letter.walk() if not part.is_multipart()]
    assert body.get_content_type() == "text/plain"
    assert body.get_payload(decode=True).split(b"\r\n")[:2] == [b"2 < 3 & more", b"second line"]


def test_a_long_text_is_cut_to_what_every_service_takes(net: Server) -> None:
    """An SMS service takes 1,600 characters, title included."""
    alerts = Alerts(net.channels("a"), clock=WallClock())
    alerts.send(msgspec.structs.replace(alert("x" * 5_000), title="long"))
    assert alerts.close(PATIENCE_S) == 0
    assert net.texts == ["x" * 1_400]


def test_every_channel_gets_everything_in_order(net: Server) -> None:
    """Two channels, thirty alerts, and the first answers of both are refusals."""
    net.status = lambda path, number: 503 if number <= 4 else 200
    by_path: dict[str, list[str]] = {"/a": [], "/b": []}
    alerts = Alerts(net.channels("a", "b"), clock=WallClock(), retry_s=(0.01,) * 6)
    sent = [str(i) for i in range(30)]
    for text in sent:
        alerts.send(alert(text))
    net.wait(lambda: len(net.bodies) == 60)
    taken = [path for i, path in enumerate(net.paths) if i >= 4]
    for path, text in zip(taken, net.texts, strict=True):
        by_path[path.rstrip("/")].append(text)
    assert by_path == {"/a": sent, "/b": sent}
    assert alerts.close(PATIENCE_S) == 0
    assert (alerts.failed, alerts.lost) == (4, 0)


@given(st.lists(st.booleans(), max_size=30), st.integers(1, 8), st.integers(0, 3))
def test_what_is_sent_is_delivered_once_in_order_or_lost_and_counted(
    script: list[bool], sent: int, retries: int
) -> None:
    """Against the rule itself: an alert is tried until it is taken, at most `retries` + 1 times."""
    left, taken, tried, failed = list(script), [], [], 0
    for text in map(str, range(sent)):
        for _ in range(retries + 1):
            tried.append(text)
            if not left or left.pop(0):
                taken.append(text)
                break
            failed += 1
    channel, results = Scripted(script), []
    done = threading.Event()

    def on_result(attempt: Attempt) -> None:
        results.append(attempt)
        if sum(one.last for one in results) == sent:
            done.set()

    alerts = Alerts([channel], clock=VirtualClock(0), on_result=on_result, retry_s=(0,) * retries)
    for text in map(str, range(sent)):
        alerts.send(alert(text))
    assert done.wait(PATIENCE_S)
    assert alerts.close(PATIENCE_S) == sent - len(taken)
    assert (channel.tried, channel.taken) == (tried, taken)
    assert (alerts.failed, alerts.lost) == (failed, sent - len(taken))
    assert alerts.last_error == ("scripted: HTTP 503" if failed else "")


def test_a_hung_channel_holds_up_nobody(net: Server) -> None:
    """To send takes no time, and the other channel delivers, while one does not answer at all."""
    alerts = Alerts(net.channels("hang", "b"), clock=WallClock())
    start = time.perf_counter()
    for i in range(100):
        alerts.send(alert(str(i)))
    assert time.perf_counter() - start < 0.5
    net.wait(lambda: len(net.bodies) == 100)
    assert set(net.paths) == {"/b/"} or set(net.paths) == {"/b"}
    start = time.perf_counter()
    assert alerts.close(0.2) == 100  # all of the hung one, the one under way with them
    assert time.perf_counter() - start < 2.0


def test_breaches_are_handed_over_within_five_seconds(net: Server) -> None:
    """Control K20: p99 from breach to delivery, with one channel hung and another dead."""
    breaches: list[dict[str, object]] = [
        {"user_hub": False}, {"market_hub": False}, {"unresolved": ("order 3",)}, {"halted": True},
        {"reconciled": False}, {"locked": "day"}, {"journal_failed": "full"}, {"day_room": 0},
        {"journal_lag_s": 9.0}, {"alerts_failed": 1},
    ]  # fmt: skip
    soon = Thresholds(connection_s=0.001, unreconciled_s=0.001)
    taken: list[float] = []
    done = threading.Event()

    def on_result(one: Attempt) -> None:
        taken.extend([] if one.error else [one.seconds])
        if len(taken) == 200:
            done.set()

    dead = channels({"PXRESEARCH_ALERTS": "json://127.0.0.1:1/"})
    found = (*net.channels("hang"), *dead, *net.channels("ok"))
    alerts = Alerts(found, clock=WallClock(), on_result=on_result)
    for _ in range(20):
        for breach in breaches:
            watch, now = Watch(thresholds=soon), time.time_ns()
            changed = msgspec.structs.replace(GOOD, **breach)
            for ts in (now - NS, now):  # it begins, and has lasted long enough
                for one in watch.look(msgspec.structs.replace(changed, ts=ts)):
                    alerts.send(msgspec.structs.replace(one, ts=now))
    assert done.wait(PATIENCE_S)
    alerts.close(0.1)
    assert sorted(taken)[197] < 5.0


def test_a_full_queue_gives_up_the_oldest_of_the_least_important() -> None:
    """Critical ones stay; each that is pushed out is counted."""
    gate = threading.Event()
    channel = Scripted([], gate)
    alerts = Alerts([channel], clock=VirtualClock(0), most=3)
    alerts.send(alert("under way"))
    assert channel.began.wait(PATIENCE_S)
    for text, level in (
        ("a", "critical"), ("b", "info"), ("c", "warning"), ("d", "info"), ("e", "critical"),
        ("f", "unheard of"),
    ):  # fmt: skip
        alerts.send(alert(text, level))
    assert alerts.waiting == 4
    assert alerts.last_error == "scripted: more than 3 alerts wait"
    gate.set()
    assert alerts.close(PATIENCE_S) == alerts.lost == 3
    assert channel.taken == ["under way", "a", "e", "f"]
    alerts.send(alert("too late"))
    assert alerts.lost == 4
    assert "closed" in alerts.last_error


def test_close_does_not_wait_for_the_next_try() -> None:
    """With hours to the next try, what waits is tried once more, at once."""
    channel = Scripted([False, False])
    tried = threading.Event()
    alerts = Alerts(
        [channel], clock=VirtualClock(0), retry_s=(3_600.0,) * 3, on_result=lambda _: tried.set()
    )
    alerts.send(alert("a"))
    alerts.send(alert("b"))
    assert tried.wait(PATIENCE_S)
    assert alerts.close(PATIENCE_S) == 1
    assert channel.tried == ["a", "a", "b"]
    assert channel.taken == ["b"]


def test_a_listener_that_raises_ends_no_channel() -> None:
    """The next alert is still delivered, and the fault is told."""

    def broken(_: Attempt) -> None:
        raise RuntimeError("the loop is closed")

    channel = Scripted([])
    alerts = Alerts([channel], clock=VirtualClock(0), on_result=broken)
    alerts.send(alert("a"))
    alerts.send(alert("b"))
    assert alerts.close(PATIENCE_S) == 0
    assert channel.taken == ["a", "b"]
    assert "RuntimeError" in alerts.last_error


def test_no_secret_is_shown(net: Server, caplog: pytest.LogCaptureFixture) -> None:
    """Taken, refused, unreachable, not a URL: the token is in no log, no repr, no error, no row."""
    caplog.set_level(logging.DEBUG)
    net.status = lambda path, number: 403 if "no" in path else 200
    told: list[Attempt] = []
    urls = [
        f"json://user:{TOKEN}@127.0.0.1:{net.port}/yes/{TOKEN}",
        f"json://user:{TOKEN}@127.0.0.1:{net.port}/no/{TOKEN}",
        f"json://user:{TOKEN}@127.0.0.1:1/{TOKEN}",
    ]
    found = channels({"PXRESEARCH_ALERTS": "\n".join(urls)})
    alerts = Alerts(found, clock=WallClock(), on_result=told.append, retry_s=(0.01,))
    alerts.send(alert("x"))
    alerts.close(PATIENCE_S)
    beat = Heartbeat(f"http://127.0.0.1:{net.port}/{TOKEN}")
    beat.beat(NS * 100)
    beat.close(PATIENCE_S)
    shown = [repr(found), repr(alerts), alerts.last_error, repr(beat), beat.last_error]
    shown.append(msgspec.json.encode(told).decode())
    for wrong in (f"nonsense://{TOKEN}", TOKEN):
        with pytest.raises(UsageError, match="URL 2 of PXRESEARCH_ALERTS") as caught:
            channels({"PXRESEARCH_ALERTS": f"json://127.0.0.1:1/,x://{wrong}"})
        shown.append(str(caught.value))
    assert TOKEN not in "".join(shown)
    assert TOKEN not in caplog.text
    assert not [one for one in caplog.records if one.name.startswith(("apprise", "urllib3"))]
    assert any(TOKEN in path for path in net.paths)
    assert {a.error for a in told} == {"", "HTTP 403", "no connection"}


def test_channels_come_from_the_keyring_when_the_environment_has_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Service pxresearch, user PXRESEARCH_ALERTS; a blank variable asks no keyring."""
    kept = {"PXRESEARCH_ALERTS": "json://127.0.0.1:1/", "PXRESEARCH_HEARTBEAT": "http://127.0.0.1/"}
    fake = types.ModuleType("keyring")
    fake.__spec__ = ModuleSpec("keyring", None)
    fake.get_password = lambda service, user: {"pxresearch": kept}[service].get(user)  # type: ignore[attr-defined]
    errors = types.ModuleType("keyring.errors")
    errors.KeyringError = RuntimeError  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", fake)
    monkeypatch.setitem(sys.modules, "keyring.errors", errors)
    assert [one.name for one in channels({})] == ["JSON (URL 1)"]
    assert channels({"PXRESEARCH_ALERTS": " "}) == ()
    beat = heartbeat({})
    assert beat is not None
    beat.close(PATIENCE_S)
    assert heartbeat({"PXRESEARCH_HEARTBEAT": ""}) is None


def test_the_heartbeat_beats_once_a_period(net: Server) -> None:
    """However often all is well; a refused beat is counted, and the next goes out all the same."""
    net.status = lambda path, number: 500 if number == 2 else 200
    beat = Heartbeat(f"http://127.0.0.1:{net.port}/ping", period_s=60.0)
    start = 1_000 * NS
    for second in range(181):
        beat.beat(start + second * NS)
    beat.close(PATIENCE_S)
    assert net.paths == ["/ping"] * 4
    assert (beat.sent, beat.failed, beat.last_error) == (3, 1, "HTTP 500")


@pytest.mark.parametrize("wrong", ["hc-ping.com/abc", "ftp://x/y", "https://a b"])
def test_a_heartbeat_url_that_is_none_is_refused(wrong: str) -> None:
    """Before anything trades, without being shown."""
    with pytest.raises(UsageError, match="PXRESEARCH_HEARTBEAT") as caught:
        heartbeat({"PXRESEARCH_HEARTBEAT": wrong})
    assert wrong not in str(caught.value)


def test_the_command_says_which_channel_fails(net: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 0 when all took it, 1 when one did not, and its row says why; 2 without any."""
    from pxresearch.cli import app

    def run(*args: str) -> tuple[int, str, BaseException | None]:
        done = CliRunner().invoke(app, ["alert", "test", *args])
        return done.exit_code, done.stdout, done.exception

    good, bad = f"json://127.0.0.1:{net.port}/ok", f"json://127.0.0.1:{net.port}/no"
    net.status = lambda path, number: 401 if "no" in path else 200
    assert isinstance(run()[2], UsageError)
    monkeypatch.setenv("PXRESEARCH_ALERTS", good)
    monkeypatch.setenv("PXRESEARCH_HEARTBEAT", f"http://127.0.0.1:{net.port}/ping")
    code, out, _ = run("--json")
    assert code == 0
    assert json.loads(out)["ok"] is True
    assert net.bodies[0]["title"] == "pxresearch: test"
    monkeypatch.setenv("PXRESEARCH_ALERTS", f"{good}\n{bad}")
    code, out, _ = run("--json")
    rows = json.loads(out)["channels"]
    assert code == 1
    assert [(r["channel"], r["delivered"], r["error"]) for r in rows] == [
        ("JSON (URL 1)", True, ""), ("JSON (URL 2)", False, "HTTP 401"), ("heartbeat", True, ""),
    ]  # fmt: skip
    assert "HTTP 401" in run()[1]
