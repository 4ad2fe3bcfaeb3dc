{{/* Generated; run: make generate. Options that pods apply without a restart. */}}
{{- define "penstock.live" -}}
- upstream
- upstream_api_key
- upstream_api_key_file
- aliases
- default_model
- native_responses
- health_path
- connect_timeout
- first_byte_timeout
- idle_timeout
- total_timeout
- default_deadline
- max_deadline
- max_concurrent_calls
- max_connections
- max_upload_bytes
- drain_delay
- drain_timeout
- trusted_proxies
- reload_interval
- log_level
- log_calls
{{- end }}
