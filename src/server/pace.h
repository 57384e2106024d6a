/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pace.h - how fast devices may come back: so many registrations a second.
 *
 * After an outage all devices ask at once.  Serving them as fast as they come would fill the
 * sockets that the keepalives of those already back go through, and they would all go on in step.
 * So the controller's answer, where a registration begins, is given at a pace; whoever gets none
 * comes again:
 *
 *   with extension RETRY   by appointment: the first second with room, and a random moment in it.
 *                          Nobody is remembered, so one that comes when others came in between
 *                          gets another appointment.
 *   stock                  after 2, 4, 8 ... s, as it does when an answer is lost
 *
 * Each kind has a part of the pace for itself, for a crowd of the one must not keep out the other,
 * and what one does not use the other gets.
 *
 * Pure: time and random numbers are arguments.  One per worker, which owns it; fixed memory.
 */
#ifndef BS_SERVER_PACE_H
#define BS_SERVER_PACE_H

#include <stdbool.h>
#include <stdint.h>

/** Seconds ahead for which appointments are made; devices accept no more than ten minutes. */
#define BS_PACE_SECONDS 512u

struct bs_pace {
	uint32_t rate;     /**< registrations per second; 0 = no pace */
	uint64_t keepers;  /**< thousandths of a registration, for those who keep appointments */
	uint64_t others;   /**< the same for stock devices */
	uint32_t last_ms;  /**< when these two were filled up */
	uint32_t begin_ms; /**< of the second that head names */
	uint32_t head;     /**< slot of the present second */
	uint32_t first;    /**< seconds from now to the first one with room */
	uint32_t booked[BS_PACE_SECONDS];
};

/** An idle pace.  A change of the rate keeps the appointments. */
void bs_pace_init(struct bs_pace *p, uint32_t rate, uint32_t now_ms);
void bs_pace_set(struct bs_pace *p, uint32_t rate);
/**
 * bs_pace_take - one device wants to begin
 *
 * @keeps     it comes back when it is told to
 * @random    any number, for the moment within a second
 * @retry_ms  set when false is returned and keeps is true: when to come back
 *
 * Returns true when it may begin now.
 */
bool bs_pace_take(struct bs_pace *p, bool keeps, uint32_t random, uint32_t now_ms,
		  uint32_t *retry_ms);

#endif
