/* SPDX-License-Identifier: BSD-2-Clause */
/* Key material against published vectors (RFC 4231, RFC 5903, RFC 7748) and against vectors computed with an
 * independent implementation (Python's hmac and cryptography modules) of RFC 7296 2.13-2.17, 3.14 and RFC
 * 5282. */
#include "help.h"

#include "v2/keys.h"

#include <errno.h>

static struct span span(const void *p, size_t len)
{
	return (struct span){p, len};
}

static void count_up(uint8_t *p, size_t n, uint8_t from)
{
	size_t i;

	for (i = 0; i < n; i++)
		p[i] = from + i;
}

/* RFC 4231 test case 2. */
static void prf_vectors(void **state)
{
	struct span data[2] = {span("what do ya want ", 16), span("for nothing?", 12)};
	uint8_t out[PRF_MAX];

	(void)state;
	assert_int_equal(prf_sum(PRF_HMAC_SHA256, span("Jefe", 4), data, 2, out), 0);
	assert_hex(out, 32, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	assert_int_equal(prf_sum(PRF_HMAC_SHA384, span("Jefe", 4), data, 2, out), 0);
	assert_hex(out, 48,
		   "af45d2e376484031617f78d2b58a6b1b9c7ef464f5a01b47e42ec3736322445e8e2240ca5e69e2c78b3239ecf"
		   "ab21649");
	assert_int_equal(prf_sum(PRF_HMAC_SHA512, span("Jefe", 4), data, 2, out), 0);
	assert_hex(out, 64,
		   "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea2505549758bf75c05a994a6d034f65f"
		   "8f0e6fd"
		   "caeab1a34d4a6b4b636e070a38bce737");
	assert_int_equal(prf_sum(1, span("Jefe", 4), data, 2, out), -ENOTSUP);
}

static const struct {
	uint16_t group;
	const char *priv_i, *priv_r, *pub_i, *pub_r, *secret;
} dhs[] = {
	/* clang-format off */
	/* RFC 5903 8.1 and 8.2. */
	{DH_ECP256, "c88f01f510d9ac3f70a292daa2316de544e9aab8afe84049c62a9c57862d1433",
	 "c6ef9c5d78ae012a011164acb397ce2088685d8f06bf9be0b283ab46476bee53",
	 "dad0b65394221cf9b051e1feca5787d098dfe637fc90b9ef945d0c37725811805271a0461cdb8252d61f1c456fa3e59ab1f45b33accf5f"
	 "58389e0577b8990bb3",
	 "d12dfb5289c8d4f81208b70270398c342296970a0bccb74c736fc7554494bf6356fbf3ca366cc23e8157854c13c58d6aac23f046ada30f"
	 "8353e74f33039872ab",
	 "d6840f6b42f6edafd13116e0e12565202fef8e9ece7dce03812464d04b9442de"},
	{DH_ECP384,
	 "099f3c7034d4a2c699884d73a375a67f7624ef7c6b3c0f160647b67414dce655e35b538041e649ee3faef896783ab194",
	 "41cb0779b4bdb85d47846725fbec3c9430fab46cc8dc5060855cc9bda0aa2942e0308312916b8ed2960e4bd55a7448fc",
	 "667842d7d180ac2cde6f74f37551f55755c7645c20ef73e31634fe72b4c55ee6de3ac808acb4bdb4c88732aee95f41aa9482ed1fc0eeb9"
	 "cafc4984625ccfc23f65032149e0e144ada024181535a0f38eeb9fcff3c2c947dae69b4c634573a81c",
	 "e558dbef53eecde3d3fccfc1aea08a89a987475d12fd950d83cfa41732bc509d0d1ac43a0336def96fda41d0774a3571dcfbec7aacf319"
	 "6472169e838430367f66eebe3c6e70c416dd5f0c68759dd1fff83fa40142209dff5eaad96db9e6386c",
	 "11187331c279962d93d604243fd592cb9d0a926f422e47187521287e7156c5c4d603135569b9e9d09cf5d4a270f59746"},
	/* RFC 7748 6.1. */
	{DH_X25519, "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a",
	 "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb",
	 "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a",
	 "de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f",
	 "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"},
	/* clang-format on */
};

static void dh_vectors(void **state)
{
	uint8_t priv[64], secret[DH_MAX];
	struct dh *i, *r;
	size_t n, len;

	(void)state;
	for (n = 0; n < sizeof(dhs) / sizeof(dhs[0]); n++) {
		len = unhex(dhs[n].priv_i, priv, sizeof(priv));
		assert_int_equal(dh_from_private(dhs[n].group, span(priv, len), &i), 0);
		len = unhex(dhs[n].priv_r, priv, sizeof(priv));
		assert_int_equal(dh_from_private(dhs[n].group, span(priv, len), &r), 0);
		assert_hex(dh_public(i).p, dh_public(i).len, dhs[n].pub_i);
		assert_hex(dh_public(r).p, dh_public(r).len, dhs[n].pub_r);
		assert_int_equal(dh_shared(i, dh_public(r), secret, &len), 0);
		assert_hex(secret, len, dhs[n].secret);
		assert_int_equal(dh_shared(r, dh_public(i), secret, &len), 0);
		assert_hex(secret, len, dhs[n].secret);
		dh_free(i);
		dh_free(r);
	}
}

/* The exponents 01..30 and 65..94 in RFC 3526's group 14; values from Python's pow(), kept as SHA-256. */
static void dh_modp(void **state)
{
	uint8_t priv[48], secret[DH_MAX], sum[PRF_MAX];
	struct dh *i, *r;
	size_t len;

	(void)state;
	count_up(priv, 48, 1);
	assert_int_equal(dh_from_private(DH_MODP2048, span(priv, 48), &i), 0);
	count_up(priv, 48, 101);
	assert_int_equal(dh_from_private(DH_MODP2048, span(priv, 48), &r), 0);
	assert_int_equal(dh_shared(i, dh_public(r), secret, &len), 0);
	assert_int_equal(len, 256);
	struct span part = span(secret, len);
	assert_int_equal(prf_sum(PRF_HMAC_SHA256, span("k", 1), &part, 1, sum), 0);
	assert_hex(sum, 32, "d1f0e050170e7801a1ce5fff8e5a4e61582dbf8d2061c53dc8508b3109d92d64");
	dh_free(i);
	dh_free(r);
}

static int ones(void *self, void *buf, size_t len)
{
	int *calls = self;

	memset(buf, (*calls)++ ? 0x11 : 0xff, len);
	return 0;
}

static void dh_rejects(void **state)
{
	static const uint16_t all[] = {DH_MODP2048, DH_ECP256, DH_ECP384, DH_X25519};
	uint8_t priv[48], theirs[DH_MAX], secret[DH_MAX];
	int calls = 0;
	struct dh *dh;
	size_t n, len;

	(void)state;
	count_up(priv, 48, 1);
	for (n = 0; n < 4; n++) {
		size_t priv_len = all[n] == DH_MODP2048 || all[n] == DH_ECP384 ? 48 : 32;

		assert_int_equal(dh_from_private(all[n], span(priv, priv_len), &dh), 0);
		memset(theirs, 0, sizeof(theirs));
		assert_int_equal(dh_shared(dh, span(theirs, dh_size(all[n])), secret, &len), -EBADMSG);
		assert_int_equal(dh_shared(dh, span(theirs, dh_size(all[n]) - 1), secret, &len), -EBADMSG);
		assert_int_equal(dh_shared(dh, span(theirs, 0), secret, &len), -EBADMSG);
		memcpy(theirs, dh_public(dh).p, dh_public(dh).len);
		if (all[n] == DH_ECP256 || all[n] == DH_ECP384) {
			theirs[dh_size(all[n]) - 1] ^= 1; /* off the curve */
			assert_int_equal(dh_shared(dh, span(theirs, dh_size(all[n])), secret, &len),
					 -EBADMSG);
		}
		if (all[n] == DH_MODP2048) {
			memset(theirs, 0xff, 256); /* above p */
			assert_int_equal(dh_shared(dh, span(theirs, 256), secret, &len), -EBADMSG);
			memset(theirs, 0, 256);
			theirs[255] = 1;
			assert_int_equal(dh_shared(dh, span(theirs, 256), secret, &len), -EBADMSG);
		}
		dh_free(dh);
	}
	assert_int_equal(dh_from_private(2, span(priv, 32), &dh), -ENOTSUP);
	assert_int_equal(dh_from_private(DH_ECP256, span(priv, 31), &dh), -ERANGE);
	/* A scalar above the order is drawn again. */
	assert_int_equal(dh_new(DH_ECP256, ones, &calls, &dh), 0);
	assert_int_equal(calls, 2);
	dh_free(dh);
}

static const struct {
	struct suite s;
	const char *d, *pr, *rekeyed_d, *keymat, *auth, *sealed;
} sas[] = {
	/* clang-format off */
	{{.protocol = PROTO_IKE, .encr = 20, .encr_bits = 256, .prf = 5, .integ = 0},
	 "46e5f3ba5ec6a0588a653fe3f25e3b7b382471af58dbb85782bf3d60c0b45667",
	 "b0292fac1096f7240592faa6f0dbac11ac1cd4d9ca6ecc23bf7814ddbbb1b474",
	 "68689ab1b02e63c031eeb132b767d314272510c3390e6677fff9f896f3a85313",
	 "dea49ee19fe9ee5349daecfb426d85dd851a8e35f60bd43d3b263b91dc588c801167636d67aec5f15eabaa3a187e25ec"
	 "8d3c6a65ac54f72e8b2f0dd025a705a96ca531397f2b9d78",
	 "8c75a7d5f353ed75187aca066789dcc5c4af9e9125c46e3055a0286fe5846ac2",
	 "010203040506070811121314151617182e202508000000070000004529000029a0a1a2a3a4a5a6a73caad7234b9541b5"
	 "70e3990430edee4ff6337330ebfdeb2eba9c951053"},
	{{.protocol = PROTO_IKE, .encr = 20, .encr_bits = 128, .prf = 7, .integ = 0},
	 "6235369be6467313d2b4438828cc67d8a914c1ee00b7837e201bf8154e4c9b80ecc19f9579b9c0c4256a5b2017b1331f"
	 "3145fad4fed4165d350a7e649098d07a",
	 "3393a7a1089f2ec945709ab2d30157875095ac4951b9337dd7f42b06e7713987782892c15aaff5a92c63d54de4b22f79"
	 "4d07d42e6d9079015aaabc4bd8d82336",
	 "fccc23476e0585c8fba19b3dbd69f033c71d6b68872f8fc20a9e9eebb8aaae7463bb16cab0ff803ae44cfb5d6786edb8"
	 "de30e5dc7c341e682af3eaf1db39729c",
	 "1d6ef8460dd8142372f434c633c8ebe6cf05d108da336dd5d21ffea408fa355e46fdcb79f0f744ee49fbc4d1e6aa299c"
	 "5b0e74bcbeab630caaa93d345d8593b555e51e2006416098",
	 "7f35c5fe5f442e60a28de441c2ee4413f3e18bb3dad6334aa101959f4086cdf96ccc9035a0fe37f4ec1bca32fa86e501"
	 "fa587136a1928fa691a94b12c8a86164",
	 "010203040506070811121314151617182e202508000000070000004529000029a0a1a2a3a4a5a6a7bd50df653b09241a"
	 "d04e114cfa36221d32a15e7cc3b9ab7f286345fa3a"},
	{{.protocol = PROTO_IKE, .encr = 12, .encr_bits = 256, .prf = 5, .integ = 12},
	 "46e5f3ba5ec6a0588a653fe3f25e3b7b382471af58dbb85782bf3d60c0b45667",
	 "4d6a377c8328957d611cc1fbabf76a708cce4db667190e9dd48ca1d31093fc1e",
	 "68689ab1b02e63c031eeb132b767d314272510c3390e6677fff9f896f3a85313",
	 "dea49ee19fe9ee5349daecfb426d85dd851a8e35f60bd43d3b263b91dc588c801167636d67aec5f15eabaa3a187e25ec"
	 "8d3c6a65ac54f72e8b2f0dd025a705a96ca531397f2b9d78",
	 "d63ae1db660078109dc0e5419c9a8a9d0f1644e4e4f327a2fbbab969368b267b",
	 "010203040506070811121314151617182e202508000000070000005029000034a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
	 "ad9aa50ee0b7a4f30b8813c902e45f671df84dd64e7082b782a83b79834abd4a"},
	{{.protocol = PROTO_IKE, .encr = 12, .encr_bits = 128, .prf = 6, .integ = 13},
	 "d78800adc6dcd3000b17ea9d569f78376aa1664b585152dc845e01aa8a73e8a70a6774ac91fbd1eb63e42ba3c7872413",
	 "a54cfa542d15e7383d7aa1faf996cb1b75638a514e471d0b83f1c0b5d831edd5cdf173995ed36fd79078bbe794cb5228",
	 "077b875f3ce661b74cfc65d7342d325d905dd3b51c81cf3f4ecaf7bb84cdd11fd76a5afb4d49efb8570ef7001170ba13",
	 "59894f6732a21acb296da01625bf97fc11876a05b44ac10e7c0c2da4d7d9aca849e0500fd8dc352df51646655eeacb17"
	 "579887843ddbfed1e943d0ebb057e56bc622da3441e5f216",
	 "07e7515578340498c4853c3b58490a6589e2bba8c6a5fd43ebb16022af04ff90e8ab1980ceb1f2fe83ce0a26f8a3a17a",
	 "010203040506070811121314151617182e20250800000007000000582900003ca0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
	 "f45c30356ca768aaa1a70b0129157bb3709b5ffb8c38097ca328a06455ec1f72b6719059d3d03a5d"},
	{{.protocol = PROTO_IKE, .encr = 12, .encr_bits = 192, .prf = 7, .integ = 14},
	 "6235369be6467313d2b4438828cc67d8a914c1ee00b7837e201bf8154e4c9b80ecc19f9579b9c0c4256a5b2017b1331f"
	 "3145fad4fed4165d350a7e649098d07a",
	 "62ba6423e17076b0df5f90a1d15626ebbcc9d93c406b731b10b6ed445ddc9903b26a2668b6b96d673b4f74a8aab7d09e"
	 "1d24bdc76f07c6a689b1b1b2478b48a6",
	 "fccc23476e0585c8fba19b3dbd69f033c71d6b68872f8fc20a9e9eebb8aaae7463bb16cab0ff803ae44cfb5d6786edb8"
	 "de30e5dc7c341e682af3eaf1db39729c",
	 "1d6ef8460dd8142372f434c633c8ebe6cf05d108da336dd5d21ffea408fa355e46fdcb79f0f744ee49fbc4d1e6aa299c"
	 "5b0e74bcbeab630caaa93d345d8593b555e51e2006416098",
	 "fa60e76ac496c25f5933af5559331fb18eaa1e6098153c25fc9c5dd6453966272456ef791d4d90a8003a5c93642dff0a"
	 "e7163ad5ac2b05aef27ffb2d089d7dbe",
	 "010203040506070811121314151617182e202508000000070000006029000044a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"
	 "3d5d0f712aa48edd5783192d1ef03576686ddc27eac553c03a068a15118d1262fac6675826d198d3bf4479c5bf53a7e4"},
	/* clang-format on */
};

struct fixture {
	uint8_t ni[32], nr[24], secret[32];
	struct key_input in;
};

static void fixture(struct fixture *f)
{
	count_up(f->ni, 32, 1);
	count_up(f->nr, 24, 0x81);
	count_up(f->secret, 32, 0x40);
	f->in = (struct key_input){span(f->secret, 32), span(f->ni, 32), span(f->nr, 24), 0x0102030405060708,
				   0x1112131415161718};
}

static void key_vectors(void **state)
{
	static const char id[] = "\x02\0\0\0moon";
	struct ike_child_keys child[2];
	struct ike_keys k, again;
	uint8_t auth[PRF_MAX], both[72];
	struct fixture f;
	size_t i;

	(void)state;
	fixture(&f);
	for (i = 0; i < sizeof(sas) / sizeof(sas[0]); i++) {
		struct suite esp = {.protocol = PROTO_ESP, .encr = ENCR_AES_GCM_16, .encr_bits = 256};
		size_t len = prf_size(sas[i].s.prf);

		assert_int_equal(keys_derive(&sas[i].s, &f.in, 0, span(NULL, 0), &k), 0);
		assert_hex(k.d, len, sas[i].d);
		assert_hex(k.p[SIDE_R], len, sas[i].pr);
		assert_int_equal(keys_derive(&sas[i].s, &f.in, sas[i].s.prf, span(k.d, len), &again), 0);
		assert_hex(again.d, len, sas[i].rekeyed_d);
		assert_int_equal(keys_child(sas[i].s.prf, &k, &esp, &f.in, child), 0);
		assert_int_equal(child[0].enc_len, 36);
		assert_int_equal(child[0].integ_len, 0);
		memcpy(both, child[SIDE_I].enc, 36);
		memcpy(both + 36, child[SIDE_R].enc, 36);
		assert_hex(both, sizeof(both), sas[i].keymat);
		assert_int_equal(auth_psk(sas[i].s.prf, span("swordfish", 9), k.p[SIDE_I],
					  span("real message", 12), f.in.nr, span(id, 8), auth),
				 0);
		assert_hex(auth, len, sas[i].auth);
	}
}

static void seal_and_open(void **state)
{
	uint8_t chain_buf[64], iv[SK_IV_MAX], out[512], clear[512], copy[512];
	struct msg_header h = {0x0102030405060708, 0x1112131415161718, 0, 0, EXCH_INFO, FLAG_INITIATOR, 7, 0};
	struct ike_keys k;
	struct span inside;
	struct fixture f;
	struct chain c;
	struct msg m;
	size_t i, n, at;

	(void)state;
	fixture(&f);
	count_up(iv, sizeof(iv), 0xA0);
	for (i = 0; i < sizeof(sas) / sizeof(sas[0]); i++) {
		assert_int_equal(keys_derive(&sas[i].s, &f.in, 0, span(NULL, 0), &k), 0);
		chain_begin(&c, chain_buf, sizeof(chain_buf));
		chain_notify(&c, N_INITIAL_CONTACT, "\1\2\3\4", 4);
		n = sk_seal(&sas[i].s, &k.sk[SIDE_I], &h, &c, iv, out, sizeof(out));
		assert_hex(out, n, sas[i].sealed);

		assert_int_equal(msg_parse_header(out, n, &m), 0);
		assert_int_equal(
			msg_parse_chain(&m, m.h.next, span(out + IKE_HEADER_LEN, n - IKE_HEADER_LEN)), 0);
		assert_int_equal(sk_open(&sas[i].s, &k.sk[SIDE_I], &m, clear, &inside), 0);
		assert_int_equal(msg_parse_chain(&m, m.sk_next, inside), 0);
		assert_memory_equal(msg_notify(&m, N_INITIAL_CONTACT)->data.p, "\1\2\3\4", 4);
		assert_int_equal(sk_open(&sas[i].s, &k.sk[SIDE_R], &m, clear, &inside), -EACCES);
		/* Whatever octet changes, it does not open. */
		for (at = 0; at < n; at++) {
			memcpy(copy, out, n);
			copy[at] ^= 0x20;
			if (msg_parse_header(copy, n, &m) ||
			    msg_parse_chain(&m, m.h.next, span(copy + IKE_HEADER_LEN, n - IKE_HEADER_LEN)))
				continue;
			if (m.h.next != PL_SK)
				continue;
			assert_int_equal(sk_open(&sas[i].s, &k.sk[SIDE_I], &m, clear, &inside), -EACCES);
		}
		assert_int_equal(sk_seal(&sas[i].s, &k.sk[SIDE_I], &h, &c, iv, out, 60), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prf_vectors), cmocka_unit_test(dh_vectors),  cmocka_unit_test(dh_modp),
		cmocka_unit_test(dh_rejects),  cmocka_unit_test(key_vectors), cmocka_unit_test(seal_and_open),
	};

	return cmocka_run_group_tests_name("ike keys", tests, NULL, NULL);
}
