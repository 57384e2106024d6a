/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nat_model.h - a network address translator as pure code: flows in, verdicts and rewritten
 * addresses out (terms of RFC 4787).  The simulator and the box on TUN devices (bs-netbox) use the
 * same code, so what was tuned in one holds in the other.
 *
 * It knows endpoints, not packets: whoever has packets reads and rewrites their addresses.  Two
 * boxes in a row are a double NAT.  The same seed gives the same ports.
 *
 * Owner: one thread.  May call: util.  Allocates: no; a struct nat is about 1.6 MiB.
 */
#ifndef BS_NETBOX_NAT_MODEL_H
#define BS_NETBOX_NAT_MODEL_H

#include "basestation/types.h"

/** Flows that a box remembers at once; further ones are dropped, as cheap routers do. */
#define NAT_MAPS   16384
#define NAT_PASSES 16384

/** What a mapping, or a permission to come in, depends on. */
enum nat_rule {
	NAT_INDEPENDENT = 0,
	NAT_BY_ADDRESS = 1,
	NAT_BY_ADDRESS_PORT = 2,
};

/** How outside ports are chosen. */
enum nat_ports {
	NAT_PORTS_PRESERVE = 0, /**< the inside port where nobody else has it */
	NAT_PORTS_NEXT = 1,     /**< one after the other */
	NAT_PORTS_RANDOM = 2,
};

enum nat_proto {
	NAT_UDP = 0,
	NAT_TCP = 1,
	NAT_ECHO =
		2, /**< ICMP echo: the id is the port of the inside end, that of the other is 0 */
};

enum nat_side {
	NAT_INSIDE = 0,
	NAT_OUTSIDE = 1,
};

/** Bits of a flow's tcp. */
#define NAT_TCP_SYN 0x02u
#define NAT_TCP_FIN 0x01u
#define NAT_TCP_RST 0x04u

/** One box. */
struct nat_conf {
	const char *name;           /**< for people */
	enum nat_rule mapping;      /**< by address or more: "symmetric" */
	enum nat_rule filtering;    /**< of UDP; TCP is filtered by address and port */
	enum nat_ports ports;       /**< of UDP and TCP */
	bool hairpin;               /**< inside hosts reach each other by outside addresses */
	bool blocked;               /**< no UDP at all */
	bool firewall;              /**< filters, but does not translate */
	bool out_only;              /**< only packets from inside keep a mapping alive */
	uint32_t udp_ms;            /**< life of a silent UDP mapping, 0 = 120 s */
	uint32_t tcp_ms;            /**< and of a TCP one, 0 = one hour */
	struct bs_endpoint outside; /**< own address; the port is not used */
	uint32_t seed;
};

/** A packet as a box sees it; rewritten where the verdict lets it through. */
struct nat_flow {
	uint8_t proto; /**< enum nat_proto */
	uint8_t tcp;   /**< NAT_TCP_* bits of a TCP segment */
	struct bs_endpoint src;
	struct bs_endpoint dst;
};

enum nat_verdict {
	NAT_DROP = 0,
	NAT_TO_OUTSIDE = 1,
	NAT_TO_INSIDE = 2, /**< also what came from inside and turned back: hairpinning */
};

/** Why packets were dropped, and what there is. */
struct nat_stats {
	uint32_t maps;     /**< mappings made */
	uint32_t filtered; /**< from outside, not permitted or not mapped */
	uint32_t blocked;  /**< UDP where none may pass */
	uint32_t no_hairpin;
	uint32_t full;
};

/** A mapping: an inside endpoint (towards some remote) has an outside port.  Private. */
struct nat_map {
	struct bs_endpoint inside;
	struct bs_endpoint remote; /* only as much of it as the mapping rule looks at */
	bs_time used;
	uint16_t port;
	uint16_t next_inside; /* chains: index + 1, 0 = end */
	uint16_t next_port;
	uint16_t age; /* how often the slot was given away: old permissions do not fit */
	uint8_t proto;
	bool live;
	bool closing; /* a FIN or RST was seen */
};

/** A permission: this remote may use that mapping.  Private. */
struct nat_pass {
	struct bs_endpoint remote; /* only as much of it as the filter rule looks at */
	bs_time used;
	uint16_t map; /* index + 1, 0 = unused */
	uint16_t age; /* of the map when this was given */
	uint16_t next;
};

#define NAT_BUCKETS 4096u

/** A box at work.  Fields other than conf and stats are private. */
struct nat {
	struct nat_conf conf;
	struct nat_stats stats;
	uint32_t rng;
	uint16_t next_port;
	uint16_t free_map;
	uint16_t free_pass;
	uint16_t by_inside[NAT_BUCKETS];
	uint16_t by_port[NAT_BUCKETS];
	uint16_t by_pass[NAT_BUCKETS];
	struct nat_map map[NAT_MAPS];
	struct nat_pass pass[NAT_PASSES];
};

void nat_init(struct nat *n, const struct nat_conf *conf);
/** Take a packet from one side; f is rewritten unless the verdict is NAT_DROP. */
enum nat_verdict nat_input(struct nat *n, enum nat_side from, struct nat_flow *f, bs_time now);
/**
 * An ICMP error came from one side; f is the flow of the packet that it quotes (which travelled the
 * other way), rewritten as that packet looked on its own side.
 */
enum nat_verdict nat_error(struct nat *n, enum nat_side from, struct nat_flow *f, bs_time now);
/** Forget everything, as after a power cut. */
void nat_forget(struct nat *n);
/** Whether the box gives the same endpoint different outside ports. */
bool nat_is_symmetric(const struct nat_conf *conf);

/** The kinds that tests know by name: one list for simulator and netbox. */
const struct nat_conf *nat_kind(const char *name);
/** The list itself; ends with a NULL name. */
extern const struct nat_conf nat_kinds[];

#endif
