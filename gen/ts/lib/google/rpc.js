export * from "./rpc/error_details_pb.js";
export * from "./rpc/status_pb.js";
