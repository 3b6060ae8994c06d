"""The proof with a worker that works on a folder which another process holds: a client of it, or the next that takes it
over, the worker itself among them. Killed by `kill -9` are the worker, the holder, and both at once.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import cycle, islice
from pathlib import Path
from random import Random

import pytest
from conftest import Life, NewLife, Undisturbed, moment
from crash_compare import assert_nothing_wiped, assert_same

from broker_embedded.lock import held_by
from streams.runtime.steps import COMMIT_STEPS
from streams.testing.crash import KILLED, Kill

CLIENT = Path(__file__).parents[1] / "streams" / "transport" / "joined_process.py"

NewClient = Callable[[Path], "subprocess.Popen[bytes]"]


@pytest.fixture
def new_client() -> Iterator[NewClient]:
    """Starts a process that opens a folder, or joins the one that holds it."""
    with ExitStack() as stack:

        def start(folder: Path) -> subprocess.Popen[bytes]:
            process = stack.enter_context(
                subprocess.Popen(
                    [sys.executable, str(CLIENT), str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
                )
            )
            stack.callback(process.kill)
            assert process.stdout is not None
            assert process.stdout.readline(), "it has ended"
            return process

        yield start


def test_a_worker_beside_a_client(life: Life, new_client: NewClient, undisturbed: Undisturbed) -> None:
    holder = new_client(life.folder)
    assert_same(life.finish(), undisturbed.contents)
    assert held_by(life.folder / "log") == holder.pid
    assert_nothing_wiped(life.runs)


def kill_in_turns(rounds: int, seed: int, new_life: NewLife, new_client: NewClient, undisturbed: Undisturbed) -> None:
    """Ends of the worker, of the holder while the worker goes on, of both at once, until there were so many of each."""
    draw = Random(seed)
    hits = dict.fromkeys(("worker", "holder", "both"), 0)
    turns = cycle(hits)
    while min(hits.values()) < rounds:
        life = new_life()
        clients = {client.pid: client for client in (new_client(life.folder) for _ in range(2))}
        for turn in islice(turns, 4):
            hits[turn] += killed(life, turn, clients[held_by(life.folder / "log") or 0], draw, undisturbed.commits)
            if life.runs[-1].code == 0:
                break
            new = new_client(life.folder)  # one of us holds the folder when it is here
            clients[new.pid] = new
        assert_same(life.finish(), undisturbed.contents)
        assert_nothing_wiped(life.runs)


def killed(life: Life, turn: str, holder: subprocess.Popen[bytes], draw: Random, commits: int) -> bool:
    """A run in which one of them is killed at work, or both: whether the worker was, before it came to its end. It is
    killed later than the holder if it is to go on without that one.
    """
    at = moment(draw, commits)
    kills = [] if turn == "worker" else [at._replace(pid=holder.pid)]
    kills.append(Kill(at.commits + draw.randint(1, 3)) if turn == "holder" else at._replace(after_s=0))
    run = life.run(kills=kills)
    return run.code == KILLED


@pytest.mark.slow
@pytest.mark.timeout(300)  # on a machine that has other things to do
def test_worker_and_holder_are_killed_in_turns(
    new_life: NewLife, new_client: NewClient, undisturbed: Undisturbed
) -> None:
    kill_in_turns(1, 1, new_life, new_client, undisturbed)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(2, 2 + int(os.environ.get("KILL_SEEDS", "1"))))
def test_many_are_killed_in_turns(
    seed: int, new_life: NewLife, new_client: NewClient, undisturbed: Undisturbed
) -> None:
    kill_in_turns(2, seed, new_life, new_client, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("step", COMMIT_STEPS)
def test_crashes_of_commits_beside_a_client(
    step: str, life: Life, new_client: NewClient, undisturbed: Undisturbed
) -> None:
    new_client(life.folder)
    for occurrence in (1, 2, 3):
        life.die_at(step, occurrence)
    assert_same(life.finish(), undisturbed.contents)
    assert_nothing_wiped(life.runs)
