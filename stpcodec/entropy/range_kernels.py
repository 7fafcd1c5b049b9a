"""Compiled range coder: 32-bit words, 64-bit state, 24-bit probabilities; the words of constriction's `RangeCoder`.

Compiled by Numba. Range coding after Martin (1979): the state is an interval [lower, lower + range) of 64 bits, of
which every symbol takes its table's share. Whenever the range falls below 2**32, the upper word of `lower` is settled
and leaves, unless a later carry could reach it: then it waits with those behind it (`held`).

Symbols are coded table by table, those of one table as they came. A decoder keeps the point's distance from `lower`
alone. What is beyond a table's ±L is its escape, and a varint in a stream of its own says the rest, see
container/FORMAT.md.
"""

from __future__ import annotations

from numba import int32, int64, uint8, uint32, uint64, uintp

from stpcodec.compiled import compiled
from stpcodec.entropy.order import by_table

PRECISION = 24
"""Probabilities are parts of 2**24."""
LARGEST_VALUE = 1 << 20
VARINT_BYTES = 4
"""Of an escape at most."""
LOWER, RANGE, HELD, FIRST_HELD = range(4)
"""Of an encoder's state uint64 ``[4]``: how many words a carry may still change, and the first of them."""
DISTANCE, _, WORD, BYTE, BAD_VALUE = range(5)
"""Of a decoder's state uint64 ``[5]``: the point's distance from `lower`, range; next word and next byte of escapes;
the value that was refused."""
DONE, INVALID, CUT, ENDLESS, TOO_LARGE = range(5)
"""What a decoder says."""
_SHIFT, _WORD = uint64(PRECISION), uint64(32)
_SETTLED = uint64(1 << 32)

exact = compiled()


@exact
def start_decoder(words, state):  # type: ignore[no-untyped-def]
    """The first two words, zeros where there are none."""
    state[:] = uint64(0)
    for number in range(2):
        state[DISTANCE] <<= _WORD
        if number < len(words):
            state[DISTANCE] |= uint64(words[number])
            state[WORD] += uint64(1)
    state[RANGE] = ~uint64(0)


@exact
def decode_symbols(words, escapes, state, cumulative, index, values):  # type: ignore[no-untyped-def]
    """Fills values int32 ``[N]`` by tables `index` ``[N]``. words uint32, escapes uint8; cumulative uint32
    ``[rows, 2·L + 3]``."""
    rows, symbols = cumulative.shape[0], cumulative.shape[1] - 1
    largest, escape = (symbols - 2) // 2, symbols - 1
    order, starts = by_table(index, rows)
    distance, width, word = state[DISTANCE], state[RANGE], state[WORD]
    for row in range(rows):
        table = cumulative[row]
        low, high = uint64(table[largest]), uint64(table[largest + 1])
        for number in range(starts[row], starts[row + 1]):
            scale = width >> _SHIFT
            left, right, symbol = low, high, largest
            if distance < scale * low or distance >= scale * high:
                quantile = distance // scale
                if quantile >> _SHIFT:
                    return INVALID
                symbol = _find(table, quantile, largest)
                left, right = uint64(table[symbol]), uint64(table[symbol + 1])
            distance -= scale * left
            width = scale * (right - left)
            if width < _SETTLED:
                width <<= _WORD
                distance <<= _WORD
                if word < uint64(len(words)):
                    distance |= uint64(words[uintp(word)])
                    word += uint64(1)
            value = int32(symbol - largest)
            if symbol == escape:
                problem, value = _read_excess(escapes, state, largest)
                if problem:
                    return problem
            values[uintp(order[number])] = value
    state[DISTANCE], state[RANGE], state[WORD] = distance, width, word
    return DONE


@exact
def _find(table, quantile, middle):  # type: ignore[no-untyped-def]
    """The symbol whose share holds the quantile, from the middle outwards: those nearer to it are likelier."""
    symbol = middle
    if quantile < uint64(table[middle]):
        while quantile < uint64(table[symbol]):
            symbol -= 1
        return symbol
    while quantile >= uint64(table[symbol + 1]):
        symbol += 1
    return symbol


@exact
def _read_excess(escapes, state, largest):  # type: ignore[no-untyped-def]
    """(problem, value) of the next escape: a varint, sign last."""
    code, shift = uint64(0), uint64(0)
    while True:
        if shift >= uint64(35):
            return ENDLESS, int32(0)
        if state[BYTE] >= uint64(len(escapes)):
            return CUT, int32(0)
        byte = uint64(escapes[uintp(state[BYTE])])
        state[BYTE] += uint64(1)
        code |= (byte & uint64(0x7F)) << shift
        if byte < uint64(0x80):
            break
        shift += uint64(7)
    size = (code >> uint64(1)) + uint64(largest + 1)
    if size > uint64(LARGEST_VALUE):
        state[BAD_VALUE] = size
        return TOO_LARGE, int32(0)
    value = int32(size)
    return DONE, -value if code & uint64(1) else value


@exact
def start_encoder(state):  # type: ignore[no-untyped-def]
    state[:] = uint64(0)
    state[RANGE] = ~uint64(0)


@exact
def encode_symbols(state, cumulative, values, index, words, escapes):  # type: ignore[no-untyped-def]
    """Codes values int32 ``[N]``, none beyond ±LARGEST_VALUE. words uint32: room for N and those that are held; escapes
    uint8: for VARINT_BYTES of each. Returns how many of both were written."""
    rows, symbols = cumulative.shape[0], cumulative.shape[1] - 1
    largest, escape = (symbols - 2) // 2, symbols - 1
    order, starts = by_table(index, rows)
    lower, width, held = state[LOWER], state[RANGE], state[HELD]
    count = byte_count = 0
    for row in range(rows):
        table = cumulative[row]
        for number in range(starts[row], starts[row + 1]):
            value = values[uintp(order[number])]
            symbol = value + largest
            if value < -largest or value > largest:
                symbol = escape
                byte_count = _write_excess(value, largest, escapes, byte_count)
            left, right = uint64(table[symbol]), uint64(table[symbol + 1])
            scale = width >> _SHIFT
            width = scale * (right - left)
            before, lower = lower, lower + scale * left
            if held and lower + width > lower:  # no carry can come any more
                count = _release(state, held, lower < before, words, count)
                held = uint64(0)
            if width < _SETTLED:
                width <<= _WORD
                settled = lower >> _WORD
                lower <<= _WORD
                if held:
                    held += uint64(1)
                elif lower + width > lower:
                    words[count] = uint32(settled)
                    count += 1
                else:
                    held, state[FIRST_HELD] = uint64(1), settled
    state[LOWER], state[RANGE], state[HELD] = lower, width, held
    return count, byte_count


@exact
def finish_words(state, words):  # type: ignore[no-untyped-def]
    """The last words, so few that a decoder can tell; room for two more than are held. Returns how many."""
    lower, width, held = state[LOWER], state[RANGE], state[HELD]
    point = lower + (_SETTLED - uint64(1))
    count = _release(state, held, point < lower, words, 0) if held else 0
    words[count] = uint32(point >> _WORD)
    count += 1
    if (lower + width) >> _WORD == point >> _WORD:
        words[count] = uint32(0)
        count += 1
    return count


@exact
def _release(state, held, carried, words, count):  # type: ignore[no-untyped-def]
    """Writes the words that were held; returns how many there are then."""
    words[count] = uint32(state[FIRST_HELD] + (uint64(1) if carried else uint64(0)))
    rest = uint32(0) if carried else uint32(0xFFFFFFFF)
    for number in range(1, int64(held)):
        words[count + number] = rest
    return count + int64(held)


@exact
def _write_excess(value, largest, escapes, count):  # type: ignore[no-untyped-def]
    size = abs(value)
    code = 2 * (size - largest - 1) + (1 if value < 0 else 0)
    while code >= 0x80:
        escapes[count] = uint8((code & 0x7F) | 0x80)
        count += 1
        code >>= 7
    escapes[count] = uint8(code)
    return count + 1
