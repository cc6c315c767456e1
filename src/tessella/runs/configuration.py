"""Typed configurations: listing their fields, changing them by name, and saving them.

A configuration is a frozen dataclass. Where it holds a class to be built later it holds a ``functools.partial``
of it; what the partial binds and the class's keyword-only parameters are fields too, under a dotted name
(``network.backbone.depth``). Positional parameters (``num_classes``, ``root``) are what the builder passes. So a
constructor's own signature is its configuration, checked by the type checker where the recipe is written.
"""

import dataclasses
import difflib
import importlib
import inspect
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, get_args, get_origin, get_type_hints

from tessella import datasets
from tessella.errors import InputError
from tessella.runs.user_code import is_of_this_process

Config = TypeVar("Config")


class Field(NamedTuple):
    """One value that can be changed: its dotted name, its type, its value, and a line of help."""

    name: str
    type: Any
    value: Any
    help: str


def fields(config: Any, prefix: str = "") -> Iterator[Field]:
    """All fields of a configuration, those of nested configurations and partials included.

    Where it holds None for a nested one, the fields are those that it would have, all None.
    """
    help_of = _help(_owner(config))
    for name, (hint, value) in _parameters(config).items():
        if _is_nested(value):
            if _may_be_empty(hint):
                yield Field(prefix + name, hint, value, help_of.get(name, ""))
            yield from fields(value, f"{prefix}{name}.")
        else:
            yield Field(prefix + name, hint, value, help_of.get(name, ""))
            if value is None and (absent := _absent(hint)) is not None:
                yield from (inner._replace(value=None) for inner in fields(absent, f"{prefix}{name}."))


def override(config: Config, changes: Mapping[str, Any]) -> Config:
    """A copy of ``config`` with the fields that ``changes`` names by their dotted names.

    Raises:
        InputError: there is no such field; the message names the nearest one.
    """
    check_names(config, changes)
    for name, value in changes.items():
        config = _with(config, name.split("."), value)
    return config


def check_names(config: Any, names: Sequence[str] | Mapping[str, Any]) -> None:
    """Raise InputError for the first name that is no field of ``config``, with the nearest one that is."""
    known = [field.name for field in fields(config)]
    for name in names:
        if name not in known:
            # A user may remember the last part of a name, or mistype any of it.
            near = [other for other in known if other.endswith(f".{name}")]
            near = near or difflib.get_close_matches(name, known, n=1, cutoff=0.4)
            hint = f"did you mean {near[0]}?" if near else f"its fields are {', '.join(known)}"
            raise InputError(f"there is no field {name}: {hint}")


def require_least(config: Any, least: Mapping[str, int]) -> None:
    """Raises InputError for a field of less than so much, or of no finite value."""
    for name, value in least.items():
        if not value <= getattr(config, name) < math.inf:
            raise InputError(f"{name} is {getattr(config, name)}: give at least {value}")


def parse(name: str, text: str, hint: Any) -> Any:
    """The value that ``text`` means for a field of type ``hint``; ``4x3``, ``4,3`` and ``[4, 3]`` are the same.

    Raises:
        InputError: the text is no value of that type.
    """
    from jsonargparse import ArgumentParser  # takes a tenth of a second to import

    if text.lower() == "none" and type(None) in get_args(hint):
        return None
    if _may_be_empty(hint) and (found := getattr(datasets, text, None)):
        return found
    if hint is not str and re.fullmatch(r"[-+.\de]+([x,][-+.\de]+)+", text):
        text = f"[{text.replace('x', ',')}]"
    parser = ArgumentParser(exit_on_error=False)
    parser.add_argument("--value", type=hint)
    try:
        value = parser.parse_args([f"--value={text}"]).value
        return partial(value) if inspect.isfunction(value) else value  # as what holds it when it is saved
    except Exception as error:  # jsonargparse raises its own kinds
        wanted = hint.__name__ if inspect.isclass(hint) else str(hint).replace("typing.", "")
        raise InputError(f"{name}: {text!r} is not of type {wanted}") from error


def to_json(config: Any) -> Any:
    """The configuration as plain values for a JSON file, every default written out."""
    if _is_nested(config):
        values = {name: to_json(value) for name, (_, value) in _parameters(config).items()}
        return {"call": _call(config), "with": values}
    if isinstance(config, (list, tuple)):
        return [to_json(item) for item in config]
    return str(config) if isinstance(config, Path) else config


def restored(recipe: Config, saved: Any, trusted: Sequence[str] = ("tessella",)) -> Config:
    """The recipe with all values of a run of it, which ``to_json`` wrote.

    trusted: as of ``from_json``; what the recipe itself builds needs no trust.

    Raises:
        InputError: the run has a field that the recipe has not, or names a class outside the trusted packages.
    """
    own, values = _parameters(recipe), {}
    if dataclasses.is_dataclass(recipe):
        check_names(recipe, [name for name in saved["with"] if name not in own])
    for name, value in saved["with"].items():
        nested = own[name][1] if name in own else None
        same = _is_nested(nested) and isinstance(value, dict) and value.get("call") == _call(nested)
        values[name] = restored(nested, value, trusted) if same else from_json(value, trusted)
    return _replaced(recipe, values)


def from_json(data: Any, trusted: Sequence[str] = ("tessella",)) -> Any:
    """The configuration that ``to_json`` wrote.

    trusted: the packages whose classes may be named in it, and, but for our own, functions that they define. A
    configuration may come with a foreign checkpoint: it builds nothing else.

    Raises:
        InputError: it names a class outside the trusted packages, or one that does not exist.
    """
    if isinstance(data, list):
        return tuple(from_json(item, trusted) for item in data)
    if not (isinstance(data, dict) and set(data) == {"call", "with"}):
        return data
    module, _, name = str(data["call"]).partition(":")
    if module.split(".")[0] not in trusted:
        raise InputError(
            f"the configuration names {data['call']}, which is not part of {', '.join(trusted)}: if you trust it, "
            f"say so with --trust {module.split('.')[0]}"
        )
    try:
        if is_of_this_process(module):
            raise ImportError(f"No module named {module!r}")  # where the run is read
        target: Any = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise InputError(
            f"the configuration names {data['call']}, which does not exist here ({error})"
        ) from error
    # A package that the user trusts may give functions too. Ours write and remove files, others' that it imports may.
    is_function = inspect.isfunction(target) and target.__module__ == module
    is_class = inspect.isclass(target) and target.__module__.split(".")[0] in trusted
    if not is_class and (not is_function or module.split(".")[0] == "tessella"):
        raise InputError(
            f"the configuration names {data['call']}, which is not a class of {', '.join(trusted)}"
        )
    values = {key: from_json(value, trusted) for key, value in data["with"].items()}
    built = partial(target, **values)
    return built() if dataclasses.is_dataclass(target) else built


def _is_nested(value: Any) -> bool:
    return isinstance(value, (partial, type)) or dataclasses.is_dataclass(value)


def _may_be_empty(hint: Any) -> bool:
    """Of a field that is None, or else builds something."""
    return Callable in [get_origin(kind) for kind in get_args(hint)]


def _absent(hint: Any) -> Any:
    """The default of the nested configuration that a field of type ``X | None`` may hold; None if X has no default."""
    for kind in get_args(hint):
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            parameters = inspect.signature(kind).parameters.values()
            if all(parameter.default is not parameter.empty for parameter in parameters):
                return kind()
    return None


def _owner(config: Any) -> Any:
    """The class that a configuration is of, or that a partial (or the class itself, as one of nothing) builds."""
    if isinstance(config, partial):
        return config.func
    return config if isinstance(config, type) else type(config)


def _call(config: Any) -> str:
    owner = _owner(config)
    return f"{owner.__module__}:{owner.__qualname__}"


def _parameters(config: Any) -> dict[str, tuple[Any, Any]]:
    """Name to (type, value) of the fields that a configuration or partial has itself."""
    owner = _owner(config)
    if not isinstance(config, (partial, type)):
        hints = get_type_hints(owner)
        return {f.name: (hints[f.name], getattr(config, f.name)) for f in dataclasses.fields(config)}
    hints = get_type_hints(owner.__init__)
    bound = config.keywords if isinstance(config, partial) else {}
    return {
        name: (hints.get(name, Any), bound.get(name, parameter.default))
        for name, parameter in inspect.signature(owner).parameters.items()
        if name in bound or parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def _with(config: Any, path: list[str], value: Any) -> Any:
    name, *rest = path
    if rest:
        hint, nested = _parameters(config)[name]
        value = _with(_absent(hint) if nested is None else nested, rest, value)
    return _replaced(config, {name: value})


def _replaced(config: Any, values: dict[str, Any]) -> Any:
    if isinstance(config, (partial, type)):
        return partial(config, **values)
    return dataclasses.replace(config, **values)


def _help(owner: Any) -> dict[str, str]:
    """The lines "name: text" of a docstring."""
    pattern = re.compile(r"^\s*((?:\w+, )*\w+): (.*)$", re.MULTILINE)
    return {name: text for names, text in pattern.findall(owner.__doc__ or "") for name in names.split(", ")}
