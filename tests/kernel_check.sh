#!/bin/sh
# Build tests/kernel_check.c for a compiler and flags, run it, and print its hash,
# which is that of tests/kernel_check.golden on every machine and for every compiler.
# Usage: tests/kernel_check.sh DIRECTORY [FLAG...]
# Environment: CC, the compiler; RUN, an emulator to run the program with.
set -eu

kernel=$(cd "$(dirname "$0")/../kquant/kernel" && pwd)
check=$(cd "$(dirname "$0")" && pwd)/kernel_check.c
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

have=
levels=base
case $("$cc" -dumpmachine) in
x86_64*) levels="base v3 v4" ;;
esac
for level in $levels; do
    march=
    [ "$level" = base ] || march=-march=x86-64-$level
    for source in assign dither measure; do
        compile "$kernel/$source.c" "${source}_$level" "$@" $march -DKQ_LEVEL="$level"
    done
    have="$have -DKQ_HAVE_$(echo "$level" | tr '[:lower:]' '[:upper:]')"
done
for source in dispatch histogram space start tree update; do
    compile "$kernel/$source.c" "$source" "$@" $have
done
compile "$check" check "$@"
"$cc" "$@" $objects -lm -o "$build/check"
${RUN:-} "$build/check"
