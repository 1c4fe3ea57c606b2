#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The examples in proto/wire.md, sent to a server byte for byte: it answers with the bytes that are
# written there.
. tests/e2e/lib.sh
need_index IDMap2,Flat

# Of the chapter, one file for each example: N.json, N.sent (frames), N.bytes (both directions).
perl -ne '
    BEGIN { $dir = shift; $n = 0 }
    $in = 1 if /^### Examples of the catalogue/;
    $in = 0 if $in && /^## /;
    next unless $in && /^    /;
    if (/^    (\{.*)/) { $n++; save("json", "$1\n") }
    elsif (/^    ([<>] ?)([0-9a-f]*)$/) { push @lines, [substr($1, 0, 1), $2] }
    elsif (/^      ([0-9a-f]+)$/) { $lines[-1][1] .= $1 }
    else { die "wire.md: $_" }
    sub save { open my $f, ">", sprintf("%s/%03d.%s", $dir, $n + ($_[2] || 0), $_[0]); print $f $_[1] }
    sub flush {
        return unless @lines;
        save("bytes", join("", map { "$_->[0] $_->[1]\n" } @lines), $_[0]);
        save("sent", "hex:," . join(",", map { $_->[1] } grep { $_->[0] eq ">" } @lines), $_[0]);
        @lines = ();
    }
    BEGIN { $SIG{__DIE__} = sub { print STDERR @_; exit 1 } }
    flush(-1) if /^    \{/;
    END { flush(0) }' "$TMP" proto/wire.md || bail "the examples cannot be read"

ls "$TMP"/*.json >"$TMP/examples"
ok "wire.md has examples" test "$(wc -l <"$TMP/examples")" -ge 22
# shellcheck disable=SC2046 # a list of files
cat $(cat "$TMP/examples") | sed -n 's/.*"operation":"\([a-z_]*\)".*/\1/p' | sort -u >"$TMP/shown"
sed -n 's/^| `\(index_[a-z_]*\)`.*/\1/p' proto/wire.md | sort -u >"$TMP/rows"
same "every operation of the catalogue has one" "$TMP/shown" "$TMP/rows"

start_server
while read -r json; do
    example=${json%.json}
    # JSON, so that both forms of the request are the same.
    RAW_HEX=1 raw "$(cat "$json")" >"$TMP/got"
    same "$(sed 's/.*"operation":"\([a-z_]*\)".*/\1/' "$json") (${example##*/}) as JSON" "$TMP/got" "$example.bytes"
done <"$TMP/examples"

start_server
while read -r json; do
    example=${json%.json}
    RAW_HEX=1 raw "$(cat "$example.sent")" >"$TMP/got"
    same "$(sed 's/.*"operation":"\([a-z_]*\)".*/\1/' "$json") (${example##*/}) as bytes" "$TMP/got" "$example.bytes"
done <"$TMP/examples"
