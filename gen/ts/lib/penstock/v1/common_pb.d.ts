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

import type { GenEnum, GenFile, GenMessage } from "@bufbuild/protobuf/codegenv2";
import type { JsonObject, Message } from "@bufbuild/protobuf";
import type { Duration } from "@bufbuild/protobuf/wkt";

/**
 * Describes the file penstock/v1/common.proto.
 */
export declare const file_penstock_v1_common: GenFile;

/**
 * A list of token ids, for fields that hold several lists or one of several types.
 *
 * @generated from message penstock.v1.TokenIds
 */
export declare type TokenIds = Message<"penstock.v1.TokenIds"> & {
  /**
   * Token ids of the model's tokenizer. Must not be negative.
   *
   * @generated from field: repeated int32 ids = 1;
   */
  ids: number[];
};

/**
 * Describes the message penstock.v1.TokenIds.
 * Use `create(TokenIdsSchema)` to create a new message.
 */
export declare const TokenIdsSchema: GenMessage<TokenIds>;

/**
 * JSON of a form that this API does not define. INVALID_ARGUMENT INVALID_REQUEST if a comment
 * requires a JSON object and the document is of another type.
 *
 * @generated from message penstock.v1.JsonDocument
 */
export declare type JsonDocument = Message<"penstock.v1.JsonDocument"> & {
  /**
   * The document, in one of two notations. Responses always use `json`. INVALID_ARGUMENT
   * INVALID_REQUEST if neither is set.
   *
   * @generated from oneof penstock.v1.JsonDocument.document
   */
  document: {
    /**
     * JSON text. INVALID_ARGUMENT INVALID_REQUEST if it is malformed, or if it is a JSON object
     * nested more than 200 levels deep.
     *
     * In a request, the text is sent upstream unchanged, byte for byte. Only `extra`, `extra_body`
     * and ContentPart.other are merged into other JSON; this preserves the order of keys, strings,
     * and numbers of up to 64 bits, while larger integers become floating-point numbers. The same
     * applies to all documents in responses.
     *
     * @generated from field: string json = 1;
     */
    value: string;
    case: "json";
  } | {
    /**
     * A JSON object, for small documents written by hand, for example with grpcurl. The order of
     * keys is not preserved. Numbers are 64-bit floating-point values; integral values below 2^53
     * in magnitude are sent as integers. Use `json` for large integers, and for schemas if the
     * order of their properties matters to the model.
     *
     * @generated from field: google.protobuf.Struct object = 2;
     */
    value: JsonObject;
    case: "object";
  } | { case: undefined; value?: undefined };
};

/**
 * Describes the message penstock.v1.JsonDocument.
 * Use `create(JsonDocumentSchema)` to create a new message.
 */
export declare const JsonDocumentSchema: GenMessage<JsonDocument>;

/**
 * Token counts of a request.
 *
 * @generated from message penstock.v1.Usage
 */
export declare type Usage = Message<"penstock.v1.Usage"> & {
  /**
   * Number of tokens in the input, including multimodal placeholders.
   *
   * @generated from field: int32 prompt_tokens = 1;
   */
  promptTokens: number;

  /**
   * Number of generated tokens in all choices. 0 for operations that generate no tokens.
   *
   * @generated from field: int32 completion_tokens = 2;
   */
  completionTokens: number;

  /**
   * Sum of `prompt_tokens` and `completion_tokens`.
   *
   * @generated from field: int32 total_tokens = 3;
   */
  totalTokens: number;

  /**
   * Breakdown of `prompt_tokens`. Set only if the upstream is started with the option to report it.
   *
   * @generated from field: penstock.v1.PromptTokensDetails prompt_tokens_details = 4;
   */
  promptTokensDetails?: PromptTokensDetails | undefined;

  /**
   * Breakdown of `completion_tokens`. Set only if the upstream reports it.
   *
   * @generated from field: penstock.v1.CompletionTokensDetails completion_tokens_details = 5;
   */
  completionTokensDetails?: CompletionTokensDetails | undefined;

  /**
   * Upstream keys that have no field. Unknown keys of the details are under the name of the
   * details.
   *
   * @generated from field: penstock.v1.JsonDocument extra = 100;
   */
  extra?: JsonDocument | undefined;
};

/**
 * Describes the message penstock.v1.Usage.
 * Use `create(UsageSchema)` to create a new message.
 */
export declare const UsageSchema: GenMessage<Usage>;

/**
 * Breakdown of the prompt tokens.
 *
 * @generated from message penstock.v1.PromptTokensDetails
 */
export declare type PromptTokensDetails = Message<"penstock.v1.PromptTokensDetails"> & {
  /**
   * Number of tokens found in the prefix cache.
   *
   * @generated from field: optional int32 cached_tokens = 1;
   */
  cachedTokens?: number | undefined;

  /**
   * Number of tokens newly written to the prefix cache.
   *
   * @generated from field: optional int32 created_cache_tokens = 2;
   */
  createdCacheTokens?: number | undefined;

  /**
   * Number of tokens by modality, such as "image".
   *
   * @generated from field: map<string, int32> multimodal_tokens = 3;
   */
  multimodalTokens: { [key: string]: number };
};

/**
 * Describes the message penstock.v1.PromptTokensDetails.
 * Use `create(PromptTokensDetailsSchema)` to create a new message.
 */
export declare const PromptTokensDetailsSchema: GenMessage<PromptTokensDetails>;

/**
 * Breakdown of the generated tokens.
 *
 * @generated from message penstock.v1.CompletionTokensDetails
 */
export declare type CompletionTokensDetails = Message<"penstock.v1.CompletionTokensDetails"> & {
  /**
   * Number of reasoning tokens.
   *
   * @generated from field: optional int32 reasoning_tokens = 1;
   */
  reasoningTokens?: number | undefined;
};

/**
 * Describes the message penstock.v1.CompletionTokensDetails.
 * Use `create(CompletionTokensDetailsSchema)` to create a new message.
 */
export declare const CompletionTokensDetailsSchema: GenMessage<CompletionTokensDetails>;

/**
 * Timings of one request, measured by the upstream's engine. Set only if the upstream is started
 * with the option to report them.
 *
 * @generated from message penstock.v1.RequestMetrics
 */
export declare type RequestMetrics = Message<"penstock.v1.RequestMetrics"> & {
  /**
   * Time from the request's arrival to the first generated token, including the time in the queue.
   *
   * @generated from field: google.protobuf.Duration time_to_first_token = 1;
   */
  timeToFirstToken?: Duration | undefined;

  /**
   * Time from the first to the last generated token.
   *
   * @generated from field: google.protobuf.Duration generation_time = 2;
   */
  generationTime?: Duration | undefined;

  /**
   * Time that the request waited before the engine started on it.
   *
   * @generated from field: google.protobuf.Duration queue_time = 3;
   */
  queueTime?: Duration | undefined;

  /**
   * Mean time between generated tokens.
   *
   * @generated from field: google.protobuf.Duration mean_inter_token_latency = 4;
   */
  meanInterTokenLatency?: Duration | undefined;

  /**
   * Number of generated tokens per second.
   *
   * @generated from field: optional double tokens_per_second = 5;
   */
  tokensPerSecond?: number | undefined;

  /**
   * Statistics of speculative decoding, as the upstream's JSON.
   *
   * @generated from field: penstock.v1.JsonDocument speculative_decoding = 6;
   */
  speculativeDecoding?: JsonDocument | undefined;

  /**
   * Upstream keys that have no field.
   *
   * @generated from field: penstock.v1.JsonDocument extra = 100;
   */
  extra?: JsonDocument | undefined;
};

/**
 * Describes the message penstock.v1.RequestMetrics.
 * Use `create(RequestMetricsSchema)` to create a new message.
 */
export declare const RequestMetricsSchema: GenMessage<RequestMetrics>;

/**
 * Settings for ending repetitive output with FINISH_REASON_REPETITION. 0 disables a limit; if all
 * are 0, which is the default, detection is disabled.
 *
 * @generated from message penstock.v1.RepetitionDetection
 */
export declare type RepetitionDetection = Message<"penstock.v1.RepetitionDetection"> & {
  /**
   * Maximum length of a repeated pattern, in tokens.
   *
   * @generated from field: int32 max_pattern_size = 1;
   */
  maxPatternSize: number;

  /**
   * Minimum length of a repeated pattern, in tokens.
   *
   * @generated from field: int32 min_pattern_size = 2;
   */
  minPatternSize: number;

  /**
   * Number of repetitions of a pattern that end the generation.
   *
   * @generated from field: int32 min_count = 3;
   */
  minCount: number;
};

/**
 * Describes the message penstock.v1.RepetitionDetection.
 * Use `create(RepetitionDetectionSchema)` to create a new message.
 */
export declare const RepetitionDetectionSchema: GenMessage<RepetitionDetection>;

/**
 * Sampling parameters and stop conditions. INVALID_ARGUMENT UPSTREAM_REJECTED if a value is out of
 * range.
 *
 * @generated from message penstock.v1.SamplingParams
 */
export declare type SamplingParams = Message<"penstock.v1.SamplingParams"> & {
  /**
   * Sampling temperature, from 0 to 2. At 0, the most likely token is always chosen. Defaults to
   * the model's setting, or else 1.
   *
   * @generated from field: optional double temperature = 1;
   */
  temperature?: number | undefined;

  /**
   * Cumulative probability of the most likely tokens to sample from, greater than 0 and at most 1.
   * Defaults to the model's setting, or else 1 (all tokens).
   *
   * @generated from field: optional double top_p = 2;
   */
  topP?: number | undefined;

  /**
   * Number of most likely tokens to sample from. 0 and -1 stand for all tokens. Defaults to the
   * model's setting, or else all tokens.
   *
   * @generated from field: optional int32 top_k = 3;
   */
  topK?: number | undefined;

  /**
   * Minimum probability of a token relative to that of the most likely token, from 0 to 1. Defaults
   * to the model's setting, or else 0 (disabled).
   *
   * @generated from field: optional double min_p = 4;
   */
  minP?: number | undefined;

  /**
   * Penalty on tokens in proportion to how often they occur in the output so far, from -2 to 2.
   * Defaults to the model's setting, or else 0 (disabled).
   *
   * @generated from field: optional double frequency_penalty = 5;
   */
  frequencyPenalty?: number | undefined;

  /**
   * Penalty on tokens that occur in the output so far, from -2 to 2. Defaults to the model's
   * setting, or else 0 (disabled).
   *
   * @generated from field: optional double presence_penalty = 6;
   */
  presencePenalty?: number | undefined;

  /**
   * Factor that penalizes tokens that occur in the prompt or the output, greater than 0; values
   * above 1 discourage repetition. Defaults to the model's setting, or else 1 (disabled).
   *
   * @generated from field: optional double repetition_penalty = 7;
   */
  repetitionPenalty?: number | undefined;

  /**
   * Exponent of the length in the score of a beam. Only for beam search. Defaults to 1.
   *
   * @generated from field: optional double length_penalty = 8;
   */
  lengthPenalty?: number | undefined;

  /**
   * Seed for reproducible sampling; 0 is a valid seed. If unset, sampling is random.
   *
   * @generated from field: optional int64 seed = 9;
   */
  seed?: bigint | undefined;

  /**
   * Maximum number of tokens to generate, including reasoning. Defaults to the model's setting, or
   * else to the space left in the model's context; for text completions, defaults to 16.
   * INVALID_ARGUMENT CONTEXT_LENGTH_EXCEEDED if the prompt leaves no space for output in the
   * model's context. If the prompt and `max_tokens` together exceed the context, some upstreams
   * reject the request in the same way, or with UPSTREAM_REJECTED; others generate as much as fits
   * and end with FINISH_REASON_LENGTH.
   *
   * @generated from field: optional int32 max_tokens = 10;
   */
  maxTokens?: number | undefined;

  /**
   * Minimum number of tokens to generate before the model or a stop condition may end the output.
   * At most `max_tokens`. Defaults to 0.
   *
   * @generated from field: optional int32 min_tokens = 11;
   */
  minTokens?: number | undefined;

  /**
   * Number of choices to generate for each prompt, or number of beams in beam search. Each choice
   * uses its own tokens. Defaults to 1.
   *
   * @generated from field: optional int32 n = 12;
   */
  n?: number | undefined;

  /**
   * Whether to use beam search instead of sampling. Defaults to false. Support in streams depends
   * on the upstream: vLLM supports it in chat streams. Not supported in transcription streams.
   *
   * @generated from field: optional bool use_beam_search = 13;
   */
  useBeamSearch?: boolean | undefined;

  /**
   * Strings that end the generation. They are excluded from the output unless
   * `include_stop_str_in_output` is true. vLLM accepts up to 4 by default.
   *
   * @generated from field: repeated string stop = 14;
   */
  stop: string[];

  /**
   * Token ids that end the generation, in addition to those of the model.
   *
   * @generated from field: repeated int32 stop_token_ids = 15;
   */
  stopTokenIds: number[];

  /**
   * Whether to include the stop string in the output. Defaults to false.
   *
   * @generated from field: optional bool include_stop_str_in_output = 16;
   */
  includeStopStrInOutput?: boolean | undefined;

  /**
   * Whether to continue generation after the model's end-of-text token. Defaults to false.
   *
   * @generated from field: optional bool ignore_eos = 17;
   */
  ignoreEos?: boolean | undefined;

  /**
   * Bias added to the logits of tokens before sampling, by token id. Values are clamped to the
   * range from -100 to 100.
   *
   * @generated from field: map<int32, double> logit_bias = 18;
   */
  logitBias: { [key: number]: number };

  /**
   * Token ids that may be generated. If empty, all may be.
   *
   * @generated from field: repeated int32 allowed_token_ids = 19;
   */
  allowedTokenIds: number[];

  /**
   * Words that must not be generated. A word must not be empty.
   *
   * @generated from field: repeated string bad_words = 20;
   */
  badWords: string[];

  /**
   * Whether to omit special tokens from the text. Defaults to the model's setting, or else true.
   *
   * @generated from field: optional bool skip_special_tokens = 21;
   */
  skipSpecialTokens?: boolean | undefined;

  /**
   * Whether to put spaces between special tokens in the text. Defaults to true.
   *
   * @generated from field: optional bool spaces_between_special_tokens = 22;
   */
  spacesBetweenSpecialTokens?: boolean | undefined;

  /**
   * Maximum number of prompt tokens; a longer prompt is truncated. -1 stands for the maximum that
   * the model accepts. If unset, the prompt is not truncated: INVALID_ARGUMENT
   * CONTEXT_LENGTH_EXCEEDED if it is too long.
   *
   * @generated from field: optional int32 truncate_prompt_tokens = 23;
   */
  truncatePromptTokens?: number | undefined;

  /**
   * Side at which `truncate_prompt_tokens` removes tokens.
   *
   * @generated from field: penstock.v1.TruncationSide truncation_side = 24;
   */
  truncationSide: TruncationSide;

  /**
   * Maximum number of reasoning tokens. -1 stands for no limit, which is the default.
   *
   * @generated from field: optional int32 thinking_token_budget = 25;
   */
  thinkingTokenBudget?: number | undefined;

  /**
   * Settings for ending repetitive output. Disabled if unset.
   *
   * @generated from field: penstock.v1.RepetitionDetection repetition_detection = 26;
   */
  repetitionDetection?: RepetitionDetection | undefined;

  /**
   * Whether to watermark the output, if the upstream is configured for it. If unset, the upstream's
   * configuration applies.
   *
   * @generated from field: optional bool watermarking = 27;
   */
  watermarking?: boolean | undefined;
};

/**
 * Describes the message penstock.v1.SamplingParams.
 * Use `create(SamplingParamsSchema)` to create a new message.
 */
export declare const SamplingParamsSchema: GenMessage<SamplingParams>;

/**
 * Requests log probabilities of the generated tokens. They are returned if this message is present,
 * even if it is empty.
 *
 * @generated from message penstock.v1.LogprobOptions
 */
export declare type LogprobOptions = Message<"penstock.v1.LogprobOptions"> & {
  /**
   * Number of alternatives to return at each position, in addition to the chosen token. -1 stands
   * for the whole vocabulary. Defaults to 0. The upstream sets the maximum, which is 20 by default.
   *
   * @generated from field: optional int32 top_logprobs = 1;
   */
  topLogprobs?: number | undefined;

  /**
   * Token ids whose log probabilities are returned at each position, whatever their rank.
   *
   * @generated from field: repeated int32 token_ids = 2;
   */
  tokenIds: number[];

  /**
   * Whether to return tokens as "token_id:<id>" instead of text, which distinguishes tokens with
   * the same text. Defaults to false.
   *
   * @generated from field: optional bool tokens_as_token_ids = 3;
   */
  tokensAsTokenIds?: boolean | undefined;
};

/**
 * Describes the message penstock.v1.LogprobOptions.
 * Use `create(LogprobOptionsSchema)` to create a new message.
 */
export declare const LogprobOptionsSchema: GenMessage<LogprobOptions>;

/**
 * Constraint on the form of the output, of more kinds than ResponseFormat offers. Only one of the
 * two may be set.
 *
 * @generated from message penstock.v1.StructuredOutputs
 */
export declare type StructuredOutputs = Message<"penstock.v1.StructuredOutputs"> & {
  /**
   * The constraint. Required. INVALID_ARGUMENT UPSTREAM_REJECTED if it cannot be compiled.
   *
   * @generated from oneof penstock.v1.StructuredOutputs.constraint
   */
  constraint: {
    /**
     * A JSON document that matches this JSON Schema.
     *
     * @generated from field: penstock.v1.JsonDocument json_schema = 1;
     */
    value: JsonDocument;
    case: "jsonSchema";
  } | {
    /**
     * Any JSON object.
     *
     * @generated from field: penstock.v1.JsonObjectFormat json_object = 2;
     */
    value: JsonObjectFormat;
    case: "jsonObject";
  } | {
    /**
     * Text that matches this regular expression in full.
     *
     * @generated from field: string regex = 3;
     */
    value: string;
    case: "regex";
  } | {
    /**
     * One of several texts.
     *
     * @generated from field: penstock.v1.StructuredOutputs.Choices choice = 4;
     */
    value: StructuredOutputs_Choices;
    case: "choice";
  } | {
    /**
     * Text that conforms to this context-free grammar, in EBNF or Lark as the upstream's backend
     * requires.
     *
     * @generated from field: string grammar = 5;
     */
    value: string;
    case: "grammar";
  } | {
    /**
     * Free text with constraints between tags, as the JSON object of vLLM's structural tag.
     *
     * @generated from field: penstock.v1.JsonDocument structural_tag = 6;
     */
    value: JsonDocument;
    case: "structuralTag";
  } | { case: undefined; value?: undefined };

  /**
   * Whether to forbid whitespace between JSON tokens. Defaults to false.
   *
   * @generated from field: optional bool disable_any_whitespace = 7;
   */
  disableAnyWhitespace?: boolean | undefined;

  /**
   * Whether objects may have only the properties that the schema defines. Defaults to false.
   *
   * @generated from field: optional bool disable_additional_properties = 8;
   */
  disableAdditionalProperties?: boolean | undefined;

  /**
   * Regular expression of the whitespace allowed in JSON. If empty, the backend's default applies.
   *
   * @generated from field: string whitespace_pattern = 9;
   */
  whitespacePattern: string;
};

/**
 * Describes the message penstock.v1.StructuredOutputs.
 * Use `create(StructuredOutputsSchema)` to create a new message.
 */
export declare const StructuredOutputsSchema: GenMessage<StructuredOutputs>;

/**
 * Outputs of a StructuredOutputs.choice constraint.
 *
 * @generated from message penstock.v1.StructuredOutputs.Choices
 */
export declare type StructuredOutputs_Choices = Message<"penstock.v1.StructuredOutputs.Choices"> & {
  /**
   * Allowed outputs. At least one is required.
   *
   * @generated from field: repeated string choices = 1;
   */
  choices: string[];
};

/**
 * Describes the message penstock.v1.StructuredOutputs.Choices.
 * Use `create(StructuredOutputs_ChoicesSchema)` to create a new message.
 */
export declare const StructuredOutputs_ChoicesSchema: GenMessage<StructuredOutputs_Choices>;

/**
 * Any JSON object, in ResponseFormat and StructuredOutputs. This format has no settings; describe
 * the desired content in the prompt.
 *
 * @generated from message penstock.v1.JsonObjectFormat
 */
export declare type JsonObjectFormat = Message<"penstock.v1.JsonObjectFormat"> & {
};

/**
 * Describes the message penstock.v1.JsonObjectFormat.
 * Use `create(JsonObjectFormatSchema)` to create a new message.
 */
export declare const JsonObjectFormatSchema: GenMessage<JsonObjectFormat>;

/**
 * Options of the engine that runs the model.
 *
 * @generated from message penstock.v1.EngineOptions
 */
export declare type EngineOptions = Message<"penstock.v1.EngineOptions"> & {
  /**
   * Scheduling priority. LOWER VALUES ARE SERVED FIRST. Defaults to 0. Effective only if the
   * upstream uses priority scheduling. Can also be sent as metadata `x-vllm-priority`.
   *
   * @generated from field: optional int64 priority = 1;
   */
  priority?: bigint | undefined;

  /**
   * Salt that separates the request's prefix cache from that of requests with another salt, so that
   * timing reveals nothing about the prompts of other callers. 1 to 128 characters, without `@`,
   * `/`, `\` and NUL. If empty, the shared cache is used.
   *
   * @generated from field: string cache_salt = 2;
   */
  cacheSalt: string;

  /**
   * Name of a session that groups requests. Optional. Can also be sent as metadata `x-session-id`.
   * If the server is configured so, the requests of a session go to the same replica.
   *
   * @generated from field: string session_id = 3;
   */
  sessionId: string;

  /**
   * Parameters of custom logits processors and connectors, as a JSON object of strings, numbers and
   * lists of them.
   *
   * @generated from field: penstock.v1.JsonDocument vllm_xargs = 4;
   */
  vllmXargs?: JsonDocument | undefined;

  /**
   * Opaque parameters of the KV cache connector, as a JSON object, for disaggregated serving.
   *
   * @generated from field: penstock.v1.JsonDocument kv_transfer_params = 5;
   */
  kvTransferParams?: JsonDocument | undefined;

  /**
   * Opaque parameters of the encoder cache connector, as a JSON object, for disaggregated serving.
   *
   * @generated from field: penstock.v1.JsonDocument ec_transfer_params = 6;
   */
  ecTransferParams?: JsonDocument | undefined;

  /**
   * Whether to return `prompt_token_ids` and the `token_ids` of each choice. Defaults to false.
   *
   * @generated from field: optional bool return_token_ids = 7;
   */
  returnTokenIds?: boolean | undefined;

  /**
   * Whether to return the prompt as rendered by the template, in `prompt_text`. Defaults to false.
   * Only for chat completions.
   *
   * @generated from field: optional bool return_prompt_text = 8;
   */
  returnPromptText?: boolean | undefined;

  /**
   * Whether to return the versions of the weights that generated the tokens. Defaults to false.
   *
   * @generated from field: optional bool return_weight_versions = 9;
   */
  returnWeightVersions?: boolean | undefined;

  /**
   * Requests log probabilities of the prompt's tokens, with this number of alternatives at each
   * position. -1 stands for the whole vocabulary. If unset, none are returned. INVALID_ARGUMENT in
   * a stream if the value is not 0.
   *
   * @generated from field: optional int32 prompt_logprobs = 10;
   */
  promptLogprobs?: number | undefined;

  /**
   * First prompt position for which routed experts are returned. Defaults to 0. Effective only if
   * the upstream returns routed experts.
   *
   * @generated from field: optional int32 routed_experts_prompt_start = 11;
   */
  routedExpertsPromptStart?: number | undefined;

  /**
   * Engine of a data parallel upstream that serves the request, starting at 0. If unset, the
   * upstream chooses one. INVALID_ARGUMENT UPSTREAM_REJECTED if out of range. Can also be sent as
   * metadata `x-data-parallel-rank`.
   *
   * @generated from field: optional int32 data_parallel_rank = 12;
   */
  dataParallelRank?: number | undefined;

  /**
   * Prefix of the request's name within vLLM; the server appends a suffix that makes the name
   * unique. It becomes part of the response's `id`. It does not make requests idempotent. Defaults
   * to `x-request-id` if empty.
   *
   * @generated from field: string request_id = 13;
   */
  requestId: string;
};

/**
 * Describes the message penstock.v1.EngineOptions.
 * Use `create(EngineOptionsSchema)` to create a new message.
 */
export declare const EngineOptionsSchema: GenMessage<EngineOptions>;

/**
 * Range of output tokens generated by one version of the weights.
 *
 * @generated from message penstock.v1.WeightVersionSpan
 */
export declare type WeightVersionSpan = Message<"penstock.v1.WeightVersionSpan"> & {
  /**
   * Version of the weights.
   *
   * @generated from field: string version = 1;
   */
  version: string;

  /**
   * Index of the range's first token among the output tokens of the choice.
   *
   * @generated from field: int32 start = 2;
   */
  start: number;

  /**
   * Index after the range's last token.
   *
   * @generated from field: int32 end = 3;
   */
  end: number;
};

/**
 * Describes the message penstock.v1.WeightVersionSpan.
 * Use `create(WeightVersionSpanSchema)` to create a new message.
 */
export declare const WeightVersionSpanSchema: GenMessage<WeightVersionSpan>;

/**
 * Log probabilities at one position of the prompt. Empty at the first position, which has none.
 *
 * @generated from message penstock.v1.PromptTokenLogprobs
 */
export declare type PromptTokenLogprobs = Message<"penstock.v1.PromptTokenLogprobs"> & {
  /**
   * Log probabilities of the prompt's token and of the alternatives, by token id.
   *
   * @generated from field: map<int32, penstock.v1.RankedLogprob> candidates = 1;
   */
  candidates: { [key: number]: RankedLogprob };
};

/**
 * Describes the message penstock.v1.PromptTokenLogprobs.
 * Use `create(PromptTokenLogprobsSchema)` to create a new message.
 */
export declare const PromptTokenLogprobsSchema: GenMessage<PromptTokenLogprobs>;

/**
 * Log probability of one candidate at a prompt position.
 *
 * @generated from message penstock.v1.RankedLogprob
 */
export declare type RankedLogprob = Message<"penstock.v1.RankedLogprob"> & {
  /**
   * Natural logarithm of the probability.
   *
   * @generated from field: double logprob = 1;
   */
  logprob: number;

  /**
   * Rank among all tokens; 1 is the most likely.
   *
   * @generated from field: optional int32 rank = 2;
   */
  rank?: number | undefined;

  /**
   * Text of the token.
   *
   * @generated from field: optional string decoded_token = 3;
   */
  decodedToken?: string | undefined;
};

/**
 * Describes the message penstock.v1.RankedLogprob.
 * Use `create(RankedLogprobSchema)` to create a new message.
 */
export declare const RankedLogprobSchema: GenMessage<RankedLogprob>;

/**
 * Log probability of one generated token.
 *
 * @generated from message penstock.v1.TokenLogprob
 */
export declare type TokenLogprob = Message<"penstock.v1.TokenLogprob"> & {
  /**
   * Text of the token, or "token_id:<id>" if LogprobOptions.tokens_as_token_ids is true. If the
   * token is only part of a character, the text is the upstream's representation of it.
   *
   * @generated from field: string token = 1;
   */
  token: string;

  /**
   * Natural logarithm of the probability. Lower values are reported as -9999, and a value that the
   * upstream could not encode as NaN.
   *
   * @generated from field: double logprob = 2;
   */
  logprob: number;

  /**
   * UTF-8 bytes of the token's text. Empty if the upstream reports none. If several tokens encode
   * one character, vLLM reports the bytes of the whole character with the last token and none with
   * the others.
   *
   * @generated from field: bytes bytes = 3;
   */
  bytes: Uint8Array;

  /**
   * Log probabilities of alternatives at this position, most likely first. They may include the
   * chosen token.
   *
   * @generated from field: repeated penstock.v1.TopLogprob top_logprobs = 4;
   */
  topLogprobs: TopLogprob[];
};

/**
 * Describes the message penstock.v1.TokenLogprob.
 * Use `create(TokenLogprobSchema)` to create a new message.
 */
export declare const TokenLogprobSchema: GenMessage<TokenLogprob>;

/**
 * Log probability of an alternative token.
 *
 * @generated from message penstock.v1.TopLogprob
 */
export declare type TopLogprob = Message<"penstock.v1.TopLogprob"> & {
  /**
   * Text of the token, or "token_id:<id>" if LogprobOptions.tokens_as_token_ids is true.
   *
   * @generated from field: string token = 1;
   */
  token: string;

  /**
   * Natural logarithm of the probability. Lower values are reported as -9999, and a value that the
   * upstream could not encode as NaN.
   *
   * @generated from field: double logprob = 2;
   */
  logprob: number;

  /**
   * UTF-8 bytes of the token's text. Empty if the upstream reports none. If several tokens encode
   * one character, vLLM reports the bytes of the whole character with the last token and none with
   * the others.
   *
   * @generated from field: bytes bytes = 3;
   */
  bytes: Uint8Array;
};

/**
 * Describes the message penstock.v1.TopLogprob.
 * Use `create(TopLogprobSchema)` to create a new message.
 */
export declare const TopLogprobSchema: GenMessage<TopLogprob>;

/**
 * Delivery options of a stream. Unary RPCs accept and ignore them; see "Unsupported fields" in the
 * file comment.
 *
 * @generated from message penstock.v1.StreamOptions
 */
export declare type StreamOptions = Message<"penstock.v1.StreamOptions"> & {
  /**
   * Whether every message carries the token counts so far. Defaults to false; the last message
   * always carries the final counts.
   *
   * @generated from field: optional bool continuous_usage_stats = 1;
   */
  continuousUsageStats?: boolean | undefined;

  /**
   * Number of tokens per message, at least 1. Larger values result in fewer and larger messages. If
   * unset, the upstream's setting applies, which is 1 by default.
   *
   * @generated from field: optional int32 stream_interval = 2;
   */
  streamInterval?: number | undefined;

  /**
   * Time within which pieces of the same text are merged into one message, up to a minute. The
   * server delivers them at the latest this long after the first of them arrived, and at once when
   * anything else arrives or the stream ends. The first piece of each text is never delayed, and
   * nothing is lost: content, reasoning, refusals, arguments of tool calls, log probabilities and
   * token ids are concatenated. 0 merges nothing unless the caller falls far behind. Defaults to the
   * setting of the server, which is 0 unless configured.
   *
   * @generated from field: google.protobuf.Duration merge_deltas_within = 3;
   */
  mergeDeltasWithin?: Duration | undefined;
};

/**
 * Describes the message penstock.v1.StreamOptions.
 * Use `create(StreamOptionsSchema)` to create a new message.
 */
export declare const StreamOptionsSchema: GenMessage<StreamOptions>;

/**
 * Options for the inputs and outputs of pooling models (embedding, classification, scoring).
 *
 * @generated from message penstock.v1.PoolingOptions
 */
export declare type PoolingOptions = Message<"penstock.v1.PoolingOptions"> & {
  /**
   * Maximum number of tokens of each input; longer inputs are truncated. -1 stands for the maximum
   * that the model accepts. If unset, inputs are not truncated: INVALID_ARGUMENT
   * CONTEXT_LENGTH_EXCEEDED if one is too long.
   *
   * @generated from field: optional int32 truncate_prompt_tokens = 1;
   */
  truncatePromptTokens?: number | undefined;

  /**
   * Side at which `truncate_prompt_tokens` removes tokens.
   *
   * @generated from field: penstock.v1.TruncationSide truncation_side = 2;
   */
  truncationSide: TruncationSide;

  /**
   * Padding of the inputs.
   *
   * @generated from field: penstock.v1.Padding padding = 3;
   */
  padding: Padding;

  /**
   * Whether the tokenizer adds its special tokens to text inputs. Defaults to true. For chat
   * inputs, use TemplateOptions.add_special_tokens. Not supported for scoring.
   *
   * @generated from field: optional bool add_special_tokens = 4;
   */
  addSpecialTokens?: boolean | undefined;

  /**
   * Whether to apply the model's final activation: normalization of embeddings, or softmax or
   * sigmoid for classes and scores. If false, raw values are returned. Defaults to the model's
   * setting, which is normally true.
   *
   * @generated from field: optional bool use_activation = 5;
   */
  useActivation?: boolean | undefined;
};

/**
 * Describes the message penstock.v1.PoolingOptions.
 * Use `create(PoolingOptionsSchema)` to create a new message.
 */
export declare const PoolingOptionsSchema: GenMessage<PoolingOptions>;

/**
 * A vector of 32-bit floats.
 *
 * @generated from message penstock.v1.FloatVector
 */
export declare type FloatVector = Message<"penstock.v1.FloatVector"> & {
  /**
   * Values of the vector. NaN and infinities are possible.
   *
   * @generated from field: repeated float values = 1;
   */
  values: number[];
};

/**
 * Describes the message penstock.v1.FloatVector.
 * Use `create(FloatVectorSchema)` to create a new message.
 */
export declare const FloatVectorSchema: GenMessage<FloatVector>;

/**
 * A vector in a compact number format.
 *
 * @generated from message penstock.v1.PackedVector
 */
export declare type PackedVector = Message<"penstock.v1.PackedVector"> & {
  /**
   * Number format of the values.
   *
   * @generated from field: penstock.v1.VectorDtype dtype = 1;
   */
  dtype: VectorDtype;

  /**
   * Number of values.
   *
   * @generated from field: int32 dimensions = 2;
   */
  dimensions: number;

  /**
   * Consecutive values, always little-endian.
   *
   * @generated from field: bytes data = 3;
   */
  data: Uint8Array;
};

/**
 * Describes the message penstock.v1.PackedVector.
 * Use `create(PackedVectorSchema)` to create a new message.
 */
export declare const PackedVectorSchema: GenMessage<PackedVector>;

/**
 * Several vectors of the same length, for example one per token.
 *
 * @generated from message penstock.v1.MultiVector
 */
export declare type MultiVector = Message<"penstock.v1.MultiVector"> & {
  /**
   * Vectors, in token order.
   *
   * @generated from field: repeated penstock.v1.FloatVector vectors = 1;
   */
  vectors: FloatVector[];
};

/**
 * Describes the message penstock.v1.MultiVector.
 * Use `create(MultiVectorSchema)` to create a new message.
 */
export declare const MultiVectorSchema: GenMessage<MultiVector>;

/**
 * Several vectors of the same length, in a compact number format.
 *
 * @generated from message penstock.v1.PackedMultiVector
 */
export declare type PackedMultiVector = Message<"penstock.v1.PackedMultiVector"> & {
  /**
   * Number format of the values.
   *
   * @generated from field: penstock.v1.VectorDtype dtype = 1;
   */
  dtype: VectorDtype;

  /**
   * Number of vectors.
   *
   * @generated from field: int32 rows = 2;
   */
  rows: number;

  /**
   * Number of values in each vector.
   *
   * @generated from field: int32 dimensions = 3;
   */
  dimensions: number;

  /**
   * Consecutive vectors, row by row, always little-endian.
   *
   * @generated from field: bytes data = 4;
   */
  data: Uint8Array;
};

/**
 * Describes the message penstock.v1.PackedMultiVector.
 * Use `create(PackedMultiVectorSchema)` to create a new message.
 */
export declare const PackedMultiVectorSchema: GenMessage<PackedMultiVector>;

/**
 * Reason why generation ended.
 *
 * @generated from enum penstock.v1.FinishReason
 */
export enum FinishReason {
  /**
   * Generation has not ended, or the upstream reported no reason.
   *
   * @generated from enum value: FINISH_REASON_UNSPECIFIED = 0;
   */
  UNSPECIFIED = 0,

  /**
   * The model ended on its own, or generated a stop string or stop token of the request; see
   * `stop_reason`. Also reported after a call of a function that the request named in its tool
   * choice.
   *
   * @generated from enum value: FINISH_REASON_STOP = 1;
   */
  STOP = 1,

  /**
   * The token limit of the request or of the model was reached.
   *
   * @generated from enum value: FINISH_REASON_LENGTH = 2;
   */
  LENGTH = 2,

  /**
   * The model called tools.
   *
   * @generated from enum value: FINISH_REASON_TOOL_CALLS = 3;
   */
  TOOL_CALLS = 3,

  /**
   * A filter withheld content.
   *
   * @generated from enum value: FINISH_REASON_CONTENT_FILTER = 4;
   */
  CONTENT_FILTER = 4,

  /**
   * The engine aborted the request, so the output may be incomplete. Only in one of the last
   * messages of a stream, which then fails with UNAVAILABLE GENERATION_ABORTED.
   *
   * @generated from enum value: FINISH_REASON_ABORT = 5;
   */
  ABORT = 5,

  /**
   * The output was ended by RepetitionDetection.
   *
   * @generated from enum value: FINISH_REASON_REPETITION = 6;
   */
  REPETITION = 6,

  /**
   * A reason that has no value here. `native_finish_reason` holds its name.
   *
   * @generated from enum value: FINISH_REASON_OTHER = 7;
   */
  OTHER = 7,
}

/**
 * Describes the enum penstock.v1.FinishReason.
 */
export declare const FinishReasonSchema: GenEnum<FinishReason>;

/**
 * Side at which a prompt is truncated if it is too long.
 *
 * @generated from enum penstock.v1.TruncationSide
 */
export enum TruncationSide {
  /**
   * The tokenizer's default.
   *
   * @generated from enum value: TRUNCATION_SIDE_UNSPECIFIED = 0;
   */
  UNSPECIFIED = 0,

  /**
   * Removes tokens from the start and keeps the end.
   *
   * @generated from enum value: TRUNCATION_SIDE_LEFT = 1;
   */
  LEFT = 1,

  /**
   * Removes tokens from the end and keeps the start.
   *
   * @generated from enum value: TRUNCATION_SIDE_RIGHT = 2;
   */
  RIGHT = 2,
}

/**
 * Describes the enum penstock.v1.TruncationSide.
 */
export declare const TruncationSideSchema: GenEnum<TruncationSide>;

/**
 * Padding of the inputs of pooling models.
 *
 * @generated from enum penstock.v1.Padding
 */
export enum Padding {
  /**
   * The upstream's default.
   *
   * @generated from enum value: PADDING_UNSPECIFIED = 0;
   */
  UNSPECIFIED = 0,

  /**
   * Pads to the maximum length (`max_length`).
   *
   * @generated from enum value: PADDING_MAX_LENGTH = 1;
   */
  MAX_LENGTH = 1,

  /**
   * Does not pad (`do_not_pad`).
   *
   * @generated from enum value: PADDING_DO_NOT_PAD = 2;
   */
  DO_NOT_PAD = 2,
}

/**
 * Describes the enum penstock.v1.Padding.
 */
export declare const PaddingSchema: GenEnum<Padding>;

/**
 * Number format of vectors.
 *
 * @generated from enum penstock.v1.VectorDtype
 */
export enum VectorDtype {
  /**
   * The same as VECTOR_DTYPE_FLOAT32.
   *
   * @generated from enum value: VECTOR_DTYPE_UNSPECIFIED = 0;
   */
  UNSPECIFIED = 0,

  /**
   * 32-bit floats, returned as `float` values.
   *
   * @generated from enum value: VECTOR_DTYPE_FLOAT32 = 1;
   */
  FLOAT32 = 1,

  /**
   * IEEE 754 half-precision floats of 2 bytes, returned packed.
   *
   * @generated from enum value: VECTOR_DTYPE_FLOAT16 = 2;
   */
  FLOAT16 = 2,

  /**
   * bfloat16 values of 2 bytes, returned packed.
   *
   * @generated from enum value: VECTOR_DTYPE_BFLOAT16 = 3;
   */
  BFLOAT16 = 3,

  /**
   * 8-bit floats with 4 exponent bits and 3 mantissa bits, returned packed.
   *
   * @generated from enum value: VECTOR_DTYPE_FP8_E4M3 = 4;
   */
  FP8_E4M3 = 4,

  /**
   * 8-bit floats with 5 exponent bits and 2 mantissa bits, returned packed.
   *
   * @generated from enum value: VECTOR_DTYPE_FP8_E5M2 = 5;
   */
  FP8_E5M2 = 5,
}

/**
 * Describes the enum penstock.v1.VectorDtype.
 */
export declare const VectorDtypeSchema: GenEnum<VectorDtype>;

