# Debian releases to build and test packages in; sourced by build-deb and test-deb, at the top of the
# checkout. A base is made once below build/deb and never written to again: each use gets a layer of
# its own on top, so what it sees is clean.

deb_home=build/deb

# chroot_sources SUITE: lines of sources.list: what this host has of its own release, of SUITE instead.
chroot_sources() {
  local codename
  codename=$(. /etc/os-release && echo "$VERSION_CODENAME")
  apt-get indextargets --format '$(RELEASE) $(COMPONENT) $(SITE)' \
    'Created-By: Packages' 'Origin: Debian' |
    sed -nE "s,^$codename(-updates|-security)? (main) (.*),deb \3 $1\1 \2,p" | sort -u
}

# chroot_make SUITE DIRECTORY PACKAGE...: complete, or not at all.
chroot_make() {
  local suite=$1 root=$2 aside=$2.unfinished log=$2.log
  shift 2
  rm -rf --one-file-system "$aside"
  tests/packages/install debian13
  if [[ -z $(chroot_sources "$suite") ]]; then apt-get -qq update; fi
  if [[ -z $(chroot_sources "$suite") ]]; then
    echo "$0: this host's apt has no Debian source to take the mirror from" >&2
    return 1
  fi
  apt-config dump | grep -E '^Acquire::(http|https|ftp|Check-Date|Check-Valid-Until|Retries)\b' \
    >"$root.apt" || true # this host's proxies and the like
  chroot_sources "$suite" | unshare --mount --propagation private mmdebstrap --mode=root \
    --variant=apt --keyring=/usr/share/keyrings/debian-archive-keyring.gpg --aptopt="$root.apt" \
    --dpkgopt=force-unsafe-io --include="$(IFS=, && echo "$*")" --skip=cleanup/apt/lists \
    "$suite" "$aside" - >"$log" 2>&1 || { tail -n 40 "$log" >&2; return 1; }
  sync --file-system "$aside" # dpkg did not
  mv "$aside" "$root"
}

# chroot_base SUITE PURPOSE PACKAGE...: prints the directory of a base; makes it if it is not there, or
# if the packages changed. For newer packages remove build/deb.
chroot_base() {
  local suite=$1 purpose=$2 root making
  shift 2
  root=$deb_home/$suite-$purpose-$(echo "$*" | sha256sum | cut -c1-16)
  mkdir -p "$deb_home"
  exec {making}>"$root.lock"
  flock "$making"
  if [[ ! -d $root ]]; then
    echo "making a $suite for: $purpose" >&2
    chroot_make "$suite" "$root" "$@" >&2
  fi
  exec {making}>&-
  echo "$root"
}

# chroot_enter BASE SHARED COMMAND...: runs COMMAND in BASE, where everything may be written to and all
# but SHARED (a directory, there as /shared) is gone afterwards.
chroot_enter() {
  local base=$1 shared=$2
  shift 2
  unshare --mount --pid --fork --kill-child --propagation private \
    bash -euc "$chroot_inside" inside "$base" "$shared" "$@"
}

chroot_inside='
base=$(realpath "$1") shared=$(realpath "$2")
shift 2
layer=$(mktemp -d)
mount -t tmpfs layer "$layer"
mkdir "$layer"/{upper,work,root}
mount -t overlay forcetls -o "lowerdir=$base,upperdir=$layer/upper,workdir=$layer/work" "$layer/root"
cd "$layer/root"
mkdir -p shared
mount --bind "$shared" shared
mount -t proc proc proc
mount --rbind /dev dev
mount -t tmpfs -o mode=1777 tmp tmp
mount -t tmpfs -o mode=0755 run run
cache=()
if [[ -n ${FORCETLS_DEB_CCACHE:-} ]]; then
  mkdir -p ccache
  mount --bind "$FORCETLS_DEB_CCACHE" ccache
  cache=(CCACHE_DIR=/ccache CMAKE_CXX_COMPILER_LAUNCHER=ccache)
fi
cp --remove-destination /etc/resolv.conf etc/resolv.conf
printf "#!/bin/sh\nexit 101\n" >usr/sbin/policy-rc.d
chmod 0755 usr/sbin/policy-rc.d
exec chroot . env -i --chdir=/shared HOME=/root LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
  DEB_BUILD_OPTIONS="${DEB_BUILD_OPTIONS:-}" "${cache[@]}" \
  PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$@"
'
