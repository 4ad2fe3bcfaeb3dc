import static java.nio.charset.StandardCharsets.UTF_8;
import static java.util.concurrent.TimeUnit.MILLISECONDS;
import static java.util.concurrent.TimeUnit.MINUTES;

import com.google.protobuf.Any;
import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import com.google.rpc.BadRequest;
import com.google.rpc.ErrorInfo;
import io.grpc.Context;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.StreamObserver;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Iterator;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import penstock.v1.ChatChoiceDelta;
import penstock.v1.ChatCompletionServiceGrpc;
import penstock.v1.ChatCompletionServiceGrpc.ChatCompletionServiceBlockingStub;
import penstock.v1.ChatMessage;
import penstock.v1.ContentPart;
import penstock.v1.CreateChatCompletionRequest;
import penstock.v1.CreateEmbeddingsRequest;
import penstock.v1.EmbeddingServiceGrpc;
import penstock.v1.FunctionDefinition;
import penstock.v1.JsonDocument;
import penstock.v1.PoolingInput;
import penstock.v1.RerankRequest;
import penstock.v1.RerankResult;
import penstock.v1.RerankServiceGrpc;
import penstock.v1.Role;
import penstock.v1.SamplingParams;
import penstock.v1.ScoringInput;
import penstock.v1.StreamChatCompletionResponse;
import penstock.v1.Tool;
import penstock.v1.ToolCall;
import penstock.v1.ToolCallDelta;
import penstock.v1.Transcription;
import penstock.v1.TranscriptionConfig;
import penstock.v1.TranscriptionServiceGrpc;
import penstock.v1.UploadTranscribeRequest;
import penstock.v1.UploadTranscribeResponse;
import penstock.v1.Usage;

/** Calls Penstock with generated stubs: Client [HOST:PORT] [AUDIO FILE]. */
public final class Client {
  private static final int CHUNK_BYTES = 64 * 1024;
  private static final PrintStream OUT = new PrintStream(System.out, true, UTF_8);

  private static final Tool WEATHER =
      Tool.newBuilder()
          .setFunction(
              FunctionDefinition.newBuilder()
                  .setName("get_weather")
                  .setDescription("The weather in a city.")
                  .setParameters(
                      JsonDocument.newBuilder()
                          .setJson(
                              "{\"type\": \"object\","
                                  + " \"properties\": {\"city\": {\"type\": \"string\"}}}")))
          .build();

  private final ManagedChannel channel;

  private Client(ManagedChannel channel) {
    this.channel = channel;
  }

  public static void main(String[] arguments) throws Exception {
    String configured = System.getenv().getOrDefault("PENSTOCK_TARGET", "127.0.0.1:50051");
    String target = arguments.length > 0 ? arguments[0] : configured;
    Path audio = Path.of(arguments.length > 1 ? arguments[1] : "../tone.wav");
    ManagedChannel channel = ManagedChannelBuilder.forTarget(target).usePlaintext().build();
    try {
      Client client = new Client(channel);
      client.chat();
      client.streamChat();
      client.embed();
      client.rerank();
      client.transcribe(audio);
      client.cancel();
      client.deadline();
      client.richError();
    } finally {
      channel.shutdown().awaitTermination(1, MINUTES);
    }
  }

  private static CreateChatCompletionRequest.Builder ask(String text) {
    return CreateChatCompletionRequest.newBuilder()
        .addMessages(
            ChatMessage.newBuilder()
                .setRole(Role.ROLE_USER)
                .addContent(ContentPart.newBuilder().setText(text)));
  }

  /** Adds an answer and the result of each of its tool calls; a real one parses the arguments. */
  private static void runTools(ChatMessage message, CreateChatCompletionRequest.Builder request) {
    request.addMessages(message);
    for (ToolCall call : message.getToolCallsList()) {
      String name = call.getFunction().getName();
      OUT.printf("tool: %s(%s)%n", name, call.getFunction().getArguments());
      request
          .addMessagesBuilder()
          .setRole(Role.ROLE_TOOL)
          .setToolCallId(call.getId())
          .addContent(ContentPart.newBuilder().setText("sunny, 21C"));
    }
  }

  /** A deadline counts from the moment it is set, so each call gets its own. */
  private ChatCompletionServiceBlockingStub chats() {
    return ChatCompletionServiceGrpc.newBlockingStub(channel).withDeadlineAfter(1, MINUTES);
  }

  /** Asks, runs the tools that the model calls, and asks again until it calls none. */
  private void chat() {
    CreateChatCompletionRequest.Builder request =
        ask("What is the weather in Paris?").addTools(WEATHER);
    while (true) {
      ChatMessage message = chats().createChatCompletion(request.build()).getChoices(0).getMessage();
      if (message.getToolCallsCount() == 0) {
        OUT.printf("chat: %s%n", message.getContent(0).getText());
        return;
      }
      runTools(message, request);
    }
  }

  /** The same conversation, printed as it arrives. */
  private void streamChat() {
    CreateChatCompletionRequest.Builder request =
        ask("What is the weather in Paris?").addTools(WEATHER);
    while (true) {
      Received received = new Received();
      chats().streamChatCompletion(request.build()).forEachRemaining(received::add);
      ChatMessage message = received.message();
      if (message.getToolCallsCount() == 0) {
        OUT.printf("%nusage: %d tokens%n", received.usage.getTotalTokens());
        return;
      }
      runTools(message, request);
    }
  }

  /** Puts the deltas of a stream together. If it ends without an exception, it is complete. */
  private static final class Received {
    private final StringBuilder text = new StringBuilder();
    private final Map<Integer, ToolCall.Builder> calls = new TreeMap<>();
    private Usage usage = Usage.getDefaultInstance();

    void add(StreamChatCompletionResponse event) {
      for (ChatChoiceDelta choice : event.getChoicesList()) {
        say(choice.getDelta().getContent());
        choice.getDelta().getToolCallsList().forEach(this::add);
      }
      if (event.hasUsage()) {
        usage = event.getUsage();
      }
    }

    private void say(String piece) {
      if (text.length() == 0 && !piece.isEmpty()) {
        OUT.print("stream: ");
      }
      OUT.print(piece);
      text.append(piece);
    }

    private void add(ToolCallDelta piece) {
      ToolCall.Builder call =
          calls.computeIfAbsent(piece.getIndex(), index -> ToolCall.newBuilder());
      call.setId(call.getId() + piece.getId());
      String name = call.getFunction().getName() + piece.getName();
      String arguments = call.getFunction().getArguments() + piece.getArguments();
      call.getFunctionBuilder().setName(name).setArguments(arguments);
    }

    ChatMessage message() {
      ChatMessage.Builder message = ChatMessage.newBuilder().setRole(Role.ROLE_ASSISTANT);
      if (text.length() > 0) {
        message.addContentBuilder().setText(text.toString());
      }
      calls.values().forEach(message::addToolCalls);
      return message.build();
    }
  }

  private void embed() {
    CreateEmbeddingsRequest request =
        CreateEmbeddingsRequest.newBuilder()
            .addInputs(PoolingInput.newBuilder().setText("a cat"))
            .addInputs(PoolingInput.newBuilder().setText("a kitten"))
            .build();
    var answer =
        EmbeddingServiceGrpc.newBlockingStub(channel)
            .withDeadlineAfter(1, MINUTES)
            .createEmbeddings(request);
    List<Float> one = answer.getEmbeddings(0).getFloatVector().getValuesList();
    List<Float> two = answer.getEmbeddings(1).getFloatVector().getValuesList();
    double similarity = 0;
    for (int i = 0; i < one.size(); i++) {
      similarity += (double) one.get(i) * two.get(i);
    }
    OUT.printf(
        Locale.ROOT, "embeddings: 2 of %d values, similarity %.4f%n", one.size(), similarity);
  }

  private void rerank() {
    List<String> texts = List.of("Berlin is in Germany.", "Paris is the capital of France.");
    RerankRequest.Builder request =
        RerankRequest.newBuilder().setQuery(ScoringInput.newBuilder().setText("capital of France"));
    texts.forEach(text -> request.addDocumentsBuilder().setText(text));
    var answer =
        RerankServiceGrpc.newBlockingStub(channel)
            .withDeadlineAfter(1, MINUTES)
            .rerank(request.build());
    for (RerankResult result : answer.getResultsList()) {
      String text = texts.get(result.getIndex());
      OUT.printf(Locale.ROOT, "rerank: %.4f %s%n", result.getRelevanceScore(), text);
    }
  }

  /** Uploads an audio file in chunks. */
  private void transcribe(Path audio) throws IOException, InterruptedException, ExecutionException {
    var answer = new CompletableFuture<Transcription>();
    StreamObserver<UploadTranscribeRequest> upload =
        TranscriptionServiceGrpc.newStub(channel)
            .withDeadlineAfter(1, MINUTES)
            .uploadTranscribe(
                new StreamObserver<UploadTranscribeResponse>() {
                  @Override
                  public void onNext(UploadTranscribeResponse response) {
                    answer.complete(response.getTranscription());
                  }

                  @Override
                  public void onError(Throwable error) {
                    answer.completeExceptionally(error);
                  }

                  @Override
                  public void onCompleted() {}
                });
    TranscriptionConfig config = TranscriptionConfig.newBuilder().setLanguageCode("en").build();
    upload.onNext(UploadTranscribeRequest.newBuilder().setConfig(config).build());
    // onNext queues: for large files, send when the ClientCallStreamObserver is ready.
    try (InputStream file = Files.newInputStream(audio)) {
      byte[] chunk = file.readNBytes(CHUNK_BYTES);
      while (chunk.length > 0 && !answer.isDone()) {
        ByteString bytes = ByteString.copyFrom(chunk);
        upload.onNext(UploadTranscribeRequest.newBuilder().setAudioChunk(bytes).build());
        chunk = file.readNBytes(CHUNK_BYTES);
      }
    }
    upload.onCompleted();
    Transcription got = answer.get();
    OUT.printf("transcription:%s (%d s)%n", got.getText(), got.getBilledDuration().getSeconds());
  }

  /** Leaves a stream after three messages; the model stops. */
  private void cancel() {
    Context.CancellableContext context = Context.current().withCancellation();
    context.run(
        () -> {
          Iterator<StreamChatCompletionResponse> events =
              chats().streamChatCompletion(ask("Tell me a story.").build());
          int received = 0;
          try {
            while (events.hasNext()) {
              events.next();
              received++;
              if (received == 3) {
                context.cancel(null);
              }
            }
          } catch (StatusRuntimeException error) {
            OUT.printf("cancel: %s after %d messages%n", error.getStatus().getCode(), received);
          }
        });
  }

  private void deadline() {
    try {
      chats()
          .withDeadlineAfter(200, MILLISECONDS)
          .createChatCompletion(ask("Tell me a story.").build());
      OUT.println("deadline: the answer came in time");
    } catch (StatusRuntimeException error) {
      OUT.printf("deadline: %s%n", error.getStatus().getCode());
    }
  }

  /** Provokes an error and reads its reason and the fields at fault from the details. */
  private void richError() throws InvalidProtocolBufferException {
    CreateChatCompletionRequest request =
        ask("Hi").setSampling(SamplingParams.newBuilder().setTemperature(-1)).build();
    try {
      chats().createChatCompletion(request);
    } catch (StatusRuntimeException error) {
      Status.Code code = error.getStatus().getCode();
      for (Any detail : StatusProto.fromThrowable(error).getDetailsList()) {
        if (detail.is(ErrorInfo.class)) {
          ErrorInfo info = detail.unpack(ErrorInfo.class);
          OUT.printf("error: %s %s from %s%n", code, info.getReason(), info.getDomain());
        } else if (detail.is(BadRequest.class)) {
          for (var violation : detail.unpack(BadRequest.class).getFieldViolationsList()) {
            OUT.printf("error: %s: %s%n", violation.getField(), violation.getDescription());
          }
        }
      }
    }
  }
}
