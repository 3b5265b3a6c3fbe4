"""The samples of a transaction, one by one, read a page at a time.

A reading holds several samples, so a page begins and ends somewhere within readings. The database
counts the samples of each reading, and only the readings that the page touches are read.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import Func, IntegerField
from django.db.models.sql.compiler import SQLCompiler

from chargers import representation
from chargers.models import MeterValue, Transaction

Json = dict[str, Any]


class CountSamples(Func):
    """Count the samples of a reading whose members are the wanted ones."""

    output_field = IntegerField()
    # The elements of the array, and a member of an element.
    dialects = {
        "sqlite": ("json_each({})", "json_extract(value, '$.{}')"),
        "postgresql": ("jsonb_array_elements({})", "value ->> '{}'"),
    }

    def __init__(self, samples: str, wanted: tuple[tuple[str, str], ...] = ()) -> None:
        self.wanted = wanted
        super().__init__(samples)

    def as_sql(self, compiler: SQLCompiler, connection: BaseDatabaseWrapper, **options: Any) -> tuple[str, list[Any]]:
        elements, member = self.dialects[connection.vendor]
        column, params = compiler.compile(self.source_expressions[0])
        tests = []
        for name, value in self.wanted:
            tests.append(f"coalesce({member.format(name)}, %s) = %s")
            params = [*params, representation.SAMPLE_DEFAULTS[name], value]
        condition = " AND ".join(tests) or "1 = 1"
        # Nothing of a request is in the text: values are parameters, names are the callers' own.
        return f"(SELECT count(*) FROM {elements.format(column)} WHERE {condition})", params  # noqa: S608


class Samples(Sequence[Json]):
    """The samples of a transaction that have the wanted members, oldest first."""

    def __init__(self, transaction: Transaction, wanted: Mapping[str, str]) -> None:
        self.wanted = wanted
        self.readings = MeterValue.objects.filter(transaction=transaction).order_by("timestamp", "pk")
        number = CountSamples("samples", tuple(wanted.items()))
        counted = self.readings.annotate(number=number).filter(number__gt=0).values_list("pk", "number")
        self.keys, numbers = zip(*counted, strict=True) if counted else ((), ())
        # How many samples there are up to and with each reading.
        self.sums = list(accumulate(numbers))

    def __len__(self) -> int:
        return self.sums[-1] if self.sums else 0

    def __getitem__(self, page: slice) -> list[Json]:
        start, stop, _ = page.indices(len(self))
        if start >= stop:
            return []
        first, last = bisect_right(self.sums, start), bisect_right(self.sums, stop - 1)
        rows = self.readings.filter(pk__in=self.keys[first : last + 1])
        samples = [sample for row in rows for sample in representation.samples(row) if self._is_wanted(sample)]
        before = self.sums[first - 1] if first else 0
        return samples[start - before : stop - before]

    def _is_wanted(self, sample: Json) -> bool:
        return all(sample[name] == value for name, value in self.wanted.items())
