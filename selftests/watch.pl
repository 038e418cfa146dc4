# SPDX-License-Identifier: GPL-2.0-only
# A memory manager for tests: watch.pl SOCKET CONDITION COMMAND...
# Watches the VM at SOCKET, runs COMMAND when that has been answered, takes events until
# CONDITION, of Perl, is true of a sample $s, and prints that.  The lab's time-out ends a
# wait for nothing.
use strict;
use warnings;
use IO::Socket::UNIX;
use JSON::PP;

my ($path, $condition, @command) = @ARGV;
my $is_it = eval "sub { my \$s = shift; $condition }" or die "$condition: $@";
my $vm = IO::Socket::UNIX->new(Peer => $path) or die "$path: $!\n";
print $vm "{\"version\":1,\"id\":1,\"command\":\"watch\",\"interval_ms\":20}\n";
$vm->flush;
my $answer = decode_json(scalar <$vm>);
die "watch: $answer->{error}{message}\n" unless $answer->{ok};
system(@command) and exit 1;
while (<$vm>) {
	my $line = decode_json($_);
	die "no event: $_" unless ($line->{event} // '') eq 'sample';
	next unless $is_it->($line->{sample});
	print;
	exit 0;
}
die "the VM has gone\n";
