"""How history refers to what may be deleted."""

from typing import Any

from django.db import models


class HistoryKey(models.ForeignKey[Any, Any]):
    """A foreign key without a constraint: the row keeps the key when what it names is deleted.

    Deleting a station or a tag must never delete or blank its transactions. The column is
    nullable so that joins stay outer joins, and a row whose station is gone is still listed.
    """

    def __init__(self, to: Any, **options: Any) -> None:
        options.update(on_delete=models.DO_NOTHING, db_constraint=False, null=True, blank=True)
        super().__init__(to, **options)

    def deconstruct(self) -> Any:
        name, path, args, options = super().deconstruct()
        for fixed in ("on_delete", "db_constraint", "null", "blank"):
            options.pop(fixed, None)
        return name, path, args, options
