/* SPDX-License-Identifier: Apache-2.0 */
#include "server/attempts.h"

#include <stdlib.h>
#include <string.h>

#include "server/counters.h"
#include "util/endpoint.h"

/* How packets travelled, as devices report it. */
enum {
	PATH_LOCAL = 1,
	PATH_DIRECT = 2,
	PATH_UDP_RELAY = 3,
	PATH_TCP_RELAY = 4,
};

/* Classes of a NAT as far as the way through it depends on them. */
enum nat_class {
	NAT_UNKNOWN,
	NAT_CONE,
	NAT_SYMMETRIC,
	NAT_CLASSES,
};

int bs_attempts_init(struct bs_attempts *a)
{
	memset(a, 0, sizeof(*a));
	a->info = calloc(BS_ATTEMPTS_MAX, sizeof(*a->info));
	a->steps = calloc(BS_ATTEMPT_STEPS_MAX, sizeof(*a->steps));
	return a->info && a->steps ? BS_OK : BS_ENOMEM;
}

void bs_attempts_fini(struct bs_attempts *a)
{
	free(a->info);
	free(a->steps);
	memset(a, 0, sizeof(*a));
}

struct bs_attempt_info *bs_attempts_begin(struct bs_attempts *a, uint64_t attempt, uint32_t number,
					  uint64_t unix_ms, uint64_t *place)
{
	struct bs_attempt_info *i = &a->info[a->n_info % BS_ATTEMPTS_MAX];

	*place = a->n_info++;
	memset(i, 0, sizeof(*i));
	i->attempt = attempt;
	i->number = number;
	i->start_ms = unix_ms;
	return i;
}

struct bs_attempt_info *bs_attempts_get(struct bs_attempts *a, uint64_t place)
{
	if (place >= a->n_info || a->n_info - place > BS_ATTEMPTS_MAX)
		return NULL;
	return &a->info[place % BS_ATTEMPTS_MAX];
}

struct bs_attempt_row *bs_attempts_step(struct bs_attempts *a, uint64_t attempt, uint32_t number,
					uint8_t step, uint16_t status, uint64_t unix_ms)
{
	struct bs_attempt_row *row = &a->steps[a->n_steps++ % BS_ATTEMPT_STEPS_MAX];

	memset(row, 0, sizeof(*row));
	row->unix_ms = unix_ms;
	row->attempt = attempt;
	row->number = number;
	row->step = step;
	row->status = status;
	return row;
}

const struct bs_attempt_info *bs_attempts_newest(const struct bs_attempts *a, uint64_t k)
{
	if (k >= a->n_info || k >= BS_ATTEMPTS_MAX)
		return NULL;
	return &a->info[(a->n_info - 1 - k) % BS_ATTEMPTS_MAX];
}

const struct bs_attempt_row *bs_attempts_newest_step(const struct bs_attempts *a, uint64_t k)
{
	if (k >= a->n_steps || k >= BS_ATTEMPT_STEPS_MAX)
		return NULL;
	return &a->steps[(a->n_steps - 1 - k) % BS_ATTEMPT_STEPS_MAX];
}

void bs_attempt_note_path(struct bs_attempt_info *i, uint8_t path, uint64_t unix_ms)
{
	bool relayed = path == PATH_UDP_RELAY || path == PATH_TCP_RELAY;

	if (path < PATH_LOCAL || path > PATH_TCP_RELAY)
		return;
	if (i->open_ms == 0)
		i->open_ms = unix_ms;
	/* A direct path may follow a relay within one connection, and is what counts then. */
	if (relayed && i->outcome != BS_OUTCOME_DIRECT) {
		i->outcome = BS_OUTCOME_RELAYED;
		i->path = path;
	} else if (!relayed) {
		i->outcome = BS_OUTCOME_DIRECT;
		i->path = path;
	}
}

static enum nat_class class_of_mapping(uint8_t mapping)
{
	if (mapping == 0)
		return NAT_UNKNOWN;
	return mapping == 1 ? NAT_CONE : NAT_SYMMETRIC;
}

/* A device says only whether its NAT is symmetric. */
static enum nat_class class_of_device(const struct bs_attempt_info *i)
{
	if (!bs_endpoint_is_set(&i->device))
		return NAT_UNKNOWN;
	return i->device_symmetric ? NAT_SYMMETRIC : NAT_CONE;
}

static bool same_address(const struct bs_endpoint *a, const struct bs_endpoint *b)
{
	return bs_endpoint_is_set(a) && bs_endpoint_is_set(b) &&
	       memcmp(a->ip, b->ip, sizeof(a->ip)) == 0;
}

enum bs_attempt_why bs_attempt_judge(const struct bs_attempt_info *i)
{
	if (i->outcome == BS_OUTCOME_DIRECT)
		return BS_WHY_NONE;
	if (i->status != BS_ST_OK)
		return i->status ? BS_WHY_REFUSED : BS_WHY_NONE;
	if (!bs_endpoint_is_set(&i->client))
		return BS_WHY_CLIENT_UDP;
	if (bs_endpoint_is_ip4(&i->client) != bs_endpoint_is_ip4(&i->device))
		return BS_WHY_FAMILIES;
	if (class_of_mapping(i->client_mapping) == NAT_SYMMETRIC &&
	    class_of_device(i) == NAT_SYMMETRIC)
		return BS_WHY_BOTH_SYMMETRIC;
	if (same_address(&i->client, &i->device))
		return BS_WHY_HAIRPIN;
	if (class_of_mapping(i->client_mapping) == NAT_SYMMETRIC)
		return BS_WHY_CLIENT_SYMMETRIC;
	if (class_of_device(i) == NAT_SYMMETRIC)
		return BS_WHY_DEVICE_SYMMETRIC;
	return BS_WHY_FILTERED;
}

const char *bs_attempt_why_name(enum bs_attempt_why why)
{
	static const char *const names[] = {
		[BS_WHY_NONE] = "",
		[BS_WHY_REFUSED] = "refused",
		[BS_WHY_CLIENT_UDP] = "client-udp-blocked",
		[BS_WHY_FAMILIES] = "ip4-against-ip6",
		[BS_WHY_BOTH_SYMMETRIC] = "both-symmetric",
		[BS_WHY_HAIRPIN] = "no-hairpinning",
		[BS_WHY_CLIENT_SYMMETRIC] = "client-symmetric",
		[BS_WHY_DEVICE_SYMMETRIC] = "device-symmetric",
		[BS_WHY_FILTERED] = "filtered",
	};

	return (unsigned)why < sizeof(names) / sizeof(names[0]) ? names[why] : "";
}

const char *bs_attempt_why_text(enum bs_attempt_why why)
{
	switch (why) {
	case BS_WHY_NONE: return "";
	case BS_WHY_REFUSED: return "it was refused; see its status";
	case BS_WHY_CLIENT_UDP:
		return "no UDP packet of the client reached this server: its network blocks UDP; "
		       "a TCP relay is the only way";
	case BS_WHY_FAMILIES:
		return "one side has IPv4 only and the other IPv6 only: no direct path exists";
	case BS_WHY_BOTH_SYMMETRIC:
		return "both NATs use a new port for each destination (symmetric): no direct path "
		       "can be found";
	case BS_WHY_HAIRPIN:
		return "both sides are behind one public address, and that NAT does not pass "
		       "packets back inside (hairpinning)";
	case BS_WHY_CLIENT_SYMMETRIC:
		return "the client's NAT uses a new port for each destination (symmetric), and no "
		       "guessed port was hit in time";
	case BS_WHY_DEVICE_SYMMETRIC:
		return "the device's NAT uses a new port for each destination (symmetric), and no "
		       "guessed port was hit in time";
	case BS_WHY_FILTERED:
		return "no packet of the search came through: a firewall on one side drops them";
	default: return "unknown";
	}
}

void bs_attempt_settle(struct bs_attempt_info *i, uint64_t unix_ms)
{
	if (i->outcome == BS_OUTCOME_PENDING)
		i->outcome = i->status == BS_ST_OK ? BS_OUTCOME_FAILED : BS_OUTCOME_REFUSED;
	i->why = (uint8_t)bs_attempt_judge(i);
	i->end_ms = unix_ms;
}

#define ROW(client)                                                                                \
 {                                                                                                 \
  { BS_C_nat_##client##_unknown_direct, BS_C_nat_##client##_unknown_relayed,                       \
    BS_C_nat_##client##_unknown_failed },                                                          \
	  { BS_C_nat_##client##_cone_direct, BS_C_nat_##client##_cone_relayed,                     \
	    BS_C_nat_##client##_cone_failed },                                                     \
  {                                                                                                \
   BS_C_nat_##client##_symmetric_direct, BS_C_nat_##client##_symmetric_relayed,                    \
	   BS_C_nat_##client##_symmetric_failed                                                    \
  }                                                                                                \
 }

void bs_attempt_count(const struct bs_attempt_info *i, struct bs_counters *c)
{
	static const enum bs_counter pair[NAT_CLASSES][NAT_CLASSES][3] = { ROW(unknown), ROW(cone),
									   ROW(symmetric) };
	int n;

	switch (i->outcome) {
	case BS_OUTCOME_DIRECT: n = 0; break;
	case BS_OUTCOME_RELAYED: n = 1; break;
	case BS_OUTCOME_FAILED: n = 2; break;
	default: return; /* a refusal says nothing about NATs */
	}
	bs_count(c, pair[class_of_mapping(i->client_mapping)][class_of_device(i)][n]);
}
