#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Programs that read the same index file share one index in the engine, until one of them changes it.
. tests/e2e/lib.sh

own="$BUILD/tests/e2e/share" # linked with the real library: what it finds without a server
client() { remote "$own" "$@"; }
local_answer() { "$own" "$@" | tail -n 1 | sed 's/^[^:]*: //'; }
result() { sed 's/^.*: //'; }
# settled FILE...: their times tell if they are changed from now on.
settled() {
    for fx_file; do
        until [ $(($(stat -c %Z "$fx_file") + 3)) -lt "$(date +%s)" ]; do sleep 0.2; done
    done
}
resident() { awk '/^Rss(Anon|Shmem):/ { kb += $2 } END { print kb }' "/proc/$(stat_of pid)/status"; }

ivf=$TMP/ivf pre=$TMP/pre flat=$TMP/flat bits=$TMP/bits
"$own" "make $ivf 900000 IVF64,Flat" "make $pre 40000 PCA16,IVF64,Flat" "make $flat 40000 Flat" \
    "make $bits 1000000 binary" "make $TMP/unread 300000 IVF16,Flat" >"$TMP/made" || bail "cannot make the files"
like "the file has some 64 MB" "$(($(stat -c %s "$ivf") >> 20))" '^6[0-9]$'
kb=$(($(stat -c %s "$ivf") >> 10))
wanted=$(local_answer "read 0 $ivf" 'search 0')
settled "$ivf" "$pre" "$flat" "$bits"

# --- eight processes at the same time ---

start_server
client 'search 0' >/dev/null # the engine is there
before=$(resident)
all='1 2 3 4 5 6 7 8'
for i in $all; do talk r$i; done
for i in $all; do tell r$i "read 0 $ivf"; done
for i in $all; do is "process $i reads the file" "$(hear r$i)" ok; done
for i in $all; do is "process $i finds what it would find in process" "$(ask r$i 'search 0')" "$wanted"; done
is "there is one index" "$(stat_of shared)" 1
is "with a handle for each" "$(stat_of shared_handles)" 8
is "seven did not send it" "$(stat_of known)" 7
sum=0
for i in $all; do sum=$((sum + $(ask r$i 'written') / 1024)); done
ok "the file was sent once ($sum KB of $kb)" [ $sum -ge $kb -a $sum -lt $((kb * 3 / 2)) ]
case $BUILD in
*-address | *-thread) ;;
*)
    after=$(resident)
    ok "the engine has it once ($before KB before, $after KB after)" [ $((after - before)) -lt $((kb * 13 / 10)) ]
    ;;
esac

# --- changes ---

# change NAME FILE COMMAND...: r1 reads the file and executes the commands; it then finds what it
# would find in process, and r2, which reads the same file, finds what it found before.
change() {
    fx_change=$1 fx_file=$2
    shift 2
    fx_before=$(local_answer "read 1 $fx_file" 'search 1')
    fx_after=$(local_answer "read 1 $fx_file" "$@" 'search 1')
    ask r1 "read 1 $fx_file" >/dev/null
    ask r2 "read 1 $fx_file" >/dev/null
    fx_copies=$(stat_of copies)
    for fx_command; do ask r1 "$fx_command" >/dev/null; done
    is "$fx_change: it has its effect" "$(ask r1 'search 1')" "$fx_after"
    ok "$fx_change: the effect can be seen" [ "$fx_before" != "$fx_after" ]
    is "$fx_change: the other one finds the same as before" "$(ask r2 'search 1')" "$fx_before"
    is "$fx_change: the index was copied" "$(stat_of copies)" $((fx_copies + 1))
    ask r1 'free 1' >/dev/null
    ask r2 'free 1' >/dev/null
}
change "add" "$ivf" 'add 1 20'
change "remove" "$flat" 'drop 1 39000'
change "reset" "$flat" 'reset 1'
change "nprobe, through a cast" "$ivf" 'nprobe 1 20'
change "nprobe of a part that is borrowed" "$pre" 'part 1 20'
change "becoming a part of another index" "$flat" 'inside 1'
is "the eight still find the same" \
    "$(for i in $all; do ask r$i 'search 0'; done | sort -u)" "$wanted"
is "setting own_fields makes a copy, too" "$(ask r2 'own 0 0'; ask r2 'search 0')" "ok
$wanted"
is "only those files are shared that are still read" "$(stat_of shared)" 1

# Two copies at the same time, while others search.
ask r1 "read 1 $ivf" >/dev/null
ask r1 "read 2 $ivf" >/dev/null
added=$(local_answer "read 1 $ivf" 'add 1 3' 'search 1')
tell r1 'both 1 2'
for i in 3 4 5 3 4 5; do is "process $i searches meanwhile" "$(ask r$i 'search 0')" "$wanted"; done
is "two handles are changed at the same time" "$(hear r1)" ok
is "each has its own change" "$(ask r1 'search 1'; ask r1 'search 2')" "$added
$added"
ask r1 'free 1' >/dev/null
ask r1 'free 2' >/dev/null

# The first reader ends, and one is killed.
tell r1 abort
tell r2 abort
gone_both() { gone "$PID_r1" && gone "$PID_r2"; }
ok "the first reader ends" wait_for gone_both
is "the others go on" "$(for i in 3 4 5 6 7 8; do ask r$i 'search 0'; done | sort -u)" "$wanted"
for i in 3 4 5 6 7; do ask r$i 'free 0' >/dev/null; done
is "one is left, which changes the index" "$(ask r8 'add 0 3'; ask r8 'search 0')" "ok
$added"

# --- other content, other ways of reading ---

old=$(local_answer "read 0 $flat" 'search 0')
is "a file is read" "$(ask r8 "read 1 $flat"; ask r8 'search 1')" "ok
$old"
cp -p "$flat" "$TMP/times"
dd if=/dev/zero of="$flat" bs=4096 seek=101 count=20 conv=notrunc 2>/dev/null
touch -r "$TMP/times" "$flat"
is "it has the same size and time when it was changed in place" "$(stat -c '%s %y %i' "$flat")" \
    "$(stat -c '%s %y' "$TMP/times") $(stat -c %i "$flat")"
new=$(local_answer "read 0 $flat" 'search 0')
ok "and other content" [ "$old" != "$new" ]
is "the new content is read" "$(ask r8 "read 2 $flat"; ask r8 'search 2')" "ok
$new"
settled "$flat"
is "also later" "$(ask r7 "read 2 $flat"; ask r7 'search 2')" "ok
$new"
is "who has read the old content still has it" "$(ask r8 'search 1')" "$old"
known=$(stat_of known)
cp "$flat" "$TMP/copy"
is "a copy of the file is not sent again" "$(ask r6 "read 2 $TMP/copy"; ask r6 'search 2'; stat_of known)" "ok
$new
$((known + 1))"
mv "$TMP/times" "$flat"
is "a file that was replaced is read anew" "$(ask r6 "read 2 $flat"; ask r6 'search 2')" "ok
$old"

size=$(stat -c %s "$pre")
is "a stream is read to its end" "$(ask r7 "stream 3 $pre"; ask r7 'search 3')" \
    "ok at $size
$(local_answer "read 0 $pre" 'search 0')"
known=$(stat_of known)
is "a second one is not sent, and stands at the end, too" "$(ask r8 "stream 3 $pre"; stat_of known)" \
    "ok at $size
$((known + 1))"
is "it finds the same" "$(ask r8 'search 3')" "$(ask r7 'search 3')"
cat "$pre" "$flat" >"$TMP/two"
is "of two indexes in a stream, the first is read" "$(ask r7 "stream 4 $TMP/two"; ask r7 'search 4')" \
    "ok at $size
$(ask r7 'search 3')"

shared=$(stat_of shared)
is "with other io_flags it is another index" "$(ask r7 "flags 4 2 $pre"; stat_of shared)" "ok
$((shared + 1))"
if has faiss_read_index_binary; then
    is "binary indexes" "$(ask r7 "read 5 $bits"; ask r8 "read 5 $bits"; stat_of shared)" "ok
ok
$((shared + 2))"
    binary=$(local_answer "read 5 $bits" 'search 5')
    is "find the same" "$(ask r7 'search 5'; ask r8 'search 5')" "$binary
$binary"
    is "one is changed" "$(ask r7 'add 5 3'; ask r7 'search 5')" "ok
$(local_answer "read 5 $bits" 'add 5 3' 'search 5')"
    is "the other is not" "$(ask r8 'search 5')" "$binary"
fi

# A published index is not one of a file any more.
ask r3 "read 1 $pre" >/dev/null
ask r4 "read 1 $pre" >/dev/null
is "what was read is published and changed" \
    "$({ ask r3 'write 1 faissx://name'; client 'read 0 faissx://name' 'add 0 50'; } | result)" "ok
ok
ok"
is "the change is seen by its name, and not by readers of the file" \
    "$(ask r3 'search 1'; ask r4 'search 1')" "$(local_answer "read 1 $pre" 'add 1 50' 'search 1')
$(local_answer "read 1 $pre" 'search 1')"

# --- questions of other clients ---

session() { value session "$(raw '{"operation":"hello","protocol":1}')"; }
one=$(session) two=$(session)
known() { raw '{"operation":"load_known","session":"'"$1"'","class":"Index",'"$2"'}'; }
known=$(stat_of known)
is "who asks for what is not there is to send it" "$(known "$one" '"hash":"0123456789abcdef"')" \
    '{"_frames":[],"request_id":0,"status":"ok"}'
not_waiting() { ! known "$two" '"hash":"0123456789abcdef"' | grep -q '"wait"'; }
ok "nobody waits for a client that has gone" wait_for not_waiting
like "a name of another size is refused" "$(known "$one" '"hash":"0123"')" '"protocol"'
like "so is a question without a name" "$(known "$one" '"flags":0')" '"protocol"'
like "and one for a transform" "$(raw '{"operation":"load_known","session":"'"$one"'","class":"VectorTransform",
    "hash":"0123456789abcdef"}')" '"status":"error"|^{"_frames":\[\],"request_id":0,"status":"ok"}$'
is "nothing more is known" "$(stat_of known)" "$known"

# --- over a network ---

DIRECT=$SERVER
"$BUILD/tests/e2e/proxy" "$(port=$(free_port); echo "$port" | tee "$TMP/port")" "${DIRECT#ipc://}" "$TMP/control" &
fx_servers="$fx_servers $!"
wait_for test -S "$TMP/control"
proxy() {
    perl -MIO::Socket::UNIX -e 'my $s = IO::Socket::UNIX->new(Peer => shift) or die "no proxy\n";
        for (@ARGV) { print $s "$_\n"; $s->flush; print scalar <$s> }' "$TMP/control" "$@"
}
sent() { proxy count | awk '{ print int($1 / 1024) }'; }
SERVER=tcp://127.0.0.1:$(cat "$TMP/port")
talk far
talk farther
sent >/dev/null
is "a client on another host reads a file that the server has had" "$(ask far "read 0 $pre"; ask far 'search 0')" \
    "ok
$(local_answer "read 0 $pre" 'search 0')"
ok "and does not send it" [ "$(sent)" -lt 64 ]
unread=$(local_answer "read 0 $TMP/unread" 'search 0')
is "one that it has not had" "$(ask far "read 0 $TMP/unread"; ask far 'search 0')" "ok
$unread"
ok "is sent" [ "$(sent)" -ge $(($(stat -c %s "$TMP/unread") >> 10)) ]
cp "$TMP/unread" "$TMP/other-host" # which has a file of its own with this content
is "by the first one only" "$(ask farther "read 0 $TMP/other-host"; ask farther 'search 0')" "ok
$unread"
ok "and not by the second" [ "$(sent)" -lt 64 ]
SERVER=$DIRECT
ok "the server stops" stop_server

# --- no memory for a copy ---

case $BUILD in
*-address | *-thread) ;;
*)
    start_server --memory 190 # for two of its size, and no third
    talk m1
    talk m2
    is "two read the file" "$(ask m1 "read 0 $ivf"; ask m2 "read 0 $ivf"; ask m2 "flags 1 2 $ivf")" "ok
ok
ok"
    like "a change that needs a copy is refused" "$(ask m1 'add 0 3')" \
        '^-4 .*faiss_Index_add: other readers of the same file use this index.*no memory for a copy; nothing was changed'
    is "nothing has changed" "$(ask m1 'search 0'; ask m2 'search 0')" "$wanted
$wanted"
    ask m2 'free 0' >/dev/null
    is "the last reader needs no copy" "$(ask m1 'nprobe 0 20'; ask m1 'search 0')" "ok
$(local_answer "read 0 $ivf" 'nprobe 0 20' 'search 0')"
    ok "the server stops" stop_server
    ;;
esac

# --- with a data directory ---

start_server --data-dir "$TMP/data" --keep sessions
talk k1
talk k2
is "with --keep sessions each has its own" "$(ask k1 "read 0 $pre"; ask k2 "read 0 $pre"; stat_of shared)" "ok
ok
0"
is "which can be changed" "$(ask k1 'add 0 50'; ask k1 'search 0'; ask k2 'search 0')" "ok
$(local_answer "read 1 $pre" 'add 1 50' 'search 1')
$(local_answer "read 1 $pre" 'search 1')"

# --- flags by which FAISS maps the file ---

start_server
for flags in 1684996104 512; do # IO_FLAG_MMAP, IO_FLAG_MMAP_IFC
    for file in "$ivf" "$flat"; do
        is "flags $flags: an index finds what it finds in process" \
            "$(client "flags 0 $flags $file" 'search 0' | result)" "ok
$(local_answer "flags 0 $flags $file" 'search 0')"
    done
    is "flags $flags: it can be changed" "$(client "flags 0 $flags $flat" 'add 0 50' 'search 0' | result)" "ok
ok
$(local_answer "read 0 $flat" 'add 0 50' 'search 0')"
    client "flags 0 $flags $ivf" "write 0 $TMP/written" >/dev/null
    same "flags $flags: the file that is written from it is whole" "$TMP/written" "$ivf"
done
