#!/bin/sh
# A plan's shares on several machines through GNU parallel and ssh, then the merge here.
#
#   parallel.sh /nas/ep01.plan 8 pc1 pc2 :
#
# Machines are what ssh calls them, `:` is this one; each does one share at a time. All
# see the plan and the source under the same names (else add --path-map FROM=TO to `run`)
# and have progression-boost on the PATH of a plain ssh command. A share that fails is
# tried on another machine.
set -eu
plan=$1 shards=$2
shift 2
machines=$(printf '%s,' "$@")
seq "$shards" | parallel --jobs 1 --retries 3 --tag --sshlogin "${machines%,}" ${PARALLEL_OPTIONS:-} \
    progression-boost run "$plan" --shard "{}/$shards"
exec progression-boost merge "$plan"
