"""The campaign of the golden event is one that the platform would publish."""

from __future__ import annotations

from services.contracts import campaign, golden
from services.contracts.catalogue import EVENTS, RPCS


def test_the_golden_campaign_obeys_the_campaign_schema() -> None:
    document = golden.event(EVENTS["inspection.campaign_published.v1"])["data"]["campaign"]
    assert campaign.validate(document) == document, "the event carries it with its defaults"


def test_what_is_published_by_rpc_is_what_the_event_carries() -> None:
    ordered = golden.call(RPCS["inspection.publish_campaign"])["params"]["campaign"]
    published = golden.event(EVENTS["inspection.campaign_published.v1"])["data"]["campaign"]
    assert campaign.validate(ordered) == published


def test_the_golden_visit_answers_items_of_the_golden_campaign() -> None:
    items = {
        item["id"]: item
        for item in golden.event(EVENTS["inspection.campaign_published.v1"])["data"]["campaign"]["items"]
    }
    visit = golden.event(EVENTS["inspection.visit_recorded.v1"])["data"]
    assert {answer["item"] for answer in visit["answers"]} == items.keys()
    for found in visit["findings"]:
        assert {key: found[key] for key in ("name", "clause", "axis")} == {
            key: items[found["item"]][key] for key in ("name", "clause", "axis")
        }
