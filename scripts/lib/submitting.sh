# Functions of submit_ai_platform.sh and submit_vertex.sh. Sourced, not run: the caller sets `root` and
# `python`, and of the service `service`, `regions`, `api`, `role` and `list`.
# shellcheck shell=bash disable=SC2034,SC2154

usage() {
    sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
}

refuse() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
    exit 2
}

# A flag overrides the variable of the same meaning.
read_settings() {
    dry_run='' stream='' spot=''
    while (($#)); do
        case $1 in
            --help) usage && exit ;;
            --dry-run) dry_run=yes ;;
            --stream) stream=yes ;;
            --spot) spot=yes ;;
            --*=*)
                set -- "${1%%=*}" "${1#*=}" "${@:2}"
                continue
                ;;
            --bucket | --config | --image | --job-name | --project | --region)
                (($# > 1)) || refuse "$1 has no value. Write $1=VALUE."
                case $1 in
                    --bucket) BUCKET=$2 ;;
                    --config) CONFIG=$2 ;;
                    --image) IMAGE_URI=$2 ;;
                    --job-name) JOB_NAME=$2 ;;
                    --project) PROJECT_ID=$2 ;;
                    --region) REGION=$2 ;;
                esac
                shift
                ;;
            *) refuse "unknown argument $1. --help lists the arguments." ;;
        esac
        shift
    done
    BUCKET=${BUCKET:-} IMAGE_URI=${IMAGE_URI:-} PROJECT_ID=${PROJECT_ID:-} REGION=${REGION:-}
    JOB_NAME=${JOB_NAME:-a2c_on_gcp_$(date -u +%y%m%d_%H%M%S)}
    CONFIG=${CONFIG:-$root/templates/hyperparam.yaml}
}

# The service would refuse each of these too, or fail minutes later.
check_settings() {
    BUCKET=${BUCKET%/}
    [[ -n $BUCKET ]] || refuse "BUCKET is not set. Set it, or --bucket, to the bucket for results, such as gs://my-bucket."
    [[ $BUCKET = gs://* ]] || refuse "BUCKET does not begin with gs://: $BUCKET."
    [[ $BUCKET =~ ^gs://[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$ ]] \
        || refuse "BUCKET is not the name of a bucket: $BUCKET. Write gs:// and 3 to 63 of a-z, 0-9, '.', '_' and '-', without a folder."
    [[ -n $REGION ]] || refuse "REGION is not set. Set it, or --region, to the region to run in, such as us-central1."
    grep -qxF -e "$REGION" <<<"$(printf '%s\n' "${regions[@]}")" \
        || refuse "REGION $REGION is not a region of $service. Choose one of ${regions[*]}."
    [[ -n $IMAGE_URI ]] || refuse "IMAGE_URI is not set. Set it, or --image, to the image's registry, name and tag."
    [[ $IMAGE_URI =~ ^[^[:space:]]+/[^/:@[:space:]]+(:[A-Za-z0-9_][A-Za-z0-9_.-]*|@sha256:[0-9a-f]{64})$ ]] \
        || refuse "IMAGE_URI lacks a registry, a name or a tag: $IMAGE_URI. An example is us-docker.pkg.dev/PROJECT/REPOSITORY/trainer:1."
    [[ $JOB_NAME =~ ^[A-Za-z][A-Za-z0-9_]{0,127}$ ]] \
        || refuse "JOB_NAME is not allowed: $JOB_NAME. Write a letter, then letters, digits and '_', 128 characters at most."
    [[ -f $CONFIG ]] || refuse "CONFIG is not a file: $CONFIG."
    [[ -n $dry_run ]] || command -v gcloud >/dev/null \
        || refuse "gcloud is not installed, see https://cloud.google.com/sdk/docs/install. --dry-run works without it."
}

# Runs the tuner. Stays in the user's directory, to which CONFIG is relative. -P, so that a directory
# named `tuner` there is not imported instead of ours.
tuner() {
    PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH} "$python" -P -m tuner "$@"
}

# Prints a command, quoted so that it can be pasted.
show() {
    printf ' %q' "$@" | cut -c2-
}

# Runs a gcloud command. If it fails, says what to do.
submit() {
    local errors status=0
    errors=$(mktemp)
    "$@" 2>"$errors" || status=$?
    cat "$errors" >&2
    ((status == 0)) || printf '%s: %s\n' "${0##*/}" "$(advice "$(<"$errors")")" >&2
    rm -f "$errors"
    return "$status"
}

# What to do about an error of gcloud. It words the same status differently for each service.
advice() {
    local project=${PROJECT_ID:-the configured project}
    case $1 in
        *"active account"* | *UNAUTHENTICATED* | *"auth tokens"* | *eauthentication*)
            echo "no account is logged in; run 'gcloud auth login' and try again." ;;
        *PERMISSION_DENIED* | *"does not have permission"*)
            echo "403: this account may not run jobs in $project; enable the API ('gcloud services enable $api'), ask the owner for the role $role, or name another project with --project." ;;
        *ALREADY_EXISTS* | *"subject of a conflict"*)
            echo "409: a job named $JOB_NAME exists; choose another name with --job-name." ;;
        *RESOURCE_EXHAUSTED*)
            echo "429: the quota of $project in $REGION is used up; wait for running jobs to end, lower maxParallelTrials in $CONFIG, or ask for more at https://console.cloud.google.com/iam-admin/quotas." ;;
        *UNAVAILABLE* | *"'status': 503"*)
            echo "503: $service does not answer; check with '$list' whether the job was created, and if not, try again in a few minutes." ;;
        *INVALID_ARGUMENT*)
            echo "400: $service refuses the job; change what it names above in $CONFIG." ;;
        *NOT_FOUND* | *"not found"*)
            echo "404: $project does not exist or does not have this service; check --project and --region." ;;
        *) echo "gcloud could not submit the job; its message is above." ;;
    esac
}
