"""Local authorisation lists (block D)."""

from collections.abc import Generator

from chargers.services import locallists
from chargers.values import ListLimits
from csms.versions.base import Question, Talk
from csms.versions.locallists import Spelling
from tasks.v2.locallists import entries, request, types


def limits(talk: Talk) -> Generator[Question, ListLimits, ListLimits]:
    """Ask how many entries and bytes a message may have (D01.FR.11)."""
    return (yield Question(locallists.message_limits, talk.station))


SPELLING = Spelling("versionNumber", request, entries, limits, types)
EFFECTS = SPELLING.effects()
SCRIPTS = SPELLING.scripts()
