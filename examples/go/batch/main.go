// Answers many questions in one call: batch [HOST:PORT].
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"google.golang.org/grpc"

	pb "penstock/v1"
)

var questions = map[string]string{
	"greeting": "Say hello.",
	"sum":      "What is 2+2?",
	"wrong":    "",
}

// send sends an item for each question, and ends the stream.
func send(stream pb.BatchService_RunBatchClient) error {
	for key, question := range questions {
		chat := &pb.CreateChatCompletionRequest{}
		if question != "" {
			chat.Messages = []*pb.ChatMessage{{
				Role:    pb.Role_ROLE_USER,
				Content: []*pb.ContentPart{{Part: &pb.ContentPart_Text{Text: question}}},
			}}
		}
		item := &pb.RunBatchRequest{
			Key: key, Request: &pb.RunBatchRequest_ChatCompletion{ChatCompletion: chat},
		}
		// io.EOF means that the call has ended; Recv returns its status.
		if err := stream.Send(item); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	return stream.CloseSend()
}

// run sends the questions while it reads the answers, which arrive in any order.
func run(ctx context.Context, conn *grpc.ClientConn) error {
	stream, err := pb.NewBatchServiceClient(conn).RunBatch(ctx)
	if err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() { sent <- send(stream) }()
	left := len(questions)
	for {
		result, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			fmt.Printf("%d without a result\n", left)
			return <-sent
		}
		if err != nil {
			return err
		}
		left--
		if failed := result.GetError(); failed != nil {
			fmt.Printf("%s: %s\n", result.Key, failed.Reason)
		} else {
			answer := result.GetChatCompletion().Choices[0].Message
			fmt.Printf("%s: %s\n", result.Key, answer.Content[0].GetText())
		}
	}
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
	// Cancelling the context ends the items that still run.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if err := run(ctx, conn); err != nil {
		log.Fatal(err)
	}
}
