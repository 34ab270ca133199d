"""What claims allow, and how a refusal is worded."""

from runbooks.access.actor import Actor
from runbooks.access.rules import Refused, missing_claims, refusal

API = Actor("carol", {"roles": ("api",), "team": ("db", "web")})


def test_one_accepted_value_of_each_claim_is_enough():
    assert missing_claims(API, {"roles": ("sre", "api"), "team": ("web",)}) == {}


def test_each_claim_is_needed():
    assert missing_claims(API, {"roles": ("api",), "team": ("ops",)}) == {"team": ("ops",)}


def test_a_claim_without_accepted_values_lets_nobody_in():
    assert missing_claims(API, {"roles": ()}) == {"roles": ()}


def test_a_refusal_names_what_is_needed_and_what_there_is():
    assert refusal(API, {"roles": ("sre", "admin")}) == "You need one of these roles: sre, admin. You have: api."
    assert refusal(Actor("dave"), {"team": ("ops",)}) == "You need one of these values of team: ops. You have: none."
    assert refusal(API, {"roles": ("api",)}) == ""


def test_refused_says_so():
    assert str(Refused(API, {"roles": ("sre",)})) == "You need one of these roles: sre. You have: api."
