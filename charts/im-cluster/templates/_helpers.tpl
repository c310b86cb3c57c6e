{{- define "im-cluster.name" -}}
{{- default .Release.Name .Values.name -}}
{{- end -}}

{{- define "im-cluster.labels" -}}
app.kubernetes.io/name: imcluster
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
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
