/* SPDX-License-Identifier: Apache-2.0 */
/*
 * limits.h - the build constants of the protocol machines.
 *
 * Each may be set on the compiler's command line, for the library and for everything that includes
 * its headers alike.  The defaults follow the profile: the MCU profile trades memory of old packets
 * for RAM.  Nothing here travels on the wire.
 */
#ifndef BS_PROTO_LIMITS_H
#define BS_PROTO_LIMITS_H

#ifdef BS_PROFILE_MCU
# define BS__DEFAULT_REPLAY_SLOTS   8
# define BS__DEFAULT_REPLAY_TAG     4
# define BS__DEFAULT_CLIENT_ID_KEEP 32
# define BS__DEFAULT_WITH           0
# define BS__DEFAULT_RPC_DONE       4
#else
# define BS__DEFAULT_REPLAY_SLOTS   64
# define BS__DEFAULT_REPLAY_TAG     16
# define BS__DEFAULT_CLIENT_ID_KEEP 64
# define BS__DEFAULT_WITH           1
# define BS__DEFAULT_RPC_DONE       16
#endif

/** Parts of a device that a build may leave out (0): event records in keep-alive answers, the
 *  time from the server, connection numbers for a server that gives none, attach without a secret
 *  and connections without a key, the search beyond the usual one (symmetric NATs, and while a
 *  relay has the data). */
#ifndef BS_WITH_LEGACY
# define BS_WITH_LEGACY BS__DEFAULT_WITH
#endif
#ifndef BS_WITH_EVENTS
# define BS_WITH_EVENTS BS__DEFAULT_WITH
#endif
#ifndef BS_WITH_SERVER_TIME
# define BS_WITH_SERVER_TIME BS__DEFAULT_WITH
#endif
#ifndef BS_WITH_SPRAY
# define BS_WITH_SPRAY BS__DEFAULT_WITH
#endif
#ifndef BS_WITH_OWN_NSI
# define BS_WITH_OWN_NSI BS__DEFAULT_WITH
#endif
/** Connections over the local network without a basestation: who vouches for a client's key. */
#ifndef BS_WITH_LOCAL
# define BS_WITH_LOCAL BS__DEFAULT_WITH
#endif
/** Keep-alives with a MAC, at intervals that the server gives: extensions AUTH_ALIVE, INTERVAL. */
#ifndef BS_WITH_AUTH_ALIVE
# define BS_WITH_AUTH_ALIVE BS__DEFAULT_WITH
#endif
/** Whether a device can use a TCP relay. */
#ifndef BS_WITH_GW
# define BS_WITH_GW BS__DEFAULT_WITH
#endif
/** MACs that a connection remembers to drop exact repeats, 1..255. */
#ifndef BS_REPLAY_SLOTS
# define BS_REPLAY_SLOTS BS__DEFAULT_REPLAY_SLOTS
#endif
/** Bytes kept of each MAC, 1..16: fewer bytes drop an honest packet by chance now and then. */
#ifndef BS_REPLAY_TAG
# define BS_REPLAY_TAG BS__DEFAULT_REPLAY_TAG
#endif
/** Bytes kept of a client's identity, 1..64; the access hook always sees the whole. */
#ifndef BS_CLIENT_ID_KEEP
# define BS_CLIENT_ID_KEEP BS__DEFAULT_CLIENT_ID_KEEP
#endif
/** Requests that a connection remembers to have run, without their replies, 1..255: a late copy of
 *  one of them is dropped, not run again. */
#ifndef BS_RPC_DONE
# define BS_RPC_DONE BS__DEFAULT_RPC_DONE
#endif
/** Longest RPC request, query id included. */
#ifndef BS_RPC_REQUEST_MAX
# define BS_RPC_REQUEST_MAX 200
#endif
/** Longest RPC reply. */
#ifndef BS_RPC_REPLY_MAX
# define BS_RPC_REPLY_MAX 200
#endif
/** Controller addresses that are kept: as many as invites in a row, one for each. */
#define BS_CONTROLLER_ADDRS 6

#endif
