#!/usr/bin/perl
# SPDX-License-Identifier: Apache-2.0
# A server that stops: peer.pl SOCKET STAGE.  It speaks ZMTP as far as STAGE, and then falls
# silent, or closes the connection where STAGE begins with "close-".
#
#     accept, greeting, ready      never answers hello
#     delimiter, header            stops within its answer to hello
#     hello                        answers hello, and creates indexes; answers no other call
#     reply, array                 stops within the header of a reply, before the array of a reply
#     made                         says that it ran out of memory when the call had been made
use strict;
use warnings;
use IO::Socket::UNIX;

$SIG{PIPE} = 'IGNORE';
my ($path, $stage) = @ARGV;
my $close = $stage =~ s/^close-//;
# The socket gets its name when it listens: a test connects as soon as there is one.
my $listen = IO::Socket::UNIX->new(Local => "$path.new", Listen => 16) or die "$path: $!";
rename("$path.new", $path) or die "$path: $!";
my @silent;

while (my $c = $listen->accept) {
    serve($c);
    push @silent, $c unless $close;
}

sub frame { my ($more, $body) = @_; return pack('CC/a*', $more, $body) }
sub command { my ($body) = @_; return pack('CC/a*', 4, $body) }

# A msgpack map of text keys; the values are packed already.
sub header {
    my @pairs = @_;
    my $out = pack('C', 0x80 | @pairs / 2);
    while (my ($key, $value) = splice @pairs, 0, 2) { $out .= text($key) . $value }
    return $out;
}
sub text { my ($s) = @_; return pack('CC/a*', 0xd9, $s) }

# The next message: its header.
sub message {
    my ($c) = @_;
    my @frames;
    while (1) {
        my $flags = ord take($c, 1);
        my $size = $flags & 2 ? unpack('Q>', take($c, 8)) : ord take($c, 1);
        my $body = take($c, $size);
        next if $flags & 4;
        push @frames, $body;
        return $frames[1] unless $flags & 1;
    }
}
sub take {
    my ($c, $n) = @_;
    my $buf = '';
    while (length $buf < $n) {
        sysread($c, $buf, $n - length $buf, length $buf) or die "end\n";
    }
    return $buf;
}

sub serve {
    my ($c) = @_;
    eval {
        return if $stage eq 'accept';
        my $greeting = "\xff" . "\0" x 8 . "\x7f\3\0NULL";
        print $c $greeting . "\0" x (64 - length $greeting);
        $c->flush;
        take($c, 64);
        return if $stage eq 'greeting';
        print $c command("\5READY\13Socket-Type" . pack('N/a*', 'ROUTER'));
        $c->flush;
        while (1) { return unless answer($c, message($c)) }
    };
}

sub answer {
    my ($c, $request) = @_;
    my ($operation) = $request =~ /operation.(?:\xd9.)?(\w+?)\W*request_id/s;
    my ($id) = $request =~ /request_id(\xcf.{8}|\xce.{4}|\xcd..|\xcc.|.)/s;
    return 0 if $stage eq 'ready';
    my @ok = (status => text('ok'), request_id => $id);
    my $reply;
    if ($operation =~ /hello/) {
        $reply = header(@ok, session => "\xc4\x10" . 'x' x 16);
        print $c frame(1, '');
        $c->flush;
        return 0 if $stage eq 'delimiter';
        print $c $stage eq 'header' ? substr(frame(0, $reply), 0, 20) : frame(0, $reply);
        $c->flush;
        return $stage ne 'header';
    }
    if ($operation =~ /index_factory/) {
        print $c frame(1, '') . frame(0, header(@ok, out => "\x91\x93\1\x10\1"));
        $c->flush;
        return 1;
    }
    if ($stage eq 'made') {
        print $c frame(1, ''), frame(0, header(status => text('error'), request_id => $id,
            code => "\xfc", made => "\1", kind => text('limit'), message => text('faissx: out of memory')));
        $c->flush;
        return 1;
    }
    print $c frame(1, '') . substr(frame(0, header(@ok)), 0, 10) if $stage eq 'reply';
    print $c frame(1, '') . frame(1, header(@ok)) if $stage eq 'array';
    $c->flush;
    return 0;
}
