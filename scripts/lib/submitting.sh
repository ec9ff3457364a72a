# What submit_ai_platform.sh and submit_vertex.sh share. Sourced, not run: the caller sets `root`,
# `python`, and of what it submits to `service`, `regions`, `api`, `role` and `list`.
# shellcheck shell=bash disable=SC2034,SC2154

usage() {
    sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"
}

refuse() {
    printf '%s: %s\n' "${0##*/}" "$1" >&2
    exit 2
}

# A flag wins over the variable of the same meaning.
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
                (($# > 1)) || refuse "$1 needs a value."
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
            *) refuse "knows no $1; --help lists what it knows." ;;
        esac
        shift
    done
    BUCKET=${BUCKET:-} IMAGE_URI=${IMAGE_URI:-} PROJECT_ID=${PROJECT_ID:-} REGION=${REGION:-}
    JOB_NAME=${JOB_NAME:-a2c_on_gcp_$(date -u +%y%m%d_%H%M%S)}
    CONFIG=${CONFIG:-$root/templates/hyperparam.yaml}
}

# Each of these the service would refuse too, or accept and fail on minutes later.
check_settings() {
    BUCKET=${BUCKET%/}
    [[ -n $BUCKET ]] || refuse "set BUCKET, or --bucket, to where results go: gs:// and its name."
    [[ $BUCKET = gs://* ]] || refuse "BUCKET must begin with gs://, but got $BUCKET."
    [[ $BUCKET =~ ^gs://[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]$ ]] \
        || refuse "BUCKET must be a bucket and no folder in it, 3 to 63 of a-z, 0-9, '.', '_' and '-', but got $BUCKET."
    [[ -n $REGION ]] || refuse "set REGION, or --region, to where to run, such as us-central1."
    grep -qxF -e "$REGION" <<<"$(printf '%s\n' "${regions[@]}")" \
        || refuse "REGION must be one of ${regions[*]}, but got $REGION."
    [[ -n $IMAGE_URI ]] || refuse "set IMAGE_URI, or --image, to what to run: its registry, name and tag."
    [[ $IMAGE_URI =~ ^[^[:space:]]+/[^/:@[:space:]]+(:[A-Za-z0-9_][A-Za-z0-9_.-]*|@sha256:[0-9a-f]{64})$ ]] \
        || refuse "IMAGE_URI must be a registry, a name and a tag, such as us-docker.pkg.dev/PROJECT/REPOSITORY/trainer:1, but got $IMAGE_URI."
    [[ $JOB_NAME =~ ^[A-Za-z][A-Za-z0-9_]{0,127}$ ]] \
        || refuse "JOB_NAME must be a letter and then letters, digits and '_', 128 at most, but got $JOB_NAME."
    [[ -f $CONFIG ]] || refuse "CONFIG must be a file, but got $CONFIG."
    [[ -n $dry_run ]] || command -v gcloud >/dev/null \
        || refuse "needs gcloud: https://cloud.google.com/sdk/docs/install; --dry-run does without."
}

# The tuner as a command. No cd, because CONFIG means relative to where the user is; and -P, so that
# a directory named `tuner` there is not taken for ours.
tuner() {
    PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH} "$python" -P -m tuner "$@"
}

# Prints a command as one may paste it.
show() {
    printf ' %q' "$@" | cut -c2-
}

# Runs gcloud as the arguments say. Where it fails, says what to do about it.
submit() {
    local errors status=0
    errors=$(mktemp)
    "$@" 2>"$errors" || status=$?
    cat "$errors" >&2
    ((status == 0)) || printf '%s: %s\n' "${0##*/}" "$(advice "$(<"$errors")")" >&2
    rm -f "$errors"
    return "$status"
}

# What to do about what gcloud said. It words the same status differently for each service.
advice() {
    local project=${PROJECT_ID:-the configured project}
    case $1 in
        *"active account"* | *UNAUTHENTICATED* | *"auth tokens"* | *eauthentication*)
            echo "nobody is logged in; run 'gcloud auth login', then this again." ;;
        *PERMISSION_DENIED* | *"does not have permission"*)
            echo "403: this account may not run jobs in $project; enable the API ('gcloud services enable $api'), ask the owner for the role $role, or name another project with --project." ;;
        *ALREADY_EXISTS* | *"subject of a conflict"*)
            echo "409: there is a job named $JOB_NAME already; give another name with --job-name." ;;
        *RESOURCE_EXHAUSTED*)
            echo "429: the quota of $project in $REGION is used up; wait for running jobs to end, lower maxParallelTrials in $CONFIG, or ask for more at https://console.cloud.google.com/iam-admin/quotas." ;;
        *UNAVAILABLE* | *"'status': 503"*)
            echo "503: $service does not answer; look with '$list' whether the job is there all the same, and if not, run this again in a few minutes." ;;
        *INVALID_ARGUMENT*)
            echo "400: $service refuses the job; what it names above must change in $CONFIG." ;;
        *NOT_FOUND* | *"not found"*)
            echo "404: $project has no such service or is none; see --project and --region." ;;
        *) echo "gcloud could not submit the job; what it says stands above." ;;
    esac
}
