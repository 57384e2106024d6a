/* SPDX-License-Identifier: Apache-2.0 */
#include "server/counters.h"

#include <stdio.h>

#include "basestation/error.h"

const struct bs_counter_info bs_counter_table[BS_COUNTER_N] = {
#define X(n, k, u, h) { .name = #n, .unit = u, .help = h, .kind = BS_COUNTER_##k },
	BS_COUNTERS(X)
#undef X
};

enum bs_counter bs_counter_of_drop(int err)
{
	switch (err) {
	case BS_ESHORT: return BS_C_drop_short;
	case BS_ELENGTH: return BS_C_drop_length;
	case BS_EVERSION: return BS_C_drop_version;
	case BS_EPAYLOAD: return BS_C_drop_payload;
	case BS_EMISSING: return BS_C_drop_missing;
	case BS_EFIELD: return BS_C_drop_field;
	case BS_ETYPE: return BS_C_drop_type;
	case BS_ESUITE: return BS_C_drop_suite;
	case BS_EMAC: return BS_C_drop_mac;
	case BS_EPADDING: return BS_C_drop_padding;
	case BS_ENONCE: return BS_C_drop_nonce;
	case BS_ESOURCE: return BS_C_drop_source;
	case BS_EUNKNOWN: return BS_C_drop_unknown_nsi;
	case BS_EREPLAY: return BS_C_drop_replay;
	case BS_ESTATE: return BS_C_drop_state;
	case BS_ECRYPTO:
	case BS_ERANDOM: return BS_C_crypto_failed;
	default: return BS_C_drop_other;
	}
}

size_t bs_counters_text(const struct bs_counters *const *c, size_t n, char *buf, size_t cap)
{
	size_t len = 0;
	size_t i;
	size_t w;

	for (i = 0; i < BS_COUNTER_N; i++) {
		const struct bs_counter_info *info = &bs_counter_table[i];
		const char *total = info->kind == BS_COUNTER_counter ? "_total" : "";
		uint64_t sum = 0;
		int k;

		for (w = 0; w < n; w++)
			sum += bs_count_get(c[w], (enum bs_counter)i);
		k = snprintf(len < cap ? buf + len : NULL, len < cap ? cap - len : 0,
			     "# HELP basestation_%s%s %s (%s)\n# TYPE basestation_%s%s %s\n"
			     "basestation_%s%s %llu\n",
			     info->name, total, info->help, info->unit, info->name, total,
			     info->kind == BS_COUNTER_counter ? "counter" : "gauge", info->name,
			     total, (unsigned long long)sum);
		len += k > 0 ? (size_t)k : 0;
	}
	return len;
}
