"""What commands have in common: the months that are asked for."""

from __future__ import annotations

from argparse import Namespace
from dataclasses import dataclass

from taxiway.errors import InvalidArgumentError
from taxiway.messages import one_line
from taxiway.paths import SOURCES_FOLDER
from taxiway.sources.months import Month
from taxiway.sources.source import Source, find_source, load_sources


@dataclass(frozen=True)
class Asked:
    """The months that the options ask for.

    :param sources: by name
    :param first: first month; None for the first one of all
    :param last: last month; None for the last one of all
    """

    sources: dict[str, Source]
    first: Month | None
    last: Month | None

    @classmethod
    def of(cls, arguments: Namespace) -> Asked:
        """Check the options of a call.

        :raises InvalidArgumentError: an option can't be used
        :raises InvalidMonthError: a month isn't one
        """
        first, last = (Month.parse(text) if text else None for text in (arguments.first, arguments.last))
        if first and last and first > last:
            raise InvalidArgumentError(f"--from {first} is after --to {last}: exchange them")
        sources = (
            load_sources(SOURCES_FOLDER) if arguments.source is None else (source_of(arguments.source, "--source"),)
        )
        if arguments.source is not None and sources[0].stands_alone and (first or last):
            raise InvalidArgumentError(f"{sources[0].name} is one file, of no month: leave --from and --to out")
        return cls({source.name: source for source in sources}, first, last)

    def have(self, first: Month, last: Month | None = None) -> bool:
        """Say whether a month, or a range of months, lies between them; a file of no month is in no range."""
        if first.is_whole:
            return self.first is None and self.last is None
        return (self.first is None or self.first <= first) and (self.last is None or (last or first) <= self.last)

    def why_none(self, source: Source) -> str:
        """Say why no month of a source is shown: it has none of them, or none is due yet.

        :param source: one of which nobody has tried to load a month that is asked for, either
        """
        first = source.first_month if self.first is None else max(self.first, source.first_month)
        is_there = source.why_unavailable(first) is None and (self.last is None or first <= self.last)
        if source.stands_alone or not is_there:
            return f"{source.name}: none of the months that are asked for is available: {source.months}"
        return f"{source.name}: none of the months that are asked for is due yet; {first} is due on {source.due(first)}"


def source_of(name: str, option: str) -> Source:
    """Return the source that an option names.

    :param option: the option, for the error
    :raises InvalidArgumentError: there is no such source
    """
    names = sorted(path.stem for path in SOURCES_FOLDER.glob("*.yaml"))
    if name not in names:
        raise InvalidArgumentError(f"{option} {one_line(name, 60)}: expected one of {', '.join(names)}")
    return find_source(SOURCES_FOLDER, name)
