"""Every switch of the simulator, with its default."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

Answered = Literal["fault", "ignore"]
Rotation = Literal["same-within-24h", "always", "grace", "strict"]


class Poison(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """A row that fails every page which would contain it."""

    entity: str
    id: str
    realm: str = ""


class Settings(msgspec.Struct, forbid_unknown_fields=True):
    """The switches; all may be changed while the server runs.

    Lists of entities hold names (`"Invoice"`) or, for one company only, `"realm/Invoice"`.
    """

    latency_ms: float = 0.0
    ms_per_row: float = 0.0
    token_latency_ms: float = 0.0
    requests_per_minute: int | None = None
    requests_per_second: int | None = None
    concurrent_requests: int | None = None
    batches_per_minute: int | None = None
    retry_after: int | None = None
    rotation: Rotation = "same-within-24h"
    access_token_seconds: int = 3600
    shuffle_ties: bool = False
    gzip: bool = False
    poison: list[Poison] = []
    oversize_rows: int | None = None
    visibility_delay_seconds: float = 0.0
    suspended_realms: list[str] = []
    revoked_realms: list[str] = []
    entities_off: list[str] = []
    no_time_filter: list[str] = []
    no_count: list[str] = []
    refuse_batch: bool = False
    cdc_objects: int = 1000
    cdc_days: int = 30
    cdc_exclusive: bool = False
    cdc_unsupported: Answered = "fault"
    cdc_too_old: Answered = "fault"
    cdc_off: list[str] = []
    cdc_faults: list[str] = []
    cdc_per_entity: bool = False
    cdc_shuffled: bool = False
    cdc_omits_empty: bool = False
    cdc_single_object: bool = False
    batch_items: int = 30
    batch_objects: int | None = None
    batch_faults: list[str] = []
    batch_shuffled: bool = False

    def changed(self, switches: dict[str, Any]) -> Settings:
        """Return the settings with some switches changed.

        Raises:
            ValueError: A switch is unknown or has a value of the wrong kind.
        """
        try:
            return msgspec.convert({**msgspec.to_builtins(self), **switches}, Settings)
        except msgspec.ValidationError as error:
            raise ValueError(f"Settings: {error}.") from None

    def lists(self, names: list[str], realm: str, entity: str) -> bool:
        """Tell whether a list of entities holds one."""
        return entity in names or f"{realm}/{entity}" in names


LIMITS: dict[str, int] = {
    "requests_per_minute": 500,
    "requests_per_second": 10,
    "concurrent_requests": 10,
    "batches_per_minute": 40,
}
