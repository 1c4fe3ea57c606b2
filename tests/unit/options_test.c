/* SPDX-License-Identifier: Apache-2.0 */
/* The server's options, and those that it passes to its engines. */
#include "server/options.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* Parse without printing the error messages that a test provokes. */
static int quietly(int (*parse)(struct fxs_options *, int, char **), struct fxs_options *o,
                   char **argv)
{
    int argc = 0, saved = dup(2);
    while (argv[argc])
        argc++;
    assert_non_null(freopen("/dev/null", "w", stderr));
    int rc = parse(o, argc, argv);
    fflush(stderr);
    dup2(saved, 2);
    close(saved);
    return rc;
}

#define RUN(o, ...) quietly(fxs_options_run, (o), (char *[]){"run", ##__VA_ARGS__, NULL})

static void test_defaults(void **state)
{
    struct fxs_options o;
    (void)state;
    assert_int_equal(RUN(&o), 0);
    assert_int_equal(o.nbinds, 1);
    assert_string_equal(o.binds[0], "tcp://127.0.0.1:45678");
    assert_true(o.threads >= 1 && o.total_memory >= 64);
    assert_int_equal(o.lease, 30);
    assert_int_equal(o.coalesce, FXS_COALESCE_EXACT);
    assert_int_equal(o.log_level, FXS_INFO);
    assert_int_equal(o.call_limit, 0);
}

static void test_values(void **state)
{
    struct fxs_options o;
    (void)state;
    assert_int_equal(RUN(&o, "--bind", "ipc:///x", "--bind", "tcp://[::1]:0", "--threads=7",
                         "--coalesce", "fast", "--log-level", "Debug", "--enable-auth"),
                     0);
    assert_int_equal(o.nbinds, 2);
    assert_string_equal(o.binds[1], "tcp://[::1]:0");
    assert_int_equal(o.threads, 7);
    assert_int_equal(o.coalesce, FXS_COALESCE_FAST);
    assert_int_equal(o.log_level, FXS_DEBUG);
    assert_true(o.enable_auth && !o.help);
}

static void test_refused(void **state)
{
    struct fxs_options o;
    (void)state;
    assert_int_equal(RUN(&o, "--threads", "0"), -1);
    assert_int_equal(RUN(&o, "--threads", "5x"), -1);
    assert_int_equal(RUN(&o, "--threads"), -1);
    assert_int_equal(RUN(&o, "--lease", "99999999999999999999"), -1);
    assert_int_equal(RUN(&o, "--coalesce", "fas"), -1);
    assert_int_equal(RUN(&o, "--coalesce", ""), -1);
    assert_int_equal(RUN(&o, "--bind", "tcp://host"), -1);
    assert_int_equal(RUN(&o, "--bind", "host:1"), -1);
    assert_int_equal(RUN(&o, "--bind", "ipc://x", "--port", "1"), -1);
    assert_int_equal(RUN(&o, "--auth-keys", "a:b", "--auth-file", "f"), -1);
    assert_int_equal(RUN(&o, "--durability", "snapshot"), -1); /* without --data-dir */
    assert_int_equal(RUN(&o, "--keep", "sessions"), -1);
    assert_int_equal(RUN(&o, "--snapshot-interval", "5"), -1);
    assert_int_equal(
        RUN(&o, "--keep", "sessions", "--snapshot-interval", "5", "--data-dir", "/none"), 0);
    assert_int_equal(RUN(&o, "something"), -1);
    assert_int_equal(RUN(&o, "--tenant", "x"), -1); /* for engines only */
}

static void test_environment(void **state)
{
    struct fxs_options o;
    (void)state;
    setenv("FAISSX_PORT", "1234", 1);
    assert_int_equal(RUN(&o), 0);
    assert_string_equal(o.binds[0], "tcp://127.0.0.1:1234");
    assert_int_equal(RUN(&o, "--port", "5"), 0);
    assert_string_equal(o.binds[0], "tcp://127.0.0.1:5");
    assert_int_equal(RUN(&o, "--bind", "ipc://x"), 0);
    setenv("FAISSX_PORT", "many", 1);
    assert_int_equal(RUN(&o), -1);
    assert_int_equal(RUN(&o, "--port", "5"), 0); /* the variable has no effect */
    assert_int_equal(RUN(&o, "--bind", "ipc://x"), 0);
    setenv("FAISSX_PORT", "tcp://10.0.0.1:45678", 1); /* Kubernetes, for a service called faissx */
    assert_int_equal(RUN(&o), 0);
    assert_string_equal(o.binds[0], "tcp://127.0.0.1:45678");
    setenv("FAISSX_LOG_LEVEL", "loud", 1);
    assert_int_equal(RUN(&o), -1);
    assert_int_equal(RUN(&o, "--log-level", "warn"), 0);
    assert_int_equal(o.log_level, FXS_WARN);
    unsetenv("FAISSX_LOG_LEVEL");
    unsetenv("FAISSX_PORT");
}

/* What users of the Python server have in their scripts. */
static void test_faissx_names(void **state)
{
    struct fxs_options o;
    static const char *const yes[] = {"1", "true", "True", "yes", "on"}, *const no[] = {
                                                                             "0", "False", "no"};
    (void)state;
    assert_int_equal(RUN(&o, "--port", "7", "--bind-address", "0.0.0.0"), 0);
    assert_string_equal(o.binds[0], "tcp://0.0.0.0:7");
    assert_int_equal(RUN(&o, "--bind-address", "::1", "--log-level", "WARNING"), 0);
    assert_string_equal(o.binds[0], "tcp://[::1]:45678");
    assert_int_equal(o.log_level, FXS_WARN);
    assert_int_equal(RUN(&o, "--bind-address", "[::1]", "--log-level", "CRITICAL"), 0);
    assert_string_equal(o.binds[0], "tcp://[::1]:45678");
    assert_int_equal(o.log_level, FXS_ERROR);
    assert_int_equal(RUN(&o, "--bind", "ipc://x", "--bind-address", "0.0.0.0"), -1);
    setenv("FAISSX_BIND_ADDRESS", "10.0.0.1", 1);
    setenv("FAISSX_LOG_LEVEL", "DEBUG", 1);
    setenv("FAISSX_AUTH_KEYS", "a:b", 1);
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++) {
        setenv("FAISSX_ENABLE_AUTH", yes[i], 1);
        assert_int_equal(RUN(&o), 0);
        assert_true(o.enable_auth);
    }
    for (size_t i = 0; i < sizeof no / sizeof *no; i++) {
        setenv("FAISSX_ENABLE_AUTH", no[i], 1);
        assert_int_equal(RUN(&o), 0);
        assert_false(o.enable_auth);
    }
    assert_string_equal(o.binds[0], "tcp://10.0.0.1:45678");
    assert_int_equal(o.log_level, FXS_DEBUG);
    assert_string_equal(o.auth_keys, "a:b");
    assert_int_equal(RUN(&o, "--bind", "ipc://x"), 0); /* instead of the variable */
    assert_int_equal(RUN(&o, "--auth-file", "f"), 0);
    assert_null(o.auth_keys);
    setenv("FAISSX_AUTH_FILE", "g", 1);
    assert_int_equal(RUN(&o), -1);
    assert_int_equal(RUN(&o, "--auth-keys", "c:d"), 0);
    assert_null(o.auth_file);
    setenv("FAISSX_ENABLE_AUTH", "maybe", 1);
    assert_int_equal(RUN(&o, "--auth-keys", "c:d"), -1);
    unsetenv("FAISSX_BIND_ADDRESS");
    unsetenv("FAISSX_LOG_LEVEL");
    unsetenv("FAISSX_AUTH_KEYS");
    unsetenv("FAISSX_AUTH_FILE");
    unsetenv("FAISSX_ENABLE_AUTH");
}

/* An engine gets every option that the server passes to it. */
static void test_engine(void **state)
{
    struct fxs_options o, e;
    struct fxs_arguments a;
    (void)state;
    assert_int_equal(RUN(&o, "--threads", "3", "--library", "/a lib", "--coalesce", "off",
                         "--lease", "77", "--call-limit", "8", "--max-pending", "9",
                         "--total-memory", "100", "--memory", "65", "--log-level", "warn"),
                     0);
    o.link = 3;
    o.tenant = "a=b c";
    o.near = "";
    o.previous = "signal 9, Killed";
    fxs_options_argv(&o, &a);
    assert_string_equal(a.argv[1], "engine");
    assert_int_equal(quietly(fxs_options_engine, &e, (char **)a.argv + 1), 0);
    assert_int_equal(e.threads, 3);
    assert_string_equal(e.library, "/a lib");
    assert_int_equal(e.coalesce, FXS_COALESCE_OFF);
    assert_int_equal(e.lease, 77);
    assert_int_equal(e.call_limit, 8);
    assert_int_equal(e.max_pending, 9);
    assert_int_equal(e.total_memory, 100);
    assert_int_equal(e.memory, 65);
    assert_int_equal(e.log_level, FXS_WARN);
    assert_int_equal(e.link, 3);
    assert_string_equal(e.tenant, "a=b c");
    assert_string_equal(e.near, "");
    assert_string_equal(e.previous, "signal 9, Killed");
}

/* Options that were not given (0 and NULL) are not passed. */
static void test_engine_defaults(void **state)
{
    struct fxs_options o, e;
    struct fxs_arguments a;
    (void)state;
    assert_int_equal(RUN(&o), 0);
    o.tenant = "default";
    o.near = o.previous = "";
    fxs_options_argv(&o, &a);
    assert_int_equal(quietly(fxs_options_engine, &e, (char **)a.argv + 1), 0);
    assert_null(e.library);
    assert_int_equal(e.memory, 0);
    assert_int_equal(e.total_memory, o.total_memory);
    assert_int_equal(e.lease, 30);
}

/* Each option in the help is accepted, and no line is too long for a terminal. */
static void test_help(void **state)
{
    char *text = NULL;
    size_t size = 0, longest = 0;
    int options = 0;
    (void)state;
    FILE *f = open_memstream(&text, &size);
    fxs_options_help(f);
    fclose(f);
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        if ((size_t)(end - line) > longest)
            longest = (size_t)(end - line);
        options += strncmp(line, "  --", 4) == 0;
    }
    assert_true(longest <= 90);
    assert_true(options >= 16);
    assert_null(strstr(text, "--tenant"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),        cmocka_unit_test(test_values),
        cmocka_unit_test(test_refused),         cmocka_unit_test(test_environment),
        cmocka_unit_test(test_faissx_names),    cmocka_unit_test(test_engine),
        cmocka_unit_test(test_engine_defaults), cmocka_unit_test(test_help),
    };
    unsetenv("FAISSX_PORT");
    unsetenv("FAISSX_FAISS_LIBRARY");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
