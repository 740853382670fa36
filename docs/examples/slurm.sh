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

# Without --kill-on-bad-exit=0, Slurm would kill the process that saves as soon as another one ends.
code=0
srun --kill-on-bad-exit=0 python3 -m myxtts train --train-data "$DATA" --checkpoint-dir "$RUN" \
    --set "data.cache_path=$CACHE" --set training.join_seconds=300 || code=$?

# 75: stopped by a signal (the time limit) or by the end of one process, and saved. The same command continues.
[ "$code" -eq 75 ] && scontrol requeue "$SLURM_JOB_ID"
exit "$code"
