from __future__ import annotations

import itertools
from datetime import date

import pytest

from taxiway.errors import InvalidMonthError
from taxiway.sources.months import WHOLE, Month, in_words


@pytest.mark.parametrize("text", ["2019-01", "2019-12", "2021-07", "1000-01", "2999-12"])
def test_a_month_reads_and_writes_the_same(text: str) -> None:
    assert str(Month.parse(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2019",
        "0999-12",
        "3000-01",
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
    with pytest.raises(InvalidMonthError) as caught:
        Month.parse(text)  # type: ignore[arg-type]

    assert str(caught.value) == f"{text!r} is not a month: write it as YYYY-MM, for example 2019-03"


def test_months_follow_each_other() -> None:
    months = [Month(year, number) for year in (2019, 2020) for number in range(1, 13)]

    assert [month.next() for month in months[:-1]] == months[1:]
    assert [month.previous() for month in months[1:]] == months[:-1]
    assert all(first < second for first, second in itertools.pairwise(months))


def test_a_day_lies_in_its_month() -> None:
    assert Month.of(date(2019, 3, 31)) == Month(2019, 3)
    assert Month(2019, 3).first_day == date(2019, 3, 1)


def test_the_period_of_a_file_of_no_month_is_written_in_two_ways() -> None:
    assert (str(WHOLE), WHOLE.year_and_month) == ("whole", "1970-01")
    assert Month.parse("whole") == Month.parse("1970-01") == WHOLE


def test_months_in_words_are_ranges_without_gaps() -> None:
    months = [Month(2019, 12), Month(2020, 1), Month(2019, 3), Month(2019, 11), Month(2020, 5)]

    assert in_words(months) == "2019-03, 2019-11 to 2020-01, 2020-05"
    assert in_words([]) == ""
