// Calls Penstock with generated stubs: client.js [HOST:PORT] [AUDIO FILE].

import { createReadStream } from "node:fs";

import { create, type MessageInitShape } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport } from "@connectrpc/connect-node";

import { BadRequestSchema, ErrorInfoSchema } from "../gen/google/rpc/error_details_pb.js";
import {
  ChatCompletionService,
  CreateChatCompletionRequestSchema,
  type StreamChatCompletionResponse,
} from "../gen/penstock/v1/chat_completion_pb.js";
import type { Usage } from "../gen/penstock/v1/common_pb.js";
import { EmbeddingService } from "../gen/penstock/v1/embedding_pb.js";
import {
  type ChatMessage,
  ChatMessageSchema,
  type FunctionCall,
  FunctionCallSchema,
  Role,
  ToolSchema,
} from "../gen/penstock/v1/message_pb.js";
import { RerankService } from "../gen/penstock/v1/rerank_pb.js";
import {
  TranscriptionService,
  type UploadTranscribeRequestSchema,
} from "../gen/penstock/v1/transcription_pb.js";

const CHUNK_BYTES = 64 * 1024;

const target = process.argv[2] ?? process.env.PENSTOCK_TARGET ?? "127.0.0.1:50051";
const audio = process.argv[3] ?? "../tone.wav";
const transport = createGrpcTransport({ baseUrl: `http://${target}`, defaultTimeoutMs: 60_000 });
const chats = createClient(ChatCompletionService, transport);

const WEATHER = create(ToolSchema, {
  tool: {
    case: "function",
    value: {
      name: "get_weather",
      description: "The weather in a city.",
      parameters: {
        document: {
          case: "json",
          value: '{"type": "object", "properties": {"city": {"type": "string"}}}',
        },
      },
    },
  },
});

function say(role: Role, text: string, toolCallId = ""): ChatMessage {
  const content = [{ part: { case: "text" as const, value: text } }];
  return create(ChatMessageSchema, { role, toolCallId, content });
}

function textOf(message: ChatMessage): string {
  return message.content.map(({ part }) => (part.case === "text" ? part.value : "")).join("");
}

/** Answers each tool call of a message. A real one parses the arguments, which may be bad. */
function runTools(message: ChatMessage): ChatMessage[] {
  return message.toolCalls.map(({ id, call }) => {
    if (call.case === "function") {
      console.log(`tool: ${call.value.name}(${call.value.arguments})`);
    }
    return say(Role.TOOL, "sunny, 21C", id);
  });
}

/** Asks, runs the tools that the model calls, and asks again until it calls none. */
async function chat(): Promise<void> {
  const messages = [say(Role.USER, "What is the weather in Paris?")];
  for (;;) {
    const answer = await chats.createChatCompletion({ messages, tools: [WEATHER] });
    const message = answer.choices[0].message!;
    if (message.toolCalls.length === 0) {
      console.log("chat:", textOf(message));
      return;
    }
    messages.push(message, ...runTools(message));
  }
}

/** The same conversation, printed as it arrives. */
async function streamChat(): Promise<void> {
  const messages = [say(Role.USER, "What is the weather in Paris?")];
  for (;;) {
    const events = chats.streamChatCompletion({ messages, tools: [WEATHER] });
    const { message, usage } = await receive(events);
    if (message.toolCalls.length === 0) {
      console.log(`\nusage: ${usage?.totalTokens} tokens`);
      return;
    }
    messages.push(message, ...runTools(message));
  }
}

/** Puts the deltas of a stream together. If it ends without an error, it is complete. */
async function receive(
  events: AsyncIterable<StreamChatCompletionResponse>,
): Promise<{ message: ChatMessage; usage?: Usage }> {
  const calls: { id: string; value: FunctionCall }[] = [];
  let usage: Usage | undefined;
  let text = "";
  for await (const event of events) {
    for (const { delta } of event.choices) {
      if (delta?.content) process.stdout.write(text ? delta.content : `stream: ${delta.content}`);
      text += delta?.content ?? "";
      for (const piece of delta?.toolCalls ?? []) {
        const call = (calls[piece.index] ??= { id: "", value: create(FunctionCallSchema) });
        call.id += piece.id;
        call.value.name += piece.name;
        call.value.arguments += piece.arguments;
      }
    }
    usage = event.usage ?? usage;
  }
  const message = create(ChatMessageSchema, {
    role: Role.ASSISTANT,
    content: text ? [{ part: { case: "text", value: text } }] : [],
    toolCalls: calls.map(({ id, value }) => ({ id, call: { case: "function" as const, value } })),
  });
  return { message, usage };
}

async function embed(): Promise<void> {
  const answer = await createClient(EmbeddingService, transport).createEmbeddings({
    inputs: [
      { input: { case: "text", value: "a cat" } },
      { input: { case: "text", value: "a kitten" } },
    ],
  });
  const [one, two] = answer.embeddings.map(({ vector }) =>
    vector.case === "floatVector" ? vector.value.values : [],
  );
  const similarity = one.reduce((sum, value, i) => sum + value * two[i], 0);
  console.log(`embeddings: 2 of ${one.length} values, similarity ${similarity.toFixed(4)}`);
}

async function rerank(): Promise<void> {
  const texts = ["Berlin is in Germany.", "Paris is the capital of France."];
  const answer = await createClient(RerankService, transport).rerank({
    query: { input: { case: "text", value: "capital of France" } },
    documents: texts.map((text) => ({ input: { case: "text", value: text } })),
  });
  for (const { index, relevanceScore } of answer.results) {
    console.log(`rerank: ${relevanceScore.toFixed(4)} ${texts[index]}`);
  }
}

async function transcribe(path: string): Promise<void> {
  const answer = await createClient(TranscriptionService, transport).uploadTranscribe(upload(path));
  const { text, billedDuration } = answer.transcription!;
  console.log(`transcription:${text} (${billedDuration?.seconds} s)`);
}

/** The configuration, then the audio file in chunks. */
async function* upload(
  path: string,
): AsyncIterable<MessageInitShape<typeof UploadTranscribeRequestSchema>> {
  yield { payload: { case: "config", value: { languageCode: "en" } } };
  for await (const chunk of createReadStream(path, { highWaterMark: CHUNK_BYTES })) {
    yield { payload: { case: "audioChunk", value: chunk } };
  }
}

/** Leaves a stream after three messages; the model stops. */
async function cancel(): Promise<void> {
  const messages = [say(Role.USER, "Tell me a story.")];
  const leave = new AbortController();
  let received = 0;
  try {
    for await (const _ of chats.streamChatCompletion({ messages }, { signal: leave.signal })) {
      received += 1;
      if (received === 3) leave.abort();
    }
  } catch (error) {
    console.log(`cancel: ${codeName(ConnectError.from(error).code)} after ${received} messages`);
  }
}

async function deadline(): Promise<void> {
  try {
    const messages = [say(Role.USER, "Tell me a story.")];
    await chats.createChatCompletion({ messages }, { timeoutMs: 200 });
    console.log("deadline: the answer came in time");
  } catch (error) {
    console.log(`deadline: ${codeName(ConnectError.from(error).code)}`);
  }
}

/** Provokes an error and reads its reason and the fields at fault from the details. */
async function richError(): Promise<void> {
  const request: MessageInitShape<typeof CreateChatCompletionRequestSchema> = {
    messages: [say(Role.USER, "Hi")],
    sampling: { temperature: -1 },
  };
  try {
    await chats.createChatCompletion(request);
  } catch (caught) {
    const error = ConnectError.from(caught);
    for (const { reason, domain } of error.findDetails(ErrorInfoSchema)) {
      console.log(`error: ${codeName(error.code)} ${reason} from ${domain}`);
    }
    for (const { fieldViolations } of error.findDetails(BadRequestSchema)) {
      for (const { field, description } of fieldViolations) {
        console.log(`error: ${field}: ${description}`);
      }
    }
  }
}

/** Spells a code as gRPC does: CANCELLED, DEADLINE_EXCEEDED. Connect uses "Canceled". */
function codeName(code: Code): string {
  if (code === Code.Canceled) return "CANCELLED";
  return Code[code].replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
}

await chat();
await streamChat();
await embed();
await rerank();
await transcribe(audio);
await cancel();
await deadline();
await richError();
