"""What goes wrong with a frame, in words that every version has.

A version spells the codes its own way (`versions`); 1.6 for one says FormationViolation and
OccurenceConstraintViolation.
"""

from enum import StrEnum


class ErrorCode(StrEnum):
    """The error codes of OCPP-J (1.6 section 4.2.3, 2.0.1 part 4 section 4.3).

    Of those for what is no proper message, RPC_FRAMEWORK is about the frame and FORMAT_VIOLATION
    about the JSON in it.
    """

    NOT_IMPLEMENTED = "NotImplemented"
    NOT_SUPPORTED = "NotSupported"
    INTERNAL_ERROR = "InternalError"
    PROTOCOL_ERROR = "ProtocolError"
    SECURITY_ERROR = "SecurityError"
    FORMAT_VIOLATION = "FormatViolation"
    PROPERTY_CONSTRAINT = "PropertyConstraintViolation"
    OCCURRENCE_CONSTRAINT = "OccurrenceConstraintViolation"
    TYPE_CONSTRAINT = "TypeConstraintViolation"
    GENERIC_ERROR = "GenericError"
    # 1.6 has neither.
    RPC_FRAMEWORK = "RpcFrameworkError"
    MESSAGE_TYPE = "MessageTypeNotSupported"


class RpcError(Exception):
    """A CALL that is answered with a CALLERROR."""

    def __init__(self, code: ErrorCode, description: str) -> None:
        self.code = code
        self.description = description
        super().__init__(f"{code}: {description}")


class IntakeUnavailable(Exception):
    """The database cannot take anything now; the station is told InternalError and comes again."""
