"""Where the groups of an aggregation are: a hash table from (key code, window start) to a slot.

`slot_codes` and `slot_starts` say of each slot whose it is (a code of -1: nobody's); `places` has slots. `free` is a
stack of the slots that nobody has.
"""

from __future__ import annotations

import numpy as np

from streams.kernels.compiled.native import inner, native

EMPTY = -1


@inner
def _home(code, start, mask):  # type: ignore[no-untyped-def]
    mixed = np.uint64(code) * np.uint64(0x9E3779B97F4A7C15) ^ np.uint64(start) * np.uint64(0xC2B2AE3D27D4EB4F)
    return np.int64((mixed ^ (mixed >> np.uint64(32))) & np.uint64(mask))


@native(
    codes="int64s", rows="int64s", starts="int64s", pairs="count", places="int64s", mask="count",
    slot_codes="int64s", slot_starts="int64s", free="int64s", free_slots="count", slots="int64s", fresh="int64s",
)  # fmt: skip
def locate(codes, rows, starts, pairs, places, mask, slot_codes, slot_starts, free, free_slots, slots, fresh):  # type: ignore[no-untyped-def]
    """The slot of each (`codes[rows[i]]`, `starts[i]`) into `slots`, and those that were new into `fresh`; how many
    those are. There are free slots and places for as many.
    """
    new = 0
    for pair in range(pairs):
        code, start = codes[rows[pair]], starts[pair]
        place = _home(code, start, mask)
        slot = places[place]
        while slot != EMPTY and (slot_codes[slot] != code or slot_starts[slot] != start):
            place = (place + 1) & mask
            slot = places[place]
        if slot == EMPTY:
            free_slots -= 1
            slot = free[free_slots]
            places[place] = slot
            slot_codes[slot] = code
            slot_starts[slot] = start
            fresh[new] = slot
            new += 1
        slots[pair] = slot
    return new


@native(code="count", start="count", places="int64s", mask="count", slot_codes="int64s", slot_starts="int64s")
def find(code, start, places, mask, slot_codes, slot_starts):  # type: ignore[no-untyped-def]
    """The slot of a group, `EMPTY` if it has none."""
    place = _home(code, start, mask)
    slot = places[place]
    while slot != EMPTY and (slot_codes[slot] != code or slot_starts[slot] != start):
        place = (place + 1) & mask
        slot = places[place]
    return slot


@native(slots="int64s", count="count", places="int64s", mask="count", slot_codes="int64s", slot_starts="int64s")
def place_all(slots, count, places, mask, slot_codes, slot_starts):  # type: ignore[no-untyped-def]
    """Puts these slots into a table that has none of them."""
    for at in range(count):
        slot = slots[at]
        place = _home(slot_codes[slot], slot_starts[slot], mask)
        while places[place] != EMPTY:
            place = (place + 1) & mask
        places[place] = slot
    return 0


@native(
    slots="int64s", count="count", places="int64s", mask="count",
    slot_codes="int64s", slot_starts="int64s", free="int64s", free_slots="count",
)  # fmt: skip
def remove(slots, count, places, mask, slot_codes, slot_starts, free, free_slots):  # type: ignore[no-untyped-def]
    """Takes slots out of the table; what stands behind a hole and may move into it does (Knuth 6.4, algorithm R)."""
    for at in range(count):
        slot = slots[at]
        hole = _home(slot_codes[slot], slot_starts[slot], mask)
        while places[hole] != slot:
            hole = (hole + 1) & mask
        place = hole
        while True:
            place = (place + 1) & mask
            other = places[place]
            if other == EMPTY:
                break
            home = _home(slot_codes[other], slot_starts[other], mask)
            if ((place - home) & mask) >= ((place - hole) & mask):
                places[hole] = other
                hole = place
        places[hole] = EMPTY
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
def _digit(slot, by_length, by_start, byte, slot_codes, slot_starts, arena, bounds):  # type: ignore[no-untyped-def]
    """A byte of what is sorted by: the nth of a key, with zeros behind it; the nth last of a length or start."""
    if by_start:
        return np.int64((np.uint64(slot_starts[slot]) >> np.uint64(8 * byte)) & np.uint64(255)) ^ (128 * (byte == 7))
    length = _length(slot, slot_codes, bounds)
    if by_length:
        return (length >> (8 * byte)) & 255
    return np.int64(arena[bounds[slot_codes[slot]] + byte]) if byte < length else np.int64(0)


@inner
def _pass(slots, count, other, counts, by_length, by_start, byte, slot_codes, slot_starts, arena, bounds):  # type: ignore[no-untyped-def]
    """A pass of a radix sort from `slots` into `other`; False if all are equal, and nothing was done."""
    for digit in range(256):
        counts[digit] = 0
    for at in range(count):
        counts[_digit(slots[at], by_length, by_start, byte, slot_codes, slot_starts, arena, bounds)] += 1
    before = 0
    for digit in range(256):
        here = counts[digit]
        if here == count:
            return False
        counts[digit] = before
        before += here
    for at in range(count):
        digit = _digit(slots[at], by_length, by_start, byte, slot_codes, slot_starts, arena, bounds)
        other[counts[digit]] = slots[at]
        counts[digit] += 1
    return True


@native(
    slots="int64s", count="count", other="int64s", counts="int64s",
    slot_codes="int64s", slot_starts="int64s", arena="bytes", bounds="int64s",
)  # fmt: skip
def sort(slots, count, other, counts, slot_codes, slot_starts, arena, bounds):  # type: ignore[no-untyped-def]
    """Sorts slots by start, then by key; 1 if they are in `other` afterwards, as long as `slots`. `counts` has 256.

    Keys that differ in nothing but zeros at the end go by length, so that is what is sorted by first.
    """
    if count < 2:
        return 0
    common = _common(slots, count, slot_codes, arena, bounds)
    longest = np.int64(0)
    shortest = _length(slots[0], slot_codes, bounds)
    low = high = slot_starts[slots[0]]
    for at in range(count):
        length = _length(slots[at], slot_codes, bounds)
        longest, shortest = max(longest, length), min(shortest, length)
        low, high = min(low, slot_starts[slots[at]]), max(high, slot_starts[slots[at]])
    swapped = 0
    lengths = 4 if longest > shortest else 0
    keys = longest - common
    for step in range(lengths + keys + (8 if low < high else 0)):
        by_length, by_start = step < lengths, step >= lengths + keys
        byte = step if by_length else step - lengths - keys if by_start else longest - 1 - (step - lengths)
        one, two = (other, slots) if swapped else (slots, other)
        if _pass(one, count, two, counts, by_length, by_start, byte, slot_codes, slot_starts, arena, bounds):
            swapped = 1 - swapped
    return swapped


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
