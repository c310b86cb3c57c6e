{{- define "im-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains .Chart.Name .Release.Name -}}
{{- .Release.Name | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "im-operator.selectorLabels" -}}
app.kubernetes.io/name: im-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "im-operator.labels" -}}
{{ include "im-operator.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: imcluster
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end -}}

{{- define "im-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "im-operator.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name must name an existing account when serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "im-operator.image" -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" .Values.image.repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.image.repository (default .Chart.AppVersion .Values.image.tag) -}}
{{- end -}}
{{- end -}}

{{/* Name of the ConfigMap with the log level. */}}
{{- define "im-operator.logLevel" -}}
{{- printf "%s-log-level" (include "im-operator.fullname" .) -}}
{{- end -}}

{{/* Name of the webhooks on evictions and updates, of their Service and of their Secret; empty when there are none. */}}
{{- define "im-operator.admission" -}}
{{- if and (or .Values.evictionGuard.enabled .Values.updateWarnings.enabled) (not .Values.watchNamespaces) -}}
{{- printf "%s-admission" (include "im-operator.fullname" .) -}}
{{- end -}}
{{- end -}}

{{/* Not empty where the Prometheus operator's kinds exist: without them these objects would make the whole release fail. */}}
{{- define "im-operator.hasMonitoring" -}}
{{- if .Capabilities.APIVersions.Has "monitoring.coreos.com/v1" -}}yes{{- end -}}
{{- end -}}
