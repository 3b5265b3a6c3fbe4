#!/usr/bin/env bash
# Prepares Elasticsearch for the logs of the platform: the passwords of Kibana and Logstash, what
# Logstash may write, how the fields are indexed, and after how many days lines are deleted.
#
# Runs to its end once at each start. Everything is put as it should be, so running it again
# changes nothing, except passwords, fields and days that were changed in the environment files.
set -euo pipefail

url=${ELASTICSEARCH_URL:-http://ov2xmp-elasticsearch:9200}
timeout=${SETUP_TIMEOUT:-300}  # seconds, for all of it
retention=${LOG_RETENTION_DAYS:-30}

status=000
answer=

fail() {
  printf 'elk-setup: %s\n' "$1" >&2
  exit 1
}

check_settings() {
  local name
  for name in ELASTIC_PASSWORD KIBANA_SYSTEM_PASSWORD LOGSTASH_WRITER_PASSWORD; do
    [[ -n ${!name:-} ]] || fail "$name is not set. 'make env' makes one."
    # Both the configuration of curl and JSON would take a quote or a backslash for their own.
    if [[ ! ${!name} =~ ^[[:graph:]]{6,}$ || ${!name} == *[\"\\]* ]]; then
      fail "$name must have 6 characters or more, without blanks, quotes and backslashes."
    fi
  done
  [[ $timeout =~ ^[1-9][0-9]*$ ]] || fail "SETUP_TIMEOUT must be a number of seconds, not '$timeout'."
  [[ $retention =~ ^[1-9][0-9]*$ ]] || fail "LOG_RETENTION_DAYS must be a number of days, not '$retention'."
}

# request METHOD PATH [BODY]: sets status and answer. 000: no answer at all.
request() {
  local output body=()
  [[ -z ${3:-} ]] || body=(--header 'Content-Type: application/json' --data-binary @-)
  # Secrets go through pipes, since every process may read the arguments of others.
  output=$(curl --silent --show-error --noproxy '*' --max-time 15 --request "$1" --write-out '\n%{http_code}' \
    --config <(printf 'user = "elastic:%s"\n' "$ELASTIC_PASSWORD") "${body[@]}" "$url$2" <<<"${3:-}" 2>&1) || true
  status=${output##*$'\n'}
  answer=${output%$'\n'*}
}

# put WHAT METHOD PATH [BODY]: goes on until it is done; gives up when the time is over or the request is refused.
put() {
  while true; do
    request "$2" "$3" "${4:-}"
    case $status in
      2??) break ;;
      # Elasticsearch is starting; the accounts come last, so that a right password may be refused at first.
      000 | 401 | 408 | 429 | 5??) ;;
      *) fail "$1: Elasticsearch answers $status: $answer" ;;
    esac
    ((SECONDS < timeout)) || fail "$1: not done within $timeout seconds. Elasticsearch at $url answers $status: $answer"
    sleep 1
  done
  printf 'elk-setup: %s: done\n' "$1"
}

check_settings

put 'waiting for Elasticsearch' GET '/_cluster/health?wait_for_status=yellow&timeout=5s'

put 'password of kibana_system' POST /_security/user/kibana_system/_password \
  "{\"password\": \"$KIBANA_SYSTEM_PASSWORD\"}"

put 'role logstash_writer' PUT /_security/role/logstash_writer '{
  "cluster": ["monitor"],
  "indices": [{"names": ["logs-ov2xmp-*"], "privileges": ["auto_configure", "create_doc"]}]
}'

put 'account logstash_writer' PUT /_security/user/logstash_writer \
  "{\"password\": \"$LOGSTASH_WRITER_PASSWORD\", \"roles\": [\"logstash_writer\"], \"full_name\": \"Logstash\"}"

put "deletion after $retention days" PUT /_ilm/policy/logs-ov2xmp '{
  "policy": {
    "phases": {
      "hot": {"actions": {"rollover": {"max_age": "1d", "max_primary_shard_size": "10gb"}}},
      "delete": {"min_age": "'"$retention"'d", "actions": {"delete": {}}}
    }
  }
}'

# Fields of libraries or of a line that is no JSON are kept, but not indexed.
put 'index template' PUT /_index_template/logs-ov2xmp '{
  "index_patterns": ["logs-ov2xmp-*"],
  "data_stream": {},
  "priority": 200,
  "template": {
    "settings": {
      "index.lifecycle.name": "logs-ov2xmp",
      "index.number_of_shards": 1,
      "index.number_of_replicas": 0
    },
    "mappings": {
      "dynamic": false,
      "properties": {
        "@timestamp": {"type": "date"},
        "message": {"type": "match_only_text"},
        "chargepoint_id": {"type": "keyword"},
        "request_id": {"type": "keyword"},
        "command_id": {"type": "keyword"},
        "service": {"properties": {"name": {"type": "keyword"}}},
        "host": {"properties": {"name": {"type": "keyword"}}},
        "process": {"properties": {"pid": {"type": "long"}}},
        "log": {"properties": {"level": {"type": "keyword"}, "logger": {"type": "keyword"}}},
        "error": {"properties": {"type": {"type": "keyword"}, "stack_trace": {"type": "wildcard"}}},
        "event": {"properties": {"dataset": {"type": "keyword"}}},
        "data_stream": {
          "properties": {
            "type": {"type": "constant_keyword"},
            "dataset": {"type": "constant_keyword"},
            "namespace": {"type": "constant_keyword"}
          }
        },
        "tags": {"type": "keyword"}
      }
    }
  }
}'
