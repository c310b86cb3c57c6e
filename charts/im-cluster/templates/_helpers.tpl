{{- define "im-cluster.name" -}}
{{- default .Release.Name .Values.name -}}
{{- end -}}

{{/* Of an object of the component that is given beside the root. */}}
{{- define "im-cluster.labels" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: imcluster
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/component: {{ index . 1 }}
app.kubernetes.io/part-of: imcluster
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{/* Not empty when the users' keys are the shop's own: then nobody here can sign tokens. */}}
{{- define "im-cluster.ownKeys" -}}
{{- $auth := default (dict) .Values.spec.auth -}}
{{- if or $auth.jwksSecretRef $auth.sharedSecretRef -}}yes{{- end -}}
{{- end -}}

{{/* Not empty when `helm test` has what it needs. */}}
{{- define "im-cluster.hasTest" -}}
{{- if and .Values.test.enabled (or .Values.test.tokensSecretName (not (include "im-cluster.ownKeys" .))) -}}yes{{- end -}}
{{- end -}}
