/* SPDX-License-Identifier: Apache-2.0 */
/* Checksums of the database's pages (pages.c).  Only sqlite.c uses this. */
#ifndef FXS_STORE_PAGES_H
#define FXS_STORE_PAGES_H

#include <sqlite3.h>
#include <stdint.h>

#include "server/store/internal.h"

enum { FXS_PAGE_SIZE = FXS_PAGE, FXS_PAGE_RESERVED = 8 };

/* The name of the VFS, which stands on the default one; NULL if there is no memory.  Every database
 * of it has pages of FXS_PAGE_SIZE bytes with FXS_PAGE_RESERVED to spare. */
const char *fxs_pages_register(void);
/* Has the page a right checksum?  Pages are counted from 1.  One that was never written is good. */
int fxs_page_is_good(const void *page, uint64_t number);
/* Until this is undone, syncs of the write-ahead log do nothing, but for that of its header. */
void fxs_page_sync_later(sqlite3_file *log, int later);

#endif
