"""Watches a size that goes up and down while something runs."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from types import TracebackType


class PeakWatch:
    """Asks for a size again and again in a thread, and remembers the greatest.

    :ivar peak: the greatest size so far
    :ivar cpu_seconds: processor time of the thread, known when the watch has ended
    """

    def __init__(self, size: Callable[[], int], seconds: float = 0.02) -> None:
        """Take what to ask.

        :param size: returns the size now
        :param seconds: time between two questions
        """
        self._size = size
        self._seconds = seconds
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="peak watch", daemon=True)
        self._error: BaseException | None = None
        self.peak = size()
        self.cpu_seconds = 0.0

    def _watch(self) -> None:
        try:
            while not self._stop.wait(self._seconds):
                self.peak = max(self.peak, self._size())
        except BaseException as error:  # raised again where the watch ends
            self._error = error
        finally:
            self.cpu_seconds = time.thread_time()

    def __enter__(self) -> PeakWatch:
        """Begin to watch."""
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Stop watching; an error of the watch is raised here."""
        self._stop.set()
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error
        self.peak = max(self.peak, self._size())
