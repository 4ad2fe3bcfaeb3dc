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

// Code generated by protoc-gen-go. DO NOT EDIT.
// versions:
// 	protoc-gen-go v1.28.1
// 	protoc        v6.31.1
// source: penstock/v1/common.proto

package penstockv1

import (
	protoreflect "google.golang.org/protobuf/reflect/protoreflect"
	protoimpl "google.golang.org/protobuf/runtime/protoimpl"
	durationpb "google.golang.org/protobuf/types/known/durationpb"
	structpb "google.golang.org/protobuf/types/known/structpb"
	reflect "reflect"
	sync "sync"
)

const (
	// Verify that this generated code is sufficiently up-to-date.
	_ = protoimpl.EnforceVersion(20 - protoimpl.MinVersion)
	// Verify that runtime/protoimpl is sufficiently up-to-date.
	_ = protoimpl.EnforceVersion(protoimpl.MaxVersion - 20)
)

// Reason why generation ended.
type FinishReason int32

const (
	// Generation has not ended, or the upstream reported no reason.
	FinishReason_FINISH_REASON_UNSPECIFIED FinishReason = 0
	// The model ended on its own, or generated a stop string or stop token of the request; see
	// `stop_reason`. Also reported after a call of a function that the request named in its tool
	// choice.
	FinishReason_FINISH_REASON_STOP FinishReason = 1
	// The token limit of the request or of the model was reached.
	FinishReason_FINISH_REASON_LENGTH FinishReason = 2
	// The model called tools.
	FinishReason_FINISH_REASON_TOOL_CALLS FinishReason = 3
	// A filter withheld content.
	FinishReason_FINISH_REASON_CONTENT_FILTER FinishReason = 4
	// The engine aborted the request, so the output may be incomplete. Only in one of the last
	// messages of a stream, which then fails with UNAVAILABLE GENERATION_ABORTED.
	FinishReason_FINISH_REASON_ABORT FinishReason = 5
	// The output was ended by RepetitionDetection.
	FinishReason_FINISH_REASON_REPETITION FinishReason = 6
	// A reason that has no value here. `native_finish_reason` holds its name.
	FinishReason_FINISH_REASON_OTHER FinishReason = 7
)

// Enum value maps for FinishReason.
var (
	FinishReason_name = map[int32]string{
		0: "FINISH_REASON_UNSPECIFIED",
		1: "FINISH_REASON_STOP",
		2: "FINISH_REASON_LENGTH",
		3: "FINISH_REASON_TOOL_CALLS",
		4: "FINISH_REASON_CONTENT_FILTER",
		5: "FINISH_REASON_ABORT",
		6: "FINISH_REASON_REPETITION",
		7: "FINISH_REASON_OTHER",
	}
	FinishReason_value = map[string]int32{
		"FINISH_REASON_UNSPECIFIED":    0,
		"FINISH_REASON_STOP":           1,
		"FINISH_REASON_LENGTH":         2,
		"FINISH_REASON_TOOL_CALLS":     3,
		"FINISH_REASON_CONTENT_FILTER": 4,
		"FINISH_REASON_ABORT":          5,
		"FINISH_REASON_REPETITION":     6,
		"FINISH_REASON_OTHER":          7,
	}
)

func (x FinishReason) Enum() *FinishReason {
	p := new(FinishReason)
	*p = x
	return p
}

func (x FinishReason) String() string {
	return protoimpl.X.EnumStringOf(x.Descriptor(), protoreflect.EnumNumber(x))
}

func (FinishReason) Descriptor() protoreflect.EnumDescriptor {
	return file_penstock_v1_common_proto_enumTypes[0].Descriptor()
}

func (FinishReason) Type() protoreflect.EnumType {
	return &file_penstock_v1_common_proto_enumTypes[0]
}

func (x FinishReason) Number() protoreflect.EnumNumber {
	return protoreflect.EnumNumber(x)
}

// Deprecated: Use FinishReason.Descriptor instead.
func (FinishReason) EnumDescriptor() ([]byte, []int) {
	return file_penstock_v1_common_proto_rawDescGZIP(), []int{0}
}

// Side at which a prompt is truncated if it is too long.
type TruncationSide int32

const (
	// The tokenizer's default.
	TruncationSide_TRUNCATION_SIDE_UNSPECIFIED TruncationSide = 0
	// Removes tokens from the start and keeps the end.
	TruncationSide_TRUNCATION_SIDE_LEFT TruncationSide = 1
	// Removes tokens from the end and keeps the start.
	TruncationSide_TRUNCATION_SIDE_RIGHT TruncationSide = 2
)

// Enum value maps for TruncationSide.
var (
	TruncationSide_name = map[int32]string{
		0: "TRUNCATION_SIDE_UNSPECIFIED",
		1: "TRUNCATION_SIDE_LEFT",
		2: "TRUNCATION_SIDE_RIGHT",
	}
	TruncationSide_value = map[string]int32{
		"TRUNCATION_SIDE_UNSPECIFIED": 0,
		"TRUNCATION_SIDE_LEFT":        1,
		"TRUNCATION_SIDE_RIGHT":       2,
	}
)

func (x TruncationSide) Enum() *TruncationSide {
	p := new(TruncationSide)
	*p = x
	return p
}

func (x TruncationSide) String() string {
	return protoimpl.X.EnumStringOf(x.Descriptor(), protoreflect.EnumNumber(x))
}

func (TruncationSide) Descriptor() protoreflect.EnumDescriptor {
	return file_penstock_v1_common_proto_enumTypes[1].Descriptor()
}

func (TruncationSide) Type() protoreflect.EnumType {
	return &file_penstock_v1_common_proto_enumTypes[1]
}

func (x TruncationSide) Number() protoreflect.EnumNumber {
	return protoreflect.EnumNumber(x)
}

// Deprecated: Use TruncationSide.Descriptor instead.
func (TruncationSide) EnumDescriptor() ([]byte, []int) {
	return file_penstock_v1_common_proto_rawDescGZIP(), []int{1}
}

// Padding of the inputs of pooling models.
type Padding int32

const (
	// The upstream's default.
	Padding_PADDING_UNSPECIFIED Padding = 0
	// Pads to the maximum length (`max_length`).
	Padding_PADDING_MAX_LENGTH Padding = 1
	// Does not pad (`do_not_pad`).
	Padding_PADDING_DO_NOT_PAD Padding = 2
)

// Enum value maps for Padding.
var (
	Padding_name = map[int32]string{
		0: "PADDING_UNSPECIFIED",
		1: "PADDING_MAX_LENGTH",
		2: "PADDING_DO_NOT_PAD",
	}
	Padding_value = map[string]int32{
		"PADDING_UNSPECIFIED": 0,
		"PADDING_MAX_LENGTH":  1,
		"PADDING_DO_NOT_PAD":  2,
	}
)

func (x Padding) Enum() *Padding {
	p := new(Padding)
	*p = x
	return p
}

func (x Padding) String() string {
	return protoimpl.X.EnumStringOf(x.Descriptor(), protoreflect.EnumNumber(x))
}

func (Padding) Descriptor() protoreflect.EnumDescriptor {
	return file_penstock_v1_common_proto_enumTypes[2].Descriptor()
}

func (Padding) Type() protoreflect.EnumType {
	return &file_penstock_v1_common_proto_enumTypes[2]
}

func (x Padding) Number() protoreflect.EnumNumber {
	return protoreflect.EnumNumber(x)
}

// Deprecated: Use Padding.Descriptor instead.
func (Padding) EnumDescriptor() ([]byte, []int) {
	return file_penstock_v1_common_proto_rawDescGZIP(), []int{2}
}

// Number format of vectors.
type VectorDtype int32

const (
	// The same as VECTOR_DTYPE_FLOAT32.
	VectorDtype_VECTOR_DTYPE_UNSPECIFIED VectorDtype = 0
	// 32-bit floats, returned as `float` values.
	VectorDtype_VECTOR_DTYPE_FLOAT32 VectorDtype = 1
	// IEEE 754 half-precision floats of 2 bytes, returned packed.
	VectorDtype_VECTOR_DTYPE_FLOAT16 VectorDtype = 2
	// bfloat16 values of 2 bytes, returned packed.
	VectorDtype_VECTOR_DTYPE_BFLOAT16 VectorDtype = 3
	// 8-bit floats with 4 exponent bits and 3 mantissa bits, returned packed.
	VectorDtype_VECTOR_DTYPE_FP8_E4M3 VectorDtype = 4
	// 8-bit floats with 5 exponent bits and 2 mantissa bits, returned packed.
	VectorDtype_VECTOR_DTYPE_FP8_E5M2 VectorDtype = 5
)

// Enum value maps for VectorDtype.
var (
	VectorDtype_name = map[int32]string{
		0: "VECTOR_DTYPE_UNSPECIFIED",
		1: "VECTOR_DTYPE_FLOAT32",
		2: "VECTOR_DTYPE_FLOAT16",
		3: "VECTOR_DTYPE_BFLOAT16",
		4: "VECTOR_DTYPE_FP8_E4M3",
		5: "VECTOR_DTYPE_FP8_E5M2",
	}
	VectorDtype_value = map[string]int32{
		"VECTOR_DTYPE_UNSPECIFIED": 0,
		"VECTOR_DTYPE_FLOAT32":     1,
		"VECTOR_DTYPE_FLOAT16":     2,
		"VECTOR_DTYPE_BFLOAT16":    3,
		"VECTOR_DTYPE_FP8_E4M3":    4,
		"VECTOR_DTYPE_FP8_E5M2":    5,
	}
)

func (x VectorDtype) Enum() *VectorDtype {
	p := new(VectorDtype)
	*p = x
	return p
}

func (x VectorDtype) String() string {
	return protoimpl.X.EnumStringOf(x.Descriptor(), protoreflect.EnumNumber(x))
}

func (VectorDtype) Descriptor() protoreflect.EnumDescriptor {
	return file_penstock_v1_common_proto_enumTypes[3].Descriptor()
}

func (VectorDtype) Type() protoreflect.EnumType {
	return &file_penstock_v1_common_proto_enumTypes[3]
}

func (x VectorDtype) Number() protoreflect.EnumNumber {
	return protoreflect.EnumNumber(x)
}

// Deprecated: Use VectorDtype.Descriptor instead.
func (VectorDtype) EnumDescriptor() ([]byte, []int) {
	return file_penstock_v1_common_proto_rawDescGZIP(), []int{3}
}

// A list of token ids, for fields that hold several lists or one of several types.
type TokenIds struct {
	state         protoimpl.MessageState
	sizeCache     protoimpl.SizeCache
	unknownFields protoimpl.UnknownFields

	// Token ids of the model's tokenizer. Must not be negative.
	Ids []int32 `protobuf:"varint,1,rep,packed,name=ids,proto3" json:"ids,omitempty"`
}

func (x *TokenIds) Reset() {
	*x = TokenIds{}
	if protoimpl.UnsafeEnabled {
		mi := &file_penstock_v1_common_proto_msgTypes[0]
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		ms.StoreMessageInfo(mi)
	}
}

func (x *TokenIds) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*TokenIds) ProtoMessage() {}

func (x *TokenIds) ProtoReflect() protoreflect.Message {
	mi := &file_penstock_v1_common_proto_msgTypes[0]
	if protoimpl.UnsafeEnabled && x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use TokenIds.ProtoReflect.Descriptor instead.
func (*TokenIds) Descriptor() ([]byte, []int) {
	return file_penstock_v1_common_proto_rawDescGZIP(), []int{0}
}

func (x *TokenIds) GetIds() []int32 {
	if x != nil {
		return x.Ids
	}
	return nil
}

// JSON of a form that this API does not define. INVALID_ARGUMENT INVALID_REQUEST if a comment
// requires a JSON object and the document is of another type.
type JsonDocument struct {
	state         protoimpl.MessageState
	sizeCache     protoimpl.SizeCache
	unknownFields protoimpl.UnknownFields

	// The document, in one of two notations. Responses always use `json`. INVALID_ARGUMENT
	// INVALID_REQUEST if neither is set.
	//
	// Types that are assignable to Document:
	//
	//	*JsonDocument_Json
	//	*JsonDocument_Object
	Document isJsonDocument_Document `protobuf_oneof:"document"`
}

func (x *JsonDocument) Reset() {
	*x = JsonDocument{}
	if protoimpl.UnsafeEnabled {
		mi := &file_penstock_v1_common_proto_msgTypes[1]
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		ms.StoreMessageInfo(mi)
	}
}

func (x *JsonDocument) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*JsonDocument) ProtoMessage() {}

func (x *JsonDocument) ProtoReflect() protoreflect.Message {
	mi := &file_penstock_v1_common_proto_msgTypes[1]
	if protoimpl.UnsafeEnabled && x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use JsonDocument.ProtoReflect.Descriptor instead.
func (*JsonDocument) Descriptor() ([]byte, []int) {
	return file_penstock_v1_common_proto_rawDescGZIP(), []int{1}
}

func (m *JsonDocument) GetDocument() isJsonDocument_Document {
	if m != nil {
		return m.Document
	}
	return nil
}

func (x *JsonDocument) GetJson() string {
	if x, ok := x.GetDocument().(*JsonDocument_Json); ok {
		return x.Json
	}
	return ""
}

func (x *JsonDocument) GetObject() *structpb.Struct {
	if x, ok := x.GetDocument().(*JsonDocument_Object); ok {
		return x.Object
	}
	return nil
}

type isJsonDocument_Document interface {
	isJsonDocument_Document()
}

type JsonDocument_Json struct {
	// JSON text. INVALID_ARGUMENT INVALID_REQUEST if it is malformed, or if it is a JSON object
	// nested more than 200 levels deep.
	//
	// In a request, the text is sent upstream unchanged, byte for byte. Only `extra`, `extra_body`
	// and ContentPart.other are merged into other JSON; this preserves the order of keys, strings,
	// and numbers of up to 64 bits, while larger integers become floating-point numbers. The same
	// applies to all documents in responses.
	Json string `protobuf:"bytes,1,opt,name=json,proto3,oneof"`
}

type JsonDocument_Object struct {
	// A JSON object, for small documents written by hand, for example with grpcurl. The order of
	// keys is not preserved. Numbers are 64-bit floating-point values; integral values below 2^53
	// in magnitude are sent as integers. Use `json` for large integers, and for schemas if the
	// order of their properties matters to the model.
	Object *structpb.Struct `protobuf:"bytes,2,opt,name=object,proto3,oneof"`
}

func (*JsonDocument_Json) isJsonDocument_Document() {}

func (*JsonDocument_Object) isJsonDocument_Document() {}

// Token counts of a request.
type Usage struct {
	state         protoimpl.MessageState
	sizeCache     protoimpl.SizeCache
	unknownFields protoimpl.UnknownFields

	// Number of tokens in the input, including multimodal placeholders.
	PromptTokens int32 `protobuf:"varint,1,opt,name=prompt_tokens,json=promptTokens,proto3" json:"prompt_tokens,omitempty"`
	// Number of generated tokens in all choices. 0 for operations that generate no tokens.
	CompletionTokens int32 `protobuf:"varint,2,opt,name=completion_tokens,json=completionTokens,proto3" json:"completion_tokens,omitempty"`
	// Sum of `prompt_tokens` and `completion_tokens`.
	TotalTokens int32 `protobuf:"varint,3,opt,name=total_tokens,json=totalTokens,proto3" json:"total_tokens,omitempty"`
	// Breakdown of `prompt_tokens`. Set only if the upstream is started with the option to report it.
	PromptTokensDetails *PromptTokensDetails `protobuf:"bytes,4,opt,name=prompt_tokens_details,json=promptTokensDetails,proto3" json:"prompt_tokens_details,omitempty"`
	// Breakdown of `completion_tokens`. Set only if the upstream reports it.
	CompletionTokensDetails *CompletionTokensDetails `protobuf:"bytes,5,opt,name=completion_tokens_details,json=completionTokensDetails,proto3" json:"completion_tokens_details,omitempty"`
	// Upstream keys that have no field. Unknown keys of the details are under the name of the
	// details.
	Extra *JsonDocument `protobuf:"bytes,100,opt,name=extra,proto3" json:"extra,omitempty"`
}

func (x *Usage) Reset() {
	*x = Usage{}
	if protoimpl.UnsafeEnabled {
		mi := &file_penstock_v1_common_proto_msgTypes[2]
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		ms.StoreMessageInfo(mi)
	}
}

func (x *Usage) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*Usage) ProtoMessage() {}

func (x *Usage) ProtoReflect() protoreflect.Message {
	mi := &file_penstock_v1_common_proto_msgTypes[2]
	if protoimpl.UnsafeEnabled && x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use Usage.ProtoReflect.Descriptor instead.
func (*Usage) Descriptor() ([]byte, []int) {
	return file_penstock_v1_common_proto_rawDescGZIP(), []int{2}
}

func (x *Usage) GetPromptTokens() int32 {
	if x != nil {
		return x.PromptTokens
	}
	return 0
}

func (x *Usage) GetCompletionTokens() int32 {
	if x != nil {
		return x.CompletionTokens
	}
	return 0
}

func (x *Usage) GetTotalTokens() int32 {
	if x != nil {
		return x.TotalTokens
	}
	return 0
}

func (x *Usage) GetPromptTokensDetails() *PromptTokensDetails {
	if x != nil {
		return x.PromptTokensDetails
	}
	return nil
}

func (x *Usage) GetCompletionTokensDetails() *CompletionTokensDetails {
	if x != nil {
		return x.CompletionTokensDetails
	}
	return nil
}

func (x *Usage) GetExtra() *JsonDocument {
	if x != nil {
		return x.Extra
	}
	return nil
}

// Breakdown of the prompt tokens.
type PromptTokensDetails struct {
	state         protoimpl.MessageState
	sizeCache     protoimpl.SizeCache
	unknownFields protoimpl.UnknownFields

	// Number of tokens found in the prefix cache.
	CachedTokens *int32 `protobuf:"varint,1,opt,name=cached_tokens,json=cachedTokens,proto3,oneof" json:"cached_tokens,omitempty"`
	// Number of tokens newly written to the prefix cache.
	CreatedCacheTokens *int32 `protobuf:"varint,2,opt,name=created_cache_tokens,json=createdCacheTokens,proto3,oneof" json:"created_cache_tokens,omitempty"`
	// Number of tokens by modality, such as "image".
	MultimodalTokens map[string]int32 `protobuf:"bytes,3,rep,name=multimodal_tokens,json=multimodalTokens,proto3" json:"multimodal_tokens,omitempty" protobuf_key:"bytes,1,opt,name=key,proto3" protobuf_val:"varint,2,opt,name=value,proto3"`
}

func (x *PromptTokensDetails) Reset() {
	*x = PromptTokensDetails{}
	if protoimpl.UnsafeEnabled {
		mi := &file_penstock_v1_common_proto_msgTypes[3]
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		ms.StoreMessageInfo(mi)
	}
}

func (x *PromptTokensDetails) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*PromptTokensDetails) ProtoMessage() {}

func (x *PromptTokensDetails) ProtoReflect() protoreflect.Message {
	mi := &file_penstock_v1_common_proto_msgTypes[3]
	if protoimpl.UnsafeEnabled && x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use PromptTokensDetails.ProtoReflect.Descriptor instead.
func (*PromptTokensDetails) Descriptor() ([]byte, []int) {
	return file_penstock_v1_common_proto_rawDescGZIP(), []int{3}
}

func (x *PromptTokensDetails) GetCachedTokens() int32 {
	if x != nil && x.CachedTokens != nil {
		return *x.CachedTokens
	}
	return 0
}

func (x *PromptTokensDetails) GetCreatedCacheTokens() int32 {
	if x != nil && x.CreatedCacheTokens != nil {
		return *x.CreatedCacheTokens
	}
	return 0
}

func (x *PromptTokensDetails) GetMultimodalTokens() map[string]int32 {
	if x != nil {
		return x.MultimodalTokens
	}
	return nil
}

// Breakdown of the generated tokens.
type CompletionTokensDetails struct {
	state         protoimpl.MessageState
	sizeCache     protoimpl.SizeCache
	unknownFields protoimpl.UnknownFields

	// Number of reasoning tokens.
	ReasoningTokens *int32 `protobuf:"varint,1,opt,name=reasoning_tokens,json=reasoningTokens,proto3,oneof" json:"reasoning_tokens,omitempty"`
}

func (x *CompletionTokensDetails) Reset() {
	*x = CompletionTokensDetails{}
	if protoimpl.UnsafeEnabled {
		mi := &file_penstock_v1_common_proto_msgTypes[4]
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		ms.StoreMessageInfo(mi)
	}
}

func (x *CompletionTokensDetails) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*CompletionTokensDetails) ProtoMessage() {}

func (x *CompletionTokensDetails) ProtoReflect() protoreflect.Message {
	mi := &file_penstock_v1_common_proto_msgTypes[4]
	if protoimpl.UnsafeEnabled && x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use CompletionTokensDetails.ProtoReflect.Descriptor instead.
func (*CompletionTokensDetails) Descriptor() ([]byte, []int) {
	return file_penstock_v1_common_proto_rawDescGZIP(), []int{4}
}

func (x *CompletionTokensDetails) GetReasoningTokens() int32 {
	if x != nil && x.ReasoningTokens != nil {
		return *x.ReasoningTokens
	}
	return 0
}

// Timings of one request, measured by the upstream's engine. Set only if the upstream is started
// with the option to report them.
type RequestMetrics struct {
	state         protoimpl.MessageState
	sizeCache     protoimpl.SizeCache
	unknownFields protoimpl.UnknownFields

	// Time from the request's arrival to the first generated token, including the time in the queue.
	TimeToFirstToken *durationpb.Duration `protobuf:"bytes,1,opt,name=time_to_first_token,json=timeToFirstToken,proto3" json:"time_to_first_token,omitempty"`
	// Time from the first to the last generated token.
	GenerationTime *durationpb.Duration `protobuf:"bytes,2,opt,name=generation_time,json=generationTime,proto3" json:"generation_time,omitempty"`
	// Time that the request waited before the engine started on it.
	QueueTime *durationpb.Duration `protobuf:"bytes,3,opt,name=queue_time,json=queueTime,proto3" json:"queue_time,omitempty"`
	// Mean time between generated tokens.
	MeanInterTokenLatency *durationpb.Duration `protobuf:"bytes,4,opt,name=mean_inter_token_latency,json=meanInterTokenLatency,proto3" json:"mean_inter_token_latency,omitempty"`
	// Number of generated tokens per second.
	TokensPerSecond *float64 `protobuf:"fixed64,5,opt,name=tokens_per_second,json=tokensPerSecond,proto3,oneof" json:"tokens_per_second,omitempty"`
	// Statistics of speculative decoding, as the upstream's JSON.
	SpeculativeDecoding *JsonDocument `protobuf:"bytes,6,opt,name=speculative_decoding,json=speculativeDecoding,proto3" json:"speculative_decoding,omitempty"`
	// Upstream keys that have no field.
	Extra *JsonDocument `protobuf:"bytes,100,opt,name=extra,proto3" json:"extra,omitempty"`
}

func (x *RequestMetrics) Reset() {
	*x = RequestMetrics{}
	if protoimpl.UnsafeEnabled {
		mi := &file_penstock_v1_common_proto_msgTypes[5]
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		ms.StoreMessageInfo(mi)
	}
}

func (x *RequestMetrics) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*RequestMetrics) ProtoMessage() {}

func (x *RequestMetrics) ProtoReflect() protoreflect.Message {
	mi := &file_penstock_v1_common_proto_msgTypes[5]
	if protoimpl.UnsafeEnabled && x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use RequestMetrics.ProtoReflect.Descriptor instead.
func (*RequestMetrics) Descriptor() ([]byte, []int) {
	return file_penstock_v1_common_proto_rawDescGZIP(), []int{5}
}

func (x *RequestMetrics) GetTimeToFirstToken() *durationpb.Duration {
	if x != nil {
		return x.TimeToFirstToken
	}
	return nil
}

func (x *RequestMetrics) GetGenerationTime() *durationpb.Duration {
	if x != nil {
		return x.GenerationTime
	}
	return nil
}

func (x *RequestMetrics) GetQueueTime() *durationpb.Duration {
	if x != nil {
		return x.QueueTime
	}
	return nil
}

func (x *RequestMetrics) GetMeanInterTokenLatency() *durationpb.Duration {
	if x != nil {
		return x.MeanInterTokenLatency
	}
	return nil
}

func (x *RequestMetrics) GetTokensPerSecond() float64 {
	if x != nil && x.TokensPerSecond != nil {
		return *x.TokensPerSecond
	}
	return 0
}

func (x *RequestMetrics) GetSpeculativeDecoding() *JsonDocument {
	if x != nil {
		return x.SpeculativeDecoding
	}
	return nil
}

func (x *RequestMetrics) GetExtra() *JsonDocument {
	if x != nil {
		return x.Extra
	}
	return nil
}

// Settings for ending repetitive output with FINISH_REASON_REPETITION. 0 disables a limit; if all
// are 0, which is the default, detection is disabled.
type RepetitionDetection struct {
	state         protoimpl.MessageState
	sizeCache     protoimpl.SizeCache
	unknownFields protoimpl.UnknownFields

	// Maximum length of a repeated pattern, in tokens.
	MaxPatternSize int32 `protobuf:"varint,1,opt,name=max_pattern_size,json=maxPatternSize,proto3" json:"max_pattern_size,omitempty"`
	// Minimum length of a repeated pattern, in tokens.
	MinPatternSize int32 `protobuf:"varint,2,opt,name=min_pattern_size,json=minPatternSize,proto3" json:"min_pattern_size,omitempty"`
	// Number of repetitions of a pattern that end the generation.
	MinCount int32 `protobuf:"varint,3,opt,name=min_count,json=minCount,proto3" json:"min_count,omitempty"`
}

func (x *RepetitionDetection) Reset() {
	*x = RepetitionDetection{}
	if protoimpl.UnsafeEnabled {
		mi := &file_penstock_v1_common_proto_msgTypes[6]
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		ms.StoreMessageInfo(mi)
	}
}

func (x *RepetitionDetection) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*RepetitionDetection) ProtoMessage() {}

func (x *RepetitionDetection) ProtoReflect() protoreflect.Message {
	mi := &file_penstock_v1_common_proto_msgTypes[6]
	if protoimpl.UnsafeEnabled && x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use RepetitionDetection.ProtoReflect.Descriptor instead.
func (*RepetitionDetection) Descriptor() ([]byte, []int) {
	return file_penstock_v1_common_proto_rawDescGZIP(), []int{6}
}

func (x *RepetitionDetection) GetMaxPatternSize() int32 {
	if x != nil {
		return x.MaxPatternSize
	}
	return 0
}

func (x *RepetitionDetection) GetMinPatternSize() int32 {
	if x != nil {
		return x.MinPatternSize
	}
	return 0
}

func (x *RepetitionDetection) GetMinCount() int32 {
	if x != nil {
		return x.MinCount
	}
	return 0
}

// Sampling parameters and stop conditions. INVALID_ARGUMENT UPSTREAM_REJECTED if a value is out of
// range.
type SamplingParams struct {
	state         protoimpl.MessageState
	sizeCache     protoimpl.SizeCache
	unknownFields protoimpl.UnknownFields

	// Sampling temperature, from 0 to 2. At 0, the most likely token is always chosen. Defaults to
	// the model's setting, or else 1.
	Temperature *float64 `protobuf:"fixed64,1,opt,name=temperature,proto3,oneof" json:"temperature,omitempty"`
	// Cumulative probability of the most likely tokens to sample from, greater than 0 and at most 1.
	// Defaults to the model's setting, or else 1 (all tokens).
	TopP *float64 `protobuf:"fixed64,2,opt,name=top_p,json=topP,proto3,oneof" json:"top_p,omitempty"`
	// Number of most likely tokens to sample from. 0 and -1 stand for all tokens. Defaults to the
	// model's setting, or else all tokens.
	TopK *int32 `protobuf:"varint,3,opt,name=top_k,json=topK,proto3,oneof" json:"top_k,omitempty"`
	// Minimum probability of a token relative to that of the most likely token, from 0 to 1. Defaults
	// to the model's setting, or else 0 (disabled).
	MinP *float64 `protobuf:"fixed64,4,opt,name=min_p,json=minP,proto3,oneof" json:"min_p,omitempty"`
	// Penalty on tokens in proportion to how often they occur in the output so far, from -2 to 2.
	// Defaults to the model's setting, or else 0 (disabled).
	FrequencyPenalty *float64 `protobuf:"fixed64,5,opt,name=frequency_penalty,json=frequencyPenalty,proto3,oneof" json:"frequency_penalty,omitempty"`
	// Penalty on tokens that occur in the output so far, from -2 to 2. Defaults to the model's
	// setting, or else 0 (disabled).
	PresencePenalty *float64 `protobuf:"fixed64,6,opt,name=presence_penalty,json=presencePenalty,proto3,oneof" json:"presence_penalty,omitempty"`
	// Factor that penalizes tokens that occur in the prompt or the output, greater than 0; values
	// above 1 discourage repetition. Defaults to the model's setting, or else 1 (disabled).
	RepetitionPenalty *float64 `protobuf:"fixed64,7,opt,name=repetition_penalty,json=repetitionPenalty,proto3,oneof" json:"repetition_penalty,omitempty"`
	// Exponent of the length in the score of a beam. Only for beam search. Defaults to 1.
	LengthPenalty *float64 `protobuf:"fixed64,8,opt,name=length_penalty,json=lengthPenalty,proto3,oneof" json:"length_penalty,omitempty"`
	// Seed for reproducible sampling; 0 is a valid seed. If unset, sampling is random.
	Seed *int64 `protobuf:"varint,9,opt,name=seed,proto3,oneof" json:"seed,omitempty"`
	// Maximum number of tokens to generate, including reasoning. Defaults to the model's setting, or
	// else to the space left in the model's context; for text completions, defaults to 16.
	// INVALID_ARGUMENT CONTEXT_LENGTH_EXCEEDED if the prompt leaves no space for output in the
	// model's context. If the prompt and `max_tokens` together exceed the context, some upstreams
	// reject the request in the same way, or with UPSTREAM_REJECTED; others generate as much as fits
	// and end with FINISH_REASON_LENGTH.
	MaxTokens *int32 `protobuf:"varint,10,opt,name=max_tokens,json=maxTokens,proto3,oneof" json:"max_tokens,omitempty"`
	// Minimum number of tokens to generate before the model or a stop condition may end the output.
	// At most `max_tokens`. Defaults to 0.
	MinTokens *int32 `protobuf:"varint,11,opt,name=min_tokens,json=minTokens,proto3,oneof" json:"min_tokens,omitempty"`
	// Number of choices to generate for each prompt, or number of beams in beam search. Each choice
	// uses its own tokens. Defaults to 1.
	N *int32 `protobuf:"varint,12,opt,name=n,proto3,oneof" json:"n,omitempty"`
	// Whether to use beam search instead of sampling. Defaults to false. Support in streams depends
	// on the upstream: vLLM supports it in chat streams. Not supported in transcription streams.
	UseBeamSearch *bool `protobuf:"varint,13,opt,name=use_beam_search,json=useBeamSearch,proto3,oneof" json:"use_beam_search,omitempty"`
	// Strings that end the generation. They are excluded from the output unless
	// `include_stop_str_in_output` is true. vLLM accepts up to 4 by default.
	Stop []string `protobuf:"bytes,14,rep,name=stop,proto3" json:"stop,omitempty"`
	// Token ids that end the generation, in addition to those of the model.
	StopTokenIds []int32 `protobuf:"varint,15,rep,packed,name=stop_token_ids,json=stopTokenIds,proto3" json:"stop_token_ids,omitempty"`
	// Whether to include the stop string in the output. Defaults to false.
	IncludeStopStrInOutput *bool `protobuf:"varint,16,opt,name=include_stop_str_in_output,json=includeStopStrInOutput,proto3,oneof" json:"include_stop_str_in_output,omitempty"`
	// Whether to continue generation after the model's end-of-text token. Defaults to false.
	IgnoreEos *bool `protobuf:"varint,17,opt,name=ignore_eos,json=ignoreEos,proto3,oneof" json:"ignore_eos,omitempty"`
	// Bias added to the logits of tokens before sampling, by token id. Values are clamped to the
	// range from -100 to 100.
	LogitBias map[int32]float64 `protobuf:"bytes,18,rep,name=logit_bias,json=logitBias,proto3" json:"logit_bias,omitempty" protobuf_key:"varint,1,opt,name=key,proto3" protobuf_val:"fixed64,2,opt,name=value,proto3"`
	// Token ids that may be generated. If empty, all may be.
	AllowedTokenIds []int32 `protobuf:"varint,19,rep,packed,name=allowed_token_ids,json=allowedTokenIds,proto3" json:"allowed_token_ids,omitempty"`
	// Words that must not be generated. A word must not be empty.
	BadWords []string `protobuf:"bytes,20,rep,name=bad_words,json=badWords,proto3" json:"bad_words,omitempty"`
	// Whether to omit special tokens from the text. Defaults to the model's setting, or else true.
	SkipSpecialTokens *bool `protobuf:"varint,21,opt,name=skip_special_tokens,json=skipSpecialTokens,proto3,oneof" json:"skip_special_tokens,omitempty"`
	// Whether to put spaces between special tokens in the text. Defaults to true.
	SpacesBetweenSpecialTokens *bool `protobuf:"varint,22,opt,name=spaces_between_special_tokens,json=spacesBetweenSpecialTokens,proto3,oneof" json:"spaces_between_special_tokens,omitempty"`
	// Maximum number of prompt tokens; a longer prompt is truncated. -1 stands for the maximum that
	// the model accepts. If unset, the prompt is not truncated: INVALID_ARGUMENT
	// CONTEXT_LENGTH_EXCEEDED if it is too long.
	TruncatePromptTokens *int32 `protobuf:"varint,23,opt,name=truncate_prompt_tokens,json=truncatePromptTokens,proto3,oneof" json:"truncate_prompt_tokens,omitempty"`
	// Side at which `truncate_prompt_tokens` removes tokens.
	TruncationSide TruncationSide `protobuf:"varint,24,opt,name=truncation_side,json=truncationSide,proto3,enum=penstock.v1.TruncationSide" json:"truncation_side,omitempty"`
	// Maximum number of reasoning tokens. -1 stands for no limit, which is the default.
	ThinkingTokenBudget *int32 `protobuf:"varint,25,opt,name=thinking_token_budget,json=thinkingTokenBudget,proto3,oneof" json:"thinking_token_budget,omitempty"`
	// Settings for ending repetitive output. Disabled if unset.
	RepetitionDetection *RepetitionDetection `protobuf:"bytes,26,opt,name=repetition_detection,json=repetitionDetection,proto3" json:"repetition_detection,omitempty"`
	// Whether to watermark the output, if the upstream is configured for it. If unset, the upstream's
	// configuration applies.
	Watermarking *bool `protobuf:"varint,27,opt,name=watermarking,proto3,oneof" json:"watermarking,omitempty"`
}

func (x *SamplingParams) Reset() {
	*x = SamplingParams{}
	if protoimpl.UnsafeEnabled {
		mi := &file_penstock_v1_common_proto_msgTypes[7]
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		ms.StoreMessageInfo(mi)
	}
}

func (x *SamplingParams) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*SamplingParams) ProtoMessage() {}

func (x *SamplingParams) ProtoReflect() protoreflect.Message {
	mi := &file_penstock_v1_common_proto_msgTypes[7]
	if protoimpl.UnsafeEnabled && x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use SamplingParams.ProtoReflect.Descriptor instead.
func (*SamplingParams) Descriptor() ([]byte, []int) {
	return file_penstock_v1_common_proto_rawDescGZIP(), []int{7}
}

func (x *SamplingParams) GetTemperature() float64 {
	if x != nil && x.Temperature != nil {
		return *x.Temperature
	}
	return 0
}

func (x *SamplingParams) GetTopP() float64 {
	if x != nil && x.TopP != nil {
		return *x.TopP
	}
	return 0
}

func (x *SamplingParams) GetTopK() int32 {
	if x != nil && x.TopK != nil {
		return *x.TopK
	}
	return 0
}

func (x *SamplingParams) GetMinP() float64 {
	if x != nil && x.MinP != nil {
		return *x.MinP
	}
	return 0
}

func (x *SamplingParams) GetFrequencyPenalty() float64 {
	if x != nil && x.FrequencyPenalty != nil {
		return *x.FrequencyPenalty
	}
	return 0
}

func (x *SamplingParams) GetPresencePenalty() float64 {
	if x != nil && x.PresencePenalty != nil {
		return *x.PresencePenalty
	}
	return 0
}

func (x *SamplingParams) GetRepetitionPenalty() float64 {
	if x != nil && x.RepetitionPenalty != nil {
		return *x.RepetitionPenalty
	}
	return 0
}

func (x *SamplingParams) GetLengthPenalty() float64 {
	if x != nil && x.LengthPenalty != nil {
		return *x.LengthPenalty
	}
	return 0
}

func (x *SamplingParams) GetSeed() int64 {
	if x != nil && x.Seed != nil {
		return *x.Seed
	}
	return 0
}

func (x *SamplingParams) GetMaxTokens() int32 {
	if x != nil && x.MaxTokens != nil {
		return *x.MaxTokens
	}
	return 0
}

func (x *SamplingParams) GetMinTokens() int32 {
	if x != nil && x.MinTokens != nil {
		return *x.MinTokens
	}
	return 0
}

func (x *SamplingParams) GetN() int32 {
	if x != nil && x.N != nil {
		return *x.N
	}
	return 0
}

func (x *SamplingParams) GetUseBeamSearch() bool {
	if x != nil && x.UseBeamSearch != nil {
		return *x.UseBeamSearch
	}
	return false
}

func (x *SamplingParams) GetStop() []string {
	if x != nil {
		return x.Stop
	}
	return nil
}

func (x *SamplingParams) GetStopTokenIds() []int32 {
	if x != nil {
		return x.StopTokenIds
	}
	return nil
}

func (x *SamplingParams) GetIncludeStopStrInOutput() bool {
	if x != nil && x.IncludeStopStrInOutput != nil {
		return *x.IncludeStopStrInOutput
	}
	return false
}

func (x *SamplingParams) GetIgnoreEos() bool {
	if x != nil && x.IgnoreEos != nil {
		return *x.IgnoreEos
	}
	return false
}

func (x *SamplingParams) GetLogitBias() map[int32]float64 {
	if x != nil {
		return x.LogitBias
	}
	return nil
}

func (x *SamplingParams) GetAllowedTokenIds() []int32 {
	if x != nil {
		return x.AllowedTokenIds
	}
	return nil
}

func (x *SamplingParams) GetBadWords() []string {
	if x != nil {
		return x.BadWords
	}
	return nil
}

func (x *SamplingParams) GetSkipSpecialTokens() bool {
	if x != nil && x.SkipSpecialTokens != nil {
		return *x.SkipSpecialTokens
	}
	return false
}

func (x *SamplingParams) GetSpacesBetweenSpecialTokens() bool {
	if x != nil && x.SpacesBetweenSpecialTokens != nil {
		return *x.SpacesBetweenSpecialTokens
	}
	return false
}

func (x *SamplingParams) GetTruncatePromptTokens() int32 {
	if x != nil && x.TruncatePromptTokens != nil {
		return *x.TruncatePromptTokens
	}
	return 0
}

func (x *SamplingParams) GetTruncationSide() TruncationSide {
	if x != nil {
		return x.TruncationSide
	}
	return TruncationSide_TRUNCATION_SIDE_UNSPECIFIED
}

func (x *SamplingParams) GetThinkingTokenBudget() int32 {
	if x != nil && x.ThinkingTokenBudget != nil {
		return *x.ThinkingTokenBudget
	}
	return 0
}

func (x *SamplingParams) GetRepetitionDetection() *RepetitionDetection {
	if x != nil {
		return x.RepetitionDetection
	}
	return nil
}

func (x *SamplingParams) GetWatermarking() bool {
	if x != nil && x.Watermarking != nil {
		return *x.Watermarking
	}
	return false
}

// Requests log probabilities of the generated tokens. They are returned if this message is present,
// even if it is empty.
type LogprobOptions struct {
	state         protoimpl.MessageState
	sizeCache     protoimpl.SizeCache
	unknownFields protoimpl.UnknownFields

	// Number of alternatives to return at each position, in addition to the chosen token. -1 stands
	// for the whole vocabulary. Defaults to 0. The upstream sets the maximum, which is 20 by default.
	TopLogprobs *int32 `protobuf:"varint,1,opt,name=top_logprobs,json=topLogprobs,proto3,oneof" json:"top_logprobs,omitempty"`
	// Token ids whose log probabilities are returned at each position, whatever their rank.
	TokenIds []int32 `protobuf:"varint,2,rep,packed,name=token_ids,json=tokenIds,proto3" json:"token_ids,omitempty"`
	// Whether to return tokens as "token_id:<id>" instead of text, which distinguishes tokens with
	// the same text. Defaults to false.
	TokensAsTokenIds *bool `protobuf:"varint,3,opt,name=tokens_as_token_ids,json=tokensAsTokenIds,proto3,oneof" json:"tokens_as_token_ids,omitempty"`
}

func (x *LogprobOptions) Reset() {
	*x = LogprobOptions{}
	if protoimpl.UnsafeEnabled {
		mi := &file_penstock_v1_common_proto_msgTypes[8]
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		ms.StoreMessageInfo(mi)
	}
}

func (x *LogprobOptions) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*LogprobOptions) ProtoMessage() {}

func (x *LogprobOptions) ProtoReflect() protoreflect.Message {
	mi := &file_penstock_v1_common_proto_msgTypes[8]
	if protoimpl.UnsafeEnabled && x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use LogprobOptions.ProtoReflect.Descriptor instead.
func (*LogprobOptions) Descriptor() ([]byte, []int) {
	return file_penstock_v1_common_proto_rawDescGZIP(), []int{8}
}

func (x *LogprobOptions) GetTopLogprobs() int32 {
	if x != nil && x.TopLogprobs != nil {
		return *x.TopLogprobs
	}
	return 0
}

func (x *LogprobOptions) GetTokenIds() []int32 {
	if x != nil {
		return x.TokenIds
	}
	return nil
}

func (x *LogprobOptions) GetTokensAsTokenIds() bool {
	if x != nil && x.TokensAsTokenIds != nil {
		return *x.TokensAsTokenIds
	}
	return false
}

// Constraint on the form of the output, of more kinds than ResponseFormat offers. Only one of the
// two may be set.
type StructuredOutputs struct {
	state         protoimpl.MessageState
	sizeCache     protoimpl.SizeCache
	unknownFields protoimpl.UnknownFields

	// The constraint. Required. INVALID_ARGUMENT UPSTREAM_REJECTED if it cannot be compiled.
	//
	// Types that are assignable to Constraint:
	//
	//	*StructuredOutputs_JsonSchema
	//	*StructuredOutputs_JsonObject
	//	*StructuredOutputs_Regex
	//	*StructuredOutputs_Choice
	//	*StructuredOutputs_Grammar
	//	*StructuredOutputs_StructuralTag
	Constraint isStructuredOutputs_Constraint `protobuf_oneof:"constraint"`
	// Whether to forbid whitespace between JSON tokens. Defaults to false.
	DisableAnyWhitespace *bool `protobuf:"varint,7,opt,name=disable_any_whitespace,json=disableAnyWhitespace,proto3,oneof" json:"disable_any_whitespace,omitempty"`
	// Whether objects may have only the properties that the schema defines. Defaults to false.
	DisableAdditionalProperties *bool `protobuf:"varint,8,opt,name=disable_additional_properties,json=disableAdditionalProperties,proto3,oneof" json:"disable_additional_properties,omitempty"`
	// Regular expression of the whitespace allowed in JSON. If empty, the backend's default applies.
	WhitespacePattern string `protobuf:"bytes,9,opt,name=whitespace_pattern,json=whitespacePattern,proto3" json:"whitespace_pattern,omitempty"`
}

func (x *StructuredOutputs) Reset() {
	*x = StructuredOutputs{}
	if protoimpl.UnsafeEnabled {
		mi := &file_penstock_v1_common_proto_msgTypes[9]
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		ms.StoreMessageInfo(mi)
	}
}

func (x *StructuredOutputs) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*StructuredOutputs) ProtoMessage() {}

func (x *StructuredOutputs) ProtoReflect() protoreflect.Message {
	mi := &file_penstock_v1_common_proto_msgTypes[9]
	if protoimpl.UnsafeEnabled && x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use StructuredOutputs.ProtoReflect.Descriptor instead.
func (*StructuredOutputs) Descriptor() ([]byte, []int) {
	return file_penstock_v1_common_proto_rawDescGZIP(), []int{9}
}

func (m *StructuredOutputs) GetConstraint() isStructuredOutputs_Constraint {
	if m != nil {
		return m.Constraint
	}
	return nil
}

func (x *StructuredOutputs) GetJsonSchema() *JsonDocument {
	if x, ok := x.GetConstraint().(*StructuredOutputs_JsonSchema); ok {
		return x.JsonSchema
	}
	return nil
}

func (x *StructuredOutputs) GetJsonObject() *JsonObjectFormat {
	if x, ok := x.GetConstraint().(*StructuredOutputs_JsonObject); ok {
		return x.JsonObject
	}
	return nil
}

func (x *StructuredOutputs) GetRegex() string {
	if x, ok := x.GetConstraint().(*StructuredOutputs_Regex); ok {
		return x.Regex
	}
	return ""
}

func (x *StructuredOutputs) GetChoice() *StructuredOutputs_Choices {
	if x, ok := x.GetConstraint().(*StructuredOutputs_Choice); ok {
		return x.Choice
	}
	return nil
}

func (x *StructuredOutputs) GetGrammar() string {
	if x, ok := x.GetConstraint().(*StructuredOutputs_Grammar); ok {
		return x.Grammar
	}
	return ""
}

func (x *StructuredOutputs) GetStructuralTag() *JsonDocument {
	if x, ok := x.GetConstraint().(*StructuredOutputs_StructuralTag); ok {
		return x.StructuralTag
	}
	return nil
}

func (x *StructuredOutputs) GetDisableAnyWhitespace() bool {
	if x != nil && x.DisableAnyWhitespace != nil {
		return *x.DisableAnyWhitespace
	}
	return false
}

func (x *StructuredOutputs) GetDisableAdditionalProperties() bool {
	if x != nil && x.DisableAdditionalProperties != nil {
		return *x.DisableAdditionalProperties
	}
	return false
}

func (x *StructuredOutputs) GetWhitespacePattern() string {
	if x != nil {
		return x.WhitespacePattern
	}
	return ""
}

type isStructuredOutputs_Constraint interface {
	isStructuredOutputs_Constraint()
}

type StructuredOutputs_JsonSchema struct {
	// A JSON document that matches this JSON Schema.
	JsonSchema *JsonDocument `protobuf:"bytes,1,opt,name=json_schema,json=jsonSchema,proto3,oneof"`
}

type StructuredOutputs_JsonObject struct {
	// Any JSON object.
	JsonObject *JsonObjectFormat `protobuf:"bytes,2,opt,name=json_object,json=jsonObject,proto3,oneof"`
}

type StructuredOutputs_Regex struct {
	// Text that matches this regular expression in full.
	Regex string `protobuf:"bytes,3,opt,name=regex,proto3,oneof"`
}

type StructuredOutputs_Choice struct {
	// One of several texts.
	Choice *StructuredOutputs_Choices `protobuf:"bytes,4,opt,name=choice,proto3,oneof"`
}

type StructuredOutputs_Grammar struct {
	// Text that conforms to this context-free grammar, in EBNF or Lark as the upstream's backend
	// requires.
	Grammar string `protobuf:"bytes,5,opt,name=grammar,proto3,oneof"`
}

type StructuredOutputs_StructuralTag struct {
	// Free text with constraints between tags, as the JSON object of vLLM's structural tag.
	StructuralTag *JsonDocument `protobuf:"bytes,6,opt,name=structural_tag,json=structuralTag,proto3,oneof"`
}

func (*StructuredOutputs_JsonSchema) isStructuredOutputs_Constraint() {}

func (*StructuredOutputs_JsonObject) isStructuredOutputs_Constraint() {}

func (*StructuredOutputs_Regex) isStructuredOutputs_Constraint() {}

func (*StructuredOutputs_Choice) isStructuredOutputs_Constraint() {}

func (*StructuredOutputs_Grammar) isStructuredOutputs_Constraint() {}

func (*StructuredOutputs_StructuralTag) isStructuredOutputs_Constraint() {}

// Any JSON object, in ResponseFormat and StructuredOutputs. This format has no settings; describe
// the desired content in the prompt.
type JsonObjectFormat struct {
	state         protoimpl.MessageState
	sizeCache     protoimpl.SizeCache
	unknownFields protoimpl.UnknownFields
}

func (x *JsonObjectFormat) Reset() {
	*x = JsonObjectFormat{}
	if protoimpl.UnsafeEnabled {
		mi := &file_penstock_v1_common_proto_msgTypes[10]
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		ms.StoreMessageInfo(mi)
	}
}

func (x *JsonObjectFormat) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*JsonObjectFormat) ProtoMessage() {}

func (x *JsonObjectFormat) ProtoReflect() protoreflect.Message {
	mi := &file_penstock_v1_common_proto_msgTypes[10]
	if protoimpl.UnsafeEnabled && x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use JsonObjectFormat.ProtoReflect.Descriptor instead.
func (*JsonObjectFormat) Descriptor() ([]byte, []int) {
	return file_penstock_v1_common_proto_rawDescGZIP(), []int{10}
}

// Options of the engine that runs the model.
type EngineOptions struct {
	state         protoimpl.MessageState
	sizeCache     protoimpl.SizeCache
	unknownFields protoimpl.UnknownFields

	// Scheduling priority. LOWER VALUES ARE SERVED FIRST. Defaults to 0. Effective only if the
	// upstream uses priority scheduling. Can also be sent as metadata `x-vllm-priority`.
	Priority *int64 `protobuf:"varint,1,opt,name=priority,proto3,oneof" json:"priority,omitempty"`
	// Salt that separates the request's prefix cache from that of requests with another salt, so that
	// timing reveals nothing about the prompts of other callers. 1 to 128 characters, without `@`,
	// `/`, `\` and NUL. If empty, the shared cache is used.
	CacheSalt string `protobuf:"bytes,2,opt,name=cache_salt,json=cacheSalt,proto3" json:"cache_salt,omitempty"`
	// Name of a session that groups requests. Optional. Can also be sent as metadata `x-session-id`.
	// If the server is configured so, the requests of a session go to the same replica.
	SessionId string `protobuf:"bytes,3,opt,name=session_id,json=sessionId,proto3" json:"session_id,omitempty"`
	// Parameters of custom logits processors and connectors, as a JSON object of strings, numbers and
	// lists of them.
	VllmXargs *JsonDocument `protobuf:"bytes,4,opt,name=vllm_xargs,json=vllmXargs,proto3" json:"vllm_xargs,omitempty"`
	// Opaque parameters of the KV cache connector, as a JSON object, for disaggregated serving.
	KvTransferParams *JsonDocument `protobuf:"bytes,5,opt,name=kv_transfer_params,json=kvTransferParams,proto3" json:"kv_transfer_params,omitempty"`
	// Opaque parameters of the encoder cache connector, as a JSON object, for disaggregated serving.
	EcTransferParams *JsonDocument `protobuf:"bytes,6,opt,name=ec_transfer_params,json=ecTransferParams,proto3" json:"ec_transfer_params,omitempty"`
	// Whether to return `prompt_token_ids` and the `token_ids` of each choice. Defaults to false.
	ReturnTokenIds *bool `protobuf:"varint,7,opt,name=return_token_ids,json=returnTokenIds,proto3,oneof" json:"return_token_ids,omitempty"`
	// Whether to return the prompt as rendered by the template, in `prompt_text`. Defaults to false.
	// Only for chat completions.
	ReturnPromptText *bool `protobuf:"varint,8,opt,name=return_prompt_text,json=returnPromptText,proto3,oneof" json:"return_prompt_text,omitempty"`
	// Whether to return the versions of the weights that generated the tokens. Defaults to false.
	ReturnWeightVersions *bool `protobuf:"varint,9,opt,name=return_weight_versions,json=returnWeightVersions,proto3,oneof" json:"return_weight_versions,omitempty"`
	// Requests log probabilities of the prompt's tokens, with this number of alternatives at each
	// position. -1 stands for the whole vocabulary. If unset, none are returned. INVALID_ARGUMENT in
	// a stream if the value is not 0.
	PromptLogprobs *int32 `protobuf:"varint,10,opt,name=prompt_logprobs,json=promptLogprobs,proto3,oneof" json:"prompt_logprobs,omitempty"`
	// First prompt position for which routed experts are returned. Defaults to 0. Effective only if
	// the upstream returns routed experts.
	RoutedExpertsPromptStart *int32 `protobuf:"varint,11,opt,name=routed_experts_prompt_start,json=routedExpertsPromptStart,proto3,oneof" json:"routed_experts_prompt_start,omitempty"`
	// Engine of a data parallel upstream that serves the request, starting at 0. If unset, the
	// upstream chooses one. INVALID_ARGUMENT UPSTREAM_REJECTED if out of range. Can also be sent as
	// metadata `x-data-parallel-rank`.
	DataParallelRank *int32 `protobuf:"varint,12,opt,name=data_parallel_rank,json=dataParallelRank,proto3,oneof" json:"data_parallel_rank,omitempty"`
	// Prefix of the request's name within vLLM; the server appends a suffix that makes the name
	// unique. It becomes part of the response's `id`. It does not make requests idempotent. Defaults
	// to `x-request-id` if empty.
	RequestId string `protobuf:"bytes,13,opt,name=request_id,json=requestId,proto3" json:"request_id,omitempty"`
}

func (x *EngineOptions) Reset() {
	*x = EngineOptions{}
	if protoimpl.UnsafeEnabled {
		mi := &file_penstock_v1_common_proto_msgTypes[11]
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		ms.StoreMessageInfo(mi)
	}
}

func (x *EngineOptions) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*EngineOptions) ProtoMessage() {}

func (x *EngineOptions) ProtoReflect() protoreflect.Message {
	mi := &file_penstock_v1_common_proto_msgTypes[11]
	if protoimpl.UnsafeEnabled && x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use EngineOptions.ProtoReflect.Descriptor instead.
func (*EngineOptions) Descriptor() ([]byte, []int) {
	return file_penstock_v1_common_proto_rawDescGZIP(), []int{11}
}

func (x *EngineOptions) GetPriority() int64 {
	if x != nil && x.Priority != nil {
		return *x.Priority
	}
	return 0
}

func (x *EngineOptions) GetCacheSalt() string {
	if x != nil {
		return x.CacheSalt
	}
	return ""
}

func (x *EngineOptions) GetSessionId() string {
	if x != nil {
		return x.SessionId
	}
	return ""
}

func (x *EngineOptions) GetVllmXargs() *JsonDocument {
	if x != nil {
		return x.VllmXargs
	}
	return nil
}

func (x *EngineOptions) GetKvTransferParams() *JsonDocument {
	if x != nil {
		return x.KvTransferParams
	}
	return nil
}

func (x *EngineOptions) GetEcTransferParams() *JsonDocument {
	if x != nil {
		return x.EcTransferParams
	}
	return nil
}

func (x *EngineOptions) GetReturnTokenIds() bool {
	if x != nil && x.ReturnTokenIds != nil {
		return *x.ReturnTokenIds
	}
	return false
}

func (x *EngineOptions) GetReturnPromptText() bool {
	if x != nil && x.ReturnPromptText != nil {
		return *x.ReturnPromptText
	}
	return false
}

func (x *EngineOptions) GetReturnWeightVersions() bool {
	if x != nil && x.ReturnWeightVersions != nil {
		return *x.ReturnWeightVersions
	}
	return false
}

func (x *EngineOptions) GetPromptLogprobs() int32 {
	if x != nil && x.PromptLogprobs != nil {
		return *x.PromptLogprobs
	}
	return 0
}

func (x *EngineOptions) GetRoutedExpertsPromptStart() int32 {
	if x != nil && x.RoutedExpertsPromptStart != nil {
		return *x.RoutedExpertsPromptStart
	}
	return 0
}

func (x *EngineOptions) GetDataParallelRank() int32 {
	if x != nil && x.DataParallelRank != nil {
		return *x.DataParallelRank
	}
	return 0
}

func (x *EngineOptions) GetRequestId() string {
	if x != nil {
		return x.RequestId
	}
	return ""
}

// Range of output tokens generated by one version of the weights.
type WeightVersionSpan struct {
	state         protoimpl.MessageState
	sizeCache     protoimpl.SizeCache
	unknownFields protoimpl.UnknownFields

	// Version of the weights.
	Version string `protobuf:"bytes,1,opt,name=version,proto3" json:"version,omitempty"`
	// Index of the range's first token among the output tokens of the choice.
	Start int32 `protobuf:"varint,2,opt,name=start,proto3" json:"start,omitempty"`
	// Index after the range's last token.
	End int32 `protobuf:"varint,3,opt,name=end,proto3" json:"end,omitempty"`
}

func (x *WeightVersionSpan) Reset() {
	*x = WeightVersionSpan{}
	if protoimpl.UnsafeEnabled {
		mi := &file_penstock_v1_common_proto_msgTypes[12]
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		ms.StoreMessageInfo(mi)
	}
}

func (x *WeightVersionSpan) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*WeightVersionSpan) ProtoMessage() {}

func (x *WeightVersionSpan) ProtoReflect() protoreflect.Message {
	mi := &file_penstock_v1_common_proto_msgTypes[12]
	if protoimpl.UnsafeEnabled && x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use WeightVersionSpan.ProtoReflect.Descriptor instead.
func (*WeightVersionSpan) Descriptor() ([]byte, []int) {
	return file_penstock_v1_common_proto_rawDescGZIP(), []int{12}
}

func (x *WeightVersionSpan) GetVersion() string {
	if x != nil {
		return x.Version
	}
	return ""
}

func (x *WeightVersionSpan) GetStart() int32 {
	if x != nil {
		return x.Start
	}
	return 0
}

func (x *WeightVersionSpan) GetEnd() int32 {
	if x != nil {
		return x.End
	}
	return 0
}

// Log probabilities at one position of the prompt. Empty at the first position, which has none.
type PromptTokenLogprobs struct {
	state         protoimpl.MessageState
	sizeCache     protoimpl.SizeCache
	unknownFields protoimpl.UnknownFields

	// Log probabilities of the prompt's token and of the alternatives, by token id.
	Candidates map[int32]*RankedLogprob `protobuf:"bytes,1,rep,name=candidates,proto3" json:"candidates,omitempty" protobuf_key:"varint,1,opt,name=key,proto3" protobuf_val:"bytes,2,opt,name=value,proto3"`
}

func (x *PromptTokenLogprobs) Reset() {
	*x = PromptTokenLogprobs{}
	if protoimpl.UnsafeEnabled {
		mi := &file_penstock_v1_common_proto_msgTypes[13]
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		ms.StoreMessageInfo(mi)
	}
}

func (x *PromptTokenLogprobs) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*PromptTokenLogprobs) ProtoMessage() {}

func (x *PromptTokenLogprobs) ProtoReflect() protoreflect.Message {
	mi := &file_penstock_v1_common_proto_msgTypes[13]
	if protoimpl.UnsafeEnabled && x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use PromptTokenLogprobs.ProtoReflect.Descriptor instead.
func (*PromptTokenLogprobs) Descriptor() ([]byte, []int) {
	return file_penstock_v1_common_proto_rawDescGZIP(), []int{13}
}

func (x *PromptTokenLogprobs) GetCandidates() map[int32]*RankedLogprob {
	if x != nil {
		return x.Candidates
	}
	return nil
}

// Log probability of one candidate at a prompt position.
type RankedLogprob struct {
	state         protoimpl.MessageState
	sizeCache     protoimpl.SizeCache
	unknownFields protoimpl.UnknownFields

	// Natural logarithm of the probability.
	Logprob float64 `protobuf:"fixed64,1,opt,name=logprob,proto3" json:"logprob,omitempty"`
	// Rank among all tokens; 1 is the most likely.
	Rank *int32 `protobuf:"varint,2,opt,name=rank,proto3,oneof" json:"rank,omitempty"`
	// Text of the token.
	DecodedToken *string `protobuf:"bytes,3,opt,name=decoded_token,json=decodedToken,proto3,oneof" json:"decoded_token,omitempty"`
}

func (x *RankedLogprob) Reset() {
	*x = RankedLogprob{}
	if protoimpl.UnsafeEnabled {
		mi := &file_penstock_v1_common_proto_msgTypes[14]
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		ms.StoreMessageInfo(mi)
	}
}

func (x *RankedLogprob) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*RankedLogprob) ProtoMessage() {}

func (x *RankedLogprob) ProtoReflect() protoreflect.Message {
	mi := &file_penstock_v1_common_proto_msgTypes[14]
	if protoimpl.UnsafeEnabled && x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use RankedLogprob.ProtoReflect.Descriptor instead.
func (*RankedLogprob) Descriptor() ([]byte, []int) {
	return file_penstock_v1_common_proto_rawDescGZIP(), []int{14}
}

func (x *RankedLogprob) GetLogprob() float64 {
	if x != nil {
		return x.Logprob
	}
	return 0
}

func (x *RankedLogprob) GetRank() int32 {
	if x != nil && x.Rank != nil {
		return *x.Rank
	}
	return 0
}

func (x *RankedLogprob) GetDecodedToken() string {
	if x != nil && x.DecodedToken != nil {
		return *x.DecodedToken
	}
	return ""
}

// Log probability of one generated token.
type TokenLogprob struct {
	state         protoimpl.MessageState
	sizeCache     protoimpl.SizeCache
	unknownFields protoimpl.UnknownFields

	// Text of the token, or "token_id:<id>" if LogprobOptions.tokens_as_token_ids is true. If the
	// token is only part of a character, the text is the upstream's representation of it.
	Token string `protobuf:"bytes,1,opt,name=token,proto3" json:"token,omitempty"`
	// Natural logarithm of the probability. Lower values are reported as -9999, and a value that the
	// upstream could not encode as NaN.
	Logprob float64 `protobuf:"fixed64,2,opt,name=logprob,proto3" json:"logprob,omitempty"`
	// UTF-8 bytes of the token's text. Empty if the upstream reports none. If several tokens encode
	// one character, vLLM reports the bytes of the whole character with the last token and none with
	// the others.
	Bytes []byte `protobuf:"bytes,3,opt,name=bytes,proto3" json:"bytes,omitempty"`
	// Log probabilities of alternatives at this position, most likely first. They may include the
	// chosen token.
	TopLogprobs []*TopLogprob `protobuf:"bytes,4,rep,name=top_logprobs,json=topLogprobs,proto3" json:"top_logprobs,omitempty"`
}

func (x *TokenLogprob) Reset() {
	*x = TokenLogprob{}
	if protoimpl.UnsafeEnabled {
		mi := &file_penstock_v1_common_proto_msgTypes[15]
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		ms.StoreMessageInfo(mi)
	}
}

func (x *TokenLogprob) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*TokenLogprob) ProtoMessage() {}

func (x *TokenLogprob) ProtoReflect() protoreflect.Message {
	mi := &file_penstock_v1_common_proto_msgTypes[15]
	if protoimpl.UnsafeEnabled && x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use TokenLogprob.ProtoReflect.Descriptor instead.
func (*TokenLogprob) Descriptor() ([]byte, []int) {
	return file_penstock_v1_common_proto_rawDescGZIP(), []int{15}
}

func (x *TokenLogprob) GetToken() string {
	if x != nil {
		return x.Token
	}
	return ""
}

func (x *TokenLogprob) GetLogprob() float64 {
	if x != nil {
		return x.Logprob
	}
	return 0
}

func (x *TokenLogprob) GetBytes() []byte {
	if x != nil {
		return x.Bytes
	}
	return nil
}

func (x *TokenLogprob) GetTopLogprobs() []*TopLogprob {
	if x != nil {
		return x.TopLogprobs
	}
	return nil
}

// Log probability of an alternative token.
type TopLogprob struct {
	state         protoimpl.MessageState
	sizeCache     protoimpl.SizeCache
	unknownFields protoimpl.UnknownFields

	// Text of the token, or "token_id:<id>" if LogprobOptions.tokens_as_token_ids is true.
	Token string `protobuf:"bytes,1,opt,name=token,proto3" json:"token,omitempty"`
	// Natural logarithm of the probability. Lower values are reported as -9999, and a value that the
	// upstream could not encode as NaN.
	Logprob float64 `protobuf:"fixed64,2,opt,name=logprob,proto3" json:"logprob,omitempty"`
	// UTF-8 bytes of the token's text. Empty if the upstream reports none. If several tokens encode
	// one character, vLLM reports the bytes of the whole character with the last token and none with
	// the others.
	Bytes []byte `protobuf:"bytes,3,opt,name=bytes,proto3" json:"bytes,omitempty"`
}

func (x *TopLogprob) Reset() {
	*x = TopLogprob{}
	if protoimpl.UnsafeEnabled {
		mi := &file_penstock_v1_common_proto_msgTypes[16]
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		ms.StoreMessageInfo(mi)
	}
}

func (x *TopLogprob) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*TopLogprob) ProtoMessage() {}

func (x *TopLogprob) ProtoReflect() protoreflect.Message {
	mi := &file_penstock_v1_common_proto_msgTypes[16]
	if protoimpl.UnsafeEnabled && x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use TopLogprob.ProtoReflect.Descriptor instead.
func (*TopLogprob) Descriptor() ([]byte, []int) {
	return file_penstock_v1_common_proto_rawDescGZIP(), []int{16}
}

func (x *TopLogprob) GetToken() string {
	if x != nil {
		return x.Token
	}
	return ""
}

func (x *TopLogprob) GetLogprob() float64 {
	if x != nil {
		return x.Logprob
	}
	return 0
}

func (x *TopLogprob) GetBytes() []byte {
	if x != nil {
		return x.Bytes
	}
	return nil
}

// Delivery options of a stream. Unary RPCs accept and ignore them; see "Unsupported fields" in the
// file comment.
type StreamOptions struct {
	state         protoimpl.MessageState
	sizeCache     protoimpl.SizeCache
	unknownFields protoimpl.UnknownFields

	// Whether every message carries the token counts so far. Defaults to false; the last message
	// always carries the final counts.
	ContinuousUsageStats *bool `protobuf:"varint,1,opt,name=continuous_usage_stats,json=continuousUsageStats,proto3,oneof" json:"continuous_usage_stats,omitempty"`
	// Number of tokens per message, at least 1. Larger values result in fewer and larger messages. If
	// unset, the upstream's setting applies, which is 1 by default.
	StreamInterval *int32 `protobuf:"varint,2,opt,name=stream_interval,json=streamInterval,proto3,oneof" json:"stream_interval,omitempty"`
	// Time within which pieces of the same text are merged into one message, up to a minute. The
	// server delivers them at the latest this long after the first of them arrived, and at once when
	// anything else arrives or the stream ends. The first piece of each text is never delayed, and
	// nothing is lost: content, reasoning, refusals, arguments of tool calls, log probabilities and
	// token ids are concatenated. 0 merges nothing unless the caller falls far behind. Defaults to the
	// setting of the server, which is 0 unless configured.
	MergeDeltasWithin *durationpb.Duration `protobuf:"bytes,3,opt,name=merge_deltas_within,json=mergeDeltasWithin,proto3" json:"merge_deltas_within,omitempty"`
}

func (x *StreamOptions) Reset() {
	*x = StreamOptions{}
	if protoimpl.UnsafeEnabled {
		mi := &file_penstock_v1_common_proto_msgTypes[17]
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		ms.StoreMessageInfo(mi)
	}
}

func (x *StreamOptions) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*StreamOptions) ProtoMessage() {}

func (x *StreamOptions) ProtoReflect() protoreflect.Message {
	mi := &file_penstock_v1_common_proto_msgTypes[17]
	if protoimpl.UnsafeEnabled && x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use StreamOptions.ProtoReflect.Descriptor instead.
func (*StreamOptions) Descriptor() ([]byte, []int) {
	return file_penstock_v1_common_proto_rawDescGZIP(), []int{17}
}

func (x *StreamOptions) GetContinuousUsageStats() bool {
	if x != nil && x.ContinuousUsageStats != nil {
		return *x.ContinuousUsageStats
	}
	return false
}

func (x *StreamOptions) GetStreamInterval() int32 {
	if x != nil && x.StreamInterval != nil {
		return *x.StreamInterval
	}
	return 0
}

func (x *StreamOptions) GetMergeDeltasWithin() *durationpb.Duration {
	if x != nil {
		return x.MergeDeltasWithin
	}
	return nil
}

// Options for the inputs and outputs of pooling models (embedding, classification, scoring).
type PoolingOptions struct {
	state         protoimpl.MessageState
	sizeCache     protoimpl.SizeCache
	unknownFields protoimpl.UnknownFields

	// Maximum number of tokens of each input; longer inputs are truncated. -1 stands for the maximum
	// that the model accepts. If unset, inputs are not truncated: INVALID_ARGUMENT
	// CONTEXT_LENGTH_EXCEEDED if one is too long.
	TruncatePromptTokens *int32 `protobuf:"varint,1,opt,name=truncate_prompt_tokens,json=truncatePromptTokens,proto3,oneof" json:"truncate_prompt_tokens,omitempty"`
	// Side at which `truncate_prompt_tokens` removes tokens.
	TruncationSide TruncationSide `protobuf:"varint,2,opt,name=truncation_side,json=truncationSide,proto3,enum=penstock.v1.TruncationSide" json:"truncation_side,omitempty"`
	// Padding of the inputs.
	Padding Padding `protobuf:"varint,3,opt,name=padding,proto3,enum=penstock.v1.Padding" json:"padding,omitempty"`
	// Whether the tokenizer adds its special tokens to text inputs. Defaults to true. For chat
	// inputs, use TemplateOptions.add_special_tokens. Not supported for scoring.
	AddSpecialTokens *bool `protobuf:"varint,4,opt,name=add_special_tokens,json=addSpecialTokens,proto3,oneof" json:"add_special_tokens,omitempty"`
	// Whether to apply the model's final activation: normalization of embeddings, or softmax or
	// sigmoid for classes and scores. If false, raw values are returned. Defaults to the model's
	// setting, which is normally true.
	UseActivation *bool `protobuf:"varint,5,opt,name=use_activation,json=useActivation,proto3,oneof" json:"use_activation,omitempty"`
}

func (x *PoolingOptions) Reset() {
	*x = PoolingOptions{}
	if protoimpl.UnsafeEnabled {
		mi := &file_penstock_v1_common_proto_msgTypes[18]
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		ms.StoreMessageInfo(mi)
	}
}

func (x *PoolingOptions) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*PoolingOptions) ProtoMessage() {}

func (x *PoolingOptions) ProtoReflect() protoreflect.Message {
	mi := &file_penstock_v1_common_proto_msgTypes[18]
	if protoimpl.UnsafeEnabled && x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use PoolingOptions.ProtoReflect.Descriptor instead.
func (*PoolingOptions) Descriptor() ([]byte, []int) {
	return file_penstock_v1_common_proto_rawDescGZIP(), []int{18}
}

func (x *PoolingOptions) GetTruncatePromptTokens() int32 {
	if x != nil && x.TruncatePromptTokens != nil {
		return *x.TruncatePromptTokens
	}
	return 0
}

func (x *PoolingOptions) GetTruncationSide() TruncationSide {
	if x != nil {
		return x.TruncationSide
	}
	return TruncationSide_TRUNCATION_SIDE_UNSPECIFIED
}

func (x *PoolingOptions) GetPadding() Padding {
	if x != nil {
		return x.Padding
	}
	return Padding_PADDING_UNSPECIFIED
}

func (x *PoolingOptions) GetAddSpecialTokens() bool {
	if x != nil && x.AddSpecialTokens != nil {
		return *x.AddSpecialTokens
	}
	return false
}

func (x *PoolingOptions) GetUseActivation() bool {
	if x != nil && x.UseActivation != nil {
		return *x.UseActivation
	}
	return false
}

// A vector of 32-bit floats.
type FloatVector struct {
	state         protoimpl.MessageState
	sizeCache     protoimpl.SizeCache
	unknownFields protoimpl.UnknownFields

	// Values of the vector. NaN and infinities are possible.
	Values []float32 `protobuf:"fixed32,1,rep,packed,name=values,proto3" json:"values,omitempty"`
}

func (x *FloatVector) Reset() {
	*x = FloatVector{}
	if protoimpl.UnsafeEnabled {
		mi := &file_penstock_v1_common_proto_msgTypes[19]
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		ms.StoreMessageInfo(mi)
	}
}

func (x *FloatVector) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*FloatVector) ProtoMessage() {}

func (x *FloatVector) ProtoReflect() protoreflect.Message {
	mi := &file_penstock_v1_common_proto_msgTypes[19]
	if protoimpl.UnsafeEnabled && x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use FloatVector.ProtoReflect.Descriptor instead.
func (*FloatVector) Descriptor() ([]byte, []int) {
	return file_penstock_v1_common_proto_rawDescGZIP(), []int{19}
}

func (x *FloatVector) GetValues() []float32 {
	if x != nil {
		return x.Values
	}
	return nil
}

// A vector in a compact number format.
type PackedVector struct {
	state         protoimpl.MessageState
	sizeCache     protoimpl.SizeCache
	unknownFields protoimpl.UnknownFields

	// Number format of the values.
	Dtype VectorDtype `protobuf:"varint,1,opt,name=dtype,proto3,enum=penstock.v1.VectorDtype" json:"dtype,omitempty"`
	// Number of values.
	Dimensions int32 `protobuf:"varint,2,opt,name=dimensions,proto3" json:"dimensions,omitempty"`
	// Consecutive values, always little-endian.
	Data []byte `protobuf:"bytes,3,opt,name=data,proto3" json:"data,omitempty"`
}

func (x *PackedVector) Reset() {
	*x = PackedVector{}
	if protoimpl.UnsafeEnabled {
		mi := &file_penstock_v1_common_proto_msgTypes[20]
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		ms.StoreMessageInfo(mi)
	}
}

func (x *PackedVector) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*PackedVector) ProtoMessage() {}

func (x *PackedVector) ProtoReflect() protoreflect.Message {
	mi := &file_penstock_v1_common_proto_msgTypes[20]
	if protoimpl.UnsafeEnabled && x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use PackedVector.ProtoReflect.Descriptor instead.
func (*PackedVector) Descriptor() ([]byte, []int) {
	return file_penstock_v1_common_proto_rawDescGZIP(), []int{20}
}

func (x *PackedVector) GetDtype() VectorDtype {
	if x != nil {
		return x.Dtype
	}
	return VectorDtype_VECTOR_DTYPE_UNSPECIFIED
}

func (x *PackedVector) GetDimensions() int32 {
	if x != nil {
		return x.Dimensions
	}
	return 0
}

func (x *PackedVector) GetData() []byte {
	if x != nil {
		return x.Data
	}
	return nil
}

// Several vectors of the same length, for example one per token.
type MultiVector struct {
	state         protoimpl.MessageState
	sizeCache     protoimpl.SizeCache
	unknownFields protoimpl.UnknownFields

	// Vectors, in token order.
	Vectors []*FloatVector `protobuf:"bytes,1,rep,name=vectors,proto3" json:"vectors,omitempty"`
}

func (x *MultiVector) Reset() {
	*x = MultiVector{}
	if protoimpl.UnsafeEnabled {
		mi := &file_penstock_v1_common_proto_msgTypes[21]
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		ms.StoreMessageInfo(mi)
	}
}

func (x *MultiVector) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*MultiVector) ProtoMessage() {}

func (x *MultiVector) ProtoReflect() protoreflect.Message {
	mi := &file_penstock_v1_common_proto_msgTypes[21]
	if protoimpl.UnsafeEnabled && x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use MultiVector.ProtoReflect.Descriptor instead.
func (*MultiVector) Descriptor() ([]byte, []int) {
	return file_penstock_v1_common_proto_rawDescGZIP(), []int{21}
}

func (x *MultiVector) GetVectors() []*FloatVector {
	if x != nil {
		return x.Vectors
	}
	return nil
}

// Several vectors of the same length, in a compact number format.
type PackedMultiVector struct {
	state         protoimpl.MessageState
	sizeCache     protoimpl.SizeCache
	unknownFields protoimpl.UnknownFields

	// Number format of the values.
	Dtype VectorDtype `protobuf:"varint,1,opt,name=dtype,proto3,enum=penstock.v1.VectorDtype" json:"dtype,omitempty"`
	// Number of vectors.
	Rows int32 `protobuf:"varint,2,opt,name=rows,proto3" json:"rows,omitempty"`
	// Number of values in each vector.
	Dimensions int32 `protobuf:"varint,3,opt,name=dimensions,proto3" json:"dimensions,omitempty"`
	// Consecutive vectors, row by row, always little-endian.
	Data []byte `protobuf:"bytes,4,opt,name=data,proto3" json:"data,omitempty"`
}

func (x *PackedMultiVector) Reset() {
	*x = PackedMultiVector{}
	if protoimpl.UnsafeEnabled {
		mi := &file_penstock_v1_common_proto_msgTypes[22]
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		ms.StoreMessageInfo(mi)
	}
}

func (x *PackedMultiVector) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*PackedMultiVector) ProtoMessage() {}

func (x *PackedMultiVector) ProtoReflect() protoreflect.Message {
	mi := &file_penstock_v1_common_proto_msgTypes[22]
	if protoimpl.UnsafeEnabled && x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use PackedMultiVector.ProtoReflect.Descriptor instead.
func (*PackedMultiVector) Descriptor() ([]byte, []int) {
	return file_penstock_v1_common_proto_rawDescGZIP(), []int{22}
}

func (x *PackedMultiVector) GetDtype() VectorDtype {
	if x != nil {
		return x.Dtype
	}
	return VectorDtype_VECTOR_DTYPE_UNSPECIFIED
}

func (x *PackedMultiVector) GetRows() int32 {
	if x != nil {
		return x.Rows
	}
	return 0
}

func (x *PackedMultiVector) GetDimensions() int32 {
	if x != nil {
		return x.Dimensions
	}
	return 0
}

func (x *PackedMultiVector) GetData() []byte {
	if x != nil {
		return x.Data
	}
	return nil
}

// Outputs of a StructuredOutputs.choice constraint.
type StructuredOutputs_Choices struct {
	state         protoimpl.MessageState
	sizeCache     protoimpl.SizeCache
	unknownFields protoimpl.UnknownFields

	// Allowed outputs. At least one is required.
	Choices []string `protobuf:"bytes,1,rep,name=choices,proto3" json:"choices,omitempty"`
}

func (x *StructuredOutputs_Choices) Reset() {
	*x = StructuredOutputs_Choices{}
	if protoimpl.UnsafeEnabled {
		mi := &file_penstock_v1_common_proto_msgTypes[25]
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		ms.StoreMessageInfo(mi)
	}
}

func (x *StructuredOutputs_Choices) String() string {
	return protoimpl.X.MessageStringOf(x)
}

func (*StructuredOutputs_Choices) ProtoMessage() {}

func (x *StructuredOutputs_Choices) ProtoReflect() protoreflect.Message {
	mi := &file_penstock_v1_common_proto_msgTypes[25]
	if protoimpl.UnsafeEnabled && x != nil {
		ms := protoimpl.X.MessageStateOf(protoimpl.Pointer(x))
		if ms.LoadMessageInfo() == nil {
			ms.StoreMessageInfo(mi)
		}
		return ms
	}
	return mi.MessageOf(x)
}

// Deprecated: Use StructuredOutputs_Choices.ProtoReflect.Descriptor instead.
func (*StructuredOutputs_Choices) Descriptor() ([]byte, []int) {
	return file_penstock_v1_common_proto_rawDescGZIP(), []int{9, 0}
}

func (x *StructuredOutputs_Choices) GetChoices() []string {
	if x != nil {
		return x.Choices
	}
	return nil
}

var File_penstock_v1_common_proto protoreflect.FileDescriptor

var file_penstock_v1_common_proto_rawDesc = []byte{
	0x0a, 0x18, 0x70, 0x65, 0x6e, 0x73, 0x74, 0x6f, 0x63, 0x6b, 0x2f, 0x76, 0x31, 0x2f, 0x63, 0x6f,
	0x6d, 0x6d, 0x6f, 0x6e, 0x2e, 0x70, 0x72, 0x6f, 0x74, 0x6f, 0x12, 0x0b, 0x70, 0x65, 0x6e, 0x73,
	0x74, 0x6f, 0x63, 0x6b, 0x2e, 0x76, 0x31, 0x1a, 0x1e, 0x67, 0x6f, 0x6f, 0x67, 0x6c, 0x65, 0x2f,
	0x70, 0x72, 0x6f, 0x74, 0x6f, 0x62, 0x75, 0x66, 0x2f, 0x64, 0x75, 0x72, 0x61, 0x74, 0x69, 0x6f,
	0x6e, 0x2e, 0x70, 0x72, 0x6f, 0x74, 0x6f, 0x1a, 0x1c, 0x67, 0x6f, 0x6f, 0x67, 0x6c, 0x65, 0x2f,
	0x70, 0x72, 0x6f, 0x74, 0x6f, 0x62, 0x75, 0x66, 0x2f, 0x73, 0x74, 0x72, 0x75, 0x63, 0x74, 0x2e,
	0x70, 0x72, 0x6f, 0x74, 0x6f, 0x22, 0x1c, 0x0a, 0x08, 0x54, 0x6f, 0x6b, 0x65, 0x6e, 0x49, 0x64,
	0x73, 0x12, 0x10, 0x0a, 0x03, 0x69, 0x64, 0x73, 0x18, 0x01, 0x20, 0x03, 0x28, 0x05, 0x52, 0x03,
	0x69, 0x64, 0x73, 0x22, 0x63, 0x0a, 0x0c, 0x4a, 0x73, 0x6f, 0x6e, 0x44, 0x6f, 0x63, 0x75, 0x6d,
	0x65, 0x6e, 0x74, 0x12, 0x14, 0x0a, 0x04, 0x6a, 0x73, 0x6f, 0x6e, 0x18, 0x01, 0x20, 0x01, 0x28,
	0x09, 0x48, 0x00, 0x52, 0x04, 0x6a, 0x73, 0x6f, 0x6e, 0x12, 0x31, 0x0a, 0x06, 0x6f, 0x62, 0x6a,
	0x65, 0x63, 0x74, 0x18, 0x02, 0x20, 0x01, 0x28, 0x0b, 0x32, 0x17, 0x2e, 0x67, 0x6f, 0x6f, 0x67,
	0x6c, 0x65, 0x2e, 0x70, 0x72, 0x6f, 0x74, 0x6f, 0x62, 0x75, 0x66, 0x2e, 0x53, 0x74, 0x72, 0x75,
	0x63, 0x74, 0x48, 0x00, 0x52, 0x06, 0x6f, 0x62, 0x6a, 0x65, 0x63, 0x74, 0x42, 0x0a, 0x0a, 0x08,
	0x64, 0x6f, 0x63, 0x75, 0x6d, 0x65, 0x6e, 0x74, 0x22, 0xe5, 0x02, 0x0a, 0x05, 0x55, 0x73, 0x61,
	0x67, 0x65, 0x12, 0x23, 0x0a, 0x0d, 0x70, 0x72, 0x6f, 0x6d, 0x70, 0x74, 0x5f, 0x74, 0x6f, 0x6b,
	0x65, 0x6e, 0x73, 0x18, 0x01, 0x20, 0x01, 0x28, 0x05, 0x52, 0x0c, 0x70, 0x72, 0x6f, 0x6d, 0x70,
	0x74, 0x54, 0x6f, 0x6b, 0x65, 0x6e, 0x73, 0x12, 0x2b, 0x0a, 0x11, 0x63, 0x6f, 0x6d, 0x70, 0x6c,
	0x65, 0x74, 0x69, 0x6f, 0x6e, 0x5f, 0x74, 0x6f, 0x6b, 0x65, 0x6e, 0x73, 0x18, 0x02, 0x20, 0x01,
	0x28, 0x05, 0x52, 0x10, 0x63, 0x6f, 0x6d, 0x70, 0x6c, 0x65, 0x74, 0x69, 0x6f, 0x6e, 0x54, 0x6f,
	0x6b, 0x65, 0x6e, 0x73, 0x12, 0x21, 0x0a, 0x0c, 0x74, 0x6f, 0x74, 0x61, 0x6c, 0x5f, 0x74, 0x6f,
	0x6b, 0x65, 0x6e, 0x73, 0x18, 0x03, 0x20, 0x01, 0x28, 0x05, 0x52, 0x0b, 0x74, 0x6f, 0x74, 0x61,
	0x6c, 0x54, 0x6f, 0x6b, 0x65, 0x6e, 0x73, 0x12, 0x54, 0x0a, 0x15, 0x70, 0x72, 0x6f, 0x6d, 0x70,
	0x74, 0x5f, 0x74, 0x6f, 0x6b, 0x65, 0x6e, 0x73, 0x5f, 0x64, 0x65, 0x74, 0x61, 0x69, 0x6c, 0x73,
	0x18, 0x04, 0x20, 0x01, 0x28, 0x0b, 0x32, 0x20, 0x2e, 0x70, 0x65, 0x6e, 0x73, 0x74, 0x6f, 0x63,
	0x6b, 0x2e, 0x76, 0x31, 0x2e, 0x50, 0x72, 0x6f, 0x6d, 0x70, 0x74, 0x54, 0x6f, 0x6b, 0x65, 0x6e,
	0x73, 0x44, 0x65, 0x74, 0x61, 0x69, 0x6c, 0x73, 0x52, 0x13, 0x70, 0x72, 0x6f, 0x6d, 0x70, 0x74,
	0x54, 0x6f, 0x6b, 0x65, 0x6e, 0x73, 0x44, 0x65, 0x74, 0x61, 0x69, 0x6c, 0x73, 0x12, 0x60, 0x0a,
	0x19, 0x63, 0x6f, 0x6d, 0x70, 0x6c, 0x65, 0x74, 0x69, 0x6f, 0x6e, 0x5f, 0x74, 0x6f, 0x6b, 0x65,
	0x6e, 0x73, 0x5f, 0x64, 0x65, 0x74, 0x61, 0x69, 0x6c, 0x73, 0x18, 0x05, 0x20, 0x01, 0x28, 0x0b,
	0x32, 0x24, 0x2e, 0x70, 0x65, 0x6e, 0x73, 0x74, 0x6f, 0x63, 0x6b, 0x2e, 0x76, 0x31, 0x2e, 0x43,
	0x6f, 0x6d, 0x70, 0x6c, 0x65, 0x74, 0x69, 0x6f, 0x6e, 0x54, 0x6f, 0x6b, 0x65, 0x6e, 0x73, 0x44,
	0x65, 0x74, 0x61, 0x69, 0x6c, 0x73, 0x52, 0x17, 0x63, 0x6f, 0x6d, 0x70, 0x6c, 0x65, 0x74, 0x69,
	0x6f, 0x6e, 0x54, 0x6f, 0x6b, 0x65, 0x6e, 0x73, 0x44, 0x65, 0x74, 0x61, 0x69, 0x6c, 0x73, 0x12,
	0x2f, 0x0a, 0x05, 0x65, 0x78, 0x74, 0x72, 0x61, 0x18, 0x64, 0x20, 0x01, 0x28, 0x0b, 0x32, 0x19,
	0x2e, 0x70, 0x65, 0x6e, 0x73, 0x74, 0x6f, 0x63, 0x6b, 0x2e, 0x76, 0x31, 0x2e, 0x4a, 0x73, 0x6f,
	0x6e, 0x44, 0x6f, 0x63, 0x75, 0x6d, 0x65, 0x6e, 0x74, 0x52, 0x05, 0x65, 0x78, 0x74, 0x72, 0x61,
	0x22, 0xcb, 0x02, 0x0a, 0x13, 0x50, 0x72, 0x6f, 0x6d, 0x70, 0x74, 0x54, 0x6f, 0x6b, 0x65, 0x6e,
	0x73, 0x44, 0x65, 0x74, 0x61, 0x69, 0x6c, 0x73, 0x12, 0x28, 0x0a, 0x0d, 0x63, 0x61, 0x63, 0x68,
	0x65, 0x64, 0x5f, 0x74, 0x6f, 0x6b, 0x65, 0x6e, 0x73, 0x18, 0x01, 0x20, 0x01, 0x28, 0x05, 0x48,
	0x00, 0x52, 0x0c, 0x63, 0x61, 0x63, 0x68, 0x65, 0x64, 0x54, 0x6f, 0x6b, 0x65, 0x6e, 0x73, 0x88,
	0x01, 0x01, 0x12, 0x35, 0x0a, 0x14, 0x63, 0x72, 0x65, 0x61, 0x74, 0x65, 0x64, 0x5f, 0x63, 0x61,
	0x63, 0x68, 0x65, 0x5f, 0x74, 0x6f, 0x6b, 0x65, 0x6e, 0x73, 0x18, 0x02, 0x20, 0x01, 0x28, 0x05,
	0x48, 0x01, 0x52, 0x12, 0x63, 0x72, 0x65, 0x61, 0x74, 0x65, 0x64, 0x43, 0x61, 0x63, 0x68, 0x65,
	0x54, 0x6f, 0x6b, 0x65, 0x6e, 0x73, 0x88, 0x01, 0x01, 0x12, 0x63, 0x0a, 0x11, 0x6d, 0x75, 0x6c,
	0x74, 0x69, 0x6d, 0x6f, 0x64, 0x61, 0x6c, 0x5f, 0x74, 0x6f, 0x6b, 0x65, 0x6e, 0x73, 0x18, 0x03,
	0x20, 0x03, 0x28, 0x0b, 0x32, 0x36, 0x2e, 0x70, 0x65, 0x6e, 0x73, 0x74, 0x6f, 0x63, 0x6b, 0x2e,
	0x76, 0x31, 0x2e, 0x50, 0x72, 0x6f, 0x6d, 0x70, 0x74, 0x54, 0x6f, 0x6b, 0x65, 0x6e, 0x73, 0x44,
	0x65, 0x74, 0x61, 0x69, 0x6c, 0x73, 0x2e, 0x4d, 0x75, 0x6c, 0x74, 0x69, 0x6d, 0x6f, 0x64, 0x61,
	0x6c, 0x54, 0x6f, 0x6b, 0x65, 0x6e, 0x73, 0x45, 0x6e, 0x74, 0x72, 0x79, 0x52, 0x10, 0x6d, 0x75,
	0x6c, 0x74, 0x69, 0x6d, 0x6f, 0x64, 0x61, 0x6c, 0x54, 0x6f, 0x6b, 0x65, 0x6e, 0x73, 0x1a, 0x43,
	0x0a, 0x15, 0x4d, 0x75, 0x6c, 0x74, 0x69, 0x6d, 0x6f, 0x64, 0x61, 0x6c, 0x54, 0x6f, 0x6b, 0x65,
	0x6e, 0x73, 0x45, 0x6e, 0x74, 0x72, 0x79, 0x12, 0x10, 0x0a, 0x03, 0x6b, 0x65, 0x79, 0x18, 0x01,
	0x20, 0x01, 0x28, 0x09, 0x52, 0x03, 0x6b, 0x65, 0x79, 0x12, 0x14, 0x0a, 0x05, 0x76, 0x61, 0x6c,
	0x75, 0x65, 0x18, 0x02, 0x20, 0x01, 0x28, 0x05, 0x52, 0x05, 0x76, 0x61, 0x6c, 0x75, 0x65, 0x3a,
	0x02, 0x38, 0x01, 0x42, 0x10, 0x0a, 0x0e, 0x5f, 0x63, 0x61, 0x63, 0x68, 0x65, 0x64, 0x5f, 0x74,
	0x6f, 0x6b, 0x65, 0x6e, 0x73, 0x42, 0x17, 0x0a, 0x15, 0x5f, 0x63, 0x72, 0x65, 0x61, 0x74, 0x65,
	0x64, 0x5f, 0x63, 0x61, 0x63, 0x68, 0x65, 0x5f, 0x74, 0x6f, 0x6b, 0x65, 0x6e, 0x73, 0x22, 0x5e,
	0x0a, 0x17, 0x43, 0x6f, 0x6d, 0x70, 0x6c, 0x65, 0x74, 0x69, 0x6f, 0x6e, 0x54, 0x6f, 0x6b, 0x65,
	0x6e, 0x73, 0x44, 0x65, 0x74, 0x61, 0x69, 0x6c, 0x73, 0x12, 0x2e, 0x0a, 0x10, 0x72, 0x65, 0x61,
	0x73, 0x6f, 0x6e, 0x69, 0x6e, 0x67, 0x5f, 0x74, 0x6f, 0x6b, 0x65, 0x6e, 0x73, 0x18, 0x01, 0x20,
	0x01, 0x28, 0x05, 0x48, 0x00, 0x52, 0x0f, 0x72, 0x65, 0x61, 0x73, 0x6f, 0x6e, 0x69, 0x6e, 0x67,
	0x54, 0x6f, 0x6b, 0x65, 0x6e, 0x73, 0x88, 0x01, 0x01, 0x42, 0x13, 0x0a, 0x11, 0x5f, 0x72, 0x65,
	0x61, 0x73, 0x6f, 0x6e, 0x69, 0x6e, 0x67, 0x5f, 0x74, 0x6f, 0x6b, 0x65, 0x6e, 0x73, 0x22, 0xf2,
	0x03, 0x0a, 0x0e, 0x52, 0x65, 0x71, 0x75, 0x65, 0x73, 0x74, 0x4d, 0x65, 0x74, 0x72, 0x69, 0x63,
	0x73, 0x12, 0x48, 0x0a, 0x13, 0x74, 0x69, 0x6d, 0x65, 0x5f, 0x74, 0x6f, 0x5f, 0x66, 0x69, 0x72,
	0x73, 0x74, 0x5f, 0x74, 0x6f, 0x6b, 0x65, 0x6e, 0x18, 0x01, 0x20, 0x01, 0x28, 0x0b, 0x32, 0x19,
	0x2e, 0x67, 0x6f, 0x6f, 0x67, 0x6c, 0x65, 0x2e, 0x70, 0x72, 0x6f, 0x74, 0x6f, 0x62, 0x75, 0x66,
	0x2e, 0x44, 0x75, 0x72, 0x61, 0x74, 0x69, 0x6f, 0x6e, 0x52, 0x10, 0x74, 0x69, 0x6d, 0x65, 0x54,
	0x6f, 0x46, 0x69, 0x72, 0x73, 0x74, 0x54, 0x6f, 0x6b, 0x65, 0x6e, 0x12, 0x42, 0x0a, 0x0f, 0x67,
	0x65, 0x6e, 0x65, 0x72, 0x61, 0x74, 0x69, 0x6f, 0x6e, 0x5f, 0x74, 0x69, 0x6d, 0x65, 0x18, 0x02,
	0x20, 0x01, 0x28, 0x0b, 0x32, 0x19, 0x2e, 0x67, 0x6f, 0x6f, 0x67, 0x6c, 0x65, 0x2e, 0x70, 0x72,
	0x6f, 0x74, 0x6f, 0x62, 0x75, 0x66, 0x2e, 0x44, 0x75, 0x72, 0x61, 0x74, 0x69, 0x6f, 0x6e, 0x52,
	0x0e, 0x67, 0x65, 0x6e, 0x65, 0x72, 0x61, 0x74, 0x69, 0x6f, 0x6e, 0x54, 0x69, 0x6d, 0x65, 0x12,
	0x38, 0x0a, 0x0a, 0x71, 0x75, 0x65, 0x75, 0x65, 0x5f, 0x74, 0x69, 0x6d, 0x65, 0x18, 0x03, 0x20,
	0x01, 0x28, 0x0b, 0x32, 0x19, 0x2e, 0x67, 0x6f, 0x6f, 0x67, 0x6c, 0x65, 0x2e, 0x70, 0x72, 0x6f,
	0x74, 0x6f, 0x62, 0x75, 0x66, 0x2e, 0x44, 0x75, 0x72, 0x61, 0x74, 0x69, 0x6f, 0x6e, 0x52, 0x09,
	0x71, 0x75, 0x65, 0x75, 0x65, 0x54, 0x69, 0x6d, 0x65, 0x12, 0x52, 0x0a, 0x18, 0x6d, 0x65, 0x61,
	0x6e, 0x5f, 0x69, 0x6e, 0x74, 0x65, 0x72, 0x5f, 0x74, 0x6f, 0x6b, 0x65, 0x6e, 0x5f, 0x6c, 0x61,
	0x74, 0x65, 0x6e, 0x63, 0x79, 0x18, 0x04, 0x20, 0x01, 0x28, 0x0b, 0x32, 0x19, 0x2e, 0x67, 0x6f,
	0x6f, 0x67, 0x6c, 0x65, 0x2e, 0x70, 0x72, 0x6f, 0x74, 0x6f, 0x62, 0x75, 0x66, 0x2e, 0x44, 0x75,
	0x72, 0x61, 0x74, 0x69, 0x6f, 0x6e, 0x52, 0x15, 0x6d, 0x65, 0x61, 0x6e, 0x49, 0x6e, 0x74, 0x65,
	0x72, 0x54, 0x6f, 0x6b, 0x65, 0x6e, 0x4c, 0x61, 0x74, 0x65, 0x6e, 0x63, 0x79, 0x12, 0x2f, 0x0a,
	0x11, 0x74, 0x6f, 0x6b, 0x65, 0x6e, 0x73, 0x5f, 0x70, 0x65, 0x72, 0x5f, 0x73, 0x65, 0x63, 0x6f,
	0x6e, 0x64, 0x18, 0x05, 0x20, 0x01, 0x28, 0x01, 0x48, 0x00, 0x52, 0x0f, 0x74, 0x6f, 0x6b, 0x65,
	0x6e, 0x73, 0x50, 0x65, 0x72, 0x53, 0x65, 0x63, 0x6f, 0x6e, 0x64, 0x88, 0x01, 0x01, 0x12, 0x4c,
	0x0a, 0x14, 0x73, 0x70, 0x65, 0x63, 0x75, 0x6c, 0x61, 0x74, 0x69, 0x76, 0x65, 0x5f, 0x64, 0x65,
	0x63, 0x6f, 0x64, 0x69, 0x6e, 0x67, 0x18, 0x06, 0x20, 0x01, 0x28, 0x0b, 0x32, 0x19, 0x2e, 0x70,
	0x65, 0x6e, 0x73, 0x74, 0x6f, 0x63, 0x6b, 0x2e, 0x76, 0x31, 0x2e, 0x4a, 0x73, 0x6f, 0x6e, 0x44,
	0x6f, 0x63, 0x75, 0x6d, 0x65, 0x6e, 0x74, 0x52, 0x13, 0x73, 0x70, 0x65, 0x63, 0x75, 0x6c, 0x61,
	0x74, 0x69, 0x76, 0x65, 0x44, 0x65, 0x63, 0x6f, 0x64, 0x69, 0x6e, 0x67, 0x12, 0x2f, 0x0a, 0x05,
	0x65, 0x78, 0x74, 0x72, 0x61, 0x18, 0x64, 0x20, 0x01, 0x28, 0x0b, 0x32, 0x19, 0x2e, 0x70, 0x65,
	0x6e, 0x73, 0x74, 0x6f, 0x63, 0x6b, 0x2e, 0x76, 0x31, 0x2e, 0x4a, 0x73, 0x6f, 0x6e, 0x44, 0x6f,
	0x63, 0x75, 0x6d, 0x65, 0x6e, 0x74, 0x52, 0x05, 0x65, 0x78, 0x74, 0x72, 0x61, 0x42, 0x14, 0x0a,
	0x12, 0x5f, 0x74, 0x6f, 0x6b, 0x65, 0x6e, 0x73, 0x5f, 0x70, 0x65, 0x72, 0x5f, 0x73, 0x65, 0x63,
	0x6f, 0x6e, 0x64, 0x22, 0x86, 0x01, 0x0a, 0x13, 0x52, 0x65, 0x70, 0x65, 0x74, 0x69, 0x74, 0x69,
	0x6f, 0x6e, 0x44, 0x65, 0x74, 0x65, 0x63, 0x74, 0x69, 0x6f, 0x6e, 0x12, 0x28, 0x0a, 0x10, 0x6d,
	0x61, 0x78, 0x5f, 0x70, 0x61, 0x74, 0x74, 0x65, 0x72, 0x6e, 0x5f, 0x73, 0x69, 0x7a, 0x65, 0x18,
	0x01, 0x20, 0x01, 0x28, 0x05, 0x52, 0x0e, 0x6d, 0x61, 0x78, 0x50, 0x61, 0x74, 0x74, 0x65, 0x72,
	0x6e, 0x53, 0x69, 0x7a, 0x65, 0x12, 0x28, 0x0a, 0x10, 0x6d, 0x69, 0x6e, 0x5f, 0x70, 0x61, 0x74,
	0x74, 0x65, 0x72, 0x6e, 0x5f, 0x73, 0x69, 0x7a, 0x65, 0x18, 0x02, 0x20, 0x01, 0x28, 0x05, 0x52,
	0x0e, 0x6d, 0x69, 0x6e, 0x50, 0x61, 0x74, 0x74, 0x65, 0x72, 0x6e, 0x53, 0x69, 0x7a, 0x65, 0x12,
	0x1b, 0x0a, 0x09, 0x6d, 0x69, 0x6e, 0x5f, 0x63, 0x6f, 0x75, 0x6e, 0x74, 0x18, 0x03, 0x20, 0x01,
	0x28, 0x05, 0x52, 0x08, 0x6d, 0x69, 0x6e, 0x43, 0x6f, 0x75, 0x6e, 0x74, 0x22, 0x80, 0x0d, 0x0a,
	0x0e, 0x53, 0x61, 0x6d, 0x70, 0x6c, 0x69, 0x6e, 0x67, 0x50, 0x61, 0x72, 0x61, 0x6d, 0x73, 0x12,
	0x25, 0x0a, 0x0b, 0x74, 0x65, 0x6d, 0x70, 0x65, 0x72, 0x61, 0x74, 0x75, 0x72, 0x65, 0x18, 0x01,
	0x20, 0x01, 0x28, 0x01, 0x48, 0x00, 0x52, 0x0b, 0x74, 0x65, 0x6d, 0x70, 0x65, 0x72, 0x61, 0x74,
	0x75, 0x72, 0x65, 0x88, 0x01, 0x01, 0x12, 0x18, 0x0a, 0x05, 0x74, 0x6f, 0x70, 0x5f, 0x70, 0x18,
	0x02, 0x20, 0x01, 0x28, 0x01, 0x48, 0x01, 0x52, 0x04, 0x74, 0x6f, 0x70, 0x50, 0x88, 0x01, 0x01,
	0x12, 0x18, 0x0a, 0x05, 0x74, 0x6f, 0x70, 0x5f, 0x6b, 0x18, 0x03, 0x20, 0x01, 0x28, 0x05, 0x48,
	0x02, 0x52, 0x04, 0x74, 0x6f, 0x70, 0x4b, 0x88, 0x01, 0x01, 0x12, 0x18, 0x0a, 0x05, 0x6d, 0x69,
	0x6e, 0x5f, 0x70, 0x18, 0x04, 0x20, 0x01, 0x28, 0x01, 0x48, 0x03, 0x52, 0x04, 0x6d, 0x69, 0x6e,
	0x50, 0x88, 0x01, 0x01, 0x12, 0x30, 0x0a, 0x11, 0x66, 0x72, 0x65, 0x71, 0x75, 0x65, 0x6e, 0x63,
	0x79, 0x5f, 0x70, 0x65, 0x6e, 0x61, 0x6c, 0x74, 0x79, 0x18, 0x05, 0x20, 0x01, 0x28, 0x01, 0x48,
	0x04, 0x52, 0x10, 0x66, 0x72, 0x65, 0x71, 0x75, 0x65, 0x6e, 0x63, 0x79, 0x50, 0x65, 0x6e, 0x61,
	0x6c, 0x74, 0x79, 0x88, 0x01, 0x01, 0x12, 0x2e, 0x0a, 0x10, 0x70, 0x72, 0x65, 0x73, 0x65, 0x6e,
	0x63, 0x65, 0x5f, 0x70, 0x65, 0x6e, 0x61, 0x6c, 0x74, 0x79, 0x18, 0x06, 0x20, 0x01, 0x28, 0x01,
	0x48, 0x05, 0x52, 0x0f, 0x70, 0x72, 0x65, 0x73, 0x65, 0x6e, 0x63, 0x65, 0x50, 0x65, 0x6e, 0x61,
	0x6c, 0x74, 0x79, 0x88, 0x01, 0x01, 0x12, 0x32, 0x0a, 0x12, 0x72, 0x65, 0x70, 0x65, 0x74, 0x69,
	0x74, 0x69, 0x6f, 0x6e, 0x5f, 0x70, 0x65, 0x6e, 0x61, 0x6c, 0x74, 0x79, 0x18, 0x07, 0x20, 0x01,
	0x28, 0x01, 0x48, 0x06, 0x52, 0x11, 0x72, 0x65, 0x70, 0x65, 0x74, 0x69, 0x74, 0x69, 0x6f, 0x6e,
	0x50, 0x65, 0x6e, 0x61, 0x6c, 0x74, 0x79, 0x88, 0x01, 0x01, 0x12, 0x2a, 0x0a, 0x0e, 0x6c, 0x65,
	0x6e, 0x67, 0x74, 0x68, 0x5f, 0x70, 0x65, 0x6e, 0x61, 0x6c, 0x74, 0x79, 0x18, 0x08, 0x20, 0x01,
	0x28, 0x01, 0x48, 0x07, 0x52, 0x0d, 0x6c, 0x65, 0x6e, 0x67, 0x74, 0x68, 0x50, 0x65, 0x6e, 0x61,
	0x6c, 0x74, 0x79, 0x88, 0x01, 0x01, 0x12, 0x17, 0x0a, 0x04, 0x73, 0x65, 0x65, 0x64, 0x18, 0x09,
	0x20, 0x01, 0x28, 0x03, 0x48, 0x08, 0x52, 0x04, 0x73, 0x65, 0x65, 0x64, 0x88, 0x01, 0x01, 0x12,
	0x22, 0x0a, 0x0a, 0x6d, 0x61, 0x78, 0x5f, 0x74, 0x6f, 0x6b, 0x65, 0x6e, 0x73, 0x18, 0x0a, 0x20,
	0x01, 0x28, 0x05, 0x48, 0x09, 0x52, 0x09, 0x6d, 0x61, 0x78, 0x54, 0x6f, 0x6b, 0x65, 0x6e, 0x73,
	0x88, 0x01, 0x01, 0x12, 0x22, 0x0a, 0x0a, 0x6d, 0x69, 0x6e, 0x5f, 0x74, 0x6f, 0x6b, 0x65, 0x6e,
	0x73, 0x18, 0x0b, 0x20, 0x01, 0x28, 0x05, 0x48, 0x0a, 0x52, 0x09, 0x6d, 0x69, 0x6e, 0x54, 0x6f,
	0x6b, 0x65, 0x6e, 0x73, 0x88, 0x01, 0x01, 0x12, 0x11, 0x0a, 0x01, 0x6e, 0x18, 0x0c, 0x20, 0x01,
	0x28, 0x05, 0x48, 0x0b, 0x52, 0x01, 0x6e, 0x88, 0x01, 0x01, 0x12, 0x2b, 0x0a, 0x0f, 0x75, 0x73,
	0x65, 0x5f, 0x62, 0x65, 0x61, 0x6d, 0x5f, 0x73, 0x65, 0x61, 0x72, 0x63, 0x68, 0x18, 0x0d, 0x20,
	0x01, 0x28, 0x08, 0x48, 0x0c, 0x52, 0x0d, 0x75, 0x73, 0x65, 0x42, 0x65, 0x61, 0x6d, 0x53, 0x65,
	0x61, 0x72, 0x63, 0x68, 0x88, 0x01, 0x01, 0x12, 0x12, 0x0a, 0x04, 0x73, 0x74, 0x6f, 0x70, 0x18,
	0x0e, 0x20, 0x03, 0x28, 0x09, 0x52, 0x04, 0x73, 0x74, 0x6f, 0x70, 0x12, 0x24, 0x0a, 0x0e, 0x73,
	0x74, 0x6f, 0x70, 0x5f, 0x74, 0x6f, 0x6b, 0x65, 0x6e, 0x5f, 0x69, 0x64, 0x73, 0x18, 0x0f, 0x20,
	0x03, 0x28, 0x05, 0x52, 0x0c, 0x73, 0x74, 0x6f, 0x70, 0x54, 0x6f, 0x6b, 0x65, 0x6e, 0x49, 0x64,
	0x73, 0x12, 0x3f, 0x0a, 0x1a, 0x69, 0x6e, 0x63, 0x6c, 0x75, 0x64, 0x65, 0x5f, 0x73, 0x74, 0x6f,
	0x70, 0x5f, 0x73, 0x74, 0x72, 0x5f, 0x69, 0x6e, 0x5f, 0x6f, 0x75, 0x74, 0x70, 0x75, 0x74, 0x18,
	0x10, 0x20, 0x01, 0x28, 0x08, 0x48, 0x0d, 0x52, 0x16, 0x69, 0x6e, 0x63, 0x6c, 0x75, 0x64, 0x65,
	0x53, 0x74, 0x6f, 0x70, 0x53, 0x74, 0x72, 0x49, 0x6e, 0x4f, 0x75, 0x74, 0x70, 0x75, 0x74, 0x88,
	0x01, 0x01, 0x12, 0x22, 0x0a, 0x0a, 0x69, 0x67, 0x6e, 0x6f, 0x72, 0x65, 0x5f, 0x65, 0x6f, 0x73,
	0x18, 0x11, 0x20, 0x01, 0x28, 0x08, 0x48, 0x0e, 0x52, 0x09, 0x69, 0x67, 0x6e, 0x6f, 0x72, 0x65,
	0x45, 0x6f, 0x73, 0x88, 0x01, 0x01, 0x12, 0x49, 0x0a, 0x0a, 0x6c, 0x6f, 0x67, 0x69, 0x74, 0x5f,
	0x62, 0x69, 0x61, 0x73, 0x18, 0x12, 0x20, 0x03, 0x28, 0x0b, 0x32, 0x2a, 0x2e, 0x70, 0x65, 0x6e,
	0x73, 0x74, 0x6f, 0x63, 0x6b, 0x2e, 0x76, 0x31, 0x2e, 0x53, 0x61, 0x6d, 0x70, 0x6c, 0x69, 0x6e,
	0x67, 0x50, 0x61, 0x72, 0x61, 0x6d, 0x73, 0x2e, 0x4c, 0x6f, 0x67, 0x69, 0x74, 0x42, 0x69, 0x61,
	0x73, 0x45, 0x6e, 0x74, 0x72, 0x79, 0x52, 0x09, 0x6c, 0x6f, 0x67, 0x69, 0x74, 0x42, 0x69, 0x61,
	0x73, 0x12, 0x2a, 0x0a, 0x11, 0x61, 0x6c, 0x6c, 0x6f, 0x77, 0x65, 0x64, 0x5f, 0x74, 0x6f, 0x6b,
	0x65, 0x6e, 0x5f, 0x69, 0x64, 0x73, 0x18, 0x13, 0x20, 0x03, 0x28, 0x05, 0x52, 0x0f, 0x61, 0x6c,
	0x6c, 0x6f, 0x77, 0x65, 0x64, 0x54, 0x6f, 0x6b, 0x65, 0x6e, 0x49, 0x64, 0x73, 0x12, 0x1b, 0x0a,
	0x09, 0x62, 0x61, 0x64, 0x5f, 0x77, 0x6f, 0x72, 0x64, 0x73, 0x18, 0x14, 0x20, 0x03, 0x28, 0x09,
	0x52, 0x08, 0x62, 0x61, 0x64, 0x57, 0x6f, 0x72, 0x64, 0x73, 0x12, 0x33, 0x0a, 0x13, 0x73, 0x6b,
	0x69, 0x70, 0x5f, 0x73, 0x70, 0x65, 0x63, 0x69, 0x61, 0x6c, 0x5f, 0x74, 0x6f, 0x6b, 0x65, 0x6e,
	0x73, 0x18, 0x15, 0x20, 0x01, 0x28, 0x08, 0x48, 0x0f, 0x52, 0x11, 0x73, 0x6b, 0x69, 0x70, 0x53,
	0x70, 0x65, 0x63, 0x69, 0x61, 0x6c, 0x54, 0x6f, 0x6b, 0x65, 0x6e, 0x73, 0x88, 0x01, 0x01, 0x12,
	0x46, 0x0a, 0x1d, 0x73, 0x70, 0x61, 0x63, 0x65, 0x73, 0x5f, 0x62, 0x65, 0x74, 0x77, 0x65, 0x65,
	0x6e, 0x5f, 0x73, 0x70, 0x65, 0x63, 0x69, 0x61, 0x6c, 0x5f, 0x74, 0x6f, 0x6b, 0x65, 0x6e, 0x73,
	0x18, 0x16, 0x20, 0x01, 0x28, 0x08, 0x48, 0x10, 0x52, 0x1a, 0x73, 0x70, 0x61, 0x63, 0x65, 0x73,
	0x42, 0x65, 0x74, 0x77, 0x65, 0x65, 0x6e, 0x53, 0x70, 0x65, 0x63, 0x69, 0x61, 0x6c, 0x54, 0x6f,
	0x6b, 0x65, 0x6e, 0x73, 0x88, 0x01, 0x01, 0x12, 0x39, 0x0a, 0x16, 0x74, 0x72, 0x75, 0x6e, 0x63,
	0x61, 0x74, 0x65, 0x5f, 0x70, 0x72, 0x6f, 0x6d, 0x70, 0x74, 0x5f, 0x74, 0x6f, 0x6b, 0x65, 0x6e,
	0x73, 0x18, 0x17, 0x20, 0x01, 0x28, 0x05, 0x48, 0x11, 0x52, 0x14, 0x74, 0x72, 0x75, 0x6e, 0x63,
	0x61, 0x74, 0x65, 0x50, 0x72, 0x6f, 0x6d, 0x70, 0x74, 0x54, 0x6f, 0x6b, 0x65, 0x6e, 0x73, 0x88,
	0x01, 0x01, 0x12, 0x44, 0x0a, 0x0f, 0x74, 0x72, 0x75, 0x6e, 0x63, 0x61, 0x74, 0x69, 0x6f, 0x6e,
	0x5f, 0x73, 0x69, 0x64, 0x65, 0x18, 0x18, 0x20, 0x01, 0x28, 0x0e, 0x32, 0x1b, 0x2e, 0x70, 0x65,
	0x6e, 0x73, 0x74, 0x6f, 0x63, 0x6b, 0x2e, 0x76, 0x31, 0x2e, 0x54, 0x72, 0x75, 0x6e, 0x63, 0x61,
	0x74, 0x69, 0x6f, 0x6e, 0x53, 0x69, 0x64, 0x65, 0x52, 0x0e, 0x74, 0x72, 0x75, 0x6e, 0x63, 0x61,
	0x74, 0x69, 0x6f, 0x6e, 0x53, 0x69, 0x64, 0x65, 0x12, 0x37, 0x0a, 0x15, 0x74, 0x68, 0x69, 0x6e,
	0x6b, 0x69, 0x6e, 0x67, 0x5f, 0x74, 0x6f, 0x6b, 0x65, 0x6e, 0x5f, 0x62, 0x75, 0x64, 0x67, 0x65,
	0x74, 0x18, 0x19, 0x20, 0x01, 0x28, 0x05, 0x48, 0x12, 0x52, 0x13, 0x74, 0x68, 0x69, 0x6e, 0x6b,
	0x69, 0x6e, 0x67, 0x54, 0x6f, 0x6b, 0x65, 0x6e, 0x42, 0x75, 0x64, 0x67, 0x65, 0x74, 0x88, 0x01,
	0x01, 0x12, 0x53, 0x0a, 0x14, 0x72, 0x65, 0x70, 0x65, 0x74, 0x69, 0x74, 0x69, 0x6f, 0x6e, 0x5f,
	0x64, 0x65, 0x74, 0x65, 0x63, 0x74, 0x69, 0x6f, 0x6e, 0x18, 0x1a, 0x20, 0x01, 0x28, 0x0b, 0x32,
	0x20, 0x2e, 0x70, 0x65, 0x6e, 0x73, 0x74, 0x6f, 0x63, 0x6b, 0x2e, 0x76, 0x31, 0x2e, 0x52, 0x65,
	0x70, 0x65, 0x74, 0x69, 0x74, 0x69, 0x6f, 0x6e, 0x44, 0x65, 0x74, 0x65, 0x63, 0x74, 0x69, 0x6f,
	0x6e, 0x52, 0x13, 0x72, 0x65, 0x70, 0x65, 0x74, 0x69, 0x74, 0x69, 0x6f, 0x6e, 0x44, 0x65, 0x74,
	0x65, 0x63, 0x74, 0x69, 0x6f, 0x6e, 0x12, 0x27, 0x0a, 0x0c, 0x77, 0x61, 0x74, 0x65, 0x72, 0x6d,
	0x61, 0x72, 0x6b, 0x69, 0x6e, 0x67, 0x18, 0x1b, 0x20, 0x01, 0x28, 0x08, 0x48, 0x13, 0x52, 0x0c,
	0x77, 0x61, 0x74, 0x65, 0x72, 0x6d, 0x61, 0x72, 0x6b, 0x69, 0x6e, 0x67, 0x88, 0x01, 0x01, 0x1a,
	0x3c, 0x0a, 0x0e, 0x4c, 0x6f, 0x67, 0x69, 0x74, 0x42, 0x69, 0x61, 0x73, 0x45, 0x6e, 0x74, 0x72,
	0x79, 0x12, 0x10, 0x0a, 0x03, 0x6b, 0x65, 0x79, 0x18, 0x01, 0x20, 0x01, 0x28, 0x05, 0x52, 0x03,
	0x6b, 0x65, 0x79, 0x12, 0x14, 0x0a, 0x05, 0x76, 0x61, 0x6c, 0x75, 0x65, 0x18, 0x02, 0x20, 0x01,
	0x28, 0x01, 0x52, 0x05, 0x76, 0x61, 0x6c, 0x75, 0x65, 0x3a, 0x02, 0x38, 0x01, 0x42, 0x0e, 0x0a,
	0x0c, 0x5f, 0x74, 0x65, 0x6d, 0x70, 0x65, 0x72, 0x61, 0x74, 0x75, 0x72, 0x65, 0x42, 0x08, 0x0a,
	0x06, 0x5f, 0x74, 0x6f, 0x70, 0x5f, 0x70, 0x42, 0x08, 0x0a, 0x06, 0x5f, 0x74, 0x6f, 0x70, 0x5f,
	0x6b, 0x42, 0x08, 0x0a, 0x06, 0x5f, 0x6d, 0x69, 0x6e, 0x5f, 0x70, 0x42, 0x14, 0x0a, 0x12, 0x5f,
	0x66, 0x72, 0x65, 0x71, 0x75, 0x65, 0x6e, 0x63, 0x79, 0x5f, 0x70, 0x65, 0x6e, 0x61, 0x6c, 0x74,
	0x79, 0x42, 0x13, 0x0a, 0x11, 0x5f, 0x70, 0x72, 0x65, 0x73, 0x65, 0x6e, 0x63, 0x65, 0x5f, 0x70,
	0x65, 0x6e, 0x61, 0x6c, 0x74, 0x79, 0x42, 0x15, 0x0a, 0x13, 0x5f, 0x72, 0x65, 0x70, 0x65, 0x74,
	0x69, 0x74, 0x69, 0x6f, 0x6e, 0x5f, 0x70, 0x65, 0x6e, 0x61, 0x6c, 0x74, 0x79, 0x42, 0x11, 0x0a,
	0x0f, 0x5f, 0x6c, 0x65, 0x6e, 0x67, 0x74, 0x68, 0x5f, 0x70, 0x65, 0x6e, 0x61, 0x6c, 0x74, 0x79,
	0x42, 0x07, 0x0a, 0x05, 0x5f, 0x73, 0x65, 0x65, 0x64, 0x42, 0x0d, 0x0a, 0x0b, 0x5f, 0x6d, 0x61,
	0x78, 0x5f, 0x74, 0x6f, 0x6b, 0x65, 0x6e, 0x73, 0x42, 0x0d, 0x0a, 0x0b, 0x5f, 0x6d, 0x69, 0x6e,
	0x5f, 0x74, 0x6f, 0x6b, 0x65, 0x6e, 0x73, 0x42, 0x04, 0x0a, 0x02, 0x5f, 0x6e, 0x42, 0x12, 0x0a,
	0x10, 0x5f, 0x75, 0x73, 0x65, 0x5f, 0x62, 0x65, 0x61, 0x6d, 0x5f, 0x73, 0x65, 0x61, 0x72, 0x63,
	0x68, 0x42, 0x1d, 0x0a, 0x1b, 0x5f, 0x69, 0x6e, 0x63, 0x6c, 0x75, 0x64, 0x65, 0x5f, 0x73, 0x74,
	0x6f, 0x70, 0x5f, 0x73, 0x74, 0x72, 0x5f, 0x69, 0x6e, 0x5f, 0x6f, 0x75, 0x74, 0x70, 0x75, 0x74,
	0x42, 0x0d, 0x0a, 0x0b, 0x5f, 0x69, 0x67, 0x6e, 0x6f, 0x72, 0x65, 0x5f, 0x65, 0x6f, 0x73, 0x42,
	0x16, 0x0a, 0x14, 0x5f, 0x73, 0x6b, 0x69, 0x70, 0x5f, 0x73, 0x70, 0x65, 0x63, 0x69, 0x61, 0x6c,
	0x5f, 0x74, 0x6f, 0x6b, 0x65, 0x6e, 0x73, 0x42, 0x20, 0x0a, 0x1e, 0x5f, 0x73, 0x70, 0x61, 0x63,
	0x65, 0x73, 0x5f, 0x62, 0x65, 0x74, 0x77, 0x65, 0x65, 0x6e, 0x5f, 0x73, 0x70, 0x65, 0x63, 0x69,
	0x61, 0x6c, 0x5f, 0x74, 0x6f, 0x6b, 0x65, 0x6e, 0x73, 0x42, 0x19, 0x0a, 0x17, 0x5f, 0x74, 0x72,
	0x75, 0x6e, 0x63, 0x61, 0x74, 0x65, 0x5f, 0x70, 0x72, 0x6f, 0x6d, 0x70, 0x74, 0x5f, 0x74, 0x6f,
	0x6b, 0x65, 0x6e, 0x73, 0x42, 0x18, 0x0a, 0x16, 0x5f, 0x74, 0x68, 0x69, 0x6e, 0x6b, 0x69, 0x6e,
	0x67, 0x5f, 0x74, 0x6f, 0x6b, 0x65, 0x6e, 0x5f, 0x62, 0x75, 0x64, 0x67, 0x65, 0x74, 0x42, 0x0f,
	0x0a, 0x0d, 0x5f, 0x77, 0x61, 0x74, 0x65, 0x72, 0x6d, 0x61, 0x72, 0x6b, 0x69, 0x6e, 0x67, 0x22,
	0xb2, 0x01, 0x0a, 0x0e, 0x4c, 0x6f, 0x67, 0x70, 0x72, 0x6f, 0x62, 0x4f, 0x70, 0x74, 0x69, 0x6f,
	0x6e, 0x73, 0x12, 0x26, 0x0a, 0x0c, 0x74, 0x6f, 0x70, 0x5f, 0x6c, 0x6f, 0x67, 0x70, 0x72, 0x6f,
	0x62, 0x73, 0x18, 0x01, 0x20, 0x01, 0x28, 0x05, 0x48, 0x00, 0x52, 0x0b, 0x74, 0x6f, 0x70, 0x4c,
	0x6f, 0x67, 0x70, 0x72, 0x6f, 0x62, 0x73, 0x88, 0x01, 0x01, 0x12, 0x1b, 0x0a, 0x09, 0x74, 0x6f,
	0x6b, 0x65, 0x6e, 0x5f, 0x69, 0x64, 0x73, 0x18, 0x02, 0x20, 0x03, 0x28, 0x05, 0x52, 0x08, 0x74,
	0x6f, 0x6b, 0x65, 0x6e, 0x49, 0x64, 0x73, 0x12, 0x32, 0x0a, 0x13, 0x74, 0x6f, 0x6b, 0x65, 0x6e,
	0x73, 0x5f, 0x61, 0x73, 0x5f, 0x74, 0x6f, 0x6b, 0x65, 0x6e, 0x5f, 0x69, 0x64, 0x73, 0x18, 0x03,
	0x20, 0x01, 0x28, 0x08, 0x48, 0x01, 0x52, 0x10, 0x74, 0x6f, 0x6b, 0x65, 0x6e, 0x73, 0x41, 0x73,
	0x54, 0x6f, 0x6b, 0x65, 0x6e, 0x49, 0x64, 0x73, 0x88, 0x01, 0x01, 0x42, 0x0f, 0x0a, 0x0d, 0x5f,
	0x74, 0x6f, 0x70, 0x5f, 0x6c, 0x6f, 0x67, 0x70, 0x72, 0x6f, 0x62, 0x73, 0x42, 0x16, 0x0a, 0x14,
	0x5f, 0x74, 0x6f, 0x6b, 0x65, 0x6e, 0x73, 0x5f, 0x61, 0x73, 0x5f, 0x74, 0x6f, 0x6b, 0x65, 0x6e,
	0x5f, 0x69, 0x64, 0x73, 0x22, 0xf0, 0x04, 0x0a, 0x11, 0x53, 0x74, 0x72, 0x75, 0x63, 0x74, 0x75,
	0x72, 0x65, 0x64, 0x4f, 0x75, 0x74, 0x70, 0x75, 0x74, 0x73, 0x12, 0x3c, 0x0a, 0x0b, 0x6a, 0x73,
	0x6f, 0x6e, 0x5f, 0x73, 0x63, 0x68, 0x65, 0x6d, 0x61, 0x18, 0x01, 0x20, 0x01, 0x28, 0x0b, 0x32,
	0x19, 0x2e, 0x70, 0x65, 0x6e, 0x73, 0x74, 0x6f, 0x63, 0x6b, 0x2e, 0x76, 0x31, 0x2e, 0x4a, 0x73,
	0x6f, 0x6e, 0x44, 0x6f, 0x63, 0x75, 0x6d, 0x65, 0x6e, 0x74, 0x48, 0x00, 0x52, 0x0a, 0x6a, 0x73,
	0x6f, 0x6e, 0x53, 0x63, 0x68, 0x65, 0x6d, 0x61, 0x12, 0x40, 0x0a, 0x0b, 0x6a, 0x73, 0x6f, 0x6e,
	0x5f, 0x6f, 0x62, 0x6a, 0x65, 0x63, 0x74, 0x18, 0x02, 0x20, 0x01, 0x28, 0x0b, 0x32, 0x1d, 0x2e,
	0x70, 0x65, 0x6e, 0x73, 0x74, 0x6f, 0x63, 0x6b, 0x2e, 0x76, 0x31, 0x2e, 0x4a, 0x73, 0x6f, 0x6e,
	0x4f, 0x62, 0x6a, 0x65, 0x63, 0x74, 0x46, 0x6f, 0x72, 0x6d, 0x61, 0x74, 0x48, 0x00, 0x52, 0x0a,
	0x6a, 0x73, 0x6f, 0x6e, 0x4f, 0x62, 0x6a, 0x65, 0x63, 0x74, 0x12, 0x16, 0x0a, 0x05, 0x72, 0x65,
	0x67, 0x65, 0x78, 0x18, 0x03, 0x20, 0x01, 0x28, 0x09, 0x48, 0x00, 0x52, 0x05, 0x72, 0x65, 0x67,
	0x65, 0x78, 0x12, 0x40, 0x0a, 0x06, 0x63, 0x68, 0x6f, 0x69, 0x63, 0x65, 0x18, 0x04, 0x20, 0x01,
	0x28, 0x0b, 0x32, 0x26, 0x2e, 0x70, 0x65, 0x6e, 0x73, 0x74, 0x6f, 0x63, 0x6b, 0x2e, 0x76, 0x31,
	0x2e, 0x53, 0x74, 0x72, 0x75, 0x63, 0x74, 0x75, 0x72, 0x65, 0x64, 0x4f, 0x75, 0x74, 0x70, 0x75,
	0x74, 0x73, 0x2e, 0x43, 0x68, 0x6f, 0x69, 0x63, 0x65, 0x73, 0x48, 0x00, 0x52, 0x06, 0x63, 0x68,
	0x6f, 0x69, 0x63, 0x65, 0x12, 0x1a, 0x0a, 0x07, 0x67, 0x72, 0x61, 0x6d, 0x6d, 0x61, 0x72, 0x18,
	0x05, 0x20, 0x01, 0x28, 0x09, 0x48, 0x00, 0x52, 0x07, 0x67, 0x72, 0x61, 0x6d, 0x6d, 0x61, 0x72,
	0x12, 0x42, 0x0a, 0x0e, 0x73, 0x74, 0x72, 0x75, 0x63, 0x74, 0x75, 0x72, 0x61, 0x6c, 0x5f, 0x74,
	0x61, 0x67, 0x18, 0x06, 0x20, 0x01, 0x28, 0x0b, 0x32, 0x19, 0x2e, 0x70, 0x65, 0x6e, 0x73, 0x74,
	0x6f, 0x63, 0x6b, 0x2e, 0x76, 0x31, 0x2e, 0x4a, 0x73, 0x6f, 0x6e, 0x44, 0x6f, 0x63, 0x75, 0x6d,
	0x65, 0x6e, 0x74, 0x48, 0x00, 0x52, 0x0d, 0x73, 0x74, 0x72, 0x75, 0x63, 0x74, 0x75, 0x72, 0x61,
	0x6c, 0x54, 0x61, 0x67, 0x12, 0x39, 0x0a, 0x16, 0x64, 0x69, 0x73, 0x61, 0x62, 0x6c, 0x65, 0x5f,
	0x61, 0x6e, 0x79, 0x5f, 0x77, 0x68, 0x69, 0x74, 0x65, 0x73, 0x70, 0x61, 0x63, 0x65, 0x18, 0x07,
	0x20, 0x01, 0x28, 0x08, 0x48, 0x01, 0x52, 0x14, 0x64, 0x69, 0x73, 0x61, 0x62, 0x6c, 0x65, 0x41,
	0x6e, 0x79, 0x57, 0x68, 0x69, 0x74, 0x65, 0x73, 0x70, 0x61, 0x63, 0x65, 0x88, 0x01, 0x01, 0x12,
	0x47, 0x0a, 0x1d, 0x64, 0x69, 0x73, 0x61, 0x62, 0x6c, 0x65, 0x5f, 0x61, 0x64, 0x64, 0x69, 0x74,
	0x69, 0x6f, 0x6e, 0x61, 0x6c, 0x5f, 0x70, 0x72, 0x6f, 0x70, 0x65, 0x72, 0x74, 0x69, 0x65, 0x73,
	0x18, 0x08, 0x20, 0x01, 0x28, 0x08, 0x48, 0x02, 0x52, 0x1b, 0x64, 0x69, 0x73, 0x61, 0x62, 0x6c,
	0x65, 0x41, 0x64, 0x64, 0x69, 0x74, 0x69, 0x6f, 0x6e, 0x61, 0x6c, 0x50, 0x72, 0x6f, 0x70, 0x65,
	0x72, 0x74, 0x69, 0x65, 0x73, 0x88, 0x01, 0x01, 0x12, 0x2d, 0x0a, 0x12, 0x77, 0x68, 0x69, 0x74,
	0x65, 0x73, 0x70, 0x61, 0x63, 0x65, 0x5f, 0x70, 0x61, 0x74, 0x74, 0x65, 0x72, 0x6e, 0x18, 0x09,
	0x20, 0x01, 0x28, 0x09, 0x52, 0x11, 0x77, 0x68, 0x69, 0x74, 0x65, 0x73, 0x70, 0x61, 0x63, 0x65,
	0x50, 0x61, 0x74, 0x74, 0x65, 0x72, 0x6e, 0x1a, 0x23, 0x0a, 0x07, 0x43, 0x68, 0x6f, 0x69, 0x63,
	0x65, 0x73, 0x12, 0x18, 0x0a, 0x07, 0x63, 0x68, 0x6f, 0x69, 0x63, 0x65, 0x73, 0x18, 0x01, 0x20,
	0x03, 0x28, 0x09, 0x52, 0x07, 0x63, 0x68, 0x6f, 0x69, 0x63, 0x65, 0x73, 0x42, 0x0c, 0x0a, 0x0a,
	0x63, 0x6f, 0x6e, 0x73, 0x74, 0x72, 0x61, 0x69, 0x6e, 0x74, 0x42, 0x19, 0x0a, 0x17, 0x5f, 0x64,
	0x69, 0x73, 0x61, 0x62, 0x6c, 0x65, 0x5f, 0x61, 0x6e, 0x79, 0x5f, 0x77, 0x68, 0x69, 0x74, 0x65,
	0x73, 0x70, 0x61, 0x63, 0x65, 0x42, 0x20, 0x0a, 0x1e, 0x5f, 0x64, 0x69, 0x73, 0x61, 0x62, 0x6c,
	0x65, 0x5f, 0x61, 0x64, 0x64, 0x69, 0x74, 0x69, 0x6f, 0x6e, 0x61, 0x6c, 0x5f, 0x70, 0x72, 0x6f,
	0x70, 0x65, 0x72, 0x74, 0x69, 0x65, 0x73, 0x22, 0x12, 0x0a, 0x10, 0x4a, 0x73, 0x6f, 0x6e, 0x4f,
	0x62, 0x6a, 0x65, 0x63, 0x74, 0x46, 0x6f, 0x72, 0x6d, 0x61, 0x74, 0x22, 0xba, 0x06, 0x0a, 0x0d,
	0x45, 0x6e, 0x67, 0x69, 0x6e, 0x65, 0x4f, 0x70, 0x74, 0x69, 0x6f, 0x6e, 0x73, 0x12, 0x1f, 0x0a,
	0x08, 0x70, 0x72, 0x69, 0x6f, 0x72, 0x69, 0x74, 0x79, 0x18, 0x01, 0x20, 0x01, 0x28, 0x03, 0x48,
	0x00, 0x52, 0x08, 0x70, 0x72, 0x69, 0x6f, 0x72, 0x69, 0x74, 0x79, 0x88, 0x01, 0x01, 0x12, 0x1d,
	0x0a, 0x0a, 0x63, 0x61, 0x63, 0x68, 0x65, 0x5f, 0x73, 0x61, 0x6c, 0x74, 0x18, 0x02, 0x20, 0x01,
	0x28, 0x09, 0x52, 0x09, 0x63, 0x61, 0x63, 0x68, 0x65, 0x53, 0x61, 0x6c, 0x74, 0x12, 0x1d, 0x0a,
	0x0a, 0x73, 0x65, 0x73, 0x73, 0x69, 0x6f, 0x6e, 0x5f, 0x69, 0x64, 0x18, 0x03, 0x20, 0x01, 0x28,
	0x09, 0x52, 0x09, 0x73, 0x65, 0x73, 0x73, 0x69, 0x6f, 0x6e, 0x49, 0x64, 0x12, 0x38, 0x0a, 0x0a,
	0x76, 0x6c, 0x6c, 0x6d, 0x5f, 0x78, 0x61, 0x72, 0x67, 0x73, 0x18, 0x04, 0x20, 0x01, 0x28, 0x0b,
	0x32, 0x19, 0x2e, 0x70, 0x65, 0x6e, 0x73, 0x74, 0x6f, 0x63, 0x6b, 0x2e, 0x76, 0x31, 0x2e, 0x4a,
	0x73, 0x6f, 0x6e, 0x44, 0x6f, 0x63, 0x75, 0x6d, 0x65, 0x6e, 0x74, 0x52, 0x09, 0x76, 0x6c, 0x6c,
	0x6d, 0x58, 0x61, 0x72, 0x67, 0x73, 0x12, 0x47, 0x0a, 0x12, 0x6b, 0x76, 0x5f, 0x74, 0x72, 0x61,
	0x6e, 0x73, 0x66, 0x65, 0x72, 0x5f, 0x70, 0x61, 0x72, 0x61, 0x6d, 0x73, 0x18, 0x05, 0x20, 0x01,
	0x28, 0x0b, 0x32, 0x19, 0x2e, 0x70, 0x65, 0x6e, 0x73, 0x74, 0x6f, 0x63, 0x6b, 0x2e, 0x76, 0x31,
	0x2e, 0x4a, 0x73, 0x6f, 0x6e, 0x44, 0x6f, 0x63, 0x75, 0x6d, 0x65, 0x6e, 0x74, 0x52, 0x10, 0x6b,
	0x76, 0x54, 0x72, 0x61, 0x6e, 0x73, 0x66, 0x65, 0x72, 0x50, 0x61, 0x72, 0x61, 0x6d, 0x73, 0x12,
	0x47, 0x0a, 0x12, 0x65, 0x63, 0x5f, 0x74, 0x72, 0x61, 0x6e, 0x73, 0x66, 0x65, 0x72, 0x5f, 0x70,
	0x61, 0x72, 0x61, 0x6d, 0x73, 0x18, 0x06, 0x20, 0x01, 0x28, 0x0b, 0x32, 0x19, 0x2e, 0x70, 0x65,
	0x6e, 0x73, 0x74, 0x6f, 0x63, 0x6b, 0x2e, 0x76, 0x31, 0x2e, 0x4a, 0x73, 0x6f, 0x6e, 0x44, 0x6f,
	0x63, 0x75, 0x6d, 0x65, 0x6e, 0x74, 0x52, 0x10, 0x65, 0x63, 0x54, 0x72, 0x61, 0x6e, 0x73, 0x66,
	0x65, 0x72, 0x50, 0x61, 0x72, 0x61, 0x6d, 0x73, 0x12, 0x2d, 0x0a, 0x10, 0x72, 0x65, 0x74, 0x75,
	0x72, 0x6e, 0x5f, 0x74, 0x6f, 0x6b, 0x65, 0x6e, 0x5f, 0x69, 0x64, 0x73, 0x18, 0x07, 0x20, 0x01,
	0x28, 0x08, 0x48, 0x01, 0x52, 0x0e, 0x72, 0x65, 0x74, 0x75, 0x72, 0x6e, 0x54, 0x6f, 0x6b, 0x65,
	0x6e, 0x49, 0x64, 0x73, 0x88, 0x01, 0x01, 0x12, 0x31, 0x0a, 0x12, 0x72, 0x65, 0x74, 0x75, 0x72,
	0x6e, 0x5f, 0x70, 0x72, 0x6f, 0x6d, 0x70, 0x74, 0x5f, 0x74, 0x65, 0x78, 0x74, 0x18, 0x08, 0x20,
	0x01, 0x28, 0x08, 0x48, 0x02, 0x52, 0x10, 0x72, 0x65, 0x74, 0x75, 0x72, 0x6e, 0x50, 0x72, 0x6f,
	0x6d, 0x70, 0x74, 0x54, 0x65, 0x78, 0x74, 0x88, 0x01, 0x01, 0x12, 0x39, 0x0a, 0x16, 0x72, 0x65,
	0x74, 0x75, 0x72, 0x6e, 0x5f, 0x77, 0x65, 0x69, 0x67, 0x68, 0x74, 0x5f, 0x76, 0x65, 0x72, 0x73,
	0x69, 0x6f, 0x6e, 0x73, 0x18, 0x09, 0x20, 0x01, 0x28, 0x08, 0x48, 0x03, 0x52, 0x14, 0x72, 0x65,
	0x74, 0x75, 0x72, 0x6e, 0x57, 0x65, 0x69, 0x67, 0x68, 0x74, 0x56, 0x65, 0x72, 0x73, 0x69, 0x6f,
	0x6e, 0x73, 0x88, 0x01, 0x01, 0x12, 0x2c, 0x0a, 0x0f, 0x70, 0x72, 0x6f, 0x6d, 0x70, 0x74, 0x5f,
	0x6c, 0x6f, 0x67, 0x70, 0x72, 0x6f, 0x62, 0x73, 0x18, 0x0a, 0x20, 0x01, 0x28, 0x05, 0x48, 0x04,
	0x52, 0x0e, 0x70, 0x72, 0x6f, 0x6d, 0x70, 0x74, 0x4c, 0x6f, 0x67, 0x70, 0x72, 0x6f, 0x62, 0x73,
	0x88, 0x01, 0x01, 0x12, 0x42, 0x0a, 0x1b, 0x72, 0x6f, 0x75, 0x74, 0x65, 0x64, 0x5f, 0x65, 0x78,
	0x70, 0x65, 0x72, 0x74, 0x73, 0x5f, 0x70, 0x72, 0x6f, 0x6d, 0x70, 0x74, 0x5f, 0x73, 0x74, 0x61,
	0x72, 0x74, 0x18, 0x0b, 0x20, 0x01, 0x28, 0x05, 0x48, 0x05, 0x52, 0x18, 0x72, 0x6f, 0x75, 0x74,
	0x65, 0x64, 0x45, 0x78, 0x70, 0x65, 0x72, 0x74, 0x73, 0x50, 0x72, 0x6f, 0x6d, 0x70, 0x74, 0x53,
	0x74, 0x61, 0x72, 0x74, 0x88, 0x01, 0x01, 0x12, 0x31, 0x0a, 0x12, 0x64, 0x61, 0x74, 0x61, 0x5f,
	0x70, 0x61, 0x72, 0x61, 0x6c, 0x6c, 0x65, 0x6c, 0x5f, 0x72, 0x61, 0x6e, 0x6b, 0x18, 0x0c, 0x20,
	0x01, 0x28, 0x05, 0x48, 0x06, 0x52, 0x10, 0x64, 0x61, 0x74, 0x61, 0x50, 0x61, 0x72, 0x61, 0x6c,
	0x6c, 0x65, 0x6c, 0x52, 0x61, 0x6e, 0x6b, 0x88, 0x01, 0x01, 0x12, 0x1d, 0x0a, 0x0a, 0x72, 0x65,
	0x71, 0x75, 0x65, 0x73, 0x74, 0x5f, 0x69, 0x64, 0x18, 0x0d, 0x20, 0x01, 0x28, 0x09, 0x52, 0x09,
	0x72, 0x65, 0x71, 0x75, 0x65, 0x73, 0x74, 0x49, 0x64, 0x42, 0x0b, 0x0a, 0x09, 0x5f, 0x70, 0x72,
	0x69, 0x6f, 0x72, 0x69, 0x74, 0x79, 0x42, 0x13, 0x0a, 0x11, 0x5f, 0x72, 0x65, 0x74, 0x75, 0x72,
	0x6e, 0x5f, 0x74, 0x6f, 0x6b, 0x65, 0x6e, 0x5f, 0x69, 0x64, 0x73, 0x42, 0x15, 0x0a, 0x13, 0x5f,
	0x72, 0x65, 0x74, 0x75, 0x72, 0x6e, 0x5f, 0x70, 0x72, 0x6f, 0x6d, 0x70, 0x74, 0x5f, 0x74, 0x65,
	0x78, 0x74, 0x42, 0x19, 0x0a, 0x17, 0x5f, 0x72, 0x65, 0x74, 0x75, 0x72, 0x6e, 0x5f, 0x77, 0x65,
	0x69, 0x67, 0x68, 0x74, 0x5f, 0x76, 0x65, 0x72, 0x73, 0x69, 0x6f, 0x6e, 0x73, 0x42, 0x12, 0x0a,
	0x10, 0x5f, 0x70, 0x72, 0x6f, 0x6d, 0x70, 0x74, 0x5f, 0x6c, 0x6f, 0x67, 0x70, 0x72, 0x6f, 0x62,
	0x73, 0x42, 0x1e, 0x0a, 0x1c, 0x5f, 0x72, 0x6f, 0x75, 0x74, 0x65, 0x64, 0x5f, 0x65, 0x78, 0x70,
	0x65, 0x72, 0x74, 0x73, 0x5f, 0x70, 0x72, 0x6f, 0x6d, 0x70, 0x74, 0x5f, 0x73, 0x74, 0x61, 0x72,
	0x74, 0x42, 0x15, 0x0a, 0x13, 0x5f, 0x64, 0x61, 0x74, 0x61, 0x5f, 0x70, 0x61, 0x72, 0x61, 0x6c,
	0x6c, 0x65, 0x6c, 0x5f, 0x72, 0x61, 0x6e, 0x6b, 0x22, 0x55, 0x0a, 0x11, 0x57, 0x65, 0x69, 0x67,
	0x68, 0x74, 0x56, 0x65, 0x72, 0x73, 0x69, 0x6f, 0x6e, 0x53, 0x70, 0x61, 0x6e, 0x12, 0x18, 0x0a,
	0x07, 0x76, 0x65, 0x72, 0x73, 0x69, 0x6f, 0x6e, 0x18, 0x01, 0x20, 0x01, 0x28, 0x09, 0x52, 0x07,
	0x76, 0x65, 0x72, 0x73, 0x69, 0x6f, 0x6e, 0x12, 0x14, 0x0a, 0x05, 0x73, 0x74, 0x61, 0x72, 0x74,
	0x18, 0x02, 0x20, 0x01, 0x28, 0x05, 0x52, 0x05, 0x73, 0x74, 0x61, 0x72, 0x74, 0x12, 0x10, 0x0a,
	0x03, 0x65, 0x6e, 0x64, 0x18, 0x03, 0x20, 0x01, 0x28, 0x05, 0x52, 0x03, 0x65, 0x6e, 0x64, 0x22,
	0xc2, 0x01, 0x0a, 0x13, 0x50, 0x72, 0x6f, 0x6d, 0x70, 0x74, 0x54, 0x6f, 0x6b, 0x65, 0x6e, 0x4c,
	0x6f, 0x67, 0x70, 0x72, 0x6f, 0x62, 0x73, 0x12, 0x50, 0x0a, 0x0a, 0x63, 0x61, 0x6e, 0x64, 0x69,
	0x64, 0x61, 0x74, 0x65, 0x73, 0x18, 0x01, 0x20, 0x03, 0x28, 0x0b, 0x32, 0x30, 0x2e, 0x70, 0x65,
	0x6e, 0x73, 0x74, 0x6f, 0x63, 0x6b, 0x2e, 0x76, 0x31, 0x2e, 0x50, 0x72, 0x6f, 0x6d, 0x70, 0x74,
	0x54, 0x6f, 0x6b, 0x65, 0x6e, 0x4c, 0x6f, 0x67, 0x70, 0x72, 0x6f, 0x62, 0x73, 0x2e, 0x43, 0x61,
	0x6e, 0x64, 0x69, 0x64, 0x61, 0x74, 0x65, 0x73, 0x45, 0x6e, 0x74, 0x72, 0x79, 0x52, 0x0a, 0x63,
	0x61, 0x6e, 0x64, 0x69, 0x64, 0x61, 0x74, 0x65, 0x73, 0x1a, 0x59, 0x0a, 0x0f, 0x43, 0x61, 0x6e,
	0x64, 0x69, 0x64, 0x61, 0x74, 0x65, 0x73, 0x45, 0x6e, 0x74, 0x72, 0x79, 0x12, 0x10, 0x0a, 0x03,
	0x6b, 0x65, 0x79, 0x18, 0x01, 0x20, 0x01, 0x28, 0x05, 0x52, 0x03, 0x6b, 0x65, 0x79, 0x12, 0x30,
	0x0a, 0x05, 0x76, 0x61, 0x6c, 0x75, 0x65, 0x18, 0x02, 0x20, 0x01, 0x28, 0x0b, 0x32, 0x1a, 0x2e,
	0x70, 0x65, 0x6e, 0x73, 0x74, 0x6f, 0x63, 0x6b, 0x2e, 0x76, 0x31, 0x2e, 0x52, 0x61, 0x6e, 0x6b,
	0x65, 0x64, 0x4c, 0x6f, 0x67, 0x70, 0x72, 0x6f, 0x62, 0x52, 0x05, 0x76, 0x61, 0x6c, 0x75, 0x65,
	0x3a, 0x02, 0x38, 0x01, 0x22, 0x87, 0x01, 0x0a, 0x0d, 0x52, 0x61, 0x6e, 0x6b, 0x65, 0x64, 0x4c,
	0x6f, 0x67, 0x70, 0x72, 0x6f, 0x62, 0x12, 0x18, 0x0a, 0x07, 0x6c, 0x6f, 0x67, 0x70, 0x72, 0x6f,
	0x62, 0x18, 0x01, 0x20, 0x01, 0x28, 0x01, 0x52, 0x07, 0x6c, 0x6f, 0x67, 0x70, 0x72, 0x6f, 0x62,
	0x12, 0x17, 0x0a, 0x04, 0x72, 0x61, 0x6e, 0x6b, 0x18, 0x02, 0x20, 0x01, 0x28, 0x05, 0x48, 0x00,
	0x52, 0x04, 0x72, 0x61, 0x6e, 0x6b, 0x88, 0x01, 0x01, 0x12, 0x28, 0x0a, 0x0d, 0x64, 0x65, 0x63,
	0x6f, 0x64, 0x65, 0x64, 0x5f, 0x74, 0x6f, 0x6b, 0x65, 0x6e, 0x18, 0x03, 0x20, 0x01, 0x28, 0x09,
	0x48, 0x01, 0x52, 0x0c, 0x64, 0x65, 0x63, 0x6f, 0x64, 0x65, 0x64, 0x54, 0x6f, 0x6b, 0x65, 0x6e,
	0x88, 0x01, 0x01, 0x42, 0x07, 0x0a, 0x05, 0x5f, 0x72, 0x61, 0x6e, 0x6b, 0x42, 0x10, 0x0a, 0x0e,
	0x5f, 0x64, 0x65, 0x63, 0x6f, 0x64, 0x65, 0x64, 0x5f, 0x74, 0x6f, 0x6b, 0x65, 0x6e, 0x22, 0x90,
	0x01, 0x0a, 0x0c, 0x54, 0x6f, 0x6b, 0x65, 0x6e, 0x4c, 0x6f, 0x67, 0x70, 0x72, 0x6f, 0x62, 0x12,
	0x14, 0x0a, 0x05, 0x74, 0x6f, 0x6b, 0x65, 0x6e, 0x18, 0x01, 0x20, 0x01, 0x28, 0x09, 0x52, 0x05,
	0x74, 0x6f, 0x6b, 0x65, 0x6e, 0x12, 0x18, 0x0a, 0x07, 0x6c, 0x6f, 0x67, 0x70, 0x72, 0x6f, 0x62,
	0x18, 0x02, 0x20, 0x01, 0x28, 0x01, 0x52, 0x07, 0x6c, 0x6f, 0x67, 0x70, 0x72, 0x6f, 0x62, 0x12,
	0x14, 0x0a, 0x05, 0x62, 0x79, 0x74, 0x65, 0x73, 0x18, 0x03, 0x20, 0x01, 0x28, 0x0c, 0x52, 0x05,
	0x62, 0x79, 0x74, 0x65, 0x73, 0x12, 0x3a, 0x0a, 0x0c, 0x74, 0x6f, 0x70, 0x5f, 0x6c, 0x6f, 0x67,
	0x70, 0x72, 0x6f, 0x62, 0x73, 0x18, 0x04, 0x20, 0x03, 0x28, 0x0b, 0x32, 0x17, 0x2e, 0x70, 0x65,
	0x6e, 0x73, 0x74, 0x6f, 0x63, 0x6b, 0x2e, 0x76, 0x31, 0x2e, 0x54, 0x6f, 0x70, 0x4c, 0x6f, 0x67,
	0x70, 0x72, 0x6f, 0x62, 0x52, 0x0b, 0x74, 0x6f, 0x70, 0x4c, 0x6f, 0x67, 0x70, 0x72, 0x6f, 0x62,
	0x73, 0x22, 0x52, 0x0a, 0x0a, 0x54, 0x6f, 0x70, 0x4c, 0x6f, 0x67, 0x70, 0x72, 0x6f, 0x62, 0x12,
	0x14, 0x0a, 0x05, 0x74, 0x6f, 0x6b, 0x65, 0x6e, 0x18, 0x01, 0x20, 0x01, 0x28, 0x09, 0x52, 0x05,
	0x74, 0x6f, 0x6b, 0x65, 0x6e, 0x12, 0x18, 0x0a, 0x07, 0x6c, 0x6f, 0x67, 0x70, 0x72, 0x6f, 0x62,
	0x18, 0x02, 0x20, 0x01, 0x28, 0x01, 0x52, 0x07, 0x6c, 0x6f, 0x67, 0x70, 0x72, 0x6f, 0x62, 0x12,
	0x14, 0x0a, 0x05, 0x62, 0x79, 0x74, 0x65, 0x73, 0x18, 0x03, 0x20, 0x01, 0x28, 0x0c, 0x52, 0x05,
	0x62, 0x79, 0x74, 0x65, 0x73, 0x22, 0xf2, 0x01, 0x0a, 0x0d, 0x53, 0x74, 0x72, 0x65, 0x61, 0x6d,
	0x4f, 0x70, 0x74, 0x69, 0x6f, 0x6e, 0x73, 0x12, 0x39, 0x0a, 0x16, 0x63, 0x6f, 0x6e, 0x74, 0x69,
	0x6e, 0x75, 0x6f, 0x75, 0x73, 0x5f, 0x75, 0x73, 0x61, 0x67, 0x65, 0x5f, 0x73, 0x74, 0x61, 0x74,
	0x73, 0x18, 0x01, 0x20, 0x01, 0x28, 0x08, 0x48, 0x00, 0x52, 0x14, 0x63, 0x6f, 0x6e, 0x74, 0x69,
	0x6e, 0x75, 0x6f, 0x75, 0x73, 0x55, 0x73, 0x61, 0x67, 0x65, 0x53, 0x74, 0x61, 0x74, 0x73, 0x88,
	0x01, 0x01, 0x12, 0x2c, 0x0a, 0x0f, 0x73, 0x74, 0x72, 0x65, 0x61, 0x6d, 0x5f, 0x69, 0x6e, 0x74,
	0x65, 0x72, 0x76, 0x61, 0x6c, 0x18, 0x02, 0x20, 0x01, 0x28, 0x05, 0x48, 0x01, 0x52, 0x0e, 0x73,
	0x74, 0x72, 0x65, 0x61, 0x6d, 0x49, 0x6e, 0x74, 0x65, 0x72, 0x76, 0x61, 0x6c, 0x88, 0x01, 0x01,
	0x12, 0x49, 0x0a, 0x13, 0x6d, 0x65, 0x72, 0x67, 0x65, 0x5f, 0x64, 0x65, 0x6c, 0x74, 0x61, 0x73,
	0x5f, 0x77, 0x69, 0x74, 0x68, 0x69, 0x6e, 0x18, 0x03, 0x20, 0x01, 0x28, 0x0b, 0x32, 0x19, 0x2e,
	0x67, 0x6f, 0x6f, 0x67, 0x6c, 0x65, 0x2e, 0x70, 0x72, 0x6f, 0x74, 0x6f, 0x62, 0x75, 0x66, 0x2e,
	0x44, 0x75, 0x72, 0x61, 0x74, 0x69, 0x6f, 0x6e, 0x52, 0x11, 0x6d, 0x65, 0x72, 0x67, 0x65, 0x44,
	0x65, 0x6c, 0x74, 0x61, 0x73, 0x57, 0x69, 0x74, 0x68, 0x69, 0x6e, 0x42, 0x19, 0x0a, 0x17, 0x5f,
	0x63, 0x6f, 0x6e, 0x74, 0x69, 0x6e, 0x75, 0x6f, 0x75, 0x73, 0x5f, 0x75, 0x73, 0x61, 0x67, 0x65,
	0x5f, 0x73, 0x74, 0x61, 0x74, 0x73, 0x42, 0x12, 0x0a, 0x10, 0x5f, 0x73, 0x74, 0x72, 0x65, 0x61,
	0x6d, 0x5f, 0x69, 0x6e, 0x74, 0x65, 0x72, 0x76, 0x61, 0x6c, 0x22, 0xe5, 0x02, 0x0a, 0x0e, 0x50,
	0x6f, 0x6f, 0x6c, 0x69, 0x6e, 0x67, 0x4f, 0x70, 0x74, 0x69, 0x6f, 0x6e, 0x73, 0x12, 0x39, 0x0a,
	0x16, 0x74, 0x72, 0x75, 0x6e, 0x63, 0x61, 0x74, 0x65, 0x5f, 0x70, 0x72, 0x6f, 0x6d, 0x70, 0x74,
	0x5f, 0x74, 0x6f, 0x6b, 0x65, 0x6e, 0x73, 0x18, 0x01, 0x20, 0x01, 0x28, 0x05, 0x48, 0x00, 0x52,
	0x14, 0x74, 0x72, 0x75, 0x6e, 0x63, 0x61, 0x74, 0x65, 0x50, 0x72, 0x6f, 0x6d, 0x70, 0x74, 0x54,
	0x6f, 0x6b, 0x65, 0x6e, 0x73, 0x88, 0x01, 0x01, 0x12, 0x44, 0x0a, 0x0f, 0x74, 0x72, 0x75, 0x6e,
	0x63, 0x61, 0x74, 0x69, 0x6f, 0x6e, 0x5f, 0x73, 0x69, 0x64, 0x65, 0x18, 0x02, 0x20, 0x01, 0x28,
	0x0e, 0x32, 0x1b, 0x2e, 0x70, 0x65, 0x6e, 0x73, 0x74, 0x6f, 0x63, 0x6b, 0x2e, 0x76, 0x31, 0x2e,
	0x54, 0x72, 0x75, 0x6e, 0x63, 0x61, 0x74, 0x69, 0x6f, 0x6e, 0x53, 0x69, 0x64, 0x65, 0x52, 0x0e,
	0x74, 0x72, 0x75, 0x6e, 0x63, 0x61, 0x74, 0x69, 0x6f, 0x6e, 0x53, 0x69, 0x64, 0x65, 0x12, 0x2e,
	0x0a, 0x07, 0x70, 0x61, 0x64, 0x64, 0x69, 0x6e, 0x67, 0x18, 0x03, 0x20, 0x01, 0x28, 0x0e, 0x32,
	0x14, 0x2e, 0x70, 0x65, 0x6e, 0x73, 0x74, 0x6f, 0x63, 0x6b, 0x2e, 0x76, 0x31, 0x2e, 0x50, 0x61,
	0x64, 0x64, 0x69, 0x6e, 0x67, 0x52, 0x07, 0x70, 0x61, 0x64, 0x64, 0x69, 0x6e, 0x67, 0x12, 0x31,
	0x0a, 0x12, 0x61, 0x64, 0x64, 0x5f, 0x73, 0x70, 0x65, 0x63, 0x69, 0x61, 0x6c, 0x5f, 0x74, 0x6f,
	0x6b, 0x65, 0x6e, 0x73, 0x18, 0x04, 0x20, 0x01, 0x28, 0x08, 0x48, 0x01, 0x52, 0x10, 0x61, 0x64,
	0x64, 0x53, 0x70, 0x65, 0x63, 0x69, 0x61, 0x6c, 0x54, 0x6f, 0x6b, 0x65, 0x6e, 0x73, 0x88, 0x01,
	0x01, 0x12, 0x2a, 0x0a, 0x0e, 0x75, 0x73, 0x65, 0x5f, 0x61, 0x63, 0x74, 0x69, 0x76, 0x61, 0x74,
	0x69, 0x6f, 0x6e, 0x18, 0x05, 0x20, 0x01, 0x28, 0x08, 0x48, 0x02, 0x52, 0x0d, 0x75, 0x73, 0x65,
	0x41, 0x63, 0x74, 0x69, 0x76, 0x61, 0x74, 0x69, 0x6f, 0x6e, 0x88, 0x01, 0x01, 0x42, 0x19, 0x0a,
	0x17, 0x5f, 0x74, 0x72, 0x75, 0x6e, 0x63, 0x61, 0x74, 0x65, 0x5f, 0x70, 0x72, 0x6f, 0x6d, 0x70,
	0x74, 0x5f, 0x74, 0x6f, 0x6b, 0x65, 0x6e, 0x73, 0x42, 0x15, 0x0a, 0x13, 0x5f, 0x61, 0x64, 0x64,
	0x5f, 0x73, 0x70, 0x65, 0x63, 0x69, 0x61, 0x6c, 0x5f, 0x74, 0x6f, 0x6b, 0x65, 0x6e, 0x73, 0x42,
	0x11, 0x0a, 0x0f, 0x5f, 0x75, 0x73, 0x65, 0x5f, 0x61, 0x63, 0x74, 0x69, 0x76, 0x61, 0x74, 0x69,
	0x6f, 0x6e, 0x22, 0x25, 0x0a, 0x0b, 0x46, 0x6c, 0x6f, 0x61, 0x74, 0x56, 0x65, 0x63, 0x74, 0x6f,
	0x72, 0x12, 0x16, 0x0a, 0x06, 0x76, 0x61, 0x6c, 0x75, 0x65, 0x73, 0x18, 0x01, 0x20, 0x03, 0x28,
	0x02, 0x52, 0x06, 0x76, 0x61, 0x6c, 0x75, 0x65, 0x73, 0x22, 0x72, 0x0a, 0x0c, 0x50, 0x61, 0x63,
	0x6b, 0x65, 0x64, 0x56, 0x65, 0x63, 0x74, 0x6f, 0x72, 0x12, 0x2e, 0x0a, 0x05, 0x64, 0x74, 0x79,
	0x70, 0x65, 0x18, 0x01, 0x20, 0x01, 0x28, 0x0e, 0x32, 0x18, 0x2e, 0x70, 0x65, 0x6e, 0x73, 0x74,
	0x6f, 0x63, 0x6b, 0x2e, 0x76, 0x31, 0x2e, 0x56, 0x65, 0x63, 0x74, 0x6f, 0x72, 0x44, 0x74, 0x79,
	0x70, 0x65, 0x52, 0x05, 0x64, 0x74, 0x79, 0x70, 0x65, 0x12, 0x1e, 0x0a, 0x0a, 0x64, 0x69, 0x6d,
	0x65, 0x6e, 0x73, 0x69, 0x6f, 0x6e, 0x73, 0x18, 0x02, 0x20, 0x01, 0x28, 0x05, 0x52, 0x0a, 0x64,
	0x69, 0x6d, 0x65, 0x6e, 0x73, 0x69, 0x6f, 0x6e, 0x73, 0x12, 0x12, 0x0a, 0x04, 0x64, 0x61, 0x74,
	0x61, 0x18, 0x03, 0x20, 0x01, 0x28, 0x0c, 0x52, 0x04, 0x64, 0x61, 0x74, 0x61, 0x22, 0x41, 0x0a,
	0x0b, 0x4d, 0x75, 0x6c, 0x74, 0x69, 0x56, 0x65, 0x63, 0x74, 0x6f, 0x72, 0x12, 0x32, 0x0a, 0x07,
	0x76, 0x65, 0x63, 0x74, 0x6f, 0x72, 0x73, 0x18, 0x01, 0x20, 0x03, 0x28, 0x0b, 0x32, 0x18, 0x2e,
	0x70, 0x65, 0x6e, 0x73, 0x74, 0x6f, 0x63, 0x6b, 0x2e, 0x76, 0x31, 0x2e, 0x46, 0x6c, 0x6f, 0x61,
	0x74, 0x56, 0x65, 0x63, 0x74, 0x6f, 0x72, 0x52, 0x07, 0x76, 0x65, 0x63, 0x74, 0x6f, 0x72, 0x73,
	0x22, 0x8b, 0x01, 0x0a, 0x11, 0x50, 0x61, 0x63, 0x6b, 0x65, 0x64, 0x4d, 0x75, 0x6c, 0x74, 0x69,
	0x56, 0x65, 0x63, 0x74, 0x6f, 0x72, 0x12, 0x2e, 0x0a, 0x05, 0x64, 0x74, 0x79, 0x70, 0x65, 0x18,
	0x01, 0x20, 0x01, 0x28, 0x0e, 0x32, 0x18, 0x2e, 0x70, 0x65, 0x6e, 0x73, 0x74, 0x6f, 0x63, 0x6b,
	0x2e, 0x76, 0x31, 0x2e, 0x56, 0x65, 0x63, 0x74, 0x6f, 0x72, 0x44, 0x74, 0x79, 0x70, 0x65, 0x52,
	0x05, 0x64, 0x74, 0x79, 0x70, 0x65, 0x12, 0x12, 0x0a, 0x04, 0x72, 0x6f, 0x77, 0x73, 0x18, 0x02,
	0x20, 0x01, 0x28, 0x05, 0x52, 0x04, 0x72, 0x6f, 0x77, 0x73, 0x12, 0x1e, 0x0a, 0x0a, 0x64, 0x69,
	0x6d, 0x65, 0x6e, 0x73, 0x69, 0x6f, 0x6e, 0x73, 0x18, 0x03, 0x20, 0x01, 0x28, 0x05, 0x52, 0x0a,
	0x64, 0x69, 0x6d, 0x65, 0x6e, 0x73, 0x69, 0x6f, 0x6e, 0x73, 0x12, 0x12, 0x0a, 0x04, 0x64, 0x61,
	0x74, 0x61, 0x18, 0x04, 0x20, 0x01, 0x28, 0x0c, 0x52, 0x04, 0x64, 0x61, 0x74, 0x61, 0x2a, 0xef,
	0x01, 0x0a, 0x0c, 0x46, 0x69, 0x6e, 0x69, 0x73, 0x68, 0x52, 0x65, 0x61, 0x73, 0x6f, 0x6e, 0x12,
	0x1d, 0x0a, 0x19, 0x46, 0x49, 0x4e, 0x49, 0x53, 0x48, 0x5f, 0x52, 0x45, 0x41, 0x53, 0x4f, 0x4e,
	0x5f, 0x55, 0x4e, 0x53, 0x50, 0x45, 0x43, 0x49, 0x46, 0x49, 0x45, 0x44, 0x10, 0x00, 0x12, 0x16,
	0x0a, 0x12, 0x46, 0x49, 0x4e, 0x49, 0x53, 0x48, 0x5f, 0x52, 0x45, 0x41, 0x53, 0x4f, 0x4e, 0x5f,
	0x53, 0x54, 0x4f, 0x50, 0x10, 0x01, 0x12, 0x18, 0x0a, 0x14, 0x46, 0x49, 0x4e, 0x49, 0x53, 0x48,
	0x5f, 0x52, 0x45, 0x41, 0x53, 0x4f, 0x4e, 0x5f, 0x4c, 0x45, 0x4e, 0x47, 0x54, 0x48, 0x10, 0x02,
	0x12, 0x1c, 0x0a, 0x18, 0x46, 0x49, 0x4e, 0x49, 0x53, 0x48, 0x5f, 0x52, 0x45, 0x41, 0x53, 0x4f,
	0x4e, 0x5f, 0x54, 0x4f, 0x4f, 0x4c, 0x5f, 0x43, 0x41, 0x4c, 0x4c, 0x53, 0x10, 0x03, 0x12, 0x20,
	0x0a, 0x1c, 0x46, 0x49, 0x4e, 0x49, 0x53, 0x48, 0x5f, 0x52, 0x45, 0x41, 0x53, 0x4f, 0x4e, 0x5f,
	0x43, 0x4f, 0x4e, 0x54, 0x45, 0x4e, 0x54, 0x5f, 0x46, 0x49, 0x4c, 0x54, 0x45, 0x52, 0x10, 0x04,
	0x12, 0x17, 0x0a, 0x13, 0x46, 0x49, 0x4e, 0x49, 0x53, 0x48, 0x5f, 0x52, 0x45, 0x41, 0x53, 0x4f,
	0x4e, 0x5f, 0x41, 0x42, 0x4f, 0x52, 0x54, 0x10, 0x05, 0x12, 0x1c, 0x0a, 0x18, 0x46, 0x49, 0x4e,
	0x49, 0x53, 0x48, 0x5f, 0x52, 0x45, 0x41, 0x53, 0x4f, 0x4e, 0x5f, 0x52, 0x45, 0x50, 0x45, 0x54,
	0x49, 0x54, 0x49, 0x4f, 0x4e, 0x10, 0x06, 0x12, 0x17, 0x0a, 0x13, 0x46, 0x49, 0x4e, 0x49, 0x53,
	0x48, 0x5f, 0x52, 0x45, 0x41, 0x53, 0x4f, 0x4e, 0x5f, 0x4f, 0x54, 0x48, 0x45, 0x52, 0x10, 0x07,
	0x2a, 0x66, 0x0a, 0x0e, 0x54, 0x72, 0x75, 0x6e, 0x63, 0x61, 0x74, 0x69, 0x6f, 0x6e, 0x53, 0x69,
	0x64, 0x65, 0x12, 0x1f, 0x0a, 0x1b, 0x54, 0x52, 0x55, 0x4e, 0x43, 0x41, 0x54, 0x49, 0x4f, 0x4e,
	0x5f, 0x53, 0x49, 0x44, 0x45, 0x5f, 0x55, 0x4e, 0x53, 0x50, 0x45, 0x43, 0x49, 0x46, 0x49, 0x45,
	0x44, 0x10, 0x00, 0x12, 0x18, 0x0a, 0x14, 0x54, 0x52, 0x55, 0x4e, 0x43, 0x41, 0x54, 0x49, 0x4f,
	0x4e, 0x5f, 0x53, 0x49, 0x44, 0x45, 0x5f, 0x4c, 0x45, 0x46, 0x54, 0x10, 0x01, 0x12, 0x19, 0x0a,
	0x15, 0x54, 0x52, 0x55, 0x4e, 0x43, 0x41, 0x54, 0x49, 0x4f, 0x4e, 0x5f, 0x53, 0x49, 0x44, 0x45,
	0x5f, 0x52, 0x49, 0x47, 0x48, 0x54, 0x10, 0x02, 0x2a, 0x52, 0x0a, 0x07, 0x50, 0x61, 0x64, 0x64,
	0x69, 0x6e, 0x67, 0x12, 0x17, 0x0a, 0x13, 0x50, 0x41, 0x44, 0x44, 0x49, 0x4e, 0x47, 0x5f, 0x55,
	0x4e, 0x53, 0x50, 0x45, 0x43, 0x49, 0x46, 0x49, 0x45, 0x44, 0x10, 0x00, 0x12, 0x16, 0x0a, 0x12,
	0x50, 0x41, 0x44, 0x44, 0x49, 0x4e, 0x47, 0x5f, 0x4d, 0x41, 0x58, 0x5f, 0x4c, 0x45, 0x4e, 0x47,
	0x54, 0x48, 0x10, 0x01, 0x12, 0x16, 0x0a, 0x12, 0x50, 0x41, 0x44, 0x44, 0x49, 0x4e, 0x47, 0x5f,
	0x44, 0x4f, 0x5f, 0x4e, 0x4f, 0x54, 0x5f, 0x50, 0x41, 0x44, 0x10, 0x02, 0x2a, 0xb0, 0x01, 0x0a,
	0x0b, 0x56, 0x65, 0x63, 0x74, 0x6f, 0x72, 0x44, 0x74, 0x79, 0x70, 0x65, 0x12, 0x1c, 0x0a, 0x18,
	0x56, 0x45, 0x43, 0x54, 0x4f, 0x52, 0x5f, 0x44, 0x54, 0x59, 0x50, 0x45, 0x5f, 0x55, 0x4e, 0x53,
	0x50, 0x45, 0x43, 0x49, 0x46, 0x49, 0x45, 0x44, 0x10, 0x00, 0x12, 0x18, 0x0a, 0x14, 0x56, 0x45,
	0x43, 0x54, 0x4f, 0x52, 0x5f, 0x44, 0x54, 0x59, 0x50, 0x45, 0x5f, 0x46, 0x4c, 0x4f, 0x41, 0x54,
	0x33, 0x32, 0x10, 0x01, 0x12, 0x18, 0x0a, 0x14, 0x56, 0x45, 0x43, 0x54, 0x4f, 0x52, 0x5f, 0x44,
	0x54, 0x59, 0x50, 0x45, 0x5f, 0x46, 0x4c, 0x4f, 0x41, 0x54, 0x31, 0x36, 0x10, 0x02, 0x12, 0x19,
	0x0a, 0x15, 0x56, 0x45, 0x43, 0x54, 0x4f, 0x52, 0x5f, 0x44, 0x54, 0x59, 0x50, 0x45, 0x5f, 0x42,
	0x46, 0x4c, 0x4f, 0x41, 0x54, 0x31, 0x36, 0x10, 0x03, 0x12, 0x19, 0x0a, 0x15, 0x56, 0x45, 0x43,
	0x54, 0x4f, 0x52, 0x5f, 0x44, 0x54, 0x59, 0x50, 0x45, 0x5f, 0x46, 0x50, 0x38, 0x5f, 0x45, 0x34,
	0x4d, 0x33, 0x10, 0x04, 0x12, 0x19, 0x0a, 0x15, 0x56, 0x45, 0x43, 0x54, 0x4f, 0x52, 0x5f, 0x44,
	0x54, 0x59, 0x50, 0x45, 0x5f, 0x46, 0x50, 0x38, 0x5f, 0x45, 0x35, 0x4d, 0x32, 0x10, 0x05, 0x42,
	0x74, 0x0a, 0x0b, 0x70, 0x65, 0x6e, 0x73, 0x74, 0x6f, 0x63, 0x6b, 0x2e, 0x76, 0x31, 0x42, 0x0b,
	0x43, 0x6f, 0x6d, 0x6d, 0x6f, 0x6e, 0x50, 0x72, 0x6f, 0x74, 0x6f, 0x50, 0x01, 0xa2, 0x02, 0x03,
	0x50, 0x4e, 0x53, 0xaa, 0x02, 0x0b, 0x50, 0x65, 0x6e, 0x73, 0x74, 0x6f, 0x63, 0x6b, 0x2e, 0x56,
	0x31, 0xba, 0x02, 0x0a, 0x50, 0x65, 0x6e, 0x73, 0x74, 0x6f, 0x63, 0x6b, 0x56, 0x31, 0xca, 0x02,
	0x0b, 0x50, 0x65, 0x6e, 0x73, 0x74, 0x6f, 0x63, 0x6b, 0x5c, 0x56, 0x31, 0xe2, 0x02, 0x17, 0x50,
	0x65, 0x6e, 0x73, 0x74, 0x6f, 0x63, 0x6b, 0x5c, 0x56, 0x31, 0x5c, 0x47, 0x50, 0x42, 0x4d, 0x65,
	0x74, 0x61, 0x64, 0x61, 0x74, 0x61, 0xea, 0x02, 0x0c, 0x50, 0x65, 0x6e, 0x73, 0x74, 0x6f, 0x63,
	0x6b, 0x3a, 0x3a, 0x56, 0x31, 0x62, 0x06, 0x70, 0x72, 0x6f, 0x74, 0x6f, 0x33,
}

var (
	file_penstock_v1_common_proto_rawDescOnce sync.Once
	file_penstock_v1_common_proto_rawDescData = file_penstock_v1_common_proto_rawDesc
)

func file_penstock_v1_common_proto_rawDescGZIP() []byte {
	file_penstock_v1_common_proto_rawDescOnce.Do(func() {
		file_penstock_v1_common_proto_rawDescData = protoimpl.X.CompressGZIP(file_penstock_v1_common_proto_rawDescData)
	})
	return file_penstock_v1_common_proto_rawDescData
}

var file_penstock_v1_common_proto_enumTypes = make([]protoimpl.EnumInfo, 4)
var file_penstock_v1_common_proto_msgTypes = make([]protoimpl.MessageInfo, 27)
var file_penstock_v1_common_proto_goTypes = []interface{}{
	(FinishReason)(0),                 // 0: penstock.v1.FinishReason
	(TruncationSide)(0),               // 1: penstock.v1.TruncationSide
	(Padding)(0),                      // 2: penstock.v1.Padding
	(VectorDtype)(0),                  // 3: penstock.v1.VectorDtype
	(*TokenIds)(nil),                  // 4: penstock.v1.TokenIds
	(*JsonDocument)(nil),              // 5: penstock.v1.JsonDocument
	(*Usage)(nil),                     // 6: penstock.v1.Usage
	(*PromptTokensDetails)(nil),       // 7: penstock.v1.PromptTokensDetails
	(*CompletionTokensDetails)(nil),   // 8: penstock.v1.CompletionTokensDetails
	(*RequestMetrics)(nil),            // 9: penstock.v1.RequestMetrics
	(*RepetitionDetection)(nil),       // 10: penstock.v1.RepetitionDetection
	(*SamplingParams)(nil),            // 11: penstock.v1.SamplingParams
	(*LogprobOptions)(nil),            // 12: penstock.v1.LogprobOptions
	(*StructuredOutputs)(nil),         // 13: penstock.v1.StructuredOutputs
	(*JsonObjectFormat)(nil),          // 14: penstock.v1.JsonObjectFormat
	(*EngineOptions)(nil),             // 15: penstock.v1.EngineOptions
	(*WeightVersionSpan)(nil),         // 16: penstock.v1.WeightVersionSpan
	(*PromptTokenLogprobs)(nil),       // 17: penstock.v1.PromptTokenLogprobs
	(*RankedLogprob)(nil),             // 18: penstock.v1.RankedLogprob
	(*TokenLogprob)(nil),              // 19: penstock.v1.TokenLogprob
	(*TopLogprob)(nil),                // 20: penstock.v1.TopLogprob
	(*StreamOptions)(nil),             // 21: penstock.v1.StreamOptions
	(*PoolingOptions)(nil),            // 22: penstock.v1.PoolingOptions
	(*FloatVector)(nil),               // 23: penstock.v1.FloatVector
	(*PackedVector)(nil),              // 24: penstock.v1.PackedVector
	(*MultiVector)(nil),               // 25: penstock.v1.MultiVector
	(*PackedMultiVector)(nil),         // 26: penstock.v1.PackedMultiVector
	nil,                               // 27: penstock.v1.PromptTokensDetails.MultimodalTokensEntry
	nil,                               // 28: penstock.v1.SamplingParams.LogitBiasEntry
	(*StructuredOutputs_Choices)(nil), // 29: penstock.v1.StructuredOutputs.Choices
	nil,                               // 30: penstock.v1.PromptTokenLogprobs.CandidatesEntry
	(*structpb.Struct)(nil),           // 31: google.protobuf.Struct
	(*durationpb.Duration)(nil),       // 32: google.protobuf.Duration
}
var file_penstock_v1_common_proto_depIdxs = []int32{
	31, // 0: penstock.v1.JsonDocument.object:type_name -> google.protobuf.Struct
	7,  // 1: penstock.v1.Usage.prompt_tokens_details:type_name -> penstock.v1.PromptTokensDetails
	8,  // 2: penstock.v1.Usage.completion_tokens_details:type_name -> penstock.v1.CompletionTokensDetails
	5,  // 3: penstock.v1.Usage.extra:type_name -> penstock.v1.JsonDocument
	27, // 4: penstock.v1.PromptTokensDetails.multimodal_tokens:type_name -> penstock.v1.PromptTokensDetails.MultimodalTokensEntry
	32, // 5: penstock.v1.RequestMetrics.time_to_first_token:type_name -> google.protobuf.Duration
	32, // 6: penstock.v1.RequestMetrics.generation_time:type_name -> google.protobuf.Duration
	32, // 7: penstock.v1.RequestMetrics.queue_time:type_name -> google.protobuf.Duration
	32, // 8: penstock.v1.RequestMetrics.mean_inter_token_latency:type_name -> google.protobuf.Duration
	5,  // 9: penstock.v1.RequestMetrics.speculative_decoding:type_name -> penstock.v1.JsonDocument
	5,  // 10: penstock.v1.RequestMetrics.extra:type_name -> penstock.v1.JsonDocument
	28, // 11: penstock.v1.SamplingParams.logit_bias:type_name -> penstock.v1.SamplingParams.LogitBiasEntry
	1,  // 12: penstock.v1.SamplingParams.truncation_side:type_name -> penstock.v1.TruncationSide
	10, // 13: penstock.v1.SamplingParams.repetition_detection:type_name -> penstock.v1.RepetitionDetection
	5,  // 14: penstock.v1.StructuredOutputs.json_schema:type_name -> penstock.v1.JsonDocument
	14, // 15: penstock.v1.StructuredOutputs.json_object:type_name -> penstock.v1.JsonObjectFormat
	29, // 16: penstock.v1.StructuredOutputs.choice:type_name -> penstock.v1.StructuredOutputs.Choices
	5,  // 17: penstock.v1.StructuredOutputs.structural_tag:type_name -> penstock.v1.JsonDocument
	5,  // 18: penstock.v1.EngineOptions.vllm_xargs:type_name -> penstock.v1.JsonDocument
	5,  // 19: penstock.v1.EngineOptions.kv_transfer_params:type_name -> penstock.v1.JsonDocument
	5,  // 20: penstock.v1.EngineOptions.ec_transfer_params:type_name -> penstock.v1.JsonDocument
	30, // 21: penstock.v1.PromptTokenLogprobs.candidates:type_name -> penstock.v1.PromptTokenLogprobs.CandidatesEntry
	20, // 22: penstock.v1.TokenLogprob.top_logprobs:type_name -> penstock.v1.TopLogprob
	32, // 23: penstock.v1.StreamOptions.merge_deltas_within:type_name -> google.protobuf.Duration
	1,  // 24: penstock.v1.PoolingOptions.truncation_side:type_name -> penstock.v1.TruncationSide
	2,  // 25: penstock.v1.PoolingOptions.padding:type_name -> penstock.v1.Padding
	3,  // 26: penstock.v1.PackedVector.dtype:type_name -> penstock.v1.VectorDtype
	23, // 27: penstock.v1.MultiVector.vectors:type_name -> penstock.v1.FloatVector
	3,  // 28: penstock.v1.PackedMultiVector.dtype:type_name -> penstock.v1.VectorDtype
	18, // 29: penstock.v1.PromptTokenLogprobs.CandidatesEntry.value:type_name -> penstock.v1.RankedLogprob
	30, // [30:30] is the sub-list for method output_type
	30, // [30:30] is the sub-list for method input_type
	30, // [30:30] is the sub-list for extension type_name
	30, // [30:30] is the sub-list for extension extendee
	0,  // [0:30] is the sub-list for field type_name
}

func init() { file_penstock_v1_common_proto_init() }
func file_penstock_v1_common_proto_init() {
	if File_penstock_v1_common_proto != nil {
		return
	}
	if !protoimpl.UnsafeEnabled {
		file_penstock_v1_common_proto_msgTypes[0].Exporter = func(v interface{}, i int) interface{} {
			switch v := v.(*TokenIds); i {
			case 0:
				return &v.state
			case 1:
				return &v.sizeCache
			case 2:
				return &v.unknownFields
			default:
				return nil
			}
		}
		file_penstock_v1_common_proto_msgTypes[1].Exporter = func(v interface{}, i int) interface{} {
			switch v := v.(*JsonDocument); i {
			case 0:
				return &v.state
			case 1:
				return &v.sizeCache
			case 2:
				return &v.unknownFields
			default:
				return nil
			}
		}
		file_penstock_v1_common_proto_msgTypes[2].Exporter = func(v interface{}, i int) interface{} {
			switch v := v.(*Usage); i {
			case 0:
				return &v.state
			case 1:
				return &v.sizeCache
			case 2:
				return &v.unknownFields
			default:
				return nil
			}
		}
		file_penstock_v1_common_proto_msgTypes[3].Exporter = func(v interface{}, i int) interface{} {
			switch v := v.(*PromptTokensDetails); i {
			case 0:
				return &v.state
			case 1:
				return &v.sizeCache
			case 2:
				return &v.unknownFields
			default:
				return nil
			}
		}
		file_penstock_v1_common_proto_msgTypes[4].Exporter = func(v interface{}, i int) interface{} {
			switch v := v.(*CompletionTokensDetails); i {
			case 0:
				return &v.state
			case 1:
				return &v.sizeCache
			case 2:
				return &v.unknownFields
			default:
				return nil
			}
		}
		file_penstock_v1_common_proto_msgTypes[5].Exporter = func(v interface{}, i int) interface{} {
			switch v := v.(*RequestMetrics); i {
			case 0:
				return &v.state
			case 1:
				return &v.sizeCache
			case 2:
				return &v.unknownFields
			default:
				return nil
			}
		}
		file_penstock_v1_common_proto_msgTypes[6].Exporter = func(v interface{}, i int) interface{} {
			switch v := v.(*RepetitionDetection); i {
			case 0:
				return &v.state
			case 1:
				return &v.sizeCache
			case 2:
				return &v.unknownFields
			default:
				return nil
			}
		}
		file_penstock_v1_common_proto_msgTypes[7].Exporter = func(v interface{}, i int) interface{} {
			switch v := v.(*SamplingParams); i {
			case 0:
				return &v.state
			case 1:
				return &v.sizeCache
			case 2:
				return &v.unknownFields
			default:
				return nil
			}
		}
		file_penstock_v1_common_proto_msgTypes[8].Exporter = func(v interface{}, i int) interface{} {
			switch v := v.(*LogprobOptions); i {
			case 0:
				return &v.state
			case 1:
				return &v.sizeCache
			case 2:
				return &v.unknownFields
			default:
				return nil
			}
		}
		file_penstock_v1_common_proto_msgTypes[9].Exporter = func(v interface{}, i int) interface{} {
			switch v := v.(*StructuredOutputs); i {
			case 0:
				return &v.state
			case 1:
				return &v.sizeCache
			case 2:
				return &v.unknownFields
			default:
				return nil
			}
		}
		file_penstock_v1_common_proto_msgTypes[10].Exporter = func(v interface{}, i int) interface{} {
			switch v := v.(*JsonObjectFormat); i {
			case 0:
				return &v.state
			case 1:
				return &v.sizeCache
			case 2:
				return &v.unknownFields
			default:
				return nil
			}
		}
		file_penstock_v1_common_proto_msgTypes[11].Exporter = func(v interface{}, i int) interface{} {
			switch v := v.(*EngineOptions); i {
			case 0:
				return &v.state
			case 1:
				return &v.sizeCache
			case 2:
				return &v.unknownFields
			default:
				return nil
			}
		}
		file_penstock_v1_common_proto_msgTypes[12].Exporter = func(v interface{}, i int) interface{} {
			switch v := v.(*WeightVersionSpan); i {
			case 0:
				return &v.state
			case 1:
				return &v.sizeCache
			case 2:
				return &v.unknownFields
			default:
				return nil
			}
		}
		file_penstock_v1_common_proto_msgTypes[13].Exporter = func(v interface{}, i int) interface{} {
			switch v := v.(*PromptTokenLogprobs); i {
			case 0:
				return &v.state
			case 1:
				return &v.sizeCache
			case 2:
				return &v.unknownFields
			default:
				return nil
			}
		}
		file_penstock_v1_common_proto_msgTypes[14].Exporter = func(v interface{}, i int) interface{} {
			switch v := v.(*RankedLogprob); i {
			case 0:
				return &v.state
			case 1:
				return &v.sizeCache
			case 2:
				return &v.unknownFields
			default:
				return nil
			}
		}
		file_penstock_v1_common_proto_msgTypes[15].Exporter = func(v interface{}, i int) interface{} {
			switch v := v.(*TokenLogprob); i {
			case 0:
				return &v.state
			case 1:
				return &v.sizeCache
			case 2:
				return &v.unknownFields
			default:
				return nil
			}
		}
		file_penstock_v1_common_proto_msgTypes[16].Exporter = func(v interface{}, i int) interface{} {
			switch v := v.(*TopLogprob); i {
			case 0:
				return &v.state
			case 1:
				return &v.sizeCache
			case 2:
				return &v.unknownFields
			default:
				return nil
			}
		}
		file_penstock_v1_common_proto_msgTypes[17].Exporter = func(v interface{}, i int) interface{} {
			switch v := v.(*StreamOptions); i {
			case 0:
				return &v.state
			case 1:
				return &v.sizeCache
			case 2:
				return &v.unknownFields
			default:
				return nil
			}
		}
		file_penstock_v1_common_proto_msgTypes[18].Exporter = func(v interface{}, i int) interface{} {
			switch v := v.(*PoolingOptions); i {
			case 0:
				return &v.state
			case 1:
				return &v.sizeCache
			case 2:
				return &v.unknownFields
			default:
				return nil
			}
		}
		file_penstock_v1_common_proto_msgTypes[19].Exporter = func(v interface{}, i int) interface{} {
			switch v := v.(*FloatVector); i {
			case 0:
				return &v.state
			case 1:
				return &v.sizeCache
			case 2:
				return &v.unknownFields
			default:
				return nil
			}
		}
		file_penstock_v1_common_proto_msgTypes[20].Exporter = func(v interface{}, i int) interface{} {
			switch v := v.(*PackedVector); i {
			case 0:
				return &v.state
			case 1:
				return &v.sizeCache
			case 2:
				return &v.unknownFields
			default:
				return nil
			}
		}
		file_penstock_v1_common_proto_msgTypes[21].Exporter = func(v interface{}, i int) interface{} {
			switch v := v.(*MultiVector); i {
			case 0:
				return &v.state
			case 1:
				return &v.sizeCache
			case 2:
				return &v.unknownFields
			default:
				return nil
			}
		}
		file_penstock_v1_common_proto_msgTypes[22].Exporter = func(v interface{}, i int) interface{} {
			switch v := v.(*PackedMultiVector); i {
			case 0:
				return &v.state
			case 1:
				return &v.sizeCache
			case 2:
				return &v.unknownFields
			default:
				return nil
			}
		}
		file_penstock_v1_common_proto_msgTypes[25].Exporter = func(v interface{}, i int) interface{} {
			switch v := v.(*StructuredOutputs_Choices); i {
			case 0:
				return &v.state
			case 1:
				return &v.sizeCache
			case 2:
				return &v.unknownFields
			default:
				return nil
			}
		}
	}
	file_penstock_v1_common_proto_msgTypes[1].OneofWrappers = []interface{}{
		(*JsonDocument_Json)(nil),
		(*JsonDocument_Object)(nil),
	}
	file_penstock_v1_common_proto_msgTypes[3].OneofWrappers = []interface{}{}
	file_penstock_v1_common_proto_msgTypes[4].OneofWrappers = []interface{}{}
	file_penstock_v1_common_proto_msgTypes[5].OneofWrappers = []interface{}{}
	file_penstock_v1_common_proto_msgTypes[7].OneofWrappers = []interface{}{}
	file_penstock_v1_common_proto_msgTypes[8].OneofWrappers = []interface{}{}
	file_penstock_v1_common_proto_msgTypes[9].OneofWrappers = []interface{}{
		(*StructuredOutputs_JsonSchema)(nil),
		(*StructuredOutputs_JsonObject)(nil),
		(*StructuredOutputs_Regex)(nil),
		(*StructuredOutputs_Choice)(nil),
		(*StructuredOutputs_Grammar)(nil),
		(*StructuredOutputs_StructuralTag)(nil),
	}
	file_penstock_v1_common_proto_msgTypes[11].OneofWrappers = []interface{}{}
	file_penstock_v1_common_proto_msgTypes[14].OneofWrappers = []interface{}{}
	file_penstock_v1_common_proto_msgTypes[17].OneofWrappers = []interface{}{}
	file_penstock_v1_common_proto_msgTypes[18].OneofWrappers = []interface{}{}
	type x struct{}
	out := protoimpl.TypeBuilder{
		File: protoimpl.DescBuilder{
			GoPackagePath: reflect.TypeOf(x{}).PkgPath(),
			RawDescriptor: file_penstock_v1_common_proto_rawDesc,
			NumEnums:      4,
			NumMessages:   27,
			NumExtensions: 0,
			NumServices:   0,
		},
		GoTypes:           file_penstock_v1_common_proto_goTypes,
		DependencyIndexes: file_penstock_v1_common_proto_depIdxs,
		EnumInfos:         file_penstock_v1_common_proto_enumTypes,
		MessageInfos:      file_penstock_v1_common_proto_msgTypes,
	}.Build()
	File_penstock_v1_common_proto = out.File
	file_penstock_v1_common_proto_rawDesc = nil
	file_penstock_v1_common_proto_goTypes = nil
	file_penstock_v1_common_proto_depIdxs = nil
}
