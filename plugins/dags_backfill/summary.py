"""What the command says before and after."""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta

from rich.console import Console
from rich.text import Text
from sqlalchemy.orm import Session

from dags_backfill.errors import EXIT_FAILED
from dags_backfill.outcome import FailureReason, RunState, RunStatus, failure_reason
from dags_backfill.plan import Action, Plan, named
from dags_backfill.progress import describe
from dags_backfill.request import BackfillRequest
from taxiway.messages import conf_needed, counted, listed

FAILED = (RunState.FAILED, RunState.FAILED_EARLIER)


def say_plan(console: Console, request: BackfillRequest, plan: Plan) -> None:
    """Say what is going to be run, and what isn't."""
    for sentence in plan.left_out:
        say(console, f"{request.dag_id}: {sentence}", "yellow")
    counts = {action: sum(1 for run in plan.runs if run.action is action) for action in Action}
    parts = [f"{number} {_PLAN[action]}" for action, number in counts.items() if number]
    labels = [run.label for run in plan.runs]
    say(console, f"{request.dag_id}: {count(len(labels), labels[0])}, {named(labels)}: {', '.join(parts)}")


def say_dry_run(console: Console, plan: Plan) -> None:
    """Say what a call would do with each run, and which parts of the range have none."""
    for run in plan.runs:
        say(console, f"{run.label}  {run.action.value}" + (f" ({run.worker})" if run.worker else ""))
    for sentence in plan.left_out:
        say(console, sentence)


_PLAN = {
    Action.CREATE: "to run",
    Action.FINISH: "to finish",
    Action.TAKE_OVER: "to take over",
    Action.RERUN_FAILED: "to rerun after a failure",
    Action.RERUN: "to rerun",
    Action.SKIP_SUCCEEDED: "already succeeded",
    Action.SKIP_NOT_RUN: "recorded as succeeded",
    Action.SKIP_FAILED: "failed earlier",
    Action.SKIP_RUNNING: "running elsewhere",
}


def report(
    console: Console,
    request: BackfillRequest,
    plan: Plan,
    runs: Sequence[RunStatus],
    took: timedelta,
    session: Session,
) -> int:
    """Say how a backfill has ended.

    :param took: time that the call took
    :return: the exit code, 0 if nothing is left to do for any run
    """
    succeeded = [run for run in runs if run.state.succeeded]
    earlier = sum(1 for run in runs if run.state is RunState.SUCCEEDED_EARLIER)
    recorded = sum(1 for run in runs if run.state is RunState.RECORDED)
    line = f"{len(succeeded)} of {count(len(runs), runs[0].label)} succeeded"
    line += f", {earlier} of them earlier" if earlier else ""
    line += f", {recorded} skipped" if recorded else ""
    say(console, f"{line}, in {describe(took)}", "bold green" if len(succeeded) == len(runs) else "bold")
    for sentence in plan.left_out:
        say(console, sentence, "yellow")
    if earlier:
        again = request.command(reprocess="completed")
        say(console, f"Runs that succeeded earlier were not checked. To run all of them again: {again}")
    causes = _causes(request.dag_id, runs, session)
    for run in runs:
        if run.label in causes:
            _say_cause(console, run.state, *causes[run.label])
        elif run.state in FAILED and run.run_id is not None:
            continue  # named with the first run of its cause
        elif run.state is RunState.RECORDED:
            say(
                console, f"{run.label} is {run.state.value}: run it with {request.command('completed', first=run.date)}"
            )
        elif run.state is RunState.RUNNING_ELSEWHERE:
            worker = f" ({run.worker})" if run.worker else ""
            say(console, f"{run.label} is {run.state.value}{worker}: call again when {run.run_id} has ended", "yellow")
        elif not run.state.succeeded:
            say(console, f"{run.label} did not run: its run is gone, or belongs to somebody else", "bold red")
    errors = {label: reason.message for reason, labels in causes.values() for label in labels}
    for sentence in how_to_rerun(request, runs, errors):
        say(console, sentence)
    if any("lear the task" in reason.message for reason, _ in causes.values()):
        say(
            console,
            "This does what clearing the tasks does, too: fix what the errors name, then give this call.",
        )
    return 0 if all(run.state.done for run in runs) else EXIT_FAILED


def how_to_rerun(request: BackfillRequest, runs: Sequence[RunStatus], errors: Mapping[str, str]) -> list[str]:
    """Return the calls that rerun failed runs: those whose errors name a conf get it, in calls of their own.

    A conf is a decision, and a run that needs one fails again without it: each call takes only runs of one kind.

    :param runs: of the range, in their order
    :param errors: what the runs that failed say, by their labels
    """
    needed = {label: found for label, error in errors.items() if (found := conf_needed(error))}
    if not needed:
        return [f"Rerun what failed: {request.command('failed')}"] if errors else []
    said = []
    # A call leaves out what is done.
    left = [run for run in runs if not run.state.done]
    for conf, group in itertools.groupby(left, key=lambda run: needed.get(run.label)):
        alike = list(group)
        dates = sorted(run.date for run in alike)
        call = request.command("failed", first=dates[0], last=dates[-1], conf=conf)
        failed = [run.label for run in alike if run.label in errors]
        if conf is not None:
            said.append(
                f"{listed(failed)}: look first at what the error says. If that is right, rerun with the conf that it "
                f"names: {call}"
            )
        elif failed:
            said.append(f"Rerun {listed(failed)}: {call}")
    return said


def _causes(dag_id: str, runs: Sequence[RunStatus], session: Session) -> dict[str, tuple[FailureReason, list[str]]]:
    """Return why runs have failed, with the runs that failed for it, by the label of the first one.

    Reasons that differ only in the label, which a file's name has, too, are one cause. Those that count or advise
    something else for each run are several.
    """
    found: dict[tuple[str, str | None, str], tuple[FailureReason, list[str]]] = {}
    for run in runs:
        if run.state in FAILED and run.run_id is not None:
            reason = failure_reason(dag_id, run.run_id, session)
            cause = run.state.value, reason.task, reason.message.replace(run.label, "")
            found.setdefault(cause, (reason, []))[1].append(run.label)
    return {labels[0]: (reason, labels) for reason, labels in found.values()}


def _say_cause(console: Console, state: RunState, reason: FailureReason, labels: Sequence[str]) -> None:
    """Say why runs have failed.

    :param reason: that of the first one
    """
    task = f"{reason.task}: " if reason.task else ""
    how, of_first = (state.value, "") if len(labels) == 1 else (f"{state.value} for one cause", f" of {labels[0]}")
    say(console, f"{listed(labels)} {how}: {task}{reason.message}", "bold red")
    if reason.log is not None:
        say(console, f"    log{of_first}: {reason.log}")


def report_stop(console: Console, request: BackfillRequest, runs: Sequence[RunStatus]) -> None:
    """Say what a backfill that was stopped has done, and how it goes on."""
    succeeded = [run.label for run in runs if run.state.succeeded]
    rest = [run.label for run in runs if not run.state.done]
    say(console, f"Stopped. {len(succeeded)} of {count(len(runs), runs[0].label)} succeeded.", "bold yellow")
    if succeeded:
        say(console, f"    succeeded: {', '.join(succeeded)}")
    say(console, f"    not finished: {', '.join(rest)}")
    rest_of_it = request.command(reprocess=request.reprocess_of_the_rest)
    say(console, f"Nothing is half done. Finish the rest: {rest_of_it}")


def say(console: Console, text: str, style: str = "") -> None:
    """Write one line, however long."""
    console.print(Text(text, style=style), soft_wrap=True)


def count(number: int, label: str) -> str:
    """Count runs by what they are called: ``12 months``, ``1 day``, ``3 runs``.

    :param label: label of one of them
    """
    unit = "month" if re.fullmatch(r"\d{4}-\d{2}", label) else "day" if re.fullmatch(r"[\d-]{10}", label) else "run"
    return counted(number, unit)
