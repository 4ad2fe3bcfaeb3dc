// Streams a chat from Penstock into the page, by gRPC-Web through Envoy.

import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-web";

import { ErrorInfoSchema } from "../gen/google/rpc/error_details_pb";
import { ChatCompletionService } from "../gen/penstock/v1/chat_completion_pb";
import { Role } from "../gen/penstock/v1/message_pb";

// The address of Envoy: page.html?envoy=https://api.example.com
const envoy = new URLSearchParams(location.search).get("envoy") ?? "http://localhost:8080";
const chats = createClient(ChatCompletionService, createGrpcWebTransport({ baseUrl: envoy }));

const form = document.querySelector("form")!;
const question = document.querySelector<HTMLInputElement>("#question")!;
const stop = document.querySelector<HTMLButtonElement>("#stop")!;
const answer = document.querySelector("#answer")!;
const outcome = document.querySelector("#outcome")!;

/** Streams the answer into the page; returns the number of its tokens. */
async function ask(text: string, signal: AbortSignal): Promise<number> {
  const content = [{ part: { case: "text" as const, value: text } }];
  const messages = [{ role: Role.USER, content }];
  let tokens = 0;
  for await (const message of chats.streamChatCompletion({ messages }, { signal })) {
    answer.append(...message.choices.map(({ delta }) => delta?.content ?? ""));
    tokens = message.usage?.completionTokens ?? tokens;
  }
  return tokens;
}

/** Returns the code of an error and Penstock's reason for it. */
function described(error: unknown): string {
  const failed = ConnectError.from(error);
  const [info] = failed.findDetails(ErrorInfoSchema);
  return `${Code[failed.code]} ${info?.reason ?? ""}: ${failed.rawMessage}`;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  answer.textContent = outcome.textContent = "";
  const call = new AbortController();
  stop.onclick = () => call.abort();
  stop.disabled = false;
  try {
    outcome.textContent = `complete: ${await ask(question.value, call.signal)} tokens`;
  } catch (error) {
    outcome.textContent = call.signal.aborted ? "stopped" : described(error);
  } finally {
    stop.disabled = true;
  }
});
