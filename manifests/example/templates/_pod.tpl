{{/* The head of every Airflow pod's spec. Takes (dict "root" $ "account" "scheduler" "restartPolicy" "Always" "grace" 10). */}}
{{- define "example.podSpec" -}}
restartPolicy: {{ .restartPolicy }}
{{- if not (kindIs "invalid" .grace) }}
terminationGracePeriodSeconds: {{ int .grace }}
{{- end }}
serviceAccountName: {{ include "example.serviceAccount" . }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .root.Values.securityContext }}
securityContext: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* Image and environment of an Airflow container. Takes (dict "root" $ "jwt" true "env" (list …)); the last two may be absent. */}}
{{- define "example.container" -}}
image: {{ include "example.image" .root | quote }}
imagePullPolicy: {{ .root.Values.imagePullPolicy }}
env:
  - name: AIRFLOW_HOME
    value: /opt/airflow
  {{- $release := .root.Release.Name }}
  {{- include "example.secretEnv" (list "AIRFLOW__CORE__FERNET_KEY" $release "fernet-key" "fernet-key") | nindent 2 }}
  {{- include "example.secretEnv" (list "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN" $release "metadata" "connection") | nindent 2 }}
  {{- include "example.secretEnv" (list "AIRFLOW_CONN_AIRFLOW_DB" $release "metadata" "connection") | nindent 2 }}
  {{- include "example.secretEnv" (list "AIRFLOW__API__SECRET_KEY" $release "api-secret-key" "api-secret-key") | nindent 2 }}
  {{- if .jwt }}
  {{- include "example.secretEnv" (list "AIRFLOW__API_AUTH__JWT_SECRET" $release "jwt-secret" "jwt-secret") | nindent 2 }}
  {{- end }}
  {{- with concat (.env | default list) .root.Values.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- end }}

{{/* One variable from a Secret of the release. Takes (list NAME release secret key). */}}
{{- define "example.secretEnv" -}}
- name: {{ index . 0 }}
  valueFrom:
    secretKeyRef:
      name: {{ index . 1 }}-{{ index . 2 }}
      key: {{ index . 3 }}
{{- end }}

{{/* Holds the pod back until the schema fits its image. Takes (dict "root" $ "mounts" (list "logs")). */}}
{{- define "example.waitForMigrations" -}}
- name: wait-for-airflow-migrations
  {{- include "example.container" (dict "root" .root) | nindent 2 }}
  args: [airflow, db, check-migrations, --migration-wait-timeout={{ .root.Values.images.migrationsWaitTimeout }}]
  volumeMounts: {{- include "example.mounts" . | nindent 4 }}
{{- end }}

{{/*
Mounts of an Airflow container. Takes (dict "root" $ "mounts" (list "logs" "dags")).
Each Dag is mounted by itself: the links in a ConfigMap's folder make Airflow's walk over it end in
"Detected recursive loop when walking DAG directory".
*/}}
{{- define "example.mounts" -}}
- name: config
  mountPath: /opt/airflow/airflow.cfg
  subPath: airflow.cfg
  readOnly: true
- name: config
  mountPath: /opt/airflow/config/airflow_local_settings.py
  subPath: airflow_local_settings.py
  readOnly: true
{{- if has "logs" .mounts }}
- name: logs
  mountPath: /opt/airflow/logs
{{- end }}
{{- if has "dags" .mounts }}
{{- range $name := keys .root.Values.dags | sortAlpha }}
- name: dags
  mountPath: /opt/airflow/dags/{{ trimSuffix ".py" $name }}.py
  subPath: {{ trimSuffix ".py" $name }}.py
  readOnly: true
{{- end }}
{{- end }}
{{- end }}

{{/* Volumes of an Airflow pod. Takes (dict "root" $ "volumes" (list "logs" "dags")). */}}
{{- define "example.volumes" -}}
- name: config
  configMap:
    name: {{ .root.Release.Name }}-config
{{- if has "logs" .volumes }}
- name: logs
  emptyDir: {}
{{- end }}
{{- if and (has "dags" .volumes) .root.Values.dags }}
- name: dags
  configMap:
    name: {{ .root.Release.Name }}-dags
{{- end }}
{{- end }}

{{/* A claim for the logs of a StatefulSet. */}}
{{- define "example.logClaim" -}}
- metadata:
    name: logs
  spec:
    accessModes: [ReadWriteOnce]
    {{- with .Values.persistence.storageClassName }}
    storageClassName: {{ . }}
    {{- end }}
    resources:
      requests:
        storage: {{ .Values.persistence.size }}
{{- end }}

{{/* What a pod must be made anew for. Takes (dict "root" $ "jwt" true "evict" true); the last two may be absent. */}}
{{- define "example.podAnnotations" -}}
{{- $values := .root.Values -}}
checksum/metadata-secret: {{ include "example.connection" .root | sha256sum }}
checksum/airflow-config: {{ include "example.airflowCfg" .root | cat $values.airflowLocalSettings | sha256sum }}
checksum/extra-configmaps: {{ toJson $values.dags | sha256sum }}
{{- if .jwt }}
checksum/jwt-secret: {{ $values.jwtSecret | sha256sum }}
{{- end }}
{{- if .evict }}
cluster-autoscaler.kubernetes.io/safe-to-evict: "true"
{{- end }}
{{- end }}

{{/* Runs a command as the image's own entrypoint would. Takes (dict "root" $ "job" "SchedulerJob"). */}}
{{- define "example.jobCheck" -}}
exec:
  command:
    - sh
    - -c
    # No wait for the database in the entrypoint: a probe that can't reach it has its answer.
    - CONNECTION_CHECK_MAX_COUNT=0 AIRFLOW__LOGGING__LOGGING_LEVEL=ERROR exec /entrypoint airflow jobs check --job-type {{ .job }} --local
timeoutSeconds: {{ .root.Values.probes.timeoutSeconds }}
{{- end }}

{{/* The API's own word on its version, which needs no login. */}}
{{- define "example.apiCheck" -}}
httpGet:
  path: /api/v2/version
  port: api-server
  scheme: HTTP
timeoutSeconds: {{ .Values.probes.timeoutSeconds }}
{{- end }}
