"""What responses share: pages, problems, examples, and the declaration of a route's response."""

from collections.abc import Callable
from typing import Any, Generic, NotRequired, TypeVar

from typing_extensions import TypedDict

ItemT = TypeVar("ItemT")
ModelT = TypeVar("ModelT", bound=type)

_MEANING = {
    400: "Not possible as requested",
    404: "Does not exist",
    409: "Not possible in its present state",
    422: "The request is not valid",
    429: "Too soon after the last one",
    503: "A required part does not answer",
}


EXAMPLES: dict[str, dict[str, Any]] = {}
"""Examples of responses, by the name of their type."""


def example(**fields: Any) -> Callable[[ModelT], ModelT]:
    """Add an example to a response type, for the documentation of the API."""

    def keep(model: ModelT) -> ModelT:
        EXAMPLES[model.__name__] = fields
        return model

    return keep


class Page(TypedDict, Generic[ItemT]):
    """A page of a list. ``next`` is the cursor of the next page, null on the last page."""

    items: list[ItemT]
    next: str | None


class Texts(TypedDict):
    """A text in both languages."""

    vi: str
    en: str


class WrongField(TypedDict):
    """A field of a request that is not valid, and why."""

    field: str
    message: str


@example(type="about:blank", title="No such station", status=404, detail="There is no station 'x'.")
class ProblemDocument(TypedDict):
    """Problem details (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    errors: NotRequired[list[WrongField]]


def declare_response(
    model: Any, *problems: int, files: dict[str, str] | None = None
) -> dict[str, Any]:
    """The arguments of a route for its response ``model`` and its possible problems.

    ``files``: media type -> description, if the route can also respond with a file. Responses are
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
    return {"response_model": model, "responses": found}
