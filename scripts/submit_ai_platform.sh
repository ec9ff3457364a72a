#!/usr/bin/env bash
# scripts/submit_ai_platform.sh: submits a tuning job to AI Platform Training, as the course notebook
# of 2020 does. Google closed that service on 31 January 2025. submit_vertex.sh submits the same file
# with the same settings to its successor.
#   BUCKET      --bucket    the bucket for results: gs:// and its name
#   IMAGE_URI   --image     the image to run: registry, name and tag
#   REGION      --region    where to run, such as us-central1
#   JOB_NAME    --job-name  the job's name (default: a2c_on_gcp_ and the time)
#   CONFIG      --config    the search space (default: templates/hyperparam.yaml)
#   PROJECT_ID  --project   the project (default: gcloud's own)
#   --dry-run   checks everything and prints the call, without submitting
#   --stream    shows the job's log until it ends, polled every LOG_SECONDS (default: 10)
set -euo pipefail

root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
service="AI Platform Training"
api=ml.googleapis.com
role="AI Platform Developer (roles/ml.developer)"
list="gcloud ai-platform jobs list"
regions=(asia-east1 asia-northeast1 asia-southeast1 australia-southeast1 europe-west1 europe-west2
    europe-west3 europe-west4 northamerica-northeast1 us-central1 us-east1 us-east4 us-west1)
# shellcheck source=scripts/lib/submitting.sh
source "$root/scripts/lib/submitting.sh"

read_settings "$@"
[[ -z $spot ]] || refuse "AI Platform has no spot machines. submit_vertex.sh has --spot."
check_settings
python=$("$root/scripts/setup_venv.sh" tuner)
tuner lint "$CONFIG"

echo "submit_ai_platform.sh: Google closed AI Platform Training on 31 January 2025 and will refuse this job. Use submit_vertex.sh, which submits the same file to its successor." >&2
# Without the notebook's --scale-tier, which would silently override the file's.
call=(gcloud ai-platform jobs submit training "$JOB_NAME"
    ${PROJECT_ID:+--project="$PROJECT_ID"}
    --staging-bucket="$BUCKET"
    --region="$REGION"
    --master-image-uri="$IMAGE_URI"
    --job-dir="$BUCKET/$JOB_NAME"
    --config="$CONFIG")
show "${call[@]}"
[[ -z $dry_run ]] || exit 0
submit "${call[@]}"
[[ -z $stream ]] || gcloud ai-platform jobs stream-logs "$JOB_NAME" \
    ${PROJECT_ID:+--project="$PROJECT_ID"} --polling-interval="${LOG_SECONDS:-10}"
