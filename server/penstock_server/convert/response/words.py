"""Words of the Responses API for the enums of our messages."""

from collections.abc import Mapping

from penstock.v1 import response_pb2

TRUNCATIONS: Mapping[response_pb2.Truncation.ValueType, str] = {
    response_pb2.TRUNCATION_DISABLED: "disabled",
    response_pb2.TRUNCATION_AUTO: "auto",
}
VERBOSITIES: Mapping[response_pb2.TextVerbosity.ValueType, str] = {
    response_pb2.TEXT_VERBOSITY_LOW: "low",
    response_pb2.TEXT_VERBOSITY_MEDIUM: "medium",
    response_pb2.TEXT_VERBOSITY_HIGH: "high",
}
SUMMARIES: Mapping[response_pb2.ReasoningSummary.ValueType, str] = {
    response_pb2.REASONING_SUMMARY_AUTO: "auto",
    response_pb2.REASONING_SUMMARY_CONCISE: "concise",
    response_pb2.REASONING_SUMMARY_DETAILED: "detailed",
}
