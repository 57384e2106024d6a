/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counters.h - every number that a worker counts, one list per area.
 *
 * The lists are the only place where a counter is declared: the index, the aggregation, the control
 * output, the metrics text and the manual's table come from them.  X(name, kind, unit, help); kind
 * is counter (only rises) or gauge.
 *
 * Each worker owns one struct bs_counters on cache lines of its own and is its only writer; any
 * thread may read (relaxed, so a sum over several counters is not one instant).
 */
#ifndef BS_SERVER_COUNTERS_H
#define BS_SERVER_COUNTERS_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define BS_COUNTERS_UDP(X)                                                                         \
 X(udp_rx, counter, "packets", "datagrams received")                                               \
 X(udp_rx_bytes, counter, "bytes", "bytes of UDP payload received")                                \
 X(udp_rx_batches, counter, "calls", "receive calls that returned datagrams")                      \
 X(udp_tx, counter, "packets", "datagrams sent")                                                   \
 X(udp_tx_bytes, counter, "bytes", "bytes of UDP payload sent")                                    \
 X(udp_tx_batches, counter, "calls", "send calls")                                                 \
 X(udp_tx_blocked, counter, "packets", "datagrams dropped because the socket was full")            \
 X(udp_tx_failed, counter, "packets", "datagrams that the system refused to send")                 \
 X(udp_rx_failed, counter, "calls", "receive calls that failed")                                   \
 X(udp_rx_cut, counter, "packets", "datagrams longer than any packet may be")                      \
 X(udp_steered_away, counter, "packets", "datagrams forwarded to the worker they name")            \
 X(udp_forward_in, counter, "packets", "datagrams taken over from another worker")                 \
 X(udp_forward_full, counter, "packets", "datagrams lost because that worker was behind")          \
 X(udp_locals_full, counter, "packets", "attaches refused: too many local addresses")

#define BS_COUNTERS_DROP(X)                                                                        \
 X(drop_short, counter, "packets", "shorter than a header or a field")                             \
 X(drop_length, counter, "packets", "length field is not the datagram's length")                   \
 X(drop_version, counter, "packets", "protocol version is not 2")                                  \
 X(drop_payload, counter, "packets", "payload list not well formed")                               \
 X(drop_missing, counter, "packets", "a required payload is missing")                              \
 X(drop_field, counter, "packets", "a field is out of range")                                      \
 X(drop_type, counter, "packets", "packet type not expected on this port")                         \
 X(drop_suite, counter, "packets", "suite is not the one in force")                                \
 X(drop_mac, counter, "packets", "message authentication failed")                                  \
 X(drop_padding, counter, "packets", "ciphertext or padding wrong")                                \
 X(drop_nonce, counter, "packets", "nonce that came back is not ours")                             \
 X(drop_source, counter, "packets", "came from an endpoint that may not send it")                  \
 X(drop_unknown_nsi, counter, "packets", "session number is not known")                            \
 X(drop_replay, counter, "packets", "exact repeats")                                               \
 X(drop_state, counter, "packets", "not in this state")                                            \
 X(drop_other, counter, "packets", "dropped for another reason")

#define BS_COUNTERS_ATTACH(X)                                                                      \
 X(invite_controller, counter, "packets", "invites that asked for the attach server")              \
 X(invite_attach, counter, "packets", "invites to the attach server")                              \
 X(invite_answered_controller, counter, "packets", "answers that named the attach server")         \
 X(invite_answered_attach, counter, "packets", "attach requests sent")                             \
 X(invite_repeated, counter, "packets", "repeated invites, answered from their entry")             \
 X(invite_unknown_id, counter, "packets", "invites of unknown ids, not answered")                  \
 X(invite_disabled, counter, "packets", "invites of disabled devices, not answered")               \
 X(invite_mode, counter, "packets", "invites in a mode the device is not set up for")              \
 X(invite_amplify, counter, "packets", "invites too short to be answered")                         \
 X(invite_short, counter, "packets", "invites of short ids, answered with more than 1.5 times")    \
 X(invite_ip6_stock, counter, "packets", "invites over IPv6 without the extension")                \
 X(invite_rate_source, counter, "packets", "invites over the rate of their address")               \
 X(invite_rate_prefix, counter, "packets", "invites over the rate of their prefix")                \
 X(invite_rate_known, counter, "packets", "invites over the rate of known prefixes")               \
 X(invite_rate_strangers, counter, "packets", "invites over the rate of all strangers")            \
 X(invite_cookie, counter, "packets", "invites answered with a cookie only")                       \
 X(invite_drained, counter, "packets", "invites not answered because the server is drained")       \
 X(devices_drained, counter, "devices", "attachments ended by a drain")                            \
 X(invite_paced, counter, "packets", "invites above attach-pace, to come again later")             \
 X(invite_retry, counter, "packets", "devices told to come back later")                            \
 X(invite_no_room, counter, "packets", "invites put off because max-devices is reached")           \
 X(attach_stateless, counter, "attaches", "attachments proven without an entry (cookie)")          \
 X(invite_rate_id, counter, "packets", "invites over the rate of their id")                        \
 X(pending_entries, gauge, "entries", "answered invites that wait for a response")                 \
 X(pending_evicted, counter, "entries", "entries given up early for a newer one")                  \
 X(pending_refused, counter, "packets", "invites not answered: entries too young to give up")      \
 X(pending_expired, counter, "entries", "entries whose response never came")                       \
 X(nsi_exhausted, counter, "packets", "no free session number after 16 tries")                     \
 X(attach_ok, counter, "attaches", "attachments proven")                                           \
 X(attach_known_prefix, counter, "attaches", "prefixes entered into the sketch")                   \
 X(attach_legacy, counter, "attaches", "of these, without a key")                                  \
 X(attach_ip6, counter, "attaches", "of these, over IPv6")                                         \
 X(attach_replaced, counter, "attaches", "that replaced a live attachment of the same id")         \
 X(attach_flapping, counter, "events", "ids claimed again and again within a minute")              \
 X(attach_slab_full, counter, "attaches",                                                          \
   "refused because max-devices is reached, or the "                                               \
   "state cannot grow")                                                                            \
 X(state_kept, gauge, "devices", "devices that the state-file had at the start")                   \
 X(state_left_out, gauge, "devices", "records of the state-file that could not be kept")           \
 X(attach_table_full, counter, "attaches", "refused because a table is full")                      \
 X(attach_failed_stats, counter, "packets", "attach failures that devices reported")               \
 X(attach_failed_key, counter, "packets", "of these, for different keys")                          \
 X(ext_stripped, counter, "packets", "extension offers removed on the way")                        \
 X(ext_required, counter, "packets", "attaches refused: extensions are required")                  \
 X(ext_granted, counter, "attaches", "attachments with extensions")                                \
 X(devices_attached, gauge, "devices", "attached now")                                             \
 X(devices_unreachable, gauge, "devices", "attached, but silent")

#define BS_COUNTERS_ALIVE(X)                                                                       \
 X(alive_sent, counter, "packets", "keepalive requests sent")                                      \
 X(alive_repeated, counter, "packets", "of these, repetitions")                                    \
 X(alive_answered, counter, "packets", "keepalive answers accepted")                               \
 X(alive_poll, counter, "packets", "polls of devices that had heard nothing")                      \
 X(alive_poll_limited, counter, "packets", "polls over one a second, not answered")                \
 X(alive_late, counter, "packets", "answers to a request no longer asked")                         \
 X(alive_unreachable, counter, "devices", "devices that fell silent")                              \
 X(alive_timeout, counter, "devices", "attachments ended by silence")                              \
 X(alive_move_probe, counter, "events", "address changes that were checked")                       \
 X(alive_moved, counter, "events", "address changes accepted")                                     \
 X(alive_move_refused, counter, "events", "address changes refused: the old one answered")         \
 X(alive_auth_bad, counter, "packets",                                                             \
   "keepalives without the MAC that was agreed, or a wrong one")                                   \
 X(alive_auth_replay, counter, "packets", "keepalives whose counter was there before")             \
 X(alive_roamed, counter, "events", "address changes proven by a MAC")                             \
 X(interval_lost, counter, "events", "intervals that turned out too long for a NAT")               \
 X(alive_move_full, counter, "events", "address changes not checked: table full")                  \
 X(event_records, counter, "records", "event records of devices")                                  \
 X(event_dropped, counter, "records", "event records the ring had no room for")                    \
 X(wheel_late_ms, gauge, "ms", "how late the last batch of timers ran")

#define BS_COUNTERS_CONNECT(X)                                                                     \
 X(connect_requests, counter, "requests", "connects asked for by clients")                         \
 X(connect_ok, counter, "requests", "accepted by the device")                                      \
 X(connect_refused_device, counter, "requests", "refused by the device")                           \
 X(connect_busy, counter, "requests", "refused: the device has no free slot")                      \
 X(connect_encryption, counter, "requests", "refused: encryption mismatch")                        \
 X(connect_not_attached, counter, "requests", "device not attached")                               \
 X(connect_silent, counter, "requests", "device did not answer")                                   \
 X(connect_limit, counter, "requests", "refused: connections of this device")                      \
 X(connect_full, counter, "requests", "refused: tables or queues of the server full")              \
 X(connect_failed, counter, "requests", "failed inside the server")                                \
 X(connect_repeated, counter, "requests", "second request of the same attempt")                    \
 X(connect_sent, counter, "packets", "U_CONNECT packets sent")                                     \
 X(connect_resent, counter, "packets", "of these, repetitions")                                    \
 X(connect_answer_late, counter, "packets", "answers to nothing that is open")                     \
 X(connect_answer_forged, counter, "packets", "answers with a wrong number or source")             \
 X(connections_live, gauge, "connections", "connection records")                                   \
 X(connections_opened, counter, "connections", "that devices reported open")                       \
 X(connections_closed, counter, "connections", "that ended, for any reason")                       \
 X(connections_expired, counter, "connections", "that ended without a word")                       \
 X(close_sent, counter, "packets", "U_CLOSE packets sent")                                         \
 X(close_answered, counter, "packets", "U_CLOSE answers")                                          \
 X(close_silent, counter, "events", "U_CLOSE never answered")                                      \
 X(stats_received, counter, "packets", "STATS packets")                                            \
 X(stats_unmatched, counter, "packets", "STATS with a number or source not ours")                  \
 X(push_received, counter, "packets", "U_PUSH packets with a right MAC")                           \
 X(push_duplicate, counter, "packets", "of these, repetitions")                                    \
 X(push_answered, counter, "packets", "U_PUSH answers")

#define BS_COUNTERS_RELAY(X)                                                                       \
 X(relay_bound, counter, "legs", "client legs bound to the UDP relay")                             \
 X(relay_moved, counter, "legs", "bindings that moved a leg to another address")                   \
 X(relay_bind_malformed, counter, "packets", "bindings not well formed")                           \
 X(relay_bind_mac, counter, "packets", "bindings with a wrong MAC")                                \
 X(relay_bind_replay, counter, "packets", "bindings whose counter did not rise")                   \
 X(relay_full, counter, "legs", "legs refused: relay-max or the client's month")                   \
 X(relay_ended_idle, counter, "legs", "legs ended by silence")                                     \
 X(relay_ended_age, counter, "legs", "legs ended by relay-max-age")                                \
 X(relay_ended_month, counter, "legs", "legs ended because the client's month is used up")         \
 X(relay_connections, gauge, "connections", "relayed now, over UDP or TCP")                        \
 X(relay_degraded, gauge, "connections", "of these, with the degraded rate")                       \
 X(relay_low_priority, gauge, "connections", "of these, with low priority")                        \
 X(relay_udp_up, counter, "packets", "packets relayed over UDP towards devices")                   \
 X(relay_udp_up_bytes, counter, "bytes", "their bytes")                                            \
 X(relay_udp_down, counter, "packets", "packets relayed over UDP towards clients")                 \
 X(relay_udp_down_bytes, counter, "bytes", "their bytes")                                          \
 X(relay_repeat, counter, "packets", "exact repeats, not relayed")                                 \
 X(relay_source, counter, "packets", "packets of a connection that came from elsewhere")           \
 X(relay_no_leg, counter, "packets", "packets of a device whose client has bound no leg")          \
 X(relay_delayed, counter, "packets", "packets that waited for a rate limit")                      \
 X(relay_queue_full, counter, "packets", "packets dropped because too many waited")                \
 X(relay_queued, gauge, "packets", "packets that wait now")

#define BS_COUNTERS_WORKER(X)                                                                      \
 X(loop_turns, counter, "turns", "turns of the event loop")                                        \
 X(message_in, counter, "messages", "messages from other threads")                                 \
 X(message_out, counter, "messages", "messages to other threads")                                  \
 X(message_full, counter, "messages", "messages lost because a ring was full")                     \
 X(message_unknown, counter, "messages", "messages of no known kind")                              \
 X(claims, counter, "messages", "claims of ids decided here")                                      \
 X(claims_retried, counter, "messages", "claims sent again")                                       \
 X(ids_held, gauge, "ids", "ids whose holder is recorded here")                                    \
 X(watch_entries, gauge, "entries", "ids watched through this worker")                             \
 X(watch_full, counter, "messages", "watches refused: table full")                                 \
 X(crypto_failed, counter, "events", "failures of the crypto library or of randomness")            \
 X(registry_failed, counter, "events", "registry reads that failed")                               \
 X(memory_failed, counter, "events", "allocations that failed")

#define BS_COUNTERS_GATEWAY(X)                                                                     \
 X(gateway_offered, counter, "connections", "connects that offered the TCP relay")                 \
 X(gateway_bridges, gauge, "connections", "connections with a place at the TCP relay")             \
 X(gateway_accepted, counter, "connections", "TCP connections to the relay's port")                \
 X(gateway_source_rate, counter, "connections", "refused: too many from one address")              \
 X(gateway_descriptors, counter, "events", "accepts that failed for want of descriptors")          \
 X(gateway_no_handshake, counter, "connections", "ended: no handshake in time, or pushed out")     \
 X(gateway_malformed, counter, "connections", "ended: handshake or stream malformed")              \
 X(gateway_unknown, counter, "connections", "ended: handshake names no connection that waits")     \
 X(gateway_alone, counter, "connections", "ended: the other leg did not come in time")             \
 X(gateway_joined, counter, "connections", "both legs came")                                       \
 X(gateway_idle, counter, "connections", "ended: silent for too long")                             \
 X(gateway_limit, counter, "connections", "ended: age or volume of the month used up")             \
 X(gateway_closed, counter, "connections", "relays that ended after both legs had come")           \
 X(gateway_dropped, counter, "packets", "packets that a relay may not pass on")                    \
 X(gateway_to_device_packets, counter, "packets", "relayed towards devices")                       \
 X(gateway_to_device_bytes, counter, "bytes", "relayed towards devices")                           \
 X(gateway_to_client_packets, counter, "packets", "relayed towards clients")                       \
 X(gateway_to_client_bytes, counter, "bytes", "relayed towards clients")

#define BS_COUNTERS_GATE(X)                                                                        \
 X(gate_accepted, counter, "sessions", "TCP connections accepted")                                 \
 X(gate_sessions, gauge, "sessions", "client sessions now")                                        \
 X(gate_legs, counter, "sessions", "client sessions that became a leg of the TCP relay")           \
 X(gate_full, counter, "sessions", "refused because max-clients is reached")                       \
 X(gate_displaced, counter, "sessions", "ended in handshake to make room for another")             \
 X(gate_source_rate, counter, "sessions", "refused: too many from one address")                    \
 X(gate_descriptors, counter, "events", "accepts that failed for want of descriptors or memory")   \
 X(gate_handshake_full, counter, "handshakes", "full TLS handshakes finished")                     \
 X(gate_handshake_resumed, counter, "handshakes", "TLS sessions resumed")                          \
 X(gate_ticket_ignored, counter, "handshakes", "session tickets not honoured")                     \
 X(gate_chain_known, counter, "handshakes", "certificate chains verified before")                  \
 X(gate_refused_no_cert, counter, "handshakes", "refused: no certificate")                         \
 X(gate_refused_untrusted, counter, "handshakes", "refused: no way to a client CA")                \
 X(gate_refused_expired, counter, "handshakes", "refused: certificate expired")                    \
 X(gate_refused_not_yet, counter, "handshakes", "refused: certificate not valid yet")              \
 X(gate_refused_revoked, counter, "handshakes", "refused: certificate, key or client revoked")     \
 X(gate_refused_weak_key, counter, "handshakes", "refused: key too short")                         \
 X(gate_refused_key_type, counter, "handshakes", "refused: key neither RSA nor ECDSA")             \
 X(gate_refused_key_usage, counter, "handshakes", "refused: not for client authentication")        \
 X(gate_refused_chain, counter, "handshakes", "refused: chain too long or not readable")           \
 X(gate_refused_alpn, counter, "handshakes", "refused: protocol basestation/1 not offered")        \
 X(gate_refused_version, counter, "handshakes", "refused: TLS too old")                            \
 X(gate_refused_handshake, counter, "handshakes", "refused: any other failure of TLS")             \
 X(gate_refused_identity, counter, "sessions", "refused: identity in the certificate")             \
 X(gate_handshake_timeout, counter, "sessions", "ended: handshake not finished in time")           \
 X(gate_hello_timeout, counter, "sessions", "ended: no HELLO in time")                             \
 X(gate_idle, counter, "sessions", "ended: silent for longer than agreed")                         \
 X(gate_slow, counter, "sessions", "ended: the client does not read")                              \
 X(gate_broken, counter, "sessions", "ended: TLS or TCP failed")                                   \
 X(gate_malformed, counter, "sessions", "ended: malformed or unexpected packet")                   \
 X(gate_bad_request, counter, "requests", "refused: content not acceptable")                       \
 X(gate_requests, counter, "requests", "requests of clients")                                      \
 X(gate_limited, counter, "requests", "refused: over the rate of a session")                       \
 X(gate_forbidden, counter, "requests", "refused: no right to the device")                         \
 X(gate_client_limit, counter, "requests", "connects refused: connections of this client")         \
 X(gate_table_full, counter, "requests", "refused: a table of the gate is full")                   \
 X(gate_late_result, counter, "requests", "connects accepted after the client had gone")           \
 X(gate_connections, gauge, "connections", "connections of clients known to the gate")             \
 X(gate_watches, gauge, "watches", "devices watched by clients")                                   \
 X(gate_events, counter, "packets", "events sent to clients")                                      \
 X(gate_query_late, counter, "requests", "lists and watches answered without all states")          \
 X(gate_revoked_sessions, counter, "sessions", "ended: client or certificate revoked")             \
 X(gate_revoked_connections, counter, "connections", "ended: right withdrawn")                     \
 X(gate_revoked_watches, counter, "watches", "ended: right withdrawn")                             \
 X(ticket_issued, counter, "tickets", "connect tickets given out")                                 \
 X(ticket_received, counter, "packets", "packets with a connect ticket")                           \
 X(ticket_challenged, counter, "packets", "with a ticket, answered with a challenge")              \
 X(ticket_requests, counter, "requests", "requests of clients with a ticket")                      \
 X(ticket_answered, counter, "packets", "answers and events to clients with a ticket")             \
 X(ticket_malformed, counter, "packets", "with a ticket, not well formed")                         \
 X(ticket_forged, counter, "packets", "ticket or packet not sealed under the right key")           \
 X(ticket_expired, counter, "packets", "ticket too old, or under a key that is gone")              \
 X(ticket_stamp, counter, "packets", "with a ticket, time stamp too old or in the future")         \
 X(ticket_repeated, counter, "packets", "with a ticket, taken before")                             \
 X(ticket_limited, counter, "packets", "with a ticket, over a rate")                               \
 X(ticket_revoked, counter, "packets", "ticket of a client or certificate that is out")            \
 X(probe_received, counter, "packets", "probes of clients")                                        \
 X(probe_answered, counter, "packets", "probes answered")                                          \
 X(probe_malformed, counter, "packets", "probes not well formed")                                  \
 X(probe_unknown, counter, "packets", "probes of no session")                                      \
 X(probe_mac, counter, "packets", "probes with a wrong MAC")                                       \
 X(probe_replay, counter, "packets", "probes whose counter was used")                              \
 X(probe_expired, counter, "packets", "probes under an old token")                                 \
 X(probe_limit, counter, "packets", "probes over the answers of a token")                          \
 X(probe_no_port, counter, "packets", "probes that ask for a port or address we do not have")

/* What came of connections, for each pair of NAT classes as measured. */
#define BS_COUNTERS_NAT(X)                                                                         \
 X(nat_unknown_unknown_direct, counter, "connections",                                             \
   "direct: client NAT unknown, device NAT unknown")                                               \
 X(nat_unknown_unknown_relayed, counter, "connections",                                            \
   "relayed: client NAT unknown, device NAT unknown")                                              \
 X(nat_unknown_unknown_failed, counter, "connections",                                             \
   "failed: client NAT unknown, device NAT unknown")                                               \
 X(nat_unknown_cone_direct, counter, "connections",                                                \
   "direct: client NAT unknown, device NAT endpoint-independent")                                  \
 X(nat_unknown_cone_relayed, counter, "connections",                                               \
   "relayed: client NAT unknown, device NAT endpoint-independent")                                 \
 X(nat_unknown_cone_failed, counter, "connections",                                                \
   "failed: client NAT unknown, device NAT endpoint-independent")                                  \
 X(nat_unknown_symmetric_direct, counter, "connections",                                           \
   "direct: client NAT unknown, device NAT symmetric")                                             \
 X(nat_unknown_symmetric_relayed, counter, "connections",                                          \
   "relayed: client NAT unknown, device NAT symmetric")                                            \
 X(nat_unknown_symmetric_failed, counter, "connections",                                           \
   "failed: client NAT unknown, device NAT symmetric")                                             \
 X(nat_cone_unknown_direct, counter, "connections",                                                \
   "direct: client NAT endpoint-independent, device NAT unknown")                                  \
 X(nat_cone_unknown_relayed, counter, "connections",                                               \
   "relayed: client NAT endpoint-independent, device NAT unknown")                                 \
 X(nat_cone_unknown_failed, counter, "connections",                                                \
   "failed: client NAT endpoint-independent, device NAT unknown")                                  \
 X(nat_cone_cone_direct, counter, "connections",                                                   \
   "direct: client NAT endpoint-independent, device NAT endpoint-independent")                     \
 X(nat_cone_cone_relayed, counter, "connections",                                                  \
   "relayed: client NAT endpoint-independent, device NAT endpoint-independent")                    \
 X(nat_cone_cone_failed, counter, "connections",                                                   \
   "failed: client NAT endpoint-independent, device NAT endpoint-independent")                     \
 X(nat_cone_symmetric_direct, counter, "connections",                                              \
   "direct: client NAT endpoint-independent, device NAT symmetric")                                \
 X(nat_cone_symmetric_relayed, counter, "connections",                                             \
   "relayed: client NAT endpoint-independent, device NAT symmetric")                               \
 X(nat_cone_symmetric_failed, counter, "connections",                                              \
   "failed: client NAT endpoint-independent, device NAT symmetric")                                \
 X(nat_symmetric_unknown_direct, counter, "connections",                                           \
   "direct: client NAT symmetric, device NAT unknown")                                             \
 X(nat_symmetric_unknown_relayed, counter, "connections",                                          \
   "relayed: client NAT symmetric, device NAT unknown")                                            \
 X(nat_symmetric_unknown_failed, counter, "connections",                                           \
   "failed: client NAT symmetric, device NAT unknown")                                             \
 X(nat_symmetric_cone_direct, counter, "connections",                                              \
   "direct: client NAT symmetric, device NAT endpoint-independent")                                \
 X(nat_symmetric_cone_relayed, counter, "connections",                                             \
   "relayed: client NAT symmetric, device NAT endpoint-independent")                               \
 X(nat_symmetric_cone_failed, counter, "connections",                                              \
   "failed: client NAT symmetric, device NAT endpoint-independent")                                \
 X(nat_symmetric_symmetric_direct, counter, "connections",                                         \
   "direct: client NAT symmetric, device NAT symmetric")                                           \
 X(nat_symmetric_symmetric_relayed, counter, "connections",                                        \
   "relayed: client NAT symmetric, device NAT symmetric")                                          \
 X(nat_symmetric_symmetric_failed, counter, "connections",                                         \
   "failed: client NAT symmetric, device NAT symmetric")

#define BS_COUNTERS(X)                                                                             \
 BS_COUNTERS_UDP(X)                                                                                \
 BS_COUNTERS_DROP(X)                                                                               \
 BS_COUNTERS_ATTACH(X)                                                                             \
 BS_COUNTERS_ALIVE(X)                                                                              \
 BS_COUNTERS_CONNECT(X)                                                                            \
 BS_COUNTERS_RELAY(X)                                                                              \
 BS_COUNTERS_WORKER(X)                                                                             \
 BS_COUNTERS_NAT(X)                                                                                \
 BS_COUNTERS_GATEWAY(X)                                                                            \
 BS_COUNTERS_GATE(X)

/** Index of each counter: BS_C_<name>. */
enum bs_counter {
#define X(name, kind, unit, help) BS_C_##name,
	BS_COUNTERS(X)
#undef X
	BS_COUNTER_N
};

/** The counters of one worker. */
struct bs_counters {
	_Alignas(64) _Atomic uint64_t v[BS_COUNTER_N];
};

enum bs_counter_kind {
	BS_COUNTER_counter,
	BS_COUNTER_gauge,
};

/** What a counter is, for people and for metrics. */
struct bs_counter_info {
	const char *name;
	const char *unit;
	const char *help;
	enum bs_counter_kind kind;
};

/** BS_COUNTER_N entries in the order of enum bs_counter. */
extern const struct bs_counter_info bs_counter_table[BS_COUNTER_N];

/** Only the owner writes, so a plain load and store are enough. */
static inline void bs_count_add(struct bs_counters *c, enum bs_counter i, uint64_t n)
{
	uint64_t v = atomic_load_explicit(&c->v[i], memory_order_relaxed);

	atomic_store_explicit(&c->v[i], v + n, memory_order_relaxed);
}

static inline void bs_count(struct bs_counters *c, enum bs_counter i)
{
	bs_count_add(c, i, 1);
}

static inline void bs_count_set(struct bs_counters *c, enum bs_counter i, uint64_t v)
{
	atomic_store_explicit(&c->v[i], v, memory_order_relaxed);
}

static inline uint64_t bs_count_get(const struct bs_counters *c, enum bs_counter i)
{
	return atomic_load_explicit(&c->v[i], memory_order_relaxed);
}

/** Which counter a drop reason (-2xx) goes to. */
enum bs_counter bs_counter_of_drop(int err);

/**
 * Prometheus text of the sums over n workers, appended to buf like snprintf does.
 *
 * Returns the length the whole text has; at least cap means it was cut.
 */
size_t bs_counters_text(const struct bs_counters *const *c, size_t n, char *buf, size_t cap);

#endif
