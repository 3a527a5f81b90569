"""The faults that a rule may name, each with its answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from quickbooks_simulator.faults import (
    HTML,
    INACTIVE,
    THROTTLE,
    Answer,
    Fault,
    Kind,
    authentication_failed,
    authorization_failed,
    company_status,
    duplicate_name,
    gateway_json,
    gateway_timeout,
    general_authentication_error,
    invalid_query,
    not_available,
    not_found,
    parse_fault,
    processing_fault,
    stale,
    system_failure,
    throttled,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from quickbooks_simulator.clock import Clock

BAD_GATEWAY = b"""<html>
<head><title>502 Bad Gateway</title></head>
<body>
<center><h1>502 Bad Gateway</h1></center>
<hr><center>nginx</center>
</body>
</html>
"""
UNAVAILABLE = b"""<html>
<head><title>503 Service Temporarily Unavailable</title></head>
<body>
<center><h1>503 Service Temporarily Unavailable</h1></center>
</body>
</html>
"""


def _normal(make: Callable[[], Fault]) -> Callable[[Clock], Answer]:
    return lambda clock: make().answer(clock)


NAMED: dict[str, Callable[[Clock], Answer]] = {
    "throttle_xml": throttled,
    "throttle_json": lambda clock: gateway_json(clock, THROTTLE),
    "bad_gateway_html": lambda _: Answer(502, BAD_GATEWAY, HTML),
    "service_unavailable_html": lambda _: Answer(503, UNAVAILABLE, HTML),
    "gateway_timeout_xml": gateway_timeout,
    "system_failure_10000": _normal(
        lambda: system_failure("Could not find resource for relative : some more info here")
    ),
    "bad_row_10000": _normal(lambda: system_failure(INACTIVE, status=400)),
    "fault_in_200": _normal(
        lambda: system_failure("java.lang.UnsupportedOperationException", status=200)
    ),
    "token_expired": lambda clock: authentication_failed(clock, "Token expired: 0000"),
    "malformed_token": lambda clock: authentication_failed(
        clock, "Malformed bearer token: too short or too long"
    ),
    "general_auth_error_xml": general_authentication_error,
    "authorization_failed_3100": authorization_failed,
    "company_status_6190": _normal(company_status),
    "not_supported_5030": _normal(not_available),
    "property_not_found_4001": _normal(
        lambda: invalid_query("Property NoSuchField not found for Entity Purchase")
    ),
    "not_queryable_4001": _normal(lambda: invalid_query("property 'PrivateNote' is not queryable")),
    "parse_error_4000": _normal(
        lambda: parse_fault('QueryParserError: Encountered "<EOF>" at line 1, column 1.')
    ),
    "processing_error_4002": _normal(lambda: processing_fault("The query failed.")),
    "stale_object_5010": _normal(stale),
    "object_not_found_610": _normal(not_found),
    "duplicate_name_6240": _normal(duplicate_name),
    "permission_denied_5020": _normal(
        lambda: Fault("5020", "Permission Denied", "Permission Denied Error", kind=Kind(status=403))
    ),
    "invalid_grant": lambda _: Answer(400, b'{"error":"invalid_grant"}'),
    "invalid_client": lambda _: Answer(401, b'{"error":"invalid_client"}'),
}
