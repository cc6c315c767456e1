"""Eight neighbouring numbers at once, for loops too short for the compiler to make vectors of them by itself.

These are functions for code that numba compiles. Arrays are flat, of one floating type, and must hold LANES numbers
from the given places on.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

LANES = 8

_generated: Any = intrinsic  # numba calls what this decorates with types; compiled code calls it with values


@_generated
def add_lanes(typing_context, target, to, source, at):  # type: ignore[no-untyped-def]
    """target[to : to + LANES] += source[at : at + LANES]"""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        target, to, source, at = arguments
        read = _vector(context, builder, signature.args[2], source, at)
        _add(builder, _vector(context, builder, signature.args[0], target, to), _load(builder, read))
        return context.get_dummy_value()

    return types.none(target, to, source, at), generate


@_generated
def add_some_lanes(typing_context, target, to, source, at, count):  # type: ignore[no-untyped-def]
    """target[to : to + count] += source[at : at + count], for a count below LANES."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        target, to, source, at, count = arguments
        value = _load(builder, _vector(context, builder, signature.args[2], source, at))
        numbers = ir.VectorType(count.type, LANES)
        inside = builder.icmp_unsigned("<", ir.Constant(numbers, list(range(LANES))), _spread(builder, count))
        value = builder.select(inside, value, ir.Constant(value.type, [0.0] * LANES))
        _add(builder, _vector(context, builder, signature.args[0], target, to), value)
        return context.get_dummy_value()

    return types.none(target, to, source, at, count), generate


@_generated
def add_scaled_lanes(typing_context, target, to, weights, source, places):  # type: ignore[no-untyped-def]
    """target[to : to + LANES] += the sum of weights[n] * source[places[n] : places[n] + LANES]

    Two tuples of one length; weights are of the arrays' type. Where several terms go to one place, taking them together
    spares the wait for what was just stored there.
    """

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        target, to, weights, source, places = arguments
        total = None
        for number in range(signature.args[2].count):
            place = builder.extract_value(places, number)
            value = _load(builder, _vector(context, builder, signature.args[3], source, place))
            weight = _spread(builder, builder.extract_value(weights, number))
            value = builder.fmul(value, weight, flags=("contract",))
            total = value if total is None else builder.fadd(value, total, flags=("contract",))
        _add(builder, _vector(context, builder, signature.args[0], target, to), total)
        return context.get_dummy_value()

    return types.none(target, to, weights, source, places), generate


@_generated
def fill_lanes(typing_context, target, to, value):  # type: ignore[no-untyped-def]
    """target[to : to + LANES] = value, which is of the array's type."""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        target, to, value = arguments
        place = _vector(context, builder, signature.args[0], target, to)
        builder.store(_spread(builder, value), place, align=1)
        return context.get_dummy_value()

    return types.none(target, to, value), generate


@_generated
def copy_lanes(typing_context, target, to, source, at):  # type: ignore[no-untyped-def]
    """target[to : to + LANES] = source[at : at + LANES]"""

    def generate(context, builder, signature, arguments):  # type: ignore[no-untyped-def]
        target, to, source, at = arguments
        value = _load(builder, _vector(context, builder, signature.args[2], source, at))
        builder.store(value, _vector(context, builder, signature.args[0], target, to), align=1)
        return context.get_dummy_value()

    return types.none(target, to, source, at), generate


def _vector(context: Any, builder: Any, array_type: Any, array: Any, index: Any) -> Any:
    """The place of LANES numbers of a flat array, from ``index`` on."""
    place = builder.gep(context.make_array(array_type)(context, builder, array).data, [index])
    return builder.bitcast(place, ir.VectorType(place.type.pointee, LANES).as_pointer())


def _load(builder: Any, place: Any) -> Any:
    return builder.load(place, align=1)


def _add(builder: Any, place: Any, value: Any) -> None:
    builder.store(builder.fadd(_load(builder, place), value, flags=("contract",)), place, align=1)


def _spread(builder: Any, value: Any) -> Any:
    """A vector that has ``value`` in all lanes."""
    vector = builder.insert_element(
        ir.Constant(ir.VectorType(value.type, LANES), ir.Undefined), value, ir.Constant(ir.IntType(32), 0)
    )
    zeros = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(vector, vector, zeros)
