/* SPDX-License-Identifier: Apache-2.0 */
/* Prints the result of faiss_get_version, the error if it is empty, or "missing" if the library has
 * no such function. */
#include <dlfcn.h>

#include "client.h"

int main(void)
{
    /* Also makes the linker keep the library. */
    faiss_Index_free(NULL);
    const char *(*version)(void) = (const char *(*)(void))dlsym(RTLD_DEFAULT, "faiss_get_version");
    const char *text = version ? version() : NULL;
    say(!version ? "missing" : text && *text ? text : last_error());
    return 0;
}
