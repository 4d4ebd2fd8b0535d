import json
from collections.abc import Iterator
from typing import Any

from drf_spectacular.generators import SchemaGenerator

from postfuze.api import schema
from postfuze.tests import stubs


def generate() -> Any:
    return SchemaGenerator(patterns=stubs.urlpatterns).get_schema(request=None, public=True)


def test_the_document_is_public_and_openapi_3_1(client: Any) -> None:
    schema.document.cache_clear()
    response = client.get("/api/v1/openapi.json")
    assert response["Content-Type"] == "application/json"
    document = response.json()
    assert document["openapi"].startswith("3.1")
    assert document["components"]["schemas"]["Problem"]
    assert all(path.startswith("/api/v1/") for path in document["paths"])


def test_every_operation_declares_every_problem() -> None:
    operations = [operation for path in generate()["paths"].values() for operation in path.values()]
    assert len(operations) > 4
    for operation in operations:
        assert {"400", "401", "403", "404", "405", "406", "409", "413", "415", "422", "429", "500", "503"} <= set(
            operation["responses"]
        )


def test_bodies_are_declared_as_strict_as_they_are() -> None:
    document = generate()
    schemas = document["components"]["schemas"]
    assert schemas["ThingRequest"]["additionalProperties"] is False
    assert schemas["TargetRequest"]["additionalProperties"] is False
    assert "additionalProperties" not in schemas["Problem"]


def test_a_time_goes_out_as_text_and_comes_in_as_text_or_number() -> None:
    schemas = generate()["components"]["schemas"]
    assert schemas["Thing"]["properties"]["at"] == {"type": "string", "format": "date-time"}
    assert [kind["type"] for kind in schemas["ThingRequest"]["properties"]["at"]["oneOf"]] == ["string", "number"]


def choices(node: Any) -> Iterator[list[Any]]:
    """Every `oneOf` within a document."""
    if isinstance(node, dict):
        yield from ([node["oneOf"]] if isinstance(node.get("oneOf"), list) else [])
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from choices(value)


def test_no_choice_takes_what_another_one_is_there_for() -> None:
    found = list(choices(json.loads(schema.document())))
    assert found and {} not in [choice for each in found for choice in each]  # which null fits, too: two are not one


def test_what_an_account_lacks_is_declared_null_or_an_object() -> None:
    properties = json.loads(schema.document())["components"]["schemas"]["AccountMetrics"]["properties"]
    assert properties["metrics"]["type"] == properties["raw"]["type"] == ["object", "null"]
