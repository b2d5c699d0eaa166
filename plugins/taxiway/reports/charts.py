"""Draws the charts of a report, each as SVG and as PNG from one figure.

matplotlib is imported when the first chart is drawn: it takes longer than many a task, and no DAG file needs it.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from taxiway.reports.figures import Figures, Measure, Row

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BLUE = "#0072B2"
ORANGE = "#E69F00"
"""Two colours of Okabe and Ito's palette, which people with any colour vision tell apart, also by their lightness."""

INK, GRID = "#1a1a1a", "#d9d9d9"

OVER_TIME = ("trips", "revenue")
"""Measures that are drawn over time; the page's tables have all."""

MOST_BARS = 12
"""Zones that a chart shows; the page's table has all."""

_WIDTH = 5.6  # inches

_STYLE: dict[Any, Any] = {
    "font.family": "sans-serif",
    "font.size": 10.5,
    "text.color": INK,
    "text.parse_math": False,  # a name with two dollar signs is not a formula
    "axes.edgecolor": GRID,
    "axes.labelcolor": INK,
    "axes.axisbelow": True,
    "xtick.color": INK,
    "ytick.color": INK,
    "svg.fonttype": "none",  # text that can be read aloud, searched and copied
}

_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}
"""Without these, SVG has neither a time nor an address of its own: the same figures are the same bytes."""


@dataclass(frozen=True)
class Chart:
    """A chart.

    :param name: how the names of its files have it
    :param title: what stands above it
    :param says: what it shows, in a sentence, for people who don't see it
    :param svg: an element for a page
    :param png: a file
    """

    name: str
    title: str
    says: str
    svg: str
    png: bytes


def draw_charts(figures: Figures) -> list[Chart]:
    """Draw the charts that the figures allow."""
    by = "day" if figures.period.is_month else "month"
    charts = [_over_time(figures, measure, by) for measure in figures.measures if measure.name in OVER_TIME]
    zones = figures.by_zone[:MOST_BARS]
    if zones:
        title = f"The {len(zones)} zones with most pickups" if len(figures.by_zone) > len(zones) else "Trips by zone"
        charts.append(_bars(figures, "trips_by_zone", title, zones))
    if figures.by_payment:
        charts.append(_bars(figures, "trips_by_payment", "Trips by payment type", figures.by_payment[:MOST_BARS]))
    return charts


def _over_time(figures: Figures, measure: Measure, by: str) -> Chart:
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    rows = figures.by_time
    values = [float(row.sums[measure.name] or 0) for row in rows]
    title = f"{measure.title} by {by}"
    highest = max(rows, key=lambda row: row.sums[measure.name] or 0, default=None)
    says = f"{title} of {figures.period.title}"
    if highest is not None:
        says += f": the most on {highest.label}, {measure.text(highest.sums[measure.name])}"

    def plot(axes: Axes) -> None:
        colours = [ORANGE if row.is_weekend else BLUE for row in rows]
        axes.bar(range(len(rows)), values, color=colours, width=0.8)
        every = 1 if len(rows) <= 12 else 5
        shown = [place for place in range(len(rows)) if every == 1 or place == 0 or (place + 1) % every == 0]
        axes.set_xticks(shown, [_short(rows[place], by) for place in shown])
        axes.set_xlim(-0.6, max(len(rows), 1) - 0.4)
        axes.yaxis.set_major_locator(MaxNLocator(5, integer=measure.name == "trips"))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: _compact(value, measure.unit)))
        axes.grid(axis="y", color=GRID, linewidth=0.8)
        if any(row.is_weekend for row in rows):
            _explain(axes)

    return _chart(figures, f"{measure.name}_by_{by}", title, says, plot, height=2.7)


def _explain(axes: Axes) -> None:
    """Say what the two colours are, above the chart."""
    from matplotlib.patches import Patch

    handles = [Patch(color=BLUE, label="Monday to Friday"), Patch(color=ORANGE, label="Saturday, Sunday")]
    axes.legend(
        handles=handles, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False, borderaxespad=0.2, fontsize=10
    )


def _bars(figures: Figures, name: str, title: str, rows: Sequence[Row]) -> Chart:
    says = f"{title}: {'; '.join(f'{row.label}, {row.trips:,}' for row in rows[:3])}"

    def plot(axes: Axes) -> None:
        places = range(len(rows))
        axes.barh(places, [row.trips for row in rows], color=BLUE, height=0.72)
        axes.set_yticks(places, [short_label(row.label) for row in rows])
        axes.invert_yaxis()
        axes.set_xticks([])
        longest = max((row.trips for row in rows), default=0) or 1
        axes.set_xlim(0, longest * 1.22)
        for place, row in enumerate(rows):
            axes.text(row.trips + longest * 0.015, place, f"{row.trips:,}", va="center", fontsize=10)

    return _chart(figures, name, title, says, plot, height=0.6 + 0.28 * len(rows))


def _chart(figures: Figures, name: str, title: str, says: str, plot: Callable[[Axes], None], *, height: float) -> Chart:
    import matplotlib as mpl
    from matplotlib.figure import Figure

    # The salt makes the ids of one chart differ from those of the others on the page, and the same each time.
    with mpl.rc_context({**_STYLE, "svg.hashsalt": name}):
        figure = Figure(figsize=(_WIDTH, height), layout="constrained")
        axes = figure.add_subplot()
        for side in ("top", "right", "left"):
            axes.spines[side].set_visible(False)
        axes.tick_params(length=0)
        plot(axes)
        svg, png = io.StringIO(), io.BytesIO()
        figure.savefig(svg, format="svg", metadata=_NO_METADATA, transparent=True)
        # A file of its own says what it is about.
        about = f"{title} ({figures.source.name}, {figures.period.title})"
        figure.suptitle(about, x=0.01, ha="left", fontsize=12)
        figure.savefig(png, format="png", dpi=150, metadata={"Software": None})
    return Chart(name, title, says, _element(svg.getvalue()), png.getvalue())


def _element(svg: str) -> str:
    """Return the element of an SVG file, without ids that nothing refers to: another chart has the same."""
    element = svg[svg.index("<svg") :].strip()
    return re.sub(r' id="[A-Za-z0-9.]+_[0-9]+"', "", element)


def _short(row: Row, by: str) -> str:
    return row.label.partition(" ")[0] if by == "day" else row.label[:3]


def short_label(label: str, most: int = 34) -> str:
    """Shorten a bar's label: a zone without its borough, or what fits of it.

    :param most: how many characters there may be
    """
    if len(label) > most:
        label = label.rpartition(", ")[0] or label
    return label if len(label) <= most else f"{label[: most - 1]}…"


def _compact(value: float, unit: str) -> str:
    """Write a number of an axis: ``$1.2M``, ``30k``."""
    for factor, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= factor:
            text = f"{value / factor:.3g}{letter}"
            break
    else:
        text = f"{value:.3g}"
    if not unit or unit.startswith(" "):
        return text
    return f"-{unit}{text[1:]}" if text.startswith("-") else f"{unit}{text}"
