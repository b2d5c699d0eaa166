"""A run of a load, step by step: what the DAG of a source does, without Airflow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from taxiway.download.download import Download
from taxiway.loads import month as steps
from taxiway.loads.deletions import Answer, ToApprove
from taxiway.loads.load import Counts, Load
from taxiway.loads.month import Downloaded
from taxiway.loads.step_names import DOWNLOAD, PUBLISH
from taxiway.loads.steps import DROP_STAGING, STEPS, Step
from taxiway.loads.warehouse import Resumed
from taxiway.orchestration.warehouses import WAREHOUSES
from taxiway.sources.months import Month
from taxiway.sources.source import Source
from tests.conformance.harness import Harness
from tests.loading import source_file


@dataclass
class Run:
    """A run, with what its steps have returned.

    :param harness: the warehouse
    :param load: the load
    :param steps: its steps, in their order
    :param outputs: what they have returned, by their names
    :param fetch: downloads the file again, if a step finds it lost; None: that is an error
    :param accepts: whether it may delete any number of published rows
    """

    harness: Harness
    load: Load
    steps: tuple[Step, ...]
    outputs: dict[str, Any] = field(default_factory=dict)
    fetch: Callable[[], Download] | None = None
    accepts: bool = False

    @classmethod
    def of(cls, harness: Harness, source: Source, month: Month, run_id: str, every: tuple[Step, ...] = STEPS) -> Run:
        """Begin a run with the steps that the warehouse needs."""
        taken = tuple(step for step in every if step.name not in WAREHOUSES[harness.name].without)
        return cls(harness, Load(source, month, run_id, steps=tuple(step.name for step in taken)), taken)

    def download(self, file: Path | Callable[[], Download], *, force: bool = False, again: bool = False) -> Downloaded:
        """Begin the load.

        :param file: the downloaded file, or what downloads it
        :param again: whether it is another try of the task
        """
        fetch = file if callable(file) else lambda: source_file(file)
        with self.harness.open(self._try(again=again)) as warehouse:
            downloaded = steps.download_month(warehouse, fetch, force=force)
        if downloaded.file is not None:
            self.outputs = {DOWNLOAD: downloaded.file.to_dict()}
        return downloaded

    def do(self, name: str, *, again: bool = False) -> Any:
        """Do the step of a name.

        :param again: whether it is another try of its task
        """
        (step,) = (step for step in (*self.steps, DROP_STAGING) if step.name == name)
        outputs = {needed: self.outputs[needed] for needed in step.needs if needed in self.load.steps}
        with self.harness.open(self._try(again=again)) as warehouse:
            fetch = [None, self.fetch] if self.fetch is not None and DOWNLOAD in step.needs else []
            accepting = {"accept_deletions": True} if self.accepts and name == PUBLISH else {}
            self.outputs[name] = step.run(warehouse, outputs, *fetch, **accepting)
        return self.outputs[name]

    def go_on(self, *, after: str = DOWNLOAD, before: str = PUBLISH) -> None:
        """Do the steps between two others."""
        names = self.load.steps
        for name in names[names.index(after) + 1 : names.index(before)]:
            self.do(name)

    def ready(self, file: Path, *, force: bool = False) -> None:
        """Do all steps but the one that publishes."""
        self.download(file, force=force)
        self.go_on()

    def answer(self, question: ToApprove, answer: Answer) -> Any:
        """Go on after a person has answered."""
        with self.harness.open(self.load) as warehouse:
            resumed = Resumed(load_id=question.load_id)
            self.outputs[PUBLISH] = steps.merge_month(warehouse, None, resumed, answer=answer)
        return self.outputs[PUBLISH]

    def publish(self, *, again: bool = False) -> Counts:
        """Publish the month."""
        self.do(PUBLISH, again=again)
        return self.counts

    @property
    def counts(self) -> Counts:
        """What publishing has changed."""
        published = self.outputs[PUBLISH]
        return Counts(published["inserted"], published["deleted"], published["unchanged"])

    def finish(self) -> Counts:
        """Do the steps behind the download."""
        self.go_on()
        return self.publish()

    def drop(self) -> None:
        """Drop what the run has left."""
        self.do(DROP_STAGING.name)

    def complete(self, file: Path, *, force: bool = False) -> Counts:
        """Do all steps, and drop what the run has left."""
        try:
            self.ready(file, force=force)
            return self.publish()
        finally:
            self.drop()

    def _try(self, *, again: bool) -> Load:
        return replace(self.load, try_number=2, is_retry=True) if again else self.load
