"""A look at the account before something is bought."""

from __future__ import annotations

import httpx
import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_faceswap.exceptions import (
    AuthenticationError,
    InsufficientBalanceError,
    InvalidRequestError,
    MalformedResponseError,
    VendorUnavailableError,
)
from airflow_provider_faceswap.hooks.gptunnel import GPTunnelHook
from airflow_provider_faceswap.operators.balance import BalanceCheckOperator

ROUBLES = {"orgId": "o1", "object": "balance", "balance": 30.5, "creditLimit": 0}
POINTS = {
    "name": "n",
    "equivalent_in_usd": 4.2,
    "wallet": {"point_remain": 42_000_000},
    "credit_pack_info": {"available_credits": 7},
}


def check(vendor="gptunnel", **more):
    return BalanceCheckOperator(
        **{"task_id": "enough", "conn_id": f"{vendor}_default", "at_least": 20, **more}
    )


def test_an_account_that_can_pay_lets_the_dag_go_on_and_tells_what_it_has(vendor):
    vendor.will(ROUBLES)
    assert check().execute({}) == {
        "vendor": "gptunnel",
        "conn_id": "gptunnel_default",
        "amount": 30.5,
        "credit": 0.0,
        "available": 30.5,
        "unit": "RUB",
    }
    assert [request.method for request in vendor.requests] == ["GET"], "nothing is bought"


def test_exactly_enough_is_enough(vendor):
    vendor.will(ROUBLES)
    assert check(at_least=30.5).execute({})["available"] == 30.5


BLOCKED = httpx.Response(403, text=" <html>Attention required</html>")


def test_a_page_of_a_firewall_is_read_over(vendor):
    vendor.will(BLOCKED, ROUBLES)
    assert check().execute({})["amount"] == 30.5


@pytest.mark.parametrize("name", ["gptunnel", "piapi"])
def test_a_page_of_a_firewall_that_stays_says_nothing_about_the_key(vendor, name):
    vendor.will(*[BLOCKED] * 9)
    with pytest.raises(VendorUnavailableError, match="a page instead of this vendor's API"):
        check(name).execute({})


def test_an_account_that_cannot_pay_fails_the_task_at_once(vendor):
    vendor.will(ROUBLES)
    with pytest.raises(InsufficientBalanceError) as raised:
        check(at_least=31).execute({})
    assert str(raised.value) == (
        "gptunnel: the account has 30.5 RUB, but 31 RUB are needed. "
        "Nothing new was bought. Top up the account, then clear the task."
    )


def test_or_skips_it(vendor):
    vendor.will(ROUBLES)
    with pytest.raises(AirflowSkipException, match=r"30\.5 RUB, but 31 RUB"):
        check(at_least=31, on_short="skip").execute({})


@pytest.mark.parametrize(("balance", "limit", "enough"), [(-51.5, 15000, True), (-14990, 15000, False)])
def test_credit_counts_as_money(vendor, balance, limit, enough):
    vendor.will({**ROUBLES, "balance": balance, "creditLimit": limit})
    if enough:
        assert check().execute({})["available"] == limit + balance
    else:
        with pytest.raises(InsufficientBalanceError, match="of credit"):
            check().execute({})


def test_a_budget_may_be_a_template(vendor):
    vendor.will(ROUBLES)
    assert "at_least" in BalanceCheckOperator.template_fields
    assert check(at_least="20.0").execute({})["available"] == 30.5


@pytest.mark.parametrize("budget", ["much", None, float("nan"), True])
def test_a_budget_that_is_no_number_is_said_before_anything_is_asked(vendor, budget):
    with pytest.raises(InvalidRequestError, match="at_least"):
        check(at_least=budget).execute({})
    assert not vendor.requests


def test_what_to_do_when_short_is_one_of_two_words():
    with pytest.raises(InvalidRequestError, match="on_short"):
        check(on_short="wait")


@pytest.mark.parametrize(
    ("unit", "available"), [(None, 4.2), ("USD", 4.2), ("point", 42_000_000), ("credit", 7)]
)
def test_piapi_tells_dollars_points_and_credits(vendor, unit, available):
    vendor.will({"code": 200, "data": POINTS})
    told = check("piapi", at_least=1, unit=unit).execute({})
    assert (told["available"], told["unit"]) == (available, unit or "USD")


def test_piapi_may_leave_some_of_them_out(vendor):
    vendor.will({"code": 200, "data": {"wallet": {"point_remain": "5"}, "credit_pack_info": None}})
    assert check("piapi", at_least=1, unit="point").execute({})["available"] == 5


@pytest.mark.parametrize(
    "data",
    [{"credit_pack_info": {"available_credits": 2500}}, {"wallet": {"point_remain": 42_000_000}}],
    ids=["credits", "points"],
)
@pytest.mark.parametrize("on_short", ["fail", "skip"])
@pytest.mark.parametrize("unit", [None, ""])
def test_a_check_without_a_unit_is_in_dollars_at_piapi_or_says_that_they_are_not_told(
    vendor, data, on_short, unit
):
    vendor.will({"code": 200, "data": {"name": "n", **data}})
    with pytest.raises(
        InvalidRequestError, match=r"balance in USD is not in the reply, which has \d+ \w+"
    ) as raised:
        check("piapi", at_least=100, on_short=on_short, unit=unit).execute({})
    assert "set unit" in str(raised.value)


def test_piapi_may_tell_its_dollars_in_the_quota(vendor):
    vendor.will({"code": 200, "data": {"name": "n", "quota": {"equivalent_in_usd": 3.2}}})
    told = check("piapi", at_least=3).execute({})
    assert (told["available"], told["unit"]) == (3.2, "USD")


def test_a_unit_that_is_not_told_is_named_with_those_that_are(vendor):
    vendor.will({"code": 200, "data": POINTS})
    with pytest.raises(InvalidRequestError, match="'EUR' is not available; available: USD, point, credit"):
        check("piapi", unit="EUR").execute({})


def test_tengrai_tells_no_balance_and_is_not_asked(vendor):
    with pytest.raises(InvalidRequestError, match="does not report a balance"):
        check("tengrai").execute({})
    assert not vendor.requests


@pytest.mark.parametrize("extra", [{"use_wallet_balance": True}, {"use_wallet_balance": "true"}])
def test_the_wallet_is_asked_where_the_wallet_pays(vendor, connections, extra):
    connections("https://vendor.test", **extra)
    vendor.will(ROUBLES)
    check().execute({})
    assert dict(vendor.requests[0].url.params) == {"useWalletBalance": "true"}


@pytest.mark.parametrize("extra", [{}, {"use_wallet_balance": False}, {"use_wallet_balance": "false"}])
def test_else_the_organisation_is_asked(vendor, connections, extra):
    connections("https://vendor.test", **extra)
    vendor.will(ROUBLES)
    check().execute({})
    assert not vendor.requests[0].url.params


@pytest.mark.parametrize(
    ("which", "answer", "error"),
    [
        ("gptunnel", httpx.Response(401, json={"error": {"message": "no"}}), AuthenticationError),
        ("piapi", httpx.Response(401, json={"message": "no"}), AuthenticationError),
    ],
)
def test_a_wrong_key_is_a_wrong_key(vendor, which, answer, error):
    vendor.will(answer)
    with pytest.raises(error):
        check(which).execute({})


@pytest.mark.parametrize(
    ("which", "answer"),
    [
        ("gptunnel", {"object": "balance"}),
        ("gptunnel", {"balance": "much"}),
        ("piapi", {"code": 200, "data": {}}),
        ("piapi", {"code": 200, "data": []}),
    ],
)
def test_an_answer_without_a_balance_is_no_balance_of_nothing(vendor, which, answer):
    vendor.will(*[answer] * 3)
    with pytest.raises(MalformedResponseError):
        check(which).execute({})


def test_a_hook_tells_it_in_a_task_function_too(vendor):
    vendor.will({**ROUBLES, "creditLimit": 100})
    with GPTunnelHook() as hook:
        [balance] = hook.balances()
    assert str(balance) == "30.5 RUB and 100 RUB of credit"
