{{/* Generated; run: make generate. Options that pods apply without a restart. */}}
{{- define "penstock.live" -}}
- upstream
- upstream_api_key
- upstream_api_key_file
- max_connections
- aliases
- default_model
- native_responses
- wake_sleeping
- health_path
- trusted_proxies
- connect_timeout
- first_byte_timeout
- idle_timeout
- total_timeout
- merge_deltas_within
- default_deadline
- max_deadline
- max_concurrent_calls
- batch_concurrency
- batch_priority
- batch_patience
- max_upload_bytes
- drain_delay
- drain_timeout
- reload_interval
- log_level
- log_calls
{{- end }}
