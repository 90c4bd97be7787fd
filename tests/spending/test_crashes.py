"""Buyers that crash anywhere: a budget is never exceeded, and what a crash left is known."""

from __future__ import annotations

import shutil
import tempfile
from decimal import Decimal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from airflow_provider_faceswap.exceptions import BudgetExceededError
from airflow_provider_faceswap.foundation.clock import CLOCK
from airflow_provider_faceswap.spending import account as accounts
from airflow_provider_faceswap.spending.book import Book, Stage
from tests.conftest import DrivenClock
from tests.sizes import SIZES
from tests.spending.test_account import TASK, account_at

pytestmark = pytest.mark.slow

CAP = 20
#: What a process does to the storage.
OPERATIONS = ("put", "remove", "standing", "fold")


class CrashError(BaseException):
    """The process is gone."""


class Crashing:
    """Stops the process before or after one of its next operations."""

    def __init__(self, patch):
        self.left = None
        for name in OPERATIONS:
            patch.setattr(Book, name, self.watched(getattr(Book, name)))

    def watched(self, operation):
        def watching(*args):
            self.step()
            result = operation(*args)
            self.step()
            return result

        return watching

    def step(self):
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = None
                raise CrashError


class Buyers(RuleBasedStateMachine):
    """Tasks that reserve, buy and settle, each with a crash somewhere, or without one; crashed ones come again."""

    @initialize()
    def begin(self):
        self.patch = pytest.MonkeyPatch()
        self.source, CLOCK.source = CLOCK.source, DrivenClock()
        self.patch.setattr(accounts, "FOLD_AT", 3)
        self.folder = tempfile.mkdtemp()
        self.crashing = Crashing(self.patch)
        self.account = account_at(f"file://{self.folder}", CAP)
        #: The vendor's own book: what it charged, by task.
        self.charged = {}
        #: Tasks that were admitted and have bought, and what they reserved.
        self.running = {}
        self.number = 0

    def teardown(self):
        if hasattr(self, "patch"):
            self.patch.undo()
            CLOCK.source = self.source
            shutil.rmtree(self.folder, ignore_errors=True)

    def attempt(self, crash, work):
        """Do some work, with a crash in it; whether it came to its end."""
        self.crashing.left = crash
        try:
            work()
        except CrashError:
            return False
        finally:
            self.crashing.left = None
        return True

    def buy(self, key, price, crash):
        def work():
            self.account.reserve(key, Decimal(price), TASK)
            self.running[key] = price  # the purchase itself
            self.account.bought(key, None, TASK)

        try:
            return self.attempt(crash, work) or key in self.running
        except BudgetExceededError:
            return True

    @rule(price=st.integers(1, 8), crash=st.none() | st.integers(0, 12))
    def a_task_buys(self, price, crash):
        key = f"task-{self.number}"
        self.number += 1
        if not self.buy(key, price, crash):
            # A retry takes up what the crashed attempt reserved; the record says that nothing was bought.
            self.buy(key, price, None)

    @rule(data=st.data(), crash=st.none() | st.integers(0, 20), free=st.booleans())
    def a_job_ends(self, data, crash, free):
        if not self.running:
            return
        key = data.draw(st.sampled_from(sorted(self.running)))
        price = 0 if free else self.running[key]
        work = lambda: self.account.settle(key, Decimal(price), TASK)  # noqa: E731
        if not self.attempt(crash, work):
            self.attempt(None, work)
        del self.running[key]
        self.charged[key] = price

    @invariant()
    def what_was_bought_is_never_over_the_cap(self):
        if hasattr(self, "account"):
            assert sum(self.charged.values()) + sum(self.running.values()) <= CAP

    @invariant()
    def what_is_spent_is_what_was_charged(self):
        if hasattr(self, "account"):
            standing = self.account.book.standing()
            assert standing.sum_of(Stage.SPENT) == sum(self.charged.values())
            assert standing.sum_of(Stage.RESERVED, Stage.BOUGHT) == sum(self.running.values())


Buyers.TestCase.settings = settings(
    max_examples=SIZES.lives // 10, stateful_step_count=25, deadline=None, derandomize=True
)
TestBuyers = Buyers.TestCase
