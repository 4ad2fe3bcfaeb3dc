// Calls Penstock with generated stubs: client.js [HOST:PORT] [AUDIO FILE].

import { once } from "node:events";
import { createReadStream } from "node:fs";

import {
  type CallOptions,
  type ClientReadableStream,
  type ClientWritableStream,
  credentials,
  Metadata,
  type requestCallback,
  type ServiceError,
  status,
} from "@grpc/grpc-js";

import { BadRequest, ErrorInfo } from "../gen/google/rpc/error_details.js";
import { Status } from "../gen/google/rpc/status.js";
import {
  ChatCompletionServiceClient,
  CreateChatCompletionRequest,
  type DeepPartial,
  type StreamChatCompletionResponse,
} from "../gen/penstock/v1/chat_completion.js";
import type { Usage } from "../gen/penstock/v1/common.js";
import { CreateEmbeddingsRequest, EmbeddingServiceClient } from "../gen/penstock/v1/embedding.js";
import { ChatMessage, Role, Tool, ToolCall } from "../gen/penstock/v1/message.js";
import { RerankRequest, RerankServiceClient } from "../gen/penstock/v1/rerank.js";
import {
  TranscriptionServiceClient,
  UploadTranscribeRequest,
  type UploadTranscribeResponse,
} from "../gen/penstock/v1/transcription.js";

const CHUNK_BYTES = 64 * 1024;

const target = process.argv[2] ?? process.env.PENSTOCK_TARGET ?? "127.0.0.1:50051";
const audio = process.argv[3] ?? "../tone.wav";
const plaintext = credentials.createInsecure();
const chats = new ChatCompletionServiceClient(target, plaintext);
const embeddings = new EmbeddingServiceClient(target, plaintext);
const reranks = new RerankServiceClient(target, plaintext);
const transcriptions = new TranscriptionServiceClient(target, plaintext);

const WEATHER = Tool.fromPartial({
  function: {
    name: "get_weather",
    description: "The weather in a city.",
    parameters: { json: '{"type": "object", "properties": {"city": {"type": "string"}}}' },
  },
});

/** Every call has a deadline. */
function within(seconds: number): CallOptions {
  return { deadline: Date.now() + seconds * 1000 };
}

/** Turns a unary method of a client, which takes a callback, into a promise. */
function promised<Request, Response>(
  method: (
    request: Request,
    metadata: Metadata,
    options: CallOptions,
    callback: requestCallback<Response>,
  ) => unknown,
): (request: Request, seconds?: number) => Promise<Response> {
  return (request, seconds = 60) =>
    new Promise((resolve, reject) =>
      method(request, new Metadata(), within(seconds), (error, response) =>
        error ? reject(error) : resolve(response!),
      ),
    );
}

const createChatCompletion = promised(chats.createChatCompletion.bind(chats));
const createEmbeddings = promised(embeddings.createEmbeddings.bind(embeddings));
const rerankDocuments = promised(reranks.rerank.bind(reranks));

function ask(
  text: string,
  rest: DeepPartial<CreateChatCompletionRequest> = {},
): CreateChatCompletionRequest {
  const messages = [{ role: Role.ROLE_USER, content: [{ text }] }];
  return CreateChatCompletionRequest.fromPartial({ messages, ...rest });
}

/** Answers each tool call of a message. A real one parses the arguments, which may be bad. */
function runTools(message: ChatMessage): ChatMessage[] {
  return message.toolCalls.map((call) => {
    console.log(`tool: ${call.function?.name}(${call.function?.arguments})`);
    return ChatMessage.fromPartial({
      role: Role.ROLE_TOOL,
      toolCallId: call.id,
      content: [{ text: "sunny, 21C" }],
    });
  });
}

/** Asks, runs the tools that the model calls, and asks again until it calls none. */
async function chat(): Promise<void> {
  const request = ask("What is the weather in Paris?", { tools: [WEATHER] });
  for (;;) {
    const message = (await createChatCompletion(request)).choices[0].message!;
    if (message.toolCalls.length === 0) {
      console.log("chat:", message.content[0].text);
      return;
    }
    request.messages.push(message, ...runTools(message));
  }
}

/** The same conversation, printed as it arrives. */
async function streamChat(): Promise<void> {
  const request = ask("What is the weather in Paris?", { tools: [WEATHER] });
  for (;;) {
    const stream = chats.streamChatCompletion(request, new Metadata(), within(60));
    const { message, usage } = await receive(stream);
    if (message.toolCalls.length === 0) {
      console.log(`\nusage: ${usage?.totalTokens} tokens`);
      return;
    }
    request.messages.push(message, ...runTools(message));
  }
}

/** Puts the deltas of a stream together. If it ends without an error, it is complete. */
async function receive(
  stream: ClientReadableStream<StreamChatCompletionResponse>,
): Promise<{ message: ChatMessage; usage?: Usage }> {
  const calls: ToolCall[] = [];
  let usage: Usage | undefined;
  let text = "";
  for await (const event of stream as AsyncIterable<StreamChatCompletionResponse>) {
    for (const { delta } of event.choices) {
      if (delta?.content) process.stdout.write(text ? delta.content : `stream: ${delta.content}`);
      text += delta?.content ?? "";
      for (const piece of delta?.toolCalls ?? []) {
        const call = (calls[piece.index] ??= ToolCall.fromPartial({ function: {} }));
        call.id += piece.id;
        call.function!.name += piece.name;
        call.function!.arguments += piece.arguments;
      }
    }
    usage = event.usage ?? usage;
  }
  const message = ChatMessage.fromPartial({
    role: Role.ROLE_ASSISTANT,
    content: text ? [{ text }] : [],
    toolCalls: calls,
  });
  return { message, usage };
}

async function embed(): Promise<void> {
  const inputs = [{ text: "a cat" }, { text: "a kitten" }];
  const answer = await createEmbeddings(CreateEmbeddingsRequest.fromPartial({ inputs }));
  const [one, two] = answer.embeddings.map((embedding) => embedding.floatVector!.values);
  const similarity = one.reduce((sum, value, i) => sum + value * two[i], 0);
  console.log(`embeddings: 2 of ${one.length} values, similarity ${similarity.toFixed(4)}`);
}

async function rerank(): Promise<void> {
  const texts = ["Berlin is in Germany.", "Paris is the capital of France."];
  const answer = await rerankDocuments(
    RerankRequest.fromPartial({
      query: { text: "capital of France" },
      documents: texts.map((text) => ({ text })),
    }),
  );
  for (const { index, relevanceScore } of answer.results) {
    console.log(`rerank: ${relevanceScore.toFixed(4)} ${texts[index]}`);
  }
}

/** Uploads an audio file in chunks. */
async function transcribe(path: string): Promise<void> {
  const answer = await new Promise<UploadTranscribeResponse>((resolve, reject) => {
    const upload = transcriptions.uploadTranscribe(new Metadata(), within(60), (error, response) =>
      error ? reject(error) : resolve(response),
    );
    send(path, upload).catch((error: Error) => {
      upload.cancel();
      reject(error);
    });
  });
  const { text, billedDuration } = answer.transcription!;
  console.log(`transcription:${text} (${billedDuration?.seconds} s)`);
}

/** Sends the configuration, then the file, no faster than the server reads it. */
async function send(
  path: string,
  upload: ClientWritableStream<UploadTranscribeRequest>,
): Promise<void> {
  upload.write(UploadTranscribeRequest.fromPartial({ config: { languageCode: "en" } }));
  for await (const audioChunk of createReadStream(path, { highWaterMark: CHUNK_BYTES })) {
    const ready = upload.write(UploadTranscribeRequest.fromPartial({ audioChunk }));
    if (!ready) await once(upload, "drain");
  }
  upload.end();
}

/** Leaves a stream after three messages; the model stops. */
async function cancel(): Promise<void> {
  const request = ask("Tell me a story.");
  const stream = chats.streamChatCompletion(request, new Metadata(), within(60));
  let received = 0;
  try {
    for await (const _ of stream as AsyncIterable<StreamChatCompletionResponse>) {
      received += 1;
      if (received === 3) stream.cancel();
    }
  } catch (error) {
    console.log(`cancel: ${status[(error as ServiceError).code]} after ${received} messages`);
  }
}

async function deadline(): Promise<void> {
  try {
    await createChatCompletion(ask("Tell me a story."), 0.2);
    console.log("deadline: the answer came in time");
  } catch (error) {
    console.log(`deadline: ${status[(error as ServiceError).code]}`);
  }
}

/** Provokes an error and reads its reason and the fields at fault from the details. */
async function richError(): Promise<void> {
  try {
    await createChatCompletion(ask("Hi", { sampling: { temperature: -1 } }));
  } catch (error) {
    const { code, metadata } = error as ServiceError;
    const [bytes] = metadata.get("grpc-status-details-bin") as Buffer[];
    for (const { typeUrl, value } of Status.decode(bytes).details) {
      if (typeUrl.endsWith("/google.rpc.ErrorInfo")) {
        const { reason, domain } = ErrorInfo.decode(value);
        console.log(`error: ${status[code]} ${reason} from ${domain}`);
      } else if (typeUrl.endsWith("/google.rpc.BadRequest")) {
        for (const violation of BadRequest.decode(value).fieldViolations) {
          console.log(`error: ${violation.field}: ${violation.description}`);
        }
      }
    }
  }
}

await chat();
await streamChat();
await embed();
await rerank();
await transcribe(audio);
await cancel();
await deadline();
await richError();
for (const client of [chats, embeddings, reranks, transcriptions]) client.close();
