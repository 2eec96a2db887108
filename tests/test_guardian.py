"""The guardian: what it decides, and what it does at a venue on a socket."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pxresearch.accountdir import Latch, account_folder
from pxresearch.clock import NS, VirtualClock
from pxresearch.emergency import URGENT
from pxresearch.errors import UsageError
from pxresearch.gateway.profiles import profile
from pxresearch.gateway.rest import Rest
from pxresearch.guardian import Act, Duty, Guard, Guardian, GuardSettings, Report
from tests.safety_kit import ACCOUNT, KEYS, Place

NOW = 1_790_865_000 * NS
QUICK = GuardSettings(look_s=0.02, hung_s=0.2, late_s=0.4, limit_s=1.0)
SETTINGS = GuardSettings(look_s=1.0, hung_s=5.0, late_s=15.0)

# ---------------------------------------------------------------- decisions
LOOKS = st.lists(
    st.tuples(
        st.booleans(),  # beats
        st.integers(-2, 3),  # seconds that the clock moves: a clock may be set back
        st.booleans(), st.booleans(), st.booleans(),  # exposed, flattening, halted
        st.sampled_from([None, -30, 20, 40]),  # flatten time, seconds from the start
        st.booleans(), st.booleans(),  # whether what is done succeeds, and something is left
    ),
    max_size=120,
)  # fmt: skip


@given(looks=LOOKS)
def test_decisions(looks: list[tuple[bool, int, bool, bool, bool, int | None, bool, bool]]) -> None:
    """Against a second account of the rules, counted from the whole history of looks."""
    guard, now, beats = Guard(SETTINGS), NOW, 0
    silent = late = 0
    settled: set[Act] = set()
    seen = False
    for k, (beat, moved, exposed, flattening, halted, at, ok, left) in enumerate(looks):
        now += moved * NS
        beats += beat
        fresh = beat or k == 0
        silent = 0 if fresh else silent + 1
        settled, seen = (set(), False) if fresh else (settled, seen)
        duty = Duty(
            exposed=exposed, flatten_at=None if at is None else NOW + at * NS,
            flattening="a limit" if flattening else "",
        )  # fmt: skip
        due = at is not None and now >= NOW + at * NS
        late = late + 1 if due and exposed and not flattening else 0
        wanted: Act | None = None
        if Act.FLATTEN not in settled:
            if silent >= 5 and (exposed or seen) and (flattening or halted or due):
                wanted = Act.FLATTEN
            elif silent >= 5:
                wanted = None if Act.WITHDRAW in settled else Act.WITHDRAW
            elif late >= 15:
                wanted = Act.FLATTEN
        found = guard.look(now, beats, duty, halted=halted)
        assert (found and found[0]) == wanted
        if found is not None and ok:
            guard.done(found[0], left=left)
            settled.add(found[0])
            late, seen = 0, left


@given(
    jumps=st.lists(st.integers(-10**6, 10**6), min_size=40, max_size=40),
    flattening=st.booleans(), at=st.integers(-(10**6), 10**6),
)  # fmt: skip
def test_a_runner_that_lives_and_flattens_is_left_alone(
    jumps: list[int], flattening: bool, at: int
) -> None:
    """Whatever its clock does, and however long it takes."""
    guard = Guard(SETTINGS)
    for beats, jump in enumerate(jumps):
        duty = Duty(exposed=True, flatten_at=NOW + at * NS, flattening="deadline")
        duty = duty if flattening else Duty(exposed=True, flatten_at=None)
        assert guard.look(NOW + jump * NS, beats, duty, halted=True) is None


@pytest.mark.parametrize(
    "given_times", [{"look_s": 0}, {"look_s": 9.0}, {"limit_s": 0}, {"hung_s": 0.1}]
)
def test_times_that_make_no_sense(given_times: dict[str, float]) -> None:
    """A guardian that looks less often than it has to act is none."""
    with pytest.raises(UsageError, match="look_s"):
        GuardSettings(**given_times)


# ---------------------------------------------------------------- its thread, at a venue
@pytest.fixture(scope="module")
def venue() -> Iterator[Place]:
    with Place() as place:
        yield place


@pytest.fixture
def place(venue: Place) -> Iterator[Place]:
    yield venue
    venue.calm()


class Watch:
    """A guardian with a clock that stands still, and its reports."""

    def __init__(self, place: Place, folder: Path, rest: Callable[[], Rest] | None = None) -> None:
        self.clock, self.reports = VirtualClock(NOW), []
        self.latch = Latch(account_folder(folder, ACCOUNT))
        self.news = threading.Condition()
        where = profile("simulator", url=place.url)
        self.guardian = Guardian(
            ACCOUNT, rest or (lambda: Rest(where, KEYS, settings=URGENT)), self.latch,
            clock=self.clock, settings=QUICK, on_report=self._report,
        )  # fmt: skip

    def _report(self, report: Report) -> None:
        with self.news:
            self.reports.append(report)
            self.news.notify_all()

    def __enter__(self) -> Watch:
        self.guardian.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.guardian.stop(20)

    def wait(self, act: Act, ok: bool | None) -> Report:
        """The first such report."""
        with self.news:
            self.news.wait_for(lambda: self._found(act, ok), 30)
        found = self._found(act, ok)
        assert found, self.reports
        return found[0]

    def _found(self, act: Act, ok: bool | None) -> list[Report]:
        return [one for one in self.reports if (one.act, one.ok) == (act, ok)]


def test_hung_at_its_flatten_time(place: Place, tmp_path: Path) -> None:
    """First entries go and protection stays; when the time comes the account is flattened."""
    place.busy()
    with Watch(place, tmp_path) as watch:
        watch.guardian.duty = Duty(exposed=True, flatten_at=NOW + 60 * NS)
        watch.guardian.beat(NOW)
        done = watch.wait(Act.WITHDRAW, True)
        assert "2 entries withdrawn" in done.text
        assert len(place.working()) == 2  # stop and target of the bracket
        assert place.held() == {place.id("MNQ"): 3, place.id("MES"): -2}
        assert watch.latch.read() is None
        watch.clock.advance(NOW + 60 * NS)
        done = watch.wait(Act.FLATTEN, True)
        assert place.is_flat()
        held = watch.latch.read()
    assert held is not None
    assert held.by == "guardian"
    assert "flatten time" in held.why
    assert watch.guardian.took_over == held.why
    assert [(one.act, one.ok) for one in watch.reports] == [
        (Act.WITHDRAW, None), (Act.WITHDRAW, True), (Act.FLATTEN, None), (Act.FLATTEN, True),
    ]  # fmt: skip


def test_hung_while_it_flattened(place: Place, tmp_path: Path) -> None:
    """A limit was triggered, and then nothing more was heard."""
    place.busy()
    with Watch(place, tmp_path) as watch:
        watch.guardian.duty = Duty(exposed=True, flattening="daily loss limit")
        watch.guardian.beat(NOW)
        assert "daily loss limit" in watch.wait(Act.FLATTEN, None).text
        watch.wait(Act.FLATTEN, True)
        assert place.is_flat()


def test_hung_and_halted_by_a_file(place: Place, tmp_path: Path) -> None:
    """K13: the kill switch that another process sets is obeyed; a damaged file will do."""
    place.busy()
    with Watch(place, tmp_path) as watch:
        watch.guardian.duty = Duty(exposed=True)
        watch.wait(Act.WITHDRAW, True)
        watch.latch.path.write_bytes(b"")
        watch.wait(Act.FLATTEN, True)
        assert place.is_flat()


def test_hung_before_it_could_say_that_it_is_exposed(place: Place, tmp_path: Path) -> None:
    """The venue is looked at all the same; a flat account is left as it is, and not halted."""
    with Watch(place, tmp_path) as watch:
        watch.guardian.duty = Duty(exposed=False, flatten_at=NOW - NS)
        assert "nothing is open" in watch.wait(Act.WITHDRAW, True).text
        assert watch.latch.read() is None
        place.busy()
        watch.guardian.beat(NOW)
        watch.wait(Act.FLATTEN, True)
        assert place.is_flat()


def test_again_until_it_is_flat(place: Place, tmp_path: Path) -> None:
    """A halted market: each attempt that fails is told, and another follows."""
    place.busy()
    place.do(lambda venue: venue.exchange.halt(place.id("MNQ"), True))
    with Watch(place, tmp_path) as watch:
        watch.guardian.duty = Duty(exposed=True, flattening="deadline")
        assert "NOT FLAT" in watch.wait(Act.FLATTEN, False).text
        place.do(lambda venue: venue.exchange.halt(place.id("MNQ"), False))
        watch.wait(Act.FLATTEN, True)
        assert place.is_flat()


def test_a_runner_that_lives_keeps_its_account(place: Place, tmp_path: Path) -> None:
    """It beats and flattens by itself, past every time, with the kill switch set."""
    place.busy()
    with Watch(place, tmp_path) as watch:
        watch.latch.set(NOW, why="enough", by="a test")
        watch.guardian.duty = Duty(exposed=True, flatten_at=NOW - NS, flattening="deadline")
        tick = threading.Event()
        for _ in range(100):
            watch.guardian.beat(NOW)
            tick.wait(0.01)
        assert watch.reports == []
    assert not place.is_flat()


def test_a_runner_that_lives_and_forgets(place: Place, tmp_path: Path) -> None:
    """It beats, its time has passed, and it does not begin."""
    place.busy()
    with Watch(place, tmp_path) as watch:
        watch.guardian.duty = Duty(exposed=True, flatten_at=NOW - NS)
        tick = threading.Event()
        while not watch._found(Act.FLATTEN, True):
            watch.guardian.beat(NOW)
            tick.wait(0.01)
        assert "unheeded" in watch.reports[0].text
        assert place.is_flat()


def test_it_outlives_its_own_failures(place: Place, tmp_path: Path) -> None:
    """A report that raises, a disk that fails, a venue that answers nonsense: still flat."""
    place.busy()
    place.fault("malformed_json", count=3)
    with Watch(place, tmp_path) as watch:

        def then_broken(report: Report) -> None:
            watch._report(report)
            broken()

        watch.latch.set = broken  # type: ignore[method-assign]
        watch.guardian._on_report = then_broken
        watch.guardian.duty = Duty(exposed=True, flattening="deadline")
        watch.wait(Act.FLATTEN, True)
        assert place.is_flat()
        assert any("cannot be stored" in one.text for one in watch.reports)


def test_a_guardian_that_cannot_begin_says_so(place: Place, tmp_path: Path) -> None:
    """Nobody relies on a watchdog that is not there."""
    with Watch(place, tmp_path, rest=broken) as watch:
        assert "watches no more" in watch.wait(Act.FLATTEN, False).text


def broken(*_: object, **named: object) -> Any:
    raise OSError("no space left")
