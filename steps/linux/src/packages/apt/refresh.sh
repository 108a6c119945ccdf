
# A list that cannot be fetched is an error: what is not known would look as if it were not there.
try() {
    apt-get -q -o APT::Color=0 -o APT::Update::Error-Mode=any -o Acquire::Retries=2 \
        -o "DPkg::Lock::Timeout=$(left)" update </dev/null
}
patiently try
