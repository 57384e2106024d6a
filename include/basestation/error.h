/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error.h - the one list of results.  The range of a code says what the caller does with it.
 */
#ifndef BS_ERROR_H
#define BS_ERROR_H

#include "basestation/types.h"
#include <stdbool.h>

#ifdef __cplusplus
extern "C" {
#endif

/** Results: 0, or negative.  -1xx try again, -2xx the peer's fault (drop and count), -3xx the
 *  caller's fault, -5xx fatal for the object or the process. */
enum bs_err {
	BS_OK = 0,

	BS_EAGAIN = -100,    /**< nothing there, or would block: call again when ready */
	BS_EFULL = -101,     /**< a bounded table or queue is full: later, or shed load */
	BS_ETIMEDOUT = -102, /**< the deadline passed without an answer */
	BS_EUNREACH = -103,  /**< network or name not reachable now */
	BS_ERATE = -104,     /**< over a rate limit: later */
	BS_EDRAIN = -105,    /**< the server drains or the switch is off: elsewhere or later */

	BS_ESHORT = -200,    /**< packet or field ends too early */
	BS_ELENGTH = -201,   /**< length field disagrees with the bytes present */
	BS_EVERSION = -202,  /**< protocol version is not 2 */
	BS_EPAYLOAD = -203,  /**< payload list is not well formed */
	BS_EMISSING = -204,  /**< a payload that must be there is not */
	BS_EFIELD = -205,    /**< a field has a value outside its range */
	BS_ETYPE = -206,     /**< packet type not expected here */
	BS_ESUITE = -207,    /**< crypto suite is not the one in force */
	BS_EMAC = -208,      /**< message authentication failed */
	BS_EPADDING = -209,  /**< padding or ciphertext size wrong */
	BS_ENONCE = -210,    /**< the nonce that came back is not ours */
	BS_ESOURCE = -211,   /**< came from an endpoint that may not send this */
	BS_EUNKNOWN = -212,  /**< id or session number is not known */
	BS_EREPLAY = -213,   /**< an exact repeat, or a counter that did not rise */
	BS_ESTATE = -214,    /**< well formed, but not in this state */
	BS_EREFUSED = -215,  /**< the peer refused; a status code says why */
	BS_ESTRIPPED = -216, /**< an extension offer was removed on the way */
	BS_EPROTO = -217,    /**< the peer broke the protocol in another way */

	BS_EINVAL = -300,  /**< an argument is out of range */
	BS_ETOOBIG = -301, /**< does not fit the buffer or the limit named in the call */
	BS_ECLOSED = -302, /**< the object is closed: free it */
	BS_EEXIST = -303,  /**< an object of that name is there already */
	BS_ENOENT = -304,  /**< no object of that name */
	BS_EPERM = -305,   /**< not permitted: rights, policy or file mode */
	BS_EAUTH = -306,   /**< authentication of the peer failed: certificate or key */
	BS_ECONF = -307,   /**< configuration or input text is wrong; a message says where */
	BS_EBUSY = -308,   /**< in use by somebody else: port, lock, second daemon */

	BS_ENOMEM = -500,    /**< no memory */
	BS_ERANDOM = -501,   /**< no random numbers */
	BS_ECRYPTO = -502,   /**< the crypto backend failed */
	BS_EIO = -503,       /**< input or output failed: disk, descriptor */
	BS_ECORRUPT = -504,  /**< stored data fails its check */
	BS_ENOSPC = -505,    /**< disk or map is full */
	BS_EINTERNAL = -506, /**< an invariant of ours does not hold */
};

/**
 * bs_err_is_fatal - whether the object that returned it must be given up
 *
 * @err a value of enum bs_err
 *
 * Returns true for -5xx.
 *
 * Thread: any.  Allocates: no.  Blocks: no.
 */
static inline bool bs_err_is_fatal(int err)
{
	return err <= -500;
}

/**
 * bs_strerror - a short English text for a code
 *
 * @err a value of enum bs_err
 *
 * Returns a static string, "unknown error" for a value outside the list; never NULL.
 *
 * Thread: any.  Allocates: no.  Blocks: no.
 */
BS_API const char *bs_strerror(int err);

#ifdef __cplusplus
}
#endif
#endif
