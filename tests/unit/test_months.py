from __future__ import annotations

from datetime import date

import pytest

from taxiway.errors import InvalidMonthError
from taxiway.sources.months import Month


@pytest.mark.parametrize("text", ["2019-01", "2019-12", "2021-07"])
def test_a_month_reads_and_writes_the_same(text: str) -> None:
    assert str(Month.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2019",
        "2019-13",
        "2019-00",
        "2019-1",
        "2019-3",
        "201903",
        "2019/03",
        "03-2019",
        "March 2019",
        "2019-Mar",
        "2019-03-01T00:00:00",
        "19-01",
        "2019-01-01",
        " 2019-01",
        "2019-01\n",
        "\uff12\uff10\uff11\uff19-01",
        "../2019-01",
        "2019-01'; DROP TABLE x",
        "{{ ds }}",
        None,
        201901,
        2019.03,
        date(2019, 3, 1),
    ],
)
def test_anything_else_is_refused(text: object) -> None:
    with pytest.raises(InvalidMonthError, match="YYYY-MM"):
        Month.parse(text)  # type: ignore[arg-type]


def test_months_follow_each_other() -> None:
    assert Month(2019, 12).next() == Month(2020, 1)
    assert Month(2019, 1).next() == Month(2019, 2)
    assert Month(2019, 12) < Month(2020, 1)


def test_a_day_lies_in_its_month() -> None:
    assert Month.of(date(2019, 3, 31)) == Month(2019, 3)
    assert Month(2019, 3).first_day == date(2019, 3, 1)
