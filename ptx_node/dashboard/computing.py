"""Figures that take minutes: made in a process of their own, one at a time, kept, and never waited for by a page."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from datetime import datetime
from pickle import PickleError
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from ptx_node import log
from ptx_node.db.session import now
from ptx_node.errors import PtxError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from multiprocessing.connection import Connection

logger = log.get(__name__)

KEPT = 16
"""Answers in memory."""
WAITING = 3
"""Questions that may wait for the one that is worked on."""
FRESH_S = 900.0
"""An answer serves so long although rows have come since: on a busy node they come all the time."""
AGAIN_S = 15.0
"""What came to nothing is begun anew when somebody asks so long after it was begun."""
LONGEST_S = 1800.0
YIELDS = 5
"""How far such a process steps back, beyond the dashboard itself, where the processor is short."""
FAILED = "They could not be made; the dashboard's log says why."
FAULT = 1
"""With which a process ends that an error has ended."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What is known of one question.

    Attributes:
        value: the newest answer; None while there is none.
        made_at: from the rows of this moment.
        working: it is being made, for the first time or anew.
        problem: why the last try gave nothing, in words for people.
    """

    value: Any = None
    made_at: datetime | None = None
    working: bool = False
    problem: str = ""


@dataclass(slots=True)
class _Held:
    answer: Answer = field(default_factory=Answer)
    signature: Hashable = None
    begun_s: float = float("-inf")


class Computing:
    """Asks `work(*arguments, folder)` in a fresh process; `folder` is empty, and taken away afterwards. One for a process."""

    def __init__(self, *, longest_s: float = LONGEST_S, waiting: int = WAITING) -> None:
        self._waiting = waiting
        self._longest_s = longest_s
        self._lock = threading.Lock()
        self._turn = threading.Lock()
        self._held: OrderedDict[Hashable, _Held] = OrderedDict()

    def ask(self, key: Hashable, signature: Hashable, work: Callable[..., Any], *arguments: Any) -> Answer:
        """What is known now; begins to find out where nothing is, or where rows have come and some time has passed.

        Args:
            key: of the question.
            signature: of the rows that the answer is made of.
            work: a function of a module; what it gives back must be able to cross from the other process.
            arguments: for the work, likewise; the folder comes after them.
        """
        with self._lock:
            held = self._held.get(key, _Held())
            age_s = time.monotonic() - held.begun_s
            settled = age_s < (AGAIN_S if held.answer.problem else FRESH_S) or (held.signature == signature and not held.answer.problem)
            if held.answer.working or settled:
                return held.answer
            if sum(one.answer.working for one in self._held.values()) > self._waiting:
                return replace(held.answer, problem="Others have asked for figures that are still being made. Ask again in a minute.")
            self._held[key] = held
            self._held.move_to_end(key)
            held.signature, held.begun_s = signature, time.monotonic()
            held.answer = replace(held.answer, working=True, problem="")
            while len(self._held) > KEPT and not next(iter(self._held.values())).answer.working:
                self._held.popitem(last=False)
            threading.Thread(target=self._find, args=(held, work, arguments), name="computing", daemon=True).start()
            return held.answer

    def _find(self, held: _Held, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        answer = replace(held.answer, working=False, problem=FAILED)
        try:
            with self._turn:
                made_at = now()
                answer = Answer(self._in_a_process(work, arguments), made_at)
        except PtxError as error:
            answer = replace(answer, problem=str(error))
        except (OSError, PickleError) as error:  # no process, no room on the disk, or something that cannot cross
            logger.warning("figures could not be made", error=str(error))
        finally:  # whatever else may have failed: no page waits for ever
            with self._lock:
                held.answer = answer

    def _in_a_process(self, work: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        context = multiprocessing.get_context("spawn")  # a fork of a server with threads may inherit a lock that nobody frees
        receiving, sending = context.Pipe(duplex=False)
        with TemporaryDirectory(prefix="ptx-figures-") as folder, receiving:
            process = context.Process(target=_child, args=(sending, work, (*arguments, folder)), daemon=True)
            process.start()
            sending.close()
            try:
                if not receiving.poll(self._longest_s):
                    raise PtxError(f"They were not ready within {self._longest_s / 60:.0f} minutes. Ask for a shorter period.")
                outcome = receiving.recv()
            except EOFError:
                process.join(5)
                if process.exitcode == FAULT:
                    raise PtxError(FAILED) from None
                words = f"The process that made them was ended from outside ({process.exitcode}): perhaps memory was short. Ask again."
                raise PtxError(words) from None
            finally:
                if process.is_alive():
                    process.join(2)
                process.kill()
                process.join()
        if isinstance(outcome, PtxError):
            raise outcome
        return outcome


def _child(sending: Connection, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    """In the other process: an error of ours is an answer too. Any other ends the process, with its trace where the server's log goes."""
    os.nice(YIELDS)
    try:
        outcome: Any = work(*arguments)
    except PtxError as error:
        outcome = PtxError(str(error))
    sending.send(outcome)
