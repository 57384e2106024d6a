/* SPDX-License-Identifier: Apache-2.0 */
/* shelf.h - a state in memory for the tests of what lives in one. */
#ifndef BS_TEST_SERVER_SHELF_H
#define BS_TEST_SERVER_SHELF_H

#include <check.h>
#include <string.h>

#include "server/role_auth.h"

/** Options for one worker and so many devices. */
static inline struct bs_state_options shelf_options(uint32_t devices)
{
	struct bs_state_options o;

	memset(&o, 0, sizeof(o));
	o.n_shards = 1;
	o.patience = BS_TIME_MS(70000);
	o.spec[BS_STATE_HOT] = (struct bs_state_spec){ sizeof(struct bs_device_hot), devices };
	o.spec[BS_STATE_COLD] = (struct bs_state_spec){ sizeof(struct bs_device_cold), devices };
	o.spec[BS_STATE_EP6] = (struct bs_state_spec){ sizeof(struct bs_device_ep6), devices };
	o.spec[BS_STATE_TEXT] = (struct bs_state_spec){ BS_INTERN_TEXT_MAX, BS_INTERN_MAX };
	o.spec[BS_STATE_LOCAL] = (struct bs_state_spec){ sizeof(struct bs_local), BS_LOCALS_MAX };
	o.spec[BS_STATE_SKETCH] = (struct bs_state_spec){ sizeof(struct bs_sketch), 1 };
	o.spec[BS_STATE_AUTH] = (struct bs_state_spec){ sizeof(struct bs_device_auth), devices };
	o.spec[BS_STATE_SPENT] =
		(struct bs_state_spec){ sizeof(struct bs_spent_nsi), BS_SPENT_NSI };
	o.spec[BS_STATE_NETS] = (struct bs_state_spec){ sizeof(struct bs_nets), 1 };
	return o;
}

static inline struct bs_state *shelf_open(uint32_t devices)
{
	struct bs_state_options o = shelf_options(devices);
	struct bs_state *s;
	char err[256];

	ck_assert_msg(bs_state_open(&o, &s, err, sizeof(err)) == BS_OK, "%s", err);
	return s;
}

#endif
