"""Shows how a backfill goes: live on a terminal, as plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from dags_backfill.outcome import RunState, RunStatus

_STYLES = {
    RunState.SUCCEEDED: "green",
    RunState.SUCCEEDED_EARLIER: "green",
    RunState.FAILED: "bold red",
    RunState.FAILED_EARLIER: "red",
    RunState.RUNNING: "cyan",
    RunState.RUNNING_ELSEWHERE: "yellow",
    RunState.RECORDED: "yellow",
    RunState.MISSING: "red",
}
_LIVE_ROWS = 20


class Progress:
    """One line for each change of a run; on a terminal, below them, what goes on now."""

    def __init__(
        self, console: Console, *, live: bool = True, why: Callable[[RunStatus, str], str | None] = lambda *_: None
    ) -> None:
        """Prepare to show.

        :param console: where to write; whether it is a terminal decides about the live part
        :param live: whether to show the live part, where the console is a terminal
        :param why: tells of a run and one of its tasks why the task's last try that has ended failed, if that is known
        """
        self._why = why
        self._console = console
        # No thread of its own: processes are forked while it shows.
        self._live = (
            Live(console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False)
            if live and console.is_terminal and not console.is_dumb_terminal
            else None
        )
        self._seen: dict[str, RunStatus] = {}
        self._done = 0
        self._note = ""

    def __enter__(self) -> Progress:
        """Start the live part."""
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        """Take the live part away."""
        if self._live is not None:
            self._live.stop()

    def show(self, runs: Sequence[RunStatus], *, note: str = "") -> None:
        """Show how the runs stand now.

        :param note: what else there is to know now; said when it changes
        """
        if note not in ("", self._note):
            self.line(note, "yellow")
        self._note = note
        for run in runs:
            before = self._seen.get(run.label, replace(run, state=RunState.WAITING))
            self._seen[run.label] = run
            if before.state.open and not run.state.open:
                self._done += 1
            for line in self._changes(run, before):
                self.line(f"{_count(self._done, len(runs))} {run.label} {line}", _STYLES.get(run.state, ""))
        if self._live is not None:
            self._live.update(_picture(runs), refresh=True)

    def line(self, text: str, style: str = "") -> None:
        """Write one line, above the live part."""
        self._console.print(Text(text, style=style), soft_wrap=True)

    def _changes(self, run: RunStatus, before: RunStatus) -> list[str]:
        lines = []
        for task, times in run.failures.items():
            if times > before.failures.get(task, 0):
                reason = self._why(run, task)
                lines.append(f"{task} failed and is tried again" + (f": {reason}" if reason else ""))
        for task in run.asking:
            if task not in before.asking:
                lines.append(f"{task} waits for a person: answer it in the web UI, under Required Actions")
        if run.state is not before.state:
            ended = run.state in (RunState.SUCCEEDED, RunState.FAILED)
            if ended and before.state is RunState.WAITING:
                # It was quicker than our look.
                lines.insert(0, RunState.RUNNING.value)
            took = f" after {describe(run.duration)}" if ended and run.duration is not None else ""
            lines.append(f"{run.state.value}{took}")
        return lines


def _count(done: int, of: int) -> str:
    return f"[{done:>{len(str(of))}}/{of}]"


def _picture(runs: Sequence[RunStatus]) -> Group:
    table = Table.grid(padding=(0, 2))
    active = [run for run in runs if run.state is RunState.RUNNING]
    for run in active[:_LIVE_ROWS]:
        doing = ", ".join(run.active) or (f"retry of {', '.join(run.retrying)}" if run.retrying else "")
        doing = doing or (f"{', '.join(run.asking)} waits for a person" if run.asking else "")
        table.add_row(
            Text(run.label, style="cyan"),
            ProgressBar(total=max(run.tasks, 1), completed=run.tasks_done, width=20),
            Text(f"{run.tasks_done}/{run.tasks}"),
            Text(doing),
            Text(describe(run.duration) if run.duration else "", style="dim"),
        )
    waiting = sum(1 for run in runs if run.state is RunState.WAITING)
    failed = sum(1 for run in runs if not run.state.open and not run.state.done)
    parts = [f"{len(active)} running", f"{waiting} waiting"]
    parts += [f"{failed} not succeeded"] if failed else []
    done = sum(1 for run in runs if not run.state.open)
    total = Table.grid(padding=(0, 2))
    total.add_row(
        ProgressBar(total=max(len(runs), 1), completed=done, width=30),
        Text(f"{_count(done, len(runs))} {', '.join(parts)}", style="bold"),
    )
    return Group(table, total)


def describe(duration: timedelta) -> str:
    """Write a duration for people: ``8 s``, ``2 min 5 s``, ``1 h 10 min``."""
    seconds = max(0, round(duration.total_seconds()))
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60} min"
