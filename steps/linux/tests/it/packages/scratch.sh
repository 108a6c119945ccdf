set -e
folder=$1
root=$folder/merged
mount -t tmpfs tmpfs "$folder"
mkdir "$folder/upper" "$folder/work" "$root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$folder/upper,workdir=$folder/work" "$root"
mount --rbind /proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -t tmpfs tmpfs "$root/run"
mount -t tmpfs tmpfs "$root/tmp"
cd "$root"
rm -rf etc/apt var/lib/apt var/cache/apt var/lib/dpkg var/log/apt var/log/dpkg.log \
    var/lib/rpm usr/lib/sysimage/rpm var/lib/dnf var/cache/dnf var/log/dnf* etc/yum.repos.d etc/dnf/vars etc/zypp var/cache/zypp \
    var/lib/zypp var/log/zypp root/.rpmdb root/.rpmmacros
mkdir -p var/lib/rpm etc/rpm etc/apt/apt.conf.d etc/apt/preferences.d etc/apt/sources.list.d var/lib/apt/lists/partial \
    var/cache/apt/archives/partial var/log/apt var/lib/dpkg/info var/lib/dpkg/updates var/lib/dpkg/triggers etc/dnf/vars \
    etc/yum.repos.d etc/zypp/repos.d
: >var/lib/dpkg/status
: >var/lib/dpkg/available
printf 'deb [trusted=yes] file:///srv/apt ./\ndeb [trusted=yes] file:///srv/apt-security ./\n' >etc/apt/sources.list
echo '%_dbpath /var/lib/rpm' >etc/rpm/macros
echo 9 >etc/dnf/vars/releasever
printf '[main]\ngpgcheck=0\n' >etc/dnf/dnf.conf
printf '[base]\nname=base\nbaseurl=file:///srv/rpm\ngpgcheck=0\nenabled=1\n' >etc/yum.repos.d/base.repo
printf '[base]\nname=base\nbaseurl=file:///srv/rpm\ngpgcheck=0\nenabled=1\nautorefresh=0\ntype=rpm-md\n' >etc/zypp/repos.d/base.repo
echo ready
# Until the test is over.
exec cat
