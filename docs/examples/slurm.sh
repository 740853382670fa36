#!/bin/sh
# Two machines with four GPUs each: DATA=ROOT CACHE=FOLDER RUN=FOLDER sbatch slurm.sh
# All three folders must be on a file system that the machines share.
#SBATCH --job-name=myxtts
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --gpus-per-task=1
#SBATCH --cpus-per-task=8
#SBATCH --time=12:00:00
#SBATCH --signal=TERM@300
#SBATCH --requeue
#SBATCH --open-mode=append
set -u
python3 -m myxtts prepare --data "$DATA" --cache "$CACHE" || exit

# srun returns the highest code of all processes, or that of a kill: the code of process 0, which saves, is in this file.
ENDED=$CACHE/ended-$SLURM_JOB_ID
export ENDED
rm -f "$ENDED"
code=0
# Without --kill-on-bad-exit=0, Slurm would kill the process that saves as soon as another one ends. The trap keeps the
# shell until the training has saved.
srun --kill-on-bad-exit=0 sh -c '
    trap : TERM
    "$@"
    code=$?
    [ "$SLURM_PROCID" -ne 0 ] || echo "$code" > "$ENDED"
    exit "$code"
' sh python3 -m myxtts train --train-data "$DATA" --checkpoint-dir "$RUN" \
    --set "data.cache_path=$CACHE" --set training.join_seconds=300 || code=$?
[ ! -s "$ENDED" ] || read -r code < "$ENDED"
rm -f "$ENDED"

# 75: stopped by a signal (the time limit) or by the end of another process, and saved; 142: another process ended
# before the training began. The same command continues. Other codes need a person.
case $code in
75 | 142) scontrol requeue "$SLURM_JOB_ID" ;;
esac
exit "$code"
