#!/bin/bash
# Makes an authority and Elasticsearch's certificate in /certificates, once.
set -euo pipefail
cd "${CERTIFICATES:-/certificates}"
tool=${CERTUTIL:-/usr/share/elasticsearch/bin/elasticsearch-certutil}
if [ ! -f ca/ca.crt ]; then
  "$tool" ca --silent --pem --days 3650 -out "$PWD/ca.zip"
  unzip -q -o ca.zip
  rm ca.zip
fi
if [ ! -f elasticsearch/elasticsearch.crt ]; then
  "$tool" cert --silent --pem --days 1825 --name elasticsearch --dns elasticsearch,localhost --ip 127.0.0.1 \
    --ca-cert ca/ca.crt --ca-key ca/ca.key -out "$PWD/elasticsearch.zip"
  unzip -q -o elasticsearch.zip
  rm elasticsearch.zip
fi
# Certificates are for all, keys for their owners: Elasticsearch runs as 1000, group 0.
chmod 755 . ca elasticsearch
chmod 644 ca/ca.crt elasticsearch/elasticsearch.crt
chmod 600 ca/ca.key
chmod 640 elasticsearch/elasticsearch.key
echo "certificates are in place"
