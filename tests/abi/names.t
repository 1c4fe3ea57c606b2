#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Comments and documents name only files that exist: whatever in them looks like the name of a
# source file, header, document, test or script is one of this repository.
set -u
export LC_ALL=C
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Files of FAISS and its forks, files made by the build or by a test, and examples.
cat >"$work/others" <<'END'
c_api/example_c.c
faiss_c.h
api_gen.c
api_gen.h
handlers.h
entry.c
stubs.h
names.h
remote.h
build/gen/api_gen.c
build/gen/api_gen.h
build/gen/entry.c
build/gen/stubs.h
faiss_headers.h
tables.md
program.c
X.c
X_test.c
END

find .ci Makefile README.md CONTRIBUTING.md faiss_c_compat.h audit bench cli docs packaging proto server shim tests \
    -type f ! -name '*.svg' >"$work/files"

# Each file may be named by its path, or by the end of it.
awk '{ for (name = $0; name != ""; name = substr(name, at + 1)) {
    print name
    print "build/" name
    if (!(at = index(name, "/"))) break
} }' "$work/files" | cat - "$work/others" | sort -u >"$work/known"

# The text for readers: all of a document, the comments of another file.
for_people() {
    case $1 in
    *.md | *.in) cat "$1" ;;
    *.[ch])
        awk '{
            for (line = $0; line != ""; ) {
                if (!inside && !(at = index(line, "/*")))
                    break
                if (!inside)
                    line = substr(line, at + 2)
                at = index(line, "*/")
                print at ? substr(line, 1, at - 1) : line
                line = at ? substr(line, at + 2) : ""
                inside = !at
            }
        }' "$1"
        ;;
    *) sed -n '/^#include/d; s/^[[:blank:]]*#//p' "$1" ;;
    esac
}

# Not <names.h> of the system; ../ leads out of docs only.
while read -r file; do
    for_people "$file" | sed 's/<[^ >]*>//g' |
        grep -oE '[A-Za-z0-9_./-]+\.(c|h|md|t|sh)([^A-Za-z0-9_/-]|$)' |
        sed -E "s/(\.(c|h|md|t|sh)).?\$/\1/; s|^(\.\./)+||; s|\$| $file|"
done <"$work/files" | grep -vE '^[./]' | sort -u >"$work/named"
cut -d ' ' -f 1 "$work/named" | sort -u | comm -23 - "$work/known" >"$work/unknown"

result() { # NUMBER NAME STATUS
    [ "$3" = 0 ] && echo "ok $1 - $2" || echo "not ok $1 - $2"
}
echo 1..2
[ "$(wc -l <"$work/named")" -gt 200 ]
result 1 "file names are found in comments and documents" $?
[ ! -s "$work/unknown" ]
result 2 "each named file exists" $?
join "$work/unknown" "$work/named" | sed 's/^\([^ ]*\) \(.*\)/# \2 names \1/'
