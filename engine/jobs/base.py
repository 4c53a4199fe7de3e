"""What all jobs share: to and from plain dictionaries, strictly.

Modules of `jobs` are frozen dataclasses of plain values and nothing else. They are written for Python 3.9 because
QGIS' Python imports them, and use `typing.Optional` and the like because the annotations are read at run time.
"""

from __future__ import annotations

import dataclasses
import difflib
import functools
import json
import typing
from typing import Any, ClassVar, Dict, Tuple, Type, TypeVar, Union

from ..errors import InvalidJob

_KINDS: Dict[str, Type[Job]] = {}
T = TypeVar('T')


@dataclasses.dataclass(frozen=True)
class Job:
    """Base of all jobs.

    Class attributes:
        kind: the job's name on the wire, in files and in the registry.
    """

    kind: ClassVar[str] = ''

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if cls.kind:
            _KINDS[cls.kind] = cls

    @property
    def tensorflow(self) -> bool:
        """Whether the job needs TensorFlow; without it QGIS' own Python can do the work."""
        return False

    def inputs(self) -> Tuple[str, ...]:
        """Paths of what the job reads: files, folders, or anything else that GDAL opens."""
        return ()

    def outputs(self) -> Dict[str, str]:
        """Paths of the outputs by parameter name; those that are not asked for are empty."""
        return {}

    def to_dict(self) -> Dict[str, Any]:
        """As plain values for JSON, with the kind under ``job``."""
        return {'job': self.kind, **dataclasses.asdict(self)}


class TensorFlowJob(Job):
    """Base of the jobs that always need TensorFlow."""

    @property
    def tensorflow(self) -> bool:
        return True


def job_from_dict(data: Any) -> Job:
    """The job that `Job.to_dict` wrote. Unknown, missing or ill-typed fields raise `InvalidJob`."""
    if not isinstance(data, dict) or data.get('job') not in _KINDS:
        kind = data.get('job') if isinstance(data, dict) else data
        raise InvalidJob(f'Unknown job {kind!r}; known are {", ".join(sorted(_KINDS))}.')
    return from_dict(_KINDS[data['job']], {key: value for key, value in data.items() if key != 'job'})


def from_dict(cls: Type[T], data: Any, where: str = '') -> T:
    """A dataclass from plain values, checked field by field. `where` prefixes names in error messages."""
    if not isinstance(data, dict):
        raise InvalidJob(f'{where or cls.__name__}: expected an object with fields, found {data!r}.')
    hints = _hints(cls)  # type: ignore[arg-type]
    fields = {field.name: field for field in dataclasses.fields(cls) if field.init}  # type: ignore[arg-type]
    for key in data:
        if key not in fields:
            near = difflib.get_close_matches(str(key), fields, 1)
            hint = f'; did you mean {near[0]!r}?' if near else f'; known are {", ".join(fields)}.'
            raise InvalidJob(f'{where}{key}: unknown field of {cls.__name__}{hint}')
    values = {key: _convert(hints[key], value, f'{where}{key}') for key, value in data.items()}
    for name, field in fields.items():
        required = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        if required and name not in values:
            raise InvalidJob(f'{where}{name}: missing from {cls.__name__}.')
    return cls(**values)


@functools.cache
def _hints(cls: Any) -> Dict[str, Any]:
    """The types of a dataclass' fields, which take long to find out."""
    return typing.get_type_hints(cls)


def _convert(hint: Any, value: Any, where: str) -> Any:
    """`value` as `hint` asks, or `InvalidJob`."""
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if hint is Any:
        return value
    if origin is Union:
        if value is None and type(None) in args:
            return None
        return _convert(next(arg for arg in args if arg is not type(None)), value, where)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise InvalidJob(f'{where}: expected a list, found {value!r}.')
        if len(args) == 2 and args[1] is Ellipsis:
            return tuple(_convert(args[0], item, f'{where}[{i}]') for i, item in enumerate(value))
        if len(value) != len(args):
            raise InvalidJob(f'{where}: expected {len(args)} values, found {len(value)}.')
        return tuple(_convert(arg, item, f'{where}[{i}]') for i, (arg, item) in enumerate(zip(args, value)))
    if origin is dict:
        if not isinstance(value, dict):
            raise InvalidJob(f'{where}: expected an object, found {value!r}.')
        return {str(key): _convert(args[1], item, f'{where}.{key}') for key, item in value.items()}
    if dataclasses.is_dataclass(hint):
        return value if isinstance(value, hint) else from_dict(hint, value, where + '.')  # type: ignore[arg-type]
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise InvalidJob(f'{where}: expected {hint.__name__}, found {value!r}.')
    return value


def dumps(job: Job) -> str:
    """The job as readable JSON."""
    return json.dumps(job.to_dict(), indent=1, ensure_ascii=False)
