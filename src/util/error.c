/* SPDX-License-Identifier: Apache-2.0 */
#include "basestation/error.h"

/* A table would need relocations and the codes have gaps: a switch keeps it one list. */
const char *bs_strerror(int err)
{
	switch ((enum bs_err)err) {
	case BS_OK: return "ok";
	case BS_EAGAIN: return "nothing there yet";
	case BS_EFULL: return "table or queue is full";
	case BS_ETIMEDOUT: return "no answer in time";
	case BS_EUNREACH: return "network or name not reachable";
	case BS_ERATE: return "over a rate limit";
	case BS_EDRAIN: return "draining or switched off";
	case BS_ESHORT: return "packet or field too short";
	case BS_ELENGTH: return "length field wrong";
	case BS_EVERSION: return "protocol version not supported";
	case BS_EPAYLOAD: return "payload list malformed";
	case BS_EMISSING: return "payload missing";
	case BS_EFIELD: return "field out of range";
	case BS_ETYPE: return "packet type not expected";
	case BS_ESUITE: return "crypto suite not expected";
	case BS_EMAC: return "authentication code wrong";
	case BS_EPADDING: return "padding wrong";
	case BS_ENONCE: return "nonce is not ours";
	case BS_ESOURCE: return "source not allowed";
	case BS_EUNKNOWN: return "id or session not known";
	case BS_EREPLAY: return "repeated packet";
	case BS_ESTATE: return "not expected in this state";
	case BS_EREFUSED: return "refused by the peer";
	case BS_ESTRIPPED: return "extension offer removed on the way";
	case BS_EPROTO: return "protocol broken by the peer";
	case BS_EINVAL: return "argument out of range";
	case BS_ETOOBIG: return "too big";
	case BS_ECLOSED: return "closed";
	case BS_EEXIST: return "exists already";
	case BS_ENOENT: return "no such object";
	case BS_EPERM: return "not permitted";
	case BS_EAUTH: return "authentication of the peer failed";
	case BS_ECONF: return "configuration or input wrong";
	case BS_EBUSY: return "in use";
	case BS_ENOMEM: return "out of memory";
	case BS_ERANDOM: return "no random numbers";
	case BS_ECRYPTO: return "crypto backend failed";
	case BS_EIO: return "input or output failed";
	case BS_ECORRUPT: return "stored data damaged";
	case BS_ENOSPC: return "no space left";
	case BS_EINTERNAL: return "internal error";
	}
	return "unknown error";
}
