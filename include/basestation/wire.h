/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.h - the numbers that travel: packet types, flags, payload types, status codes.
 * basestation-wire(7) gives the layouts.
 */
#ifndef BS_WIRE_H
#define BS_WIRE_H

#ifdef __cplusplus
extern "C" {
#endif

/** Protocol version in every header. */
#define BS_WIRE_VERSION 2
/** Bytes of the shortest header. */
#define BS_HEADER_MIN 16
/** Bytes of the longest header (with NSI.co and tag). */
#define BS_HEADER_MAX 26
/** Largest packet a device of unknown build takes. */
#define BS_PACKET_SMALL 272
/** Largest packet that should be sent to a device of unknown build. */
#define BS_PACKET_SAFE 256
/** Largest packet that any device or relay takes. */
#define BS_PACKET_MAX 1368
/** Bytes of a nonce and of a seed in secure mode. */
#define BS_NONCE_LEN 32
/** Bytes of a nonce in legacy mode. */
#define BS_NONCE_LEGACY_LEN 8
/** Bytes of the data of a VERIFY payload (legacy mode). */
#define BS_VERIFY_LEN 12
/** Bytes of the number that names a connection attempt. */
#define BS_ATTEMPT_LEN 8
/** Largest packet on the client's TLS stream. */
#define BS_GATE_PACKET_MAX 4096

/** Header flags. */
enum bs_flag {
	BS_FLAG_RESPONSE = 0x01,
	BS_FLAG_EXCEPTION = 0x02,
	BS_FLAG_TAG = 0x40,
	BS_FLAG_NSI_CO = 0x80,
};

/** Packet types. */
enum bs_type {
	BS_TYPE_DATA = 22,
	BS_TYPE_GW_CONN_U = 23,
	BS_TYPE_PROBE = 30,
	BS_TYPE_STATS = 31,
	BS_TYPE_PING = 32,
	BS_TYPE_HELLO = 64,
	BS_TYPE_CONNECT = 65,
	BS_TYPE_DISCONNECT = 66,
	BS_TYPE_WATCH = 67,
	BS_TYPE_EVENT = 68,
	BS_TYPE_REDIRECT = 69,
	BS_TYPE_LIST = 70,
	BS_TYPE_TICKET = 71,
	BS_TYPE_ERROR = 72,
	BS_TYPE_U_INVITE = 128,
	BS_TYPE_U_ATTACH = 129,
	BS_TYPE_U_ALIVE = 130,
	BS_TYPE_U_CONNECT = 131,
	BS_TYPE_U_DEBUG = 132,
	BS_TYPE_U_PUSH = 133,
	BS_TYPE_U_VERIFY_PSK = 134,
	BS_TYPE_U_CONNECT_PSK = 135,
	BS_TYPE_U_CLOSE = 136,
};

/** Payload types. */
enum bs_payload_type {
	BS_PL_SP_ID = 0x31,
	BS_PL_NONCE = 0x32,
	BS_PL_NOTIFY = 0x34,
	BS_PL_IPX = 0x35,
	BS_PL_CRYPTO = 0x36,
	BS_PL_VERIFY = 0x37,
	BS_PL_GW = 0x38,
	BS_PL_EP = 0x39,
	BS_PL_VERSION = 0x3A,
	BS_PL_CAPABILITY = 0x3B,
	BS_PL_PIGGY = 0x3C,
	BS_PL_WINDOW = 0x3D,
	BS_PL_TIME = 0x3E,
	BS_PL_CP_ID = 0x3F,
	BS_PL_DESCR = 0x40,
	BS_PL_SACK = 0x41,
	BS_PL_STATS = 0x42,
	BS_PL_RENDEZVOUS_STATS = 0x44,
	BS_PL_ATTACH_STATS = 0x46,
	BS_PL_SYSLOG_CONFIG = 0x48,
	BS_PL_FP = 0x4B,
	BS_PL_PUSH = 0x4C,
	BS_PL_PUSH_DATA = 0x4D,
	BS_PL_STREAM_STATS = 0x4E,
	BS_PL_CONNECTION_INFO = 0x50,
	BS_PL_RANDOM = 0x51,
	BS_PL_KEY_ID = 0x52,
	BS_PL_TOKEN = 0x60,
	BS_PL_SESSION_KEY = 0x61,
	BS_PL_EP6 = 0x62,
	BS_PL_STATUS = 0x63,
	BS_PL_NODE = 0x64,
	BS_PL_ATTEMPT = 0x65,
	BS_PL_NAT = 0x66,
	BS_PL_PARAMS = 0x67,
	BS_PL_PRESENCE = 0x68,
	BS_PL_RELAY_KEY = 0x69,
	BS_PL_TICKET = 0x6A,
	BS_PL_SEALED = 0x6B,
	BS_PL_CURSOR = 0x6C,
	BS_PL_EXT = 0x70,
	BS_PL_ALIVE_AUTH = 0x71,
	BS_PL_COOKIE = 0x72,
	BS_PL_INTERVAL = 0x73,
	BS_PL_RETRY = 0x74,
	BS_PL_PAD = 0x75,
	BS_PL_CLOSE = 0x76,
	BS_PL_SUITE = 0x77,
	BS_PL_PAIR = 0x78,
	BS_PL_PART = 0x79,
	BS_PL_START = 0x7A,
};

/** Payload flag: the receiver may skip it. */
#define BS_PLF_OPTIONAL 0x80
/** CRYPTO payload flag: the plaintext is a list of payloads. */
#define BS_PLF_LIST 0x01

/** Crypto suite codes. */
enum bs_suite_code {
	BS_SUITE_NULL = 0x000A,
	BS_SUITE_AES_CBC = 0x230A,
	BS_SUITE_AES_GCM = 0x400A, /**< extension GCM */
};

/** NOTIFY and STATUS codes: what device, basestation and client say to each other. */
enum bs_status {
	BS_ST_OK = 0x0001,
	BS_ST_CLOSED = 0x0002,
	BS_ST_PENDING = 0x0003,
	BS_ST_ERROR = 0x8000,
	BS_ST_SERVER_UNKNOWN = 0x8001,
	BS_ST_SERVER_CERT = 0x8002,
	BS_ST_CLIENT_CERT = 0x8003,
	BS_ST_REFUSED_DEVICE = 0x8004,
	BS_ST_PROTOCOL = 0x8005,
	BS_ST_CERT_ID = 0x8006,
	BS_ST_NOT_ATTACHED = 0x8007,
	BS_ST_ENCRYPTION = 0x8008,
	BS_ST_BUSY = 0x8009,
	BS_ST_CANNOT_ANSWER = 0x800A,
	BS_ST_REATTACHING = 0x800B,
	BS_ST_SELF_SIGNED = 0x800C,
	BS_ST_REFUSED = 0x800D,
	BS_ST_ABORTED = 0x800E,
	BS_ST_KEY_ID = 0x800F,
	BS_ST_CAPABILITY = 0x8010,
	BS_ST_WRONG_KEY = 0x8011,
	BS_ST_RATE = 0x8101,
	BS_ST_DRAINING = 0x8102,
	BS_ST_MALFORMED = 0x8103,
	BS_ST_VERSION = 0x8104,
	BS_ST_RELAY_FULL = 0x8105,
	BS_ST_CURSOR = 0x8106,
};

/** Exception codes of a remote procedure call. */
enum bs_rpc_code {
	BS_RPC_OK = 0,
	BS_RPC_NOT_READY = 3,
	BS_RPC_FORBIDDEN = 4,
	BS_RPC_REQUEST_SHORT = 5,
	BS_RPC_REQUEST_LONG = 6,
	BS_RPC_UNKNOWN_QUERY = 7,
	BS_RPC_REPLY_LONG = 8,
	BS_RPC_BUSY = 9,
	BS_RPC_DEVICE_ERROR = 10,
	BS_RPC_NO_QUERY = 11,
};

/** Why an attach failed: ATTACH_STATS. */
enum bs_attach_status {
	BS_ATTACH_OK = 0,
	BS_ATTACH_MALFORMED = 1,
	BS_ATTACH_VERIFY = 2,
	BS_ATTACH_DECRYPT = 3,
	BS_ATTACH_NO_ALIVE = 4,
	BS_ATTACH_SERVER_SILENT = 5,
	BS_ATTACH_CONTROLLER_SILENT = 6,
	BS_ATTACH_LOOKUP = 7,
	BS_ATTACH_NONCE = 8,
	BS_ATTACH_MAC = 9,
};

/** Capability bits; a bit counts only where the mask has it too. */
enum bs_capability {
	BS_CAP_DIRECT = 1u << 0,
	BS_CAP_GW_CRYPT = 1u << 1,
	BS_CAP_PLAIN = 1u << 2,
	BS_CAP_DEVICE = 1u << 3,
	BS_CAP_UDP = 1u << 4,
	BS_CAP_TAGS = 1u << 5,
	BS_CAP_FRAMING = 1u << 6,
	BS_CAP_PROXY = 1u << 7,
	BS_CAP_ASYNC = 1u << 8,
	BS_CAP_GW_CLEAR = 1u << 9,
	BS_CAP_GW_CLEAR_CLIENT = 1u << 10,
	BS_CAP_FINGERPRINT = 1u << 11,
	BS_CAP_LEGACY_CLIENT = 1u << 12,
};

/** Extension bits (basestation-wire(7), EXTENSIONS). */
enum bs_ext {
	BS_EXT_IP6 = 1u << 0,
	BS_EXT_COOKIE = 1u << 1,
	BS_EXT_AUTH_ALIVE = 1u << 2,
	BS_EXT_INTERVAL = 1u << 3,
	BS_EXT_RETRY = 1u << 4,
	BS_EXT_ATTEMPT = 1u << 5,
	BS_EXT_CLOSE = 1u << 6,
	BS_EXT_GCM = 1u << 7,
	BS_EXT_FAST_STREAM = 1u << 8,
	BS_EXT_PAIR = 1u << 9,
	BS_EXT_PATH = 1u << 10,
};

/** IPX flags and NAT types. */
enum bs_ipx_flag {
	BS_IPX_NAT_MASK = 0x0F,
	BS_IPX_NAT_SYMMETRIC = 0x07,
	BS_IPX_ASYNC = 0x20,
	BS_IPX_PRIVATE_FIRST = 0x40,
	BS_IPX_NO_RENDEZVOUS = 0x80,
};

/** Kind of VERSION. */
enum bs_version_kind {
	BS_VERSION_CLIENT = 1,
	BS_VERSION_SERVER_PEER = 2,
	BS_VERSION_CONTROLLER = 3,
	BS_VERSION_GATEWAY = 4,
	BS_VERSION_DEVICE = 5,
};

/** Kind of SP_ID and CP_ID. */
enum bs_id_kind {
	BS_ID_MAIL = 1,
	BS_ID_HOST = 2,
};

/** Kind of DESCR. */
enum bs_descr_kind {
	BS_DESCR_APP_VERSION = 1,
	BS_DESCR_URL = 2,
};

/** Event of STATS. */
enum bs_stats_event {
	BS_STATS_OPEN = 1,
	BS_STATS_FAIL = 2,
	BS_STATS_CLOSE = 3,
	BS_STATS_ATTACH_FAIL = 7,
	BS_STATS_STREAM_CLOSE = 8,
};

/** Service and answer flags of PUSH. */
enum bs_push_flag {
	BS_PUSH_DONE = 0x10,
	BS_PUSH_FAILED = 0x20,
	BS_PUSH_QUOTA = 0x40,
	BS_PUSH_QUOTA_ATTACH = 0x80,
};

/** EP6 kinds. */
enum bs_ep6_kind {
	BS_EP6_HOST = 1,
	BS_EP6_OBSERVED = 2,
	BS_EP6_RELAY = 3,
	BS_EP6_SERVER = 4,
};

/** Tags of DATA packets. */
enum bs_tag {
	BS_TAG_RPC = 0x0000,
	BS_TAG_FRAMING = 0x0003,
	BS_TAG_STREAM_FIRST = 0x1000,
	BS_TAG_STREAM_LAST = 0x1FFF,
};

#ifdef __cplusplus
}
#endif
#endif
