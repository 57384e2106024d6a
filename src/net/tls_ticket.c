/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tls_ticket.c - session tickets: sealed under shared keys, checked again before they count.
 *
 * OpenSSL seals the session with the client's certificate in it.  What it does not keep (the hash
 * over the whole chain, the issuing CA, the end of validity, when the key was proved) travels as
 * application data inside the same seal, so a resumption needs no memory on our side.
 */
#include "net/tls_internal.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <string.h>

/** Version of struct ticket; a ticket of another one is not honoured. */
#define TICKET_VERSION 2

/** Application data of a ticket.  Only this program reads it: host order is fine. */
struct ticket {
	uint32_t version;
	uint8_t epoch[BS_TLS_HASH_LEN];
	struct bs_tls_peer peer;
};

/** OpenSSL wants a key: for sealing the first one, for opening the one that is named. */
static const struct bs__ticket_key *find_key(const struct bs_tls_keys *k, const uint8_t *name,
					     bool *current)
{
	for (size_t i = 0; i < k->n; i++) {
		if (memcmp(k->key[i].name, name, sizeof(k->key[i].name)) == 0) {
			*current = i == 0;
			return &k->key[i];
		}
	}
	return NULL;
}

static int set_mac(EVP_MAC_CTX *mac, const struct bs__ticket_key *k)
{
	char digest[] = "SHA256";
	OSSL_PARAM params[] = {
		OSSL_PARAM_construct_octet_string(OSSL_MAC_PARAM_KEY, (void *)k->mac,
						  sizeof(k->mac)),
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};

	return EVP_MAC_CTX_set_params(mac, params);
}

/** 1 = go on, 2 = go on and renew, 0 = no such key: full handshake, -1 = failure. */
static int ticket_key(SSL *ssl, unsigned char name[16], unsigned char *iv, EVP_CIPHER_CTX *c,
		      EVP_MAC_CTX *mac, int seal)
{
	const struct bs_tls *t = SSL_get_app_data(ssl);
	const struct bs_tls_server *s = t->srv;
	const struct bs_tls_keys *keys = s->keys;
	const struct bs__ticket_key *k = &keys->key[0];
	bool current = true;

	if (seal) {
		if (!bs__tls_own_random(&s->lib, iv,
					(size_t)EVP_CIPHER_get_iv_length(s->ticket_aes)))
			return -1;
		memcpy(name, k->name, sizeof(k->name));
		if (EVP_EncryptInit_ex(c, s->ticket_aes, NULL, k->aes, iv) != 1)
			return -1;
	} else {
		k = find_key(keys, name, &current);
		if (!k)
			return 0;
		if (EVP_DecryptInit_ex(c, s->ticket_aes, NULL, k->aes, iv) != 1)
			return -1;
	}
	if (set_mac(mac, k) != 1)
		return -1;
	return current ? 1 : 2;
}

/** OpenSSL gives every session of TLS 1.3 a number, though with tickets nobody asks for it. */
static int session_id(SSL *ssl, unsigned char *id, unsigned int *len)
{
	const struct bs_tls *t = SSL_get_app_data(ssl);

	return bs__tls_own_random(&t->srv->lib, id, *len);
}

static int ticket_make(SSL *ssl, void *arg)
{
	const struct bs_tls *t = SSL_get_app_data(ssl);
	struct ticket data;

	memset(&data, 0, sizeof(data));
	data.version = TICKET_VERSION;
	memcpy(data.epoch, t->srv->pem->epoch, sizeof(data.epoch));
	data.peer = t->peer;
	return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), &data, sizeof(data));
}

/** The checks of a resumption: CRL epoch, validity, age, and the caller's word on issuer, serial
 *  and rights. */
static bool ticket_ok(struct bs_tls *t, const struct ticket *data)
{
	const struct bs_tls_server *s = t->srv;
	uint64_t now_s = bs__tls_clock(s);

	if (data->version != TICKET_VERSION ||
	    memcmp(data->epoch, s->pem->epoch, sizeof(data->epoch)) != 0)
		return false;
	if (now_s > data->peer.not_after_s || now_s < data->peer.proved_s ||
	    now_s - data->peer.proved_s > s->pem->ticket_life_s)
		return false;
	t->peer = data->peer;
	t->peer.resumed = true;
	return bs__tls_check(t);
}

/** TLS 1.3 clients use a ticket once (RFC 8446, appendix C.4), so each resumption brings a new one;
 *  otherwise only a ticket under an old key is replaced. */
static SSL_TICKET_RETURN accept_as(const SSL *ssl, SSL_TICKET_STATUS status)
{
	if (status == SSL_TICKET_SUCCESS_RENEW || SSL_version(ssl) == TLS1_3_VERSION)
		return SSL_TICKET_RETURN_USE_RENEW;
	return SSL_TICKET_RETURN_USE;
}

static SSL_TICKET_RETURN ticket_open(SSL *ssl, SSL_SESSION *ss, const unsigned char *name,
				     size_t name_len, SSL_TICKET_STATUS status, void *arg)
{
	struct bs_tls *t = SSL_get_app_data(ssl);
	struct ticket data;
	void *p = NULL;
	size_t len = 0;

	if (status == SSL_TICKET_EMPTY)
		return SSL_TICKET_RETURN_IGNORE_RENEW;
	if (status == SSL_TICKET_SUCCESS || status == SSL_TICKET_SUCCESS_RENEW) {
		if (SSL_SESSION_get0_ticket_appdata(ss, &p, &len) == 1 && len == sizeof(data)) {
			memcpy(&data, p, sizeof(data));
			if (ticket_ok(t, &data))
				return accept_as(ssl, status);
		}
	}
	t->srv->stats.ticket_ignored++;
	return SSL_TICKET_RETURN_IGNORE_RENEW;
}

int bs__tls_tickets_init(struct bs_tls_server *s)
{
	SSL_CTX_set_session_cache_mode(s->ctx, SSL_SESS_CACHE_OFF);
	if (s->pem->ticket_life_s == 0) {
		SSL_CTX_set_options(s->ctx, SSL_OP_NO_TICKET);
		SSL_CTX_set_num_tickets(s->ctx, 0);
		return BS_OK;
	}
	SSL_CTX_set_timeout(s->ctx, (long)s->pem->ticket_life_s);
	/* The name of the context: a ticket of another one makes OpenSSL do a full handshake. */
	if (SSL_CTX_set_session_id_context(s->ctx, s->pem->epoch, SSL_MAX_SID_CTX_LENGTH) != 1 ||
	    SSL_CTX_set_generate_session_id(s->ctx, session_id) != 1 ||
	    SSL_CTX_set_tlsext_ticket_key_evp_cb(s->ctx, ticket_key) != 1 ||
	    SSL_CTX_set_session_ticket_cb(s->ctx, ticket_make, ticket_open, NULL) != 1 ||
	    SSL_CTX_set_num_tickets(s->ctx, 1) != 1)
		return BS_ECRYPTO;
	return BS_OK;
}
