/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/transport/refusal.h"

#include "faiss_c_compat.h"
#include "shim/error.h"
#include "shim/faissx.h"

static const struct {
    const char *kind;
    int error;
} kinds[] = {
    {"auth", FAISSX_E_AUTH},         {"session", FAISSX_E_SESSION},
    {"handle", FAISSX_E_HANDLE},     {"engine", FAISSX_E_ENGINE},
    {"argument", FAISSX_E_ARGUMENT}, {"unsupported", FAISSX_E_UNSUPPORTED},
    {"missing", FAISSX_E_MISSING},   {"limit", FAISSX_E_LIMIT},
    {"timeout", FAISSX_E_TIMEOUT},   {"protocol", FAISSX_E_PROTOCOL},
    {"shutdown", FAISSX_E_CONNECT},  {"unsent", FAISSX_E_ARGUMENT},
};

int fx_refusal(const struct fx_header *reply, int other)
{
    const char *text;
    size_t n;
    int64_t code = OK;
    int error = other;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        if (fx_header_is(reply, "kind", kinds[i].kind))
            error = kinds[i].error;
    fx_header_int(reply, "code", &code);
    if (code == OK || code != (int)code) /* an error cannot be OK */
        code = STD_EXCEPT;
    if (!fx_header_str(reply, "message", &text, &n))
        return fx_fail_code(error, (int)code, "the server reported an error without a text");
    fx_set_error(error, (int)code, text, n);
    return -1;
}
