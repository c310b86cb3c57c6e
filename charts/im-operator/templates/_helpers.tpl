{{/* A release's name may have dots, that of a Service may not. */}}
{{- define "im-operator.fullname" -}}
{{- $release := .Release.Name | replace "." "-" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" -}}
{{- else if contains .Chart.Name $release -}}
{{- $release | trunc 50 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" $release .Chart.Name | trunc 50 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "im-operator.selectorLabels" -}}
app.kubernetes.io/name: im-operator
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{/* Labels of an object. A list of the root and a map of labels that it has besides: no label twice, the chart's own are as they are. */}}
{{- define "im-operator.labelsWith" -}}
{{- $root := index . 0 -}}
{{- $own := include "im-operator.selectorLabels" $root | fromYaml -}}
{{- $_ := set $own "app.kubernetes.io/version" $root.Chart.AppVersion -}}
{{- $_ := set $own "app.kubernetes.io/part-of" "imcluster" -}}
{{- $_ := set $own "app.kubernetes.io/managed-by" $root.Release.Service -}}
{{- $_ := set $own "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-") -}}
{{- toYaml (merge $own (default (dict) (index . 1)) (default (dict) $root.Values.commonLabels)) -}}
{{- end -}}

{{- define "im-operator.labels" -}}
{{- include "im-operator.labelsWith" (list . (dict)) -}}
{{- end -}}

{{- define "im-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "im-operator.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- required "serviceAccount.name must name an existing account when serviceAccount.create is false" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/* Where image.registry is set, it stands in place of the one that the repository names. */}}
{{- define "im-operator.image" -}}
{{- $repository := .Values.image.repository -}}
{{- with .Values.image.registry -}}
{{- $repository = printf "%s/%s" . (regexReplaceAll "^(localhost|[^/]*[.:][^/]*)/" $repository "") -}}
{{- end -}}
{{- if .Values.image.digest -}}
{{- printf "%s@%s" $repository .Values.image.digest -}}
{{- else -}}
{{- printf "%s:%s" $repository (default .Chart.AppVersion .Values.image.tag) -}}
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
