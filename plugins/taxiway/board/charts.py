"""Draws what a ledger says over time: one chart with a strip for each source, as SVG.

matplotlib is imported when the first chart is drawn. Its settings are the process's, so one thread draws.
A chart is drawn again when a month has been published, on another day, and for a source whose file has changed.
"""

from __future__ import annotations

import asyncio
import io
import re
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from taxiway.board.months import next_month
from taxiway.loads.published_months import LastLoad
from taxiway.sources.months import Month
from taxiway.sources.source import Source

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Loads = Mapping[str, Mapping[Month, LastLoad]]


@dataclass(frozen=True)
class Theme:
    """Colours of a chart."""

    ink: str
    soft: str
    line: str
    bar: str
    warn: str


THEMES = {
    "light": Theme("#101828", "#566173", "#dfe3ea", "#00805e", "#b84300"),
    "dark": Theme("#f4f6f9", "#a9b4c4", "#3d4a5e", "#009e73", "#ff9a63"),
}

_WIDTH, _STRIP, _MARGIN = 7.2, 0.95, 0.55  # inches


def draw_rows(sources: Sequence[Source], loads: Loads, theme: Theme) -> str:
    """Draw the rows of each published month: gaps and jumps show."""
    return _by_month(sources, loads, theme, "Rows a month", lambda load: load.rows)


def draw_rejected(sources: Sequence[Source], loads: Loads, theme: Theme) -> str:
    """Draw the rejected rows of each published month, of a million rows."""

    def share(load: LastLoad) -> float | None:
        read = (load.rows or 0) + load.rejected
        return load.rejected * 1e6 / read if load.rows is not None and read else None

    return _by_month(sources, loads, theme, "Rejected rows of a million", share)


def draw_seconds(sources: Sequence[Source], loads: Loads, theme: Theme) -> str:
    """Draw how long the load of each published month took, for a million rows; months of few rows say little."""

    def rate(load: LastLoad) -> float | None:
        return load.seconds * 1e6 / load.rows if load.seconds is not None and load.rows else None

    return _by_month(sources, loads, theme, "Load seconds for a million rows", rate)


def draw_freshness(sources: Sequence[Source], loads: Loads, theme: Theme) -> str:
    """Draw up to which month each source is published, and when the next one is expected."""
    expected = [(source, month) for source in sources if (month := next_month(source, loads.get(source.name, {})))]
    today = datetime.now(timezone.utc).date()
    start = min([today - timedelta(days=365), *(month.first_day - timedelta(days=180) for _, month in expected)])

    def plot(axes: Axes) -> None:
        import matplotlib.dates as mdates

        for place, (source, month) in enumerate(expected):
            due, late = source.due(month), source.is_due(month)
            color = theme.warn if late else theme.bar
            begin, end = mdates.date2num(start), mdates.date2num(month.first_day)  # type: ignore[no-untyped-call]
            axes.barh(place, max(end - begin, 0), left=begin, height=0.34, color=theme.bar)
            axes.plot(mdates.date2num(due), place, "D", color=color, markersize=6)  # type: ignore[no-untyped-call]
            said = f"{source.name}: {month} {'was ' if late else ''}expected by {due}"
            axes.text(begin, place - 0.27, said, color=theme.warn if late else theme.ink, va="bottom", fontsize=10)
        axes.axvline(mdates.date2num(today), color=theme.soft, linewidth=1.2, linestyle=":")  # type: ignore[no-untyped-call]
        axes.set_yticks([])
        axes.set_ylim(max(len(expected), 1) - 0.5, -0.75)
        axes.xaxis_date()
        axes.set_xlim(mdates.date2num(start), None)  # type: ignore[no-untyped-call]
        axes.grid(axis="x", color=theme.line, linewidth=0.8)

    height = 0.8 + 0.42 * max(len(expected), 1)
    return _figure([plot] if expected else [], theme, "Published up to, and next month", height)


DRAW: Mapping[str, Callable[[Sequence[Source], Loads, Theme], str]] = {
    "rows": draw_rows,
    "seconds": draw_seconds,
    "rejected": draw_rejected,
    "freshness": draw_freshness,
}
"""The charts, by the names that the page knows."""

MOST_KEPT = 32
"""Charts that are kept for the next request."""


class Artist:
    """Draws charts one after another, and keeps the last ones."""

    def __init__(self) -> None:
        """Begin without a chart."""
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="taxiway-board-charts")
        self._kept: dict[Hashable, str] = {}

    async def draw(self, name: str, theme: str, sources: Sequence[Source], loads: Loads) -> str:
        """Return a chart.

        :param name: a key of :data:`DRAW`
        :param theme: a key of :data:`THEMES`
        :param sources: that are shown
        :param loads: of them, and perhaps of others
        """
        return await asyncio.wrap_future(self._thread.submit(self._draw, name, theme, sources, loads))

    def _draw(self, name: str, theme: str, sources: Sequence[Source], loads: Loads) -> str:
        published = tuple(
            (source.name, month, load.published_at)
            for source in sources
            for month, load in loads.get(source.name, {}).items()
        )
        now = datetime.now(timezone.utc)
        days = tuple(source.today(now) for source in sources)
        key = (name, theme, tuple(sources), days, published)
        if key not in self._kept:
            while len(self._kept) >= MOST_KEPT:
                self._kept.pop(next(iter(self._kept)))
            self._kept[key] = DRAW[name](sources, loads, THEMES[theme])
        return self._kept[key]


def _by_month(
    sources: Sequence[Source],
    loads: Loads,
    theme: Theme,
    title: str,
    value_of: Callable[[LastLoad], float | None],
) -> str:
    published = {
        source.name: {month: load for month, load in loads.get(source.name, {}).items() if load.rows is not None}
        for source in sources
    }
    monthly = [source for source in sources if not source.stands_alone and published[source.name]]
    months = sorted({month for source in monthly for month in published[source.name]})

    def plot_of(source: Source) -> Callable[[Axes], None]:
        def plot(axes: Axes) -> None:
            from matplotlib.ticker import FuncFormatter, MaxNLocator

            values = {month: value_of(load) for month, load in published[source.name].items()}
            known = [(_place(month), value) for month, value in values.items() if value is not None]
            axes.bar([place for place, _ in known], [value for _, value in known], width=0.072, color=theme.bar)
            axes.set_title(source.name, loc="left", fontsize=10, color=theme.ink, pad=2)
            axes.set_xlim(months[0].year, months[-1].year + 1)
            axes.set_ylim(bottom=0)
            axes.xaxis.set_major_locator(MaxNLocator(8, integer=True, min_n_ticks=1))
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0f}"))
            axes.yaxis.set_major_locator(MaxNLocator(2))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value)))
            axes.grid(axis="y", color=theme.line, linewidth=0.8)

        return plot

    plots = [plot_of(source) for source in monthly]
    return _figure(plots, theme, title, height=_MARGIN + _STRIP * max(len(plots), 1))


def _figure(plots: Sequence[Callable[[Axes], None]], theme: Theme, title: str, height: float) -> str:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    style: dict[Any, Any] = {
        "font.family": "sans-serif",
        "font.size": 9.5,
        "text.color": theme.ink,
        "text.parse_math": False,
        "axes.edgecolor": theme.line,
        "axes.axisbelow": True,
        "xtick.color": theme.soft,
        "ytick.color": theme.soft,
        "svg.fonttype": "none",
        "svg.hashsalt": title,
    }
    with mpl.rc_context(style):
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        figure.suptitle(title, x=0.01, ha="left", fontsize=11)
        for axes, plot in zip(figure.subplots(max(len(plots), 1), 1, squeeze=False)[:, 0], plots, strict=False):
            for side in ("top", "right", "left"):
                axes.spines[side].set_visible(False)
            axes.tick_params(length=0)
            plot(axes)
        if not plots:
            figure.axes[0].set_axis_off()
            figure.axes[0].text(0, 0.5, "nothing is published yet", color=theme.soft)
        svg = io.StringIO()
        nothing = {"Date": None, "Creator": None, "Format": None, "Type": None}
        figure.savefig(svg, format="svg", metadata=nothing, transparent=True)
    return re.sub(r' id="[A-Za-z0-9.]+_[0-9]+"', "", svg.getvalue())


def _place(month: Month) -> float:
    """Return where a month is on an axis of years."""
    return month.year + (month.number - 0.5) / 12


def _short(value: float) -> str:
    for factor, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            return f"{value / factor:.3g}{letter}"
    return f"{value:.3g}"
