"""The CALLs of a command, one after the other, without a socket."""

from collections.abc import Generator
from uuid import UUID

import pytest

from chargers.choices import LimitationKind
from chargers.values import NO_FACTS, Facts
from csms.conversation import Conversation, End
from csms.versions.base import CallFailed, Payload, Step, Talk
from tasks.models import Command, CommandStatus

KEY = UUID("01234567-89ab-cdef-0123-456789abcdef")
SILENCE = CallFailed(CommandStatus.TIMEOUT, {"code": "timeout", "description": "no answer in time", "details": {}})


def conversation() -> Conversation:
    return Conversation(Command(task_id=KEY, action="GetConfiguration", payload={"key": ["A", "B"]}))


def one_by_one(request: Payload, talk: Talk) -> Generator[Step, Payload, Payload]:
    answers = []
    for key in request["key"]:
        answers.append((yield Step("GetConfiguration", {"key": [key]})))
    return {"all": answers}


def without_keys_at_last(request: Payload, talk: Talk) -> Generator[Step, Payload, Payload]:
    try:
        return (yield Step("GetConfiguration", request))
    except CallFailed as failure:
        talk.cannot(LimitationKind.CONFIGURATION_FILTER, "", failure.code)
    return (yield Step("GetConfiguration", {}))


def test_without_a_script_the_first_answer_is_the_end() -> None:
    talk = conversation()
    assert (talk.step, talk.message_id) == (Step("GetConfiguration", {"key": ["A", "B"]}), str(KEY))
    talk.go_on({"a": 1})
    assert talk.end == End(CommandStatus.ANSWERED, {"a": 1})


def test_without_a_script_a_failure_is_the_end() -> None:
    talk = conversation()
    talk.go_on(SILENCE)
    assert talk.end == End(CommandStatus.TIMEOUT, None, SILENCE.error)


def test_a_script_says_what_is_sent_and_what_is_answered() -> None:
    talk = conversation()
    talk.begin(one_by_one, NO_FACTS)
    assert (talk.step.payload, talk.message_id) == ({"key": ["A"]}, str(KEY))
    talk.go_on({"a": 1})
    assert talk.end is None
    assert (talk.step.payload, talk.message_id) == ({"key": ["B"]}, f"{KEY.hex}.2")
    talk.go_on({"b": 2})
    assert talk.end == End(CommandStatus.ANSWERED, {"all": [{"a": 1}, {"b": 2}]})
    assert talk.calls == [
        {"action": "GetConfiguration", "payload": {"key": ["A"]}, "response": {"a": 1}},
        {"action": "GetConfiguration", "payload": {"key": ["B"]}, "response": {"b": 2}},
    ]


def test_a_failure_that_a_script_does_not_expect_is_the_end() -> None:
    talk = conversation()
    talk.begin(one_by_one, NO_FACTS)
    talk.go_on({"a": 1})
    talk.go_on(SILENCE)
    assert talk.end == End(CommandStatus.TIMEOUT, None, SILENCE.error)
    assert talk.calls[-1]["error"] == SILENCE.error


def test_a_script_may_go_another_way_and_tell_what_it_has_learnt() -> None:
    talk = conversation()
    talk.begin(without_keys_at_last, NO_FACTS)
    talk.go_on(SILENCE)
    assert (talk.end, talk.step) == (None, Step("GetConfiguration", {}))
    assert talk.talk.learnt == [(LimitationKind.CONFIGURATION_FILTER, "", "timeout", True)]
    talk.go_on({"c": 3})
    assert talk.end == End(CommandStatus.ANSWERED, {"c": 3})


def test_every_message_id_fits_and_is_another() -> None:
    talk = Conversation(Command(task_id=KEY, action="A", payload={"key": [str(each) for each in range(200)]}))
    talk.begin(one_by_one, NO_FACTS)
    ids = []
    while talk.end is None:
        ids.append(talk.message_id)
        talk.go_on({})
    assert len(set(ids)) == 200
    assert all(len(each) <= 36 for each in ids)


@pytest.mark.parametrize(
    ("value", "number", "flag"),
    [
        ("10", 10, False),
        (" 7 ", 7, False),
        ("0", None, False),
        ("-1", None, False),
        ("1", 1, True),
        ("TRUE", None, True),
        ("", None, False),
        ("9" * 12, None, False),
        ("\N{ARABIC-INDIC DIGIT FIVE}", None, False),
    ],
)
def test_facts_read_what_stations_write_in_many_ways(value: str, number: int | None, flag: bool) -> None:
    facts = Facts({"somekey": value}, frozenset())
    assert (facts.number("SomeKey"), facts.flag("someKEY")) == (number, flag)


def test_facts_know_other_names_of_a_key() -> None:
    facts = Facts({"stoptransactiononinvalid": "true", "units": "A, ,W"}, frozenset({("trigger", "Heartbeat")}))
    assert facts.flag("StopTransactionOnInvalidId") is True
    assert facts.words("Units") == ["A", "W"]
    assert (facts.text("Other"), facts.flag("Other"), facts.number("Other"), facts.words("Other")) == (
        None,
        None,
        None,
        [],
    )
    assert facts.cannot(LimitationKind.TRIGGER, "Heartbeat")
    assert not facts.cannot(LimitationKind.TRIGGER, "BootNotification")
