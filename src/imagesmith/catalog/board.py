"""The board: what all processes of a deployment ask a cloud account together.

Questions of one kind are asked in numbered rounds. Who wants an answer notes on the board what it wants, and takes only
what a later round brings: so an answer was always asked for after the need for it arose, whatever the clocks say. One
of those who wait begins the round, under a lease that ends by time, and asks for all; the others read what it wrote.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from imagesmith.catalog.access import Access, insert_unless_there, reads, writes
from imagesmith.catalog.schema import Question, Round

# Who was killed while it asked is waited for so long; who lives renews its lease.
LEASE = timedelta(seconds=15)
# An answer is needed for seconds; a note of somebody who was killed is of no use to anybody.
KEPT = timedelta(hours=1)
# How soon it is worth looking whether the one who asks has an answer.
LEASED_LOOK_S = 0.15
# A round whose every answer was trouble is followed by a pause that doubles up to this.
MOST_PAUSE_S = 30.0

Answer = dict[str, Any]


@dataclass(frozen=True)
class Turn:
    """What is to be done about questions noted for the round after `ticket`.

    `answers` are there. If `ask` is not empty the caller has to ask for these keys, and to write down what comes as the
    answers of round `number`, begun at `begun_at`. Otherwise it is worth coming again in `wait_s`.
    """

    ticket: int
    answers: Mapping[str, Answer]
    ask: tuple[str, ...] = ()
    number: int = 0
    begun_at: datetime | None = None
    wait_s: float = 0.0


class BoardStore(Access):
    """The catalog's part that is the board."""

    @writes
    def note_questions(
        self, session: Session, account: str, kind: str, keys: Sequence[str], *, tick_s: float, since: datetime | None
    ) -> Turn:
        """The turn of one who wants answers of a later round, or, if `since` is given, of one begun since then.

        The first who wants something waits `tick_s` for company.
        """
        now = self._now()
        round_ = _the_round(session, account, kind, now)
        if not _open_keys(session, round_):
            round_.due_at = max(round_.due_at, now + timedelta(seconds=tick_s))  # others may come
        rows = {row.key: row for row in _questions(session, account, kind, keys)}
        answers = {}
        for key in keys:
            row = rows.get(key)
            if row is not None and row.answer and _is_good(row, since):
                answers[key] = row.answer
                continue
            if row is None:
                row = Question(account=account, kind=kind, key=key, answered=0, wanted=0)
                session.add(row)
            row.wanted, row.wanted_at = round_.number + 1, now
        session.flush()
        turn = Turn(round_.number + 1, answers)
        return self._turn(session, round_, turn, [key for key in keys if key not in answers], tick_s=tick_s)

    def next_turn(self, account: str, kind: str, keys: Sequence[str], *, ticket: int, tick_s: float) -> Turn:
        """The turn of one who has noted its questions before and got that ticket; mostly a look that writes nothing."""
        turn = self._look(account, kind, keys, ticket)
        return turn if turn.wait_s or len(turn.answers) == len(keys) else self._take(account, kind, keys, turn, tick_s)

    @reads
    def _look(self, session: Session, account: str, kind: str, keys: Sequence[str], ticket: int) -> Turn:
        now = self._now()
        round_ = session.get(Round, (account, kind))
        answers = _answers(session, account, kind, keys, ticket=ticket)
        return Turn(ticket, answers, wait_s=_wait_s(round_, now) if round_ else 0.0)

    @writes
    def _take(self, session: Session, account: str, kind: str, keys: Sequence[str], turn: Turn, tick_s: float) -> Turn:
        round_ = _the_round(session, account, kind, self._now())
        return self._turn(session, round_, turn, keys, tick_s=tick_s)

    def _turn(self, session: Session, round_: Round, turn: Turn, keys: Sequence[str], *, tick_s: float) -> Turn:
        """The turn now that the round is ours to look at; begins it unless somebody has, or it is too early."""
        now = self._now()
        answers = {
            **turn.answers,
            **_answers(session, round_.account, round_.kind, keys, ticket=turn.ticket),
        }
        if all(key in answers for key in keys):
            return Turn(turn.ticket, answers)
        if wait_s := _wait_s(round_, now):
            return Turn(turn.ticket, answers, wait_s=wait_s)
        round_.number += 1
        round_.lease_until = now + LEASE
        round_.due_at = now + timedelta(seconds=tick_s)
        return Turn(turn.ticket, answers, _open_keys(session, round_), round_.number, begun_at=now)

    @reads
    def last_trouble(self, session: Session, account: str, kind: str, key: str) -> Answer | None:
        """The trouble that the newest answer was; None if it was none, or is older than rounds pause after trouble."""
        row = session.get(Question, (account, kind, key))
        if row is None or row.asked_at is None or row.asked_at < self._now() - timedelta(seconds=2 * MOST_PAUSE_S):
            return None
        return row.answer if row.answer and "error" in row.answer else None

    @writes
    def renew_lease(self, session: Session, account: str, kind: str, number: int) -> None:
        """More time for the one who asks in that round."""
        round_ = _the_round(session, account, kind, self._now())
        if round_.number == number:
            round_.lease_until = self._now() + LEASE

    @writes
    def answer_questions(
        self, session: Session, account: str, kind: str, turn: Turn, answers: Mapping[str, Answer], *, failed: bool
    ) -> None:
        """The answers of the turn's round for all who wait; after one that `failed` all pause, longer each time."""
        now = self._now()
        round_ = _the_round(session, account, kind, now)
        for row in _questions(session, account, kind, list(answers)):
            if row.answered < turn.number:
                row.answered, row.answer, row.asked_at = turn.number, answers[row.key], turn.begun_at
        if round_.number == turn.number:
            round_.lease_until = None
        round_.failures = round_.failures + 1 if failed else 0
        if failed:
            pause_s = min(MOST_PAUSE_S, 2.0 ** (round_.failures - 1))
            round_.due_at = max(round_.due_at, now + timedelta(seconds=pause_s))
        old = (Question.account == account) & (Question.kind == kind) & (Question.wanted_at < now - KEPT)
        session.execute(delete(Question).where(old))


def _is_good(row: Question, since: datetime | None) -> bool:
    """Whether the newest answer will do for one who takes any that was asked for since then; trouble never does."""
    asked_since = since is not None and row.asked_at is not None and row.asked_at >= since
    return asked_since and "error" not in (row.answer or {})


def _wait_s(round_: Round, now: datetime) -> float:
    """How long nobody may begin the next round."""
    if round_.lease_until is not None and round_.lease_until > now:
        return LEASED_LOOK_S
    return max(0.0, (round_.due_at - now).total_seconds())


def _the_round(session: Session, account: str, kind: str, now: datetime) -> Round:
    """The row of that kind of question, locked; made when it is first asked."""
    row = session.get(Round, (account, kind), with_for_update=True)
    if row is None:
        new = {"account": account, "kind": kind, "number": 0, "due_at": now, "failures": 0}
        session.execute(insert_unless_there(session, Round, new))
        row = session.get_one(Round, (account, kind), with_for_update=True)
    return row


def _questions(session: Session, account: str, kind: str, keys: Iterable[str]) -> list[Question]:
    of_kind = (Question.account == account) & (Question.kind == kind)
    return list(session.scalars(select(Question).where(of_kind, Question.key.in_(list(keys))).order_by(Question.key)))


def _answers(session: Session, account: str, kind: str, keys: Iterable[str], *, ticket: int) -> dict[str, Answer]:
    rows = _questions(session, account, kind, keys)
    return {row.key: row.answer for row in rows if row.answered >= ticket and row.answer is not None}


def _open_keys(session: Session, round_: Round) -> tuple[str, ...]:
    of_kind = (Question.account == round_.account) & (Question.kind == round_.kind)
    wanted = select(Question.key).where(of_kind, Question.wanted > Question.answered).order_by(Question.key)
    return tuple(session.scalars(wanted))
