// Calls Penstock with generated stubs: client [HOST:PORT] [AUDIO FILE].

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "penstock/v1/chat_completion.grpc.pb.h"
#include "penstock/v1/embedding.grpc.pb.h"
#include "penstock/v1/rerank.grpc.pb.h"
#include "penstock/v1/transcription.grpc.pb.h"

namespace v1 = penstock::v1;
using Channel = std::shared_ptr<grpc::Channel>;

constexpr std::size_t kChunkBytes = 64 * 1024;

// A context serves one call.
std::unique_ptr<grpc::ClientContext> within(std::chrono::milliseconds limit) {
  auto context = std::make_unique<grpc::ClientContext>();
  context->set_deadline(std::chrono::system_clock::now() + limit);
  return context;
}

void check(const grpc::Status& status) {
  if (!status.ok()) throw std::runtime_error(status.error_message());
}

std::string code_name(grpc::StatusCode code) {
  switch (code) {
    case grpc::StatusCode::CANCELLED: return "CANCELLED";
    case grpc::StatusCode::DEADLINE_EXCEEDED: return "DEADLINE_EXCEEDED";
    case grpc::StatusCode::INVALID_ARGUMENT: return "INVALID_ARGUMENT";
    default: return std::to_string(code);
  }
}

v1::CreateChatCompletionRequest ask(const std::string& text) {
  v1::CreateChatCompletionRequest request;
  auto* message = request.add_messages();
  message->set_role(v1::ROLE_USER);
  message->add_content()->set_text(text);
  return request;
}

v1::CreateChatCompletionRequest ask_for_weather() {
  auto request = ask("What is the weather in Paris?");
  auto* function = request.add_tools()->mutable_function();
  function->set_name("get_weather");
  function->set_description("The weather in a city.");
  function->mutable_parameters()->set_json(
      R"({"type": "object", "properties": {"city": {"type": "string"}}})");
  return request;
}

// Adds an answer that calls tools and the result of each call. A real one parses the arguments,
// which may be bad.
void run_tools(const v1::ChatMessage& message, v1::CreateChatCompletionRequest& request) {
  *request.add_messages() = message;
  for (const auto& call : message.tool_calls()) {
    const auto& function = call.function();
    std::cout << "tool: " << function.name() << "(" << function.arguments() << ")\n";
    auto* result = request.add_messages();
    result->set_role(v1::ROLE_TOOL);
    result->set_tool_call_id(call.id());
    result->add_content()->set_text("sunny, 21C");
  }
}

// Asks, runs the tools that the model calls, and asks again until it calls none.
void chat(const Channel& channel) {
  auto stub = v1::ChatCompletionService::NewStub(channel);
  auto request = ask_for_weather();
  while (true) {
    v1::CreateChatCompletionResponse answer;
    check(stub->CreateChatCompletion(within(std::chrono::minutes(1)).get(), request, &answer));
    const auto& message = answer.choices(0).message();
    if (message.tool_calls().empty()) {
      std::cout << "chat: " << message.content(0).text() << "\n";
      return;
    }
    run_tools(message, request);
  }
}

// Puts the deltas of a stream together.
struct Answer {
  v1::ChatMessage message;
  v1::Usage usage;

  void add(const v1::StreamChatCompletionResponse& event) {
    for (const auto& choice : event.choices()) {
      say(choice.delta().content());
      for (const auto& piece : choice.delta().tool_calls()) add(piece);
    }
    if (event.has_usage()) usage = event.usage();
  }

  void say(const std::string& text) {
    if (text.empty()) return;
    if (message.content().empty()) {
      message.add_content();
      std::cout << "stream: ";
    }
    std::cout << text << std::flush;
    message.mutable_content(0)->mutable_text()->append(text);
  }

  void add(const v1::ToolCallDelta& piece) {
    while (message.tool_calls_size() <= piece.index()) message.add_tool_calls();
    auto* call = message.mutable_tool_calls(piece.index());
    call->mutable_id()->append(piece.id());
    call->mutable_function()->mutable_name()->append(piece.name());
    call->mutable_function()->mutable_arguments()->append(piece.arguments());
  }
};

// The same conversation, printed as it arrives. A stream that ends OK is complete.
void stream_chat(const Channel& channel) {
  auto stub = v1::ChatCompletionService::NewStub(channel);
  auto request = ask_for_weather();
  while (true) {
    Answer answer;
    answer.message.set_role(v1::ROLE_ASSISTANT);
    auto context = within(std::chrono::minutes(1));
    auto reader = stub->StreamChatCompletion(context.get(), request);
    v1::StreamChatCompletionResponse event;
    while (reader->Read(&event)) answer.add(event);
    check(reader->Finish());
    if (answer.message.tool_calls().empty()) {
      std::cout << "\nusage: " << answer.usage.total_tokens() << " tokens\n";
      return;
    }
    run_tools(answer.message, request);
  }
}

void embed(const Channel& channel) {
  v1::CreateEmbeddingsRequest request;
  request.add_inputs()->set_text("a cat");
  request.add_inputs()->set_text("a kitten");
  v1::CreateEmbeddingsResponse answer;
  check(v1::EmbeddingService::NewStub(channel)->CreateEmbeddings(
      within(std::chrono::minutes(1)).get(), request, &answer));
  const auto& one = answer.embeddings(0).float_vector().values();
  const auto& two = answer.embeddings(1).float_vector().values();
  double similarity = 0;
  for (int i = 0; i < one.size(); ++i) similarity += double{one[i]} * double{two[i]};
  std::printf("embeddings: 2 of %d values, similarity %.4f\n", one.size(), similarity);
}

void rerank(const Channel& channel) {
  const std::vector<std::string> texts = {"Berlin is in Germany.",
                                          "Paris is the capital of France."};
  v1::RerankRequest request;
  request.mutable_query()->set_text("capital of France");
  for (const auto& text : texts) request.add_documents()->set_text(text);
  v1::RerankResponse answer;
  check(v1::RerankService::NewStub(channel)->Rerank(within(std::chrono::minutes(1)).get(),
                                                    request, &answer));
  for (const auto& result : answer.results()) {
    std::printf("rerank: %.4f %s\n", result.relevance_score(), texts[result.index()].c_str());
  }
}

// Uploads an audio file in chunks. If the server ends the call early, Write returns false, and
// Finish returns the reason.
void transcribe(const Channel& channel, const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  auto stub = v1::TranscriptionService::NewStub(channel);
  auto context = within(std::chrono::minutes(1));
  v1::UploadTranscribeResponse answer;
  auto writer = stub->UploadTranscribe(context.get(), &answer);
  v1::UploadTranscribeRequest request;
  request.mutable_config()->set_language_code("en");
  bool open = writer->Write(request);
  std::string chunk(kChunkBytes, '\0');
  while (open && (file.read(chunk.data(), chunk.size()) || file.gcount() > 0)) {
    request.set_audio_chunk(chunk.data(), file.gcount());
    open = writer->Write(request);
  }
  writer->WritesDone();
  check(writer->Finish());
  const auto& got = answer.transcription();
  std::cout << "transcription:" << got.text() << " (" << got.billed_duration().seconds()
            << " s)\n";
}

// Leaves a stream after three messages; the model stops.
void cancel(const Channel& channel) {
  auto stub = v1::ChatCompletionService::NewStub(channel);
  auto context = within(std::chrono::minutes(1));
  auto reader = stub->StreamChatCompletion(context.get(), ask("Tell me a story."));
  v1::StreamChatCompletionResponse event;
  int received = 0;
  while (received < 3 && reader->Read(&event)) ++received;
  context->TryCancel();
  while (reader->Read(&event)) {
  }
  std::cout << "cancel: " << code_name(reader->Finish().error_code()) << " after " << received
            << " messages\n";
}

void deadline(const Channel& channel) {
  auto stub = v1::ChatCompletionService::NewStub(channel);
  v1::CreateChatCompletionResponse answer;
  const auto status = stub->CreateChatCompletion(within(std::chrono::milliseconds(200)).get(),
                                                 ask("Tell me a story."), &answer);
  std::cout << "deadline: "
            << (status.ok() ? "the answer came in time" : code_name(status.error_code())) << "\n";
}

// Provokes an error and reads its reason and the fields at fault from the details.
void rich_error(const Channel& channel) {
  auto stub = v1::ChatCompletionService::NewStub(channel);
  auto request = ask("Hi");
  request.mutable_sampling()->set_temperature(-1);
  v1::CreateChatCompletionResponse answer;
  const auto status =
      stub->CreateChatCompletion(within(std::chrono::minutes(1)).get(), request, &answer);
  google::rpc::Status rich;
  rich.ParseFromString(status.error_details());
  google::rpc::ErrorInfo info;
  google::rpc::BadRequest bad_request;
  for (const auto& detail : rich.details()) {
    if (detail.Is<google::rpc::ErrorInfo>()) detail.UnpackTo(&info);
    if (detail.Is<google::rpc::BadRequest>()) detail.UnpackTo(&bad_request);
  }
  std::cout << "error: " << code_name(status.error_code()) << " " << info.reason() << " from "
            << info.domain() << "\n";
  for (const auto& violation : bad_request.field_violations()) {
    std::cout << "error: " << violation.field() << ": " << violation.description() << "\n";
  }
}

int main(int argc, char** argv) {
  const char* configured = std::getenv("PENSTOCK_TARGET");
  const std::string target = argc > 1 ? argv[1] : configured ? configured : "127.0.0.1:50051";
  const std::string audio = argc > 2 ? argv[2] : "../tone.wav";
  const auto channel = grpc::CreateChannel(target, grpc::InsecureChannelCredentials());
  try {
    chat(channel);
    stream_chat(channel);
    embed(channel);
    rerank(channel);
    transcribe(channel, audio);
    cancel(channel);
    deadline(channel);
    rich_error(channel);
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
