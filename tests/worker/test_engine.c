// SPDX-License-Identifier: BSD-2-Clause
/* Every engine against published packets, and against each other. */
#include "help.h"

#include <errno.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

static const struct engine *const engines[] = {
#ifdef HAVE_IPSEC_MB
	&engine_ipsec_mb,
#endif
	&engine_openssl,
};

#define N_ENGINES (sizeof(engines) / sizeof(engines[0]))

/* draft-mcgrew-gcm-test-01, section 4: all ESP packets there are.  Additional data of 12 octets means ESN. */
static const struct {
	const char *key, *nonce, *aad, *plain, *cipher, *icv;
} gcm[] = {
	/* clang-format off */
	{"4c80cdefbb5d10da906ac73c3613a634", "2e443b684956ed7e3b244cfe", "000043218765432100000000",
	 "45000048699a000080114db7c0a80102c0a801010a9bf15638d301000001000000000000045f"
	 "736970045f756470037369700963796265726369747902646b000021000101020201",
	 "fecf537e729d5b07dc30df528dd22b768d1b98736696a6fd348509fa13ceac34cfa2436f14a3"
	 "f3cf65925bf1f4a13c5d15b21e1884f5ff6247aeabb786b93bce61bc17d768fd9732",
	 "459018148f6cbe722fd04796562dfdb4"},
	{"feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888", "0000a5f80000000a",
	 "4500003e698f000080114dccc0a80102c0a801010a980035002a2343b2d00100000100000000"
	 "0000037369700963796265726369747902646b00000100010001",
	 "deb22cd9b07c72c16e3a65beeb8df304a5a5897d33ae530f1ba76d5d114d2a5c3de81827c10e"
	 "9a4f51330d0eec416642cfbb85a5b47e48a4ec3b9ba95d918bd1",
	 "83b70d3aa8bc6ee4c309e9d85a41ad4a"},
	{"abbccddef00112233445566778899aababbccddef00112233445566778899aab", "112233440102030405060708", "4a2cbfe300000002",
	 "4500003069a6400080062690c0a801029389155e0a9e008b2dc57ee0000000007002400020bf"
	 "0000020405b40101040201020201",
	 "ff425c9b724599df7a3bcd510194e00d6a78107f1b0b1cbf06efae9d65a5d763748a63798577"
	 "1d347f0545659f14e99def842d8e",
	 "b335f4eecfdbf831824b4c4915956c96"},
	{"00000000000000000000000000000000", "000000000000000000000000", "0000000000000001",
	 "4500003c99c500008001cb7a40679318010101010800075c020044006162636465666768696a"
	 "6b6c6d6e6f707172737475767761626364656667686901020201",
	 "4688daf2f973a392732909c331d56d60f694abaa414b5e7ff5fdcdfff5e9a284456476492719"
	 "ffb64de7d9dca1e1d894bc3bd57873ed4d181d19d4d5c8c18af3",
	 "f821d496eeb096e98ad2b69e4799c71d"},
	{"3de09874b388e6491988d0c3607eae1f", "57690e434e280000a2fca1a3", "42f67e3f1010101010101010",
	 "4500003c99c300008001cb7c40679318010101010800085c020043006162636465666768696a"
	 "6b6c6d6e6f707172737475767761626364656667686901020201",
	 "fba2caa4853cf9f0f22cb10d86dd83b0fec75691cf1a04b00d1138ec9c35791765acbd8701ad"
	 "79845bf9fe3fba487bc91755e6662b4c8d0d1f5e22739530320a",
	 "e0d731cc978ecafaeae88f00e80d6e48"},
	{"3de09874b388e6491988d0c3607eae1f", "57690e434e280000a2fca1a3", "42f67e3f1010101010101010",
	 "4500001c42a200008001441f406793b6e00000020a00f5ff01020201",
	 "fba2ca845e5df9f0f22c3e6e86dd831e1fc65792cd1af9130e1379ed",
	 "369f071f35e034be95f112e4e7d05d35"},
	{"feffe9928665731c6d6a8f9467308308feffe9928665731c", "cafebabefacedbaddecaf888", "0000a5f80000000a",
	 "45000028a4ad4000400678800a01038f0a010612802306b8cb712602dd6bb03e501016d07568"
	 "0001",
	 "a5b1f8066029aea40e598b8122de02420938b3ab33f828e687b8858b5bfbdbd0315b27452144"
	 "cc77",
	 "95457b9652037f5318027b5b4cd7a636"},
	{"abbccddef00112233445566778899aab", "decaf888cafedebaceface74", "000001000000000000000001",
	 "4500004933ba00007f119106c3fb1d10c2b1d326c02831ce0035dd7b800302d500004e20001e"
	 "8c18d75b81dc91baa0476b91b924b280389d92c963bac046ec959b6266c04722b14923010101",
	 "18a6fd42f72cbf4ab2a2ea901f73d814e3e7f243d95412e1c349c1d2fbec168f9190feebaf2c"
	 "b01984e65863965d7472b79da345e0e780191f0d2f0e0f496c226f2127b27db35724e7845d68",
	 "651f57e65f354f75ff17015769623436"},
	{"abbccddef00112233445566778899aababbccddef00112233445566778899aab", "73616c74616e640169766563", "17405e67156f3126dd0db99b",
	 "45080028732c00004006e9f90a0106120a01038f06b88023dd6bafbecb71260250101f646d54"
	 "0001",
	 "f2d69ecdbd5a0d5b8d5ef38bad4da58d1f278fde98ef67549d524a3018d9a57ff4d3a31ce673"
	 "119e",
	 "451626c2415771e3b7eebca614c89b35"},
	{"3de09874b388e6491988d0c3607eae1f", "57690e434e280000a2fca1a3", "42f67e3f1010101010101010",
	 "45000049333e00007f119182c3fb1d10c2b1d326c02831ce0035cb458003025b000001e0001e"
	 "8c18d65759d52284a0352c71475c8880391c764d6e5ee0496b325ae270c03899493915010101",
	 "fba2cad12fc1f9f00d3cebf305410db83d7784b607323d220f24b0a97d54182800cadb0f68d9"
	 "9ef0e0c0c89ae9bea8884e52d65bc1afd0740f742444747b5b39ab533163aad4550ee5160975",
	 "cdb608c5769189609763b8e18caa81e2"},
	{"abbccddef00112233445566778899aababbccddef00112233445566778899aab", "73616c74616e640169766563", "17405e67156f3126dd0db99b",
	 "636973636f0172756c657301746865016e6574776501646566696e6501746865746563686e6f"
	 "6c6f67696573017468617477696c6c01646566696e65746f6d6f72726f7701020201",
	 "d4b7ed86a1777f2ea13d6973d324c69e7b43f826fb56831226508bebd2dceb18d0a6df10e548"
	 "7df074113e14c641024e3e6773d91a62ee429b043a10e3efe6b012a49363412364f8",
	 "c0cac587f249e56b11e24f30e44ccc76"},
	{"7d773d00c144c525ac619d18c84a3f47", "d966426743457e9182443bc6", "335467aeffffffff",
	 "01020201",
	 "437f866b",
	 "cb3f699fe9b0822bac961c4504bef270"},
	{"abbccddef00112233445566778899aab", "decaf888cafedebaceface74", "000001000000000000000001",
	 "746f016265016f72016e6f7401746f0162650001",
	 "29c9fc69a197d038ccdd14e2ddfcaa0543332164",
	 "412503524303ed3c6c5f283843af8c3e"},
	{"6c6567616c697a656d6172696a75616e61616e64646f69746265666f72656961", "7475726e333021696765746d", "796b6963ffffffffffffffff",
	 "45000030da3a00008001df3bc0a80005c0a800010800c6cd020007006162636465666768696a"
	 "6b6c6d6e6f707172737401020201",
	 "f97ab2aa356d8edce17644ac8c78e25dd24dedbb29ebf1b64a274b39b49c3a864cd3d78ca4ae"
	 "68a32b42458fb57dbe821dcc63b9",
	 "d0937ba2945f669368661a329fb4c053"},
	/* clang-format on */
};

static const uint8_t gcm_suite[] = {
	[16] = ADIT_SUITE_AES_GCM16_128,
	[24] = ADIT_SUITE_AES_GCM16_192,
	[32] = ADIT_SUITE_AES_GCM16_256,
};

static int use(struct crypt *c, const struct engine *e, const struct adit_msg_sa_add *m)
{
	assert_int_equal(engines_prefer(e->name), 0);
	assert_int_equal(crypt_init(c, m), 0);
	return 0;
}

static void published_gcm(void **state)
{
	size_t e, i;

	(void)state;
	for (e = 0; e < N_ENGINES; e++) {
		for (i = 0; i < sizeof(gcm) / sizeof(gcm[0]); i++) {
			struct adit_msg_sa_add m = {.direction = ADIT_OUT};
			uint8_t nonce[12], aad[12], plain[128], esp[256], want[256];
			size_t aad_len, len, n;
			uint32_t high = 0;
			struct crypt c;

			m.suite = gcm_suite[unhex(gcm[i].key, m.key)];
			unhex(gcm[i].nonce, nonce);
			aad_len = unhex(gcm[i].aad, aad);
			len = unhex(gcm[i].plain, plain);
			memcpy(m.salt, nonce, 4);
			m.esn = aad_len == 12;

			memcpy(want, aad, 4);
			memcpy(want + 4, aad + aad_len - 4, 4);
			memcpy(want + 8, nonce + 4, 8);
			n = 16 + unhex(gcm[i].cipher, want + 16);
			n += unhex(gcm[i].icv, want + n);
			assert_int_equal(n, 16 + len + 16);
			if (m.esn)
				high = get32(aad + 4);

			use(&c, engines[e], &m);
			memcpy(esp, want, 16);
			memcpy(esp + 16, plain, len);
			assert_int_equal(c.engine->seal(&c, esp, (uint32_t)len, high), 0);
			assert_memory_equal(esp, want, n);
			crypt_wipe(&c);

			m.direction = ADIT_IN;
			use(&c, engines[e], &m);
			assert_int_equal(c.engine->open(&c, esp, (uint32_t)len, high), 0);
			assert_memory_equal(esp + 16, plain, len);
			memcpy(esp, want, n);
			assert_int_equal(c.engine->open(&c, esp, (uint32_t)len, high ^ 1),
					 m.esn ? -EACCES : 0);
			crypt_wipe(&c);
		}
	}
}

/* RFC 3602 section 4, case 7: a whole ESP packet but for the ICV, which the RFC leaves out; that is computed
 * here by the one-shot HMAC. */
static void published_cbc(void **state)
{
	static const char plain[] =
		"45000054090400004001f988c0a87b03c0a87bc808009f76a90a0100b49c083d02a2040008090a0b0c0d0e0f1011"
		"12131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f30313233343536370102030405060708"
		"090a0a04";
	static const char packet[] =
		"0000876500000002f4e765244f6407adf13dc1380f673f37773b5241a4c449225e4f3ce5ed611b0c237ca96cf74a"
		"93013c1b0ea1a0cf70f8e4ecaec78ac53aad7a0f022b859243c647752e94a859352b8a4d4d2decd136e5c177f132"
		"ad3fbfb2201ac9904c74ee0a109e0ca1e4dfe9d5a100b842f1c22f0d";
	static const struct {
		uint8_t suite;
		size_t ikey, icv;
	} t[] = {
		{ADIT_SUITE_AES_CBC128_SHA256, 32, 16},
		{ADIT_SUITE_AES_CBC128_SHA384, 48, 24},
		{ADIT_SUITE_AES_CBC128_SHA512, 64, 32},
	};
	size_t i;

	(void)state;
	for (i = 0; i < 3; i++) {
		const EVP_MD *md = i == 0 ? EVP_sha256() : i == 1 ? EVP_sha384() : EVP_sha512();
		struct adit_msg_sa_add m = sa_message(ADIT_OUT, t[i].suite, false);
		uint8_t want[256], esp[256], text[128], mac[64];
		size_t n = unhex(packet, want), len = unhex(plain, text);
		unsigned mac_len;
		struct crypt c;

		unhex("0123456789abcdef0123456789abcdef", m.key);
		assert_int_equal(n, 24 + len);
		HMAC(md, m.integrity_key, (int)t[i].ikey, want, n, mac, &mac_len);
		memcpy(want + n, mac, t[i].icv);

		use(&c, &engine_openssl, &m);
		memcpy(esp, want, 24);
		memcpy(esp + 24, text, len);
		assert_int_equal(c.icv_len, t[i].icv);
		assert_int_equal(c.engine->seal(&c, esp, (uint32_t)len, 0), 0);
		assert_memory_equal(esp, want, n + t[i].icv);
		crypt_wipe(&c);

		m.direction = ADIT_IN;
		use(&c, &engine_openssl, &m);
		assert_int_equal(c.engine->open(&c, esp, (uint32_t)len, 0), 0);
		assert_memory_equal(esp + 24, text, len);
		crypt_wipe(&c);
	}
}

/* RFC 4303 3.3.2.1: the high half is covered by the ICV and not sent. */
static void esn_is_in_the_hmac(void **state)
{
	struct adit_msg_sa_add m = sa_message(ADIT_OUT, ADIT_SUITE_AES_CBC256_SHA512, true);
	uint8_t esp[256], mac[64], covered[256];
	unsigned mac_len;
	struct crypt c;

	(void)state;
	memset(esp, 0x5a, sizeof(esp));
	use(&c, &engine_openssl, &m);
	assert_int_equal(c.engine->seal(&c, esp, 64, 0x01020304), 0);
	memcpy(covered, esp, 24 + 64);
	put32(covered + 24 + 64, 0x01020304);
	HMAC(EVP_sha512(), m.integrity_key, 64, covered, 24 + 64 + 4, mac, &mac_len);
	assert_memory_equal(esp + 24 + 64, mac, 32);
	crypt_wipe(&c);
}

/* Same octets from both engines for every length, and what one sealed the other opens. */
static void engines_agree(void **state)
{
	static uint8_t a[2048], b[2048], text[2048];
	uint32_t suite, len, i;
	bool esn;

	(void)state;
#ifdef HAVE_IPSEC_MB
	if (!engine_ipsec_mb.runs(ADIT_SUITE_AES_GCM16_256)) {
		print_message("needs: AES-NI\n");
		skip();
	}
	for (suite = ADIT_SUITE_AES_GCM16_128; suite <= ADIT_SUITE_AES_GCM16_256; suite++) {
		for (esn = false;; esn = true) {
			struct adit_msg_sa_add m = sa_message(ADIT_OUT, suite, esn);
			struct crypt mb, ossl, mb_in, ossl_in;

			use(&mb, &engine_ipsec_mb, &m);
			use(&ossl, &engine_openssl, &m);
			m.direction = ADIT_IN;
			use(&mb_in, &engine_ipsec_mb, &m);
			use(&ossl_in, &engine_openssl, &m);
			for (len = 1; len <= 1500; len++) {
				for (i = 0; i < 16 + len; i++)
					text[i] = (uint8_t)rnd();
				memcpy(a, text, 16 + len);
				memcpy(b, text, 16 + len);
				assert_int_equal(mb.engine->seal(&mb, a, len, len), 0);
				assert_int_equal(ossl.engine->seal(&ossl, b, len, len), 0);
				assert_memory_equal(a, b, 16 + len + 16);
				assert_int_equal(mb_in.engine->open(&mb_in, b, len, len), 0);
				assert_memory_equal(b, text, 16 + len);
				assert_int_equal(ossl_in.engine->open(&ossl_in, a, len, len), 0);
				assert_memory_equal(a, text, 16 + len);
			}
			crypt_wipe(&mb);
			crypt_wipe(&ossl);
			crypt_wipe(&mb_in);
			crypt_wipe(&ossl_in);
			if (esn)
				break;
		}
	}
#else
	(void)a, (void)b, (void)text, (void)suite, (void)len, (void)i, (void)esn;
	print_message("needs: IPsec-MB\n");
	skip();
#endif
}

/* One bit anywhere, and the packet is refused by every suite of every engine. */
static void every_bit_counts(void **state)
{
	uint32_t suite;
	size_t e;

	(void)state;
	for (e = 0; e < N_ENGINES; e++) {
		for (suite = 1; suite < ADIT_SUITE_COUNT; suite++) {
			struct adit_msg_sa_add m = sa_message(ADIT_OUT, suite, true);
			uint8_t esp[256] = {0}, bad[256];
			struct crypt out, in;
			uint32_t n, i;

			use(&out, engines[e], &m);
			m.direction = ADIT_IN;
			use(&in, engines[e], &m);
			n = ESP_HEADER_LEN + out.iv_len + 48u + out.icv_len;
			assert_int_equal(out.engine->iv(&out, esp + 8, 77), 0);
			assert_int_equal(out.engine->seal(&out, esp, 48, 9), 0);
			for (i = 0; i < n; i++) {
				memcpy(bad, esp, n);
				bad[i] ^= (uint8_t)(1u << rnd_below(8));
				assert_int_equal(in.engine->open(&in, bad, 48, 9), -EACCES);
			}
			memcpy(bad, esp, n);
			assert_int_equal(in.engine->open(&in, bad, 48, 8), -EACCES);
			assert_int_equal(in.engine->open(&in, esp, 48, 9), 0);
			crypt_wipe(&out);
			crypt_wipe(&in);
		}
	}
}

/* RFC 3602 2 for CBC, RFC 4106 3.1 for GCM. */
static void ivs(void **state)
{
	struct adit_msg_sa_add m = sa_message(ADIT_OUT, ADIT_SUITE_AES_CBC128_SHA256, false);
	uint8_t first[16], second[16], other[16], iv[8];
	struct crypt c, d;

	(void)state;
	use(&c, &engine_openssl, &m);
	use(&d, &engine_openssl, &m);
	assert_int_equal(c.engine->iv(&c, first, 1), 0);
	assert_int_equal(c.engine->iv(&c, second, 2), 0);
	assert_int_equal(d.engine->iv(&d, other, 1), 0);
	assert_memory_not_equal(first, second, 16);
	assert_memory_not_equal(first, other, 16); /* same keys, same number: still nobody can tell */
	crypt_wipe(&c);
	crypt_wipe(&d);

	m = sa_message(ADIT_OUT, ADIT_SUITE_AES_GCM16_256, true);
	use(&c, &engine_openssl, &m);
	assert_int_equal(c.engine->iv(&c, iv, 0x0102030405060708), 0);
	assert_memory_equal(iv, "\1\2\3\4\5\6\7\10", 8);
	crypt_wipe(&c);
}

static void refusals(void **state)
{
	struct adit_msg_sa_add m = sa_message(ADIT_OUT, ADIT_SUITE_COUNT, false);
	struct crypt c;

	(void)state;
	assert_int_equal(engines_prefer("abacus"), -ENOENT);
	assert_int_equal(engines_prefer(NULL), 0);
	assert_int_equal(crypt_init(&c, &m), -ENOTSUP);
	m.suite = ADIT_SUITE_NONE;
	assert_int_equal(crypt_init(&c, &m), -ENOTSUP);
	crypt_wipe(&c);
	assert_int_equal(crypt_warm_up(), 0);
}

/* Nothing of a key is left in the SA. */
static void wiped(void **state)
{
	static const struct crypt zero;
	uint32_t suite;
	size_t e;

	(void)state;
	for (e = 0; e < N_ENGINES; e++) {
		for (suite = 1; suite < ADIT_SUITE_COUNT; suite++) {
			struct adit_msg_sa_add m = sa_message(ADIT_IN, suite, false);
			struct crypt c;

			use(&c, engines[e], &m);
			crypt_wipe(&c);
			assert_memory_equal(&c, &zero, sizeof(c));
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(published_gcm),      cmocka_unit_test(published_cbc),
		cmocka_unit_test(esn_is_in_the_hmac), cmocka_unit_test(engines_agree),
		cmocka_unit_test(every_bit_counts),   cmocka_unit_test(ivs),
		cmocka_unit_test(refusals),	      cmocka_unit_test(wiped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
