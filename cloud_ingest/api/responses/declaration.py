"""What all answers share: pages of lists, problems, examples, and how a route declares them."""

from collections.abc import Callable
from typing import Any, Generic, NotRequired, TypeVar

from typing_extensions import TypedDict

ItemT = TypeVar("ItemT")
ShapeT = TypeVar("ShapeT", bound=type)

_MEANING = {
    400: "Not possible as asked",
    404: "There is no such thing",
    409: "Not possible in its present state",
    422: "The request is not valid",
    429: "Too soon after the last one",
    503: "Something that is needed does not answer",
}


EXAMPLES: dict[str, dict[str, Any]] = {}
"""Examples of answers, by the name of their shape."""


def example(**fields: Any) -> Callable[[ShapeT], ShapeT]:
    """Put an example beside a shape, for the description of the API."""

    def keep(shape: ShapeT) -> ShapeT:
        EXAMPLES[shape.__name__] = fields
        return shape

    return keep


class Page(TypedDict, Generic[ItemT]):
    """A page of a list. ``next`` is the cursor of the following page, null on the last."""

    items: list[ItemT]
    next: str | None


class Texts(TypedDict):
    """The same in both languages."""

    vi: str
    en: str


class WrongField(TypedDict):
    """A field of a request that is not valid, and why."""

    field: str
    message: str


@example(type="about:blank", title="No such station", status=404, detail="There is no station 'x'.")
class ProblemDocument(TypedDict):
    """Problem details (RFC 9457): what went wrong, in words."""

    type: str
    title: str
    status: int
    detail: str
    errors: NotRequired[list[WrongField]]


def declare_response(
    shape: Any, *problems: int, files: dict[str, str] | None = None
) -> dict[str, Any]:
    """What a route declares: the ``shape`` of its answer and the problems it may have.

    ``files``: media type -> what it holds, where the route can also answer with a file. Answers are
    not checked when they are sent.
    """
    found: dict[int | str, dict[str, Any]] = {
        status: {"model": ProblemDocument, "description": _MEANING[status]} for status in problems
    }
    if files:
        binary = {"type": "string", "format": "binary"}
        found[200] = {
            "content": {kind: {"schema": binary | {"description": what}} for kind, what in files.items()}
        }  # fmt: skip
    return {"response_model": shape, "responses": found}
