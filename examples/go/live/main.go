// Transcribes samples of 16 bits at 16000 Hz from standard input while they come: live [HOST:PORT].
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

const chunkBytes = 3200 // a tenth of a second

// speak sends what it reads. Reading waits for whole chunks, so none ends within a sample.
func speak(stream pb.TranscriptionService_TranscribeLiveClient, speech io.Reader) error {
	config := &pb.TranscribeLiveRequest_Config{Config: &pb.LiveTranscriptionConfig{}}
	if err := stream.Send(&pb.TranscribeLiveRequest{Payload: config}); err != nil {
		return err
	}
	chunk := make([]byte, chunkBytes)
	for {
		n, err := io.ReadFull(speech, chunk)
		if n > 0 {
			audio := &pb.TranscribeLiveRequest_AudioChunk{AudioChunk: chunk[:n]}
			if err := stream.Send(&pb.TranscribeLiveRequest{Payload: audio}); err != nil {
				return err
			}
		}
		if err != nil {
			return stream.CloseSend()
		}
	}
}

// hear prints the text. If the stream ends with io.EOF, the transcription is complete.
func hear(stream pb.TranscriptionService_TranscribeLiveClient) error {
	for {
		reply, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch event := reply.Event.(type) {
		case *pb.TranscribeLiveResponse_Delta_:
			fmt.Print(event.Delta.Text)
		case *pb.TranscribeLiveResponse_Done_:
			fmt.Printf("\n%d tokens\n", event.Done.Usage.GetCompletionTokens())
		case *pb.TranscribeLiveResponse_Error_:
			log.Print(event.Error.Message)
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
	stream, err := pb.NewTranscriptionServiceClient(conn).TranscribeLive(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	// The status of a call that fails is in what it receives.
	go func() { _ = speak(stream, os.Stdin) }()
	if err := hear(stream); err != nil {
		log.Fatal(err)
	}
}
