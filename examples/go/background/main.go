// Answers in the background, and continues the stream when it breaks: background [HOST:PORT].
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	pb "penstock/v1"
)

const mostBreaks = 5

// receiver is a stream of events: a new response, or a stored one.
type receiver interface {
	Recv() (*pb.StreamResponseResponse, error)
}

// follow prints the text of a stream; wanted becomes the request for the events that follow.
func follow(stream receiver, wanted *pb.StreamStoredResponseRequest) error {
	for {
		event, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if created := event.GetCreated(); created != nil {
			wanted.ResponseId = created.Id
		}
		wanted.StartingAfter = &event.SequenceNumber
		fmt.Print(event.GetOutputTextDelta().GetText())
	}
}

// run prints each piece of the answer once, whatever happens to the connection.
func run(ctx context.Context, conn *grpc.ClientConn) error {
	client := pb.NewResponseServiceClient(conn)
	background := true
	asked := &pb.CreateResponseRequest{InputText: "Say hello.", Background: &background}
	wanted := &pb.StreamStoredResponseRequest{}
	var stream receiver
	stream, err := client.StreamResponse(ctx, asked)
	for breaks := 1; err == nil; breaks++ {
		err = follow(stream, wanted)
		broke := status.Code(err) == codes.Unavailable
		if !broke || wanted.ResponseId == "" || breaks > mostBreaks {
			break
		}
		fmt.Fprintln(os.Stderr, "continues")
		stream, err = client.StreamStoredResponse(ctx, wanted)
	}
	fmt.Println()
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
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if err := run(ctx, conn); err != nil {
		log.Fatal(err)
	}
}
