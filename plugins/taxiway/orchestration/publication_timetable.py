"""When the runs of a monthly source start: as soon as their month's file should be there."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

import pendulum
from airflow.timetables.base import DagRunInfo, DataInterval, TimeRestriction
from airflow.timetables.trigger import CronTriggerTimetable
from airflow.utils.types import DagRunType

from taxiway.messages import counted


class PublicationTimetable(CronTriggerTimetable):
    """A monthly cron expression whose runs wait until their month is due.

    Logical dates and ids of runs are those of the expression. A run starts when its month has ended and the publisher's
    lag has passed, at the hour of the expression. A run that is due is just as the expression alone has it.

    :param cron: monthly cron expression
    :param timezone: name of its time zone
    :param lag_days: days after a month's end within which its file may still be absent
    """

    def __init__(self, cron: str, *, timezone: str, lag_days: int) -> None:
        """Take the parameters, and describe them to the web UI."""
        super().__init__(cron, timezone=timezone)
        self._zone_name = timezone
        self._lag_days = lag_days
        self.description = f"{self.description}; a run starts {counted(lag_days, 'day')} after its month's end"

    def next_dagrun_info(
        self, *, last_automated_data_interval: DataInterval | None, restriction: TimeRestriction
    ) -> DagRunInfo | None:
        """Return the next run by the expression, and let it wait until its month is due.

        Without catchup, the first one is the latest that is due.
        """
        now = pendulum.now("UTC")
        if not restriction.catchup:
            latest_due = self._align_to_prev(now)
            while self._due(latest_due) > now:
                latest_due = self._get_prev(latest_due)
            earliest = max(latest_due, restriction.earliest or latest_due)
            restriction = TimeRestriction(earliest, restriction.latest, catchup=True)
            if last_automated_data_interval is not None and last_automated_data_interval.end < latest_due:
                last_automated_data_interval = None
        info = super().next_dagrun_info(
            last_automated_data_interval=last_automated_data_interval, restriction=restriction
        )
        if info is None or (due := self._due(info.run_after)) <= now:
            return info
        return info._replace(run_after=due)

    def logical_dates(self, start: datetime, end: datetime) -> Iterator[pendulum.DateTime]:
        """Yield the logical dates of a range, both ends included, whether their runs have started or not."""
        moment = self._align_to_next(pendulum.instance(start))
        while moment <= end:
            yield moment
            moment = self._get_next(moment)

    def _due(self, logical_date: pendulum.DateTime) -> pendulum.DateTime:
        """Return when a run may start. It counts days of the time zone: if clocks are changed, one isn't 24 hours."""
        first = logical_date.in_timezone(self._timezone).replace(day=1)
        return first.add(months=1).add(days=self._lag_days).in_timezone("UTC")

    def generate_run_id(
        self, *, run_type: DagRunType, run_after: pendulum.DateTime, data_interval: DataInterval | None, **extra: Any
    ) -> str:
        """Name a scheduled run after its logical date, as the expression alone does."""
        if run_type == DagRunType.SCHEDULED and data_interval is not None:
            run_after = data_interval.start
        return super().generate_run_id(run_type=run_type, run_after=run_after, data_interval=data_interval, **extra)

    def serialize(self) -> dict[str, Any]:
        """Return what :meth:`deserialize` makes the same timetable of."""
        return {"cron": self._expression, "timezone": self._zone_name, "lag_days": self._lag_days}

    @classmethod
    def deserialize(cls, data: dict[str, Any]) -> PublicationTimetable:
        """Read back what :meth:`serialize` gave."""
        return cls(**data)
