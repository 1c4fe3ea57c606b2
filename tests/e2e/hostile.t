#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Index files that were truncated, changed, or made to name a file on the server.
. tests/e2e/lib.sh

# A file may claim to have more vectors than fit in memory; FAISS allocates memory for them
# before it reads.  Sanitizers need all of the address space.
[ -z "$SANITIZER_RUNTIME" ] || skip_all "not with a sanitizer"
limit=$(ulimit -v)
ulimit -v 3000000
start_server --threads 2
ulimit -v "$limit" 2>/dev/null

cat >"$TMP/make.c" <<'END'
#include "tests/e2e/client.h"
int main(int argc, char **argv)
{
    float *x = random_vectors(600, 8, 1);
    FaissIndex *index;
    MUST(faiss_index_factory(&index, 8, argv[1], METRIC_L2));
    MUST(faiss_Index_train(index, 600, x));
    MUST(faiss_Index_add(index, 40, x));
    MUST(faiss_write_index_fname(index, argv[2]));
    return argc != 3;
}
END
ok "the program that makes indexes compiles" ${CC:-gcc} -I. -D_GNU_SOURCE "$TMP/make.c" -o "$TMP/make" \
    "$FAISS_C" -Wl,-rpath,"$(dirname "$FAISS_C")"

# What each FAISS does is reported, not tested: old releases check little.
for type in Flat IVF4,Flat HNSW8,Flat IVF4,SQ8 IVF4,PQ4x4; do
    remote "$TMP/make" "$type" "$TMP/index" || fail "make $type"
    remote "$BUILD/tests/e2e/hostile" "$TMP/index" 40 100 >"$TMP/out" 2>&1
    is "$type: $(cat "$TMP/out")" $? 0
done

# Inverted lists on disk: the same index, but it claims that its lists are in a file.
remote "$TMP/make" IVF4,Flat "$TMP/index"
printf 'secret' >"$TMP/secret"
ondisk() {
    perl -e '
        my ($from, $to, $name) = @ARGV;
        local $/; open(my $f, "<", $from) or die; binmode $f; my $x = <$f>;
        my $at = index($x, "ilar"); $at >= 0 or die "no lists";
        my $lists = pack("Q", 4) . pack("QQQ", 1, 1, 0) x 4;
        my $tail = "ilod" . pack("QQ", 4, 32) . $lists . pack("Q", 0)
                 . pack("Q", length $name) . $name . pack("Q", 4096);
        open(my $o, ">", $to) or die; binmode $o; print $o substr($x, 0, $at) . $tail;' "$@"
}
landlocked() { grep -q 'event=sandbox files=none' "$SERVER_LOG"; }
cat >"$TMP/load.c" <<'END'
#include "tests/e2e/client.h"
int main(int argc, char **argv)
{
    FaissIndex *index;
    int rc = faiss_read_index_fname(argv[1], argc > 2 ? atoi(argv[2]) : 0, &index);
    printf("%d %s\n", rc, rc ? last_error() : "");
    return 0;
}
END
ok "the program that loads them compiles" ${CC:-gcc} -I. -D_GNU_SOURCE "$TMP/load.c" -o "$TMP/load" \
    "$FAISS_C" -Wl,-rpath,"$(dirname "$FAISS_C")"
if landlocked; then
    head -c 4096 /dev/zero >"$TMP/there"
    ondisk "$TMP/index" "$TMP/evil" "$TMP/there"
    like "inverted lists cannot be in a file on the server" "$(remote "$TMP/load" "$TMP/evil")" \
        '^-2 .*could not open .*Permission denied'
    like "not even to be read" "$(remote "$TMP/load" "$TMP/evil" 2)" \
        '^-2 .*could not open .*Permission denied'
    ok "in process they can" sh -c \
        "'$TMP/load' '$TMP/evil' | grep -q '^0 '"
else
    diag "no Landlock here: $(grep event=sandbox "$SERVER_LOG")"
fi
# FAISS reads a transform only from a file name: the server uses the name of a memfd.
cat >"$TMP/transform.c" <<'END'
#include "tests/e2e/cases.h"
int main(int argc, char **argv)
{
    FaissVectorTransform *t = NULL;
    begin_cases(1, argv);
    CODE(WORKS, F(read_VectorTransform_fname)(argv[argc - 1], &t));
    return end_cases();
}
END
perl -e 'print "VNrm", pack("fllC", 2, 8, 8, 1)' >"$TMP/transform"
ok "the program that loads a transform compiles" ${CC:-gcc} -I. -Itests/e2e -D_GNU_SOURCE "$TMP/transform.c" \
    -o "$TMP/load-transform" "$FAISS_C" -Wl,-rpath,"$(dirname "$FAISS_C")"
ok "a transform is loaded" remote "$TMP/load-transform" "$TMP/transform"

ok "the engine still works" remote "$TMP/make" Flat "$TMP/index"
ok "the server stops" stop_server
