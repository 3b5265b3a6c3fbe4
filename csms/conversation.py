"""A command on its way to a station: the CALLs it takes, and what becomes of it.

Most commands take one. A version's script takes more where a list must go in parts, or where a
station is known, or turns out, to want something put in another way.
"""

from collections.abc import Generator
from typing import Any, NamedTuple

from chargers.values import Facts
from csms.rpc import CallError, CallResult
from csms.versions.base import CallFailed, Payload, Question, Script, Step, Talk
from tasks.models import Command, CommandStatus


class End(NamedTuple):
    """How a command ended."""

    status: CommandStatus
    response: Any = None
    error: Payload | None = None


class Conversation:
    """The CALLs of one command; no socket is known here.

    `step` is the CALL whose turn it is, once no `question` is open. `calls` keeps those that are
    over, with their answers.
    """

    __slots__ = ("_script", "arrived", "calls", "command", "end", "question", "step", "talk")

    def __init__(self, command: Command) -> None:
        self.command = command
        self.step = Step(command.action, command.payload)
        self.calls: list[Payload] = []
        self.talk = Talk(command.chargepoint_id or "")
        self.question: Question | None = None
        self.end: End | None = None
        # An answer that came when the connection ended, and is not stored yet.
        self.arrived: CallResult | CallError | None = None
        self._script: Generator[Step | Question, Any, Payload] | None = None

    def begin(self, script: Script, facts: Facts) -> None:
        """Let a script say what is sent."""
        self.talk.facts = facts
        self._script = script(self.command.payload, self.talk)
        self._move(None)

    @property
    def message_id(self) -> str:
        """Name the CALL: the first by the command's own id, the others within 36 characters."""
        key = self.command.pk
        return f"{key.hex}.{len(self.calls) + 1}" if self.calls else str(key)

    def go_on(self, answer: Payload | CallFailed) -> None:
        """Take the answer to a step, or its failure: another step follows, or the command has ended."""
        self.calls.append(self._told(answer))
        self._move(answer)

    def learn(self, result: Any) -> None:
        """Take the answer to the open question."""
        self.question = None
        self._move(result)

    def _move(self, told: Any) -> None:
        try:
            following = self._next(told)
        except StopIteration as end:
            self.end = End(CommandStatus.ANSWERED, end.value)
        except CallFailed as failure:
            self.end = End(failure.status, failure.response, failure.error)
        else:
            if isinstance(following, Question):
                self.question = following
            else:
                self.step = following

    def _next(self, answer: Any) -> Step | Question:
        if self._script is None:
            if isinstance(answer, CallFailed):
                raise answer
            raise StopIteration(answer)
        if isinstance(answer, CallFailed):
            return self._script.throw(answer)
        return self._script.send(answer)

    def _told(self, answer: Payload | CallFailed) -> Payload:
        told: Payload = {"action": self.step.action, "payload": self.step.payload}
        if isinstance(answer, CallFailed):
            return {**told, "error": answer.error}
        return {**told, "response": answer}
