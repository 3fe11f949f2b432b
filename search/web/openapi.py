"""Let FastAPI read msgspec's types, and describe them in its OpenAPI document."""

from __future__ import annotations

from typing import Any, get_args, get_type_hints

import msgspec
from fastapi import APIRouter, FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import PydanticCustomError, core_schema

from search.errors import SearchError
from search.retrieval.request import read_request
from search.web.failures import NOT_JSON, ErrorAnswer

__all__ = ["AsStruct", "openapi"]

_REF = "#/components/schemas/{name}"


class AsStruct:
    """Marks a type of msgspec: `Annotated[SearchRequest, AsStruct()]` is a body or an answer that FastAPI knows."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """Return the schema with which pydantic validates a request's body."""

        def read(value: Any) -> Any:
            if isinstance(value, bytes):
                raise PydanticCustomError(NOT_JSON, "send JSON, with the header `Content-Type: application/json`")
            try:
                return read_request(value, source)
            except SearchError as error:
                raise PydanticCustomError("request", "{message}", {"message": str(error)}) from error

        return core_schema.no_info_plain_validator_function(read, metadata={"source": source})

    def __get_pydantic_json_schema__(self, schema: Any, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return a reference to the schema that `openapi` adds to the document."""
        (described,), _ = msgspec.json.schema_components([schema["metadata"]["source"]], ref_template=_REF)
        return described


def openapi(app: FastAPI, router: APIRouter) -> dict[str, Any]:
    """Return the OpenAPI document with the schemas of msgspec's types that the routes of a router name, made once."""
    if app.openapi_schema is None:
        document = get_openapi(title=app.title, version=app.version, description=app.description, routes=app.routes)
        kinds: list[Any] = [ErrorAnswer]
        for route in router.routes:
            if isinstance(route, APIRoute):
                hints = get_type_hints(route.endpoint, include_extras=True).values()
                kinds += [get_args(hint)[0] for hint in (*hints, route.response_model) if _is_marked(hint)]
        _, components = msgspec.json.schema_components(kinds, ref_template=_REF)
        # A MeSH term may be given as its name alone.
        mesh = components["Filters"]["properties"]["mesh"]
        mesh["items"] = {"anyOf": [mesh["items"], {"type": "string"}]}
        document.setdefault("components", {}).setdefault("schemas", {}).update(components)
        document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{}, {"token": []}]
        app.openapi_schema = document
    return app.openapi_schema


def _is_marked(hint: Any) -> bool:
    return any(isinstance(mark, AsStruct) for mark in getattr(hint, "__metadata__", ()))
