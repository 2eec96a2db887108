"""The first live days: less size and less loss, by rule.

A limit of a step never exceeds the programme's own, and the step of a session is chosen once, when
it starts: nothing is loosened inside it. Sizes are tenths of a mini, money is micro-dollars.

The loss cap is a share of the daily loss limit. Where a programme has none, half of its maximum
loss stands in: the proportion of the firm's own Combine (a daily limit of 1,000 USD beside a
maximum loss of 2,000 USD on the 50K account). With neither, no order leaves.

I/O: none
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction

from pxresearch.errors import UsageError
from pxresearch.programmes import Programme

HALF = Fraction(1, 2)
QUARTER = Fraction(1, 4)
MINI = 10  # tenths; as many micros


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """Caps from a live day on.

    Attributes
    ----------
    first_day
        Of live trading, counted from 1.
    size, loss
        Shares of the programme's own size and daily loss. One mini is allowed at any step, unless
        the programme's own size is smaller.
    """

    first_day: int
    size: Fraction
    loss: Fraction


RAMP = (
    Step(first_day=1, size=Fraction(0), loss=QUARTER),
    Step(first_day=3, size=HALF, loss=HALF),
    Step(first_day=6, size=Fraction(1), loss=Fraction(1)),
)
"""Days 1-2, 3-5, and from day 6 on."""


def step_of(live_sessions: int) -> Step:
    """Step of the next live session after so many."""
    if live_sessions < 0:
        raise UsageError(f"live sessions are counted from 0, received {live_sessions}")
    return [step for step in RAMP if step.first_day <= live_sessions + 1][-1]


def ramp(live_sessions: int, programme: Programme) -> tuple[Programme, str]:
    """Rules for the next live session, and what they are in words.

    Parameters
    ----------
    live_sessions
        Earlier live days that went well (promotion.live_days).
    programme
        The account's own rules.

    Raises
    ------
    UsageError
        The programme has neither a daily loss limit nor a maximum loss.

    Examples
    --------
    >>> from pxresearch.programmes import programme
    >>> rules, text = ramp(0, programme("combine-50k"))
    >>> rules.max_size_tenths, rules.daily_loss_limit_micros
    (10, 250000000)
    """
    step = step_of(live_sessions)
    base = _daily_loss(programme)
    own = programme.max_size_tenths
    full = step is RAMP[-1]
    tenths = own if full else _tenths(own, step)
    loss = programme.daily_loss_limit_micros if full else max(int(base * step.loss), 1)
    ramped = replace(
        programme,
        max_size_tenths=tenths,
        max_order_qty=_least(programme.max_order_qty, tenths),
        daily_loss_limit_micros=loss,
    )
    return ramped, _text(live_sessions + 1, step, ramped)


def _daily_loss(programme: Programme) -> int:
    """Most that a day may lose at full size, micro-dollars."""
    if programme.daily_loss_limit_micros is not None:
        return programme.daily_loss_limit_micros
    if programme.max_loss_micros is not None:
        return int(programme.max_loss_micros * HALF)
    raise UsageError(
        f"account {programme.name!r} has neither a daily loss limit nor a maximum loss, so nothing "
        "would stop a live day: set daily_loss_limit under [account_changes], in USD"
    )


def _tenths(own: int | None, step: Step) -> int:
    """Size cap; an account that has none counts as one of four minis."""
    return min(own or 4 * MINI, max(int((own or 4 * MINI) * step.size), MINI))


def _least(*limits: int | None) -> int | None:
    return min((limit for limit in limits if limit is not None), default=None)


def _text(day: int, step: Step, rules: Programme) -> str:
    if step is RAMP[-1]:
        return f"live day {day}: the account's own limits"
    minis = Fraction(rules.max_size_tenths or 0, MINI)
    size = f"{float(minis):g} mini{'' if minis == 1 else 's'} ({rules.max_size_tenths} micros)"
    loss = (rules.daily_loss_limit_micros or 0) / 1_000_000
    return (
        f"live day {day}: at most {size} and "
        f"{loss:,.2f} USD of loss; the account's own limits from live day {RAMP[-1].first_day}"
    )
