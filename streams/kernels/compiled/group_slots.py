"""Where the groups of an aggregation are: a hash table from (key code, window start) to a slot.

A place of the table is three numbers: a slot, the code of its key, and its window's start; no slot (`EMPTY`), and
nobody is there. They stand together, as the table is large and each record looks somewhere else. `free` is a stack of
the slots that nobody has.
"""

from __future__ import annotations

import numpy as np

from streams.kernels.compiled.native import inner, native

EMPTY = -1
WIDTH = 3
"""Numbers a place."""


@inner
def _home(code, start, mask):  # type: ignore[no-untyped-def]
    mixed = np.uint64(code) * np.uint64(0x9E3779B97F4A7C15) ^ np.uint64(start) * np.uint64(0xC2B2AE3D27D4EB4F)
    return np.int64((mixed ^ (mixed >> np.uint64(32))) & np.uint64(mask))


@inner
def _look(code, start, places, mask):  # type: ignore[no-untyped-def]
    """Where a group is, or would be."""
    place = _home(code, start, mask)
    while places[WIDTH * place] != EMPTY:
        if places[WIDTH * place + 1] == code and places[WIDTH * place + 2] == start:
            break
        place = (place + 1) & mask
    return WIDTH * place


@native(
    codes="int64s", rows="int64s", starts="int64s", first="count", pairs="count", places="int64s", mask="count",
    slot_codes="int64s", slot_starts="int64s", free="int64s", counts="int64s", slots="int64s", fresh="int64s",
)  # fmt: skip
def locate(codes, rows, starts, first, pairs, places, mask, slot_codes, slot_starts, free, counts, slots, fresh):  # type: ignore[no-untyped-def]
    """The slot of each (`codes[rows[i]]`, `starts[i]`) from pair `first` on into `slots`, and those that were new into
    `fresh`. The pair at which no slot is free, or `pairs`. `counts` has how many slots are free, and are new.
    """
    free_slots, new = counts[0], counts[1]
    done = pairs
    for pair in range(first, pairs):
        code, start = codes[rows[pair]], starts[pair]
        at = _look(code, start, places, mask)
        slot = places[at]
        if slot == EMPTY:
            if free_slots == 0:
                done = pair
                break
            free_slots -= 1
            slot = free[free_slots]
            places[at], places[at + 1], places[at + 2] = slot, code, start
            slot_codes[slot] = code
            slot_starts[slot] = start
            fresh[new] = slot
            new += 1
        slots[pair] = slot
    counts[0], counts[1] = free_slots, new
    return done


@native(code="count", start="count", places="int64s", mask="count")
def find(code, start, places, mask):  # type: ignore[no-untyped-def]
    """The slot of a group, `EMPTY` if it has none."""
    return places[_look(code, start, places, mask)]


@native(slots="int64s", count="count", places="int64s", mask="count", slot_codes="int64s", slot_starts="int64s")
def place_all(slots, count, places, mask, slot_codes, slot_starts):  # type: ignore[no-untyped-def]
    """Puts these slots into a table that has none of them."""
    for index in range(count):
        slot = slots[index]
        code, start = slot_codes[slot], slot_starts[slot]
        at = _look(code, start, places, mask)
        places[at], places[at + 1], places[at + 2] = slot, code, start
    return 0


@native(
    slots="int64s", count="count", places="int64s", mask="count",
    slot_codes="int64s", slot_starts="int64s", free="int64s", free_slots="count",
)  # fmt: skip
def remove(slots, count, places, mask, slot_codes, slot_starts, free, free_slots):  # type: ignore[no-untyped-def]
    """Takes slots out of the table; what stands behind a hole and may move into it does (Knuth 6.4, algorithm R)."""
    for index in range(count):
        slot = slots[index]
        hole = _look(slot_codes[slot], slot_starts[slot], places, mask) // WIDTH
        place = hole
        while True:
            place = (place + 1) & mask
            at, into = WIDTH * place, WIDTH * hole
            if places[at] == EMPTY:
                break
            home = _home(places[at + 1], places[at + 2], mask)
            if ((place - home) & mask) >= ((place - hole) & mask):
                places[into], places[into + 1], places[into + 2] = places[at], places[at + 1], places[at + 2]
                hole = place
        places[WIDTH * hole] = EMPTY
        slot_codes[slot] = EMPTY
        free[free_slots] = slot
        free_slots += 1
    return free_slots


@inner
def _length(slot, slot_codes, bounds):  # type: ignore[no-untyped-def]
    code = slot_codes[slot]
    return bounds[code + 1] - bounds[code]


@inner
def _common(slots, count, slot_codes, arena, bounds):  # type: ignore[no-untyped-def]
    """How many bytes all keys begin with."""
    first = bounds[slot_codes[slots[0]]]
    common = _length(slots[0], slot_codes, bounds)
    for at in range(1, count):
        begin = bounds[slot_codes[slots[at]]]
        common = min(common, _length(slots[at], slot_codes, bounds))
        same = 0
        while same < common and arena[begin + same] == arena[first + same]:
            same += 1
        common = same
    return common


@inner
def _word(slot, first, slot_codes, arena, bounds):  # type: ignore[no-untyped-def]
    """Eight bytes of a key from the nth on, as a number that goes as they do; zeros behind its end."""
    code = slot_codes[slot]
    begin, end = bounds[code] + first, bounds[code + 1]
    word = np.uint64(0)
    for at in range(begin, min(begin + 8, end)):
        word |= np.uint64(arena[at]) << np.uint64(56 - 8 * (at - begin))
    return word


@inner
def _pass(slots, words, other, other_words, count, counts, base):  # type: ignore[no-untyped-def]
    """Slots and words into `other` and `other_words`, by the byte of which `counts[base:base + 256]` has how many."""
    before = 0
    for digit in range(256):
        here = counts[base + digit]
        counts[base + digit] = before
        before += here
    shift = np.uint64(base // 32)
    for at in range(count):
        digit = base + np.int64((words[at] >> shift) & np.uint64(255))
        place = counts[digit]
        counts[digit] = place + 1
        other[place] = slots[at]
        other_words[place] = words[at]


@inner
def _sort_by_words(slots, words, other, other_words, count, counts):  # type: ignore[no-untyped-def]
    """Slots in the order of their words, those of equal ones as they were: a radix sort by the bytes that differ."""
    for at in range(8 * 256):
        counts[at] = 0
    for at in range(count):
        for byte in range(8):
            counts[256 * byte + np.int64((words[at] >> np.uint64(8 * byte)) & np.uint64(255))] += 1
    moved = False
    for byte in range(8):
        base = 256 * byte
        if counts[base + np.int64((words[0] >> np.uint64(8 * byte)) & np.uint64(255))] == count:
            continue
        if moved:
            _pass(other, other_words, slots, words, count, counts, base)
        else:
            _pass(slots, words, other, other_words, count, counts, base)
        moved = not moved
    if moved:
        for at in range(count):
            slots[at] = other[at]


@native(
    slots="int64s", count="count", words="uint64s", other="int64s", other_words="uint64s", counts="int64s",
    slot_codes="int64s", slot_starts="int64s", arena="bytes", bounds="int64s",
)  # fmt: skip
def sort(slots, count, words, other, other_words, counts, slot_codes, slot_starts, arena, bounds):  # type: ignore[no-untyped-def]
    """Sorts slots by start, then by key. `words`, `other`, `other_words` are as long, `counts` has 8 * 256.

    Keys that differ in nothing but zeros at the end go by length, so that is what is sorted by first.
    """
    if count < 2:
        return 0
    common = _common(slots, count, slot_codes, arena, bounds)
    longest = shortest = _length(slots[0], slot_codes, bounds)
    low = high = slot_starts[slots[0]]
    for at in range(count):
        length, start = _length(slots[at], slot_codes, bounds), slot_starts[slots[at]]
        longest, shortest = max(longest, length), min(shortest, length)
        low, high = min(low, start), max(high, start)
    if shortest < longest:
        for at in range(count):
            words[at] = np.uint64(_length(slots[at], slot_codes, bounds))
        _sort_by_words(slots, words, other, other_words, count, counts)
    pieces = (longest - common + 7) // 8
    for piece in range(pieces):
        for at in range(count):
            words[at] = _word(slots[at], common + 8 * (pieces - 1 - piece), slot_codes, arena, bounds)
        _sort_by_words(slots, words, other, other_words, count, counts)
    if low < high:
        for at in range(count):
            words[at] = np.uint64(slot_starts[slots[at]]) ^ (np.uint64(1) << np.uint64(63))
        _sort_by_words(slots, words, other, other_words, count, counts)
    return 0


@native(
    slots="int64s", count="count", slot_codes="int64s", slot_starts="int64s",
    arena="bytes", bounds="int64s", with_starts="count", keys="bytes", stops="int64s",
)  # fmt: skip
def write_keys(slots, count, slot_codes, slot_starts, arena, bounds, with_starts, keys, stops):  # type: ignore[no-untyped-def]
    """The keys of slots one behind the other, each with the start of its window before it if that is asked for (as
    `state.keys.window_key`), and where each ends.
    """
    end = 0
    for at in range(count):
        slot = slots[at]
        code = slot_codes[slot]
        if with_starts:
            start = np.uint64(slot_starts[slot]) ^ (np.uint64(1) << np.uint64(63))
            for byte in range(8):
                keys[end + byte] = np.uint8((start >> np.uint64(56 - 8 * byte)) & np.uint64(255))
            end += 8
        for byte in range(bounds[code], bounds[code + 1]):
            keys[end] = arena[byte]
            end += 1
        stops[at] = end
    return end
