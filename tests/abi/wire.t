#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# proto/wire.md describes every key, operation, value object and kind of error that client and server
# pack or look up, and nothing that they do not know.
set -u
export LC_ALL=C
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# Not what is kept on disk: the commands that look after a data directory, the note on an index, and
# records of changes.
# Nor the dialect of FAISSx's Python client, which is a protocol of its own.
find proto shim server cli -name '*.c' ! -path 'proto/gen/*' ! -path 'server/admin/*' \
    ! -path server/note.c ! -path server/engine/keep/record.c \
    ! -path '*/dialect/*' ! -name dialect.c >"$work/files"

# All of the code in one line, with calls that span lines closed up.
xargs cat <"$work/files" | tr '\n' ' ' | sed 's/  */ /g' >"$work/code"

# The names in string literals of what matches a pattern.
literals() {
    grep -oE "$1" "$work/code" | grep -oE '"[a-z]([a-z_]*[a-z])?"' | tr -d '"' | sort -u
}

# Calls that pack a string or look one up, and their wrappers: text, pack_text, pack_str, pack_uint,
# copy_text, get (of a named integer); and those of the catalogue.
literals '(fx_pack_str|fx_header_(get|str|uint|int|is)|fxe_reply_key|pack_text|copy_text|pack_str|pack_uint|pack_int|text|get|fxe_key_(int|real|text|name|array|has|wrong)|fxe_index_(of_key|lock)|fxe_publish_new)\([^;{}]*\)' \
    >"$work/keys"
literals 'struct fxe_operation fxe_[a-z_]+ = \{ ?"[a-z_]+"' >"$work/operations"
literals '\{ ?\{ ?"index_[a-z_]+"' >>"$work/operations"
sort -u "$work/operations" -o "$work/operations"
literals '(fxe_fail|fxs_answer_error|fxs_guest_refuse|refuse_waiting|refuse)\((r|s|f|c), ([a-z>-]+, )?"[a-z]+"' >"$work/kinds"
literals '\{ ?"[a-z]+", FAISSX_E_[A-Z]+' >>"$work/kinds"
literals 'static const char \*const ops\[\] = [^;]*;' >"$work/values"
literals '\} kinds\[\] = \{\{"range"[^;]*;' >>"$work/values"
literals '\} (known|types)\[\] = \{ ?\{"(nprobe|L2|flat)"[^;]*;' >>"$work/values"
sort -u "$work/keys" "$work/operations" "$work/kinds" "$work/values" >"$work/known"

# Code spans and the first words of the arrays in them: `ivf` and `["ivf", sel]`.
grep -oE '`[^`]+`' proto/wire.md | sed -nE 's/^`([a-z_]+)`$/\1/p; s/^`\["([a-z]+)".*/\1/p' | sort -u >"$work/words"

# The names that begin a table's row.
sed -nE 's/^\| `([a-z_]+)`.*/\1/p' proto/wire.md | sort -u >"$work/rows"

# Of each table's rows: the names that the document defines.  (A cell that names C's own words, or the
# parts of a value object, has them in other forms.)
sed -n 's/^| \(`.*\) |.*/\1/p; s/^|.* | \(`\["[a-z].*\) |$/\1/p' proto/wire.md | grep -oE '`[^`]+`' |
    sed -nE 's/^`([a-z_]+)`$/\1/p; s/^`\["([a-z]+)".*/\1/p' | sort -u >"$work/defined"

result() { # NUMBER NAME STATUS
    [ "$3" = 0 ] && echo "ok $1 - $2" || echo "not ok $1 - $2"
}
each_found() { # NUMBER NAME LIST IN
    comm -23 "$3" "$4" >"$work/lacking"
    [ -s "$3" ] && [ ! -s "$work/lacking" ]
    result "$1" "$2" $?
    sed 's/^/# not there: /' "$work/lacking"
}
echo 1..6
[ "$(wc -l <"$work/keys")" -gt 50 ] && [ "$(wc -l <"$work/operations")" -gt 15 ] && [ "$(wc -l <"$work/defined")" -gt 50 ]
result 1 "keys and operations are found in the code and in the document" $?
each_found 2 "every key that the code packs or looks up is in wire.md" "$work/keys" "$work/words"
each_found 3 "every operation of the engine has a row in wire.md" "$work/operations" "$work/rows"
sort -u "$work/kinds" -o "$work/kinds"
each_found 4 "every kind of error has a row in wire.md" "$work/kinds" "$work/rows"
sort -u "$work/values" -o "$work/values"
each_found 5 "every value object is in wire.md" "$work/values" "$work/words"
each_found 6 "everything that a table of wire.md defines is in the code" "$work/defined" "$work/known"
