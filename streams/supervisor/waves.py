"""When several workers are at the end together: none has work, and nothing is on its way from one to another.

A worker at the end may get work again by what another commits, so one word of each is not enough. They are asked in
waves; each answers when it is at the end, with a number that grows with everything that it does. Two waves with the
same numbers: between the last answer of the first and the first question of the second nobody did anything, so what
each then saw to be nothing was nothing for good. (F. Mattern's four-counter method, 1987, with the log as channel.)
"""

from __future__ import annotations

from collections.abc import Collection


class Waves:
    """Collects answers.

    >>> waves = Waves()
    >>> waves.answered(1, waves.wave, 10), waves.answered(2, waves.wave, 7)
    (None, None)
    >>> waves.complete({1, 2})  # a first time: the next wave
    False
    >>> waves.answered(2, waves.wave, 7), waves.answered(1, waves.wave, 10)
    (None, None)
    >>> waves.complete({1, 2})
    True
    """

    def __init__(self) -> None:
        self.wave = 1
        self._answers: dict[int, int] = {}
        self._before: dict[int, int] | None = None

    def answered(self, worker: int, wave: int, moved: int) -> None:
        """A worker is at the end. Answers to earlier waves come too late to count."""
        if wave == self.wave:
            self._answers[worker] = moved

    def complete(self, workers: Collection[int]) -> bool | None:
        """Whether all these are at the end: None as long as some have not answered, False for another wave."""
        if not workers or set(workers) - set(self._answers):
            return None
        answers = {worker: self._answers[worker] for worker in workers}
        if answers == self._before:
            return True
        self._begin(answers)
        return False

    def forget(self) -> None:
        """A worker has died or come: what was said before does not count."""
        self._begin(None)

    def _begin(self, before: dict[int, int] | None) -> None:
        self.wave += 1
        self._answers, self._before = {}, before
