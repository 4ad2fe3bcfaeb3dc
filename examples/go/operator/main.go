// Changes the engines of an upstream, as an operator: operator UPSTREAM [HOST:PORT].
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	pb "penstock/v1"
)

// show prints the result of each replica; a call succeeds if at least one of them did.
func show(action string, results []*pb.ReplicaResult) {
	for _, result := range results {
		if result.Reason != "" {
			fmt.Printf("%s: %s: %s\n", action, result.Reason, result.Message)
		} else {
			fmt.Printf("%s: ok\n", action)
		}
	}
}

func run(ctx context.Context, admin pb.AdminServiceClient, upstream string) error {
	upstreams := []string{upstream}
	slept, err := admin.Sleep(ctx, &pb.SleepRequest{Upstreams: upstreams})
	if err != nil {
		return err
	}
	show("sleep", slept.Results)
	woken, err := admin.WakeUp(ctx, &pb.WakeUpRequest{Upstreams: upstreams})
	if err != nil {
		return err
	}
	show("wake", woken.Results)
	loaded, err := admin.LoadAdapter(ctx, &pb.LoadAdapterRequest{
		Model: "tiny-chat", Name: "jokes", Path: "/adapters/jokes",
	})
	if err != nil {
		return err
	}
	show("load", loaded.Results)
	listed, err := admin.ListAdapters(ctx, &pb.ListAdaptersRequest{})
	if err != nil {
		return err
	}
	for _, adapter := range listed.Adapters {
		fmt.Printf("%s of %s: %d replica(s)\n", adapter.Name, adapter.Model, len(adapter.Replicas))
	}
	unloaded, err := admin.UnloadAdapter(ctx, &pb.UnloadAdapterRequest{Name: "jokes"})
	if err != nil {
		return err
	}
	show("unload", unloaded.Results)
	return nil
}

func main() {
	if len(os.Args) < 2 {
		log.Fatal("usage: operator UPSTREAM [HOST:PORT]")
	}
	target := "127.0.0.1:50052"
	if given := os.Getenv("PENSTOCK_ADMIN_TARGET"); given != "" {
		target = given
	}
	if len(os.Args) > 2 {
		target = os.Args[2]
	}
	conn, err := grpc.Dial(target, grpc.WithInsecure())
	if err != nil {
		log.Fatal(err)
	}
	defer conn.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ctx = metadata.AppendToOutgoingContext(
		ctx, "authorization", "Bearer "+os.Getenv("PENSTOCK_API_KEY"),
	)
	if err := run(ctx, pb.NewAdminServiceClient(conn), os.Args[1]); err != nil {
		log.Fatal(err)
	}
}
