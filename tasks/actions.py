"""What a CSMS may ask of a station: one row an action and version.

The command endpoints, their documentation and the relay are generated from this table and the
official schemas; a new command is a new row. Rows, and what completes and checks a request as a
whole, stand in the package of their version here; what an answer changes in ``csms/versions/``.
"""

from collections.abc import Mapping

from chargers.choices import OcppVersion
from tasks.action import Action
from tasks.v2 import actions as v2
from tasks.v16 import actions as v16

ACTIONS: tuple[Action, ...] = (*v16.ACTIONS, *v2.actions(OcppVersion.V201))

BY_NAME: Mapping[tuple[str, str], Action] = {(action.version, action.name): action for action in ACTIONS}
