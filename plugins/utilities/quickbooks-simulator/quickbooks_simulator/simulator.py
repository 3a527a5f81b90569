"""The state of the whole server: companies, connections, switches, rules, log and meters."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from quickbooks_simulator.clock import Clock
from quickbooks_simulator.company import Company
from quickbooks_simulator.edits import apply_edit
from quickbooks_simulator.limits import Limiter
from quickbooks_simulator.requestlog import Meters, RequestLog
from quickbooks_simulator.rules import Rules
from quickbooks_simulator.settings import Settings
from quickbooks_simulator.tokens import Tokens

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from quickbooks_simulator.company import CompanySpec
    from quickbooks_simulator.datadir import DataDir
    from quickbooks_simulator.rules import Edit

CLIENT_ID = "simulator-client"
CLIENT_SECRET = "simulator-secret"  # noqa: S105 - opens nothing but this simulator
REFRESH_TOKEN = "simulator-refresh-token"  # noqa: S105


class Simulator:
    """Everything the endpoints share. One event loop, so nothing here is locked."""

    def __init__(
        self,
        companies: Sequence[CompanySpec],
        *,
        settings: Settings | None = None,
        grants: Mapping[str, Sequence[str]] | None = None,
        data: DataDir | None = None,
    ) -> None:
        self.settings = settings or Settings()
        self.companies = {spec.realm_id: Company(spec) for spec in companies}
        self.client_id, self.client_secret = CLIENT_ID, CLIENT_SECRET
        self.data = data
        if data:
            data.check(companies)
        self.clock = Clock(data.clock_offset() if data else 0.0)
        self.rules, self.log = Rules(), RequestLog()
        self.meters, self.limiter = Meters(), Limiter()
        self.turn = asyncio.Lock()
        kept = data.tokens() if data else None
        self.tokens = kept or Tokens()
        if not kept:
            everything = {REFRESH_TOKEN: list(self.companies)}
            for token, realms in (grants or everything).items():
                self.tokens.connect(realms, self.clock.now(), token)
        if data:
            data.replay(self.companies)
            self.save_tokens()

    def save_tokens(self) -> None:
        """Write the connections to the data directory, if there is one."""
        if self.data:
            specs = [company.spec for company in self.companies.values()]
            self.data.save(self.tokens, specs, self.clock.offset)

    def refresh_token(self) -> str:
        """Return the valid refresh token of the oldest living connection."""
        living = (chain for chain in self.tokens.chains if not chain.revoked)
        return next((chain.refresh_token for chain in living), "")

    def configure(self, switches: dict[str, Any]) -> None:
        """Change switches.

        Raises:
            ValueError: One is unknown.
        """
        self.settings = self.settings.changed(switches)

    def edit(self, realm: str, edits: Sequence[Edit]) -> list[list[str]]:
        """Edit the data of a company as another user would; return the ids of each edit.

        Raises:
            ValueError: The company or a row is unknown.
        """
        touched = []
        for edit in edits:
            company = self.companies.get(edit.realm or realm)
            if company is None:
                raise ValueError(f"There is no company {edit.realm or realm}.")
            touched.append(apply_edit(company, edit, self.clock, self.visible_at()))
        return touched

    def visible_at(self) -> float:
        """Return from when on queries see a change made now; 0 means at once."""
        delay = self.settings.visibility_delay_seconds
        return self.clock.now() + delay if delay else 0.0

    def advance(self, seconds: float) -> None:
        """Move the server's clock."""
        self.clock.offset += seconds
        self.save_tokens()
