// Package penstock.v1 is the gRPC API of Penstock, a service in front of vLLM. It has one service
// per capability, and each RPC becomes one OpenAI-compatible HTTP request to an upstream server.
// This comment describes everything that the RPCs have in common. Other comments name errors by
// their status code and reason, such as INVALID_ARGUMENT INVALID_REQUEST; see "Errors".
//
// # Presence
//
// An unset `optional` field is omitted from the upstream request, so the default of the model or of
// vLLM applies; 0, false and "" are sent as they are. A string, number or enum that is not
// `optional` is omitted if it is empty, zero or UNSPECIFIED. The defaults in the comments are those
// of vLLM; the generation settings of a model take precedence over them.
//
// In responses, an unset `optional` or message field means that the upstream reported no value.
// Enums in responses may grow: treat an unknown number like the `_OTHER` value, or like UNSPECIFIED
// if the enum has none. If the upstream reports a word that has no enum value, the response
// contains it as text, in the field that the comment of `_OTHER` names or otherwise in `extra`.
// Ignore unknown members of a oneof.
//
// Token ids and token counts are int32, and ids are never negative. Times are Timestamp and
// Duration. Sizes are in bytes.
//
// # Models
//
// Requests that need a model have a `model` field for a name listed by ModelService. If it is
// empty, the server uses its default model, if one is configured and supports the operation;
// otherwise it uses the only model that supports the operation and that the caller may use.
// INVALID_ARGUMENT INVALID_REQUEST if there are several. NOT_FOUND MODEL_NOT_FOUND if no upstream
// serves the name. PERMISSION_DENIED MODEL_FORBIDDEN if the caller may not use the name, whether
// it is served or not; ListModels omits such models.
//
// # Unsupported fields
//
// Several operations share option messages (SamplingParams, EngineOptions, TemplateOptions, ...).
// INVALID_ARGUMENT INVALID_REQUEST, with the name of the field, if a field is set that the
// operation does not support. Fields are never silently dropped.
//
// There is one exception: `stream_options` control how messages are delivered, not what the
// response contains. Unary RPCs accept and ignore them, so callers can send the same request to
// both RPCs.
//
// Fields that this version of the API does not define, such as those of a newer client, are
// ignored, because protobuf offers no alternative.
//
// # Escape hatches
//
// JSON of arbitrary form is always a JsonDocument.
//
// `extra_body` (requests): a JSON object whose keys are merged into the top level of the upstream
// JSON, for upstream parameters that have no field yet. INVALID_ARGUMENT CONFLICTING_FIELDS if a
// field or the choice of RPC covers the key (`temperature`, `stream`, ...). INVALID_ARGUMENT
// INVALID_REQUEST, with a hint at the successor, if the key is one that vLLM used to support and
// would now ignore (`guided_json`, `best_of`, ...).
//
// `extra` (responses): a JSON object with the upstream keys that are not null and have no field,
// and with values that do not fit their field if the response is complete without them (`created`,
// token counts). Unset if there are none. In a stream, it contains the keys that arrived with this
// message; a reader that merges messages keeps the last value of each key.
//
// A later minor release may add a field for a key. In that release, responses contain the value in
// both the field and `extra`, and requests may still set it in `extra_body`, but not in both
// places. From the next minor release on, only the field exists.
//
// # Field numbers
//
// Fields with the same meaning have the same number in related messages (the requests of all
// operations, a complete response and a message of its stream, a choice and its delta). A number
// that a message skips belongs to a field of a related message or is free; none has ever been used
// for anything else.
//
// # Request metadata
//
// All keys are optional. RESOURCE_EXHAUSTED if the metadata exceeds the server's limit, which is 16
// KiB by default; each entry counts as its key and value plus 32 bytes.
//
// - `authorization`: `Bearer <key>`. Depending on its configuration, the server checks the key,
//   forwards it to the upstream, or does not read it. If the server reads it, sending it twice is
//   an error.
// - `x-request-id`: name of the call in logs and traces. The server generates one if it is absent,
//   and returns it in the trailing metadata and, on an error, in `google.rpc.RequestInfo`. Each
//   upstream request has an id of its own that begins with this one, or with
//   EngineOptions.request_id if that is set. Callers may therefore share an id, and a search for it
//   finds every request.
// - `traceparent`, `tracestate`: W3C trace context, sent upstream unchanged. If there are several,
//   the last one is used.
// - `x-session-id`: see EngineOptions.session_id. If neither is set, `x-session-affinity` names the
//   session, or else `x-multi-turn-session-id`.
// - `x-vllm-priority`: see EngineOptions.priority, as a decimal integer. LOWER VALUES ARE SERVED
//   FIRST.
// - `x-data-parallel-rank`: see EngineOptions.data_parallel_rank, as a decimal integer.
// - `x-gateway-inference-objective`, `x-gateway-inference-fairness-id`: the priority class and the
//   tenant of the request, for an inference gateway; sent upstream unchanged.
// - `x-upload-bytes`: the size of the file that an upload sends, as a decimal integer.
//   RESOURCE_EXHAUSTED REQUEST_TOO_LARGE before the upload if the server does not accept that size.
// - `x-llm-model`: the `model` of the request, for proxies that route by headers. It does not
//   select the model.
//
// INVALID_ARGUMENT CONFLICTING_FIELDS if a key differs from its request field while both are set;
// this includes `x-llm-model` and `model`.
//
// # Response metadata
//
// Every call that the server ends has trailing metadata, whatever its status:
//
// - `x-request-id`: see above. Streams that send a message have it in the initial metadata as well.
// - `x-penstock-upstream`: name of the upstream that received the call's last request.
// - `x-penstock-attempts`: number of upstream requests made for the call. The response contains
//   nothing from the earlier ones.
//
// The last two are absent if no request was sent, and for ModelService, which queries all
// upstreams. AdminService, which has an address of its own, reports what the server knows about its
// upstreams.
//
// # Message size
//
// The server limits the size of a request message (RESOURCE_EXHAUSTED from the gRPC library itself
// if exceeded) and the number of fields and list elements in it (RESOURCE_EXHAUSTED
// REQUEST_TOO_LARGE if exceeded). Many gRPC clients accept at most 4 MiB in a response by default:
// raise the channel's receive limit for batches of embeddings, per-token vectors and logprobs.
//
// # Errors
//
// Every error that the server generates has a status code, a message of at most 1 KiB, and details
// (`google.rpc`, in `grpc-status-details-bin`) of at most 4 KiB in total:
//
// - `ErrorInfo`, always: `domain` is "penstock", and `reason` is one of those listed below.
//   `metadata` has, if known, `model`, `upstreamStatus` (HTTP), `upstreamType`, `upstreamParam`,
//   `upstreamCode` (from the upstream's error body), `stage` (connect, request, headers, body or
//   stream), `attempts`, `messagesSent`, and the keys named in the list below.
// - `RequestInfo`, always: `request_id`.
// - `BadRequest`, for errors in the request: `field_violations` with the path of the field in the
//   request message (`messages[2].content[0].image.url`), or the upstream's parameter name if it
//   corresponds to no field.
// - `ResourceInfo`, for NOT_FOUND: the resource that was not found.
// - `RetryInfo`, if a retry is safe and useful, or may succeed after some time: the delay before
//   the retry.
// - `QuotaFailure`, for RATE_LIMITED by the server itself: `subject` is `caller:` followed by the
//   name of the caller in the server's configuration, and `description` is the quota and what is
//   left of it. Too many failed logins have the subject `address:`.
// - `Help`, if the server runs with `--errors-url`: a link to the description of the reason.
// - `DebugInfo`, for GATEWAY_ERROR caused by a bug in the server, only if the server runs with
//   `--debug-info`: the exception, and as much of its stack as fits, innermost frame first.
//
// Base decisions on the code and the reason, never on the message. `RetryInfo` is accompanied by
// the trailers `grpc-retry-pushback-ms` (obeyed by gRPC retry policies) and `retry-after` (in
// seconds). A pushback of -1 stops the retries of gRPC itself, and `x-envoy-ratelimited` those of
// Envoy. Failures that may have cost a generation have both, so the caller decides whether to
// retry. The server does not use DATA_LOSS or ALREADY_EXISTS.
//
// INVALID_ARGUMENT (do not retry the request unchanged):
// - INVALID_REQUEST: the request is malformed or inconsistent. Detected before any upstream
//   request.
// - CONFLICTING_FIELDS: two parts of the request contradict or duplicate each other.
// - UPSTREAM_REJECTED: the upstream rejected the request as invalid (HTTP 400, 422).
// - CONTEXT_LENGTH_EXCEEDED: the prompt and the requested output exceed the model's context.
//   Metadata `maxModelLen` if the upstream reports it, and `promptTokens` if the upstream counted
//   them, or `promptTokensAtLeast` if it stopped counting at the limit.
// - MEDIA_FETCH_FAILED: the upstream could not fetch an image, audio or video from its URL.
// - UNSUPPORTED_MEDIA: the upstream does not support this kind of media (HTTP 415).
//
// UNAUTHENTICATED:
// - INVALID_CREDENTIALS: the server requires credentials, and the call has none, invalid ones or
//   several. Checked first for every call, even to a method that does not exist.
// - UPSTREAM_AUTH_FAILED: the server forwards the caller's credentials, and the upstream rejected
//   them or requires some (HTTP 401).
//
// PERMISSION_DENIED:
// - METHOD_FORBIDDEN: the caller may not call the method, which may or may not exist. Metadata
//   `method`.
// - MODEL_FORBIDDEN: the caller may not use the model, which may or may not exist. Metadata `model`.
// - UPSTREAM_AUTH_FAILED: the server forwards the caller's credentials, and they do not suffice for
//   the upstream (HTTP 403).
// - UPSTREAM_REJECTED: HTTP 451.
//
// NOT_FOUND:
// - MODEL_NOT_FOUND: no upstream serves the model.
// - RESPONSE_NOT_FOUND: no stored response has this id.
// - UPSTREAM_REJECTED: HTTP 410.
//
// FAILED_PRECONDITION:
// - UPSTREAM_REJECTED: HTTP 412, 424.
//
// OUT_OF_RANGE:
// - UPSTREAM_REJECTED: HTTP 416.
//
// ABORTED:
// - UPSTREAM_CONFLICT: HTTP 409.
//
// RESOURCE_EXHAUSTED:
// - REQUEST_TOO_LARGE: the request exceeds a size limit of the server or of the upstream (HTTP
//   413), or the response would exceed the message limit. Metadata `limitBytes`; if the request has
//   too many fields and elements, `limit` names the server's option. Pushback -1.
// - RATE_LIMITED: the caller has exhausted a quota: one of the server, with `QuotaFailure`,
//   `RetryInfo` and metadata `limit` and `left`, or one of the upstream (HTTP 429), with
//   `RetryInfo` if the upstream reports a delay.
// - UPSTREAM_REJECTED: HTTP 507.
//
// UNIMPLEMENTED:
// - UNSUPPORTED_OPERATION: the API has no such method or cannot do what was requested. The message
//   names the supported alternatives.
// - OPERATION_NOT_SUPPORTED: the loaded model does not support this operation; see
//   Model.capabilities. Metadata `path`: the missing upstream route.
//
// UNAVAILABLE (retry after the delay in `RetryInfo`, if there is one):
// - OVERLOADED: a queue or connection limit of the server is reached. Another replica may accept
//   the call.
// - DRAINING: the server is shutting down and did no work for this call.
// - UPSTREAM_SLEEPING: the engines of all upstreams that could serve the call are asleep.
// - UPSTREAM_CONNECT_FAILED: the server could not connect, or could not send the whole request.
// - UPSTREAM_CLOSED: the connection was lost after the request, before the complete response.
// - UPSTREAM_REQUEST_TIMEOUT: the upstream did not receive the request in time (HTTP 408).
// - UPSTREAM_UNAVAILABLE: HTTP 502, 503, 529.
// - ENGINE_DEAD: the model engine has died. Another replica may accept the call.
// - GENERATION_ABORTED: the upstream aborted the generation, for example because it is shutting
//   down.
// - STREAM_INTERRUPTED: a stream broke off after at least one message. Metadata `messagesSent`.
//   Pushback -1: no further messages follow those received, and a retry starts from the beginning.
//
// DEADLINE_EXCEEDED:
// - DEADLINE_EXCEEDED: the call exceeded its deadline, or one that the server sets for it. The
//   upstream's work is stopped.
// - UPSTREAM_TIMEOUT: a time limit of the server or of the upstream (HTTP 504) expired first.
//
// For a time limit of the server, metadata `limit` names its option.
//
// INTERNAL:
// - UPSTREAM_INTERNAL: HTTP 500. A retry may succeed, but costs a complete generation.
// - UPSTREAM_AUTH_FAILED: the upstream rejected the server's own credentials.
// - UPSTREAM_MALFORMED_RESPONSE: the upstream's response does not conform to its API. Metadata
//   `offset` if known.
// - UPSTREAM_UNEXPECTED_STATUS: any other HTTP 5xx.
// - GATEWAY_ERROR: an error in the server or its configuration.
//
// UNKNOWN:
// - UPSTREAM_UNEXPECTED_STATUS: any other HTTP 4xx.
//
// CANCELLED:
// - CANCELLED: the caller cancelled the call. The upstream's work is stopped.
//
// In a stream, an error before the first message has the same status as in the unary RPC. After the
// first message, `messagesSent` is set and the pushback is -1.

// @generated by protoc-gen-es v2.12.1 with parameter "target=js+dts,import_extension=js"
// @generated from file penstock/v1/common.proto (package penstock.v1, syntax proto3)
/* eslint-disable */

import { enumDesc, fileDesc, messageDesc, tsEnum } from "@bufbuild/protobuf/codegenv2";
import { file_google_protobuf_duration, file_google_protobuf_struct } from "@bufbuild/protobuf/wkt";

/**
 * Describes the file penstock/v1/common.proto.
 */
export const file_penstock_v1_common = /*@__PURE__*/
  fileDesc("ChhwZW5zdG9jay92MS9jb21tb24ucHJvdG8SC3BlbnN0b2NrLnYxIhcKCFRva2VuSWRzEgsKA2lkcxgBIAMoBSJVCgxKc29uRG9jdW1lbnQSDgoEanNvbhgBIAEoCUgAEikKBm9iamVjdBgCIAEoCzIXLmdvb2dsZS5wcm90b2J1Zi5TdHJ1Y3RIAEIKCghkb2N1bWVudCKDAgoFVXNhZ2USFQoNcHJvbXB0X3Rva2VucxgBIAEoBRIZChFjb21wbGV0aW9uX3Rva2VucxgCIAEoBRIUCgx0b3RhbF90b2tlbnMYAyABKAUSPwoVcHJvbXB0X3Rva2Vuc19kZXRhaWxzGAQgASgLMiAucGVuc3RvY2sudjEuUHJvbXB0VG9rZW5zRGV0YWlscxJHChljb21wbGV0aW9uX3Rva2Vuc19kZXRhaWxzGAUgASgLMiQucGVuc3RvY2sudjEuQ29tcGxldGlvblRva2Vuc0RldGFpbHMSKAoFZXh0cmEYZCABKAsyGS5wZW5zdG9jay52MS5Kc29uRG9jdW1lbnQiiwIKE1Byb21wdFRva2Vuc0RldGFpbHMSGgoNY2FjaGVkX3Rva2VucxgBIAEoBUgAiAEBEiEKFGNyZWF0ZWRfY2FjaGVfdG9rZW5zGAIgASgFSAGIAQESUQoRbXVsdGltb2RhbF90b2tlbnMYAyADKAsyNi5wZW5zdG9jay52MS5Qcm9tcHRUb2tlbnNEZXRhaWxzLk11bHRpbW9kYWxUb2tlbnNFbnRyeRo3ChVNdWx0aW1vZGFsVG9rZW5zRW50cnkSCwoDa2V5GAEgASgJEg0KBXZhbHVlGAIgASgFOgI4AUIQCg5fY2FjaGVkX3Rva2Vuc0IXChVfY3JlYXRlZF9jYWNoZV90b2tlbnMiTQoXQ29tcGxldGlvblRva2Vuc0RldGFpbHMSHQoQcmVhc29uaW5nX3Rva2VucxgBIAEoBUgAiAEBQhMKEV9yZWFzb25pbmdfdG9rZW5zIoEDCg5SZXF1ZXN0TWV0cmljcxI2ChN0aW1lX3RvX2ZpcnN0X3Rva2VuGAEgASgLMhkuZ29vZ2xlLnByb3RvYnVmLkR1cmF0aW9uEjIKD2dlbmVyYXRpb25fdGltZRgCIAEoCzIZLmdvb2dsZS5wcm90b2J1Zi5EdXJhdGlvbhItCgpxdWV1ZV90aW1lGAMgASgLMhkuZ29vZ2xlLnByb3RvYnVmLkR1cmF0aW9uEjsKGG1lYW5faW50ZXJfdG9rZW5fbGF0ZW5jeRgEIAEoCzIZLmdvb2dsZS5wcm90b2J1Zi5EdXJhdGlvbhIeChF0b2tlbnNfcGVyX3NlY29uZBgFIAEoAUgAiAEBEjcKFHNwZWN1bGF0aXZlX2RlY29kaW5nGAYgASgLMhkucGVuc3RvY2sudjEuSnNvbkRvY3VtZW50EigKBWV4dHJhGGQgASgLMhkucGVuc3RvY2sudjEuSnNvbkRvY3VtZW50QhQKEl90b2tlbnNfcGVyX3NlY29uZCJcChNSZXBldGl0aW9uRGV0ZWN0aW9uEhgKEG1heF9wYXR0ZXJuX3NpemUYASABKAUSGAoQbWluX3BhdHRlcm5fc2l6ZRgCIAEoBRIRCgltaW5fY291bnQYAyABKAUi+AkKDlNhbXBsaW5nUGFyYW1zEhgKC3RlbXBlcmF0dXJlGAEgASgBSACIAQESEgoFdG9wX3AYAiABKAFIAYgBARISCgV0b3BfaxgDIAEoBUgCiAEBEhIKBW1pbl9wGAQgASgBSAOIAQESHgoRZnJlcXVlbmN5X3BlbmFsdHkYBSABKAFIBIgBARIdChBwcmVzZW5jZV9wZW5hbHR5GAYgASgBSAWIAQESHwoScmVwZXRpdGlvbl9wZW5hbHR5GAcgASgBSAaIAQESGwoObGVuZ3RoX3BlbmFsdHkYCCABKAFIB4gBARIRCgRzZWVkGAkgASgDSAiIAQESFwoKbWF4X3Rva2VucxgKIAEoBUgJiAEBEhcKCm1pbl90b2tlbnMYCyABKAVICogBARIOCgFuGAwgASgFSAuIAQESHAoPdXNlX2JlYW1fc2VhcmNoGA0gASgISAyIAQESDAoEc3RvcBgOIAMoCRIWCg5zdG9wX3Rva2VuX2lkcxgPIAMoBRInChppbmNsdWRlX3N0b3Bfc3RyX2luX291dHB1dBgQIAEoCEgNiAEBEhcKCmlnbm9yZV9lb3MYESABKAhIDogBARI+Cgpsb2dpdF9iaWFzGBIgAygLMioucGVuc3RvY2sudjEuU2FtcGxpbmdQYXJhbXMuTG9naXRCaWFzRW50cnkSGQoRYWxsb3dlZF90b2tlbl9pZHMYEyADKAUSEQoJYmFkX3dvcmRzGBQgAygJEiAKE3NraXBfc3BlY2lhbF90b2tlbnMYFSABKAhID4gBARIqCh1zcGFjZXNfYmV0d2Vlbl9zcGVjaWFsX3Rva2VucxgWIAEoCEgQiAEBEiMKFnRydW5jYXRlX3Byb21wdF90b2tlbnMYFyABKAVIEYgBARI0Cg90cnVuY2F0aW9uX3NpZGUYGCABKA4yGy5wZW5zdG9jay52MS5UcnVuY2F0aW9uU2lkZRIiChV0aGlua2luZ190b2tlbl9idWRnZXQYGSABKAVIEogBARI+ChRyZXBldGl0aW9uX2RldGVjdGlvbhgaIAEoCzIgLnBlbnN0b2NrLnYxLlJlcGV0aXRpb25EZXRlY3Rpb24SGQoMd2F0ZXJtYXJraW5nGBsgASgISBOIAQEaMAoOTG9naXRCaWFzRW50cnkSCwoDa2V5GAEgASgFEg0KBXZhbHVlGAIgASgBOgI4AUIOCgxfdGVtcGVyYXR1cmVCCAoGX3RvcF9wQggKBl90b3Bfa0IICgZfbWluX3BCFAoSX2ZyZXF1ZW5jeV9wZW5hbHR5QhMKEV9wcmVzZW5jZV9wZW5hbHR5QhUKE19yZXBldGl0aW9uX3BlbmFsdHlCEQoPX2xlbmd0aF9wZW5hbHR5QgcKBV9zZWVkQg0KC19tYXhfdG9rZW5zQg0KC19taW5fdG9rZW5zQgQKAl9uQhIKEF91c2VfYmVhbV9zZWFyY2hCHQobX2luY2x1ZGVfc3RvcF9zdHJfaW5fb3V0cHV0Qg0KC19pZ25vcmVfZW9zQhYKFF9za2lwX3NwZWNpYWxfdG9rZW5zQiAKHl9zcGFjZXNfYmV0d2Vlbl9zcGVjaWFsX3Rva2Vuc0IZChdfdHJ1bmNhdGVfcHJvbXB0X3Rva2Vuc0IYChZfdGhpbmtpbmdfdG9rZW5fYnVkZ2V0Qg8KDV93YXRlcm1hcmtpbmciiQEKDkxvZ3Byb2JPcHRpb25zEhkKDHRvcF9sb2dwcm9icxgBIAEoBUgAiAEBEhEKCXRva2VuX2lkcxgCIAMoBRIgChN0b2tlbnNfYXNfdG9rZW5faWRzGAMgASgISAGIAQFCDwoNX3RvcF9sb2dwcm9ic0IWChRfdG9rZW5zX2FzX3Rva2VuX2lkcyLiAwoRU3RydWN0dXJlZE91dHB1dHMSMAoLanNvbl9zY2hlbWEYASABKAsyGS5wZW5zdG9jay52MS5Kc29uRG9jdW1lbnRIABI0Cgtqc29uX29iamVjdBgCIAEoCzIdLnBlbnN0b2NrLnYxLkpzb25PYmplY3RGb3JtYXRIABIPCgVyZWdleBgDIAEoCUgAEjgKBmNob2ljZRgEIAEoCzImLnBlbnN0b2NrLnYxLlN0cnVjdHVyZWRPdXRwdXRzLkNob2ljZXNIABIRCgdncmFtbWFyGAUgASgJSAASMwoOc3RydWN0dXJhbF90YWcYBiABKAsyGS5wZW5zdG9jay52MS5Kc29uRG9jdW1lbnRIABIjChZkaXNhYmxlX2FueV93aGl0ZXNwYWNlGAcgASgISAGIAQESKgodZGlzYWJsZV9hZGRpdGlvbmFsX3Byb3BlcnRpZXMYCCABKAhIAogBARIaChJ3aGl0ZXNwYWNlX3BhdHRlcm4YCSABKAkaGgoHQ2hvaWNlcxIPCgdjaG9pY2VzGAEgAygJQgwKCmNvbnN0cmFpbnRCGQoXX2Rpc2FibGVfYW55X3doaXRlc3BhY2VCIAoeX2Rpc2FibGVfYWRkaXRpb25hbF9wcm9wZXJ0aWVzIhIKEEpzb25PYmplY3RGb3JtYXQi7AQKDUVuZ2luZU9wdGlvbnMSFQoIcHJpb3JpdHkYASABKANIAIgBARISCgpjYWNoZV9zYWx0GAIgASgJEhIKCnNlc3Npb25faWQYAyABKAkSLQoKdmxsbV94YXJncxgEIAEoCzIZLnBlbnN0b2NrLnYxLkpzb25Eb2N1bWVudBI1ChJrdl90cmFuc2Zlcl9wYXJhbXMYBSABKAsyGS5wZW5zdG9jay52MS5Kc29uRG9jdW1lbnQSNQoSZWNfdHJhbnNmZXJfcGFyYW1zGAYgASgLMhkucGVuc3RvY2sudjEuSnNvbkRvY3VtZW50Eh0KEHJldHVybl90b2tlbl9pZHMYByABKAhIAYgBARIfChJyZXR1cm5fcHJvbXB0X3RleHQYCCABKAhIAogBARIjChZyZXR1cm5fd2VpZ2h0X3ZlcnNpb25zGAkgASgISAOIAQESHAoPcHJvbXB0X2xvZ3Byb2JzGAogASgFSASIAQESKAobcm91dGVkX2V4cGVydHNfcHJvbXB0X3N0YXJ0GAsgASgFSAWIAQESHwoSZGF0YV9wYXJhbGxlbF9yYW5rGAwgASgFSAaIAQESEgoKcmVxdWVzdF9pZBgNIAEoCUILCglfcHJpb3JpdHlCEwoRX3JldHVybl90b2tlbl9pZHNCFQoTX3JldHVybl9wcm9tcHRfdGV4dEIZChdfcmV0dXJuX3dlaWdodF92ZXJzaW9uc0ISChBfcHJvbXB0X2xvZ3Byb2JzQh4KHF9yb3V0ZWRfZXhwZXJ0c19wcm9tcHRfc3RhcnRCFQoTX2RhdGFfcGFyYWxsZWxfcmFuayJAChFXZWlnaHRWZXJzaW9uU3BhbhIPCgd2ZXJzaW9uGAEgASgJEg0KBXN0YXJ0GAIgASgFEgsKA2VuZBgDIAEoBSKqAQoTUHJvbXB0VG9rZW5Mb2dwcm9icxJECgpjYW5kaWRhdGVzGAEgAygLMjAucGVuc3RvY2sudjEuUHJvbXB0VG9rZW5Mb2dwcm9icy5DYW5kaWRhdGVzRW50cnkaTQoPQ2FuZGlkYXRlc0VudHJ5EgsKA2tleRgBIAEoBRIpCgV2YWx1ZRgCIAEoCzIaLnBlbnN0b2NrLnYxLlJhbmtlZExvZ3Byb2I6AjgBImoKDVJhbmtlZExvZ3Byb2ISDwoHbG9ncHJvYhgBIAEoARIRCgRyYW5rGAIgASgFSACIAQESGgoNZGVjb2RlZF90b2tlbhgDIAEoCUgBiAEBQgcKBV9yYW5rQhAKDl9kZWNvZGVkX3Rva2VuImwKDFRva2VuTG9ncHJvYhINCgV0b2tlbhgBIAEoCRIPCgdsb2dwcm9iGAIgASgBEg0KBWJ5dGVzGAMgASgMEi0KDHRvcF9sb2dwcm9icxgEIAMoCzIXLnBlbnN0b2NrLnYxLlRvcExvZ3Byb2IiOwoKVG9wTG9ncHJvYhINCgV0b2tlbhgBIAEoCRIPCgdsb2dwcm9iGAIgASgBEg0KBWJ5dGVzGAMgASgMIrkBCg1TdHJlYW1PcHRpb25zEiMKFmNvbnRpbnVvdXNfdXNhZ2Vfc3RhdHMYASABKAhIAIgBARIcCg9zdHJlYW1faW50ZXJ2YWwYAiABKAVIAYgBARI2ChNtZXJnZV9kZWx0YXNfd2l0aGluGAMgASgLMhkuZ29vZ2xlLnByb3RvYnVmLkR1cmF0aW9uQhkKF19jb250aW51b3VzX3VzYWdlX3N0YXRzQhIKEF9zdHJlYW1faW50ZXJ2YWwilQIKDlBvb2xpbmdPcHRpb25zEiMKFnRydW5jYXRlX3Byb21wdF90b2tlbnMYASABKAVIAIgBARI0Cg90cnVuY2F0aW9uX3NpZGUYAiABKA4yGy5wZW5zdG9jay52MS5UcnVuY2F0aW9uU2lkZRIlCgdwYWRkaW5nGAMgASgOMhQucGVuc3RvY2sudjEuUGFkZGluZxIfChJhZGRfc3BlY2lhbF90b2tlbnMYBCABKAhIAYgBARIbCg51c2VfYWN0aXZhdGlvbhgFIAEoCEgCiAEBQhkKF190cnVuY2F0ZV9wcm9tcHRfdG9rZW5zQhUKE19hZGRfc3BlY2lhbF90b2tlbnNCEQoPX3VzZV9hY3RpdmF0aW9uIh0KC0Zsb2F0VmVjdG9yEg4KBnZhbHVlcxgBIAMoAiJZCgxQYWNrZWRWZWN0b3ISJwoFZHR5cGUYASABKA4yGC5wZW5zdG9jay52MS5WZWN0b3JEdHlwZRISCgpkaW1lbnNpb25zGAIgASgFEgwKBGRhdGEYAyABKAwiOAoLTXVsdGlWZWN0b3ISKQoHdmVjdG9ycxgBIAMoCzIYLnBlbnN0b2NrLnYxLkZsb2F0VmVjdG9yImwKEVBhY2tlZE11bHRpVmVjdG9yEicKBWR0eXBlGAEgASgOMhgucGVuc3RvY2sudjEuVmVjdG9yRHR5cGUSDAoEcm93cxgCIAEoBRISCgpkaW1lbnNpb25zGAMgASgFEgwKBGRhdGEYBCABKAwq7wEKDEZpbmlzaFJlYXNvbhIdChlGSU5JU0hfUkVBU09OX1VOU1BFQ0lGSUVEEAASFgoSRklOSVNIX1JFQVNPTl9TVE9QEAESGAoURklOSVNIX1JFQVNPTl9MRU5HVEgQAhIcChhGSU5JU0hfUkVBU09OX1RPT0xfQ0FMTFMQAxIgChxGSU5JU0hfUkVBU09OX0NPTlRFTlRfRklMVEVSEAQSFwoTRklOSVNIX1JFQVNPTl9BQk9SVBAFEhwKGEZJTklTSF9SRUFTT05fUkVQRVRJVElPThAGEhcKE0ZJTklTSF9SRUFTT05fT1RIRVIQBypmCg5UcnVuY2F0aW9uU2lkZRIfChtUUlVOQ0FUSU9OX1NJREVfVU5TUEVDSUZJRUQQABIYChRUUlVOQ0FUSU9OX1NJREVfTEVGVBABEhkKFVRSVU5DQVRJT05fU0lERV9SSUdIVBACKlIKB1BhZGRpbmcSFwoTUEFERElOR19VTlNQRUNJRklFRBAAEhYKElBBRERJTkdfTUFYX0xFTkdUSBABEhYKElBBRERJTkdfRE9fTk9UX1BBRBACKrABCgtWZWN0b3JEdHlwZRIcChhWRUNUT1JfRFRZUEVfVU5TUEVDSUZJRUQQABIYChRWRUNUT1JfRFRZUEVfRkxPQVQzMhABEhgKFFZFQ1RPUl9EVFlQRV9GTE9BVDE2EAISGQoVVkVDVE9SX0RUWVBFX0JGTE9BVDE2EAMSGQoVVkVDVE9SX0RUWVBFX0ZQOF9FNE0zEAQSGQoVVkVDVE9SX0RUWVBFX0ZQOF9FNU0yEAVCdAoLcGVuc3RvY2sudjFCC0NvbW1vblByb3RvUAGiAgNQTlOqAgtQZW5zdG9jay5WMboCClBlbnN0b2NrVjHKAgtQZW5zdG9ja1xWMeICF1BlbnN0b2NrXFYxXEdQQk1ldGFkYXRh6gIMUGVuc3RvY2s6OlYxYgZwcm90bzM", [file_google_protobuf_duration, file_google_protobuf_struct]);

/**
 * Describes the message penstock.v1.TokenIds.
 * Use `create(TokenIdsSchema)` to create a new message.
 */
export const TokenIdsSchema = /*@__PURE__*/
  messageDesc(file_penstock_v1_common, 0);

/**
 * Describes the message penstock.v1.JsonDocument.
 * Use `create(JsonDocumentSchema)` to create a new message.
 */
export const JsonDocumentSchema = /*@__PURE__*/
  messageDesc(file_penstock_v1_common, 1);

/**
 * Describes the message penstock.v1.Usage.
 * Use `create(UsageSchema)` to create a new message.
 */
export const UsageSchema = /*@__PURE__*/
  messageDesc(file_penstock_v1_common, 2);

/**
 * Describes the message penstock.v1.PromptTokensDetails.
 * Use `create(PromptTokensDetailsSchema)` to create a new message.
 */
export const PromptTokensDetailsSchema = /*@__PURE__*/
  messageDesc(file_penstock_v1_common, 3);

/**
 * Describes the message penstock.v1.CompletionTokensDetails.
 * Use `create(CompletionTokensDetailsSchema)` to create a new message.
 */
export const CompletionTokensDetailsSchema = /*@__PURE__*/
  messageDesc(file_penstock_v1_common, 4);

/**
 * Describes the message penstock.v1.RequestMetrics.
 * Use `create(RequestMetricsSchema)` to create a new message.
 */
export const RequestMetricsSchema = /*@__PURE__*/
  messageDesc(file_penstock_v1_common, 5);

/**
 * Describes the message penstock.v1.RepetitionDetection.
 * Use `create(RepetitionDetectionSchema)` to create a new message.
 */
export const RepetitionDetectionSchema = /*@__PURE__*/
  messageDesc(file_penstock_v1_common, 6);

/**
 * Describes the message penstock.v1.SamplingParams.
 * Use `create(SamplingParamsSchema)` to create a new message.
 */
export const SamplingParamsSchema = /*@__PURE__*/
  messageDesc(file_penstock_v1_common, 7);

/**
 * Describes the message penstock.v1.LogprobOptions.
 * Use `create(LogprobOptionsSchema)` to create a new message.
 */
export const LogprobOptionsSchema = /*@__PURE__*/
  messageDesc(file_penstock_v1_common, 8);

/**
 * Describes the message penstock.v1.StructuredOutputs.
 * Use `create(StructuredOutputsSchema)` to create a new message.
 */
export const StructuredOutputsSchema = /*@__PURE__*/
  messageDesc(file_penstock_v1_common, 9);

/**
 * Describes the message penstock.v1.StructuredOutputs.Choices.
 * Use `create(StructuredOutputs_ChoicesSchema)` to create a new message.
 */
export const StructuredOutputs_ChoicesSchema = /*@__PURE__*/
  messageDesc(file_penstock_v1_common, 9, 0);

/**
 * Describes the message penstock.v1.JsonObjectFormat.
 * Use `create(JsonObjectFormatSchema)` to create a new message.
 */
export const JsonObjectFormatSchema = /*@__PURE__*/
  messageDesc(file_penstock_v1_common, 10);

/**
 * Describes the message penstock.v1.EngineOptions.
 * Use `create(EngineOptionsSchema)` to create a new message.
 */
export const EngineOptionsSchema = /*@__PURE__*/
  messageDesc(file_penstock_v1_common, 11);

/**
 * Describes the message penstock.v1.WeightVersionSpan.
 * Use `create(WeightVersionSpanSchema)` to create a new message.
 */
export const WeightVersionSpanSchema = /*@__PURE__*/
  messageDesc(file_penstock_v1_common, 12);

/**
 * Describes the message penstock.v1.PromptTokenLogprobs.
 * Use `create(PromptTokenLogprobsSchema)` to create a new message.
 */
export const PromptTokenLogprobsSchema = /*@__PURE__*/
  messageDesc(file_penstock_v1_common, 13);

/**
 * Describes the message penstock.v1.RankedLogprob.
 * Use `create(RankedLogprobSchema)` to create a new message.
 */
export const RankedLogprobSchema = /*@__PURE__*/
  messageDesc(file_penstock_v1_common, 14);

/**
 * Describes the message penstock.v1.TokenLogprob.
 * Use `create(TokenLogprobSchema)` to create a new message.
 */
export const TokenLogprobSchema = /*@__PURE__*/
  messageDesc(file_penstock_v1_common, 15);

/**
 * Describes the message penstock.v1.TopLogprob.
 * Use `create(TopLogprobSchema)` to create a new message.
 */
export const TopLogprobSchema = /*@__PURE__*/
  messageDesc(file_penstock_v1_common, 16);

/**
 * Describes the message penstock.v1.StreamOptions.
 * Use `create(StreamOptionsSchema)` to create a new message.
 */
export const StreamOptionsSchema = /*@__PURE__*/
  messageDesc(file_penstock_v1_common, 17);

/**
 * Describes the message penstock.v1.PoolingOptions.
 * Use `create(PoolingOptionsSchema)` to create a new message.
 */
export const PoolingOptionsSchema = /*@__PURE__*/
  messageDesc(file_penstock_v1_common, 18);

/**
 * Describes the message penstock.v1.FloatVector.
 * Use `create(FloatVectorSchema)` to create a new message.
 */
export const FloatVectorSchema = /*@__PURE__*/
  messageDesc(file_penstock_v1_common, 19);

/**
 * Describes the message penstock.v1.PackedVector.
 * Use `create(PackedVectorSchema)` to create a new message.
 */
export const PackedVectorSchema = /*@__PURE__*/
  messageDesc(file_penstock_v1_common, 20);

/**
 * Describes the message penstock.v1.MultiVector.
 * Use `create(MultiVectorSchema)` to create a new message.
 */
export const MultiVectorSchema = /*@__PURE__*/
  messageDesc(file_penstock_v1_common, 21);

/**
 * Describes the message penstock.v1.PackedMultiVector.
 * Use `create(PackedMultiVectorSchema)` to create a new message.
 */
export const PackedMultiVectorSchema = /*@__PURE__*/
  messageDesc(file_penstock_v1_common, 22);

/**
 * Describes the enum penstock.v1.FinishReason.
 */
export const FinishReasonSchema = /*@__PURE__*/
  enumDesc(file_penstock_v1_common, 0);

/**
 * Reason why generation ended.
 *
 * @generated from enum penstock.v1.FinishReason
 */
export const FinishReason = /*@__PURE__*/
  tsEnum(FinishReasonSchema);

/**
 * Describes the enum penstock.v1.TruncationSide.
 */
export const TruncationSideSchema = /*@__PURE__*/
  enumDesc(file_penstock_v1_common, 1);

/**
 * Side at which a prompt is truncated if it is too long.
 *
 * @generated from enum penstock.v1.TruncationSide
 */
export const TruncationSide = /*@__PURE__*/
  tsEnum(TruncationSideSchema);

/**
 * Describes the enum penstock.v1.Padding.
 */
export const PaddingSchema = /*@__PURE__*/
  enumDesc(file_penstock_v1_common, 2);

/**
 * Padding of the inputs of pooling models.
 *
 * @generated from enum penstock.v1.Padding
 */
export const Padding = /*@__PURE__*/
  tsEnum(PaddingSchema);

/**
 * Describes the enum penstock.v1.VectorDtype.
 */
export const VectorDtypeSchema = /*@__PURE__*/
  enumDesc(file_penstock_v1_common, 3);

/**
 * Number format of vectors.
 *
 * @generated from enum penstock.v1.VectorDtype
 */
export const VectorDtype = /*@__PURE__*/
  tsEnum(VectorDtypeSchema);

