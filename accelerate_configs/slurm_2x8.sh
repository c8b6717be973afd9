#!/bin/bash
# Two nodes of eight GPUs under Slurm: sbatch accelerate_configs/slurm_2x8.sh RECIPE key=value ...
# Each node runs one carscale train, which starts eight ranks. Five minutes before the time limit, and when the job is
# preempted, Slurm signals: the step is finished and saved, and the job goes back into the queue and goes on from there.
# data.root and run.dir must lie on a disk that all nodes see.
# One node: CARSCALE_LAUNCH_FILE=gpu8.yaml sbatch --nodes=1 accelerate_configs/slurm_2x8.sh RECIPE key=value ...
#SBATCH --job-name=carscale
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --gpus-per-node=8
#SBATCH --cpus-per-task=64
#SBATCH --time=24:00:00
#SBATCH --requeue
#SBATCH --signal=USR1@300
#SBATCH --open-mode=append
set -u

export CARSCALE_LAUNCH_FILE=${CARSCALE_LAUNCH_FILE:-multinode_2x8.yaml}
export MAIN_ADDRESS=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)
export MAIN_PORT=$((20000 + SLURM_JOB_ID % 10000))

srun --kill-on-bad-exit=1 bash -c 'exec carscale train "$@" --restarts 2 --config_file "$CARSCALE_LAUNCH_FILE" --launch \
  "--machine_rank $SLURM_NODEID --main_process_ip $MAIN_ADDRESS --main_process_port $MAIN_PORT"' carscale "$@"
code=$?
if [ "$code" -eq 143 ]; then # stopped and saved
  scontrol requeue "$SLURM_JOB_ID"
fi
exit "$code"
