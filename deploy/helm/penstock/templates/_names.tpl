{{- define "penstock.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{/* Name of all objects. Room is left for the suffixes. */}}
{{- define "penstock.fullname" -}}
{{- $name := include "penstock.name" . }}
{{- $full := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) }}
{{- default $full .Values.fullnameOverride | trunc 54 | trimSuffix "-" }}
{{- end }}

{{- define "penstock.selector" -}}
app.kubernetes.io/name: {{ include "penstock.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "penstock.labels" -}}
{{ include "penstock.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "penstock.image" -}}
{{- if .Values.image.digest -}}
{{ printf "%s@%s" .Values.image.repository .Values.image.digest }}
{{- else -}}
{{ printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) }}
{{- end }}
{{- end }}

{{- define "penstock.serviceAccount" -}}
{{- default (ternary (include "penstock.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name }}
{{- end }}

{{/* Name of the Secret with the certificate; empty for plaintext. */}}
{{- define "penstock.tlsSecret" -}}
{{- if .Values.tls.certManager.enabled }}
{{- if .Values.tls.existingSecret }}{{ fail "tls.certManager.enabled excludes tls.existingSecret" }}{{ end }}
{{- include "penstock.fullname" . }}-tls
{{- else }}
{{- .Values.tls.existingSecret }}
{{- end }}
{{- end }}

{{- define "penstock.appProtocol" -}}
{{- default (ternary "https" "kubernetes.io/h2c" (ne (include "penstock.tlsSecret" .) "")) .Values.service.appProtocol }}
{{- end }}

{{/* Name of the headless Service. */}}
{{- define "penstock.podsService" -}}
{{ include "penstock.fullname" . }}-pods
{{- end }}
