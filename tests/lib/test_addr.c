// SPDX-License-Identifier: BSD-2-Clause
#include "addr.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <cmocka.h>

static void prefixes(void **state)
{
	static const struct {
		const char *text;
		int err;
		const char *range;
	} t[] = {
		{"10.1.1.0/24",							     0,	   "10.1.1.0/24"	},
		{"10.1.1.1",								0,	"10.1.1.1/32"  },
		{"0.0.0.0/0",							       0,	 "0.0.0.0/0"    },
		{"any",								     0,	   "0.0.0.0/0"    },
		{"2001:db8::/32",							   0,	     "2001:db8::/32"},
		{"::/0",								    0,	    "::/0"	  },
		{"10.1.1.1/24",							     -ERANGE, NULL	     },
		{"2001:db8::1/32",							  -ERANGE, NULL		},
		{"10.1.1.0/33",							     -EINVAL, NULL	     },
		{"10.1.1.0/-1",							     -EINVAL, NULL	     },
		{"10.1.1.0/",							       -EINVAL, NULL	   },
		{"10.1.1.0/2x",							     -EINVAL, NULL	     },
		{"10.1.1/24",							       -EINVAL, NULL	   },
		{"",									-EINVAL, NULL		  },
		{"1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111:1111/1", -EINVAL, NULL		 },
	};
	struct addr_range range;
	char text[RANGE_STRLEN];
	struct addr a;
	unsigned len, i;

	(void)state;
	for (i = 0; i < sizeof(t) / sizeof(*t); i++) {
		assert_int_equal(prefix_parse(t[i].text, &a, &len), t[i].err);
		if (t[i].err)
			continue;
		prefix_range(&a, len, &range);
		assert_string_equal(range_str(&range, text), t[i].range);
	}
}

static struct addr_range range_of(const char *min, const char *max)
{
	struct addr_range r;

	assert_int_equal(addr_parse(min, &r.min), 0);
	assert_int_equal(addr_parse(max, &r.max), 0);
	return r;
}

static void ranges(void **state)
{
	struct addr_range a = range_of("10.0.0.5", "10.0.0.20"), b = range_of("10.0.0.16", "10.0.0.255"),
			  both;
	struct addr_range v6 = range_of("2001:db8::", "2001:db8::ff");
	char text[RANGE_STRLEN];

	(void)state;
	assert_int_equal(range_prefix_len(&a), -ERANGE);
	assert_true(range_intersect(&a, &b, &both));
	assert_string_equal(range_str(&both, text), "10.0.0.16-10.0.0.20");
	assert_false(range_intersect(&a, &v6, &both));
	assert_string_equal(range_str(&both, text), "10.0.0.16-10.0.0.20");
	assert_true(range_contains(&a, &a.max));
	assert_false(range_contains(&a, &b.max));
}

static void endpoints(void **state)
{
	static const char *text[] = {"192.0.2.1:500", "[2001:db8::1]:4500"};
	struct sockaddr_storage ss;
	struct endpoint e = {.port = 500}, back;
	char buf[ADDR_STRLEN];

	(void)state;
	addr_parse("192.0.2.1", &e.addr);
	assert_string_equal(endpoint_str(&e, buf), text[0]);
	endpoint_to_sockaddr(&e, &ss);
	assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&ss, &back), 0);
	assert_true(addr_eq(&e.addr, &back.addr) && back.port == 500);
	addr_parse("2001:db8::1", &e.addr);
	e.port = 4500;
	assert_string_equal(endpoint_str(&e, buf), text[1]);
	endpoint_to_sockaddr(&e, &ss);
	assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&ss, &back), 0);
	assert_true(addr_eq(&e.addr, &back.addr) && back.port == 4500);
	ss.ss_family = AF_UNIX;
	assert_int_equal(endpoint_from_sockaddr((struct sockaddr *)&ss, &back), -EAFNOSUPPORT);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(prefixes),
		cmocka_unit_test(ranges),
		cmocka_unit_test(endpoints),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
