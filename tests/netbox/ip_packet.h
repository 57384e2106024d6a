/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ip_packet.h - read an IP packet as a flow, and write other addresses into it.
 *
 * IPv4 and IPv6; UDP, TCP, ICMP echo and ICMP errors.  Only IPv4 is ever rewritten: the boxes do
 * not translate IPv6.  Fragments are refused, as the ports are in the first one only.
 *
 * Owner: any thread.  May call: util, nat_model.  Allocates: no.
 */
#ifndef BS_NETBOX_IP_PACKET_H
#define BS_NETBOX_IP_PACKET_H

#include "nat_model.h"

/** Room for an ICMP error: headers and what it quotes. */
#define IP_ERROR_MAX 600

/** A packet that was read. */
struct ip_packet {
	uint8_t *bytes;
	size_t len;
	size_t at; /**< where UDP, TCP or ICMP begins */
	bool v6;
	bool error;    /**< ICMP error: flow is what it quotes */
	size_t quoted; /**< with error: where the quoted IP header begins */
	struct nat_flow flow;
};

/** Read; false when it is none of the above, or damaged.  Nothing past len is touched. */
bool ip_read(uint8_t *bytes, size_t len, struct ip_packet *p);
/** Write a changed flow into an IPv4 packet; all checksums stay right. */
void ip_write(struct ip_packet *p, const struct nat_flow *f);
/** Write a changed flow into what an error quotes; outer is whom the error is for or from. */
void ip_write_error(struct ip_packet *p, const struct nat_flow *f, enum nat_side from,
		    const struct bs_endpoint *outer);
/** One hop further; false when it may go no further. */
bool ip_hop(struct ip_packet *p);
/** "Too big, at most mtu" for the sender of these bytes; its length, 0 when none may be sent. */
size_t ip_too_big(const uint8_t *bytes, size_t len, uint16_t mtu, uint8_t out[IP_ERROR_MAX]);
/** The checksum of RFC 1071 over bytes, started with a sum of 16-bit words. */
uint16_t ip_checksum(const uint8_t *bytes, size_t len, uint32_t sum);

#endif
