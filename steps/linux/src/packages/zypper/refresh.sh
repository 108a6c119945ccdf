
locked() { [ "$1" -eq 7 ]; }
try() { zypper -n refresh </dev/null; }
patiently try
