/* SPDX-License-Identifier: Apache-2.0 */
/* The ZMTP codec: valid values, every prefix of them, and malformed bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "proto/zmtp.h"

#define LITERAL(s) (s), sizeof(s) - 1

/* A copy that ends where its allocation ends, so that AddressSanitizer sees any read beyond it. */
static uint8_t *exact(const void *data, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    memcpy(copy, data, n);
    return copy;
}

/* --- heads --- */

static int head(const void *data, size_t n, struct fx_zmtp_head *h)
{
    uint8_t *copy = exact(data, n);
    int r = fx_zmtp_head(copy, n, h);
    free(copy);
    return r;
}

static void heads_are_decoded_as_they_were_encoded(void **state)
{
    static const uint64_t sizes[] = {
        0,         1, 254, 255, 256, 65535, 65536, 8 << 20, UINT64_C(1) << 32, UINT64_C(1) << 60,
        UINT64_MAX};
    static const int flags[] = {0, FX_ZMTP_MORE, FX_ZMTP_COMMAND};
    (void)state;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
        for (size_t j = 0; j < 3; j++) {
            uint8_t b[FX_ZMTP_HEAD_MAX];
            struct fx_zmtp_head h;
            size_t n = fx_zmtp_put_head(b, flags[j], sizes[i]);
            assert_int_equal(n, sizes[i] < 256 ? 2 : 9);
            for (size_t have = 0; have < n; have++)
                assert_int_equal(head(b, have, &h), 0);
            assert_int_equal(head(b, n, &h), 1);
            assert_int_equal(h.len, n);
            assert_true(h.size == sizes[i]);
            assert_int_equal(h.flags, flags[j] | (n == 9 ? FX_ZMTP_LONG : 0));
        }
    }
}

static void flags_of_no_version_3_are_refused(void **state)
{
    (void)state;
    for (int flags = 0; flags < 256; flags++) {
        uint8_t b[FX_ZMTP_HEAD_MAX] = {(uint8_t)flags, 0, 0, 0, 0, 0, 0, 0, 7};
        struct fx_zmtp_head h;
        int good = flags < 5 || flags == 6; /* a command cannot have the flag MORE */
        assert_int_equal(head(b, 9, &h), good ? 1 : -1);
        assert_int_equal(head(b, 1, &h), good ? 0 : -1); /* without waiting for the size */
    }
}

/* --- greeting --- */

static int check_greeting(const void *data, size_t n, const char **why)
{
    uint8_t *copy = exact(data, n);
    int r = fx_zmtp_check_greeting(copy, n, FX_ZMTP_NULL, why);
    free(copy);
    return r;
}

static void a_greeting_is_right_when_it_is_complete(void **state)
{
    uint8_t b[FX_ZMTP_GREETING];
    const char *why;
    (void)state;
    memset(b, 0x5a, sizeof(b));
    fx_zmtp_greeting(b, FX_ZMTP_NULL, 0);
    assert_memory_equal(b, "\xff\0\0\0\0\0\0\0\0\x7f\3\1NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 32);
    for (size_t n = 0; n < sizeof(b); n++)
        assert_int_equal(check_greeting(b, n, &why), 0);
    assert_int_equal(check_greeting(b, sizeof(b), &why), 1);
    b[11] = 0; /* ZMTP 3.0 */
    assert_int_equal(check_greeting(b, sizeof(b), &why), 1);
    b[10] = 4; /* a later version, which will downgrade to 3 */
    assert_int_equal(check_greeting(b, sizeof(b), &why), 1);
    b[32] = 1; /* as-server is ignored with the NULL mechanism */
    memset(b + 1, 0xa5, 8);
    assert_int_equal(check_greeting(b, sizeof(b), &why), 1);
}

/* A greeting whose byte `at` is wrong is refused as soon as that byte has arrived. */
static void wrong_at(size_t at, uint8_t value, const char *text)
{
    uint8_t b[FX_ZMTP_GREETING];
    const char *why;
    fx_zmtp_greeting(b, FX_ZMTP_NULL, 0);
    b[at] = value;
    for (size_t n = 0; n <= sizeof(b); n++) {
        int r = check_greeting(b, n, &why);
        assert_int_equal(r, n > at ? -1 : 0);
        if (n > at)
            assert_non_null(strstr(why, text));
        else
            assert_null(why);
    }
}

static void a_wrong_greeting_is_refused_at_once(void **state)
{
    (void)state;
    wrong_at(0, 'G', "not a ZeroMQ peer");
    wrong_at(0, 0, "not a ZeroMQ peer");
    wrong_at(9, 0, "not a ZeroMQ peer");
    wrong_at(10, 0, "too old");
    wrong_at(10, 2, "too old");
    wrong_at(12, 'C', "mechanism");
    wrong_at(16, 'X', "mechanism"); /* "NULLX" */
    wrong_at(31, 'X', "mechanism");
}

/* --- commands --- */

static void commands_have_a_whole_name(void **state)
{
    static const struct {
        const char *body;
        size_t n;
        size_t rest; /* 99: it is not PING */
    } cases[] = {
        {LITERAL("\4PING"), 0},    {LITERAL("\4PING\0\1abc"), 5},
        {LITERAL("\4PIN"), 99},    {LITERAL("\4PINg"), 99},
        {LITERAL("\5PINGX"), 99},  {LITERAL("\3PING"), 99},
        {LITERAL("\377PING"), 99}, {LITERAL(""), 99},
        {LITERAL("\4"), 99},       {LITERAL("\0PING"), 99},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
        uint8_t *copy = exact(cases[i].body, cases[i].n);
        size_t n = cases[i].n;
        const uint8_t *rest = fx_zmtp_command(copy, &n, "PING");
        if (cases[i].rest == 99) {
            assert_null(rest);
            assert_int_equal(n, cases[i].n);
        } else {
            assert_ptr_equal(rest, copy + 5);
            assert_int_equal(n, cases[i].rest);
        }
        free(copy);
    }
}

static int socket_type(const void *data, size_t n, char *type)
{
    uint8_t *copy = exact(data, n);
    int r = fx_zmtp_socket_type(copy, n, type);
    free(copy);
    return r;
}

static void ready_names_the_socket_type(void **state)
{
    static const char *const types[] = {"ROUTER", "DEALER", "REQ", "REP"};
    uint8_t b[FX_ZMTP_READY_MAX];
    char type[FX_ZMTP_TYPE_MAX + 1];
    struct fx_zmtp_head h;
    (void)state;
    for (size_t i = 0; i < 8; i++) {
        size_t n = fx_zmtp_ready(b, types[i / 2], i % 2);
        assert_in_range(n, 2, FX_ZMTP_READY_MAX);
        assert_int_equal(head(b, n, &h), 1);
        assert_int_equal(h.flags, FX_ZMTP_COMMAND);
        assert_int_equal(h.size, n - 2);
        n -= 2;
        const uint8_t *metadata = fx_zmtp_command(b + 2, &n, "READY");
        assert_non_null(metadata);
        assert_int_equal(socket_type(metadata, n, type), 0);
        assert_string_equal(type, types[i / 2]);
        /* Truncated anywhere but before the second property, it is malformed. */
        for (size_t cut = 0; cut < n; cut++)
            assert_int_equal(socket_type(metadata, cut, type), i % 2 && cut == n - 13 ? 0 : -1);
    }
}

static void metadata_of_all_kinds(void **state)
{
    char type[FX_ZMTP_TYPE_MAX + 1];
    (void)state;
    /* The property's name in any letter case, at any position. */
    assert_int_equal(socket_type(LITERAL("\1X\0\0\0\0\13sOCKET-tYPE\0\0\0\3REQ\0\0\0\0\1z"), type),
                     0);
    assert_string_equal(type, "REQ");
    assert_int_equal(socket_type(LITERAL("\13Socket-Type\0\0\0\7ABCDEFG"), type), 0);
    assert_int_equal(socket_type(LITERAL("\13Socket-Type\0\0\0\10ABCDEFGH"), type), -1);
    assert_int_equal(socket_type(LITERAL("\13Socket-Type\0\0\0\0"), type), 0);
    assert_string_equal(type, "");
    assert_int_equal(socket_type(LITERAL("\13Socket-Typ_\0\0\0\3REQ"), type), -1);
    assert_int_equal(socket_type(LITERAL("\12Socket-Typ\0\0\0\3REQ"), type), -1);
    assert_int_equal(socket_type(LITERAL("\13Socket-Type\377\377\377\377REQ"), type), -1);
    assert_int_equal(socket_type(LITERAL("\13Socket-Type\0\0\0\4REQ"), type), -1);
    assert_int_equal(socket_type(LITERAL("\377Socket-Type\0\0\0\3REQ"), type), -1);
    assert_int_equal(socket_type(LITERAL("\13Socket-Type\0\0\0\3REQ\1X"), type), -1);
    assert_int_equal(socket_type(LITERAL(""), type), -1);
}

static void a_pong_returns_the_context(void **state)
{
    static const uint8_t ping[] = "\1\2abcdefghijklmnopq"; /* a context of 17 bytes */
    uint8_t b[FX_ZMTP_PONG_MAX];
    (void)state;
    for (size_t n = 0; n <= 19; n++) {
        size_t size = fx_zmtp_pong(b, ping, n);
        if (n < 2 || n > FX_ZMTP_PING_MAX) {
            assert_int_equal(size, 0);
            continue;
        }
        assert_int_equal(size, 2 + 5 + n - 2);
        assert_int_equal(b[0], FX_ZMTP_COMMAND);
        assert_int_equal(b[1], size - 2);
        assert_memory_equal(b + 2, "\4PONG", 5);
        assert_memory_equal(b + 7, ping + 2, n - 2);
    }
}

static void an_error_has_a_reason_of_200_bytes_at_most(void **state)
{
    static const size_t lengths[] = {0, 1, 199, 200, 201, 300};
    uint8_t b[FX_ZMTP_ERROR_MAX];
    char reason[301];
    (void)state;
    for (size_t i = 0; i < sizeof(lengths) / sizeof(*lengths); i++) {
        size_t want = lengths[i] < 200 ? lengths[i] : 200;
        memset(reason, 'r', lengths[i]);
        reason[lengths[i]] = '\0';
        assert_int_equal(fx_zmtp_error(b, reason), 9 + want);
        assert_int_equal(b[0], FX_ZMTP_COMMAND);
        assert_int_equal(b[1], 7 + want); /* always a short head */
        assert_memory_equal(b + 2, "\5ERROR", 6);
        assert_int_equal(b[8], want);
        assert_memory_equal(b + 9, reason, want);
    }
}

/* --- messages --- */

static size_t flatten(const struct iovec *iov, int niov, uint8_t *to)
{
    size_t n = 0;
    for (int i = 0; i < niov; i++) {
        memcpy(to + n, iov[i].iov_base, iov[i].iov_len);
        n += iov[i].iov_len;
    }
    return n;
}

static void a_message_is_the_delimiter_and_its_frames(void **state)
{
    static const size_t sizes[FX_FRAMES_MAX] = {5, 0, 255, 256, 0, 70000, 1};
    static uint8_t want[200000], got[200000], body[70000];
    (void)state;
    memset(body, 'b', sizeof(body));
    for (int n = 1; n <= FX_FRAMES_MAX; n++) {
        struct fx_frame frames[FX_FRAMES_MAX];
        struct fx_zmtp_message m;
        size_t len = 2;
        want[0] = FX_ZMTP_MORE;
        want[1] = 0;
        for (int i = 0; i < n; i++) {
            frames[i] = (struct fx_frame){sizes[i] ? body : NULL, sizes[i]};
            len += fx_zmtp_put_head(want + len, i + 1 < n ? FX_ZMTP_MORE : 0, sizes[i]);
            memset(want + len, 'b', sizes[i]);
            len += sizes[i];
        }
        fx_zmtp_message(&m, frames, n);
        assert_in_range(m.niov, 1, 2 * n);
        assert_int_equal(flatten(m.iov, m.niov, got), len);
        assert_memory_equal(got, want, len);
    }
}

/* The bytes are the same however many are sent at a time. */
static void bytes_already_sent_are_not_sent_again(void **state)
{
    static uint8_t whole[400], part[400];
    (void)state;
    for (size_t step = 1; step < sizeof(whole); step++) {
        struct fx_frame frames[] = {{"header", 6}, {NULL, 0}, {whole, 150}, {"x", 1}};
        struct fx_zmtp_message m;
        memset(whole, 'w', 150);
        fx_zmtp_message(&m, frames, 4);
        size_t n = flatten(m.iov, m.niov, whole + 150), at = 0;
        while (m.niov) {
            size_t left = flatten(m.iov, m.niov, part);
            assert_int_equal(left, n - at);
            assert_memory_equal(part, whole + 150 + at, left);
            size_t take = step < left ? step : left;
            m.niov = fx_iov_advance(m.iov, m.niov, take);
            at += take;
        }
        assert_int_equal(at, n);
    }
    struct iovec none[2] = {{whole, 0}, {whole, 3}};
    assert_int_equal(fx_iov_advance(none, 2, 0), 1);
    assert_int_equal(none[0].iov_len, 3);
    assert_int_equal(fx_iov_advance(none, 1, 3), 0);
    assert_int_equal(fx_iov_advance(none, 0, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heads_are_decoded_as_they_were_encoded),
        cmocka_unit_test(flags_of_no_version_3_are_refused),
        cmocka_unit_test(a_greeting_is_right_when_it_is_complete),
        cmocka_unit_test(a_wrong_greeting_is_refused_at_once),
        cmocka_unit_test(commands_have_a_whole_name),
        cmocka_unit_test(ready_names_the_socket_type),
        cmocka_unit_test(metadata_of_all_kinds),
        cmocka_unit_test(a_pong_returns_the_context),
        cmocka_unit_test(an_error_has_a_reason_of_200_bytes_at_most),
        cmocka_unit_test(a_message_is_the_delimiter_and_its_frames),
        cmocka_unit_test(bytes_already_sent_are_not_sent_again),
    };
    return cmocka_run_group_tests_name("zmtp", tests, NULL, NULL);
}
