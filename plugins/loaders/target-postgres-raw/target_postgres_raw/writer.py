"""The one thread that writes chunks, while the next one is read."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from target_postgres_raw.failures import persist

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable
    from concurrent.futures import Future

    from target_postgres_raw.chunk import Chunk
    from target_postgres_raw.session import Session


class Writer:
    """Writes chunks in their order and tells each one's state once it is committed.

    Args:
        session: Writes a chunk.
        tell: Puts a state out.
        wake: Is called when writing has failed.
        logger: Hears of repetitions.
    """

    def __init__(
        self,
        session: Session,
        *,
        tell: Callable[[dict[str, Any]], None],
        wake: Callable[[], None],
        logger: logging.Logger,
    ) -> None:
        self._session = session
        self._tell = tell
        self._wake = wake
        self._logger = logger
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="writer")
        self._writing: Future[None] | None = None

    def write(self, chunk: Chunk) -> None:
        """Have a chunk written, as soon as the one before it is.

        Raises:
            LoadError: The one before it could not be.
        """
        self.wait()
        self._writing = self._thread.submit(self._write, chunk)
        self._writing.add_done_callback(self._done)

    def wait(self) -> None:
        """Return once nothing is being written.

        Raises:
            LoadError: It could not be.
        """
        if self._writing is not None:
            self._writing.result()

    def check(self) -> None:
        """Raise what writing has failed with, if it has.

        Raises:
            LoadError: It has.
        """
        if self._writing is not None and self._writing.done():
            self._writing.result()

    def close(self) -> None:
        """End the thread and the session."""
        self._thread.shutdown()
        self._session.close()

    def _write(self, chunk: Chunk) -> None:
        if chunk.runs:
            names = ", ".join(sorted({table.name for table in chunk.runs}))
            persist(
                lambda: self._session.write(chunk),
                what=f"Writing {chunk.rows} rows of {names}",
                forget=self._session.close,
                logger=self._logger,
            )
        if chunk.state is not None:
            self._tell(chunk.state)

    def _done(self, writing: Future[None]) -> None:
        if writing.exception() is not None:
            self._wake()
