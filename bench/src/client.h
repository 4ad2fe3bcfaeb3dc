/* The load client: calls, what is checked of them, what is measured. */
#ifndef BENCH_CLIENT_H
#define BENCH_CLIENT_H

#include "common.h"

/* What one run is told to do. */
struct plan {
  bool grpc;
  int port;
  unsigned in_flight, connections, markers;
  double warm_up_s;
  double stagger_s; /* time over which the first calls are spread */
  const char *path, *content_type;
  struct bytes body;     /* what every call sends, framed if it is gRPC */
  struct bytes expected; /* the whole answer, or nothing to compare with */
  struct bytes last;     /* the last message, or the end of the body */
  struct bytes contained[4];
  unsigned contained_count;
};
extern struct plan plan;

/* One call in progress. */
struct call {
  uint64_t started, first; /* first: when its first marker came; 0 before that */
  unsigned markers, messages;
  size_t scanned;       /* of what arrived */
  struct bytes arrived; /* HTTP: the body; gRPC: what is not yet a whole message */
  struct bytes message; /* gRPC: the last whole message */
  const char *fault;    /* the first thing that was wrong with it */
};

/* Starts a call anew in this place. */
void call_begin(struct call *call);
/* Looks for markers in text that has arrived, checks their order and takes their times. Returns
 * how much of it need not be looked at again. */
size_t call_scan(struct call *call, const char *data, size_t size);
/* A whole message has come. */
void call_message(struct call *call, const char *data, size_t size);
/* So many messages came that are not looked at one by one. */
void call_messages(struct call *call, unsigned count);
/* The call is over, well unless a fault is named; the content is checked here. */
void call_end(struct call *call, const char *fault);

/* Whether a window is being measured at present. */
extern bool measuring;
/* Set when no further calls are to begin. */
extern bool finished;

/* Prepares; then each call in flight is begun once, and again whenever it has ended. */
void grpc_open(void);
void grpc_begin(unsigned number);
void http_open(void);
void http_begin(unsigned number);

/* What the poller calls when a connection is ready. */
struct ready {
  void (*handle)(void *self, uint32_t events);
  void *self;
};
void watch(int fd, struct ready *ready, bool write);
void watch_change(int fd, struct ready *ready, bool write);
int connect_to_server(void);
/* A connection broke; gives up after many. */
void count_break(void);

#endif
