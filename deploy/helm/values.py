"""The values of the chart: this is the whole list."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from deploy.helm.option_schemas import OPTIONS, UPSTREAM

Schema = Mapping[str, Any]

TEXT: Schema = {"type": "string"}
SWITCH: Schema = {"type": "boolean"}
TABLE: Schema = {"type": "object"}
TEXTS: Schema = {"type": "array", "items": TEXT}
TABLES: Schema = {"type": "array", "items": TABLE}
TEXTS_BY_NAME: Schema = {"type": "object", "additionalProperties": TEXT}
PORT: Schema = {"type": "integer", "minimum": 1, "maximum": 65535}
COUNT: Schema = {"type": "integer", "minimum": 1}
# A number of pods, or a share of them.
SHARE_OF_PODS: Schema = {"type": ["integer", "string"]}


def one_of(*names: str) -> Schema:
    """Returns the schema of one of several words."""
    return {"enum": list(names)}


@dataclass(frozen=True, slots=True)
class Value:
    """One value of the chart.

    Attributes:
        path: its keys, separated by dots.
        default: its default.
        help: its description.
        schema: what it may be, as JSON schema.
    """

    path: str
    default: Any
    help: str
    schema: Schema = field(default_factory=lambda: TEXT)


VALUES = (
    Value("nameOverride", "", "Name of the application in labels, instead of the chart's."),
    Value("fullnameOverride", "", "Name of all objects, instead of the release's."),
    Value("image.repository", "penstock", "Image to run, built from deploy/docker."),
    Value("image.tag", "", "Tag of the image; the default is the chart's appVersion."),
    Value("image.digest", "", "Digest of the image, such as sha256:…, instead of the tag."),
    Value(
        "image.pullPolicy",
        "IfNotPresent",
        "When nodes pull the image.",
        one_of("Always", "IfNotPresent", "Never"),
    ),
    Value("imagePullSecrets", [], "Secrets for the registry, as in a pod.", TABLES),
    Value("replicaCount", 2, "Number of pods, unless they are scaled automatically.", COUNT),
    Value(
        "upstreams",
        [{"url": "http://vllm:8000"}],
        "The `[[upstream]]` tables of the configuration file.",
        {"type": "array", "minItems": 1, "items": UPSTREAM},
    ),
    Value(
        "options",
        {
            "log_format": "json",
            "drain_delay": 10,
            "drain_timeout": 300,
            "max_connection_age": 600,
            "max_concurrent_calls": 1000,
        },
        "Options of the service by their keys in the configuration file. Pods apply most changes "
        "without a restart; a change of the others replaces the pods.",
        OPTIONS,
    ),
    Value(
        "upstreamKey.existingSecret",
        "",
        "Secret that contains the bearer key for the upstreams; empty if they need none.",
    ),
    Value("upstreamKey.key", "api-key", "Key in the Secret that contains the bearer key."),
    Value(
        "callers.existingSecret",
        "",
        "Secret that contains the file of the callers and their keys; without it, callers need "
        "no key.",
    ),
    Value("callers.key", "callers.toml", "Key in the Secret that contains the file of callers."),
    Value(
        "tls.existingSecret",
        "",
        "Secret of type kubernetes.io/tls to serve TLS with; without it and without certManager, "
        "the pods serve plaintext, for a mesh that encrypts the connections.",
    ),
    Value(
        "tls.requireClientCertificate",
        False,
        "Require callers to present a certificate of the CA in the Secret (ca.crt).",
        SWITCH,
    ),
    Value("tls.certManager.enabled", False, "Let cert-manager issue the certificate.", SWITCH),
    Value("tls.certManager.issuerRef.name", "", "Issuer of the certificate."),
    Value("tls.certManager.issuerRef.kind", "Issuer", "Kind of the issuer."),
    Value("tls.certManager.issuerRef.group", "cert-manager.io", "API group of the issuer."),
    Value("tls.certManager.duration", "2160h", "Lifetime of the certificate."),
    Value("tls.certManager.renewBefore", "720h", "Time before its end to renew it."),
    Value(
        "tls.certManager.dnsNames",
        [],
        "Names to add to those of the Services, such as the one that callers outside use.",
        TEXTS,
    ),
    Value(
        "service.type",
        "ClusterIP",
        "Type of the Service that meshes and gateways use.",
        one_of("ClusterIP", "LoadBalancer", "NodePort"),
    ),
    Value(
        "service.port",
        50051,
        "Port of that Service; the pods and the headless Service use 50051.",
        PORT,
    ),
    Value("service.annotations", {}, "Annotations of that Service.", TEXTS_BY_NAME),
    Value(
        "service.appProtocol",
        "",
        "Protocol of the port for meshes and gateways; the default is kubernetes.io/h2c, and "
        "https with TLS.",
    ),
    Value(
        "headlessService.annotations",
        {},
        "Annotations of the headless Service, for callers that balance by themselves.",
        TEXTS_BY_NAME,
    ),
    Value(
        "metrics.serviceMonitor.enabled",
        False,
        "Let the Prometheus operator scrape the pods.",
        SWITCH,
    ),
    Value("metrics.serviceMonitor.interval", "15s", "Time between two scrapes."),
    Value(
        "metrics.serviceMonitor.labels",
        {},
        "Labels by which a Prometheus selects its ServiceMonitors.",
        TEXTS_BY_NAME,
    ),
    Value(
        "metrics.serviceMonitor.tlsConfig",
        {},
        "TLS of the scrapes; the default is the CA of the Secret. Required with "
        "tls.requireClientCertificate, because Prometheus then needs a certificate of its own.",
        TABLE,
    ),
    Value("podDisruptionBudget.enabled", True, "Limit how many pods leave at a time.", SWITCH),
    Value(
        "podDisruptionBudget.maxUnavailable",
        1,
        "Most pods that may leave at a time: a number, or a share such as 25%.",
        SHARE_OF_PODS,
    ),
    Value(
        "autoscaling.enabled",
        False,
        "Scale by running calls with a HorizontalPodAutoscaler, which needs the metric "
        "penstock_calls_in_flight from prometheus-adapter.",
        SWITCH,
    ),
    Value("autoscaling.minReplicas", 2, "Least number of pods.", COUNT),
    Value("autoscaling.maxReplicas", 10, "Largest number of pods.", COUNT),
    Value("autoscaling.callsInFlight", 300, "Running calls of a pod to scale for.", COUNT),
    Value(
        "autoscaling.scaleDownSeconds",
        300,
        "Time of less load until pods leave: their callers have to reconnect.",
        {"type": "integer", "minimum": 0, "maximum": 3600},
    ),
    Value(
        "autoscaling.keda.enabled",
        False,
        "Let KEDA query Prometheus, instead of prometheus-adapter.",
        SWITCH,
    ),
    Value(
        "autoscaling.keda.serverAddress",
        "http://prometheus-operated.monitoring:9090",
        "Address of Prometheus.",
    ),
    Value(
        "autoscaling.keda.query",
        "",
        "PromQL of the running calls of all pods; the default selects this release's Service.",
    ),
    Value("networkPolicy.enabled", True, "Restrict connections to the pods.", SWITCH),
    Value(
        "networkPolicy.callers",
        [],
        "Peers of a NetworkPolicy that may call the pods; empty for everyone.",
        TABLES,
    ),
    Value(
        "networkPolicy.metrics",
        [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}}],
        "Peers of a NetworkPolicy that may read the metrics; empty for none.",
        TABLES,
    ),
    Value(
        "networkPolicy.egress",
        [],
        "Rules for connections of the pods, to DNS and the upstreams; empty for no limit.",
        TABLES,
    ),
    Value("grpcRoute.enabled", False, "Expose the Service through a Gateway.", SWITCH),
    Value("grpcRoute.parentRefs", [], "Gateways of the route.", TABLES),
    Value("grpcRoute.hostnames", [], "Names that the route applies to.", TEXTS),
    Value(
        "grpcRoute.services",
        [],
        "gRPC services to expose, such as penstock.v1.ChatCompletionService; empty for all, "
        "including reflection.",
        TEXTS,
    ),
    Value("serviceAccount.create", True, "Create a ServiceAccount, which has no token.", SWITCH),
    Value(
        "serviceAccount.name", "", "Name of the ServiceAccount; the default is that of all objects."
    ),
    Value("serviceAccount.annotations", {}, "Annotations of the ServiceAccount.", TEXTS_BY_NAME),
    Value("podAnnotations", {}, "Annotations of the pods.", TEXTS_BY_NAME),
    Value("podLabels", {}, "Labels to add to the pods.", TEXTS_BY_NAME),
    Value(
        "podSecurityContext",
        {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "runAsGroup": 65532,
            "fsGroup": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "Security context of the pods.",
        TABLE,
    ),
    Value(
        "securityContext",
        {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "Security context of the container.",
        TABLE,
    ),
    Value(
        "resources",
        {"requests": {"cpu": "1", "memory": "256Mi"}, "limits": {"memory": "2Gi"}},
        "Resources of the container.",
        TABLE,
    ),
    Value(
        "topologySpreadConstraints",
        [
            {
                "maxSkew": 1,
                "topologyKey": "kubernetes.io/hostname",
                "whenUnsatisfiable": "ScheduleAnyway",
            }
        ],
        "How pods spread over nodes; each constraint selects the pods of the release.",
        TABLES,
    ),
    Value("nodeSelector", {}, "Labels of the nodes to use.", TEXTS_BY_NAME),
    Value("tolerations", [], "Taints to tolerate.", TABLES),
    Value("affinity", {}, "Affinity of the pods.", TABLE),
    Value("priorityClassName", "", "Priority of the pods."),
    Value(
        "extraEnv",
        [],
        "Environment variables to add, such as OTEL_EXPORTER_OTLP_ENDPOINT.",
        TABLES,
    ),
    Value(
        "extraVolumes",
        [],
        "Volumes to add, such as Secrets whose files `upstreams` names.",
        TABLES,
    ),
    Value("extraVolumeMounts", [], "Mounts to add.", TABLES),
)
