"""Local authorisation lists (sections 5.10 and 5.15)."""

from collections.abc import Generator

from chargers.values import ListLimits
from csms.versions.base import Question, Talk
from csms.versions.locallists import Spelling
from tasks.v16.locallists import entries, request


def limits(talk: Talk) -> Generator[Question, ListLimits, ListLimits]:
    """Read the configuration key that says how many entries a message may have (section 9.2.3)."""
    yield from ()
    return ListLimits(talk.facts.number("SendLocalListMaxLength"))


SPELLING = Spelling("listVersion", request, entries, limits)
EFFECTS = SPELLING.effects()
SCRIPTS = SPELLING.scripts()
