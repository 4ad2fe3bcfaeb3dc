{{/* The configuration file. Numbers are written as JSON: Helm's toToml makes whole ones fractional. */}}
{{- define "penstock.configuration" -}}
listen = "0.0.0.0:50051"
admin_listen = "127.0.0.1:50052"
metrics_listen = "0.0.0.0:9464"
{{- if include "penstock.tlsSecret" . }}
tls_cert = "/run/secrets/penstock/tls/tls.crt"
tls_key = "/run/secrets/penstock/tls/tls.key"
{{- if .Values.tls.requireClientCertificate }}
tls_client_ca = "/run/secrets/penstock/tls/ca.crt"
{{- end }}
# For probes, which have no certificate.
health_listen = "0.0.0.0:50053"
{{- else }}
insecure = true
{{- end }}
{{- if .Values.upstreamKey.existingSecret }}
upstream_api_key_file = {{ printf "/run/secrets/penstock/upstream/%s" .Values.upstreamKey.key | toJson }}
{{- end }}
{{- if .Values.callers.existingSecret }}
callers_file = {{ printf "/run/secrets/penstock/callers/%s" .Values.callers.key | toJson }}
{{- end }}
{{- include "penstock.toml" (dict "table" .Values.options "above" "") }}
{{- range .Values.upstreams }}

[[upstream]]
{{- include "penstock.toml" (dict "table" . "above" "upstream.") }}
{{- end }}
{{- end }}

{{/* The keys of a table, then the tables in it. */}}
{{- define "penstock.toml" -}}
{{- range $key, $value := .table }}
{{- if not (kindIs "map" $value) }}
{{ $key }} = {{ toJson $value }}
{{- end }}
{{- end }}
{{- $above := .above }}
{{- range $key, $value := .table }}
{{- if kindIs "map" $value }}

[{{ $above }}{{ $key }}]
{{- range $name, $text := $value }}
{{ toJson $name }} = {{ toJson $text }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Digest of what pods read only at their start, so that a change replaces them. */}}
{{- define "penstock.readAtStart" -}}
{{- $live := include "penstock.live" . | fromYamlArray }}
{{- $read := dict }}
{{- range $key, $value := .Values.options }}
{{- if not (has $key $live) }}{{ $_ := set $read $key $value }}{{ end }}
{{- end }}
{{- list $read .Values.tls.requireClientCertificate | toJson | sha256sum }}
{{- end }}
