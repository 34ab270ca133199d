"""Whose address a run, a session and a guessed password are counted for."""

import pytest
from django.test import override_settings

from runbookweb.client import ClientRouter, client_of
from runbookweb.readers import networks

PROXIES = ("10.0.0.0/8", "::1/128")


def test_who_comes_without_a_proxy_is_the_client():
    assert client_of("192.0.2.7", ["203.0.113.9"], trusted=PROXIES) == "192.0.2.7"


def test_a_trusted_proxy_names_the_client():
    assert client_of("10.0.0.1", ["203.0.113.9"], trusted=PROXIES) == "203.0.113.9"


def test_what_a_client_writes_before_its_own_address_is_not_believed():
    assert client_of("10.0.0.1", ["127.0.0.1, 203.0.113.9"], trusted=PROXIES) == "203.0.113.9"


def test_proxies_behind_each_other_are_passed_through():
    assert client_of("::1", ["198.51.100.4, 203.0.113.9", "10.2.3.4"], trusted=PROXIES) == "203.0.113.9"


@pytest.mark.parametrize("forwarded", [[], [""], ["unknown"], ["203.0.113.9, "], ["<script>"]])
def test_a_header_without_an_address_leaves_the_proxy(forwarded):
    assert client_of("10.0.0.1", forwarded, trusted=PROXIES) == "10.0.0.1"


@pytest.mark.parametrize("peer", ["", "/run/socket", "nowhere"])
def test_a_peer_without_an_address_is_left_as_it_is(peer):
    assert client_of(peer, ["203.0.113.9"], trusted=PROXIES) == peer


async def test_pages_and_streams_are_told_of_the_client():
    told = []

    async def application(scope, receive, send):
        told.append(scope["client"])

    router = ClientRouter({"http": application})
    scope = {"type": "http", "client": ["10.0.0.1", 4711], "headers": [(b"x-forwarded-for", b"203.0.113.9")]}
    with override_settings(TRUSTED_PROXIES=PROXIES):
        await router(scope, None, None)
    with override_settings(TRUSTED_PROXIES=()):
        await router(scope, None, None)
    assert told == [["203.0.113.9", 4711], ["10.0.0.1", 4711]]


def test_proxies_are_addresses_or_networks():
    assert networks("10.0.0.7, 192.168.1.0/24, ::1") == ("10.0.0.7/32", "192.168.1.0/24", "::1/128")
    with pytest.raises(ValueError, match="which is neither an address nor a network"):
        networks("10.0.0.300")
