/* SPDX-License-Identifier: Apache-2.0 */
/* API keys: parsing them, and which clients are accepted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "server/front/auth.h"

static struct fxs_text text(const char *s)
{
    return (struct fxs_text){s, s ? strlen(s) : 0};
}

static const char *check(const struct fxs_auth *a, const char *key, const char *tenant,
                         const char **whose)
{
    unsigned number = 77;
    const char *why = fxs_auth_check(a, text(key), text(tenant), whose, &number);
    assert_int_equal(number > 0, a && !why); /* a number is returned only for a valid key */
    return why;
}

static int set_up(void **state)
{
    *state = fxs_auth_new();
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    fxs_auth_free(*state);
    return 0;
}

static void without_keys_there_is_one_tenant(void **state)
{
    const char *whose;
    (void)state;
    assert_null(check(NULL, NULL, NULL, &whose));
    assert_string_equal(whose, "default");
    assert_null(check(NULL, "any", "acme", &whose));
    assert_string_equal(whose, "default");
}

static void answers(void **state)
{
    struct fxs_auth *a = *state;
    const char *whose;
    unsigned number;
    char why[128];
    assert_int_equal(fxs_auth_add_list(a, " k1:acme , k2: a b:c ", why, sizeof(why)), 0);
    assert_int_equal(fxs_auth_count(a), 2);
    assert_null(check(a, "k1", NULL, &whose));
    assert_string_equal(whose, "acme");
    assert_null(check(a, "k1", "acme", &whose));
    assert_null(check(a, "k2", NULL, &whose));
    assert_string_equal(whose, "a b:c");
    assert_string_equal(check(a, NULL, NULL, &whose), "API key required");
    assert_string_equal(check(a, "", NULL, &whose), "API key required");
    assert_string_equal(check(a, "k", NULL, &whose), "Invalid API key");
    assert_string_equal(check(a, "k11", NULL, &whose), "Invalid API key");
    assert_string_equal(check(a, "k3", NULL, &whose), "Invalid API key");
    assert_string_equal(check(a, "k1", "acm", &whose), "API key does not belong to tenant");
    assert_string_equal(check(a, "k1", "", &whose), "API key does not belong to tenant");
    /* Bytes after a NUL count, too. */
    assert_string_equal(
        fxs_auth_check(a, (struct fxs_text){"k1\0", 3}, text(NULL), &whose, &number),
        "Invalid API key");
    /* A length that is too large: nothing may be read. */
    assert_string_equal(
        fxs_auth_check(a, (struct fxs_text){"", SIZE_MAX}, text(NULL), &whose, &number),
        "Invalid API key");
}

/* An engine gets the number of a key, never the key. */
static void each_key_has_its_own_number(void **state)
{
    struct fxs_auth *a = *state;
    const char *whose;
    unsigned number[3];
    char why[128];
    assert_int_equal(fxs_auth_add_list(a, "k1:acme,k2:acme,k3:b", why, sizeof(why)), 0);
    for (int i = 0; i < 3; i++) {
        char key[] = {'k', (char)('1' + i), 0};
        assert_null(fxs_auth_check(a, text(key), text(NULL), &whose, &number[i]));
        assert_int_equal(number[i], i + 1);
    }
}

static void lengths(void **state)
{
    struct fxs_auth *a = *state;
    const char *whose;
    char why[128], key[300], tenant[200];
    memset(key, 'k', sizeof(key));
    memset(tenant, 't', sizeof(tenant));
    key[256] = tenant[128] = 0;
    assert_int_equal(fxs_auth_add(a, key, tenant, why, sizeof(why)), 0);
    assert_null(check(a, key, tenant, &whose));
    assert_string_equal(whose, tenant);
    key[255] = 'x';
    assert_string_equal(check(a, key, NULL, &whose), "Invalid API key");
    tenant[128] = 't';
    tenant[129] = 0;
    assert_int_equal(fxs_auth_add(a, key, tenant, why, sizeof(why)), -1);
    key[256] = 'k';
    key[257] = 0;
    assert_int_equal(fxs_auth_add(a, key, "t", why, sizeof(why)), -1);
    assert_string_equal(check(a, key, NULL, &whose), "Invalid API key");
}

/* Malformed lists are refused, and no error text quotes a key. */
static void bad_lists(void **state)
{
    static const char *const bad[] = {"",          "SECRET",        "SECRET:",          ":t",
                                      "a:b,",      "a:b,SECRET",    "SECRET:a/b",       "SECRET:..",
                                      "SECRET:-x", "SECRET:a\x01z", "SECRET:a,SECRET:b"};
    char why[128];
    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct fxs_auth *a = fxs_auth_new();
        why[0] = 0;
        assert_int_equal(fxs_auth_add_list(a, bad[i], why, sizeof(why)), -1);
        assert_non_null(strstr(why, "entry "));
        assert_null(strstr(why, "SECRET"));
        fxs_auth_free(a);
    }
}

static int load(struct fxs_auth *a, const char *json, char *why, size_t len)
{
    char path[] = "/tmp/faissx-auth-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, json, strlen(json)), strlen(json));
    close(fd);
    int rc = fxs_auth_add_file(a, path, why, len);
    unlink(path);
    return rc;
}

static void files(void **state)
{
    static const char *const bad[] = {"",
                                      "[]",
                                      "{\"SECRET\": 1}",
                                      "{\"SECRET\": \"t\"",
                                      "{\"SECRET\" \"t\"}",
                                      "{\"SECRET\": \"t\", \"SECRET\": \"u\"}",
                                      "{\"\": \"t\"}",
                                      "{\"SECRET\": \"a/b\"}"};
    struct fxs_auth *a = *state;
    const char *whose;
    char why[256];
    assert_int_equal(load(a, "{\"k1\": \"acme\", \"k:2\": \"b\"}", why, sizeof(why)), 0);
    assert_null(check(a, "k:2", "b", &whose));
    assert_string_equal(whose, "b");
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        struct fxs_auth *other = fxs_auth_new();
        assert_int_equal(load(other, bad[i], why, sizeof(why)), -1);
        assert_null(strstr(why, "SECRET"));
        fxs_auth_free(other);
    }
    assert_int_equal(fxs_auth_add_file(a, "/nonexistent/keys", why, sizeof(why)), -1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_keys_there_is_one_tenant),
        TEST(answers),
        TEST(each_key_has_its_own_number),
        TEST(lengths),
        cmocka_unit_test(bad_lists),
        TEST(files),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
