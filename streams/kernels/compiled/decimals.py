"""float64 as the shortest decimal that is read back as the same number, the nearest of those (Raffaele Giulietti, "The
Schubfach way to render doubles", 2020).
"""

from __future__ import annotations

import numpy as np

from streams.kernels.compiled.native import inner

_POWER_MIN, _POWER_MAX = -292, 324
_HIDDEN_BIT = np.uint64(1 << 52)
_FRACTION = np.uint64((1 << 52) - 1)
_BIAS = 1075
_LOW = np.uint64(0xFFFFFFFF)
_HALF = np.uint64(32)
_ZERO, _ONE, _TWO, _FOUR, _TEN, _FORTY = (np.uint64(number) for number in (0, 1, 2, 4, 10, 40))


def _power_of_ten(power: int) -> int:
    """10 ** power times a power of two, rounded up to 128 bits, the first of which is set."""
    exact, divisor = (10**power, 1) if power >= 0 else (1, 10**-power)
    shift = 128 - (power * 1741647 >> 19) - 1
    scaled = exact << shift if shift >= 0 else exact
    divisor <<= max(0, -shift)
    return -(-scaled // divisor)


_POWERS = [_power_of_ten(power) for power in range(_POWER_MIN, _POWER_MAX + 1)]
_HIGHS = np.array([power >> 64 for power in _POWERS], np.uint64)
_LOWS = np.array([power & (1 << 64) - 1 for power in _POWERS], np.uint64)


@inner
def _product(a, b):  # type: ignore[no-untyped-def]
    """(high, low) 64 bits of a product."""
    a_high, a_low, b_high, b_low = a >> _HALF, a & _LOW, b >> _HALF, b & _LOW
    low, mixed, other = a_low * b_low, a_high * b_low, a_low * b_high
    carried = mixed + (low >> _HALF)
    middle = other + (carried & _LOW)
    return a_high * b_high + (carried >> _HALF) + (middle >> _HALF), (middle << _HALF) | (low & _LOW)


@inner
def _scaled(high, low, factor):  # type: ignore[no-untyped-def]
    """The upper 64 of 192 bits, rounded to odd."""
    carry, _ = _product(low, factor)
    top, rest = _product(high, factor)
    rest += carry
    if rest < carry:
        top += _ONE
    return top | np.uint64(rest > _ONE)


@inner
def shortest(bits):  # type: ignore[no-untyped-def]
    """(digits, exponent): the number without its sign is digits * 10 ** exponent. `bits` are those of a finite one."""
    fraction = bits & _FRACTION
    biased = np.int64((bits >> np.uint64(52)) & np.uint64(0x7FF))
    if biased == 0:
        if fraction == _ZERO:
            return _ZERO, np.int64(0)
        whole, power = fraction, np.int64(1 - _BIAS)
    else:
        whole, power = _HIDDEN_BIT | fraction, biased - _BIAS
        if -53 < power <= 0 and whole & ((_ONE << np.uint64(-power)) - _ONE) == _ZERO:
            return whole >> np.uint64(-power), np.int64(0)
    closer = fraction == _ZERO and biased > 1
    odd = whole & _ONE
    exponent = (power * 1262611 - (524031 if closer else 0)) >> 22
    shift = np.uint64(power + (-exponent * 1741647 >> 19) + 1)
    high, low = _HIGHS[-exponent - _POWER_MIN], _LOWS[-exponent - _POWER_MIN]
    middle = _FOUR * whole
    lower = _scaled(high, low, (middle - (_ONE if closer else _TWO)) << shift) + odd
    value = _scaled(high, low, middle << shift)
    upper = _scaled(high, low, (middle + _TWO) << shift) - odd
    digits = value // _FOUR
    if digits >= _TEN:
        fewer = digits // _TEN
        down, up = lower <= _FORTY * fewer, _FORTY * fewer + _FORTY <= upper
        if down != up:
            return fewer + np.uint64(up), exponent + 1
    down, up = lower <= _FOUR * digits, _FOUR * digits + _FOUR <= upper
    if down != up:
        return digits + np.uint64(up), exponent
    half = _FOUR * digits + _TWO
    return digits + np.uint64(value > half or (value == half and digits & _ONE == _ONE)), exponent
