/* SPDX-License-Identifier: Apache-2.0 */
/* Damage in SQLite's write-ahead log.  SQLite takes the first frame with a wrong checksum for the
 * end of the log, since that is what a write that was cut short looks like.  So changes behind a
 * damaged frame would be lost without a word.  But each checksum continues the one before: if a
 * later transaction continues the checksum that is stored in the bad frame, this is not the end. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "server/store/internal.h"
#include "server/store/pages.h"

enum { HEADER = 32, FRAME = 24, SIZE = FRAME + FXS_PAGE_SIZE };

static uint32_t big(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t little(const uint8_t *p)
{
    return (uint32_t)p[3] << 24 | (uint32_t)p[2] << 16 | (uint32_t)p[1] << 8 | p[0];
}

static void sum(bool is_big, const uint8_t *p, size_t n, uint32_t s[2])
{
    uint32_t (*word)(const uint8_t *) = is_big ? big : little;
    for (size_t i = 0; i < n; i += 8) {
        s[0] += word(p + i) + s[1];
        s[1] += word(p + i + 4) + s[0];
    }
}

/* Does the frame continue checksum s?  Sets s to what the frame says. */
static bool follows(bool is_big, const uint8_t *frame, uint32_t s[2])
{
    uint32_t is[2] = {s[0], s[1]};
    sum(is_big, frame, 8, is);
    sum(is_big, frame + FRAME, FXS_PAGE_SIZE, is);
    s[0] = big(frame + 16);
    s[1] = big(frame + 20);
    return is[0] == s[0] && is[1] == s[1];
}

void fxs_wal_check(struct fxs_store *s, char *what)
{
    uint8_t h[HEADER], *frame = malloc(SIZE);
    uint64_t n = 0, bad = 0;
    what[0] = 0;
    int fd = openat(s->dir, "store.db-wal", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || !frame || pread(fd, h, sizeof h, 0) != HEADER)
        goto out;
    bool is_big = big(h) & 1;
    uint32_t now[2] = {0, 0};
    sum(is_big, h, 24, now);
    if ((big(h) & ~1u) != 0x377f0682 || now[0] != big(h + 24) || now[1] != big(h + 28)) {
        fxs_why(FXS_STORE_DAMAGED, what,
                "store.db-wal: its header is damaged: changes that were "
                "only there are lost");
        goto out;
    }
    while (pread(fd, frame, SIZE, (off_t)(HEADER + n * SIZE)) == SIZE) {
        n++;
        if (fxs_store_moved)
            fxs_store_moved(SIZE);
        /* An older log's frame, which this one has not reached yet. */
        if (memcmp(frame + 8, h + 16, 8) != 0 && !bad) {
            bad = n;
            now[0] = big(frame + 16), now[1] = big(frame + 20);
            continue;
        }
        bool good = follows(is_big, frame, now) && memcmp(frame + 8, h + 16, 8) == 0;
        if (!good && !bad)
            bad = n;
        else if (good && bad && big(frame + 4)) {
            fxs_why(FXS_STORE_DAMAGED, what,
                    "store.db-wal: frame %" PRIu64 " is damaged, and there are complete "
                    "transactions behind it: these changes are lost",
                    bad);
            break;
        }
    }
out:
    free(frame);
    if (fd >= 0)
        close(fd);
}
