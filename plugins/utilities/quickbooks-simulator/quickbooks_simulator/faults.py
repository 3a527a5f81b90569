"""Faults of the service in their recorded forms: JSON in two spellings and XML."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from quickbooks_simulator.jsontext import encode

if TYPE_CHECKING:
    from quickbooks_simulator.clock import Clock

JSON = "application/json;charset=UTF-8"
XML = "application/xml;charset=UTF-8"
HTML = "text/html"
TEXT = "text/plain;charset=UTF-8"
INACTIVE = (
    "Something you're trying to use has been made inactive. Check the fields with accounts,"
    " customers, items, vendors or employees."
)


class Answer(NamedTuple):
    """A whole HTTP answer."""

    status: int
    body: bytes
    content_type: str = JSON
    headers: tuple[tuple[str, str], ...] = ()
    rows: int = 0


class Kind(NamedTuple):
    """The `type` of a fault and the status it comes with."""

    type: str = "ValidationFault"
    status: int = 400


VALIDATION = Kind()


class Fault(Exception):  # noqa: N818 - the service's own word
    """A refusal in the normal form: `{"Fault": {"Error": [...], "type": ...}}`."""

    def __init__(
        self,
        code: str,
        message: str,
        detail: str,
        *,
        kind: Kind = VALIDATION,
        element: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.code, self.message, self.detail = code, message, detail
        self.kind, self.element = kind, element

    def body(self) -> dict[str, object]:
        """Return the value of `Fault`."""
        error = {"Message": self.message, "Detail": self.detail, "code": self.code}
        if self.element is not None:
            error["element"] = self.element
        return {"Error": [error], "type": self.kind.type}

    def answer(self, clock: Clock) -> Answer:
        """Return the fault as an answer of its own."""
        return Answer(
            self.kind.status, encode({"Fault": self.body(), "time": clock.envelope_time()})
        )


class AnswerError(Exception):
    """A refusal of the gateway: the answer is not in the normal form."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.status)
        self.answer = answer


def parse_fault(detail: str) -> Fault:
    """Return fault 4000."""
    return Fault("4000", "Error parsing query", detail)


def invalid_query(detail: str) -> Fault:
    """Return fault 4001."""
    return Fault("4001", "Invalid query", f"QueryValidationError: {detail}")


def processing_fault(detail: str) -> Fault:
    """Return fault 4002."""
    return Fault("4002", "Error processing query", f"QueryProcessingError: {detail}")


def system_failure(detail: str, *, status: int = 500) -> Fault:
    """Return fault 10000."""
    message = "An application error has occurred while processing your request"
    kind = Kind("SystemFault", status)
    return Fault("10000", message, f"System Failure Error: {detail}", kind=kind)


def not_found() -> Fault:
    """Return fault 610."""
    return Fault("610", "Object Not Found", f"Object Not Found : {INACTIVE}", element="")


def stale() -> Fault:
    """Return fault 5010."""
    detail = (
        "Stale Object Error : You and Jane Roe were working on this at the same time. Jane Roe"
        " finished before you did, so your work was not saved."
    )
    return Fault("5010", "Stale Object Error", detail, element="")


def missing(name: str) -> Fault:
    """Return fault 2020."""
    message = "Required param missing, need to supply the required value for the API"
    detail = f"Required parameter {name} is missing in the request"
    return Fault("2020", message, detail, element=name)


def duplicate_name() -> Fault:
    """Return fault 6240."""
    detail = (
        "The name supplied already exists. : Another customer, vendor or employee is already"
        " using this name. Please use a different name."
    )
    return Fault("6240", "Duplicate Name Exists Error", detail, element="")


def unsupported(operation: str) -> Fault:
    """Return fault 500."""
    return Fault("500", "Unsupported Operation", f"Operation {operation} is not supported.")


def not_available() -> Fault:
    """Return fault 5030."""
    detail = "Feature Not Supported : The feature is not supported for this company."
    return Fault("5030", "Feature Not Supported", detail, element="")


def company_status() -> Fault:
    """Return fault 6190."""
    detail = (
        "Invalid Company Status : Subscription period has ended or canceled or there was a"
        " billing problem."
    )
    kind = Kind(status=403)
    return Fault("6190", "Invalid Company Status", detail, kind=kind, element="")


class Refusal(NamedTuple):
    """What the gateway says when it refuses."""

    status: int
    code: str
    message: str
    detail: str | None = None
    type: str = "SERVICE"

    @property
    def text(self) -> str:
        """Return the message with code and status, as the gateway writes it."""
        number = self.code.zfill(6)
        return f"message={self.message}; errorCode={number}; statusCode={self.status}"


THROTTLE = Refusal(
    429, "3001", "ThrottleExceeded", "The request limit was reached.  Try again later"
)


def gateway_json(clock: Clock, refusal: Refusal) -> Answer:
    """Return the gateway's JSON: lower-case keys, explicit nulls, epoch milliseconds."""
    error = {
        "message": refusal.text,
        "detail": refusal.detail,
        "code": refusal.code,
        "element": None,
    }
    body: dict[str, object] = {
        "warnings": None,
        "intuitObject": None,
        "fault": {"error": [error], "type": refusal.type},
        "report": None,
        "queryResponse": None,
        "batchItemResponse": [],
        "attachableResponse": [],
        "syncErrorResponse": None,
        "requestId": None,
        "time": int(clock.now() * 1000),
        "status": None,
        "cdcresponse": [],
    }
    return Answer(refusal.status, encode(body))


def gateway_xml(clock: Clock, refusal: Refusal, message: str = "") -> Answer:
    """Return the gateway's XML, which comes whatever `Accept` said."""
    detail = f"            <Detail>{refusal.detail}</Detail>\n" if refusal.detail else ""
    text = (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
        f'<IntuitResponse time="{clock.envelope_time()}"'
        ' xmlns="http://schema.intuit.com/finance/v3">\n'
        f'    <Fault type="{refusal.type}">\n        <Error code="{refusal.code}">\n'
        f"            <Message>{message or refusal.text}</Message>\n{detail}"
        "        </Error>\n    </Fault>\n</IntuitResponse>\n"
    )
    return Answer(refusal.status, text.encode(), XML)


def throttled(clock: Clock) -> Answer:
    """Return the 429 that the limits answer."""
    return gateway_xml(clock, THROTTLE)


def gateway_timeout(clock: Clock) -> Answer:
    """Return the 504 of a page that took too long."""
    return gateway_xml(clock, Refusal(504, "6002", "GatewayTimeout"))


def authentication_failed(clock: Clock, detail: str) -> Answer:
    """Return the 401 of an expired or garbled token."""
    refusal = Refusal(401, "3200", "AuthenticationFailed", detail, "AUTHENTICATION")
    return gateway_json(clock, refusal)


def authorization_failed(clock: Clock) -> Answer:
    """Return the 403 of a token that another company gave."""
    return gateway_json(clock, Refusal(403, "3100", "ApplicationAuthorizationFailed"))


def general_authentication_error(clock: Clock) -> Answer:
    """Return the 401 in XML."""
    detail = "AuthenticationErrorGeneral: SRV-110-Authentication Failure , statusCode: 401"
    refusal = Refusal(401, "100", "", detail, "AuthenticationFault")
    return gateway_xml(clock, refusal, "General Authentication Error")
