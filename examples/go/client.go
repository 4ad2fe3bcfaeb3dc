// Calls Penstock with generated stubs: client [HOST:PORT] [AUDIO FILE].
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	pb "penstock/v1"
)

const chunkBytes = 64 * 1024

var weather = &pb.Tool{Tool: &pb.Tool_Function{Function: &pb.FunctionDefinition{
	Name:        "get_weather",
	Description: "The weather in a city.",
	Parameters: &pb.JsonDocument{Document: &pb.JsonDocument_Json{
		Json: `{"type": "object", "properties": {"city": {"type": "string"}}}`,
	}},
}}}

func text(s string) []*pb.ContentPart {
	return []*pb.ContentPart{{Part: &pb.ContentPart_Text{Text: s}}}
}

func user(s string) []*pb.ChatMessage {
	return []*pb.ChatMessage{{Role: pb.Role_ROLE_USER, Content: text(s)}}
}

// runTools answers each tool call of a message. A real one parses the arguments, which may be bad.
func runTools(message *pb.ChatMessage) []*pb.ChatMessage {
	var results []*pb.ChatMessage
	for _, call := range message.ToolCalls {
		function := call.GetFunction()
		fmt.Printf("tool: %s(%s)\n", function.GetName(), function.GetArguments())
		results = append(results, &pb.ChatMessage{
			Role: pb.Role_ROLE_TOOL, ToolCallId: call.Id, Content: text("sunny, 21C"),
		})
	}
	return results
}

// chat asks, runs the tools that the model calls, and asks again until it calls none.
func chat(ctx context.Context, conn *grpc.ClientConn) error {
	client := pb.NewChatCompletionServiceClient(conn)
	request := &pb.CreateChatCompletionRequest{
		Messages: user("What is the weather in Paris?"), Tools: []*pb.Tool{weather},
	}
	for {
		answer, err := client.CreateChatCompletion(ctx, request)
		if err != nil {
			return err
		}
		message := answer.Choices[0].Message
		if len(message.ToolCalls) == 0 {
			fmt.Printf("chat: %s\n", message.Content[0].GetText())
			return nil
		}
		request.Messages = append(append(request.Messages, message), runTools(message)...)
	}
}

// streamChat holds the same conversation, printed as it arrives.
func streamChat(ctx context.Context, conn *grpc.ClientConn) error {
	client := pb.NewChatCompletionServiceClient(conn)
	request := &pb.CreateChatCompletionRequest{
		Messages: user("What is the weather in Paris?"), Tools: []*pb.Tool{weather},
	}
	for {
		stream, err := client.StreamChatCompletion(ctx, request)
		if err != nil {
			return err
		}
		message, usage, err := receive(stream)
		if err != nil {
			return err
		}
		if len(message.ToolCalls) == 0 {
			fmt.Printf("\nusage: %d tokens\n", usage.TotalTokens)
			return nil
		}
		request.Messages = append(append(request.Messages, message), runTools(message)...)
	}
}

// receive puts the deltas of a stream together. If it ends with io.EOF, it is complete.
func receive(stream pb.ChatCompletionService_StreamChatCompletionClient) (*pb.ChatMessage, *pb.Usage, error) {
	message := &pb.ChatMessage{Role: pb.Role_ROLE_ASSISTANT}
	var usage *pb.Usage
	said := ""
	for {
		event, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			if said != "" {
				message.Content = text(said)
			}
			return message, usage, nil
		}
		if err != nil {
			return nil, nil, err
		}
		for _, choice := range event.Choices {
			if said == "" && choice.Delta.GetContent() != "" {
				fmt.Print("stream: ")
			}
			fmt.Print(choice.Delta.GetContent())
			said += choice.Delta.GetContent()
			for _, piece := range choice.Delta.GetToolCalls() {
				addPiece(message, piece)
			}
		}
		if event.Usage != nil {
			usage = event.Usage
		}
	}
}

func addPiece(message *pb.ChatMessage, piece *pb.ToolCallDelta) {
	for len(message.ToolCalls) <= int(piece.Index) {
		call := &pb.ToolCall{Call: &pb.ToolCall_Function{Function: &pb.FunctionCall{}}}
		message.ToolCalls = append(message.ToolCalls, call)
	}
	call := message.ToolCalls[piece.Index]
	call.Id += piece.Id
	call.GetFunction().Name += piece.Name
	call.GetFunction().Arguments += piece.Arguments
}

func embed(ctx context.Context, conn *grpc.ClientConn) error {
	request := &pb.CreateEmbeddingsRequest{}
	for _, s := range []string{"a cat", "a kitten"} {
		input := &pb.PoolingInput{Input: &pb.PoolingInput_Text{Text: s}}
		request.Inputs = append(request.Inputs, input)
	}
	answer, err := pb.NewEmbeddingServiceClient(conn).CreateEmbeddings(ctx, request)
	if err != nil {
		return err
	}
	one := answer.Embeddings[0].GetFloatVector().GetValues()
	two := answer.Embeddings[1].GetFloatVector().GetValues()
	similarity := 0.0
	for i := range one {
		similarity += float64(one[i]) * float64(two[i])
	}
	fmt.Printf("embeddings: 2 of %d values, similarity %.4f\n", len(one), similarity)
	return nil
}

func rerank(ctx context.Context, conn *grpc.ClientConn) error {
	scoring := func(s string) *pb.ScoringInput {
		return &pb.ScoringInput{Input: &pb.ScoringInput_Text{Text: s}}
	}
	texts := []string{"Berlin is in Germany.", "Paris is the capital of France."}
	request := &pb.RerankRequest{Query: scoring("capital of France")}
	for _, s := range texts {
		request.Documents = append(request.Documents, scoring(s))
	}
	answer, err := pb.NewRerankServiceClient(conn).Rerank(ctx, request)
	if err != nil {
		return err
	}
	for _, result := range answer.Results {
		fmt.Printf("rerank: %.4f %s\n", result.RelevanceScore, texts[result.Index])
	}
	return nil
}

// transcribe uploads an audio file in chunks.
func transcribe(ctx context.Context, conn *grpc.ClientConn, path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	stream, err := pb.NewTranscriptionServiceClient(conn).UploadTranscribe(ctx)
	if err != nil {
		return err
	}
	config := &pb.TranscriptionConfig{LanguageCode: "en"}
	err = stream.Send(&pb.UploadTranscribeRequest{
		Payload: &pb.UploadTranscribeRequest_Config{Config: config},
	})
	chunk := make([]byte, chunkBytes)
	for err == nil {
		n, end := file.Read(chunk)
		if errors.Is(end, io.EOF) {
			break
		}
		if end != nil {
			return end
		}
		err = stream.Send(&pb.UploadTranscribeRequest{
			Payload: &pb.UploadTranscribeRequest_AudioChunk{AudioChunk: chunk[:n]},
		})
	}
	// If the server ends the call early, Send fails with io.EOF, and the reason is returned here.
	answer, err := stream.CloseAndRecv()
	if err != nil {
		return err
	}
	got := answer.Transcription
	fmt.Printf("transcription:%s (%d s)\n", got.Text, got.BilledDuration.GetSeconds())
	return nil
}

// cancel leaves a stream after three messages; the model stops.
func cancel(ctx context.Context, conn *grpc.ClientConn) error {
	ctx, leave := context.WithCancel(ctx)
	defer leave()
	request := &pb.CreateChatCompletionRequest{Messages: user("Tell me a story.")}
	stream, err := pb.NewChatCompletionServiceClient(conn).StreamChatCompletion(ctx, request)
	if err != nil {
		return err
	}
	received := 0
	for err == nil {
		if received == 3 {
			leave()
		}
		if _, err = stream.Recv(); err == nil {
			received++
		}
	}
	fmt.Printf("cancel: %s after %d messages\n", codeName(err), received)
	return nil
}

func deadline(ctx context.Context, conn *grpc.ClientConn) error {
	ctx, stop := context.WithTimeout(ctx, 200*time.Millisecond)
	defer stop()
	request := &pb.CreateChatCompletionRequest{Messages: user("Tell me a story.")}
	_, err := pb.NewChatCompletionServiceClient(conn).CreateChatCompletion(ctx, request)
	if err == nil {
		fmt.Println("deadline: the answer came in time")
	} else {
		fmt.Printf("deadline: %s\n", codeName(err))
	}
	return nil
}

// richError provokes an error and reads its reason and the fields at fault from the details.
func richError(ctx context.Context, conn *grpc.ClientConn) error {
	request := &pb.CreateChatCompletionRequest{
		Messages: user("Hi"), Sampling: &pb.SamplingParams{Temperature: proto.Float64(-1)},
	}
	_, err := pb.NewChatCompletionServiceClient(conn).CreateChatCompletion(ctx, request)
	for _, detail := range status.Convert(err).Details() {
		switch detail := detail.(type) {
		case *errdetails.ErrorInfo:
			fmt.Printf("error: %s %s from %s\n", codeName(err), detail.Reason, detail.Domain)
		case *errdetails.BadRequest:
			for _, violation := range detail.FieldViolations {
				fmt.Printf("error: %s: %s\n", violation.Field, violation.Description)
			}
		}
	}
	return nil
}

// codeName spells a status code as the protos do, DEADLINE_EXCEEDED for example.
func codeName(err error) string {
	return code.Code(status.Code(err)).String()
}

func argument(position int, otherwise string) string {
	if len(os.Args) > position {
		return os.Args[position]
	}
	return otherwise
}

func main() {
	target := os.Getenv("PENSTOCK_TARGET")
	if target == "" {
		target = "127.0.0.1:50051"
	}
	target = argument(1, target)
	audio := argument(2, "../tone.wav")
	// Debian 12 has grpc-go 1.33. From 1.63 on, where Dial is deprecated:
	// grpc.NewClient(target, grpc.WithTransportCredentials(insecure.NewCredentials()))
	conn, err := grpc.Dial(target, grpc.WithInsecure())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	upload := func(ctx context.Context, conn *grpc.ClientConn) error {
		return transcribe(ctx, conn, audio)
	}
	for _, call := range []func(context.Context, *grpc.ClientConn) error{
		chat, streamChat, embed, rerank, upload, cancel, deadline, richError,
	} {
		ctx, stop := context.WithTimeout(context.Background(), time.Minute)
		err := call(ctx, conn)
		stop()
		if err != nil {
			log.Fatal(err)
		}
	}
}
