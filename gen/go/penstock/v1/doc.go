// Package penstockv1 contains the messages and service stubs of penstock.v1, the gRPC API of
// Penstock, a service in front of vLLM.
//
//	conn, err := grpc.NewClient("127.0.0.1:50051",
//		grpc.WithTransportCredentials(insecure.NewCredentials()))
//	...
//	stream, err := penstockv1.NewChatCompletionServiceClient(conn).StreamChatCompletion(ctx, request)
//
// A stream that ends with io.EOF is complete. Every other end is a status, whose details contain a
// reason. The comment at the beginning of common.proto, which is also in common.pb.go, describes
// presence, metadata, sizes and errors for all services.
package penstockv1
