{{/* Names and labels, and what several objects must agree about. */}}

{{- define "connector.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "connector.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{/* Labels of an object: dict "root" $ "extra" LABELS; the extra ones win over commonLabels, nothing over ours. */}}
{{- define "connector.labels" -}}
{{- $ours := include "connector.selectorLabels" .root | fromYaml -}}
{{- $_ := set $ours "helm.sh/chart" (printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") -}}
{{- $_ := set $ours "app.kubernetes.io/version" .root.Chart.AppVersion -}}
{{- $_ := set $ours "app.kubernetes.io/managed-by" .root.Release.Service -}}
{{- toYaml (merge $ours (default dict .extra) .root.Values.commonLabels) -}}
{{- end -}}

{{- define "connector.serviceAccountName" -}}
{{- default (ternary (include "connector.fullname" .) "default" .Values.serviceAccount.create) .Values.serviceAccount.name -}}
{{- end -}}

{{- define "connector.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* Each credential: its value in values.yaml and the variable that the worker reads; …_FILE names the mounted file. */}}
{{- define "connector.credentials" -}}
livekitApiKey: LIVEKIT_API_KEY
livekitApiSecret: LIVEKIT_API_SECRET
millisPrivateKey: MILLIS_PRIVATE_KEY
livekitApiKey2: LIVEKIT_API_KEY_2
livekitApiSecret2: LIVEKIT_API_SECRET_2
redisUrl: REDIS_URL
eventsSecret: CONNECTOR_EVENTS_SECRET
{{- end -}}

{{/* The credentials that are given at all, as {NAME: {env, secret, key}}. */}}
{{- define "connector.givenCredentials" -}}
{{- $given := dict -}}
{{- range $name, $env := include "connector.credentials" . | fromYaml -}}
{{- $credential := index $.Values.credentials $name -}}
{{- if $credential.existingSecret.name -}}
{{- $_ := set $given $name (dict "env" $env "secret" $credential.existingSecret.name "key" $credential.existingSecret.key) -}}
{{- else if $credential.value -}}
{{- $_ := set $given $name (dict "env" $env "secret" (include "connector.fullname" $) "key" (kebabcase $name)) -}}
{{- end -}}
{{- end -}}
{{- toYaml $given -}}
{{- end -}}

{{/* The credentials that stand in the values, as {key: value}. */}}
{{- define "connector.inlineCredentials" -}}
{{- $inline := dict -}}
{{- range $name, $_ := include "connector.credentials" . | fromYaml -}}
{{- $credential := index $.Values.credentials $name -}}
{{- if and $credential.value (not $credential.existingSecret.name) -}}
{{- $_ := set $inline (kebabcase $name) $credential.value -}}
{{- end -}}
{{- end -}}
{{- toYaml $inline -}}
{{- end -}}

{{- define "connector.claims" -}}
{{- ternary "redis" "memory" (hasKey (include "connector.givenCredentials" . | fromYaml) "redisUrl") -}}
{{- end -}}

{{/* What the chart sets in the environment; extraEnv must not name it. */}}
{{- define "connector.env" -}}
- name: CONNECTOR_CONFIG
  value: /etc/connector/rooms/{{ ternary .Values.existingConfigMap.key "rooms.yaml" (ne .Values.existingConfigMap.name "") }}
- name: CONNECTOR_LISTEN
  value: {{ printf "%s:8080" .Values.listenHost | quote }}
- name: CONNECTOR_PRIVATE_LISTEN
  value: {{ printf "%s:9090" .Values.listenHost | quote }}
- name: CONNECTOR_DRAIN_TIMEOUT
  value: {{ printf "%ds" (int .Values.drain.timeoutSeconds) }}
- name: CONNECTOR_CLAIMS
  value: {{ include "connector.claims" . }}
- name: CONNECTOR_ENGINES
  {{- if .Values.engines }}
  value: {{ .Values.engines | quote }}
  {{- else }}
  valueFrom:
    resourceFieldRef:
      containerName: connector
      resource: requests.cpu
      divisor: "1"
  {{- end }}
- name: CONNECTOR_LOG
  value: {{ .Values.log.format }}
- name: CONNECTOR_LOG_LEVEL
  value: {{ .Values.log.level }}
{{- range $name, $credential := include "connector.givenCredentials" . | fromYaml }}
- name: {{ $credential.env }}_FILE
  value: /etc/connector/credentials/{{ kebabcase $name }}
{{- end }}
{{- end -}}

{{/* Up fast, because callers wait; down one pod in five minutes, because a pod holds live calls. */}}
{{- define "connector.scalingBehavior" -}}
scaleUp:
  stabilizationWindowSeconds: 0
  selectPolicy: Max
  policies:
    - {type: Percent, value: 100, periodSeconds: 30}
    - {type: Pods, value: 4, periodSeconds: 30}
scaleDown:
  stabilizationWindowSeconds: 300
  policies:
    - {type: Pods, value: 1, periodSeconds: 300}
{{- end -}}

{{/* An egress rule: dict "to" PEERS "ports" LIST of {protocol, port, endPort?}. */}}
{{- define "connector.egress" -}}
- to:
    {{- toYaml .to | nindent 4 }}
  ports:
    {{- toYaml .ports | nindent 4 }}
{{- end -}}
