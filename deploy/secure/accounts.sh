#!/bin/bash
# Gives Kibana's user its password and writes an API key for the Collector to $KEY_FILE, once.
set -euo pipefail

ask() { # METHOD PATH BODY
  curl -fsS --cacert "$CA_FILE" -u "elastic:$ELASTIC_PASSWORD" -H 'Content-Type: application/json' \
    -X "$1" "$ELASTICSEARCH_URL$2" -d "$3"
}

# In JSON, a quotation mark or a backslash of the password needs a backslash before it.
password=${KIBANA_PASSWORD//\\/\\\\}
password=${password//\"/\\\"}
ask POST /_security/user/kibana_system/_password "{\"password\":\"$password\"}" > /dev/null
echo "kibana_system has its password"

if [ ! -s "$KEY_FILE" ]; then
  # Adds documents and makes data streams from templates; reads, changes and deletes nothing.
  answer=$(ask POST /_security/api_key '{
    "name": "otelbridge-collector",
    "role_descriptors": {"otelbridge-collector": {
      "cluster": ["monitor"],
      "indices": [{
        "names": ["logs-*", "traces-*", "metrics-*"],
        "privileges": ["auto_configure", "create_doc"]
      }]
    }}
  }')
  umask 077
  sed -n 's/.*"encoded":"\([^"]*\)".*/\1/p' <<< "$answer" | tr -d '\n' > "$KEY_FILE.new"
  [ -s "$KEY_FILE.new" ] || { echo "Elasticsearch gave no API key" >&2; exit 1; }
  chown "$KEY_OWNER" "$KEY_FILE.new"
  mv "$KEY_FILE.new" "$KEY_FILE"
  echo "the Collector has its key"
fi
