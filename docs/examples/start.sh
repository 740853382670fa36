#!/bin/sh
# Starts one process of a training on several machines:
#
#     sh start.sh INDEX "HOST:PORT HOST:PORT ..." OPTIONS OF `myxtts train`...
#
# INDEX counts the addresses from 0. The process with index 0 writes the run directory.
set -eu
index=$1
addresses=$2
shift 2
listed=
for address in $addresses; do
    listed="$listed${listed:+, }\"$address\""
done
TF_CONFIG="{\"cluster\": {\"worker\": [$listed]}, \"task\": {\"type\": \"worker\", \"index\": $index}}"
export TF_CONFIG
exec python3 -m myxtts train "$@"
