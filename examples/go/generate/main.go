// Generates from token ids, without tokenizing any text twice: generate [HOST:PORT].
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	pb "penstock/v1"
)

// render returns the token ids of a conversation, as a chat would send them to the model.
func render(ctx context.Context, conn *grpc.ClientConn, question string) ([]int32, error) {
	message := &pb.ChatMessage{
		Role:    pb.Role_ROLE_USER,
		Content: []*pb.ContentPart{{Part: &pb.ContentPart_Text{Text: question}}},
	}
	answer, err := pb.NewTokenizationServiceClient(conn).Tokenize(ctx, &pb.TokenizeRequest{
		Input: &pb.TokenizeRequest_Chat{
			Chat: &pb.ChatTokenizeInput{Messages: []*pb.ChatMessage{message}},
		},
	})
	return answer.GetTokenIds(), err
}

// generate continues a prompt by up to four tokens. If the stream ends with io.EOF, it is complete.
func generate(ctx context.Context, conn *grpc.ClientConn, prompt []int32) ([]int32, error) {
	stream, err := pb.NewGenerationServiceClient(conn).StreamGenerate(ctx, &pb.GenerateRequest{
		TokenIds:   prompt,
		OutputMode: pb.GenerateOutputMode_GENERATE_OUTPUT_MODE_TEXT,
		Sampling:   &pb.SamplingParams{MaxTokens: proto.Int32(4), Temperature: proto.Float64(0)},
		Logprobs:   &pb.LogprobOptions{},
	})
	if err != nil {
		return nil, err
	}
	var generated []int32
	text, logprob := "", 0.0
	for {
		event, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			fmt.Printf("%d tokens: %q, likely: %t\n", len(generated), text, logprob > -1)
			return generated, nil
		}
		if err != nil {
			return nil, err
		}
		for _, choice := range event.Choices {
			generated = append(generated, choice.TokenIds...)
			text += choice.Text
			for _, entry := range choice.Logprobs {
				logprob += entry.Logprob
			}
		}
	}
}

// run generates twice; the second prompt consists of the ids of the first one and of its answer.
func run(ctx context.Context, conn *grpc.ClientConn) error {
	prompt, err := render(ctx, conn, "Say hello.")
	if err != nil {
		return err
	}
	generated, err := generate(ctx, conn, prompt)
	if err != nil {
		return err
	}
	_, err = generate(ctx, conn, append(prompt, generated...))
	return err
}

func main() {
	target := "127.0.0.1:50051"
	if given := os.Getenv("PENSTOCK_TARGET"); given != "" {
		target = given
	}
	if len(os.Args) > 1 {
		target = os.Args[1]
	}
	conn, err := grpc.Dial(target, grpc.WithInsecure())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	if err := run(context.Background(), conn); err != nil {
		log.Fatal(err)
	}
}
