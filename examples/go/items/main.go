// Computes the embeddings of many texts in one call: items [HOST:PORT].
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

var texts = []string{"a cat", "a kitten", "[[simulate: status code=400]]", "a dog"}

// send sends an item for each text, and ends the stream.
func send(stream pb.EmbeddingService_StreamEmbeddingsClient) error {
	for _, text := range texts {
		input := &pb.PoolingInput{Input: &pb.PoolingInput_Text{Text: text}}
		item := &pb.StreamEmbeddingsRequest{
			Key:     text,
			Request: &pb.CreateEmbeddingsRequest{Inputs: []*pb.PoolingInput{input}},
			InOrder: true,
		}
		// io.EOF means that the call has ended; Recv returns its status.
		if err := stream.Send(item); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	return stream.CloseSend()
}

// run sends the texts while it reads the results, which are in the order of the texts.
func run(ctx context.Context, conn *grpc.ClientConn) error {
	stream, err := pb.NewEmbeddingServiceClient(conn).StreamEmbeddings(ctx)
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
			fmt.Printf("%d: %s\n", result.Index, failed.Reason)
			continue
		}
		vector := result.GetResponse().Embeddings[0].GetFloatVector()
		fmt.Printf("%d: %s, %d values\n", result.Index, result.Key, len(vector.Values))
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
