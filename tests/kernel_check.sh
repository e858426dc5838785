#!/bin/sh
# Build tests/kernel_check.c for a compiler and flags, run it, and print its hash,
# which is that of tests/kernel_check.golden on every machine and for every compiler.
# Usage: tests/kernel_check.sh DIRECTORY [FLAG...]
# Environment: CC, the compiler; RUN, an emulator to run the program with.
set -eu

root=$(cd "$(dirname "$0")/.." && pwd)
kernel=$root/kquant/kernel
build=$1
shift
mkdir -p "$build"
cc=${CC:-cc}

objects=

compile() { # SOURCE OBJECT FLAG...
    from=$1
    to=$build/$2.o
    shift 2
    "$cc" -std=c11 -O2 -Wall -Wextra -ffp-contract=off -I"$kernel" "$@" -c "$from" -o "$to"
    objects="$objects $to"
}

# The files of a list in meson.build, without folder and ending.
listed() { # LIST
    sed -n "/^$1 = files(\$/,/^)/s:.*'kquant/kernel/\(.*\)\.c'.*:\1:p" \
        "$root/meson.build"
}

leveled=$(listed leveled_sources)
sources=$(listed sources)
test "$leveled" && test "$sources"

have=
levels=base
case $("$cc" -dumpmachine) in
x86_64*) levels="base v3 v4" ;;
esac
for level in $levels; do
    march=
    [ "$level" = base ] || march=-march=x86-64-$level
    for source in $leveled; do
        compile "$kernel/$source.c" "${source}_$level" "$@" $march -DKQ_LEVEL="$level"
    done
    have="$have -DKQ_HAVE_$(echo "$level" | tr '[:lower:]' '[:upper:]')"
done
for source in $sources; do
    compile "$kernel/$source.c" "$source" "$@" $have
done
# The example in the header's comment.
sed -n '/^    enum { H/,/^    }$/s/^    //p' "$kernel/kquant.h" > "$build/example.h"
compile "$root/tests/kernel_check.c" check -I"$build" "$@"
"$cc" "$@" $objects -lm -o "$build/check"
${RUN:-} "$build/check"
