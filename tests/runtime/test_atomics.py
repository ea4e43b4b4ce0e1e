"""Counters that several threads raise at once lose nothing, and a claim has one winner."""

import threading
from typing import Any

import numpy as np
from numba import njit

from refquant_runtime.atomics import atomic_add, atomic_load, claim, give_way, relax
from refquant_runtime.kernels.pointers import pointer

ROUNDS = 20_000


@njit(nogil=True)
def race(counter: Any, wins: Any, tid: int, rounds: int) -> None:
    """Add one to the counter each round; count how many numbers of the claim were ours."""
    total, turn = pointer(counter[:1]), pointer(counter[8:])
    for number in range(rounds):
        atomic_add(total, 1)
        if claim(turn, number):
            wins[tid] += 1
        while atomic_load(turn) <= number:
            relax()
            give_way()


def test_every_addition_counts_and_every_claim_has_one_winner() -> None:
    counter, wins = np.zeros(16, np.int64), np.zeros(4, np.int64)
    race(counter, wins, 0, 0)  # compile before the race
    threads = [threading.Thread(target=race, args=(counter, wins, i, ROUNDS)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counter[0] == 4 * ROUNDS, f"{4 * ROUNDS - counter[0]} additions were lost"
    assert counter[8] == ROUNDS, f"the claim went to {counter[8]} of {ROUNDS}"
    assert wins.sum() == ROUNDS, f"{wins.sum()} winners of {ROUNDS} claims"


@njit
def once(place: Any, expected: int) -> bool:
    won: bool = claim(pointer(place), expected)
    return won


def test_a_claim_needs_the_number_that_is_there() -> None:
    place = np.array([5], np.int64)
    assert not once(place, 4), "4 is not there"
    assert place[0] == 5, "a lost claim changes nothing"
    assert once(place, 5), "5 is there"
    assert place[0] == 6, "a won claim moves on by one"
