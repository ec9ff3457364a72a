#!/usr/bin/env bash
# scripts/submit_vertex.sh: submits a hyperparameter tuning job to Vertex AI.
#   BUCKET      --bucket    the bucket for results: gs:// and its name
#   IMAGE_URI   --image     the image to run: registry, name and tag
#   REGION      --region    where to run, such as us-central1
#   JOB_NAME    --job-name  the job's name (default: a2c_on_gcp_ and the time)
#   CONFIG      --config    the search space (default: templates/hyperparam.yaml)
#   PROJECT_ID  --project   the project (default: gcloud's own)
#   --dry-run   checks everything and prints the job and the call, without submitting
#   --spot      uses machines that cost less and may be taken away at any time
#   --stream    shows the job's log until it ends, polled every LOG_SECONDS (default: 10)
set -euo pipefail

root=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.." && pwd)
service="Vertex AI"
api=aiplatform.googleapis.com
role="Vertex AI User (roles/aiplatform.user)"
regions=(africa-south1 asia-east1 asia-east2 asia-northeast1 asia-northeast2 asia-northeast3
    asia-south1 asia-southeast1 asia-southeast2 australia-southeast1 australia-southeast2
    europe-central2 europe-north1 europe-southwest1 europe-west1 europe-west2 europe-west3
    europe-west4 europe-west6 europe-west8 europe-west9 europe-west12 me-central1 me-central2
    me-west1 northamerica-northeast1 northamerica-northeast2 southamerica-east1 southamerica-west1
    us-central1 us-east1 us-east4 us-east5 us-south1 us-west1 us-west2 us-west3 us-west4)
# shellcheck source=scripts/lib/submitting.sh
source "$root/scripts/lib/submitting.sh"

read_settings "$@"
check_settings
list="gcloud ai hp-tuning-jobs list --region=$REGION"
python=$("$root/scripts/setup_venv.sh" tuner)
tuner lint "$CONFIG"

# Kept, so that the submitted job can be read later and the printed call can be pasted.
job=runs/$JOB_NAME/vertex.yaml
mkdir -p "${job%/*}"
tuner vertex "$CONFIG" --image "$IMAGE_URI" --job-dir "$BUCKET/$JOB_NAME" \
    --display-name "$JOB_NAME" ${spot:+--spot} --output "$job"
cat "$job"
call=(gcloud ai hp-tuning-jobs create
    ${PROJECT_ID:+--project="$PROJECT_ID"}
    --region="$REGION"
    --display-name="$JOB_NAME"
    --config="$job")
show "${call[@]}"
[[ -z $dry_run ]] || exit 0
id=$(submit "${call[@]}" --format="value(name.basename())")
[[ -z $stream ]] || gcloud ai hp-tuning-jobs stream-logs "$id" \
    ${PROJECT_ID:+--project="$PROJECT_ID"} --region="$REGION" \
    --polling-interval="${LOG_SECONDS:-10}"
