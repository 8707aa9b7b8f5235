#!/usr/bin/env bash
# Runs the drivers of examples/cluster/ for real, on this machine alone: a Slurm of one
# node with four slots and GNU parallel, through an sshd on loopback as well. The
# Kubernetes file is only checked against its schema. Needs root on Debian, and a built
# program with what scripts/setup.sh installs; everything that is started here is ended
# again. No part of scripts/test.sh.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/lib/common.sh
. scripts/lib/packages.sh

case $(uname -s):$(id -u):$(package_manager) in
Linux:0:apt-get) ;;
*) die "a Slurm of its own takes root on Debian" ;;
esac
program=$PWD/target/release/progression-boost
[ -x "$program" ] || die "$program is missing; run \`cargo build --release\`"
wanted=(slurm-wlm munge parallel openssh-server)
for package in "${wanted[@]}"; do
    dpkg -s "$package" >/dev/null 2>&1 || missing+=("$package")
done
# Nothing of them is to be started by the installation.
if [ -n "${missing[*]-}" ]; then
    policy=/usr/sbin/policy-rc.d
    [ -e "$policy" ] || { printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy" && ours=$policy; }
    install_packages "the cluster test" "${missing[@]}"
    [ -z "${ours-}" ] || rm -f "$ours"
fi

export PATH=$PWD/target/release:$PWD/.venv/bin:$PATH
VSSCRIPT_PATH=$(vapoursynth get-vsscript)
export VSSCRIPT_PATH
room=$(mktemp -d "${TMPDIR:-/tmp}/progression-boost-cluster.XXXXXX")
started=()

tidy() {
    local status=$?
    local log
    for log in "$room"/*.log "$room"/work/*.out; do
        [ "$status" -eq 0 ] || { say "$log:" && tail -n 15 "$log"; } >&2 || true
    done
    [ ${#started[@]} -eq 0 ] || kill "${started[@]}" 2>/dev/null || true
    [ ${#started[@]} -eq 0 ] || wait "${started[@]}" 2>/dev/null || true
    rm -rf "$room"
    exit "$status"
}
trap tidy EXIT
trap 'exit 130' INT TERM

# begin NAME COMMAND…: starts a server that is ended with this script.
begin() {
    local name=$1
    shift
    "$@" >"$room/$name.log" 2>&1 &
    started+=($!)
}

# until_true SECONDS COMMAND…
until_true() {
    local end=$((SECONDS + $1))
    shift
    until "$@" >/dev/null 2>&1; do
        [ $SECONDS -lt $end ] || die "\`$*\` is not true yet"
        sleep 0.3
    done
}

mkdir -p "$room/work" "$room/state" "$room/spool"
chmod 755 "$room"
cd "$room/work"
cat >clip.vpy <<'END'
import vapoursynth as vs
core = vs.core
def shot(light, dark, size, length, step):
    one = core.std.BlankClip(format=vs.YUV420P8, width=size, height=96, length=1, color=light)
    bars = core.std.StackHorizontal([one, core.std.BlankClip(one, color=dark)] * (320 // size))
    moving = core.std.Loop(bars, length)
    return moving.std.CropAbs(128, 96).std.FrameEval(
        lambda n: core.std.CropAbs(moving, 128, 96, left=n * step % 64 // 2 * 2))
clip = shot([60, 90, 140], [40, 120, 120], 16, 120, 3) + shot([200, 128, 128], [120, 150, 100], 8, 120, 2)
clip += shot([150, 100, 160], [140, 90, 170], 40, 120, 5)
clip.std.AssumeFPS(fpsnum=24, fpsden=1).set_output()
END
settings=(--preset ssimu2-mean --probing-preset 12 --final-preset 10 --lp 1 --target 84
    --set metric.backend=native --set model.calibrate=2
    --set scenes.target_split=16 --set scenes.extra_split=24)
say "One machine"
quietly progression-boost clip.vpy "${settings[@]}" --workers 1 -o one.json

plan() {
    rm -rf clip.plan merged.json
    progression-boost plan clip.vpy -o clip.plan --scenes merged.json --shards 4 "${settings[@]}" >plan.out 2>&1 ||
        { cat plan.out >&2 && return 1; }
}
same() {
    cmp one.json merged.json || die "$1: the merged scenes file is another one"
    say "$1: the merged scenes file is the one of one machine"
}

say "Slurm $(dpkg-query -W -f '${Version}' slurmctld): one node with four slots"
# munged insists on folders that only its user can write to.
mkdir -m 700 "$room/key"
mkdir -m 755 "$room/munge"
dd if=/dev/urandom of="$room/key/munge.key" bs=1024 count=1 status=none
chmod 600 "$room/key/munge.key"
begin munged munged --foreground --force --key-file "$room/key/munge.key" --socket "$room/munge/socket" \
    --pid-file "$room/munge/pid" --log-file "$room/munge/log" --seed-file "$room/munge/seed"
host=$(hostname -s)
cat >"$room/slurm.conf" <<END
ClusterName=test
SlurmctldHost=$host
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$room/munge/socket
CredType=cred/munge
SlurmctldPort=16817
SlurmdPort=16818
StateSaveLocation=$room/state
SlurmdSpoolDir=$room/spool
SlurmctldPidFile=$room/slurmctld.pid
SlurmdPidFile=$room/slurmd.pid
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
NodeName=$host CPUs=4 State=UNKNOWN
PartitionName=main Nodes=$host Default=YES MaxTime=INFINITE State=UP
END
export SLURM_CONF=$room/slurm.conf
until_true 20 munge -S "$room/munge/socket" -n
begin slurmctld slurmctld -D -f "$room/slurm.conf"
begin slurmd slurmd -D -f "$room/slurm.conf"
until_true 60 sh -c 'sinfo -h -o %T | grep -q idle'

state_of() { squeue -h -t all -j "$1" -o %T 2>/dev/null | head -n 1; }
is() { [ "$(state_of "$1")" = "$2" ]; }

plan
say "Slurm: an array of four, whose second task is killed"
drivers=$OLDPWD/examples/cluster
job=$(sbatch --parsable --array=1-4 --output=boost-%a.out "$drivers/boost.slurm" "$room/work/clip.plan")
merge() { sbatch --parsable --dependency="$1" --output="$2" "$drivers/merge.slurm" "$room/work/clip.plan"; }
early=$(merge "afterany:$job" early.out)
until_true 120 is "${job}_2" RUNNING
# In the middle of its work: its journal is there.
until_true 120 sh -c 'ls clip.plan/journals/2-of-4.*.ndjson'
scancel "${job}_2"
until_true 300 is "$early" FAILED
say "task 2 is $(state_of "${job}_2"), and the merge says:"
sed 's/^/    /' early.out
grep -q -- '--shard 2/4' early.out || die "the merge does not say how to make what is missing"
say "Slurm: the second task is requeued"
scontrol requeue "${job}_2"
scontrol update JobId="${job}_2" StartTime=now
late=$(merge "afterany:$job" late.out)
until_true 300 is "$late" COMPLETED
[ "$(find clip.plan/journals -name '2-of-4.*' | wc -l)" -ge 2 ] || die "task 2 was not run twice"
tail -n 1 boost-2.out
same "Slurm"

say "GNU parallel $(dpkg-query -W -f '${Version}' parallel)"
mkdir -p "$room/home/.parallel"
touch "$room/home/.parallel/will-cite"
plan
HOME=$room/home quietly "$drivers/parallel.sh" "$room/work/clip.plan" 4 :
same "GNU parallel on this machine"

plan
ssh-keygen -q -t ed25519 -N '' -f "$room/key/host"
ssh-keygen -q -t ed25519 -N '' -f "$room/key/user"
cp "$room/key/user.pub" "$room/key/authorized"
cat >"$room/sshd.conf" <<END
Port 16822
ListenAddress 127.0.0.1
HostKey $room/key/host
AuthorizedKeysFile $room/key/authorized
StrictModes no
UsePAM no
PermitRootLogin prohibit-password
PidFile $room/sshd.pid
SetEnv PATH=$PATH VSSCRIPT_PATH=$VSSCRIPT_PATH
END
mkdir -p /run/sshd
begin sshd /usr/sbin/sshd -D -e -f "$room/sshd.conf"
cat >"$room/ssh" <<END
#!/bin/sh
exec ssh -p 16822 -i '$room/key/user' -o IdentitiesOnly=yes -o StrictHostKeyChecking=no \\
    -o UserKnownHostsFile='$room/known' -o LogLevel=ERROR "\$@"
END
chmod +x "$room/ssh"
until_true 20 "$room/ssh" 127.0.0.1 true
HOME=$room/home PARALLEL_SSH=$room/ssh quietly "$drivers/parallel.sh" "$room/work/clip.plan" 4 127.0.0.1
same "GNU parallel through ssh"

say "Kubernetes: the Job against its schema, and no more than that"
python3 -m venv "$room/venv"
quietly "$room/venv/bin/pip" install -q kubernetes-validate
sed 's|@PLAN@|/nas/ep01.plan|; s|@SHARDS@|8|' "$drivers/boost.yaml" >"$room/boost.yaml"
grep -q '@' "$room/boost.yaml" && die "something in boost.yaml is not put in"
"$room/venv/bin/kubernetes-validate" --strict "$room/boost.yaml"
say "The drivers work"
