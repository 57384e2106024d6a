/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stats.h - STATS: what a device reports about failed attaches and its connections
 * (basestation-wire(7), STATISTICS).  Not authenticated: hints for logs and counters, never more.
 */
#ifndef BS_WIRE_STATS_H
#define BS_WIRE_STATS_H

#include "wire/payload.h"

/** Fields of CONNECTION_INFO; bit t of present is TLV type t. */
struct bs_connection_info {
	uint16_t present;
	uint8_t path;       /**< 1: how the packets travelled */
	uint32_t age_ms;    /**< 2 */
	uint32_t tx_bytes;  /**< 3 */
	uint32_t tx_pkts;   /**< 4 */
	uint32_t rx_bytes;  /**< 5 */
	uint32_t rx_pkts;   /**< 6 */
	uint32_t client_ip; /**< 7: public IPv4 of the client */
	uint32_t device_ip; /**< 8: public IPv4 of the device */
};

/** RENDEZVOUS_STATS. */
struct bs_rendezvous_stats {
	uint8_t client_nat;
	uint8_t device_nat;
	uint16_t ports;
	uint16_t sockets;
};

/** A STATS packet; which parts it has depends on the event. */
struct bs_stats {
	uint32_t nsi;  /**< connection NSI, 0 for a failed attach */
	uint8_t event; /**< enum bs_stats_event */
	struct bs_version version;
	struct bs_slice client_id; /**< empty = not there */
	struct bs_slice id;        /**< device id */
	bool has_attach;
	uint8_t attach_status; /**< enum bs_attach_status */
	bool attach_secure;    /**< the device wants secure attach */
	bool has_ipx;
	struct bs_ipx ipx;
	bool has_rendezvous;
	struct bs_rendezvous_stats rendezvous;
	bool has_info;
	struct bs_connection_info info;
};

/** STATS, VERSION and SP_ID must be there; the rest is taken where it can be read. */
BS_MUSTCHECK int bs_stats_decode(const struct bs_packet *p, struct bs_stats *m);
/** Writes the parts that are there, in the order of basestation-wire(7). */
BS_MUSTCHECK bs_ssize bs_stats_encode(uint8_t *buf, size_t cap, const struct bs_stats *m);

#endif
