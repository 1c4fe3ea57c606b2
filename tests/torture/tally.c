/* SPDX-License-Identifier: Apache-2.0 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "model.h"

enum { TEXTS = 100 };

static struct {
    char text[TEXT_SIZE];
    enum outcome outcome;
    int n;
} tallies[TEXTS];

void tally(enum outcome o, const char *text)
{
    char plain[TEXT_SIZE];
    size_t n = 0;
    if (!*text)
        return;
    for (const char *p = text; *p && n < 160; p++)
        if (!isdigit((unsigned char)*p) || n == 0 || plain[n - 1] != '#')
            plain[n++] = isdigit((unsigned char)*p) ? '#' : *p;
    plain[n] = '\0';
    for (int i = 0; i < TEXTS; i++) {
        if (!tallies[i].n) {
            memcpy(tallies[i].text, plain, sizeof plain);
            tallies[i].outcome = o;
        }
        if (tallies[i].outcome == o && strcmp(tallies[i].text, plain) == 0) {
            tallies[i].n++;
            return;
        }
    }
}

void tally_print(void)
{
    static const char *const outcomes[] = {"unknown", "made", "refused"};
    for (int i = 0; i < TEXTS && tallies[i].n; i++)
        printf("error, %s, %d times: %s\n", outcomes[tallies[i].outcome], tallies[i].n,
               tallies[i].text);
}
