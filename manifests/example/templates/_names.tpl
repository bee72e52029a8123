{{/* Labels as the official chart writes them. Takes (dict "root" $ "component" "scheduler"); component may be "". */}}
{{- define "example.labels" -}}
{{ include "example.selector" . }}
chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | quote }}
heritage: {{ .root.Release.Service }}
{{- end }}

{{/* What selectors and pods carry: no version, since selectors can't be changed. Same arguments. */}}
{{- define "example.selector" -}}
tier: airflow
{{- with .component }}
component: {{ . }}
{{- end }}
release: {{ .root.Release.Name }}
{{- end }}

{{/* The image of every Airflow container: a digest wins over a tag, a tag over the version. */}}
{{- define "example.image" -}}
{{- $image := .Values.images.airflow }}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ $image.tag | default .Values.defaultAirflowTag | default .Values.airflowVersion }}
{{- end }}
{{- end }}

{{/* The name carries "airflow" as the official chart's service accounts do. Takes (dict "root" $ "account" "scheduler"). */}}
{{- define "example.serviceAccount" -}}
{{ .root.Release.Name }}-airflow-{{ .account }}
{{- end }}

{{/* A URL that is given wins. In our own, the host carries the namespace, so that it resolves from anywhere in the cluster. */}}
{{- define "example.connection" -}}
{{- $db := .Values.postgresql }}
{{- if and $db.enabled (not .Values.data.connection) -}}
postgresql://{{ $db.username | urlquery }}:{{ $db.password | urlquery }}@{{ .Release.Name }}-postgresql.{{ .Release.Namespace }}:5432/{{ $db.database }}?sslmode={{ $db.sslmode }}
{{- else -}}
{{ required "postgresql.enabled is false: set data.connection to the URL of the metadata database" .Values.data.connection }}
{{- end }}
{{- end }}
