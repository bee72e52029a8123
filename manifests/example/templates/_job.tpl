{{/*
Makes a Job a hook of Helm's, unless it is to be an ordinary one. Takes (dict "job" .Values.createUserJob "weight" "2").
Empty when there is nothing to annotate.
*/}}
{{- define "example.jobAnnotations" -}}
{{- $hook := dict
  "helm.sh/hook" "post-install,post-upgrade"
  "helm.sh/hook-weight" .weight
  "helm.sh/hook-delete-policy" "before-hook-creation,hook-succeeded" }}
{{- with merge (deepCopy .job.jobAnnotations) (ternary $hook dict .job.useHelmHooks) }}
{{- toYaml . }}
{{- end }}
{{- end }}
