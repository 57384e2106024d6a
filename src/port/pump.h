/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pump.h - bytes between a stream and a descriptor, both ways, with the ends of both.
 *
 * The pump has no buffer of its own: what the descriptor does not take stays in the stream, whose
 * window then holds the other side back, and nothing is read from the descriptor that the stream
 * has no room for.  So a slow reader anywhere slows the writer at the other end, in bounded memory.
 *
 * One way ends without the other: an end that is read from the descriptor closes our half of the
 * stream, the end of the stream's bytes shuts the descriptor's writing side.
 *
 * Owner: the thread of its SDK object.  May call: the C library.  Allocates: only for bytes that a
 * stream promised to take and then did not.
 */
#ifndef BS_PORT_PUMP_H
#define BS_PORT_PUMP_H

#include "port/poller.h"

/** Bytes moved in one run and direction; more wait for the next, so that each gets its turn. */
#define BS_PUMP_TURN (256u * 1024)
/** Bytes read from a descriptor at a time. */
#define BS_PUMP_CHUNK (64u * 1024)
/** Pieces of a stream that are written with one call. */
#define BS_PUMP_PIECES 64

/** The stream's side; stream is the pump's. */
struct bs_pump_ops {
	/** Fill at most n pieces with what can be read now, in order; how many were filled. */
	size_t (*peek)(void *stream, struct bs_slice *v, size_t n);
	/** The first len bytes of them are done with. */
	void (*consume)(void *stream, size_t len);
	/** Whether everything that the other side sent has been consumed, and nothing will come. */
	bool (*at_end)(void *stream);
	/** Bytes that write would take now.  With 0 the owner runs the pump again when there is
	 *  room. */
	size_t (*room)(void *stream);
	/** Write at most room bytes; how many were taken: fewer when memory is short. */
	size_t (*write)(void *stream, const uint8_t *data, size_t len);
	/** No more will be written. */
	void (*close)(void *stream);
};

/** One pump.  Zero it, then bs_pump_start. */
struct bs_pump {
	struct bs_source source;
	const struct bs_pump_ops *ops;
	void *stream;
	void (*wake)(struct bs_pump *p); /**< the descriptor became ready: run it soon */
	struct bs_pump *after;           /**< in the queue */
	bool queued;
	int in;  /**< read from here, -1 = done */
	int out; /**< write to here, -1 = done; the same for a socket */
	bool is_socket;
	bool can_read;  /**< no read has blocked since the last event */
	bool can_write; /**< the same for writing */
	bool hung_up;   /**< the end is near: a short read does not mean that nothing is there */
	bool in_end;    /**< nothing more comes from the descriptor */
	bool out_end;   /**< nothing more goes to it */
	bool broken;    /**< it failed; what the stream brings is thrown away */
	uint8_t *rest;  /**< read from the descriptor and not taken by the stream; NULL = none */
	size_t rest_len;
	uint64_t from_fd;
	uint64_t to_fd;
};

/**
 * Pumps that are to run, in the order in which they asked.  Zero it.  Events of streams and
 * sockets only queue; the queue runs once all of a step's events are in, so that a burst of packets
 * costs one write.
 */
struct bs_pump_queue {
	struct bs_pump *head;
	struct bs_pump *tail;
};

/** Queue a pump; once is enough. */
void bs_pump_queue_add(struct bs_pump_queue *q, struct bs_pump *p);
/**
 * bs_pump_queue_pop - the next one to run
 *
 * Whoever runs the queue stops after the one that was its tail when the turn began: what queues
 * itself again waits for the next turn, so that each gets its own.
 *
 * Returns NULL when the queue is empty.
 */
struct bs_pump *bs_pump_queue_pop(struct bs_pump_queue *q);

/**
 * bs_pump_start - begin
 *
 * @in, @out non-blocking; owned by the pump from here.  One socket: both the same
 *
 * Returns BS_OK, or BS_EIO when it cannot be waited for.
 */
BS_MUSTCHECK int bs_pump_start(struct bs_pump *p, struct bs_poller *set, int in, int out,
			       bool is_socket);
/**
 * bs_pump_run - move what can be moved
 *
 * Returns whether there is more to do at once (a turn was used up).
 */
bool bs_pump_run(struct bs_pump *p);
/** Whether both ways have ended as far as the descriptor is concerned. */
static inline bool bs_pump_is_done(const struct bs_pump *p)
{
	return p->in_end && p->out_end;
}
/** Close the descriptors.  reset: a TCP peer shall see a reset, not an orderly end. */
void bs_pump_stop(struct bs_pump *p, bool reset);
/** Close a socket with a reset. */
void bs_pump_reset(int fd);

#endif
