from __future__ import annotations

import dataclasses

import pytest

from backend.guard import Call, Policy, judge, local_hosts

POLICY = Policy(hosts=local_hosts(8000), origins=frozenset({"peft-studio://app"}), token="right")
GOOD = Call(method="GET", path="/api/training/list", host="127.0.0.1:8000", origin=None, authorization="Bearer right")


def verdict(policy: Policy = POLICY, **changes: object) -> str | None:
    refused = judge(policy, dataclasses.replace(GOOD, **changes))  # type: ignore[arg-type]
    return refused.code if refused else None


def test_a_call_with_the_token_passes() -> None:
    assert verdict() is None


@pytest.mark.parametrize("host", ["localhost:8000", "127.0.0.1:8000"])
def test_both_names_of_this_machine_pass(host: str) -> None:
    assert verdict(host=host) is None


@pytest.mark.parametrize(
    "host", [None, "", "localhost", "127.0.0.1", "localhost:8001", "evil.example:8000", "LOCALHOST:8000", "[::1]:8000"]
)
def test_any_other_host_is_refused(host: str | None) -> None:
    assert verdict(host=host) == "host-not-allowed"


def test_the_apps_own_pages_pass() -> None:
    assert verdict(origin="peft-studio://app") is None


@pytest.mark.parametrize(
    "origin", ["null", "", "https://evil.example", "http://localhost:8000", "peft-studio://app.evil"]
)
def test_pages_of_any_other_origin_are_refused(origin: str) -> None:
    assert verdict(origin=origin) == "origin-not-allowed"


def test_a_foreign_page_is_refused_even_with_the_token_switched_off() -> None:
    assert verdict(dataclasses.replace(POLICY, token=None), origin="https://evil.example") == "origin-not-allowed"


def test_a_call_without_a_token_is_refused() -> None:
    assert verdict(authorization=None) == "token-missing"


@pytest.mark.parametrize(
    "given", ["Bearer wrong", "Bearer", "Bearer rightright", "Basic right", "right", "Bearer ünright"]
)
def test_a_call_with_another_token_is_refused(given: str) -> None:
    assert verdict(authorization=given) == "token-wrong"


def test_health_and_preflights_need_no_token() -> None:
    assert verdict(path="/api/health", authorization=None) is None
    assert verdict(method="OPTIONS", authorization=None) is None


@pytest.mark.parametrize("path", ["/api/health/", "/api/healthy", "/api/health/../training/list"])
def test_what_only_looks_like_health_needs_the_token(path: str) -> None:
    assert verdict(path=path, authorization=None) == "token-missing"
