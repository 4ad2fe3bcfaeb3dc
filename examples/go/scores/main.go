// Scores many pairs of texts in one call: scores [HOST:PORT].
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

var pairs = [][2]string{
	{"capital of France", "Berlin is in Germany."},
	{"[[simulate: status code=400]]", "This item fails."},
	{"capital of France", "Paris is the capital of France."},
}

func text(content string) []*pb.ScoringInput {
	return []*pb.ScoringInput{{Input: &pb.ScoringInput_Text{Text: content}}}
}

// send sends an item for each pair, and ends the stream.
func send(stream pb.RerankService_StreamScoreClient) error {
	for _, pair := range pairs {
		item := &pb.StreamScoreRequest{
			Key:     pair[1],
			Request: &pb.ScoreRequest{Queries: text(pair[0]), Documents: text(pair[1])},
			InOrder: true,
		}
		// io.EOF means that the call has ended; Recv returns its status.
		if err := stream.Send(item); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	return stream.CloseSend()
}

// run sends the pairs while it reads the results, which are in the order of the pairs.
func run(ctx context.Context, conn *grpc.ClientConn) error {
	stream, err := pb.NewRerankServiceClient(conn).StreamScore(ctx)
	if err != nil {
		return err
	}
	sent := make(chan error, 1)
	go func() { sent <- send(stream) }()
	for {
		result, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return <-sent
		}
		if err != nil {
			return err
		}
		if failed := result.GetError(); failed != nil {
			fmt.Printf("%d: %s, %s\n", result.Index, failed.Reason, result.Key)
			continue
		}
		fmt.Printf("%d: %.6f, %s\n", result.Index, result.GetResponse().Results[0].Score, result.Key)
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
