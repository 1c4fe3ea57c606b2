/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "server/store/store.h"

static const char digits[] = "0123456789abcdef";

static int is_plain(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

int fxs_tenant_dir(const char *tenant, char *name)
{
    size_t n = 0;
    for (const unsigned char *p = (const unsigned char *)tenant; *p; p++) {
        if (n + (is_plain(*p) ? 1 : 3) >= FXS_TENANT_DIR)
            return -1;
        if (is_plain(*p)) {
            name[n++] = (char)*p;
        } else {
            name[n++] = '_';
            name[n++] = digits[*p >> 4];
            name[n++] = digits[*p & 15];
        }
    }
    name[n] = 0;
    return n ? 0 : -1; /* a directory has a name */
}

/* The value of a hexadecimal digit, which is in lower case; or -1. */
static int value(char c)
{
    const char *p = c ? strchr(digits, c) : NULL;
    return p ? (int)(p - digits) : -1;
}

int fxs_tenant_of_dir(const char *name, char *tenant, size_t len)
{
    size_t n = 0;
    if (!*name || strlen(name) >= FXS_TENANT_DIR)
        return -1;
    for (const char *p = name; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if (n + 1 >= len)
            return -1;
        if (c == '_') {
            int high = value(p[1]), low = high < 0 ? -1 : value(p[2]);
            if (low < 0)
                return -1;
            c = (unsigned char)(high << 4 | low);
            /* Only what fxs_tenant_dir makes: a tenant has one directory. */
            if (!c || is_plain(c))
                return -1;
            p += 2;
        } else if (!is_plain(c)) {
            return -1;
        }
        tenant[n++] = (char)c;
    }
    tenant[n] = 0;
    return 0;
}
