{{- define "towpath.name" -}}
{{- if contains "towpath" .Release.Name }}{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}{{ printf "%s-towpath" .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- /* Labels by which pods are found. Call: (list $ "worker") */}}
{{- define "towpath.selector" -}}
app.kubernetes.io/name: towpath
app.kubernetes.io/instance: {{ (index . 0).Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{- define "towpath.labels" -}}
app.kubernetes.io/name: towpath
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "towpath.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "towpath.redisSecret" -}}
{{- if .Values.redis.existingSecret }}{{ .Values.redis.existingSecret }}
{{- else if .Values.redis.url }}{{ include "towpath.name" . }}-redis
{{- else }}{{ fail "give redis.existingSecret, the name of a Secret with the key `url`, or redis.url" }}
{{- end }}
{{- end }}

{{- /* A value as it was written: Helm reads 1048576 as a fraction, and would print 1.048576e+06. */}}
{{- define "towpath.text" -}}
{{- if and (kindIs "float64" .) (eq . (floor .)) }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{- define "towpath.graceful" -}}
{{- index .Values.settings "TOWPATH_TIMEOUT_GRACEFUL_SHUTDOWN" | default 30 }}
{{- end }}

{{- /* What the pods of both kinds have in common. Call: (list $ "worker" $.Values.worker) */}}
{{- define "towpath.pod" -}}
automountServiceAccountToken: false
enableServiceLinks: false # a Service called towpath would set TOWPATH_PORT=tcp://… in every pod
{{- with (index . 0).Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "towpath.selector" . | nindent 8 }}
{{- range $field := list "nodeSelector" "tolerations" "affinity" }}
{{- with index (index $ 2) $field }}
{{ $field }}:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}
securityContext:
  runAsNonRoot: true
  runAsUser: 10001
  runAsGroup: 10001
  seccompProfile: {type: RuntimeDefault}
volumes:
  - name: tmp
    emptyDir: {}
  - name: redis
    secret: {secretName: {{ include "towpath.redisSecret" (index . 0) }}}
{{- end }}

{{- define "towpath.container" -}}
image: {{ include "towpath.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  - {name: redis, mountPath: /run/secrets/towpath-redis, readOnly: true}
{{- end }}

{{- define "towpath.podAnnotations" -}}
checksum/settings: {{ (index . 0).Values.settings | toJson | sha256sum }}
prometheus.io/scrape: "true"
prometheus.io/port: {{ (index . 0).Values.adminPort | quote }}
prometheus.io/path: /metrics
{{- with (index . 1).podAnnotations }}
{{ toYaml . }}
{{- end }}
{{- end }}
