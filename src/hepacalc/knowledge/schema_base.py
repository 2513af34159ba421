"""Parts that every file's schema uses: strict models, probabilities, words, sources, and problems told by field."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from hepacalc.errors import KnowledgeError

__all__ = [
    "Identifier",
    "Problem",
    "Share",
    "SourceRefs",
    "Status",
    "Strict",
    "Words",
    "parse",
    "raise_problems",
]

TOLERANCE = 1e-6
"""By how much shares may miss 1."""

_Model = TypeVar("_Model", bound=BaseModel)


class Problem(NamedTuple):
    """One fault of the knowledge base: the file, the field in it (dotted), and what is wrong."""

    file: str
    field: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}: {self.field}: {self.text}" if self.field else f"{self.file}: {self.text}"


class Strict(BaseModel):
    """A model that takes nothing it does not know and converts nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _each_once(value: list[str]) -> list[str]:
    if len(set(value)) < len(value):
        raise ValueError("the same source stands twice")
    return value


Identifier = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_]*$")]
Share = Annotated[float, Field(ge=0, le=1)]
Status = Literal["read", "unchecked", "recalled", "judgement"]
SourceRefs = Annotated[
    list[Annotated[str, Field(min_length=1)]],
    Field(min_length=1),
    BeforeValidator(_as_list),
    AfterValidator(_each_once),
]
"""One source id, or a list of them."""


class Words(Strict):
    """The same words in English and Chinese."""

    en: str = Field(min_length=1)
    zh: str = Field(min_length=1)


def parse(model: type[_Model], data: Any, file: str) -> tuple[_Model | None, list[Problem]]:
    """Return the model that ``data`` fits, or what keeps it from fitting, named by file and field."""
    try:
        return model.model_validate(data), []
    except ValidationError as fault:
        return None, [Problem(file, _field(error["loc"]), _text(error)) for error in fault.errors()]


def _field(place: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in place if not str(part).startswith("function-"))


def _text(error: Any) -> str:
    if error["type"] == "extra_forbidden":
        return "unknown key"
    if error["type"] == "missing":
        return "missing"
    said = str(error["msg"]).removeprefix("Value error, ")
    found = error.get("input")
    return f"{said}, found {found!r}" if isinstance(found, str | int | float) else said


def raise_problems(problems: list[Problem], kind: type[KnowledgeError] = KnowledgeError) -> None:
    """Raise an error that tells the first problems, when there are any."""
    if problems:
        told = "; ".join(str(problem) for problem in problems[:3])
        more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise kind(f"{told}{more}.", hint="Correct the file; `hepacalc knowledge check` lists every fault.")
