"""The list of models, and one of them."""

from __future__ import annotations

import openai
import pytest
from support.configuration import MOCK_MODELS


def test_aliases_and_providers_models_are_listed(client):
    models = {model.id: model for model in client.models.list()}
    assert {"smart", "spread"} <= models.keys()
    assert {f"mock/{name}" for name in MOCK_MODELS} <= models.keys()
    assert all(model.object == "model" and model.owned_by for model in models.values())


# The SDK sends a slash in a name percent-encoded.
@pytest.mark.parametrize("name", ["mock/instant", "smart", "sim/fast"])
def test_one_model_is_found_by_its_name(client, name):
    assert client.models.retrieve(name).id == name


@pytest.mark.parametrize("name", ["no-such-alias", "no-such-provider/model"])
def test_an_unknown_model_is_not_found(client, name):
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve(name)


def test_a_restricted_key_sees_its_own_models_alone(keyed_front):
    with keyed_front.client(api_key=keyed_front.restricted_key) as client:
        assert [model.id for model in client.models.list()] == ["mock/instant"]
